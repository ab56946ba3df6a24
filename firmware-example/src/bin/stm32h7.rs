//! The control loop on an STM32H743, at 100 Hz by SysTick, as the board comes out of reset: 64 MHz from
//! the internal oscillator, no pins set up.
//!
//! The craft is simulated until `Craft` is implemented for one that has sensors and rotors. The dearest
//! ticks take more than 10 ms at 64 MHz (`ticks` counts them): one that flies needs the PLL.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use certus_firmware::fly::control::{Control, Craft};
use certus_firmware::fly::flight::Simulated;
use certus_firmware::fly::policy::{Mine, START};
use certus_firmware::fly::table::AWAY;
use certus_firmware::memory::Once;
use cortex_m::Peripherals;
use cortex_m::asm::wfi;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};

/// Hz.
const CLOCK: u32 = 64_000_000;
/// A tick takes 10 ms.
const RELOAD: u32 = CLOCK / 100 - 1;

static MONITOR: Once<Mine<'static>> = Once::new(START);
/// Ticks since the start. A tick that takes too long shows in it: the monitor finds the input stale.
static NOW: AtomicU32 = AtomicU32::new(0);

#[entry]
fn main() -> ! {
    if let (Some(monitor), Some(peripherals)) = (MONITOR.take(), Peripherals::take()) {
        start(peripherals.SYST);
        let mut craft = Simulated::new(AWAY, 1, &[]);
        fly(&mut craft, monitor)
    }
    stop()
}

/// Begins the ticks.
fn start(mut syst: SYST) {
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(RELOAD);
    syst.clear_current();
    syst.enable_interrupt();
    syst.enable_counter();
}

/// Flies for ever.
fn fly(craft: &mut impl Craft, monitor: &mut Mine<'static>) -> ! {
    let mut control = Control::new();
    let mut last = NOW.load(Ordering::Relaxed);
    loop {
        let now = NOW.load(Ordering::Relaxed);
        if now == last {
            wfi();
            continue;
        }
        last = now;
        control.tick(craft, monitor, now);
    }
}

#[exception]
fn SysTick() {
    NOW.fetch_add(1, Ordering::Relaxed);
}

/// Nothing can be done: both are there at the start.
fn stop() -> ! {
    loop {
        wfi();
    }
}

#[inline(never)]
#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    stop()
}
