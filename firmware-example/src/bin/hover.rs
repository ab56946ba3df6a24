//! The control loop of `fly` without faults and without a word: what a monitored network takes, and
//! that nothing in it can panic. Ends well if the craft came near its place and all was certified.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use certus_firmware::fly::flight::hover;
use certus_firmware::fly::policy::{Mine, START};
use certus_firmware::machine::{entry, exit};
use certus_firmware::memory::Once;

static MONITOR: Once<Mine<'static>> = Once::new(START);

#[entry]
fn main() -> ! {
    let Some(monitor) = MONITOR.take() else { exit(false) };
    exit(hover(monitor))
}

#[inline(never)]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
