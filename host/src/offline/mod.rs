//! What propagation leaves open: stronger relaxations, by solvers.
//!
//! Solvers search, our own arithmetic decides (`soundness.md` 8): what a solver finds becomes slopes
//! for the engine, or multipliers whose bound is added up with every rounding ([`sdp::proof`]), so its
//! word on a value, an optimum or its own accuracy is never relied upon.
//!
//! * [`lp`]: the layer-wise relaxation as a linear program, at its end or for every neuron.
//! * [`dual`]: the dual of the first of the two, climbed.
//! * [`sdp`]: the semidefinite relaxation, which ties neurons to one another.

pub mod dual;
pub mod lp;
pub mod sdp;
