//! Flies a network behind the run-time monitor on a simulated quadrotor, injects faults, and prints
//! what came of each, to the host of a debugger or emulator (semihosting). Ends badly where one was
//! not reported in time, or a promise of the monitor was broken.
#![no_std]
#![no_main]

use core::fmt;
use core::panic::PanicInfo;

use certus_firmware::fly::memory::Ram;
use certus_firmware::fly::show;
use certus_firmware::machine::{entry, exit};
use certus_firmware::memory::Once;
use semihosting::print;

static RAM: Once<Ram> = Once::new(Ram::new());

/// Where text goes.
struct Host;

impl fmt::Write for Host {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print!("{text}");
        Ok(())
    }
}

#[entry]
fn main() -> ! {
    let Some(ram) = RAM.take() else { exit(false) };
    exit(show::all(ram, &mut Host) == Ok(true))
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
