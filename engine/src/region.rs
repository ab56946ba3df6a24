//! Sets of inputs, and the minimum of a linear function over them.

use crate::bounds::Arithmetic;
use crate::model::Row;
use crate::num::{
    MAGNITUDE_LIMIT, Rounding, add_up, from_f64_up, mul_up, sqrt_up, sub_down, sub_up, up,
};

/// The norm of a ball.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Sum of absolute values.
    L1,
    /// Euclidean.
    L2,
    /// Largest absolute value.
    Linf,
}

impl Norm {
    /// The dual norm: `1/p + 1/q = 1`.
    pub const fn dual(self) -> Self {
        match self {
            Norm::L1 => Norm::Linf,
            Norm::L2 => Norm::L2,
            Norm::Linf => Norm::L1,
        }
    }
}

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
        }
    }
}

impl core::error::Error for RegionError {}

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

    /// Checks the region against a model's number of inputs.
    ///
    /// # Errors
    /// [`RegionError`], the first found.
    pub fn check(&self, inputs: usize) -> Result<(), RegionError> {
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
            Region::Ball(ball) if !self.is_box() => (ball, None),
            Region::BallInBox { ball, lo, hi } if !self.is_box() => (ball, Some((lo, hi))),
            _ => return Reach { below: over_box, above: over_box },
        };
        let norm = dual_norm(arith, a, &rounding, ball.norm);
        let whole = smaller(over_box, mul_up(ball.radius, norm));
        let Some((lo, hi)) = cut else {
            return Reach { below: whole, above: whole };
        };
        let reach = |sign| smaller(whole, cut_reach(a, sign, ball, lo, hi, norm));
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

/// `||a||_q` rounded up, q dual to `norm`; `rounding` is that of the row's sums.
pub(crate) fn dual_norm<A: Arithmetic>(
    arith: &A,
    a: Row<'_>,
    rounding: &Rounding,
    norm: Norm,
) -> f32 {
    let norms = arith.norms(a);
    match norm {
        Norm::L1 => norms.largest,
        Norm::L2 => sqrt_up(rounding.inflate(norms.squares)),
        Norm::Linf => rounding.inflate(norms.sum),
    }
}

/// Upper bound of `max sign*a.(x0 - x)` over a ball cut by a box, `norm` its dual norm of a.
///
/// Splitting `a = p + q` by coordinates of equal sign, the reach is at most
/// `eps*||p||_q + sum |q_j| D_j`, D_j the way within both from the centre to the side that `a_j`
/// drives towards (weak duality: p is priced over the ball, q over the box). Any p with
/// `|p_j| <= |a_j|` is valid; the best has `|p_j| = min(|a_j|, t*D_j)` for l2, where
/// `t = ||p||_2/eps`, and `|p_j| = min(|a_j|, t)` for l1, where the D_j of the coordinates above t
/// sum to eps. Some steps towards that t are taken, each evaluated with upward rounding, the best
/// kept; for l2 they solve for t with the coordinates limited now, of which there are only more at
/// the solution.
pub(crate) fn cut_reach(
    a: Row<'_>,
    sign: f32,
    ball: &Ball<'_>,
    lo: &[f32],
    hi: &[f32],
    norm: f32,
) -> f32 {
    // The box around the ball cuts too.
    let way = |a: f32, x: f32, lo: f32, hi: f32| {
        let way = if a > 0.0 { sub_up(x, lo) } else { sub_up(hi, x) };
        if way > ball.radius {
            ball.radius
        } else if way > 0.0 {
            way
        } else {
            0.0
        }
    };
    let n = ball.center.len();
    let rounding = Rounding::new(n as u32 + 1, n);
    // Reach for one t, with what steers the search: the next t (l2) or the ways beyond t (l1).
    let evaluate = |t: f32| {
        let (mut squares, mut rest, mut beyond) = (0.0f32, 0.0f32, 0.0f32);
        let (mut free, mut limited) = (0.0f32, 0.0f32);
        for (j, (x, (lo, hi))) in ball.center.iter().zip(lo.iter().zip(hi)).enumerate() {
            let size = a.get(j).abs();
            let d = way(sign * a.get(j), *x, *lo, *hi);
            let limit = if ball.norm == Norm::L2 { t * d } else { t };
            // A NaN in `size` must survive: it is kept as p.
            let p = if size > limit { limit } else { size };
            squares += p * p;
            if p < size {
                rest += sub_up(size, p) * d;
                beyond += d;
                limited += d * d;
            } else {
                free += p * p;
            }
        }
        let rest = rounding.inflate(rest);
        let p_norm = match ball.norm {
            Norm::L2 if t > 0.0 => sqrt_up(rounding.inflate(squares)),
            _ => t,
        };
        let steer = match ball.norm {
            Norm::L2 => libm::sqrtf(free / (ball.radius * ball.radius - limited)),
            _ => beyond,
        };
        (add_up(mul_up(ball.radius, p_norm), rest), steer)
    };
    let mut best = f32::INFINITY;
    let mut keep = |reach: f32| {
        if reach < best {
            best = reach;
        }
    };
    if !(ball.radius > 0.0) || !norm.is_finite() {
        return f32::INFINITY;
    }
    keep(evaluate(0.0).0);
    if ball.norm == Norm::Linf {
        // The box around the ball is the ball.
    } else if ball.norm == Norm::L2 {
        let mut t = norm / ball.radius;
        for _ in 0..12 {
            let (reach, next) = evaluate(t);
            keep(reach);
            // No more coordinates are limited, or all are.
            if !(next < t) {
                break;
            }
            t = next;
        }
    } else {
        let (mut low, mut high) = (0.0, up(norm));
        for _ in 0..14 {
            let t = 0.5 * (low + high);
            let (reach, beyond) = evaluate(t);
            keep(reach);
            if beyond > ball.radius {
                low = t;
            } else {
                high = t;
            }
        }
    }
    best
}
