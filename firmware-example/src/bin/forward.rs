//! A network in flash and its forward pass, and nothing else: what the least program takes.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use certus_engine::bounds::{Portable, forward};
use certus_firmware::machine::{entry, exit};
use certus_firmware::memory::Once;
use certus_firmware::nets::POLICY;

static SCRATCH: Once<[f32; 2 * POLICY.model.width()]> = Once::new([0.0; _]);

#[entry]
fn main() -> ! {
    let (x, mut out) = (black_box([0.5f32; 12]), [0.0f32; 4]);
    let macs = SCRATCH.take().and_then(|s| forward(&Portable, &POLICY.model, &x, s, &mut out));
    black_box(out);
    exit(macs.is_some())
}

#[inline(never)]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
