//! Sensors with noise within their declared error, and the faults that they are given.

use super::plant::STATES;
use super::policy::{ERROR, RANGE};
use crate::random::Random;

/// What goes wrong with one input, or with all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is NaN.
    Nan,
    /// It is beyond its range.
    Spike,
    /// It is near the far end of its range.
    Jump,
    /// It repeats what it said last.
    Stuck,
    /// It is off by its error more each tick.
    Drift,
    /// No sample arrives.
    Missing,
    /// The processor is held up: ticks of the clock pass before the sample is taken.
    Late,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 7] =
        [Kind::Nan, Kind::Spike, Kind::Jump, Kind::Stuck, Kind::Drift, Kind::Missing, Kind::Late];
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// Which input, from 0; not asked of those that hit all.
    pub input: usize,
    /// The first tick with it.
    pub from: u32,
    /// Ticks with it; for [`Kind::Late`] those that the clock passes over.
    pub ticks: u32,
}

impl Fault {
    /// Whether it is there at `tick`.
    pub fn is_at(&self, tick: u32) -> bool {
        let ticks = if self.kind == Kind::Late { 1 } else { self.ticks };
        tick.checked_sub(self.from).is_some_and(|since| since < ticks)
    }
}

/// What the sensors say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Of each state.
    pub values: [f32; STATES],
    /// Whether it arrived.
    pub arrived: bool,
}

impl Sample {
    /// For the monitor: no entries where no sample arrived.
    pub fn as_slice(&self) -> &[f32] {
        if self.arrived { &self.values } else { &[] }
    }

    /// Whether `state` is within the declared error, for certain, or beyond it, for certain.
    pub fn near(&self, state: &[f32; STATES]) -> Option<bool> {
        // What rounding may do to a difference is far less.
        const SLACK: f32 = 1e-4;
        let mut near = Some(true);
        for ((value, state), error) in self.values.iter().zip(state).zip(ERROR) {
            let off = (value - state).abs();
            // A NaN is beyond it.
            let (within, certain) = (off <= error * (1.0 + SLACK), off <= error * (1.0 - SLACK));
            if !within {
                return Some(false);
            }
            if !certain {
                near = None;
            }
        }
        near
    }
}

/// The sensors.
#[derive(Clone, Copy, Debug)]
pub struct Sensors {
    random: Random,
    last: [f32; STATES],
}

impl Sensors {
    /// With noise of their own for each seed.
    pub const fn new(seed: u32) -> Self {
        Self { random: Random(seed), last: [0.0; STATES] }
    }

    /// Measures `state` at `tick`, with the faults that are there.
    pub fn measure(&mut self, state: &[f32; STATES], tick: u32, faults: &[Fault]) -> Sample {
        let mut values = *state;
        for (value, error) in values.iter_mut().zip(ERROR) {
            *value += 0.95 * error * self.random.next();
        }
        let mut arrived = true;
        for fault in faults.iter().filter(|fault| fault.is_at(tick)) {
            let since = tick.wrapping_sub(fault.from) as f32;
            let of = |values: &[f32; STATES]| values.get(fault.input).copied().unwrap_or(0.0);
            let (error, range, last) = (of(&ERROR), of(&RANGE), of(&self.last));
            let Some(value) = values.get_mut(fault.input) else { continue };
            match fault.kind {
                Kind::Nan => *value = f32::NAN,
                Kind::Spike => *value = 3.0 * range,
                Kind::Jump => *value = if *value > 0.0 { -0.9 * range } else { 0.9 * range },
                Kind::Stuck => *value = last,
                Kind::Drift => *value += error * (since + 1.0),
                Kind::Missing => arrived = false,
                Kind::Late => {}
            }
        }
        self.last = values;
        Sample { values, arrived }
    }
}
