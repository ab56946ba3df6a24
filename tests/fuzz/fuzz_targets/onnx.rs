//! Any bytes as an ONNX model: an error or a network, within the limits.
#![no_main]

use std::path::Path;

use certus::import::{Limits, onnx_within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        layer_weights: 1 << 20,
        weights: 1 << 22,
        elements: 1 << 14,
        constants: 1 << 22,
        work: 1 << 22,
    };
    if let Ok(network) = onnx_within(bytes, Path::new("fuzz.onnx"), limits) {
        assert!(!network.layers.is_empty());
        let mut width = network.inputs;
        for layer in &network.layers {
            assert_eq!(layer.cols, width);
            assert_eq!(layer.weights.len(), layer.rows * layer.cols);
            assert_eq!(layer.bias.len(), layer.rows);
            assert!(layer.through == 0 || layer.through < layer.rows);
            assert!(layer.weights.iter().chain(&layer.bias).all(|x| x.is_finite()));
            assert!(layer.weight_error >= 0.0 && layer.bias_error >= 0.0);
            width = layer.rows;
        }
    }
});
