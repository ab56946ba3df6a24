//! What the programs share, and the tests of the host with them: no std, no heap.
#![no_std]

#[cfg(feature = "full")]
pub mod bits;
pub mod digest;
pub mod fly;
pub mod hash;
pub mod machine;
pub mod memory;
#[cfg(feature = "full")]
pub mod nets;
pub mod random;
#[cfg(feature = "full")]
pub mod room;
#[cfg(feature = "full")]
pub mod whole;
