//! Views of one layer.

use half::f16;

use super::Activation;
use super::blob::{self, ENTRY_WORDS, HEADER_WORDS};

/// One affine layer and the activation after it.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// What follows.
    pub activation: Activation,
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

impl<'a> Layer<'a> {
    /// Layer `k` of a checked blob.
    pub(super) fn new(words: &'a [u32], k: usize) -> Self {
        let field = |i| blob::word(words, HEADER_WORDS + k * ENTRY_WORDS + i);
        let (rows, cols) = (field(0) as usize, field(1) as usize);
        let kinds = field(2);
        let activation = match kinds & 0xFFFF {
            blob::RELU => Activation::Relu,
            blob::LEAKY_RELU => Activation::LeakyRelu(f32::from_bits(field(3))),
            _ => Activation::Identity,
        };
        let kind = kinds >> 16;
        let stored = section(words, field(4) as usize, blob::weight_words(rows, cols, kind));
        let weights = if kind == blob::WEIGHTS_F16 {
            Weights::F16(section(bytemuck::must_cast_slice(stored), 0, rows * cols))
        } else {
            Weights::F32(bytemuck::must_cast_slice(stored))
        };
        Self {
            rows,
            cols,
            activation,
            weights,
            bias: bytemuck::must_cast_slice(section(words, field(5) as usize, rows)),
            weight_error: f32::from_bits(field(6)),
            bias_error: f32::from_bits(field(7)),
        }
    }

    /// Row `i` of the weights, empty past the end.
    #[inline]
    pub fn row(&self, i: usize) -> Row<'a> {
        let at = i.saturating_mul(self.cols);
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
