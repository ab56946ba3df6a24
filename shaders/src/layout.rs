//! Parameters of kernels, as WGSL lays them out.

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
