//! A network as the host holds it: affine layers with an activation each, in f32.

use certus_engine::model::Activation;

/// A feed-forward network `x_k = sigma_k(W_k x_{k-1} + b_k)`, k = 1..m.
///
/// Its weights are exactly the numbers that are certified: what import could not carry over
/// exactly (a folded normalisation, a division) is bounded by `weight_error` and `bias_error` of
/// the layer it went into, and every bound covers the original network too.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Number of inputs, the product of the model's input shape without the batch dimension.
    pub inputs: usize,
    /// The layers, first to last; the last layer's activation is usually the identity.
    pub layers: Vec<Affine>,
}

/// One affine layer and the activation after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Outputs (rows of the weight matrix).
    pub rows: usize,
    /// Inputs (columns).
    pub cols: usize,
    /// Weights, row-major `[rows][cols]`.
    pub weights: Vec<f32>,
    /// Biases, `[rows]`.
    pub bias: Vec<f32>,
    /// What follows.
    pub activation: Activation,
    /// The first so many rows pass by the activation.
    pub through: usize,
    /// `e` such that each original weight lies within `e * |w|` of the stored `w`; 0 if exact.
    pub weight_error: f32,
    /// `e` such that each original bias lies within `e` of the stored one; 0 if exact.
    pub bias_error: f32,
}

impl Affine {
    /// What follows row `i`.
    pub fn activation_of(&self, i: usize) -> Activation {
        if i < self.through { Activation::Identity } else { self.activation }
    }
}

/// A layer from its rows, for tests.
#[cfg(test)]
pub(crate) fn affine(rows: &[&[f32]], bias: &[f32], activation: Activation) -> Affine {
    Affine {
        rows: rows.len(),
        cols: rows[0].len(),
        weights: rows.concat(),
        bias: bias.to_vec(),
        activation,
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    }
}

impl Network {
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, |layer| layer.rows)
    }
}
