//! The network evaluated in rationals.

use certus::network::Network;

use super::forms::negative_slope;
use crate::rational::{Rational, Sign, exact};

/// The pre-activations of every layer at `x`, exactly.
pub fn pre_activations(network: &Network, x: &[Rational]) -> Vec<Vec<Rational>> {
    run(network, x).0
}

/// The outputs at `x`, exactly.
pub fn forward(network: &Network, x: &[Rational]) -> Vec<Rational> {
    run(network, x).1
}

/// `row . f(x)`, exactly.
pub fn specification(network: &Network, row: &[f32], x: &[Rational]) -> Rational {
    let terms = forward(network, x).into_iter().zip(row).map(|(y, &c)| y * exact(c));
    terms.fold(Rational::ZERO, |sum, term| sum + term)
}

fn run(network: &Network, x: &[Rational]) -> (Vec<Vec<Rational>>, Vec<Rational>) {
    assert_eq!(network.inputs, x.len(), "inputs");
    let mut x = x.to_vec();
    let mut all = Vec::new();
    for layer in &network.layers {
        let rows = layer.weights.chunks(layer.cols).zip(&layer.bias);
        let z: Vec<Rational> = rows
            .map(|(weights, &bias)| {
                let terms = weights.iter().zip(&x).filter(|(w, _)| **w != 0.0);
                terms.fold(exact(bias), |sum, (&w, x)| sum + x * exact(w))
            })
            .collect();
        let bend = |(i, z): (usize, &Rational)| match z.sign() {
            Sign::Positive => z.clone(),
            Sign::Negative => z * exact(negative_slope(layer.activation_of(i))),
        };
        x = z.iter().enumerate().map(bend).collect();
        all.push(z);
    }
    (all, x)
}
