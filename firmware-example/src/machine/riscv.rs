//! RISC-V: a counter of instructions is part of the architecture.

pub use riscv_rt::entry;

use riscv::register::minstret;

/// Counts instructions in QEMU, given `-icount`.
#[derive(Debug, Default)]
pub struct Counter;

impl Counter {
    /// The counter; there is one.
    pub fn new() -> Self {
        Self
    }

    /// How many instructions `f` takes.
    pub fn count(&mut self, f: impl FnOnce()) -> Option<u64> {
        let before = minstret::read64();
        f();
        Some(minstret::read64() - before)
    }
}
