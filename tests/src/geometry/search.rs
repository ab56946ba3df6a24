//! The nearest adversarial point over all linear regions, best first.
//!
//! The cones at `u`, on which the distance is linear, are cut by the units' hyperplanes, layer by
//! layer, until the network is affine on each cell; there the cell is clipped to where another
//! class is at least as large, and its nearest point is a vertex, or in l2 a projection. The cell
//! with the least lower bound of its distance goes next, so cells beyond the answer are never cut.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

use certus::network::Network;

use super::cone::{Cone, cones, has_point, is_point};
use super::distance::Distance;
use super::{Corners, check_box, check_network, project};
use crate::oracle::best::Fraction;
use crate::oracle::cell::{Cell, Sides, homogeneous, point};
use crate::oracle::forms::{Forms, Layer, Row, value};
use crate::rational::{IBig, Rational, Sign, from_slice};
use crate::region::Norm;

/// An adversarial point nearest to `u`.
#[derive(Clone, Debug, PartialEq)]
pub struct Adversarial {
    /// Its distance from `u`.
    pub distance: Distance,
    /// The point; where several are as near, one of them.
    pub at: Vec<Rational>,
    /// A class whose output there is at least that of the class asked for.
    pub other: usize,
    /// A pattern of active hidden units, `[layer][unit]`, whose region's closure has the point; a
    /// unit at zero may be told as either, one of a layer that does not bend as active.
    pub active: Vec<Vec<bool>>,
}

/// The least `||x - u||`, over all `x` or those with `lo <= x <= hi`, such that some output
/// `f_j(x) >= f_class(x)`, `j != class`; `None` if there is no such `x`. Zero where `u` itself is
/// tied or misclassified.
///
/// For 1 to 4 inputs and some twelve hidden units, in well under a second; up to 6 inputs.
///
/// # Panics
/// If the shapes do not fit, a number is not finite, an activation is not piecewise linear with
/// one bend at zero, the last layer has an activation, there is no such class, the box does not
/// have `u`, or there are no inputs or more than 6.
pub fn nearest_adversarial(
    net: &Network,
    u: &[f32],
    class: usize,
    norm: Norm,
    within: Option<Corners<'_>>,
) -> Option<Adversarial> {
    Search::new(net, u, class, norm).run(cones(u, norm, checked(u, within)), true)
}

const MAX_INPUTS: usize = 6;

fn checked<'a>(u: &[f32], within: Option<Corners<'a>>) -> Option<Corners<'a>> {
    assert!((1..=MAX_INPUTS).contains(&u.len()), "{} inputs", u.len());
    within.inspect(|&corners| check_box(corners, u))
}

struct Search {
    layers: Vec<Layer>,
    class: usize,
    norm: Norm,
    u: Vec<Rational>,
    /// `u` in homogeneous coordinates, its last entry the scale of a cone's lengths.
    apex: Row,
    /// What the incumbent is measured by: the distance, in l2 its square.
    best: Option<(Fraction, Adversarial)>,
}

/// A cell on which the signs of some units are known.
struct Node {
    /// A lower bound of the distance, in l2 of its square.
    bound: Fraction,
    cell: Cell,
    length: Rc<Row>,
    /// The pre-activations of the layer whose signs are next.
    z: Rc<Forms>,
    /// The signs so far; the last layer's are incomplete.
    active: Vec<Vec<bool>>,
    /// How many signs are known.
    depth: usize,
}

impl Search {
    fn new(net: &Network, u: &[f32], class: usize, norm: Norm) -> Self {
        check_network(net, u);
        assert!(class < net.outputs(), "class {class} of {}", net.outputs());
        let at = from_slice(u);
        let layers = net.layers.iter().map(Layer::new).collect();
        Search { layers, class, norm, apex: homogeneous(&at), u: at, best: None }
    }

    fn run(mut self, cones: Vec<Cone>, prune: bool) -> Option<Adversarial> {
        let first = Rc::new(self.layers[0].affine(&Forms::inputs(self.u.len())));
        let mut open = BinaryHeap::new();
        for Cone { cell, length } in cones {
            let length = Rc::new(length);
            let bound = self.bound(&cell, &length);
            let (z, active) = (first.clone(), vec![Vec::new()]);
            open.push(Node { bound, cell, length, z, active, depth: 0 });
        }
        while let Some(node) = open.pop() {
            if prune && self.best.as_ref().is_some_and(|(best, _)| node.bound >= *best) {
                break;
            }
            self.expand(node, &mut open);
        }
        self.best.map(|(_, found)| found)
    }

    /// Follows the signs of the units up to the next that cuts the cell, or to the outputs.
    fn expand(&mut self, mut node: Node, open: &mut BinaryHeap<Node>) {
        loop {
            let k = node.active.len() - 1;
            if k + 1 == self.layers.len() {
                return self.decide(node);
            }
            let unit = node.active[k].len();
            if unit == node.z.rows.len() {
                let x = self.layers[k].activate(&node.z, &node.active[k]);
                node.z = Rc::new(self.layers[k + 1].affine(&x));
                node.active.push(Vec::new());
                continue;
            }
            let sides = match self.layers[k].bends(unit) {
                true => node.cell.split(&node.z.rows[unit]),
                false => Sides::Above,
            };
            match sides {
                Sides::Above => node.sign(true),
                Sides::Below => node.sign(false),
                Sides::Both(above, below) => {
                    for (cell, positive) in [(above, true), (below, false)] {
                        let bound = self.bound(&cell, &node.length);
                        open.push(node.part(cell, bound, positive));
                    }
                    return;
                }
            }
        }
    }

    /// The nearest points of a cell where another class wins.
    fn decide(&mut self, mut node: Node) {
        node.active.pop();
        for other in (0..node.z.rows.len()).filter(|&other| other != self.class) {
            let rows = node.z.rows[other].iter().zip(&node.z.rows[self.class]);
            let lead: Row = rows.map(|(other, class)| other - class).collect();
            let Some(cell) = node.cell.clone().clip(&lead).filter(has_point) else { continue };
            let bound = self.bound(&cell, &node.length);
            if self.best.as_ref().is_some_and(|(best, _)| bound >= *best) {
                continue;
            }
            let (measure, at) = self.nearest(&cell, &node.length, bound);
            if self.best.as_ref().is_none_or(|(best, _)| measure < *best) {
                let value = measure.rational();
                let distance = match self.norm {
                    Norm::L2 => Distance::root(value),
                    Norm::L1 | Norm::Linf => Distance::Exact(value),
                };
                let active = node.active.clone();
                self.best = Some((measure, Adversarial { distance, at, other, active }));
            }
        }
    }

    fn nearest(&self, cell: &Cell, length: &Row, bound: Fraction) -> (Fraction, Vec<Rational>) {
        if self.norm == Norm::L2 {
            let (square, at) = project::nearest(cell, &self.u);
            return (square.into(), at);
        }
        // The bound is the length at the nearest vertex.
        let at = self.lengths(cell, length).find(|(length, _)| *length == bound);
        (bound, point(at.expect("a nearest vertex").1))
    }

    /// A lower bound of the distance from `u` to the cell, in l2 of its square; in l1 and linf the
    /// distance itself. A length falls along no direction, so its least is at a vertex.
    fn bound(&self, cell: &Cell, length: &Row) -> Fraction {
        let least = self.lengths(cell, length).map(|(length, _)| length).min();
        let least = least.expect("a cell has a point");
        match self.norm {
            Norm::L1 | Norm::Linf => least,
            Norm::L2 => {
                // Of vectors of one l1 norm, the shortest has equal entries.
                let least = least.rational();
                let spread = &least * &least / Rational::from(self.u.len());
                let walls = cell.walls.iter().filter_map(|wall| self.beyond(wall));
                walls.chain([spread.into()]).max().expect("a bound")
            }
        }
    }

    fn lengths<'a>(
        &'a self,
        cell: &'a Cell,
        length: &'a Row,
    ) -> impl Iterator<Item = (Fraction, &'a Row)> {
        let scale = self.apex.last().expect("a scale");
        let points = cell.vertices.iter().filter(|vertex| is_point(vertex));
        points.map(move |vertex| {
            let whole = vertex.at.last().map(|whole| whole * scale);
            (Fraction::new(value(length, &vertex.at), whole.as_ref()), &vertex.at)
        })
    }

    /// The squared distance from `u` to a wall that it is on the wrong side of.
    fn beyond(&self, wall: &Row) -> Option<Fraction> {
        let height = value(wall, &self.apex);
        if height.sign() == Sign::Positive {
            return None;
        }
        let (n, scale) = (self.u.len(), self.apex.last()?);
        let square: IBig = wall[..n].iter().map(|c| c * c).sum();
        Some(Fraction::new(&height * &height, Some(&(square * scale * scale))))
    }
}

impl Node {
    fn sign(&mut self, positive: bool) {
        self.active.last_mut().expect("a layer").push(positive);
        self.depth += 1;
    }

    fn part(&self, cell: Cell, bound: Fraction, positive: bool) -> Node {
        let (length, z, active) = (self.length.clone(), self.z.clone(), self.active.clone());
        let mut part = Node { bound, cell, length, z, active, depth: self.depth };
        part.sign(positive);
        part
    }
}

/// The nearest node is the greatest, of several the one of the most signs.
impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        other.bound.cmp(&self.bound).then(self.depth.cmp(&other.depth))
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Node {}

#[cfg(test)]
mod tests {
    use super::super::{Kind, cases};
    use super::*;

    /// Every cell cut, none left out by its bound.
    #[test]
    fn bounds_leave_nothing_out() {
        let mut far = 0;
        for kind in Kind::ALL {
            let small = cases(11, kind).filter(|case| case.u.len() < 4);
            for case in small.take(4) {
                for norm in [Norm::L1, Norm::L2, Norm::Linf] {
                    let near =
                        nearest_adversarial(&case.net, &case.u, case.class, norm, case.within());
                    let cones = cones(&case.u, norm, case.within());
                    let all = Search::new(&case.net, &case.u, case.class, norm).run(cones, false);
                    let distance =
                        |found: &Option<Adversarial>| found.as_ref().map(|f| f.distance.clone());
                    assert_eq!(distance(&near), distance(&all), "{} {norm:?}", case.name);
                    far += usize::from(all.is_some_and(|f| f.distance > Distance::ZERO));
                }
            }
        }
        assert!(far > 40, "{far}");
    }
}
