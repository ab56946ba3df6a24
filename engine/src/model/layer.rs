//! Views of one layer.

use half::f16;

use super::Activation;
use super::blob;

/// One affine layer and the activation after it.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// What follows.
    pub activation: Activation,
    /// The first so many rows pass by the activation: what a later layer reads as it is (a residual
    /// connection, the other operand of a maximum).
    pub through: usize,
    /// Weights, row-major `[rows][cols]`.
    pub weights: Weights<'a>,
    /// Biases, `[rows]`.
    pub bias: &'a [f32],
    /// `e` such that each original weight lies within `e*|w|` of the stored `w`.
    pub weight_error: f32,
    /// `e` such that each original bias lies within `e` of the stored one.
    pub bias_error: f32,
}

/// A layer's weights as stored.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Half precision, a subset of single: exact when read.
    F16(&'a [f16]),
}

/// A row of weights as stored.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Half precision.
    F16(&'a [f16]),
}

/// `slice[from..from + len]`, empty where that does not exist (a checked blob has it).
fn section<T>(slice: &[T], from: usize, len: usize) -> &[T] {
    slice.get(from..).and_then(|tail| tail.get(..len)).unwrap_or(&[])
}

/// The activation of layer `k` of a checked blob.
pub(super) const fn activation(words: &[u32], k: usize) -> Activation {
    let first = f32::from_bits(blob::field(words, k, 3));
    let second = f32::from_bits(blob::field(words, k, 8));
    match blob::field(words, k, 2) & 0xFFFF {
        blob::RELU => Activation::Relu,
        blob::LEAKY_RELU => Activation::LeakyRelu(first),
        blob::ABS => Activation::Abs,
        blob::SIGN => Activation::Sign,
        blob::STEP => Activation::Step,
        blob::CLIP => Activation::Clip(first, second),
        blob::ELU => Activation::Elu(first),
        blob::SOFTPLUS => Activation::Softplus,
        blob::SIGMOID => Activation::Sigmoid,
        blob::TANH => Activation::Tanh,
        blob::ATAN => Activation::Atan,
        blob::SILU => Activation::Silu,
        blob::GELU => Activation::Gelu,
        _ => Activation::Identity,
    }
}

impl<'a> Layer<'a> {
    /// Layer `k` of a checked blob.
    pub(super) fn new(words: &'a [u32], k: usize) -> Self {
        let field = |i| blob::field(words, k, i);
        let (rows, cols) = (field(0) as usize, field(1) as usize);
        let kind = field(2) >> 16;
        let stored = section(words, field(4) as usize, blob::weight_words(rows, cols, kind));
        let weights = if kind == blob::WEIGHTS_F16 {
            Weights::F16(section(bytemuck::must_cast_slice(stored), 0, rows * cols))
        } else {
            Weights::F32(bytemuck::must_cast_slice(stored))
        };
        Self {
            rows,
            cols,
            activation: activation(words, k),
            through: field(9) as usize,
            weights,
            bias: bytemuck::must_cast_slice(section(words, field(5) as usize, rows)),
            weight_error: f32::from_bits(field(6)),
            bias_error: f32::from_bits(field(7)),
        }
    }

    /// What follows row `i`.
    #[inline(always)]
    pub fn activation_of(&self, i: usize) -> Activation {
        if i < self.through { Activation::Identity } else { self.activation }
    }

    /// [`Activation::leak`] of all rows alike; `None` also where some pass by the activation.
    pub fn leak(&self) -> Option<f32> {
        self.activation.leak().filter(|leak| self.through == 0 || *leak == 1.0)
    }

    /// Row `i` of the weights, empty past the end.
    #[inline]
    pub fn row(&self, i: usize) -> Row<'a> {
        // A checked blob has `rows*cols` weights, so that the product is in range.
        let at = if i < self.rows { i * self.cols } else { usize::MAX };
        match self.weights {
            Weights::F32(w) => Row::F32(section(w, at, self.cols)),
            Weights::F16(w) => Row::F16(section(w, at, self.cols)),
        }
    }
}

impl Row<'_> {
    /// Weight `j`, 0 past the end.
    #[inline(always)]
    pub fn get(&self, j: usize) -> f32 {
        match self {
            Row::F32(w) => w.get(j).copied().unwrap_or(0.0),
            Row::F16(w) => w.get(j).map_or(0.0, |w| w.to_f32()),
        }
    }

    /// The row's entries at `columns`, or all of them, into `out`.
    pub fn gather(&self, columns: Option<&[u32]>, out: &mut [f32]) {
        match (columns, self) {
            (Some(columns), Row::F32(w)) => {
                for (to, j) in out.iter_mut().zip(columns) {
                    *to = w.get(*j as usize).copied().unwrap_or(0.0);
                }
            }
            (Some(columns), Row::F16(w)) => {
                for (to, j) in out.iter_mut().zip(columns) {
                    *to = w.get(*j as usize).map_or(0.0, |w| w.to_f32());
                }
            }
            (None, Row::F32(w)) => {
                for (to, from) in out.iter_mut().zip(*w) {
                    *to = *from;
                }
            }
            (None, Row::F16(w)) => {
                for (to, from) in out.iter_mut().zip(*w) {
                    *to = from.to_f32();
                }
            }
        }
    }
}
