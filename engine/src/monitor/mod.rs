//! A run-time monitor: is this tick's command certified, and what goes out if it is not.
//!
//! [`Monitor`] stands between a network and what it commands. Each tick, [`Monitor::check`] judges the
//! measured input, runs the network, and certifies its outputs for every true state within the sensor
//! error, cheapest means first, within a budget of counted work. While certificates fail for longer
//! than allowed, the fallback goes out in the network's place. `engine/docs/monitor.md` is its page.
//!
//! * [`Setup`]: what is asked, checked at construction, at compile time if wished.
//! * [`Setup::regions`]: boxes of inputs that were certified beforehand, and cost no multiply-adds.
//! * [`Report`]: what a tick gives.
//! * [`Monitor`] on the caller's memory, [`StaticMonitor`] with its own.
//!
//! ```
//! use certus_engine::bounds::Size;
//! use certus_engine::include_model;
//! use certus_engine::model::Model;
//! use certus_engine::monitor::{Rule, SensorError, Setup, StaticMonitor, Verdict};
//!
//! // Angle and rate in, torque out. A blob that is damaged is a compile error.
//! const MODEL: Model<'static> =
//!     include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/pendulum_v1.certus"));
//! const SETUP: Setup<'static> = Setup {
//!     enter: 3,
//!     leave: 5,
//!     ..Setup::new(
//!         (&[-0.5, -1.0], &[0.5, 1.0]),
//!         SensorError::Box(&[0.002, 0.01]),
//!         Rule::Limits { lo: &[-2.0], hi: &[2.0] },
//!         &[0.0],
//!         Setup::NO_BUDGET,
//!         20,
//!     )
//! };
//! const SIZE: Size = SETUP.size(&MODEL, 1);
//! // A setup that does not fit is a compile error too.
//! const MONITOR: StaticMonitor<'static, { SIZE.floats }, { SIZE.indices }> =
//!     match StaticMonitor::new(MODEL, SETUP) {
//!         Ok(monitor) => monitor,
//!         Err(_) => panic!("the setup does not fit the model"),
//!     };
//! // Known before anything runs: no tick takes more multiply-adds.
//! const WORST: u64 = SETUP.worst_case(&MODEL);
//!
//! let mut monitor = MONITOR;
//! let report = monitor.check(&[0.02, -0.1], 0);
//! assert_eq!(report.verdict, Verdict::Certified);
//! assert!(report.work <= WORST);
//! ```
//!
//! A blob that is none does not compile:
//!
//! ```compile_fail
//! use certus_engine::{include_model, model::Model};
//! const MODEL: Model<'static> =
//!     include_model!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
//! # assert_eq!(MODEL.inputs(), 2);
//! ```

mod cost;
mod ladder;
mod machine;
mod means;
mod misfit;
mod report;
mod setup;
#[cfg(test)]
mod tests;

pub use machine::{Counters, Mode};
pub use means::Means;
pub use report::{Fault, Report, Verdict};
pub use setup::{Misfit, Part, Rule, SensorError, Setup, SetupError};

use crate::bounds::{Size, StaticWorkspace, Workspace};
use crate::model::Model;
use ladder::Judged;
use machine::Machine;
use means::Plan;

/// A monitor on memory of the caller, see the [module](self).
#[derive(Debug)]
pub struct Monitor<'a> {
    core: Core<'a>,
    memory: Workspace<'a>,
}

impl<'a> Monitor<'a> {
    /// A monitor that begins in fallback.
    ///
    /// Memory: at least [`Setup::size`] with a block of 1; more of it does not change a verdict.
    ///
    /// # Errors
    /// [`SetupError`], the first found.
    pub const fn new(
        model: Model<'a>,
        setup: Setup<'a>,
        memory: Workspace<'a>,
    ) -> Result<Self, SetupError> {
        let found = Size { floats: memory.floats.len(), indices: memory.indices.len() };
        match Core::new(model, setup, found) {
            Ok(core) => Ok(Self { core, memory }),
            Err(error) => Err(error),
        }
    }

    /// Judges the input `x` measured at `now`, in ticks of a clock that may wrap.
    ///
    /// [`Verdict`] says what is promised. Work: counted in the report, at most the budget.
    pub fn check(&mut self, x: &[f32], now: u32) -> Report<'_> {
        self.core.tick(self.memory.reborrow(), x, now)
    }

    /// Whose commands go out.
    pub const fn mode(&self) -> Mode {
        self.core.machine.mode()
    }

    /// How many ticks ended how since the start.
    pub const fn counters(&self) -> &Counters {
        self.core.machine.counters()
    }
}

/// A monitor that owns its memory, for a `static`: F and I are the floats and the indices of
/// [`Setup::size`]. See [`Monitor`].
#[derive(Debug)]
pub struct StaticMonitor<'a, const F: usize, const I: usize> {
    core: Core<'a>,
    memory: StaticWorkspace<F, I>,
}

impl<'a, const F: usize, const I: usize> StaticMonitor<'a, F, I> {
    /// As [`Monitor::new`].
    ///
    /// # Errors
    /// [`SetupError`], the first found.
    pub const fn new(model: Model<'a>, setup: Setup<'a>) -> Result<Self, SetupError> {
        match Core::new(model, setup, Size { floats: F, indices: I }) {
            Ok(core) => Ok(Self { core, memory: StaticWorkspace::new() }),
            Err(error) => Err(error),
        }
    }

    /// As [`Monitor::check`].
    pub fn check(&mut self, x: &[f32], now: u32) -> Report<'_> {
        self.core.tick(self.memory.as_workspace(), x, now)
    }

    /// As [`Monitor::mode`].
    pub const fn mode(&self) -> Mode {
        self.core.machine.mode()
    }

    /// As [`Monitor::counters`].
    pub const fn counters(&self) -> &Counters {
        self.core.machine.counters()
    }
}

/// What both kinds of monitor are, beside their memory.
#[derive(Debug)]
struct Core<'a> {
    model: Model<'a>,
    setup: Setup<'a>,
    plan: Plan,
    machine: Machine,
}

impl<'a> Core<'a> {
    const fn new(model: Model<'a>, setup: Setup<'a>, found: Size) -> Result<Self, SetupError> {
        match setup.check(&model, found) {
            Ok(()) => {
                let plan = Plan::new(&model, &setup.rule);
                Ok(Self { model, setup, plan, machine: Machine::new() })
            }
            Err(error) => Err(error),
        }
    }

    /// One tick: the input, the clock, the network and its certificates, the state machine.
    fn tick<'r>(&'r mut self, memory: Workspace<'r>, x: &[f32], now: u32) -> Report<'r> {
        let Self { model, setup, plan, machine } = self;
        let fault = setup.fault(x);
        let stale = machine.clock(fault.is_none(), now, setup.stale);
        let (judged, outputs) = match (stale, fault) {
            (true, _) => (Judged::of(Verdict::Stale), None),
            (false, Some(fault)) => (Judged::of(Verdict::Violated(fault)), None),
            (false, None) => ladder::judge(model, setup, plan, memory, x),
        };
        let mode = machine.step(judged.verdict, setup.enter, setup.leave);
        let command = match (mode, outputs) {
            (Mode::Network, Some(outputs)) => outputs,
            _ => setup.fallback,
        };
        let Judged { verdict, class, scale, by, work } = judged;
        Report { command, mode, verdict, class, scale, by, work, misses: machine.misses() }
    }
}
