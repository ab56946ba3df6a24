//! Prints a hash of what each of the engine's transcendental functions returns, to the host of a
//! debugger or emulator (semihosting), and ends.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::panic::PanicInfo;

use certus_engine::num::functions::Function;
use certus_firmware::digest::Line;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hio;

#[entry]
fn main() -> ! {
    debug::exit(match print() {
        Ok(()) => EXIT_SUCCESS,
        Err(_) => EXIT_FAILURE,
    });
    loop {}
}

fn print() -> core::fmt::Result {
    let mut host = hio::hstdout().map_err(|()| core::fmt::Error)?;
    for function in Function::ALL {
        writeln!(host, "{}", Line(function))?;
    }
    Ok(())
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    debug::exit(EXIT_FAILURE);
    loop {}
}
