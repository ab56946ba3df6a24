//! Prints a hash of what each of the engine's transcendental functions returns, to the host of a
//! debugger or emulator (semihosting), and ends.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use certus_engine::num::functions::Function;
use certus_firmware::digest::Line;
use certus_firmware::machine::{entry, exit};
use semihosting::println;

#[entry]
fn main() -> ! {
    for function in Function::ALL {
        println!("{}", Line(function));
    }
    exit(true)
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
