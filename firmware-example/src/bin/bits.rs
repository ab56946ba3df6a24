//! Prints what the engine computes on the shared networks, a hash a line, to the host of a debugger
//! or emulator (semihosting), and ends.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use certus_engine::bounds::StaticWorkspace;
use certus_firmware::bits::{Step, line};
use certus_firmware::machine::{entry, exit};
use certus_firmware::memory::Once;
use certus_firmware::nets;
use certus_firmware::room::MOST;
use semihosting::println;

static MEMORY: Once<StaticWorkspace<{ MOST.floats }, { MOST.indices }>> =
    Once::new(StaticWorkspace::new());

#[entry]
fn main() -> ! {
    exit(print().is_some())
}

fn print() -> Option<()> {
    let memory = MEMORY.take()?;
    for net in &nets::ALL {
        for step in Step::ALL.into_iter().filter(|step| step.knows(net)) {
            println!("{}", line(net, step, memory.as_workspace()).ok()?);
        }
    }
    Some(())
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
