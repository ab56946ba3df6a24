//! What a tick gives.

use super::machine::Mode;
use super::means::Means;

/// What is known of a tick. Only the first is a proof, and only if the true state is within the sensor
/// error of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// For every state within the sensor error of the input, the network in real arithmetic keeps the
    /// rule; under deployed semantics also [`crate::bounds::forward`] as it rounds, at every f32 point
    /// there: at the input itself, whose outputs are the command, and at the true state.
    Certified,
    /// The network's outputs at the input keep the rule. Within the sensor error it is not proved: it
    /// may be false, or the budget too small.
    Marginal,
    /// The input cannot be used, or the rule is broken.
    Violated(Fault),
    /// No valid input for longer than the setup allows before this one, or none ever.
    Stale,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The input has another number of entries than the model has inputs.
    Width,
    /// This input is NaN or infinite.
    NotFinite(usize),
    /// This input is outside the declared range.
    Range(usize),
    /// The network's own outputs, as computed, do not keep the rule or are not finite.
    Output,
    /// Proved: for every state within the sensor error an output is outside its limits.
    Everywhere,
    /// The memory is too small; cannot happen, being checked at construction.
    Memory,
}

/// What a tick gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report<'a> {
    /// What to send: the network's outputs, or the fallback.
    pub command: &'a [f32],
    /// Whose command that is.
    pub mode: Mode,
    /// What is known of the network's outputs, whichever command goes out.
    pub verdict: Verdict,
    /// The class of the network's outputs, for a rule on classes.
    pub class: Option<usize>,
    /// The largest part or multiple of the sensor error that was certified, 0 if none was: for a
    /// number s, what [`Verdict::Certified`] says holds within s times the error. At least 1 if
    /// certified.
    pub scale: f32,
    /// What gave the verdict, if certified, or found the limits broken.
    pub by: Option<Means>,
    /// Multiply-adds of this tick, at most [`super::Setup::worst_case`].
    pub work: u64,
    /// Ticks without a certificate up to this one, one after the other.
    pub misses: u32,
}
