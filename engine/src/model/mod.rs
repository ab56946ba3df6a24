//! The model blob and its views.
//!
//! [`Model::from_words`] checks a blob once, at compile time where the blob is known there
//! ([`include_model!`](crate::include_model)); after that no accessor fails or panics. The format is
//! `engine/docs/blob.md`.

pub mod blob;
mod layer;

pub use blob::{BlobError, Field, Words};
pub use layer::{Layer, Row, Weights};

use crate::features::CURVED;
use crate::num::functions::Function;
use crate::regions::Regions;

/// What follows an affine layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `x = z`.
    Identity,
    /// `x = max(z, 0)`.
    Relu,
    /// `x = z` for `z >= 0`, else `slope * z`; `0 <= slope <= 1`.
    LeakyRelu(f32),
    /// `x = |z|`.
    Abs,
    /// `x = -1`, 0 or 1 as z is negative, 0 or positive.
    Sign,
    /// `x = 1` for `z >= 0`, else 0.
    Step,
    /// `x = min(max(z, lo), hi)`, lo < hi: hard tanh, ReLU6, saturation.
    Clip(f32, f32),
    /// `x = z` for `z >= 0`, else `scale * (e^z - 1)`; scale > 0.
    Elu(f32),
    /// `x = ln(1 + e^z)`.
    Softplus,
    /// `x = 1 / (1 + e^-z)`.
    Sigmoid,
    /// `x = tanh z`.
    Tanh,
    /// `x = arctan z`.
    Atan,
    /// `x = z / (1 + e^-z)`, also called swish.
    Silu,
    /// `x = z Phi(z)`, Phi the normal distribution function (not its approximation by tanh).
    Gelu,
}

impl Activation {
    /// The slope below 0 of what is one line on either side of 0, and slope 1 above: 1 for the
    /// identity, 0 for the ReLU; `None` for anything else.
    pub const fn leak(self) -> Option<f32> {
        match self {
            Activation::Identity => Some(1.0),
            Activation::Relu => Some(0.0),
            Activation::LeakyRelu(slope) => Some(slope),
            _ => None,
        }
    }

    /// The activation's name, without its parameters.
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Relu => "ReLU",
            Activation::LeakyRelu(_) => "leaky ReLU",
            Activation::Abs => "abs",
            Activation::Sign => "sign",
            Activation::Step => "step",
            Activation::Clip(..) => "clip",
            Activation::Elu(_) => "ELU",
            Activation::Softplus => "softplus",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Atan => "arctan",
            Activation::Silu => "SiLU",
            Activation::Gelu => "GELU",
        }
    }

    /// The activation in floats, the same bits on every target. Exact for lines, abs, sign, step and
    /// clip; how far the others are off: [`crate::relax::apply_error`].
    #[inline(always)]
    pub fn apply(self, z: f32) -> f32 {
        match self {
            Activation::Identity => z,
            // Not `max`: a NaN must stay one.
            Activation::Relu => {
                if z < 0.0 {
                    0.0
                } else {
                    z
                }
            }
            Activation::LeakyRelu(slope) => {
                if z < 0.0 {
                    slope * z
                } else {
                    z
                }
            }
            _ if !CURVED => f32::NAN,
            curved => curved.apply_curved(z),
        }
    }

    /// What [`Activation::apply`] does for the rarer ones; kept out of its loops.
    fn apply_curved(self, z: f32) -> f32 {
        // Comparisons let a NaN through as it is.
        match self {
            Activation::Abs => z.abs(),
            Activation::Sign if z > 0.0 => 1.0,
            Activation::Sign if z < 0.0 => -1.0,
            Activation::Step if z >= 0.0 => 1.0,
            Activation::Step if z < 0.0 => 0.0,
            Activation::Clip(lo, _) if z < lo => lo,
            Activation::Clip(_, hi) if z > hi => hi,
            Activation::Elu(scale) if z < 0.0 => scale * Function::Expm1.value(z),
            Activation::Softplus => Function::Softplus.value(z),
            Activation::Sigmoid => Function::Sigmoid.value(z),
            Activation::Tanh => Function::Tanh.value(z),
            Activation::Atan => Function::Atan.value(z),
            Activation::Silu => z * Function::Sigmoid.value(z),
            Activation::Gelu => z * Function::NormalCdf.value(z),
            _ => z,
        }
    }
}

/// A checked model: a network `x_k = sigma_k(W_k x_{k-1} + b_k)`, k = 1..m, over words in flash.
///
/// Copying it copies a reference and a few numbers.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    words: &'a [u32],
    layers: usize,
    inputs: usize,
    outputs: usize,
    /// The last layer's activation is left out.
    bare: bool,
}

impl<'a> Model<'a> {
    /// Checks a blob.
    ///
    /// # Errors
    /// [`BlobError`] names the first field that is not as the format says, with the layer.
    /// Work: one pass over the words.
    pub const fn from_words(words: &'a [u32]) -> Result<Self, BlobError> {
        match blob::check(words) {
            Ok(header) => Ok(Self {
                words,
                layers: header.layers,
                inputs: header.inputs,
                outputs: header.outputs,
                bare: false,
            }),
            Err(error) => Err(error),
        }
    }

    /// Checks a blob in bytes, which must lie on a 4-byte boundary.
    ///
    /// # Errors
    /// As [`Model::from_words`]; [`BlobError::Misaligned`] if the bytes are not whole words.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, BlobError> {
        match bytemuck::try_cast_slice(bytes) {
            Ok(words) => Self::from_words(words),
            Err(_) => Err(BlobError::Misaligned),
        }
    }

    /// The network whose outputs are the pre-activations of layer `k`; `None` past the end.
    pub const fn up_to(&self, k: usize) -> Option<Self> {
        if k < self.layers {
            Some(Self { layers: k + 1, outputs: self.rows(k), bare: true, ..*self })
        } else {
            None
        }
    }

    /// The table of certified regions behind the model, if there is one; not of a part of it
    /// ([`Model::up_to`]).
    pub const fn regions(&self) -> Option<Regions<'a>> {
        let (_, rest) = blob::divide(self.words);
        if rest.is_empty() || self.crc().is_none() {
            return None;
        }
        Some(Regions::checked(rest))
    }

    /// The model's checksum; `None` for a part of it.
    pub(crate) const fn crc(&self) -> Option<u32> {
        let whole = !self.bare && self.layers == blob::word(self.words, 4) as usize;
        if whole { Some(blob::word(self.words, blob::CRC_WORD)) } else { None }
    }

    /// The blob itself, whole, with the table of certified regions if it has one.
    pub const fn words(&self) -> &'a [u32] {
        self.words
    }

    /// Number of affine layers, at least 1.
    pub const fn depth(&self) -> usize {
        self.layers
    }

    /// Number of inputs.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of neurons, the outputs included.
    pub const fn neurons(&self) -> usize {
        let mut sum = 0;
        let mut k = 0;
        while k < self.layers {
            sum += self.rows(k);
            k += 1;
        }
        sum
    }

    /// The largest of the input's and the layers' widths.
    pub const fn width(&self) -> usize {
        let mut width = self.inputs;
        let mut k = 0;
        while k < self.layers {
            if self.rows(k) > width {
                width = self.rows(k);
            }
            k += 1;
        }
        width
    }

    /// Rows of layer `k` (from 0), 0 past the end.
    pub const fn rows(&self, k: usize) -> usize {
        if k < self.layers { blob::field(self.words, k, 0) as usize } else { 0 }
    }

    /// What follows layer `k` (from 0), the identity past the end.
    pub const fn activation(&self, k: usize) -> Activation {
        if k >= self.layers || (self.bare && k + 1 == self.layers) {
            return Activation::Identity;
        }
        layer::activation(self.words, k)
    }

    /// How many rows of layer `k`, from the first on, pass by its activation.
    pub const fn through(&self, k: usize) -> usize {
        if k < self.layers { blob::field(self.words, k, 9) as usize } else { 0 }
    }

    /// Layer `k`, from 0; `None` past the end.
    pub fn layer(&self, k: usize) -> Option<Layer<'a>> {
        (k < self.layers).then(|| self.read(k))
    }

    fn read(self, k: usize) -> Layer<'a> {
        let mut layer = Layer::new(self.words, k);
        if self.bare && k + 1 == self.layers {
            layer.activation = Activation::Identity;
        }
        layer
    }

    /// The layers, first to last.
    pub fn layers(
        &self,
    ) -> impl DoubleEndedIterator<Item = Layer<'a>> + ExactSizeIterator + use<'a> {
        let model = *self;
        (0..self.layers).map(move |k| model.read(k))
    }
}

/// A model blob from a file, checked at compile time: a bad blob is a compile error.
///
/// `include_model!("policy.certus")` is a `Model<'static>` whose words lie in flash, on a 16-byte
/// boundary; f16 weights are read in place. The path is that of `include_bytes!`.
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        const BYTES: &[u8] = include_bytes!($path);
        const _: () = assert!(BYTES.len() % 4 == 0, "not a model blob: no whole words");
        #[allow(long_running_const_eval)]
        static WORDS: $crate::model::Words<{ BYTES.len() / 4 }> =
            $crate::model::Words::from_bytes(BYTES);
        #[allow(long_running_const_eval)]
        const MODEL: $crate::model::Model<'static> =
            match $crate::model::Model::from_words(&WORDS.0) {
                Ok(model) => model,
                Err($crate::model::BlobError::Feature(_)) => {
                    panic!("the model needs the feature `curved` of certus-engine")
                }
                Err(_) => panic!("not a valid model blob"),
            };
        MODEL
    }};
}

#[cfg(test)]
mod tests;
