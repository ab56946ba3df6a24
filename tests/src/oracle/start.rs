//! The polytope that the walk starts from: the region, or for a Euclidean ball the box around it.

use std::collections::HashMap;
use std::rc::Rc;

use super::cell::{Cell, Vertex, homogeneous};
use super::forms::Row;
use crate::rational::{IBig, Rational, exact};
use crate::region::{Norm, Region};

/// Inputs beyond which a box's vertices are too many.
const MAX_INPUTS: usize = 6;

/// The cell of `region`, or `None` if it is empty.
///
/// # Panics
/// If the region has no or too many inputs.
pub(super) fn start(region: &Region) -> Option<Cell> {
    assert!((1..=MAX_INPUTS).contains(&region.dim()), "{} inputs", region.dim());
    let (lo, hi) = region.bounding_box()?;
    match region.as_ball() {
        Some((center, eps, Norm::L1)) => {
            let mut cell = cross(&crate::rational::from_slice(center), &exact(eps));
            for row in box_walls(&lo, &hi) {
                cell = cell.clip(&row)?;
            }
            Some(cell)
        }
        _ => Some(cuboid(&lo, &hi)),
    }
}

/// `x_i - lo_i` and `hi_i - x_i`, over their denominators.
pub(crate) fn box_walls(lo: &[Rational], hi: &[Rational]) -> Vec<Row> {
    let wall = |i: usize, bound: &Rational, sign: i8| {
        let mut row = vec![IBig::ZERO; lo.len() + 1];
        row[i] = IBig::from(bound.denominator().clone()) * sign;
        row[lo.len()] = bound.numerator() * -sign;
        row
    };
    (0..lo.len()).flat_map(|i| [wall(i, &lo[i], 1), wall(i, &hi[i], -1)]).collect()
}

fn cuboid(lo: &[Rational], hi: &[Rational]) -> Cell {
    let n = lo.len();
    let corners = (0..1u32 << n).map(|corner| {
        let high = |i: usize| corner >> i & 1 == 1;
        let x: Vec<Rational> =
            (0..n).map(|i| if high(i) { hi[i].clone() } else { lo[i].clone() }).collect();
        let tight = (0..n).fold(0, |tight, i| tight | 1 << (2 * i + usize::from(high(i))));
        (x, tight)
    });
    hull(corners, box_walls(lo, hi))
}

/// The cross-polytope; wall `s` is `eps - sum_i s_i (x_i - c_i)`, bit i of `s` set for minus.
fn cross(center: &[Rational], eps: &Rational) -> Cell {
    let n = center.len();
    let minus = |s: usize, i: usize| s >> i & 1 == 1;
    let tips = (0..n).flat_map(|i| [false, true].map(|down| (i, down))).map(|(i, down)| {
        let mut x = center.to_vec();
        x[i] = if down { &x[i] - eps } else { &x[i] + eps };
        let tight = (0..1 << n).filter(|&s| minus(s, i) == down).fold(0u128, |t, s| t | 1 << s);
        (x, tight)
    });
    let walls = (0..1usize << n).map(|s| {
        let sign = |i| if minus(s, i) { 1i8 } else { -1 };
        let constant = (0..n).fold(eps.clone(), |sum, i| sum - &center[i] * IBig::from(sign(i)));
        let whole = IBig::from(constant.denominator().clone());
        (0..n).map(|i| &whole * sign(i)).chain([constant.numerator().clone()]).collect()
    });
    hull(tips, walls.collect())
}

/// A cell from corners that may coincide, each with its walls.
fn hull(corners: impl Iterator<Item = (Vec<Rational>, u128)>, walls: Vec<Row>) -> Cell {
    let mut vertices: HashMap<Row, u128> = HashMap::new();
    let mut order = Vec::new();
    for (x, tight) in corners {
        let at = homogeneous(&x);
        let known = vertices.entry(at.clone()).or_insert_with(|| {
            order.push(at);
            0
        });
        *known |= tight;
    }
    let vertex = |at: Row| Vertex { tight: vertices[&at], at };
    Cell {
        vertices: order.into_iter().map(vertex).collect(),
        walls: walls.into_iter().map(Rc::new).collect(),
    }
}
