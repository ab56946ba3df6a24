//! Prints what the engine computes on the shared networks, a hash a line, to the host of a debugger
//! or emulator (semihosting), and ends.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use certus_engine::bounds::{Size, StaticWorkspace};
use certus_firmware::bits::{Step, line};
use certus_firmware::machine::{Once, entry, exit};
use certus_firmware::nets;
use semihosting::println;

/// Room for what fits the board.
const MOST: Size = {
    let mut most = Size { floats: 0, indices: 0 };
    let mut i = 0;
    while i < nets::ALL.len() * Step::ALL.len() {
        let (net, step) = (&nets::ALL[i / Step::ALL.len()], Step::ALL[i % Step::ALL.len()]);
        let size = step.size(net);
        if fits(size) {
            most.floats = if size.floats > most.floats { size.floats } else { most.floats };
            most.indices = if size.indices > most.indices { size.indices } else { most.indices };
        }
        i += 1;
    }
    most
};

static MEMORY: Once<StaticWorkspace<{ MOST.floats }, { MOST.indices }>> =
    Once::new(StaticWorkspace::new());

/// Whether a board has room for that, and for its stack.
const fn fits(size: Size) -> bool {
    !cfg!(board = "microbit") || size.bytes() <= 12 * 1024
}

#[entry]
fn main() -> ! {
    exit(print().is_some())
}

fn print() -> Option<()> {
    let memory = MEMORY.take()?;
    for net in &nets::ALL {
        for step in Step::ALL.into_iter().filter(|step| step.knows(net) && fits(step.size(net))) {
            println!("{}", line(net, step, memory.as_workspace()).ok()?);
        }
    }
    Some(())
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
