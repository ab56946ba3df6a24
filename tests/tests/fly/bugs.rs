//! Monitors with a bug planted.

use certus_engine::monitor::{Mode, Report, SensorError, Setup, Verdict};
use certus_tests::monitored::outputs;

use crate::fly::control::Judge;
use crate::fly::plant::STATES;
use crate::fly::policy::{ERROR, FALLBACK, MODEL, Mine, RANGE, SETUP};

/// What is wrong with a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Nothing: it must not be found.
    None,
    /// It sends the network's command, whatever its verdict.
    IgnoresVerdict,
    /// It says that all is certified.
    Flatters,
    /// It says what was true a tick ago.
    Late,
    /// Its clock is a count of its ticks.
    Deaf,
    /// Where the input cannot be used it takes the last one.
    Holds,
    /// It certifies a tenth of the sensor error.
    Narrow,
    /// It lets one more uncertified command pass.
    Lenient,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 8] = [
        Bug::None,
        Bug::IgnoresVerdict,
        Bug::Flatters,
        Bug::Late,
        Bug::Deaf,
        Bug::Holds,
        Bug::Narrow,
        Bug::Lenient,
    ];
}

const TENTH: [f32; STATES] = {
    let mut tenth = ERROR;
    let mut i = 0;
    while i < STATES {
        tenth[i] /= 10.0;
        i += 1;
    }
    tenth
};

/// A monitor with a bug.
pub struct Buggy {
    monitor: Mine<'static>,
    bug: Bug,
    ticks: u32,
    /// The last input that could be used, and the last verdict.
    x: [f32; STATES],
    verdict: Verdict,
    command: Vec<f32>,
}

impl Buggy {
    /// As it starts.
    pub fn new(bug: Bug) -> Self {
        let setup = match bug {
            Bug::Narrow => Setup { error: SensorError::Box(&TENTH), ..SETUP },
            Bug::Lenient => Setup { enter: SETUP.enter + 1, ..SETUP },
            _ => SETUP,
        };
        let monitor = Mine::new(MODEL, setup).expect("a setup that fits");
        let verdict = Verdict::Stale;
        Self { monitor, bug, ticks: 0, x: [0.0; STATES], verdict, command: FALLBACK.to_vec() }
    }
}

impl Judge for Buggy {
    fn check(&mut self, x: &[f32], now: u32) -> Report<'_> {
        self.ticks += 1;
        let fits = x.len() == STATES && x.iter().zip(RANGE).all(|(x, range)| x.abs() <= range);
        if fits {
            self.x.copy_from_slice(x);
        }
        let now = if self.bug == Bug::Deaf { self.ticks } else { now };
        let x = if self.bug == Bug::Holds { &self.x[..] } else { x };
        let mut report = self.monitor.check(x, now);
        let verdict = report.verdict;
        match self.bug {
            Bug::IgnoresVerdict if fits => {
                self.command = outputs(&MODEL, x);
                (report.command, report.mode) = (&self.command, Mode::Network);
            }
            Bug::Flatters => report.verdict = Verdict::Certified,
            Bug::Late => report.verdict = self.verdict,
            _ => {}
        }
        self.verdict = verdict;
        report
    }
}
