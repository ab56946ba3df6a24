//! How far a linear function reaches over a ball cut by a box.

use super::norm::{Exponent, Norm};
use super::{Ball, smaller};
use crate::bounds::Arithmetic;
use crate::model::Row;
use crate::num::powers::{Powers, narrow_up};
use crate::num::sums::Ways;
use crate::num::{ETA, Rounding, add_up, mul_up, sqrt_up};

/// Part of the reach that no further step is made for: about what rounding costs a row of 784.
const CLOSE: f32 = 1.0 / (1u32 << 17) as f32;

/// Most steps of a search.
const STEPS: usize = 16;

/// Upper bound of `max sign*a.(x0 - x)` over a ball cut by a box, `norm` its dual norm of a.
///
/// Splitting `a = p + q` by coordinates of equal sign, the reach is at most
/// `eps*||p||_* + sum |q_j| D_j`, `*` the dual norm and D_j the way within both from the centre to
/// the side that `a_j` drives towards (weak duality: p is priced over the ball, q over the box).
/// Any p with `|p_j| <= |a_j|` is valid; the best has `|p_j| = min(|a_j|, t*D_j/eps)` for l2, where
/// `t = ||p||_2`, `|p_j| = min(|a_j|, t)` for l1, where the D_j of the coordinates above t sum
/// to eps, and `|p_j| = min(|a_j|, t*(D_j/eps)^(r-1))` for another exponent r, where
/// `t = ||p||_*`. Some steps towards that t are taken, each evaluated with upward rounding, the
/// best kept; l1 and l2 end where what is left to gain is below [`CLOSE`] of the reach.
///
/// Rounding: the `|p_j|` are the floats at hand, so that a term `(|a_j| - |p_j|)*D_j` rounds with
/// its two differences and its product, twice more than a product, in sums of
/// [`Arithmetic::row_depth`] (`soundness.md` 2). What is flushed of an `a_j`, a difference or a
/// `p_j` moves the reach by at most `ETA*D_j` each, what is flushed of an end by `ETA*|a_j|`.
///
/// Work: passes over the row, for l2 two to four as a rule, for l1 two where the radius is small
/// beside the box, else about ten; `STEPS + 2` at most.
pub(crate) fn cut_reach<A: Arithmetic>(
    arith: &A,
    a: Row<'_>,
    sign: f32,
    ball: &Ball<'_>,
    lo: &[f32],
    hi: &[f32],
    norm: f32,
) -> f32 {
    let Ball { center, radius, .. } = *ball;
    // A subnormal radius has no reciprocal.
    if !(radius >= ETA) || !norm.is_finite() {
        return f32::INFINITY;
    }
    let n = center.len();
    let flushed = mul_up(4.0 * ETA * n as f32, add_up(radius, norm));
    let rounding = Rounding::new(arith.row_depth(n) + 2, n);
    let cut = Cut { arith, a, ways: Ways { center, radius, lo, hi, sign }, rounding, flushed };
    match ball.norm {
        // The box around the ball is the ball.
        Norm::Linf => smaller(f32::INFINITY, cut.flat(0.0).reach),
        Norm::L1 => cut.search(norm),
        Norm::L2 => cut.descend(norm),
        Norm::Lp(r) => cut.solve(r, norm),
    }
}

struct Cut<'a, A> {
    arith: &'a A,
    a: Row<'a>,
    ways: Ways<'a>,
    rounding: Rounding,
    /// What flushing may take from a reach.
    flushed: f32,
}

/// What l1 gives for one t.
#[derive(Clone, Copy)]
struct Flat {
    t: f32,
    /// Upper bound of the reach.
    reach: f32,
    /// About `eps*t + sum (|a_j| - t)*D_j` over the coefficients above t, convex in t.
    value: f32,
    /// About its slope to the right.
    slope: f32,
    /// As in [`crate::num::sums::FlatCut`].
    top: f32,
}

impl<A: Arithmetic> Cut<'_, A> {
    /// Upper bound from `||p||_*` and the rest over the box, as computed.
    fn bound(&self, p_norm: f32, rest: f32) -> f32 {
        let ball = mul_up(self.ways.radius, p_norm);
        add_up(add_up(ball, self.rounding.inflate(rest)), self.flushed)
    }

    /// l1 with one t; `||p||_inf <= t`.
    fn flat(&self, t: f32) -> Flat {
        let sums = self.arith.flat_cut(self.a, &self.ways, t);
        let radius = self.ways.radius;
        Flat {
            t,
            reach: self.bound(t, sums.rest),
            value: radius * t + sums.rest,
            slope: radius - sums.beyond,
            top: sums.top,
        }
    }

    /// l2 with one t: the reach, what of it is left to gain at most, and the t that would be
    /// `||p||_2` if no more coordinates were limited.
    ///
    /// A limited `p_j` is at most `t*e_j*(1 + U)`, so that
    /// `||p||^2 <= free + t^2*limited`, both inflated. With `t >= ||p||` the point that moves by
    /// `|p_j|*eps/t` lies within both, which leaves a gap of `eps*||p||*(1 - ||p||/t)`.
    fn round(&self, t: f32) -> (f32, f32, f32) {
        let sums = self.arith.round_cut(self.a, &self.ways, t);
        let inflate = |x| self.rounding.inflate(x);
        let limited = mul_up(mul_up(t, t), inflate(sums.limited));
        let length = sqrt_up(add_up(inflate(sums.free), limited));
        let gap = self.ways.radius * length * (1.0 - length / t);
        let next = libm::sqrtf(sums.free / (1.0 - sums.limited));
        // Without t no p is left but what is NaN, and that is in `rest` too.
        (self.bound(if t > 0.0 { length } else { 0.0 }, sums.rest), gap, next)
    }

    /// The best of some falling t from the ball's alone on: Newton's steps for `||p||^2 = t^2`, both
    /// sides of which are piecewise linear in `t^2`.
    fn descend(&self, norm: f32) -> f32 {
        let mut best = f32::INFINITY;
        let mut t = norm;
        for _ in 0..STEPS {
            let (reach, gap, next) = self.round(t);
            best = smaller(best, reach);
            if gap <= CLOSE * best {
                return best;
            }
            // Rounding led past the solution, or squares overflow or underflow.
            if !(next < t) {
                break;
            }
            t = next;
        }
        smaller(best, self.round(0.0).0)
    }

    /// The best of some t towards the least of a convex, piecewise linear function.
    ///
    /// The tangents at both sides of the least bound what is left to gain; the next t is where they
    /// cross, which is the least once no other corner lies between. Steps to where the slope, or the
    /// slope of a cubic, would be 0 take more passes in the mean and far more at worst.
    fn search(&self, norm: f32) -> f32 {
        let radius = self.ways.radius;
        let mut low = self.flat(0.0);
        // All of the box is within reach.
        if low.slope >= 0.0 {
            return low.reach;
        }
        let mut best = smaller(low.reach, self.bound(norm, 0.0));
        let mut high = Flat { t: norm, reach: best, value: radius * norm, slope: radius, top: 0.0 };
        // Below the largest coefficient that the whole radius goes to, the slope is negative.
        if low.top > 0.0 {
            let at = self.flat(low.top);
            best = smaller(best, at.reach);
            if at.slope >= 0.0 {
                return best;
            }
            low = at;
        }
        for _ in 0..STEPS {
            let span = high.t - low.t;
            let crossing =
                (high.slope * span - (high.value - low.value)) / (high.slope - low.slope);
            let least = if low.value < high.value { low.value } else { high.value };
            let gain = least - (low.value + low.slope * crossing);
            if !(gain > CLOSE * least) {
                break;
            }
            let t = low.t + crossing;
            if !(low.t < t && t < high.t) {
                break;
            }
            let at = self.flat(t);
            best = smaller(best, at.reach);
            if at.slope < 0.0 {
                low = at;
            } else {
                high = at;
            }
        }
        best
    }

    /// `|a_j|` and D_j, in f64 with a rounding each.
    fn terms(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let Ways { center, radius, lo, hi, sign } = self.ways;
        let ends = center.iter().zip(lo.iter().zip(hi));
        ends.enumerate().map(move |(j, (x, (lo, hi)))| {
            let a = self.a.get(j);
            let (from, to) = if sign * a > 0.0 { (*lo, *x) } else { (*x, *hi) };
            let way = f64::from(to) - f64::from(from);
            let radius = f64::from(radius);
            let way = if way < radius { way } else { radius };
            (f64::from(a.abs()), if way > 0.0 { way } else { 0.0 })
        })
    }

    /// Reach for one t of a general exponent, `||p||_*`, and the t that would be `||p||_*` if no more
    /// coordinates were limited, which is not below the solution.
    ///
    /// In f64, each `p_j` any number from 0 to `|a_j|`: the sum of n products of positive numbers
    /// and the last steps lose at most a part `(n + 8)*2^-51`.
    fn evaluate_general(&self, r: Exponent, t: f64, largest: f64) -> (f32, f64, f64) {
        let radius = f64::from(self.ways.radius);
        let q = r.dual_down();
        let scale = if t < largest { t } else { largest };
        let mut powers = Powers::new(q, scale);
        let (mut rest, mut free, mut limited, mut most) = (0.0, 0.0, 0.0, 0.0);
        for (size, d) in self.terms() {
            let share = d / radius;
            let shrink = if share == 0.0 || share == 1.0 {
                share
            } else {
                libm::pow(share, f64::from(r.get()) - 1.0)
            };
            let limit = t * shrink;
            // A NaN in `size` must survive: it is kept as p.
            let p = if size > limit { limit } else { size };
            let power = powers.add(p);
            if p < size {
                rest += (size - p) * d;
                limited += shrink * share;
            } else {
                free += power;
                most = if p > most { p } else { most };
            }
        }
        let n = self.ways.center.len() as f64;
        let length = powers.root_up();
        let reach = radius * length + rest + f64::from(self.flushed);
        let reach = narrow_up(reach * (1.0 + (n + 8.0) * (2.0 * f64::EPSILON)), 0);
        // The powers of what is far below t underflow.
        let next = scale * libm::pow(free / (1.0 - limited), 1.0 / q);
        (reach, length, if next < most { most } else { next })
    }

    /// The best of some t between 0 and `norm`, by solving and bisecting in turn: near p = 1 and
    /// infinity the one is slow.
    fn solve(&self, r: Exponent, norm: f32) -> f32 {
        let largest = self.terms().fold(0.0, |most, (a, _)| if a > most { a } else { most });
        let evaluate = |t: f64| self.evaluate_general(r, t, largest);
        let mut best = smaller(f32::INFINITY, evaluate(0.0).0);
        let (mut low, mut high) = (0.0, f64::from(norm));
        let (mut t, mut solved) = (high, true);
        for _ in 0..24 {
            let (reach, length, next) = evaluate(t);
            best = smaller(best, reach);
            let mut fresh = false;
            if length > t {
                low = t;
            } else {
                fresh = next < t;
                high = if fresh { next } else { t };
            }
            if !(high - low > 1e-5 * high) {
                break;
            }
            solved = fresh && !solved;
            t = if solved { high } else { 0.5 * (low + high) };
        }
        best
    }
}

#[cfg(test)]
mod tests;
