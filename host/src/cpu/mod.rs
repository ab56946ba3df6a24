//! The engine on a workstation's cores: a fast GEMM behind its arithmetic, one sample a thread;
//! or the engine as it is on a device.

mod arith;
mod fast;
mod runner;

pub use arith::Arith;
pub use fast::{Fast, row_depth, slice};
pub use runner::{Report, Runner};
