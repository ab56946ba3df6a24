//! The linear region of a point.

use certus::network::Network;

use super::distance::{Distance, is_negative};
use super::plane::{Nearest, Plane};
use super::{Corners, check_box, check_network};
use crate::oracle::negative_slope;
use crate::rational::{Rational, exact, from_slice};
use crate::region::Norm;

/// The affine functions of a network on the linear region of a point `u`.
///
/// A unit is active where its pre-activation at `u` is positive, and inactive where it is negative
/// or zero. A point with a zero lies on a facet of several regions; this is one of them, and the
/// facet is at distance zero. The functions of the units before that layer, and of the unit
/// itself, are the same whichever is taken; those behind it may differ, dB does not.
#[derive(Clone, Debug)]
pub struct Region {
    /// Pre-activations `[layer][unit]` of every hidden layer, as functions of the input.
    pub pre: Vec<Vec<Plane>>,
    /// Whether a hidden unit is active, `[layer][unit]`.
    pub active: Vec<Vec<bool>>,
    /// Whether the sign of a hidden layer's pre-activations matters: not for the identity, nor for
    /// a leaky unit of slope 1.
    pub bends: Vec<bool>,
    /// The outputs, as functions of the input.
    pub outputs: Vec<Plane>,
    u: Vec<f32>,
    within: Option<(Vec<f32>, Vec<f32>)>,
}

/// A hidden unit's hyperplane and its distance.
#[derive(Clone, Debug)]
pub struct Facet {
    /// The hidden layer, from 0.
    pub layer: usize,
    /// The unit in it, from 0.
    pub unit: usize,
    /// The distance, `>= 0`; infinite for a constant function (a zero one too), and where the box
    /// does not meet the hyperplane.
    pub distance: Distance,
    /// The hyperplane's nearest point, if the distance is finite.
    pub at: Option<Vec<Rational>>,
}

/// The decision boundary between a class and another on the region, and its distance.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The other class.
    pub other: usize,
    /// The margin `f_class - f_other` as a function of the input.
    pub margin: Plane,
    /// The distance to where the margin is zero, negative where it is negative at `u`; infinite
    /// with that sign if it is zero nowhere (in the box).
    pub distance: Distance,
    /// The boundary's nearest point, if the distance is finite.
    pub at: Option<Vec<Rational>>,
}

impl Region {
    /// The region of `u`, exactly.
    ///
    /// # Panics
    /// If the shapes do not fit, a number is not finite, an activation is not piecewise linear
    /// with one bend at zero, or the last layer has an activation.
    pub fn at(net: &Network, u: &[f32]) -> Self {
        check_network(net, u);
        let at = from_slice(u);
        let (mut pre, mut active, mut bends) = (Vec::new(), Vec::new(), Vec::new());
        let mut x = inputs(u.len());
        let (last, hidden) = net.layers.split_last().expect("layers");
        for layer in hidden {
            let z = through(&layer.weights, &layer.bias, &x);
            let slope = exact(negative_slope(layer.activation));
            let on: Vec<bool> = z.iter().map(|z| z.value(&at) > Rational::ZERO).collect();
            let bent = |(z, on): (&Plane, &bool)| if *on { z.clone() } else { scaled(z, &slope) };
            x = z.iter().zip(&on).map(bent).collect();
            bends.push(slope != Rational::ONE);
            pre.push(z);
            active.push(on);
        }
        let outputs = through(&last.weights, &last.bias, &x);
        Region { pre, active, bends, outputs, u: u.to_vec(), within: None }
    }

    /// The same, with distances measured in the box `lo <= x <= hi`: to the hyperplane's part in
    /// the box.
    ///
    /// # Panics
    /// If the box does not fit or does not have `u`.
    pub fn within(mut self, lo: &[f32], hi: &[f32]) -> Self {
        check_box((lo, hi), &self.u);
        self.within = Some((lo.to_vec(), hi.to_vec()));
        self
    }

    /// The hyperplane of every hidden unit of every layer that bends, layer by layer.
    pub fn facets(&self, norm: Norm) -> Vec<Facet> {
        let bending =
            self.pre.iter().zip(&self.bends).enumerate().filter(|(_, (_, bends))| **bends);
        let units =
            bending.flat_map(|(k, (units, _))| units.iter().enumerate().map(move |u| (k, u)));
        units
            .map(|(layer, (unit, plane))| {
                // A constant unit binds nowhere on the region, even at zero.
                let nearest = if plane.is_constant() { None } else { self.nearest(plane, norm) };
                let (distance, at) = split(nearest);
                Facet { layer, unit, distance, at }
            })
            .collect()
    }

    /// dB: the least distance to a hidden unit's hyperplane; infinite if none binds.
    pub fn facet_distance(&self, norm: Norm) -> Distance {
        let all = self.facets(norm).into_iter().map(|facet| facet.distance);
        all.min().unwrap_or(Distance::INFINITE)
    }

    /// The decision boundaries between `class` and every other class.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn decisions(&self, class: usize, norm: Norm) -> Vec<Decision> {
        let count = self.outputs.len();
        assert!(class < count, "class {class} of {count}");
        let others = (0..count).filter(|&other| other != class);
        others
            .map(|other| {
                let margin = self.outputs[class].minus(&self.outputs[other]);
                let (distance, at) = split(self.nearest(&margin, norm));
                let wrong = is_negative(&margin.value(&from_slice(&self.u)));
                let distance = if wrong { -distance } else { distance };
                Decision { other, margin, distance, at }
            })
            .collect()
    }

    /// dD, signed: the least distance to a decision boundary of `class`; plus infinity if there is
    /// no other class.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn decision_distance(&self, class: usize, norm: Norm) -> Distance {
        let all = self.decisions(class, norm).into_iter().map(|decision| decision.distance);
        all.min().unwrap_or(Distance::INFINITE)
    }

    fn nearest(&self, plane: &Plane, norm: Norm) -> Option<Nearest> {
        let within: Option<Corners<'_>> = self.within.as_ref().map(|(lo, hi)| (&lo[..], &hi[..]));
        plane.nearest(&self.u, norm, within)
    }
}

fn split(nearest: Option<Nearest>) -> (Distance, Option<Vec<Rational>>) {
    match nearest {
        Some(Nearest { at, distance }) => (distance, Some(at)),
        None => (Distance::INFINITE, None),
    }
}

/// The inputs as functions of themselves.
fn inputs(n: usize) -> Vec<Plane> {
    let unit = |i| (0..n).map(|j| Rational::from(u8::from(i == j))).collect();
    (0..n).map(|i| Plane { a: unit(i), b: Rational::ZERO }).collect()
}

/// `W x + b`.
fn through(weights: &[f32], bias: &[f32], x: &[Plane]) -> Vec<Plane> {
    assert_eq!(weights.len(), bias.len() * x.len(), "weights");
    let rows = weights.chunks(x.len()).zip(bias);
    rows.map(|(row, &bias)| {
        let mut sum = Plane { a: vec![Rational::ZERO; x[0].a.len()], b: exact(bias) };
        for (&w, x) in row.iter().zip(x) {
            let w = exact(w);
            sum.a.iter_mut().zip(&x.a).for_each(|(sum, a)| *sum += &w * a);
            sum.b += w * &x.b;
        }
        sum
    })
    .collect()
}

fn scaled(plane: &Plane, factor: &Rational) -> Plane {
    Plane { a: plane.a.iter().map(|a| a * factor).collect(), b: &plane.b * factor }
}
