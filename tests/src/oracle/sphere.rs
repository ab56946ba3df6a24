//! Extremes of an affine function on a cell cut by a Euclidean ball.
//!
//! The minimum lies in the relative interior of some face of the cell, and is then the minimum
//! over the ball's section with the face's plane: `p - sqrt(q) g`, where `p` is the centre
//! projected into the plane, `g` the gradient projected, `q = (eps^2 - |p - center|^2) / |g|^2`.
//! So each face gives one candidate; whether it lies in the cell has an exact answer by squaring.
//! Its value is enclosed: from below with the root rounded up, from above by a rational point
//! nearer to `p` by the root rounded down, which therefore lies in the ball.

use super::best::{Best, Fraction};
use super::cell::{Cell, homogeneous, point};
use super::forms::{Row, value};
use crate::rational::{IBig, Rational, Sign, exact, from_slice, sqrt_bounds};

/// The ball.
pub(super) struct Sphere {
    center: Vec<Rational>,
    at: Row,
    eps: Rational,
}

/// The ball's section with the plane of a face.
struct Section {
    /// The walls that the face lies on.
    tight: u128,
    center: Vec<Rational>,
    /// The radius, squared, `>= 0`.
    square: Rational,
    /// Orthogonal directions of the plane, each with its squared length.
    basis: Vec<(Vec<Rational>, Rational)>,
}

/// A cell and what the ball does to it.
pub(super) struct CutCell<'a> {
    cell: &'a Cell,
    inside: Vec<bool>,
    sections: Vec<Section>,
}

impl Sphere {
    pub fn new(center: &[f32], eps: f64) -> Self {
        let center = from_slice(center);
        Sphere { at: homogeneous(&center), center, eps: exact(eps) }
    }

    /// Whether one wall alone proves that the ball misses the cell.
    pub fn misses(&self, cell: &Cell) -> bool {
        let whole = Rational::from(self.at[self.center.len()].clone());
        cell.walls.iter().any(|wall| {
            let height = value(wall, &self.at);
            if height.sign() == Sign::Positive {
                return false;
            }
            let reach = Rational::from(squares(&wall[..self.center.len()])) * &self.eps * &self.eps;
            let height = Rational::from(height) / &whole;
            &height * &height > reach
        })
    }

    pub fn cut<'a>(&self, cell: &'a Cell) -> CutCell<'a> {
        let square = &self.eps * &self.eps;
        let holds = |x: &[Rational]| distance(x, &self.center) <= square;
        let points: Vec<_> = cell.vertices.iter().map(|v| point(&v.at)).collect();
        let inside: Vec<bool> = points.iter().map(|x| holds(x)).collect();
        let mut sections = Vec::new();
        if !inside.iter().all(|&inside| inside) {
            for tight in faces(cell) {
                let on = |i: &usize| cell.vertices[*i].tight & tight == tight;
                let corners: Vec<usize> = (0..points.len()).filter(on).collect();
                // A vertex is a candidate anyway, and so are those of a face inside the ball.
                if corners.len() > 1 && !corners.iter().all(|&i| inside[i]) {
                    sections.extend(self.section(tight, corners.iter().map(|&i| &points[i])));
                }
            }
        }
        CutCell { cell, inside, sections }
    }

    fn section<'a>(
        &self,
        tight: u128,
        mut corners: impl Iterator<Item = &'a Vec<Rational>>,
    ) -> Option<Section> {
        let origin = corners.next()?;
        let mut basis: Vec<(Vec<Rational>, Rational)> = Vec::new();
        for corner in corners {
            let mut rest = difference(corner, origin);
            for (direction, square) in &basis {
                let share = inner(&rest, direction) / square;
                add(&mut rest, &-share, direction);
            }
            if rest.iter().any(|r| !r.is_zero()) {
                let square = inner(&rest, &rest);
                basis.push((rest, square));
            }
        }
        let offset = difference(&self.center, origin);
        let mut center = origin.clone();
        for (direction, square) in &basis {
            add(&mut center, &(inner(&offset, direction) / square), direction);
        }
        let square = &self.eps * &self.eps - distance(&center, &self.center);
        (square >= Rational::ZERO).then_some(Section { tight, center, square, basis })
    }
}

impl CutCell<'_> {
    /// Lowers `best` to the minimum of `row . [x, 1]` over the cell within the ball.
    pub fn minimise(&self, row: &Row, best: &mut Best) {
        let mut outside = false;
        let vertices = || self.cell.vertices.iter().zip(&self.inside);
        let least = vertices().map(|(v, _)| Fraction::new(value(row, &v.at), v.at.last())).min();
        if best.inner().is_some_and(|inner| least.expect("a vertex") >= *inner) {
            return;
        }
        for (vertex, &inside) in vertices() {
            if inside {
                best.exact(Fraction::new(value(row, &vertex.at), vertex.at.last()), || {
                    vertex.at.clone()
                });
            }
            outside |= !inside;
        }
        if outside {
            for section in &self.sections {
                self.candidate(section, row, best);
            }
        }
    }

    fn candidate(&self, section: &Section, row: &Row, best: &mut Best) {
        let n = section.center.len();
        let gradient: Vec<Rational> = row[..n].iter().map(|c| Rational::from(c.clone())).collect();
        let mut along = vec![Rational::ZERO; n];
        for (direction, square) in &section.basis {
            add(&mut along, &(inner(&gradient, direction) / square), direction);
        }
        let steepness = inner(&along, &along);
        let middle = inner(&gradient, &section.center) + Rational::from(row[n].clone());
        // A constant function takes its value at the section's centre as well as anywhere.
        let square =
            if steepness.is_zero() { Rational::ZERO } else { &section.square / &steepness };
        if best.outer().is_some_and(|outer| {
            // Too high even at the far end: sqrt(q) |g|^2 = sqrt(radius^2 |g|^2).
            let drop = &middle - outer;
            drop >= Rational::ZERO && &drop * &drop > &section.square * &steepness
        }) {
            return;
        }
        if !self.holds(section, &along, &square) {
            return;
        }
        let (low, high) = sqrt_bounds(&square);
        best.lower(&middle - &high * &steepness);
        let mut at = section.center.clone();
        add(&mut at, &-&low, &along);
        let at = homogeneous(&at);
        if self.cell.walls.iter().all(|wall| value(wall, &at).sign() == Sign::Positive) {
            best.exact(Fraction::from(&middle - &low * &steepness), || at);
        }
    }

    /// Whether `center - sqrt(square) * along` is in the cell.
    fn holds(&self, section: &Section, along: &[Rational], square: &Rational) -> bool {
        let n = along.len();
        self.cell.walls.iter().enumerate().all(|(i, wall)| {
            if section.tight >> i & 1 == 1 {
                return true;
            }
            let over = |x: &[Rational]| {
                x.iter().zip(wall.iter()).fold(Rational::ZERO, |sum, (x, c)| sum + x * c)
            };
            let here = over(&section.center) + Rational::from(wall[n].clone());
            let fall = over(along);
            // here >= sqrt(square) * fall?
            let drop = &fall * &fall * square;
            let height = &here * &here;
            match (here >= Rational::ZERO, fall > Rational::ZERO) {
                (true, true) => height >= drop,
                (true, false) => true,
                (false, true) => false,
                (false, false) => height <= drop,
            }
        })
    }
}

/// The wall sets of all faces: those of the vertices, closed under intersection.
pub(crate) fn faces(cell: &Cell) -> Vec<u128> {
    let mut faces: Vec<u128> = Vec::new();
    for vertex in &cell.vertices {
        for i in 0..faces.len() {
            let meet = faces[i] & vertex.tight;
            if !faces.contains(&meet) {
                faces.push(meet);
            }
        }
        if !faces.contains(&vertex.tight) {
            faces.push(vertex.tight);
        }
    }
    faces
}

pub(crate) fn inner(a: &[Rational], b: &[Rational]) -> Rational {
    a.iter().zip(b).fold(Rational::ZERO, |sum, (a, b)| sum + a * b)
}

pub(crate) fn add(to: &mut [Rational], factor: &Rational, direction: &[Rational]) {
    for (to, d) in to.iter_mut().zip(direction) {
        *to += factor * d;
    }
}

pub(crate) fn difference(a: &[Rational], b: &[Rational]) -> Vec<Rational> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// The squared distance.
pub(crate) fn distance(a: &[Rational], b: &[Rational]) -> Rational {
    let d = difference(a, b);
    inner(&d, &d)
}

fn squares(x: &[IBig]) -> IBig {
    x.iter().map(|c| c * c).sum()
}
