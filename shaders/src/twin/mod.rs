//! The kernels in Rust: the same stages, in f32 that rounds to nearest.
//!
//! A twin has its kernel's name and bindings: the parameters, then the buffers in order, those that the
//! kernel writes as `&mut`; one call does the whole grid. What it leaves alone, the kernel does too. Sums
//! have as many roundings as the kernel's, at half the size each.

mod centres;
mod chain;
mod charge;
mod climb;
mod compact;
mod interval;
mod join;
mod lines;
mod margins;
mod own;
mod place;
mod probe;
mod product;
mod reach;
mod relax;
mod select;
mod slots;
mod start;
mod step;

pub use centres::{centres, fixed};
pub use chain::chain;
pub use charge::{charge, length};
pub use climb::{climb_aim, climb_back, climb_best, climb_pass, climb_step};
pub use compact::compact;
pub use interval::{interval, interval_few};
pub use join::join;
pub use lines::lines;
pub use margins::margins;
pub use own::{anchors, ascend, forth, least, relax_own, slope_within, slopes};
pub use place::place;
pub use probe::{ops, sums};
pub use product::product;
pub use reach::reach;
pub use relax::relax;
pub use select::select;
pub use slots::slots;
pub use start::start;
