//! What a monitor promises of each tick, judged by one who knows the true state and the faults.
//!
//! It shares nothing with the monitor but the setup and the engine's forward pass.

use certus_engine::bounds::{Portable, forward};
use certus_engine::model::Model;
use certus_engine::monitor::{Mode, Verdict};

use super::flight::Tick;
use super::plant::{ROTORS, STATES};
use super::policy::{ERROR, FALLBACK, MODEL, RANGE, SETUP, WORST};
use super::sensors::Sample;
use crate::random::Random;

/// How a promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The input cannot be used, or is too late, and this tick's verdict does not say so.
    Unreported,
    /// Certified, and at a state within the declared error of the input a rotor's limit is broken.
    Untrue,
    /// What went out is neither the fallback nor what the network says at the input.
    Command,
    /// What went out is outside the limits.
    Limits,
    /// The network's command went out where its mode should not be, or the fallback.
    Mode,
    /// More work than the worst case.
    Work,
}

/// Who watches the monitor.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    random: Random,
    /// Certified ticks, and others, one after the other.
    run: u32,
    misses: u32,
    mode: Mode,
    /// When the last valid input came.
    last: Option<u32>,
}

/// The network's outputs at `x`.
fn outputs(model: &Model<'_>, x: &[f32; STATES]) -> Option<[f32; ROTORS]> {
    let (mut scratch, mut y) = ([0.0; 2 * MODEL.width()], [0.0; ROTORS]);
    forward(&Portable, model, x, &mut scratch, &mut y)?;
    Some(y)
}

fn within_limits(thrust: &[f32; ROTORS]) -> bool {
    thrust.iter().all(|f| (0.0..=super::plant::MOST).contains(f))
}

/// Whether the monitor may use it.
fn is_valid(sample: &Sample) -> bool {
    let mut ends = sample.values.iter().zip(RANGE);
    sample.arrived && ends.all(|(value, range)| value.abs() <= range)
}

impl Promise {
    /// Before the first tick.
    pub const fn new(seed: u32) -> Self {
        Self { random: Random(seed), run: 0, misses: 0, mode: Mode::Fallback, last: None }
    }

    /// When the last valid input came, if one has and nothing was stale since.
    pub const fn last(&self) -> Option<u32> {
        self.last
    }

    /// Judges a tick of the network `model`, after those before it.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn check(&mut self, model: &Model<'_>, tick: &Tick) -> Result<(), Broken> {
        let valid = is_valid(&tick.sample);
        let stale = match self.last {
            Some(last) => tick.now.wrapping_sub(last) > SETUP.stale,
            None => !valid,
        };
        match (valid, stale) {
            (true, _) => self.last = Some(tick.now),
            (false, true) => self.last = None,
            (false, false) => {}
        }
        let said = match tick.done.verdict {
            Verdict::Stale => stale,
            Verdict::Violated(_) => !stale,
            Verdict::Certified | Verdict::Marginal => valid && !stale,
        };
        ensure(said, Broken::Unreported)?;
        self.mode(tick)?;
        ensure(tick.done.work <= WORST, Broken::Work)?;
        ensure(within_limits(&tick.done.command), Broken::Limits)?;
        let own = match tick.done.mode {
            Mode::Fallback => Some(FALLBACK),
            Mode::Network => outputs(model, &tick.sample.values),
        };
        ensure(own == Some(tick.done.command), Broken::Command)?;
        if tick.done.verdict == Verdict::Certified {
            self.certified(model, tick)?;
        }
        Ok(())
    }

    /// The rule for the mode, once more.
    fn mode(&mut self, tick: &Tick) -> Result<(), Broken> {
        if tick.done.verdict == Verdict::Certified {
            (self.run, self.misses) = (self.run.saturating_add(1), 0);
        } else {
            (self.run, self.misses) = (0, self.misses.saturating_add(1));
        }
        let hard = !matches!(tick.done.verdict, Verdict::Certified | Verdict::Marginal);
        let network = match self.mode {
            Mode::Network => !hard && self.misses < SETUP.enter,
            Mode::Fallback => self.run >= SETUP.leave,
        };
        self.mode = if network { Mode::Network } else { Mode::Fallback };
        let grounded = tick.done.blob.is_err() && tick.done.mode == Mode::Fallback;
        ensure(grounded || (tick.done.mode == self.mode && tick.done.blob.is_ok()), Broken::Mode)
    }

    /// That the network keeps the limits at the true state, if it is within the declared error, and at
    /// others that are.
    fn certified(&mut self, model: &Model<'_>, tick: &Tick) -> Result<(), Broken> {
        let keeps = |x: &[f32; STATES]| outputs(model, x).is_some_and(|y| within_limits(&y));
        if tick.sample.near(&tick.state) == Some(true) {
            ensure(keeps(&tick.state), Broken::Untrue)?;
        }
        let mut x = tick.sample.values;
        for (x, error) in x.iter_mut().zip(ERROR) {
            // A corner, but for what rounding might add.
            *x += if self.random.next() < 0.0 { -0.9999 * error } else { 0.9999 * error };
        }
        ensure(keeps(&x), Broken::Untrue)
    }
}

fn ensure(kept: bool, broken: Broken) -> Result<(), Broken> {
    if kept { Ok(()) } else { Err(broken) }
}
