//! Affine functions, and the points of a hyperplane that are nearest to a point, in a box too.
//!
//! To bring `a.x + b` from `z` to zero, every coordinate that is worth moving moves against
//! `z a_i`, by `t_i >= 0` and no further than the box goes: `sum |a_i| t_i = |z|`, `t_i <= cap_i`.
//! In l1 the largest `|a_i|` go first (a fractional knapsack). In linf and l2 the optimality
//! conditions say `t_i = min(level rate_i, cap_i)` with rate 1 and `|a_i|`; the level is found by
//! walking the caps in the order in which they are met.

use super::distance::{Distance, between, is_negative, length};
use super::{Corners, check_box};
use crate::rational::{Rational, abs, exact, from_slice};
use crate::region::Norm;

/// The function `a.x + b` of the inputs, and the hyperplane where it is zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// The gradient, one entry for each input.
    pub a: Vec<Rational>,
    /// The value at the origin.
    pub b: Rational,
}

/// A nearest point of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// The point.
    pub at: Vec<Rational>,
    /// Its distance.
    pub distance: Distance,
}

/// What moving one coordinate brings.
struct Move {
    input: usize,
    /// Whether the coordinate falls.
    down: bool,
    /// `|a_i|`, not zero.
    weight: Rational,
    /// How far the box lets it; `None` for as far as one likes.
    cap: Option<Rational>,
}

impl Plane {
    /// `a.x + b`.
    pub fn value(&self, x: &[Rational]) -> Rational {
        assert_eq!(self.a.len(), x.len(), "inputs");
        self.a.iter().zip(x).fold(self.b.clone(), |sum, (a, x)| sum + a * x)
    }

    /// Whether the function is constant.
    pub fn is_constant(&self) -> bool {
        self.a.iter().all(Rational::is_zero)
    }

    /// `self - other`.
    pub fn minus(&self, other: &Plane) -> Plane {
        let a = self.a.iter().zip(&other.a).map(|(a, b)| a - b).collect();
        Plane { a, b: &self.b - &other.b }
    }

    /// The point of the hyperplane, or of its part in a box, nearest to `u`: `|a.u + b|` over the
    /// dual norm of `a` away if there is no box (paper 000, theorem 3; paper 001, lemma 3.1).
    /// `None` if there is no point. Where the function is zero everywhere, `u` itself.
    ///
    /// # Panics
    /// If the lengths differ or the box does not have `u`.
    pub fn nearest(&self, u: &[f32], norm: Norm, within: Option<Corners<'_>>) -> Option<Nearest> {
        let start = from_slice(u);
        let z = self.value(&start);
        let moves = self.moves(u, is_negative(&z), within);
        let steps = steps(&moves, abs(&z), norm)?;
        let mut at = start.clone();
        for (way, step) in moves.iter().zip(&steps) {
            let x = &mut at[way.input];
            *x = if way.down { &*x - step } else { &*x + step };
        }
        let distance = length(&steps, norm);
        debug_assert!(self.value(&at).is_zero() && between(&at, &start, norm) == distance);
        Some(Nearest { at, distance })
    }

    fn moves(&self, u: &[f32], rising: bool, within: Option<Corners<'_>>) -> Vec<Move> {
        if let Some(corners) = within {
            check_box(corners, u);
        }
        let worth = self.a.iter().enumerate().filter(|(_, a)| !a.is_zero());
        let each = worth.map(|(i, a)| {
            let down = is_negative(a) == rising;
            let cap = within.map(|(lo, hi)| {
                if down { exact(u[i]) - exact(lo[i]) } else { exact(hi[i]) - exact(u[i]) }
            });
            Move { input: i, down, weight: abs(a), cap }
        });
        each.collect()
    }
}

/// How far each coordinate moves so that together they bring `need`; `None` if they cannot.
fn steps(moves: &[Move], need: Rational, norm: Norm) -> Option<Vec<Rational>> {
    match norm {
        Norm::L1 => steepest_first(moves, need),
        Norm::L2 => all_at_once(moves, need, |way| way.weight.clone()),
        Norm::Linf => all_at_once(moves, need, |_| Rational::ONE),
    }
}

fn steepest_first(moves: &[Move], mut need: Rational) -> Option<Vec<Rational>> {
    let mut order: Vec<usize> = (0..moves.len()).collect();
    order.sort_by(|&i, &j| moves[j].weight.cmp(&moves[i].weight));
    let mut steps = vec![Rational::ZERO; moves.len()];
    for i in order {
        let wanted = &need / &moves[i].weight;
        let step = match &moves[i].cap {
            Some(cap) if *cap < wanted => cap.clone(),
            _ => wanted,
        };
        need -= &step * &moves[i].weight;
        steps[i] = step;
    }
    need.is_zero().then_some(steps)
}

fn all_at_once(
    moves: &[Move],
    mut need: Rational,
    rate: impl Fn(&Move) -> Rational,
) -> Option<Vec<Rational>> {
    if need.is_zero() {
        return Some(vec![Rational::ZERO; moves.len()]);
    }
    let rates: Vec<Rational> = moves.iter().map(rate).collect();
    let gain = |i: usize| &moves[i].weight * &rates[i];
    let mut slope = (0..moves.len()).fold(Rational::ZERO, |sum, i| sum + gain(i));
    let capped = moves.iter().zip(&rates).enumerate();
    let mut ends: Vec<(Rational, usize)> =
        capped.filter_map(|(i, (way, rate))| Some((way.cap.as_ref()? / rate, i))).collect();
    ends.sort();
    for (end, i) in ends {
        if &need <= &(&slope * &end) {
            break;
        }
        // This one stops at its cap; the others must bring the rest.
        need -= &end * gain(i);
        slope -= gain(i);
    }
    if slope.is_zero() {
        return None;
    }
    let level = need / slope;
    let step = |(way, rate): (&Move, &Rational)| {
        let free = &level * rate;
        way.cap.iter().fold(free, |free, cap| free.min(cap.clone()))
    };
    Some(moves.iter().zip(&rates).map(step).collect())
}
