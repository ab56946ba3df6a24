//! What differs from core to core: where a program begins, and counting instructions in QEMU.
//!
//! And what all of them share: ending a program, and memory that is handed out once.

// The stack is painted and a static is lent out: both say why they may.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_arch = "arm")]
mod cortex_m;
#[cfg(target_arch = "riscv32")]
mod riscv;
pub mod stack;

#[cfg(target_arch = "arm")]
pub use self::cortex_m::{Counter, entry};
#[cfg(target_arch = "riscv32")]
pub use self::riscv::{Counter, entry};

/// Tells the debugger or the emulator that the program has ended, and how.
pub fn exit(well: bool) -> ! {
    semihosting::process::exit(if well { 0 } else { 1 })
}

/// A static that is lent to one borrower, for ever.
///
/// For programs of one core without interrupts: two borrowers that ask at the same time could both
/// be served.
#[derive(Debug)]
pub struct Once<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// Safety: the value is reached through `take` alone, which gives it to the first who asks.
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    /// Not yet lent.
    pub const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value for the first who asks, `None` for any other.
    // From a shared reference, as every static is, and once only.
    #[allow(clippy::mut_from_ref)]
    pub fn take(&'static self) -> Option<&'static mut T> {
        // A load and a store, as a Cortex-M0 has no swap.
        if self.taken.load(Ordering::Relaxed) {
            return None;
        }
        self.taken.store(true, Ordering::Relaxed);
        // Safety: `taken` was unset, so that no other reference exists.
        Some(unsafe { &mut *self.value.get() })
    }
}
