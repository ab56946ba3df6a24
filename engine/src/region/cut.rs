//! How far a linear function reaches over a ball cut by a box.

use super::norm::{Exponent, Norm};
use super::{Ball, smaller};
use crate::model::Row;
use crate::num::powers::{Powers, narrow_up};
use crate::num::{ETA, Rounding, add_up, mul_up, sqrt_up, sub_up, up};

/// Upper bound of `max sign*a.(x0 - x)` over a ball cut by a box, `norm` its dual norm of a.
///
/// Splitting `a = p + q` by coordinates of equal sign, the reach is at most
/// `eps*||p||_* + sum |q_j| D_j`, `*` the dual norm and D_j the way within both from the centre to
/// the side that `a_j` drives towards (weak duality: p is priced over the ball, q over the box).
/// Any p with `|p_j| <= |a_j|` is valid; the best has `|p_j| = min(|a_j|, t*D_j)` for l2, where
/// `t = ||p||_2/eps`, `|p_j| = min(|a_j|, t)` for l1, where the D_j of the coordinates above t sum
/// to eps, and `|p_j| = min(|a_j|, t*(D_j/eps)^(r-1))` for another exponent r, where
/// `t = ||p||_*`. Some steps towards that t are taken, each evaluated with upward rounding, the
/// best kept; where they solve for t it is with the coordinates limited now, of which there are only
/// more at the solution.
pub(crate) fn cut_reach(
    a: Row<'_>,
    sign: f32,
    ball: &Ball<'_>,
    lo: &[f32],
    hi: &[f32],
    norm: f32,
) -> f32 {
    let cut = Cut { a, sign, ball, lo, hi };
    if !(ball.radius > 0.0) || !norm.is_finite() {
        return f32::INFINITY;
    }
    let rounding = Rounding::new(ball.center.len() as u32 + 1, ball.center.len());
    match ball.norm {
        // The box around the ball is the ball.
        Norm::Linf => smaller(f32::INFINITY, cut.evaluate(0.0, &rounding).0),
        Norm::L1 => cut.bisect(norm, &rounding),
        Norm::L2 => cut.descend(norm, &rounding),
        Norm::Lp(r) => cut.solve(r, norm),
    }
}

struct Cut<'a> {
    a: Row<'a>,
    sign: f32,
    ball: &'a Ball<'a>,
    lo: &'a [f32],
    hi: &'a [f32],
}

impl Cut<'_> {
    /// `|a_j|` and D_j.
    fn terms(&self) -> impl Iterator<Item = (f32, f32)> + '_ {
        let ends = self.ball.center.iter().zip(self.lo.iter().zip(self.hi));
        ends.enumerate().map(|(j, (x, (lo, hi)))| {
            let a = self.a.get(j);
            let way = if self.sign * a > 0.0 { sub_up(*x, *lo) } else { sub_up(*hi, *x) };
            // The box around the ball cuts too.
            let way = if way > self.ball.radius {
                self.ball.radius
            } else if way > 0.0 {
                way
            } else {
                0.0
            };
            (a.abs(), way)
        })
    }

    /// Reach for one t, with what steers the search: the next t (l2) or the ways beyond t (l1).
    fn evaluate(&self, t: f32, rounding: &Rounding) -> (f32, f32) {
        let Ball { radius, norm, .. } = *self.ball;
        let (mut squares, mut rest, mut beyond) = (0.0f32, 0.0f32, 0.0f32);
        let (mut free, mut limited) = (0.0f32, 0.0f32);
        for (size, d) in self.terms() {
            let limit = if norm == Norm::L2 { t * d } else { t };
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
        let p_norm = match norm {
            Norm::L2 if t > 0.0 => sqrt_up(rounding.inflate(squares)),
            _ => t,
        };
        let steer = match norm {
            Norm::L2 => libm::sqrtf(free / (radius * radius - limited)),
            _ => beyond,
        };
        (add_up(mul_up(radius, p_norm), rest), steer)
    }

    /// Reach for one t of a general exponent, `||p||_*`, and the t that would be `||p||_*` if no more
    /// coordinates were limited, which is not below the solution.
    ///
    /// In f64, each `p_j` any number from 0 to `|a_j|`: the sum of n products of positive numbers
    /// and the last steps lose at most a part `(n + 8)*2^-51`, and what is flushed of an `a_j` moves
    /// the reach by at most `ETA*D_j`.
    fn evaluate_general(&self, r: Exponent, t: f64, largest: f64) -> (f32, f64, f64) {
        let radius = f64::from(self.ball.radius);
        let q = r.dual_down();
        let scale = if t < largest { t } else { largest };
        let mut powers = Powers::new(q, scale);
        let (mut rest, mut free, mut limited, mut most) = (0.0, 0.0, 0.0, 0.0);
        for (size, d) in self.terms() {
            let (size, d) = (f64::from(size), f64::from(d));
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
        let n = self.ball.center.len() as f64;
        let length = powers.root_up();
        let reach = radius * (length + n * f64::from(ETA)) + rest;
        let reach = narrow_up(reach * (1.0 + (n + 8.0) * (2.0 * f64::EPSILON)), 0);
        // The powers of what is far below t underflow.
        let next = scale * libm::pow(free / (1.0 - limited), 1.0 / q);
        (reach, length, if next < most { most } else { next })
    }

    /// The best of some t between 0 and `norm`, by solving and bisecting in turn: near p = 1 and
    /// infinity the one is slow.
    fn solve(&self, r: Exponent, norm: f32) -> f32 {
        let largest = self.terms().fold(0.0, |most, (a, _)| if a > most { a } else { most });
        let evaluate = |t: f64| self.evaluate_general(r, t, f64::from(largest));
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

    /// The best of some falling t from the ball's alone on, and 0.
    fn descend(&self, norm: f32, rounding: &Rounding) -> f32 {
        let mut best = smaller(f32::INFINITY, self.evaluate(0.0, rounding).0);
        let mut t = norm / self.ball.radius;
        for _ in 0..12 {
            let (reach, next) = self.evaluate(t, rounding);
            best = smaller(best, reach);
            // No more coordinates are limited, or all are.
            if !(next < t) {
                break;
            }
            t = next;
        }
        best
    }

    /// The best of the t of a bisection, and 0.
    fn bisect(&self, norm: f32, rounding: &Rounding) -> f32 {
        let mut best = smaller(f32::INFINITY, self.evaluate(0.0, rounding).0);
        let (mut low, mut high) = (0.0, up(norm));
        for _ in 0..14 {
            let t = 0.5 * (low + high);
            let (reach, beyond) = self.evaluate(t, rounding);
            best = smaller(best, reach);
            if beyond > self.ball.radius {
                low = t;
            } else {
                high = t;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reach in l1 and near it: what pays most moves first.
    #[test]
    fn near_l1_the_heaviest_move_first() {
        let reach = |p: f32, a: &[f32], hi: &[f32]| {
            let (center, lo) = ([0.0; 3], [0.0; 3]);
            let norm = Norm::new(p).unwrap();
            let ball = Ball { center: &center, radius: 1.0, norm };
            cut_reach(Row::F32(a), -1.0, &ball, &lo, hi, 6.0)
        };
        for p in [1.0, 1.000_001, 1.0001, 1.001] {
            for (a, hi, exact) in [
                ([5.0, 3.0, 1.0], [0.3, 1.0, 1.0], 0.3 * 5.0 + 0.7 * 3.0),
                ([5.0, 3.0, 1.0], [0.3, 0.4, 1.0], 0.3 * 5.0 + 0.4 * 3.0 + 0.3),
                ([5.0, 5.0, -1.0], [0.3, 0.4, 1.0], 3.5),
                ([5.0, -4.0, 1.0], [0.3, 0.4, 0.3], 0.3 * 5.0 + 0.3),
            ] {
                let found = reach(p, &a, &hi);
                let most = exact * (1.0 + 8.0 * (p - 1.0)) + 1e-3;
                assert!(found >= exact && found <= most, "{p} {a:?} {hi:?} {found} {exact}");
            }
        }
    }
}
