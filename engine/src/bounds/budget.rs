//! What rounding may take from a row that steps through a neuron.

use super::Semantics;
use super::arithmetic::Arithmetic;
use super::interval::Mass;
use crate::model::{Activation, Layer};
use crate::num::{ETA, NEGLIGIBLE, U, add_up, gamma, mul_up, sub_down, sub_up, underflow};
use crate::relax;

/// One live neuron's part of the arrays.
pub(super) struct Entry {
    pub gain_lo: f32,
    pub gain_up: f32,
    /// The budget but for the product's [`Share`].
    pub budget: f32,
    pub mid: f32,
    pub rad: f32,
    /// The largest magnitude that an error of a coefficient may meet.
    pub largest: f32,
}

impl Entry {
    /// For neuron `i` of `layer` with these lines over `[l, h]`.
    pub(super) fn new(
        semantics: Semantics,
        layer: &Layer<'_>,
        i: usize,
        line: relax::Relaxation,
        (l, h): (f32, f32),
        (mass, disturbance): (Mass, &Disturbance),
    ) -> Self {
        let activation = layer.activation_of(i);
        let rounds = matches!(activation, Activation::LeakyRelu(_));
        let Mass { mass, centre, error, .. } = mass;
        let (below, above) = relax::range(activation, l, h);
        let (mid, rad) = crate::region::middle(below, above);
        let (mut gain_lo, mut gain_up) = line.gains(centre, mid);
        let deployed = semantics == Semantics::Deployed;
        if deployed && rounds {
            // Where the forward pass's leaky product underflows it is off by up to ETA, however
            // small the slope.
            gain_lo = sub_down(gain_lo, 4.0 * ETA);
            gain_up = add_up(gain_up, 4.0 * ETA);
        }
        if deployed && activation.leak().is_none() {
            let off = relax::apply_error(activation, l, h);
            gain_lo = sub_down(gain_lo, off);
            gain_up = add_up(gain_up, off);
        }
        let way = |a: f32, b: f32| if a > b { a } else { b };
        let off = way(sub_up(h, centre), sub_up(centre, l));
        let z = way(-l, h);
        let mut budget = add_up(error, disturbance.of(mass));
        if !line.is_exact() {
            budget = add_up(budget, mul_up(U, mul_up(1.000_001, off)));
        }
        if deployed && rounds {
            // The leaky product of the forward pass rounds once.
            budget = add_up(budget, mul_up(U, mul_up(1.000_001, z)));
        }
        Self { gain_lo, gain_up, budget, mid, rad, largest: way(way(off, z), rad) }
    }
}

/// What a step's product adds to the budget of each live neuron of its layer.
pub(super) struct Share {
    gamma: f32,
    dropped: f32,
}

impl Share {
    /// For a layer of `count` live neurons, `shared` of them first; `total`: the sum of the
    /// magnitudes of its inputs.
    pub(super) fn new<A: Arithmetic>(arith: &A, count: usize, shared: usize, total: f32) -> Self {
        let split = arith.product_depth(shared) + arith.product_depth(count - shared);
        let gamma = gamma(split.max(arith.product_depth(count)));
        // Weights that the product may drop, times the inputs' deviations.
        Self { gamma, dropped: mul_up(NEGLIGIBLE, total) }
    }

    /// The budget with the product's rounding, which meets the inputs' deviation only.
    pub(super) fn add(&self, budget: f32, spread: f32) -> f32 {
        add_up(budget, add_up(mul_up(self.gamma, spread), self.dropped))
    }
}

/// What separates a layer's computed or original pre-activations from `W x + b` with the stored
/// weights: `weight_error*mass + bias_error`, and under deployed semantics
/// `gamma(n + 2)*mass + (n + 2)*ETA`, n the layer's inputs, for any order of its sums.
#[derive(Clone, Copy)]
pub(crate) struct Disturbance {
    weight_error: f32,
    bias_error: f32,
    /// Of the forward pass: relative to the mass, and of underflow.
    rounding: Option<(f32, f32)>,
}

impl Disturbance {
    /// That of a layer: computed once, used for all of its neurons.
    pub(crate) fn new(semantics: Semantics, layer: &Layer<'_>) -> Self {
        let deployed = semantics == Semantics::Deployed;
        Self {
            weight_error: layer.weight_error,
            bias_error: layer.bias_error,
            rounding: deployed.then(|| (gamma(layer.cols as u32 + 2), underflow(layer.cols))),
        }
    }

    /// That of a neuron of this mass.
    #[inline]
    pub(crate) fn of(&self, mass: f32) -> f32 {
        let mut d = if self.weight_error == 0.0 && self.bias_error == 0.0 {
            0.0
        } else {
            add_up(mul_up(self.weight_error, mass), self.bias_error)
        };
        if let Some((gamma, under)) = self.rounding {
            d = add_up(d, add_up(mul_up(gamma, mass), under));
        }
        d
    }
}
