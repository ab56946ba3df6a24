//! Calls everything that the engine offers: no panic, formatting or heap may come along.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use certus_engine::bounds::{Size, StaticWorkspace};
use certus_firmware::bits::Step;
use certus_firmware::machine::{entry, exit};
use certus_firmware::memory::Once;
use certus_firmware::nets::{CURVED, POLICY};
use certus_firmware::whole;

/// Calls that give an answer: there is no room for functions carried forward on the first network, and
/// no simplex certificate of the curved one.
const ANSWERS: [u32; 2] = [14, 15];

const SIZE: Size = Step::Crown.size(&POLICY, true);

static MEMORY: Once<StaticWorkspace<{ SIZE.floats }, { SIZE.indices }>> =
    Once::new(StaticWorkspace::new());

#[entry]
fn main() -> ! {
    let Some(memory) = MEMORY.take() else { exit(false) };
    let answers = [POLICY, CURVED].map(|net| whole::run(&net, memory.as_workspace()));
    exit(answers == ANSWERS)
}

#[inline(never)]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
