//! Prints what the monitor's ticks take in the control loop on a board in QEMU: instructions and
//! multiply-adds, stack and workspace.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use certus_engine::monitor::Report;
use certus_firmware::fly::control::Judge;
use certus_firmware::fly::flight::Flight;
use certus_firmware::fly::policy::{Mine, SIZE, START, WORST};
use certus_firmware::fly::table::{TABLE, TICKS};
use certus_firmware::machine::{Counter, entry, exit, stack};
use semihosting::println;

#[entry]
fn main() -> ! {
    exit(measure(&mut Counter::new()).is_some())
}

/// A monitor whose ticks are counted.
struct Counted<'c> {
    monitor: Mine<'static>,
    counter: &'c mut Counter,
    /// Sums of instructions and multiply-adds.
    sum: [u64; 2],
    most: [u64; 2],
}

impl Judge for Counted<'_> {
    fn check(&mut self, x: &[f32], now: u32) -> Report<'_> {
        let mut report = None;
        let (monitor, counter) = (&mut self.monitor, &mut self.counter);
        let taken = counter.count(|| report = Some(monitor.check(x, now)));
        let report = report.expect("it was called");
        for (i, n) in [taken.expect("it counts that far"), report.work].into_iter().enumerate() {
            self.sum[i] += n;
            self.most[i] = self.most[i].max(n);
        }
        report
    }
}

/// Two lines: the mean tick of the flight without faults, and the most of any tick of all flights.
fn measure(counter: &mut Counter) -> Option<()> {
    let (mut most, mut deepest) = ([0; 2], 0);
    for (row, seed) in TABLE.iter().zip(1..) {
        let mut judge = Counted { monitor: START, counter, sum: [0; 2], most };
        let mut flight = Flight::new(row.state, seed, 0, row.faults);
        for _ in 0..TICKS {
            flight.tick(&mut judge);
        }
        most = judge.most;
        if seed == 1 {
            let [instructions, macs] = judge.sum.map(|sum| sum / u64::from(TICKS));
            println!("fly mean instructions {instructions} macs {macs}");
        }
        let (mut monitor, mut flight) = (START, Flight::new(row.state, seed, 0, row.faults));
        for _ in 0..10 {
            deepest = deepest.max(stack::depth(|| _ = flight.tick(&mut monitor))?);
        }
    }
    let ([instructions, macs], bytes) = (most, SIZE.bytes());
    println!(
        "fly most instructions {instructions} macs {macs} worst {WORST} stack {deepest} workspace {bytes}"
    );
    Some(())
}

#[inline(never)]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(false)
}
