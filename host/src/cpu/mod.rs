//! The engine on a workstation's cores: a fast GEMM behind its arithmetic, one sample a thread.

mod fast;
mod runner;

pub use fast::{Fast, slice};
pub use runner::{Report, Runner};
