//! The control loop of `fly` without faults and without a word: what a monitored network takes, and
//! that nothing in it can panic. Ends well if the craft came near its place and all was certified.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use certus_engine::monitor::Verdict;
use certus_firmware::fly::control::Control;
use certus_firmware::fly::flight::Simulated;
use certus_firmware::fly::policy::{Mine, START};
use certus_firmware::fly::table::AWAY;
use certus_firmware::machine::{entry, exit};
use certus_firmware::memory::Once;

static MONITOR: Once<Mine<'static>> = Once::new(START);

#[entry]
fn main() -> ! {
    let Some(monitor) = MONITOR.take() else { exit(false) };
    let (mut craft, mut control) = (Simulated::new(AWAY, 1, &[]), Control::new());
    let mut certified = true;
    for now in 0..150 {
        certified &= control.tick(&mut craft, monitor, now).verdict == Verdict::Certified;
    }
    let near = craft.state().iter().all(|x| x.abs() < 0.3);
    exit(certified && near)
}

#[inline(never)]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
