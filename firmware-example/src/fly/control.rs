//! The control loop: sensors, monitor, rotors, and now and then a check of the blob.
//!
//! A craft of one's own is an implementation of [`Craft`].

use certus_engine::model::{BlobError, Model};
use certus_engine::monitor::{Means, Mode, Report, Verdict};

use super::plant::{ROTORS, STATES};
use super::policy::{FALLBACK, MODEL, Mine};

/// Ticks from one check of the blob to the next: a quarter of a second.
pub const RECHECK: u32 = 25;

/// Sensors and rotors.
pub trait Craft {
    /// The state as measured, in the order and the units of [`STATES`]; `None` if no sample arrived.
    fn sense(&mut self) -> Option<[f32; STATES]>;

    /// Commands the thrust of each rotor, in the order of [`ROTORS`], until the next tick.
    fn act(&mut self, thrust: &[f32; ROTORS]);
}

/// What stands between the two: a monitor, or a test's that has a bug.
pub trait Judge {
    /// As [`certus_engine::monitor::Monitor::check`].
    fn check(&mut self, x: &[f32], now: u32) -> Report<'_>;

    /// The network that flies.
    fn model(&self) -> Model<'_> {
        MODEL
    }

    /// Checks the memory that the network lies in.
    ///
    /// # Errors
    /// What is wrong with it.
    fn recheck(&self) -> Result<(), BlobError> {
        Model::from_words(self.model().words()).map(|_| ())
    }
}

impl Judge for Mine<'_> {
    fn check(&mut self, x: &[f32], now: u32) -> Report<'_> {
        Mine::check(self, x, now)
    }
}

/// What a tick came to.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// What went out.
    pub command: [f32; ROTORS],
    /// Whose command that was.
    pub mode: Mode,
    /// The monitor's verdict.
    pub verdict: Verdict,
    /// Its scale.
    pub scale: f32,
    /// Its means.
    pub by: Option<Means>,
    /// Its work.
    pub work: u64,
    /// What the blob's last check found, this tick's if it was due.
    pub blob: Result<(), BlobError>,
}

/// The loop's own state.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    ticks: u32,
    blob: Result<(), BlobError>,
}

impl Control {
    /// Before the first tick, the blob having been checked.
    pub const fn new() -> Self {
        Self { ticks: 0, blob: Ok(()) }
    }

    /// One tick, at the time `now`.
    ///
    /// A blob that is found damaged ends the network's part in the flight.
    pub fn tick(&mut self, craft: &mut impl Craft, judge: &mut impl Judge, now: u32) -> Done {
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(RECHECK) && self.blob.is_ok() {
            self.blob = judge.recheck();
        }
        let sample = craft.sense();
        let report = judge.check(sample.as_ref().map_or(&[], |x| x.as_slice()), now);
        let (mode, command) = match (self.blob, <[f32; ROTORS]>::try_from(report.command)) {
            (Ok(()), Ok(command)) => (report.mode, command),
            _ => (Mode::Fallback, FALLBACK),
        };
        craft.act(&command);
        let Report { verdict, scale, by, work, .. } = report;
        Done { command, mode, verdict, scale, by, work, blob: self.blob }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}
