//! Prints what steps of the engine take on a board in QEMU: instructions, stack, multiply-adds and
//! workspace, a line for each network and step.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use certus_engine::bounds::{StaticWorkspace, Workspace};
use certus_firmware::bits::{Outcome, Sample, Step};
use certus_firmware::machine::{Counter, entry, exit, stack};
use certus_firmware::memory::Once;
use certus_firmware::nets::{DEEP, Net, POLICY};
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
    let mut counter = Counter::new();
    for net in [POLICY, DEEP] {
        for step in Step::ALL {
            measure(&net, step, &mut counter, memory.as_workspace())?;
        }
    }
    Some(())
}

/// One line: the same input for every step, a ball of an eighth of the network's largest radius, the
/// bounds of its margins alone.
fn measure(net: &Net, step: Step, counter: &mut Counter, workspace: Workspace<'_>) -> Option<()> {
    let mut workspace = step.cut(net, false, workspace)?;
    let sample = Sample::new(net, 3, workspace.reborrow()).ok()?;
    let mut outcome = None;
    let instructions = counter.count(|| outcome = run(&sample, step, workspace.reborrow()))?;
    let stack = stack::depth(|| outcome = run(&sample, step, workspace.reborrow()))?;
    let (net, step, bytes) = (net.name, step.name(), step.size(net, false).bytes());
    let macs = outcome?.macs;
    println!(
        "{net} {step} instructions {instructions} stack {stack} macs {macs} workspace {bytes}"
    );
    Some(())
}

/// Not inlined: the frames are the call's own.
#[inline(never)]
fn run(sample: &Sample, step: Step, workspace: Workspace<'_>) -> Option<Outcome> {
    sample.run(step, false, workspace, None).ok()
}

#[inline(never)]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
