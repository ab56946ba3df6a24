//! The sizes of a model on a device, and the constants of each stage.

use certus_engine::bounds::{Options, Semantics};
use certus_engine::model::{Activation, Layer, Model};
use certus_engine::num::{Rounding, gamma, underflow};
use certus_engine::relax::LowerSlope;
use certus_shaders::layout::{DEPLOYED, GRAIN, Step};
use certus_shaders::tile;

use super::curved;

/// A layer's sizes.
#[derive(Clone, Copy, Debug)]
pub struct LayerShape {
    /// Neurons.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// Where its lists begin.
    pub first: usize,
    /// What follows: the identity where margins are bounded before a last ReLU.
    pub activation: Activation,
    /// Neurons that pass by the activation.
    pub through: usize,
    weight_error: f32,
    bias_error: f32,
}

/// A model's sizes.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its layers.
    pub layers: Vec<LayerShape>,
    /// Entries of a sample's lists in all layers.
    pub neurons: usize,
    /// Neurons of the widest.
    pub width: usize,
    /// Vectors of four from one row of coefficients to the next.
    pub stride: usize,
    /// Whether margins are bounded before the last layer's ReLU.
    pub rectified: bool,
    /// How many times what a sum may be off is charged: 1, or more to see what it costs.
    pub times: u32,
}

/// Entries of a list of `rows` neurons, its shared and its other ones filled up.
pub const fn listed(rows: usize) -> usize {
    rows.next_multiple_of(GRAIN) + GRAIN
}

/// Most roundings of a term of the row sums over `n` entries: the product, a thread's sum, the tree.
const fn row_depth(n: usize) -> u32 {
    1 + n.div_ceil(64) as u32 + 6
}

/// The same of the interval step's sums, for many samples: the product, a block of 64, the blocks.
const fn interval_depth(n: usize) -> u32 {
    (1 + if n < 64 { n } else { 64 } + n.div_ceil(64)) as u32
}

/// Of its centres: the product, blocks of 4, 16, 64 and 256 of four each, the last of them.
const fn centre_depth(n: usize) -> u32 {
    1 + 4 * 4 + n.div_ceil(256) as u32
}

/// Of all of its sums, for few samples: the product, a thread's sum, the tree of 256.
const fn few_depth(n: usize) -> u32 {
    1 + n.div_ceil(256) as u32 + 8
}

/// The same of a layer's sum of magnitudes, by 256 threads.
const fn total_depth(n: usize) -> u32 {
    2 + n.div_ceil(256) as u32 + 8
}

impl Shape {
    /// Of a model.
    pub fn new(model: &Model<'_>) -> Self {
        let last = model.depth() - 1;
        let rectified = model.activation(last) == Activation::Relu && model.through(last) == 0;
        let mut layers = Vec::new();
        let mut first = 0;
        for (k, layer) in model.layers().enumerate() {
            let Layer { rows, cols, mut activation, through, weight_error, bias_error, .. } = layer;
            if rectified && k == last {
                activation = Activation::Identity;
            }
            layers.push(LayerShape {
                rows,
                cols,
                first,
                activation,
                through,
                weight_error,
                bias_error,
            });
            first += listed(rows);
        }
        let width = model.width();
        let stride = listed(width).max(model.inputs().next_multiple_of(GRAIN)) / 4;
        Self { layers, neurons: first, width, stride, rectified, times: 1 }
    }

    /// The last layer.
    pub fn last(&self) -> usize {
        self.layers.len() - 1
    }

    /// Whether the neurons of layer `k` may be worth a walk back.
    pub fn bends(&self, k: usize) -> bool {
        self.layers[k].activation.leak() != Some(1.0)
    }

    /// Whether there is a layer whose lines the host chooses.
    pub fn has_curves(&self) -> bool {
        (0..self.layers.len()).any(|k| self.is_curved(k))
    }

    /// Whether the host chooses the lines of layer `k`.
    pub fn is_curved(&self, k: usize) -> bool {
        self.layers[k].activation.leak().is_none()
    }

    /// A device's operation is off by up to twice what the engine's is, `2^-23`.
    const fn depth(&self, depth: u32) -> u32 {
        2 * self.times * depth
    }

    fn with(&self, step: Step, depth: u32, terms: usize) -> Step {
        let [gamma, factor, under] = Rounding::new(self.depth(depth), terms).parts();
        Step { gamma, factor, under, ..step }
    }

    /// What all stages of layer `k` have in common; without the constants of sums.
    fn step(&self, options: &Options, samples: usize, k: usize) -> Step {
        let LayerShape { rows, cols, first, activation, through, weight_error, bias_error } =
            self.layers[k];
        let deployed = options.semantics == Semantics::Deployed;
        Step {
            samples: samples as u32,
            neurons: self.neurons as u32,
            layers: self.layers.len() as u32,
            width: self.width as u32,
            layer: k as u32,
            first: first as u32,
            below: k.checked_sub(1).map_or(0, |below| self.layers[below].first) as u32,
            rows: rows as u32,
            cols: cols as u32,
            stride: self.stride as u32,
            through: through as u32,
            slope: match options.lower {
                LowerSlope::Adaptive => 0,
                LowerSlope::Zero => 1,
                LowerSlope::One => 2,
                LowerSlope::SameAsUpper => 3,
            },
            flags: if deployed { DEPLOYED } else { 0 },
            outputs: self.layers[self.last()].rows as u32,
            leak: activation.leak().unwrap_or(0.0),
            bends: curved::bends(activation),
            share: gamma(self.depth(tile::product_depth(listed(rows)))),
            weight_error: normal_up(weight_error),
            bias_error: normal_up(bias_error),
            relative: gamma(cols as u32 + 2),
            absolute: underflow(cols),
            ..Step::default()
        }
    }

    /// With the constants of the interval step of layer `k`, for `few` samples or many.
    pub fn interval(&self, options: &Options, samples: usize, k: usize, few: bool) -> Step {
        let step = self.step(options, samples, k);
        let cols = self.layers[k].cols;
        let (sums, centres) = match few {
            true => (few_depth(cols), few_depth(cols)),
            false => (interval_depth(cols), centre_depth(cols)),
        };
        let step = Step { share: gamma(self.depth(centres)), ..step };
        self.with(step, sums, cols)
    }

    /// With that of the centres of layer `k` in whole numbers.
    pub fn centres(&self, options: &Options, samples: usize, k: usize) -> Step {
        Step { gamma: self.times as f32, ..self.step(options, samples, k) }
    }

    /// Without constants, for stages that take none.
    pub fn plain(&self, options: &Options, samples: usize, k: usize) -> Step {
        self.step(options, samples, k)
    }

    /// With those of rows over the neurons of layer `k`.
    pub fn rows(&self, options: &Options, samples: usize, k: usize) -> Step {
        let step = self.step(options, samples, k);
        let rows = self.layers[k].rows;
        let listed = listed(rows);
        self.with(step, row_depth(listed), listed)
    }

    /// With those of rows over the inputs of layer `k`.
    pub fn reach(&self, options: &Options, samples: usize, k: usize) -> Step {
        let step = self.step(options, samples, k);
        let cols = self.layers[k].cols;
        self.with(step, row_depth(cols), cols)
    }

    /// With those of the choice of lines of layer `k`.
    pub fn lines(&self, options: &Options, samples: usize, k: usize) -> Step {
        let step = self.step(options, samples, k);
        let rows = self.layers[k].rows;
        self.with(step, total_depth(rows), rows)
    }
}

/// A number of at least 0, not subnormal and not below `x`: a device may take subnormal ones as 0.
pub fn normal_up(x: f32) -> f32 {
    if x.is_subnormal() { f32::MIN_POSITIVE } else { x }
}
