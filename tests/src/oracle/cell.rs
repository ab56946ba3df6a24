//! Convex polytopes by their vertices, cut exactly (the double description method).
//!
//! A vertex knows the walls it lies on; two vertices span an edge if no third one lies on every
//! wall that both lie on (Fukuda, Prodon: Double description method revisited, 1996,
//! proposition 7). That holds in any dimension and for flat polytopes too, so points, segments
//! and boxes of width zero need no case of their own.

use std::rc::Rc;

use dashu_int::ops::Gcd;

use super::forms::{Row, value};
use crate::rational::{IBig, Rational, Sign, UBig};

/// Walls that a cell can have: one bit each.
const MAX_WALLS: usize = 128;

/// A vertex in homogeneous coordinates: the point is `at[..n] / at[n]`, `at[n] > 0`.
#[derive(Clone)]
pub(crate) struct Vertex {
    pub at: Row,
    /// The walls it lies on.
    pub tight: u128,
}

/// A non-empty polytope: the hull of its vertices, and the cut of its walls `row . [x, 1] >= 0`.
#[derive(Clone)]
pub(crate) struct Cell {
    pub vertices: Vec<Vertex>,
    pub walls: Vec<Rc<Row>>,
}

/// What a hyperplane does to a cell.
pub(crate) enum Sides {
    /// The cell lies where the function is `>= 0`.
    Above,
    /// The cell lies where it is `<= 0`, and not all at 0.
    Below,
    /// The two parts, above first.
    Both(Cell, Cell),
}

impl Cell {
    /// The cell cut by `row . [x, 1] = 0`.
    pub fn split(&self, row: &Row) -> Sides {
        let values: Vec<IBig> = self.vertices.iter().map(|v| value(row, &v.at)).collect();
        let above = values.iter().any(|v| v.sign() == Sign::Positive && !v.is_zero());
        let below = values.iter().any(|v| v.sign() == Sign::Negative);
        match (above, below) {
            (_, false) => Sides::Above,
            (false, true) => Sides::Below,
            (true, true) => self.cut(row, &values),
        }
    }

    /// The part of the cell where the function is `>= 0`, or `None` if it is empty.
    pub fn clip(self, row: &Row) -> Option<Cell> {
        match self.split(row) {
            Sides::Above => Some(self),
            Sides::Both(above, _) => Some(above),
            Sides::Below => {
                // A face is left: its vertices' walls already tell it.
                let mut face = self;
                face.vertices.retain(|v| value(row, &v.at).is_zero());
                (!face.vertices.is_empty()).then_some(face)
            }
        }
    }

    fn cut(&self, row: &Row, values: &[IBig]) -> Sides {
        let wall = self.walls.len();
        assert!(wall < MAX_WALLS, "a cell has too many walls");
        let bit = 1u128 << wall;
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for (i, (v, at_v)) in self.vertices.iter().zip(values).enumerate() {
            if at_v.is_zero() {
                let both = Vertex { at: v.at.clone(), tight: v.tight | bit };
                above.push(both.clone());
                below.push(both);
            } else if at_v.sign() == Sign::Negative {
                below.push(v.clone());
            } else {
                above.push(v.clone());
                for (j, (w, at_w)) in self.vertices.iter().zip(values).enumerate() {
                    if at_w.sign() == Sign::Negative && self.adjacent(i, j) {
                        let at = v.at.iter().zip(&w.at).map(|(v, w)| at_v * w - at_w * v);
                        let new =
                            Vertex { at: reduced(at.collect()), tight: v.tight & w.tight | bit };
                        above.push(new.clone());
                        below.push(new);
                    }
                }
            }
        }
        let with = |vertices, row: Row| {
            let mut walls = self.walls.clone();
            walls.push(Rc::new(row));
            Cell { vertices, walls }
        };
        let opposite = row.iter().map(|c| -c).collect();
        Sides::Both(with(above, row.clone()), with(below, opposite))
    }

    fn adjacent(&self, i: usize, j: usize) -> bool {
        let common = self.vertices[i].tight & self.vertices[j].tight;
        let mut others = self.vertices.iter().enumerate().filter(|&(k, _)| k != i && k != j);
        !others.any(|(_, v)| v.tight & common == common)
    }
}

/// Homogeneous coordinates without a common factor.
fn reduced(at: Row) -> Row {
    let mut common = UBig::ZERO;
    for c in &at {
        if common == UBig::ONE {
            return at;
        }
        if !c.is_zero() {
            common = if common.is_zero() { magnitude(c) } else { common.gcd(magnitude(c)) };
        }
    }
    if common == UBig::ONE {
        return at;
    }
    let common = IBig::from(common);
    at.iter().map(|c| c / &common).collect()
}

fn magnitude(c: &IBig) -> UBig {
    c.clone().into_parts().1
}

/// The point as rationals.
pub(crate) fn point(at: &[IBig]) -> Vec<Rational> {
    let (last, rest) = at.split_last().expect("a constant's place");
    let whole = magnitude(last);
    rest.iter().map(|c| Rational::from_parts(c.clone(), whole.clone())).collect()
}

/// A rational point in homogeneous coordinates.
pub(crate) fn homogeneous(x: &[Rational]) -> Row {
    let whole = x.iter().fold(UBig::ONE, |whole, x| {
        let d = x.denominator();
        let common = (&whole).gcd(d);
        whole * (d / common)
    });
    let lift = |x: &Rational| x.numerator() * IBig::from(&whole / x.denominator());
    x.iter().map(lift).chain([IBig::from(whole.clone())]).collect()
}
