//! Parameters of kernels, as WGSL lays them out.
//!
//! A device may take subnormal numbers as 0. What that loses is charged for weights, biases and
//! coefficients; parameters, scalars, and middles and radii of inputs meet numbers of any size, so
//! that the host writes none that is subnormal (the kernels do not, either).

use bytemuck::{Pod, Zeroable};

/// What `probe_sums` sums.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Sums {
    /// Rows.
    pub rows: u32,
    /// Terms of a row.
    pub n: u32,
    /// Terms of a block; at most [`MOST_BLOCKS`] blocks.
    pub block: u32,
    /// 0.
    pub none: u32,
}

/// Blocks of a row that `probe_sums` has room for.
pub const MOST_BLOCKS: usize = 64;
/// Words that `probe_ops` writes for a pair.
pub const OPS: usize = 7;

/// What a stage is about: one layer, a batch of samples. Every kernel but the probes takes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Step {
    /// Samples.
    pub samples: u32,
    /// Entries of a sample's lists of live neurons in all layers: the distance of two lists, and of two
    /// arrays of lines.
    pub neurons: u32,
    /// Layers: the distance of two samples' counts of live neurons.
    pub layers: u32,
    /// The distance of two arrays over the neurons of one layer: those of the widest.
    pub width: u32,
    /// The layer.
    pub layer: u32,
    /// Where its list begins.
    pub first: u32,
    /// Where that of the layer below begins.
    pub below: u32,
    /// Its neurons.
    pub rows: u32,
    /// Its inputs.
    pub cols: u32,
    /// Vectors of four from one row of coefficients to the next.
    pub stride: u32,
    /// The first tile of this dispatch.
    pub tile: u32,
    /// Neurons that pass by the activation.
    pub through: u32,
    /// The norm of the ball that feeds the layer: 0 a box, 1 `l1`, 2 `l2`.
    pub norm: u32,
    /// Lower slopes: 0 adaptive, 1 zero, 2 one, 3 the upper line's.
    pub slope: u32,
    /// [`DEPLOYED`] and the like.
    pub flags: u32,
    /// Specification rows of a sample.
    pub outputs: u32,
    /// The activation's slope below 0.
    pub leak: f32,
    /// Of the row sums of this stage: relative error; of centres in whole numbers: how many times what
    /// they may be off is charged.
    pub gamma: f32,
    /// Upper bound of `1 / (1 - gamma)`.
    pub factor: f32,
    /// What underflow takes.
    pub under: f32,
    /// Relative error of the product through the layer, or of the interval step's centres.
    pub share: f32,
    /// The layer's weight error, relative to a mass.
    pub weight_error: f32,
    /// Its bias error.
    pub bias_error: f32,
    /// Of the forward pass under deployed semantics: relative to a mass.
    pub relative: f32,
    /// The same of underflow.
    pub absolute: f32,
    /// 0.
    pub none: f32,
    /// 0.
    pub spare: f32,
    /// 0.
    pub free: f32,
    /// Where the activation bends: ends `lo`, `hi` are worth a walk back if `lo < bends[0]` and
    /// `hi > bends[1]`, or `lo < bends[2]` and `hi > bends[3]`. All 0 for ReLU and its kin.
    pub bends: [f32; 4],
}

/// What a step of a search is about: points of a batch. The kernels of [`crate::kernel`] named `CLIMB` take
/// it; nothing that they compute decides.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Climb {
    /// Points.
    pub rows: u32,
    /// Inputs of the network.
    pub inputs: u32,
    /// Neurons of the layer at hand.
    pub neurons: u32,
    /// Its inputs.
    pub cols: u32,
    /// Neurons that pass by the activation.
    pub through: u32,
    /// The norm of the ball: 0 `linf`, 2 `l2`.
    pub norm: u32,
    /// The activation's slope below 0.
    pub leak: f32,
    /// Length of the step.
    pub length: f32,
    /// Share of the direction before that is kept.
    pub momentum: f32,
    /// Lower side of the box.
    pub lo: f32,
    /// Upper side.
    pub hi: f32,
    /// 0.
    pub none: u32,
}

/// A step of `ascend`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Ascend {
    /// Share of its range that a slope may move.
    pub rate: f32,
    /// What the first moments of gradients are divided by.
    pub first: f32,
    /// The same of the second ones.
    pub second: f32,
    /// 0.
    pub none: f32,
}

/// Flag of a [`Step`]: deployed semantics.
pub const DEPLOYED: u32 = 1;
/// All columns count, not only those of live neurons.
pub const WHOLE: u32 = 2;
/// The rows belong to neurons, two to each.
pub const NEURONS: u32 = 4;
/// The rows are bounded over what they are functions of.
pub const BOUNDED: u32 = 8;
/// Of a product: one row of each pair, times the shared neurons.
pub const PAIRED: u32 = 16;
/// Of a product: both rows of each pair, times the neurons that are not shared, added to the former.
pub const JOINED: u32 = 32;

/// Lists of live neurons, and the shared ones of them, are filled up to multiples of this.
pub const GRAIN: usize = 16;
/// Floats of a sample in `scalars` before the layers' own.
pub const SCALARS: usize = 4;
/// Arrays of lines.
pub const LINES: usize = 6;
/// Words of a sample before the lists of lines that the host has chosen: how many neurons are live, and how
/// many of them are shared.
pub const GIVEN: usize = 2;
/// Arrays of what lines of any lower slope need.
pub const ANCHORS: usize = 4;
/// Arrays of a row whose slopes are searched for.
pub const SEARCH: usize = 4;
/// Rows, and neurons, of a workgroup of `forth`.
pub const FORTH_TILE: [u32; 2] = [16, 64];
/// Columns that the centres in whole numbers have room for.
pub const MOST_DIGITS: usize = 4096;
/// Workgroups in a row of the grid of kernels that take a row each.
pub const ROW_GRID: u32 = 32768;
