//! The WGSL kernels of Certus, their parameter layouts and their twins in Rust.
//!
//! * [`kernel`]: the sources; one kernel a file, its entry point `main`, its bindings in group 0.
//! * [`tile`]: the product's kernels, unrolled for a tile of registers.
//! * [`layout`]: what is passed to them, with the offsets that WGSL gives it.
//! * [`twin`]: the same computation in Rust, for comparison stage by stage.
//!
//! On a device nothing is assumed but what `soundness.md` 2 says of WGSL: `+ - *` round to either
//! neighbour, subnormal numbers may be flushed going in and coming out, and a sum may be taken in any
//! order unless its parts pass through memory behind a barrier, or as bits through an exclusive or with a
//! word that only memory knows, which no compiler may take a term across. What decides a bound is rounded
//! outward by one float through its bits (`shared/round.wgsl`): that covers either neighbour.

pub mod kernel;
pub mod layout;
pub mod tile;
pub mod twin;

/// Relative error of one `+`, `-` or `*` on a device: either neighbour, `2^-23`.
pub const U: f64 = 1.0 / (1u32 << 23) as f64;

/// What flushing may take from a result or an argument: all below the least normal number.
pub const ETA: f64 = f32::MIN_POSITIVE as f64;
