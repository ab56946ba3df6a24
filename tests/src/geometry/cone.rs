//! The cones at a point on which its distance is a linear function.
//!
//! In l1 they are the orthants; in linf the orthants cut by which coordinate differs most; l2 is
//! linear nowhere and starts from the orthants too. A cone is not bounded: it is a cell of one
//! vertex and of directions, which are vertices whose last homogeneous coordinate is zero. The
//! wall `[0 .. 0, 1]` at infinity is what the directions lie on; with it the cell is a pointed
//! cone of homogeneous coordinates, which is all that cutting asks for.

use std::rc::Rc;

use super::Corners;
use crate::oracle::cell::{Cell, Vertex, homogeneous};
use crate::oracle::forms::Row;
use crate::oracle::start::box_walls;
use crate::rational::{IBig, from_slice};
use crate::region::Norm;

/// A cone cut by the box, and `scale * ||x - u||` on it as a row; for l2 the l1 norm.
pub(super) struct Cone {
    pub cell: Cell,
    pub length: Row,
}

/// `u` in homogeneous coordinates.
struct Apex {
    at: Row,
}

/// All cones at `u`, cut by the box; their union is the box, or the whole space.
pub(super) fn cones(u: &[f32], norm: Norm, within: Option<Corners<'_>>) -> Vec<Cone> {
    let apex = Apex { at: homogeneous(&from_slice(u)) };
    let n = u.len();
    let mut all = Vec::new();
    for signs in 0..1u32 << n {
        match norm {
            Norm::Linf if n > 1 => all.extend((0..n).map(|top| apex.wedge(signs, top))),
            _ => all.push(apex.orthant(signs)),
        }
    }
    let walls = within.map(|(lo, hi)| box_walls(&from_slice(lo), &from_slice(hi)));
    for wall in walls.into_iter().flatten() {
        let cut = |Cone { cell, length }| Some(Cone { cell: cell.clip(&wall)?, length });
        all = all.into_iter().filter_map(cut).collect();
    }
    all
}

/// The row's cell has a point, not directions alone.
pub(super) fn has_point(cell: &Cell) -> bool {
    cell.vertices.iter().any(is_point)
}

/// Whether a vertex is a point and not a direction.
pub(super) fn is_point(vertex: &Vertex) -> bool {
    vertex.at.last().is_some_and(|whole| !whole.is_zero())
}

impl Apex {
    fn inputs(&self) -> usize {
        self.at.len() - 1
    }

    /// `scale * s_i (x_i - u_i)`, bit i of `signs` set for minus.
    fn offset(&self, signs: u32, i: usize) -> Row {
        let n = self.inputs();
        let sign = IBig::from(sign(signs, i));
        let mut row = vec![IBig::ZERO; n + 1];
        row[i] = &self.at[n] * &sign;
        row[n] = -&self.at[i] * sign;
        row
    }

    fn orthant(&self, signs: u32) -> Cone {
        let n = self.inputs();
        let offsets: Vec<Row> = (0..n).map(|i| self.offset(signs, i)).collect();
        let rays = (0..n).map(|i| {
            let mut at = vec![IBig::ZERO; n + 1];
            at[i] = sign(signs, i).into();
            at
        });
        let length = offsets.iter().fold(vec![IBig::ZERO; n + 1], |sum, row| plus(&sum, row));
        Cone { cell: self.cell(offsets, rays.collect()), length }
    }

    /// The part of an orthant where no coordinate differs more than `top`.
    fn wedge(&self, signs: u32, top: usize) -> Cone {
        let n = self.inputs();
        let length = self.offset(signs, top);
        let mut walls = Vec::new();
        for i in (0..n).filter(|&i| i != top) {
            let offset = self.offset(signs, i);
            walls.push(length.iter().zip(&offset).map(|(a, b)| a - b).collect());
            walls.push(offset);
        }
        let subsets = (0..1u32 << n).filter(|subset| subset >> top & 1 == 1);
        let ray = |subset: u32| -> Row {
            let entry = |i| if subset >> i & 1 == 1 { sign(signs, i) } else { 0 };
            (0..n).map(entry).chain([0]).map(IBig::from).collect()
        };
        Cone { cell: self.cell(walls, subsets.map(ray).collect()), length }
    }

    /// The cone of these walls, which pass through the apex, and extreme directions.
    fn cell(&self, mut walls: Vec<Row>, rays: Vec<Row>) -> Cell {
        let mut infinity = vec![IBig::ZERO; self.at.len()];
        infinity[self.inputs()] = IBig::ONE;
        walls.push(infinity);
        let points = rays.into_iter().chain([self.at.clone()]);
        let vertices = points.map(|at| {
            let on = walls.iter().map(|wall| crate::oracle::forms::value(wall, &at).is_zero());
            let tight = on.enumerate().fold(0, |tight, (i, on)| tight | u128::from(on) << i);
            Vertex { at, tight }
        });
        Cell { vertices: vertices.collect(), walls: walls.iter().cloned().map(Rc::new).collect() }
    }
}

fn sign(signs: u32, i: usize) -> i8 {
    if signs >> i & 1 == 1 { -1 } else { 1 }
}

fn plus(a: &Row, b: &Row) -> Row {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}
