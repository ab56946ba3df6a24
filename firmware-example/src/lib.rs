//! What the programs share, and the tests of the host with them: no std, no heap.
#![no_std]

pub mod bits;
pub mod digest;
pub mod fly;
pub mod hash;
pub mod machine;
pub mod memory;
pub mod nets;
pub mod random;
pub mod whole;
