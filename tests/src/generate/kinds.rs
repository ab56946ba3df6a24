//! The kinds of random networks.

use certus::network::{Affine, Network};
use certus_engine::model::Activation;
use fastrand::Rng;

use super::draw::{self, Shape, gaussian, integer, wide};
use super::{Case, Kind, cancelling, network};

pub(super) fn case(rng: &mut Rng, kind: Kind, name: String) -> Case {
    if kind == Kind::Cancelling {
        return cancelling::case(rng, name);
    }
    let shape = Shape::draw(rng);
    let net = match kind {
        Kind::Gaussian => dense(rng, &shape, |rng| gaussian(rng) as f32),
        Kind::Integer => dense(rng, &shape, |rng| integer(rng, 3)),
        Kind::Wide => dense(rng, &shape, wide),
        Kind::Dying => dying(rng, &shape),
        Kind::Leaky | Kind::Cancelling => leaky(rng, &shape),
        Kind::Skipping => skipping(rng, &shape),
    };
    let region = match kind {
        Kind::Integer => draw::integer_region(rng, shape.inputs),
        Kind::Wide => {
            let scale = draw::power(rng.i32(-40..40));
            draw::region(rng, shape.inputs, scale)
        }
        _ => draw::region(rng, shape.inputs, 1.0),
    };
    Case { name, net, region, spec_row: draw::spec_row(rng, shape.outputs) }
}

/// A ReLU network with every number from `number`.
pub(super) fn dense(
    rng: &mut Rng,
    shape: &Shape,
    mut number: impl FnMut(&mut Rng) -> f32,
) -> Network {
    let mut layers = Vec::new();
    let mut cols = shape.inputs;
    for &rows in shape.hidden.iter().chain([&shape.outputs]) {
        layers.push(Affine {
            rows,
            cols,
            weights: (0..rows * cols).map(|_| number(rng)).collect(),
            bias: (0..rows).map(|_| number(rng)).collect(),
            activation: Activation::Relu,
            through: 0,
            weight_error: 0.0,
            bias_error: 0.0,
        });
        cols = rows;
    }
    layers.last_mut().expect("an output layer").activation = Activation::Identity;
    network(layers)
}

fn dying(rng: &mut Rng, shape: &Shape) -> Network {
    let mut net = dense(rng, shape, |rng| gaussian(rng) as f32);
    let k = rng.usize(0..shape.hidden.len());
    let layer = &mut net.layers[k];
    let spared = rng.usize(0..2 * layer.rows);
    for i in 0..layer.rows {
        if rng.u8(0..4) == 0 {
            // At zero whatever the input: on the bend, neither active nor inactive.
            layer.weights[i * layer.cols..(i + 1) * layer.cols].fill(0.0);
            layer.bias[i] = 0.0;
        } else if i != spared {
            // Far below what these weights can reach on regions of magnitude 1.
            layer.bias[i] = -1e7;
        }
    }
    net
}

fn skipping(rng: &mut Rng, shape: &Shape) -> Network {
    let integers = rng.bool();
    let mut net =
        dense(rng, shape, |rng| if integers { integer(rng, 3) } else { gaussian(rng) as f32 });
    // At least one layer has some.
    let sure = rng.usize(0..shape.hidden.len());
    for (k, layer) in net.layers.iter_mut().enumerate() {
        // A last layer that bends has rows that do and rows that do not.
        if k == shape.hidden.len() && rng.u8(0..4) == 0 {
            layer.activation = Activation::Relu;
        }
        if rng.u8(0..4) == 0 {
            layer.activation = Activation::LeakyRelu(SLOPES[rng.usize(0..SLOPES.len())]);
        }
        if k == sure || rng.bool() {
            layer.through = rng.usize(1..=layer.rows);
        }
    }
    net
}

const SLOPES: [f32; 9] = [0.0, 1e-45, 1e-30, 0.01, 0.1, 0.5, 0.7, 1.0 - f32::EPSILON / 2.0, 1.0];

fn leaky(rng: &mut Rng, shape: &Shape) -> Network {
    let mut net = dense(rng, shape, |rng| gaussian(rng) as f32);
    for layer in &mut net.layers {
        layer.activation = match rng.u8(0..6) {
            0 => Activation::Identity,
            1 => Activation::Relu,
            _ => Activation::LeakyRelu(SLOPES[rng.usize(0..SLOPES.len())]),
        };
    }
    net
}
