//! Cortex-M: SysTick counts.

// SysTick is taken without asking: no program has another use for it.
#![allow(unsafe_code)]

pub use cortex_m_rt::entry;

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

/// SysTick counts down from here, and then begins anew.
const TOP: u32 = 0x00FF_FFFF;

/// Half instructions a tick, with `-icount shift=0`, under which QEMU takes 1 ns for each: the
/// micro:bit ticks at 16 MHz, the MPS2 at 25 MHz.
const HALVES: u64 = if cfg!(board = "microbit") { 125 } else { 80 };

/// Counts instructions in QEMU, to within one tick.
pub struct Counter(SYST);

impl Counter {
    /// The counter; there is one.
    pub fn new() -> Self {
        // Safety: nothing else in these programs touches SysTick.
        let mut syst = unsafe { cortex_m::Peripherals::steal() }.SYST;
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(TOP);
        syst.enable_counter();
        Self(syst)
    }

    /// How many instructions `f` takes; `None` if SysTick cannot count that far.
    pub fn count(&mut self, f: impl FnOnce()) -> Option<u64> {
        self.0.clear_current();
        // It begins anew with the next tick, and says so; asking makes it forget that.
        while SYST::get_current() == 0 {}
        self.0.has_wrapped();
        let before = SYST::get_current();
        f();
        let ticks = before.saturating_sub(SYST::get_current());
        (!self.0.has_wrapped()).then_some(u64::from(ticks) * HALVES / 2)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}
