//! The flights of the program `fly`: what is injected, and what must come of it.

use certus_engine::monitor::Verdict;

use super::plant::STATES;
use super::sensors::{Fault, Kind};

/// Ticks of each flight.
pub const TICKS: u32 = 200;
/// The tick in which faults begin.
pub const INJECTED: u32 = 60;

/// What must be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: from the tick on in which the network is let in all are certified, and it stays.
    Nothing,
    /// This, in the tick of the injection.
    Violated,
    /// This, in the tick of the injection.
    Stale,
    /// What is true of the input: it looks like any other.
    Plausible,
    /// A damaged blob, when it is checked next.
    Blob,
}

impl Expect {
    /// Whether this is what `verdict` says.
    pub fn is(self, verdict: Verdict) -> bool {
        match self {
            Expect::Violated => matches!(verdict, Verdict::Violated(_)),
            Expect::Stale => verdict == Verdict::Stale,
            Expect::Nothing | Expect::Plausible | Expect::Blob => false,
        }
    }
}

/// A flight.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Where it begins.
    pub state: [f32; STATES],
    /// What is injected.
    pub faults: &'static [Fault],
    /// What must come of it.
    pub expect: Expect,
}

/// 0.6 m away, and below.
pub const AWAY: [f32; STATES] = [0.6, -0.4, -0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0];
/// Fast, tilted and turning.
pub const WILD: [f32; STATES] = [0.6, -0.5, -0.4, 0.4, -0.3, -0.5, 0.25, 0.2, 0.3, 0.8, -0.6, 0.9];

const fn row(name: &'static str, faults: &'static [Fault], expect: Expect) -> Row {
    Row { name, state: AWAY, faults, expect }
}

const fn fault(kind: Kind, input: usize, ticks: u32) -> Fault {
    Fault { kind, input, from: INJECTED, ticks }
}

/// All of them.
pub const TABLE: [Row; 12] = [
    row("noise", &[], Expect::Nothing),
    Row { name: "wild", state: WILD, faults: &[], expect: Expect::Plausible },
    row("nan", &[fault(Kind::Nan, 7, 1)], Expect::Violated),
    row("spike", &[fault(Kind::Spike, 2, 2)], Expect::Violated),
    row("missing", &[fault(Kind::Missing, 0, 6)], Expect::Violated),
    row("late", &[fault(Kind::Late, 0, 5)], Expect::Stale),
    row("jump", &[fault(Kind::Jump, 6, 3)], Expect::Plausible),
    row(
        "jumps",
        &[fault(Kind::Jump, 0, 6), fault(Kind::Jump, 6, 6), fault(Kind::Jump, 7, 6)],
        Expect::Plausible,
    ),
    row("stuck", &[fault(Kind::Stuck, 6, 40)], Expect::Plausible),
    row("drift", &[fault(Kind::Drift, 0, 40)], Expect::Plausible),
    row("drift out", &[fault(Kind::Drift, 10, 200)], Expect::Plausible),
    row("bit flip", &[], Expect::Blob),
];
