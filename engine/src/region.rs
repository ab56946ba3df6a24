//! Sets of inputs, and the minimum of a linear function over them.

use crate::bounds::Arithmetic;
use crate::features::NORMS;
use crate::model::Row;
use crate::num::{MAGNITUDE_LIMIT, Rounding, add_up, from_f64_up, mul_up, sub_down, sub_up};

mod cut;
mod norm;

pub(crate) use cut::cut_reach;
pub use norm::{Exponent, Norm};
pub(crate) use norm::{dual_norm, norm_up};

/// A ball `{x : ||x - center||_p <= radius}`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ball<'a> {
    /// The centre.
    pub center: &'a [f32],
    /// The radius, in the input's units.
    pub radius: f32,
    /// The norm.
    pub norm: Norm,
}

/// An exact real set of inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Region<'a> {
    /// A ball.
    Ball(Ball<'a>),
    /// A box `[lo, hi]`.
    Box {
        /// Lower ends.
        lo: &'a [f32],
        /// Upper ends.
        hi: &'a [f32],
    },
    /// The points of a ball that lie in a box.
    BallInBox {
        /// The ball.
        ball: Ball<'a>,
        /// Lower ends of the box.
        lo: &'a [f32],
        /// Upper ends of the box.
        hi: &'a [f32],
    },
}

/// Why a region is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionError {
    /// A centre or an end has another number of entries than the model has inputs.
    Width {
        /// Entries found.
        found: usize,
        /// The model's inputs.
        expected: usize,
    },
    /// Entry that is NaN, infinite or of magnitude `2^100` or more.
    Entry(usize),
    /// The radius is NaN, negative, or `2^100` or more.
    Radius,
    /// No point: a lower end above the upper, or the ball outside the box, in this coordinate.
    Empty(usize),
    /// It needs this feature of the crate, which is left out of the build.
    Feature(&'static str),
}

impl core::fmt::Display for RegionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            RegionError::Width { found, expected } => {
                write!(f, "region of {found} coordinates, the model has {expected} inputs")
            }
            RegionError::Entry(i) => write!(f, "coordinate {i} is not finite or not below 2^100"),
            RegionError::Radius => f.write_str("radius is negative, not finite or not below 2^100"),
            RegionError::Empty(i) => write!(f, "no point in coordinate {i}"),
            RegionError::Feature(name) => {
                write!(f, "it needs the feature `{name}` of certus-engine, which is left out")
            }
        }
    }
}

impl core::error::Error for RegionError {}

/// [`Region::passes`] of any region.
pub(crate) const MOST_PASSES: u64 = 2;

impl<'a> Region<'a> {
    /// The ball with a radius in f64, rounded up to the next f32: a superset.
    pub fn ball(center: &'a [f32], radius: f64, norm: Norm) -> Self {
        Region::Ball(Ball { center, radius: radius_up(radius), norm })
    }

    /// The part of [`Region::ball`] that lies in `[lo, hi]`.
    pub fn ball_in_box(
        center: &'a [f32],
        radius: f64,
        norm: Norm,
        lo: &'a [f32],
        hi: &'a [f32],
    ) -> Self {
        Region::BallInBox { ball: Ball { center, radius: radius_up(radius), norm }, lo, hi }
    }

    /// Whether the box around the region is the region.
    pub fn is_box(&self) -> bool {
        match self {
            Region::Box { .. } => true,
            Region::Ball(ball) | Region::BallInBox { ball, .. } => ball.norm == Norm::Linf,
        }
    }

    /// Multiply-adds that [`Region::reach`] takes for each entry: over the box around the region, and
    /// for the dual norm of a ball. The search in a ball that is cut is not counted.
    pub(crate) fn passes(&self) -> u64 {
        if self.is_box() { 1 } else { MOST_PASSES }
    }

    /// Checks the region against a model's number of inputs.
    ///
    /// # Errors
    /// [`RegionError`], the first found.
    pub fn check(&self, inputs: usize) -> Result<(), RegionError> {
        if !NORMS && !self.is_box() {
            return Err(RegionError::Feature("norms"));
        }
        let entries = |x: &[f32]| {
            if x.len() != inputs {
                return Err(RegionError::Width { found: x.len(), expected: inputs });
            }
            match x.iter().position(|x| !(x.abs() < MAGNITUDE_LIMIT)) {
                Some(i) => Err(RegionError::Entry(i)),
                None => Ok(()),
            }
        };
        let ends = |lo: &[f32], hi: &[f32]| {
            entries(lo)?;
            entries(hi)?;
            match lo.iter().zip(hi).position(|(lo, hi)| lo > hi) {
                Some(i) => Err(RegionError::Empty(i)),
                None => Ok(()),
            }
        };
        let round = |ball: &Ball<'_>| {
            if !(ball.radius >= 0.0 && ball.radius < MAGNITUDE_LIMIT) {
                return Err(RegionError::Radius);
            }
            entries(ball.center)
        };
        match self {
            Region::Ball(ball) => round(ball),
            Region::Box { lo, hi } => ends(lo, hi),
            Region::BallInBox { ball, lo, hi } => {
                round(ball)?;
                ends(lo, hi)?;
                let apart = ball.center.iter().zip(lo.iter().zip(*hi)).position(|(x, (lo, hi))| {
                    add_up(*x, ball.radius) < *lo || sub_down(*x, ball.radius) > *hi
                });
                apart.map_or(Ok(()), |i| Err(RegionError::Empty(i)))
            }
        }
    }

    /// Midpoints and radii of the smallest box around the region, rounded outward.
    pub fn enclose(&self, mid: &mut [f32], rad: &mut [f32]) {
        let slots = mid.iter_mut().zip(rad);
        match self {
            Region::Ball(ball) => {
                for ((m, r), x) in slots.zip(ball.center) {
                    (*m, *r) = (*x, ball.radius);
                }
            }
            Region::Box { lo, hi } => {
                for ((m, r), (lo, hi)) in slots.zip(lo.iter().zip(*hi)) {
                    (*m, *r) = middle(*lo, *hi);
                }
            }
            Region::BallInBox { ball, lo, hi } => {
                for (((m, r), x), (lo, hi)) in slots.zip(ball.center).zip(lo.iter().zip(*hi)) {
                    let lo = sub_down(*x, ball.radius).max(*lo);
                    let hi = add_up(*x, ball.radius).min(*hi);
                    (*m, *r) = if ball.norm == Norm::Linf {
                        middle(lo, hi)
                    } else {
                        // The ball's own reach is measured from its centre.
                        (*x, larger(sub_up(*x, lo), sub_up(hi, *x)))
                    };
                }
            }
        }
    }

    /// How far a linear function `a . x` reaches below and above its value at `mid`.
    ///
    /// `mid`, `rad`: what [`Region::enclose`] wrote; `both`: whether `above` is wanted too, else it
    /// may be infinite. `a.(mid - x) <= below` and `a.(x - mid) <= above` for all x of the region.
    /// The better of the reach over the box around it, `|a|.rad`, and over the ball, `eps*||a||_q`
    /// (Hoelder, 1/p + 1/q = 1; paper 003, theorem 3.2), rounded up (`soundness.md` 5). For a ball
    /// cut by a box see `cut_reach`.
    pub fn reach<A: Arithmetic>(
        &self,
        arith: &A,
        a: Row<'_>,
        mid: &[f32],
        rad: &[f32],
        both: bool,
    ) -> Reach {
        let rounding = Rounding::new(arith.row_depth(mid.len()), mid.len());
        let over_box = rounding.inflate(arith.reach(a, rad));
        let (ball, cut) = match self {
            _ if !NORMS => return Reach { below: over_box, above: over_box },
            Region::Ball(ball) if !self.is_box() => (ball, None),
            Region::BallInBox { ball, lo, hi } if !self.is_box() => (ball, Some((lo, hi))),
            _ => return Reach { below: over_box, above: over_box },
        };
        let norm = dual_norm(arith, a, &rounding, ball.norm);
        let whole = smaller(over_box, mul_up(ball.radius, norm));
        let Some((lo, hi)) = cut else {
            return Reach { below: whole, above: whole };
        };
        let reach = |sign| smaller(whole, cut_reach(arith, a, sign, ball, lo, hi, norm));
        Reach { below: reach(1.0), above: if both { reach(-1.0) } else { f32::INFINITY } }
    }
}

/// How far a linear function reaches from its value at a region's middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Upper bound of the way down; NaN or infinite if there is none.
    pub below: f32,
    /// Upper bound of the way up.
    pub above: f32,
}

/// The smaller of two upper bounds; `b` counts only if it is a number.
fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

/// The larger of two numbers.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// An f64 radius as the next f32 above; what is not a radius becomes NaN and is refused.
fn radius_up(radius: f64) -> f32 {
    if radius >= 0.0 { from_f64_up(radius) } else { f32::NAN }
}

/// A midpoint of `[lo, hi]` and a radius around it that covers both ends.
pub(crate) fn middle(lo: f32, hi: f32) -> (f32, f32) {
    let mid = 0.5 * lo + 0.5 * hi;
    if lo == hi {
        return (lo, 0.0);
    }
    let (below, above) = (sub_up(mid, lo), sub_up(hi, mid));
    (mid, larger(below, above))
}
