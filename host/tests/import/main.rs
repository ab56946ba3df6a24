//! Import of model files: every operator, every refusal, hostile bytes, and the data in the tree.

mod data;
mod formats;
mod hostile;
mod operators;
mod refusals;
mod writer;

use std::path::Path;

use certus::import;
use certus::network::Network;
use writer::Model;

/// Imports a model that was written by the test.
fn load(model: &Model) -> certus::error::Result<Network> {
    import::onnx(&model.bytes(), Path::new("test.onnx"))
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
                let z =
                    row.iter().zip(&x).map(|(&w, x)| f64::from(w) * x).sum::<f64>() + f64::from(b);
                let leak = layer.activation.leak().expect("two lines");
                if z >= 0.0 { z } else { f64::from(leak) * z }
            })
            .collect();
    }
    x
}

/// Are no weights and biases of the network approximations?
fn is_exact(network: &Network) -> bool {
    network.layers.iter().all(|l| l.weight_error == 0.0 && l.bias_error == 0.0)
}
