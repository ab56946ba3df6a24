//! The engine linked into a program for a microcontroller. It does nothing with it yet.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use certus_engine::model::Activation;
use certus_firmware::machine::{entry, exit};

#[entry]
fn main() -> ! {
    black_box(Activation::Relu);
    exit(true)
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
