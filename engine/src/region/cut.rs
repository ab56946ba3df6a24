//! How far a linear function reaches over a ball cut by a box.

use super::norm::{Exponent, Norm};
use super::{Ball, smaller};
use crate::model::Row;
use crate::num::powers::{Powers, narrow_up};
use crate::num::{Rounding, add_up, mul_up, sqrt_up, sub_up, up};

/// Upper bound of `max sign*a.(x0 - x)` over a ball cut by a box, `norm` its dual norm of a.
///
/// Splitting `a = p + q` by coordinates of equal sign, the reach is at most
/// `eps*||p||_* + sum |q_j| D_j`, `*` the dual norm and D_j the way within both from the centre to
/// the side that `a_j` drives towards (weak duality: p is priced over the ball, q over the box).
/// Any p with `|p_j| <= |a_j|` is valid; the best has `|p_j| = min(|a_j|, t*D_j)` for l2, where
/// `t = ||p||_2/eps`, `|p_j| = min(|a_j|, t)` for l1, where the D_j of the coordinates above t sum
/// to eps, and `|p_j| = min(|a_j|, t*(D_j/eps)^(r-1))` for another exponent r, where
/// `t = ||p||_*`. Some steps towards that t are taken, each evaluated with upward rounding, the
/// best kept; but for l1 they solve for t with the coordinates limited now, of which there are only
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
        Norm::L2 => cut.descend(norm / ball.radius, 12, |t| cut.evaluate(t, &rounding)),
        Norm::Lp(r) => {
            let largest = cut.largest();
            cut.descend(norm, 8, |t| cut.evaluate_general(r, t, largest, &rounding))
        }
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

    fn largest(&self) -> f32 {
        self.terms().fold(0.0, |most, (size, _)| if size > most { size } else { most })
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

    /// Reach for one t, and the next t; `largest` is that of the `|a_j|`.
    fn evaluate_general(
        &self,
        r: Exponent,
        t: f32,
        largest: f32,
        rounding: &Rounding,
    ) -> (f32, f32) {
        let radius = self.ball.radius;
        let scale = f64::from(if t < largest { t } else { largest });
        let q = r.dual_down();
        let mut powers = Powers::new(q, scale);
        let (mut rest, mut free, mut limited) = (0.0f32, 0.0, 0.0);
        for (size, d) in self.terms() {
            // At most 1; any value does.
            let share = f64::from(d) / f64::from(radius);
            let shrink = if d == 0.0 || d == radius {
                share
            } else {
                libm::pow(share, f64::from(r.get()) - 1.0)
            };
            let limit = (f64::from(t) * shrink) as f32;
            // A NaN in `size` must survive: it is kept as p.
            let p = if size > limit { limit } else { size };
            let power = powers.add(f64::from(p));
            if p < size {
                rest += sub_up(size, p) * d;
                limited += shrink * share;
            } else {
                free += power;
            }
        }
        let rest = rounding.inflate(rest);
        let p_norm =
            if t > 0.0 { narrow_up(powers.root_up(), self.ball.center.len()) } else { 0.0 };
        let next = scale * libm::pow(free / (1.0 - limited), 1.0 / q);
        (add_up(mul_up(radius, p_norm), rest), next as f32)
    }

    /// The best of some falling t from the one given on, and 0; `evaluate` tells the next.
    fn descend(&self, mut t: f32, steps: usize, evaluate: impl Fn(f32) -> (f32, f32)) -> f32 {
        let mut best = smaller(f32::INFINITY, evaluate(0.0).0);
        for _ in 0..steps {
            let (reach, next) = evaluate(t);
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
