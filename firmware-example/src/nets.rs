//! Networks and inputs that the programs and the host's tests share, made by the same arithmetic.
//!
//! The weights are drawn at compile time and lie in flash as a blob from `certus pack` would.

use certus_engine::model::blob::{self, ENTRY_WORDS, HEADER_WORDS};
use certus_engine::model::{Model, Words};

use crate::random::Random;

/// A network, and what it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Net {
    /// Its name.
    pub name: &'static str,
    /// The network.
    pub model: Model<'static>,
    /// How many inputs it is asked about.
    pub inputs: u32,
    /// The largest radius of the linf balls around them.
    pub radius: f64,
    /// Whether it is piecewise linear, as the simplex certificate needs.
    pub linear: bool,
    /// Whether every board has room for the bounds of its pre-activations too.
    pub ends: bool,
}

/// Most inputs and outputs of any of them.
pub const MOST: [usize; 2] = [12, 5];

/// A controller's size: 12-64-64-4, ReLU.
pub const POLICY: Net = Net {
    name: "policy",
    model: checked(&POLICY_WORDS.0),
    inputs: 100,
    radius: 0.04,
    linear: true,
    ends: true,
};

/// The size of ACAS Xu's: 5-50x6-5, ReLU.
pub const DEEP: Net = Net {
    name: "deep",
    model: checked(&DEEP_WORDS.0),
    inputs: 20,
    radius: 0.02,
    linear: true,
    ends: false,
};

/// A curved one: 6-24-16-3, tanh.
pub const CURVED: Net = Net {
    name: "curved",
    model: checked(&CURVED_WORDS.0),
    inputs: 80,
    radius: 0.1,
    linear: false,
    ends: true,
};

/// All of them.
pub const ALL: [Net; 3] = [POLICY, DEEP, CURVED];

const POLICY_SHAPE: [usize; 4] = [12, 64, 64, 4];
const DEEP_SHAPE: [usize; 8] = [5, 50, 50, 50, 50, 50, 50, 5];
const CURVED_SHAPE: [usize; 4] = [6, 24, 16, 3];

#[allow(long_running_const_eval)]
static POLICY_WORDS: Words<{ words(&POLICY_SHAPE) }> = draw(&POLICY_SHAPE, blob::RELU, 1);
#[allow(long_running_const_eval)]
static DEEP_WORDS: Words<{ words(&DEEP_SHAPE) }> = draw(&DEEP_SHAPE, blob::RELU, 2);
#[allow(long_running_const_eval)]
static CURVED_WORDS: Words<{ words(&CURVED_SHAPE) }> = draw(&CURVED_SHAPE, blob::TANH, 3);

#[allow(long_running_const_eval)]
const fn checked(words: &'static [u32]) -> Model<'static> {
    match Model::from_words(words) {
        Ok(model) => model,
        Err(_) => panic!("not a valid blob"),
    }
}

/// Words of the blob of a network of these widths with f32 weights.
const fn words(shape: &[usize]) -> usize {
    let layers = shape.len() - 1;
    let mut sum = blob::align(HEADER_WORDS + layers * ENTRY_WORDS);
    let mut k = 0;
    while k < layers {
        sum += blob::align(shape[k] * shape[k + 1]) + blob::align(shape[k + 1]);
        k += 1;
    }
    sum
}

/// A network with uniform weights of variance `2/columns` (He et al. 2015), biases of a tenth of
/// that size, and no activation at the end.
const fn draw<const N: usize>(shape: &[usize], activation: u32, seed: u32) -> Words<N> {
    let mut words = [0u32; N];
    let mut random = Random(seed);
    let layers = shape.len() - 1;
    let mut at = blob::align(HEADER_WORDS + layers * ENTRY_WORDS);
    let mut k = 0;
    while k < layers {
        let (rows, cols) = (shape[k + 1], shape[k]);
        let size = root(6.0 / cols as f32);
        let weights = at;
        let mut i = 0;
        while i < rows * cols {
            words[weights + i] = (random.next() * size).to_bits();
            i += 1;
        }
        let bias = weights + blob::align(rows * cols);
        let mut i = 0;
        while i < rows {
            words[bias + i] = (random.next() * size / 10.0).to_bits();
            i += 1;
        }
        at = bias + blob::align(rows);
        let entry = HEADER_WORDS + k * ENTRY_WORDS;
        words[entry] = rows as u32;
        words[entry + 1] = cols as u32;
        words[entry + 2] = if k + 1 < layers { activation } else { blob::IDENTITY };
        words[entry + 4] = weights as u32;
        words[entry + 5] = bias as u32;
        k += 1;
    }
    words[0] = blob::MAGIC;
    words[1] = blob::VERSION;
    words[2] = N as u32;
    words[4] = layers as u32;
    words[5] = shape[0] as u32;
    words[6] = shape[layers] as u32;
    words[blob::CRC_WORD] = blob::crc(&words);
    Words(words)
}

/// The square root, by Newton's method: nearly.
const fn root(x: f32) -> f32 {
    let mut y = 1.0;
    let mut i = 0;
    while i < 20 {
        y = 0.5 * (y + x / y);
        i += 1;
    }
    y
}
