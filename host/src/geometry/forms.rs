//! Affine functions carried through the layers, in f64.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use crate::network::{Affine, Network};

/// A layer's weights, widened once.
#[derive(Clone, Debug)]
pub(super) struct Wide {
    weights: Array2<f64>,
    bias: Array1<f64>,
    /// Slope below 0; 1 where nothing bends.
    pub slope: f64,
}

impl Wide {
    fn new(layer: &Affine) -> Self {
        let weights = layer.weights.iter().map(|w| f64::from(*w)).collect();
        Wide {
            weights: Array2::from_shape_vec((layer.rows, layer.cols), weights)
                .expect("rows x cols"),
            bias: layer.bias.iter().map(|b| f64::from(*b)).collect(),
            slope: f64::from(layer.activation.leak().expect("two lines that meet at 0")),
        }
    }

    /// All layers of a network.
    pub fn all(network: &Network) -> Vec<Self> {
        network.layers.iter().map(Self::new).collect()
    }

    /// Whether the activation is not one line.
    pub fn bends(&self) -> bool {
        self.slope != 1.0
    }
}

/// Functions `x -> L x + c`, one a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Forms {
    /// `L`, `[functions][variables]`.
    pub linear: Array2<f64>,
    /// `c`, `[functions]`.
    pub constant: Array1<f64>,
}

impl Forms {
    /// The next layer's pre-activations.
    pub(super) fn through(&self, layer: &Wide) -> Self {
        Forms {
            linear: layer.weights.dot(&self.linear),
            constant: layer.weights.dot(&self.constant) + &layer.bias,
        }
    }

    /// The activations, given on which side of its bend each neuron is.
    pub(super) fn bend(mut self, slope: f64, positive: &[bool]) -> Self {
        for (i, _) in positive.iter().enumerate().filter(|(_, positive)| !**positive) {
            self.linear.row_mut(i).mapv_inplace(|x| x * slope);
            self.constant[i] *= slope;
        }
        self
    }

    /// Number of functions.
    pub fn len(&self) -> usize {
        self.constant.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.constant.is_empty()
    }

    /// Function `i` at `x`.
    pub fn value(&self, i: usize, x: &[f64]) -> f64 {
        self.linear.index_axis(Axis(0), i).dot(&ArrayView1::from(x)) + self.constant[i]
    }

    /// Function `i` of two variables, as `a x + b y + c`.
    pub fn line(&self, i: usize) -> [f64; 3] {
        [self.linear[[i, 0]], self.linear[[i, 1]], self.constant[i]]
    }
}
