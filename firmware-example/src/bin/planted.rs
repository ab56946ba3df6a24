//! `whole` with a panic planted: an index out of bounds that no compiler can know of. The check for
//! panics must find it.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use certus_engine::bounds::{Size, StaticWorkspace};
use certus_firmware::bits::Step;
use certus_firmware::machine::{entry, exit};
use certus_firmware::memory::Once;
use certus_firmware::nets::POLICY;
use certus_firmware::whole;

const SIZE: Size = Step::Crown.size(&POLICY, true);

static MEMORY: Once<StaticWorkspace<{ SIZE.floats }, { SIZE.indices }>> =
    Once::new(StaticWorkspace::new());

#[entry]
fn main() -> ! {
    let Some(memory) = MEMORY.take() else { exit(false) };
    let answers = whole::run(&POLICY, memory.as_workspace());
    let planted = [0u32; 4][black_box(4usize)];
    exit(answers > planted)
}

#[inline(never)]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
