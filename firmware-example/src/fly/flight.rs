//! A simulated craft in the control loop, with faults, a tick at a time.

use certus_engine::monitor::Verdict;

use super::control::{Control, Craft, Done, Judge};
use super::plant::{Plant, ROTORS, STATES};
use super::policy::{FALLBACK, Mine};
use super::sensors::{Fault, Kind, Sample, Sensors};
use super::table::AWAY;

/// A craft whose true state is known.
#[derive(Clone, Copy, Debug)]
pub struct Simulated<'a> {
    plant: Plant,
    sensors: Sensors,
    faults: &'a [Fault],
    /// Ticks up to now.
    ticks: u32,
    /// The last sample and the state that it was taken of.
    sample: Sample,
    measured: [f32; STATES],
    thrust: [f32; ROTORS],
}

impl<'a> Simulated<'a> {
    /// In `state`; the seed is that of the sensors' noise.
    pub const fn new(state: [f32; STATES], seed: u32, faults: &'a [Fault]) -> Self {
        let sample = Sample { values: state, arrived: false };
        let (plant, sensors) = (Plant { state }, Sensors::new(seed));
        Self { plant, sensors, faults, ticks: 0, sample, measured: state, thrust: FALLBACK }
    }

    /// The true state.
    pub const fn state(&self) -> &[f32; STATES] {
        &self.plant.state
    }

    /// The ticks that pass before the next one is begun: a fault. The last command stays.
    fn delay(&mut self) -> u32 {
        let late = |fault: &&Fault| fault.kind == Kind::Late && fault.is_at(self.ticks);
        let delay = self.faults.iter().filter(late).map(|fault| fault.ticks).sum();
        for _ in 0..delay {
            self.plant.tick(&self.thrust);
        }
        delay
    }
}

impl Craft for Simulated<'_> {
    fn sense(&mut self) -> Option<[f32; STATES]> {
        self.measured = self.plant.state;
        self.sample = self.sensors.measure(&self.measured, self.ticks, self.faults);
        self.sample.arrived.then_some(self.sample.values)
    }

    fn act(&mut self, thrust: &[f32; ROTORS]) {
        self.thrust = *thrust;
        self.plant.tick(thrust);
        self.ticks = self.ticks.wrapping_add(1);
    }
}

/// A tick, as one sees it who knows the truth.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Ticks before it.
    pub tick: u32,
    /// The clock.
    pub now: u32,
    /// The true state.
    pub state: [f32; STATES],
    /// What the sensors said of it.
    pub sample: Sample,
    /// What it came to.
    pub done: Done,
}

/// A flight.
#[derive(Clone, Copy, Debug)]
pub struct Flight<'a> {
    craft: Simulated<'a>,
    control: Control,
    now: u32,
}

impl<'a> Flight<'a> {
    /// From the time `now` on; the rest as for [`Simulated::new`].
    pub const fn new(state: [f32; STATES], seed: u32, now: u32, faults: &'a [Fault]) -> Self {
        Self { craft: Simulated::new(state, seed, faults), control: Control::new(), now }
    }

    /// Whether the craft flies still.
    pub fn flies(&self) -> bool {
        self.craft.plant.flies()
    }

    /// One tick.
    pub fn tick(&mut self, judge: &mut impl Judge) -> Tick {
        let now = self.now.wrapping_add(self.craft.delay());
        let tick = self.craft.ticks;
        let done = self.control.tick(&mut self.craft, judge, now);
        self.now = now.wrapping_add(1);
        let Simulated { sample, measured, .. } = self.craft;
        Tick { tick, now, state: measured, sample, done }
    }
}

/// A flight without faults; whether the craft came near its place and all was certified.
#[inline(always)]
pub fn hover(monitor: &mut Mine<'_>) -> bool {
    let (mut craft, mut control) = (Simulated::new(AWAY, 1, &[]), Control::new());
    let mut certified = true;
    for now in 0..150 {
        certified &= control.tick(&mut craft, monitor, now).verdict == Verdict::Certified;
    }
    certified && craft.state().iter().all(|x| x.abs() < 0.3)
}
