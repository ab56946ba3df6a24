//! How large a model may be.

/// The longest file that [`read`](super::read) takes: 2 GiB, protobuf's own limit.
pub const MAX_FILE: u64 = 1 << 31;

/// The sizes that an import may reach; beyond one of them it is refused with that limit's name.
///
/// They bound memory and time for any input: weights take 4 bytes each (12 while a scale is folded
/// into them), elements 48.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Weights of one dense layer, after a convolution is lowered.
    pub layer_weights: usize,
    /// Weights of all layers together.
    pub weights: usize,
    /// Elements of one tensor between two layers; four times as many of all tensors that later
    /// nodes still need. Also the rows of one layer.
    pub elements: usize,
    /// Elements of all constants together, initializers and folded ones; a list of integers is
    /// limited as `elements`.
    pub constants: usize,
    /// Elementary steps (an element scaled or moved, a kernel tap placed) outside the copying of
    /// weights.
    pub work: u64,
}

impl Default for Limits {
    /// 2^26 weights a layer, 2^28 in all, 2^20 elements a tensor, 2^26 constants, 2^26 steps.
    fn default() -> Self {
        Limits {
            layer_weights: 1 << 26,
            weights: 1 << 28,
            elements: 1 << 20,
            constants: 1 << 26,
            work: 1 << 26,
        }
    }
}
