//! Networks to model blobs and back.

use certus_engine::model::blob::{self, ENTRY_WORDS, HEADER_WORDS};
use certus_engine::model::{Activation, Model, Weights};
use half::f16;

use crate::error::{Error, Result};
use crate::network::{Affine, Network};

/// How weights are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightKind {
    /// As they are.
    #[default]
    F32,
    /// Rounded to the nearest f16: another network, and the one that is then certified.
    F16,
}

/// The blob of a network, in words (`engine/docs/blob.md`).
///
/// # Errors
/// [`Error::Usage`] naming the layer that the format cannot hold, or the weight that f16 cannot.
pub fn pack(network: &Network, kind: WeightKind) -> Result<Vec<u32>> {
    let kind_code = match kind {
        WeightKind::F32 => blob::WEIGHTS_F32,
        WeightKind::F16 => blob::WEIGHTS_F16,
    };
    let layers = network.layers.len();
    let mut words = vec![0u32; blob::align(HEADER_WORDS + layers * ENTRY_WORDS)];
    for (k, layer) in network.layers.iter().enumerate() {
        let (code, parameters) = coded(layer.activation);
        let weights = words.len();
        match kind {
            WeightKind::F32 => words.extend(layer.weights.iter().map(|w| w.to_bits())),
            WeightKind::F16 => pack_f16(&mut words, &layer.weights, k)?,
        }
        words.resize(blob::align(words.len()), 0);
        let bias = words.len();
        words.extend(layer.bias.iter().map(|b| b.to_bits()));
        words.resize(blob::align(words.len()), 0);
        // What the original weights lie within no longer holds of rounded ones: the claim is about
        // the blob's own network.
        let weight_error = if kind == WeightKind::F32 { layer.weight_error } else { 0.0 };
        let bias_error = if kind == WeightKind::F32 { layer.bias_error } else { 0.0 };
        let entry = HEADER_WORDS + k * ENTRY_WORDS;
        words[entry..entry + ENTRY_WORDS].copy_from_slice(&[
            layer.rows as u32,
            layer.cols as u32,
            code | kind_code << 16,
            parameters[0].to_bits(),
            weights as u32,
            bias as u32,
            weight_error.to_bits(),
            bias_error.to_bits(),
            parameters[1].to_bits(),
            layer.through as u32,
            0,
            0,
        ]);
    }
    let length = u32::try_from(words.len())
        .map_err(|_| Error::Usage("the network does not fit a blob of 2^32 words".into()))?;
    words[0] = blob::MAGIC;
    words[1] = blob::VERSION;
    words[2] = length;
    words[4] = layers as u32;
    words[5] = network.inputs as u32;
    words[6] = network.outputs() as u32;
    words[blob::CRC_WORD] = blob::crc(&words);
    match Model::from_words(&words) {
        Ok(_) => Ok(words),
        Err(error) => Err(Error::Usage(format!("the network does not fit a blob: {error}"))),
    }
}

/// The code and the parameters of an activation.
fn coded(activation: Activation) -> (u32, [f32; 2]) {
    match activation {
        Activation::Identity => (blob::IDENTITY, [0.0; 2]),
        Activation::Relu => (blob::RELU, [0.0; 2]),
        Activation::LeakyRelu(slope) => (blob::LEAKY_RELU, [slope, 0.0]),
        Activation::Abs => (blob::ABS, [0.0; 2]),
        Activation::Sign => (blob::SIGN, [0.0; 2]),
        Activation::Step => (blob::STEP, [0.0; 2]),
        Activation::Clip(lo, hi) => (blob::CLIP, [lo, hi]),
        Activation::Elu(scale) => (blob::ELU, [scale, 0.0]),
        Activation::Softplus => (blob::SOFTPLUS, [0.0; 2]),
        Activation::Sigmoid => (blob::SIGMOID, [0.0; 2]),
        Activation::Tanh => (blob::TANH, [0.0; 2]),
        Activation::Atan => (blob::ATAN, [0.0; 2]),
        Activation::Silu => (blob::SILU, [0.0; 2]),
        Activation::Gelu => (blob::GELU, [0.0; 2]),
    }
}

/// Appends weights as f16, two a word.
fn pack_f16(words: &mut Vec<u32>, weights: &[f32], k: usize) -> Result<()> {
    let half = |w: &f32| {
        let h = f16::from_f32(*w);
        if h.is_finite() {
            Ok(u32::from(h.to_bits()))
        } else {
            Err(Error::Usage(format!("layer {k}: weight {w} does not fit f16 (largest 65504)")))
        }
    };
    for pair in weights.chunks(2) {
        let low = half(&pair[0])?;
        let high = pair.get(1).map_or(Ok(0), half)?;
        words.push(low | high << 16);
    }
    Ok(())
}

/// The network of a model, weights as the exact f32 they are.
pub fn unpack(model: &Model<'_>) -> Network {
    let layers = model.layers().map(|layer| Affine {
        rows: layer.rows,
        cols: layer.cols,
        weights: match layer.weights {
            Weights::F32(w) => w.to_vec(),
            Weights::F16(w) => w.iter().map(|w| w.to_f32()).collect(),
        },
        bias: layer.bias.to_vec(),
        activation: layer.activation,
        through: layer.through,
        weight_error: layer.weight_error,
        bias_error: layer.bias_error,
    });
    Network { inputs: model.inputs(), layers: layers.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        let layer = |rows: usize, cols: usize, activation| Affine {
            rows,
            cols,
            weights: (0..rows * cols).map(|i| i as f32 * 0.25 - 1.0).collect(),
            bias: (0..rows).map(|i| i as f32).collect(),
            activation,
            through: usize::from(rows == 3),
            weight_error: 0.0,
            bias_error: 0.5,
        };
        Network {
            inputs: 3,
            layers: vec![
                layer(5, 3, Activation::Relu),
                layer(3, 5, Activation::LeakyRelu(0.25)),
                layer(2, 3, Activation::Clip(-1.0, 0.5)),
            ],
        }
    }

    #[test]
    fn packs_and_unpacks() {
        let words = pack(&network(), WeightKind::F32).unwrap();
        assert_eq!(unpack(&Model::from_words(&words).unwrap()), network());
        // These weights are exact in f16; the errors are not carried over.
        let mut half = network();
        half.layers.iter_mut().for_each(|layer| layer.bias_error = 0.0);
        let words = pack(&network(), WeightKind::F16).unwrap();
        assert_eq!(unpack(&Model::from_words(&words).unwrap()), half);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut large = network();
        large.layers[1].weights[3] = 1e6;
        let error = pack(&large, WeightKind::F16).unwrap_err().to_string();
        assert!(error.contains("layer 1") && error.contains("1000000"), "{error}");
        let mut nan = network();
        nan.layers[2].bias[1] = f32::NAN;
        let error = pack(&nan, WeightKind::F32).unwrap_err().to_string();
        assert!(error.contains("layer 2") && error.contains("Bias"), "{error}");
    }
}
