//! What is asked of a monitor, and whether it fits the model.

use super::report::Fault;
use crate::bounds::{Semantics, Size};
use crate::features::NORMS;
use crate::model::Model;
use crate::num::MAGNITUDE_LIMIT;
use crate::region::Norm;
use crate::regions::Regions;
use crate::spec::Spec;

/// How far the true state may be from what the sensors say, on either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SensorError<'a> {
    /// Each input by its own radius.
    Box(&'a [f32]),
    /// All inputs together, in this norm.
    Ball {
        /// The radius.
        radius: f32,
        /// The norm.
        norm: Norm,
    },
}

/// What the outputs shall keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule<'a> {
    /// `lo <= y <= hi` for every output; proved is `lo < y < hi`. `f32::MAX` is no limit.
    Limits {
        /// Lower limits.
        lo: &'a [f32],
        /// Upper limits.
        hi: &'a [f32],
    },
    /// The largest output is above every other by more than `margin`, and stays the same one within
    /// the sensor error.
    Class {
        /// From 0 on.
        margin: f32,
    },
}

impl Rule<'_> {
    /// The rows that this is about; `class` is that of the outputs, for limits any.
    pub const fn spec(&self, class: usize) -> Spec<'static> {
        match self {
            Rule::Limits { .. } => Spec::Outputs,
            Rule::Class { .. } => Spec::Margins { class },
        }
    }
}

/// What a monitor shall do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setup<'a> {
    /// The least and the largest valid value of each input, both included.
    pub range: (&'a [f32], &'a [f32]),
    /// The sensor error.
    pub error: SensorError<'a>,
    /// What the outputs shall keep.
    pub rule: Rule<'a>,
    /// The command in place of the network's; it keeps the limits.
    pub fallback: &'a [f32],
    /// Multiply-adds that a tick may take.
    pub budget: u64,
    /// Ticks from one valid input to the next, at most.
    pub stale: u32,
    /// So many misses in a row enter the fallback: 1 lets no command pass that is not certified.
    pub enter: u32,
    /// So many certified ticks in a row leave it.
    pub leave: u32,
    /// Parts and multiples of the sensor error to try beside the whole, increasing, as far as the
    /// budget goes.
    pub scales: &'a [f32],
    /// Which network is meant.
    pub semantics: Semantics,
    /// Regions that were certified beforehand ([`Model::regions`]), to ask first.
    pub regions: Option<Regions<'a>>,
}

/// Why there is no monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// A part has another number of entries than the model.
    Width(Part),
    /// A part has an entry that it cannot have: NaN, infinite, negative, of `2^99` or more, ends in the
    /// wrong order, a fallback outside the limits.
    Entry(Part),
    /// A class takes two outputs at least.
    Outputs,
    /// `enter` or `leave` is 0.
    Hysteresis,
    /// `stale` is `2^31` or more: half of the clock's turn.
    Clock,
    /// Not even inference and intervals fit the budget.
    Budget {
        /// The budget.
        found: u64,
        /// [`Setup::least_budget`].
        needed: u64,
    },
    /// The memory is less than [`Setup::size`].
    Memory {
        /// What there is.
        found: Size,
        /// What is needed.
        needed: Size,
    },
    /// The table of regions proves less than the setup asks.
    Regions(Misfit),
    /// It needs this feature of the crate, which is left out of the build.
    Feature(&'static str),
}

/// What a table of certified regions was made for, where that is not what the setup asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Another model, or the whole of which the model is a part.
    Model,
    /// Limits that are not within the setup's, a margin below the setup's, or a rule of another kind.
    Rule,
    /// A sensor error that does not hold the setup's.
    Error,
}

/// A part of a [`Setup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// [`Setup::range`].
    Range,
    /// [`Setup::error`].
    Error,
    /// [`Setup::rule`].
    Rule,
    /// [`Setup::fallback`].
    Fallback,
    /// [`Setup::scales`].
    Scales,
}

impl core::fmt::Display for SetupError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SetupError::Width(part) => {
                write!(f, "{part:?}: not one entry for each of the model's inputs or outputs")
            }
            SetupError::Entry(part) => write!(f, "{part:?}: an entry that it cannot have"),
            SetupError::Outputs => f.write_str("a rule on classes expects two outputs at least"),
            SetupError::Hysteresis => f.write_str("enter and leave are expected to be 1 or more"),
            SetupError::Clock => f.write_str("stale is expected to be below 2^31 ticks"),
            SetupError::Budget { found, needed } => {
                write!(
                    f,
                    "a budget of {found} multiply-adds, inference and intervals take {needed}"
                )
            }
            SetupError::Memory { found, needed } => write!(
                f,
                "memory of {} floats and {} indices, expected {} and {}",
                found.floats, found.indices, needed.floats, needed.indices
            ),
            SetupError::Feature(name) => {
                write!(f, "it needs the feature `{name}` of certus-engine, which is left out")
            }
            SetupError::Regions(Misfit::Model) => {
                f.write_str("the table of regions is of another model")
            }
            SetupError::Regions(Misfit::Rule) => {
                f.write_str("the table of regions does not prove the rule, but another one")
            }
            SetupError::Regions(Misfit::Error) => {
                f.write_str("the table of regions is of a smaller sensor error")
            }
        }
    }
}

impl core::error::Error for SetupError {}

/// Below this, an input and its error add up to less than the engine's limit.
const LARGEST: f32 = MAGNITUDE_LIMIT / 2.0;

impl<'a> Setup<'a> {
    /// No limit but what the certificates take, see [`Setup::worst_case`].
    pub const NO_BUDGET: u64 = u64::MAX;
    /// The scales of [`Setup::new`].
    pub const SCALES: &'static [f32] = &[0.25, 0.5, 2.0, 4.0];

    /// Deployed semantics, [`Setup::SCALES`], no table of regions; each tick decides for itself (`enter`
    /// and `leave` 1).
    pub const fn new(
        range: (&'a [f32], &'a [f32]),
        error: SensorError<'a>,
        rule: Rule<'a>,
        fallback: &'a [f32],
        budget: u64,
        stale: u32,
    ) -> Self {
        Self {
            range,
            error,
            rule,
            fallback,
            budget,
            stale,
            enter: 1,
            leave: 1,
            scales: Self::SCALES,
            semantics: Semantics::Deployed,
            regions: None,
        }
    }

    /// Whether this fits the model and the memory found.
    pub(super) const fn check(&self, model: &Model<'_>, found: Size) -> Result<(), SetupError> {
        let (inputs, outputs) = (model.inputs(), model.outputs());
        if self.range.0.len() != inputs || self.range.1.len() != inputs {
            return Err(SetupError::Width(Part::Range));
        }
        if !ordered(self.range.0, self.range.1, LARGEST, true) {
            return Err(SetupError::Entry(Part::Range));
        }
        let round = match self.error {
            SensorError::Box(radii) if radii.len() != inputs => {
                return Err(SetupError::Width(Part::Error));
            }
            SensorError::Box(radii) => all_within(radii, 0.0, LARGEST),
            SensorError::Ball { radius, .. } => radius >= 0.0 && radius < LARGEST,
        };
        if !round {
            return Err(SetupError::Entry(Part::Error));
        }
        if let SensorError::Ball { norm, .. } = self.error
            && !NORMS
            && !matches!(norm, Norm::Linf)
        {
            return Err(SetupError::Feature("norms"));
        }
        if self.fallback.len() != outputs {
            return Err(SetupError::Width(Part::Fallback));
        }
        let kept = match self.rule {
            Rule::Limits { lo, hi } => {
                if lo.len() != outputs || hi.len() != outputs {
                    return Err(SetupError::Width(Part::Rule));
                }
                if !ordered(lo, hi, f32::INFINITY, false) {
                    return Err(SetupError::Entry(Part::Rule));
                }
                ordered(lo, self.fallback, f32::INFINITY, true)
                    && ordered(self.fallback, hi, f32::INFINITY, true)
            }
            Rule::Class { margin } => {
                if outputs < 2 {
                    return Err(SetupError::Outputs);
                }
                if !(margin >= 0.0 && margin < LARGEST) {
                    return Err(SetupError::Entry(Part::Rule));
                }
                all_within(self.fallback, f32::MIN, f32::INFINITY)
            }
        };
        if !kept {
            return Err(SetupError::Entry(Part::Fallback));
        }
        if !increasing(self.scales) {
            return Err(SetupError::Entry(Part::Scales));
        }
        if self.enter == 0 || self.leave == 0 {
            return Err(SetupError::Hysteresis);
        }
        if self.stale >= 1 << 31 {
            return Err(SetupError::Clock);
        }
        if let Some(regions) = &self.regions
            && let Some(misfit) = self.misfit(regions, model)
        {
            return Err(SetupError::Regions(misfit));
        }
        let needed = self.least_budget(model);
        if self.budget < needed {
            return Err(SetupError::Budget { found: self.budget, needed });
        }
        let needed = self.size(model, 1);
        if found.floats < needed.floats || found.indices < needed.indices {
            return Err(SetupError::Memory { found, needed });
        }
        Ok(())
    }

    /// What is wrong with an input, if anything.
    pub(super) fn fault(&self, x: &[f32]) -> Option<Fault> {
        let (lo, hi) = self.range;
        if x.len() != lo.len() {
            return Some(Fault::Width);
        }
        if let Some(i) = x.iter().position(|x| !x.is_finite()) {
            return Some(Fault::NotFinite(i));
        }
        let mut ends = x.iter().zip(lo.iter().zip(hi));
        ends.position(|(x, (lo, hi))| !(lo <= x && x <= hi)).map(Fault::Range)
    }
}

/// Whether each entry of `lo` is below that of `hi`, or `equal`, all of a magnitude below `most`.
const fn ordered(mut lo: &[f32], mut hi: &[f32], most: f32, equal: bool) -> bool {
    while let (Some((l, lows)), Some((h, highs))) = (lo.split_first(), hi.split_first()) {
        let small = l.abs() < most && h.abs() < most;
        if !(small && (*l < *h || (equal && *l == *h))) {
            return false;
        }
        (lo, hi) = (lows, highs);
    }
    lo.is_empty() && hi.is_empty()
}

/// Whether all entries lie in `[least, most)`.
const fn all_within(mut x: &[f32], least: f32, most: f32) -> bool {
    while let Some((first, rest)) = x.split_first() {
        if !(*first >= least && *first < most) {
            return false;
        }
        x = rest;
    }
    true
}

/// Whether all entries are positive and finite, each above the one before.
const fn increasing(mut x: &[f32]) -> bool {
    let mut last = 0.0;
    while let Some((first, rest)) = x.split_first() {
        if !(*first > last && *first < f32::INFINITY) {
            return false;
        }
        (last, x) = (*first, rest);
    }
    true
}
