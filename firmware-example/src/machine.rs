//! What differs from core to core: where a program begins, and counting instructions in QEMU. And
//! how a program ends.

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
