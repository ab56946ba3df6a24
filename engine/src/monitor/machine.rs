//! The state machine: how old the input is, whose commands go out, and for how long.

use super::report::Verdict;

/// Whose commands go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The network's.
    Network,
    /// The fallback's.
    Fallback,
}

/// How many ticks ended how; a count stays at its largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// [`Verdict::Certified`].
    pub certified: u32,
    /// [`Verdict::Marginal`].
    pub marginal: u32,
    /// [`Verdict::Violated`].
    pub violated: u32,
    /// [`Verdict::Stale`].
    pub stale: u32,
    /// Ticks in which the fallback went out.
    pub fallback: u32,
    /// Most misses one after the other.
    pub longest: u32,
}

/// Mode, clock and counters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    mode: Mode,
    /// Certified ticks up to now, one after the other.
    run: u32,
    /// Others.
    misses: u32,
    /// When the last valid input came; none, or one whose time is past, is older than any limit.
    last: Option<u32>,
    counters: Counters,
}

impl Machine {
    /// Nothing is known yet, so the fallback goes out.
    pub(super) const fn new() -> Self {
        let counters =
            Counters { certified: 0, marginal: 0, violated: 0, stale: 0, fallback: 0, longest: 0 };
        Self { mode: Mode::Fallback, run: 0, misses: 0, last: None, counters }
    }

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) const fn misses(&self) -> u32 {
        self.misses
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes in the time of an input; says whether more than `limit` ticks passed since the last valid
    /// one.
    ///
    /// The difference of two times is that of a clock that wraps; a clock that runs backwards shows as
    /// a long time. A gap is reported once at least: with the invalid input that finds it, or with the
    /// valid one that ends it.
    pub(super) fn clock(&mut self, valid: bool, now: u32, limit: u32) -> bool {
        let stale = match self.last {
            Some(last) => now.wrapping_sub(last) > limit,
            None => !valid,
        };
        if valid {
            self.last = Some(now);
        } else if stale {
            // Forgotten, or a clock that wraps would make it young again.
            self.last = None;
        }
        stale
    }

    /// Counts a verdict and gives whose command goes out with it.
    ///
    /// From the fallback to the network after `leave` certified ticks in a row, the last of them
    /// included; back after `enter` misses, the last included, or at once where the rule is broken or
    /// there is no input.
    pub(super) fn step(&mut self, verdict: Verdict, enter: u32, leave: u32) -> Mode {
        let more = |count: &mut u32| *count = count.saturating_add(1);
        let counters = &mut self.counters;
        more(match verdict {
            Verdict::Certified => &mut counters.certified,
            Verdict::Marginal => &mut counters.marginal,
            Verdict::Violated(_) => &mut counters.violated,
            Verdict::Stale => &mut counters.stale,
        });
        if verdict == Verdict::Certified {
            self.misses = 0;
            more(&mut self.run);
        } else {
            self.run = 0;
            more(&mut self.misses);
        }
        self.mode = match (self.mode, verdict) {
            (Mode::Fallback, Verdict::Certified) if self.run >= leave => Mode::Network,
            (Mode::Network, Verdict::Marginal) if self.misses >= enter => Mode::Fallback,
            (_, Verdict::Violated(_) | Verdict::Stale) => Mode::Fallback,
            (mode, _) => mode,
        };
        if self.mode == Mode::Fallback {
            more(&mut counters.fallback);
        }
        if self.misses > counters.longest {
            counters.longest = self.misses;
        }
        self.mode
    }
}
