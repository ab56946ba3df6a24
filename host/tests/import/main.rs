//! Import of model files: every operator, every refusal, hostile bytes, and the data in the tree.

mod activations;
mod data;
mod formats;
mod graphs;
mod hostile;
mod maxima;
mod operators;
mod refusals;
mod writer;

use std::path::Path;

use certus::import;
use certus::network::Network;
use certus_engine::model::Activation;
use writer::Model;

/// Imports a model that was written by the test.
fn load(model: &Model) -> certus::error::Result<Network> {
    import::onnx(&model.bytes(), Path::new("test.onnx"))
}

/// The activation in f64.
fn apply(activation: Activation, z: f64) -> f64 {
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    match activation {
        Activation::Identity => z,
        Activation::Relu => z.max(0.0),
        Activation::LeakyRelu(slope) if z < 0.0 => f64::from(slope) * z,
        Activation::LeakyRelu(_) => z,
        Activation::Abs => z.abs(),
        Activation::Sign if z == 0.0 => 0.0,
        Activation::Sign => z.signum(),
        Activation::Step => f64::from(u8::from(z >= 0.0)),
        Activation::Clip(lo, hi) => z.clamp(f64::from(lo), f64::from(hi)),
        Activation::Elu(scale) if z < 0.0 => f64::from(scale) * z.exp_m1(),
        Activation::Elu(_) => z,
        Activation::Softplus => z.max(0.0) + (-z.abs()).exp().ln_1p(),
        Activation::Sigmoid => sigmoid(z),
        Activation::Tanh => z.tanh(),
        Activation::Atan => z.atan(),
        Activation::Silu => z * sigmoid(z),
        Activation::Gelu => 0.5 * z * (1.0 + libm::erf(z * std::f64::consts::FRAC_1_SQRT_2)),
    }
}

/// A plain forward pass in f64.
fn forward(network: &Network, input: &[f64]) -> Vec<f64> {
    assert_eq!(input.len(), network.inputs);
    let mut x = input.to_vec();
    for layer in &network.layers {
        assert_eq!((layer.cols, layer.rows), (x.len(), layer.bias.len()));
        x = layer
            .weights
            .chunks(layer.cols)
            .zip(&layer.bias)
            .map(|(row, &b)| {
                row.iter().zip(&x).map(|(&w, x)| f64::from(w) * x).sum::<f64>() + f64::from(b)
            })
            .enumerate()
            .map(|(i, z)| apply(layer.activation_of(i), z))
            .collect();
    }
    x
}

/// Are no weights and biases of the network approximations?
fn is_exact(network: &Network) -> bool {
    network.layers.iter().all(|l| l.weight_error == 0.0 && l.bias_error == 0.0)
}
