//! The point of a cell nearest to `u` in the Euclidean norm.
//!
//! It lies inside some face, and is then the projection of `u` into that face's plane. So the
//! faces are tried; a projection in the cell is the nearest point if no vertex and no direction
//! of the cell leads nearer to `u` (the variational inequality of a projection), which is decided
//! exactly and ends the search.

use super::cone::is_point;
use super::distance::is_negative;
use crate::oracle::cell::{Cell, Vertex, point};
use crate::oracle::sphere::{add, difference, distance, faces, inner};
use crate::rational::Rational;

/// A vertex as a point, or the direction that it is.
enum Generator {
    Point(Vec<Rational>),
    Direction(Vec<Rational>),
}

/// The nearest point and its squared distance.
///
/// # Panics
/// If the cell has no point.
pub(super) fn nearest(cell: &Cell, u: &[Rational]) -> (Rational, Vec<Rational>) {
    let generators: Vec<Generator> = cell.vertices.iter().map(generator).collect();
    let mut faces = faces(cell);
    // The largest faces first: they have the fewest walls.
    faces.sort_by_key(|tight| tight.count_ones());
    let mut projections = faces.iter().filter_map(|&tight| {
        let vertices = cell.vertices.iter().zip(&generators);
        let corners: Vec<&Generator> =
            vertices.filter(|(v, _)| v.tight & tight == tight).map(|(_, g)| g).collect();
        let at = project(&corners, u)?;
        (holds(cell, tight, &at) && is_nearest(&generators, &at, u)).then_some(at)
    });
    let at = projections.next().expect("a cell with a point has a nearest one");
    (distance(&at, u), at)
}

fn generator(vertex: &Vertex) -> Generator {
    if is_point(vertex) {
        return Generator::Point(point(&vertex.at));
    }
    let (_, direction) = vertex.at.split_last().expect("homogeneous coordinates");
    Generator::Direction(direction.iter().map(|c| Rational::from(c.clone())).collect())
}

/// `u` projected into the plane that the corners span; `None` if none of them is a point.
fn project(corners: &[&Generator], u: &[Rational]) -> Option<Vec<Rational>> {
    let origin = corners.iter().find_map(|corner| match corner {
        Generator::Point(x) => Some(x),
        Generator::Direction(_) => None,
    })?;
    let offset = difference(u, origin);
    let mut at = origin.clone();
    let mut basis: Vec<(Vec<Rational>, Rational)> = Vec::new();
    for corner in corners {
        if basis.len() == u.len() {
            break;
        }
        let mut rest = match corner {
            Generator::Point(x) => difference(x, origin),
            Generator::Direction(d) => d.clone(),
        };
        for (direction, square) in &basis {
            let share = inner(&rest, direction) / square;
            add(&mut rest, &-share, direction);
        }
        if rest.iter().any(|r| !r.is_zero()) {
            let square = inner(&rest, &rest);
            add(&mut at, &(inner(&offset, &rest) / &square), &rest);
            basis.push((rest, square));
        }
    }
    Some(at)
}

/// Whether a point in the plane of the face `tight` lies in the cell.
fn holds(cell: &Cell, tight: u128, at: &[Rational]) -> bool {
    cell.walls.iter().enumerate().all(|(i, wall)| {
        let (constant, gradient) = wall.split_last().expect("a constant");
        tight >> i & 1 == 1 || {
            let start = Rational::from(constant.clone());
            !is_negative(&at.iter().zip(gradient).fold(start, |sum, (x, c)| sum + x * c))
        }
    })
}

/// Whether `(at - u) . (x - at) >= 0` for every `x` of the cell.
fn is_nearest(generators: &[Generator], at: &[Rational], u: &[Rational]) -> bool {
    let away = difference(at, u);
    generators.iter().all(|generator| match generator {
        Generator::Point(x) => !is_negative(&inner(&away, &difference(x, at))),
        Generator::Direction(d) => !is_negative(&inner(&away, d)),
    })
}
