//! Sound f32 bounds for small neural networks, on a microcontroller and on a workstation alike.
//!
//! Top-down, each with its audience:
//!
//! * [`monitor`]: a network in a control loop, each tick certified within a budget. Start here in
//!   firmware.
//! * [`bounds`]: output bounds and margins of a network over a region, by interval arithmetic or
//!   by back-substitution (CROWN, Fast-Lin). Start here on a workstation.
//! * [`simplex`]: the distance to the nearest face of a point's linear region.
//! * [`certificate`]: what a bound proves.
//! * [`model`]: the model blob, a view over words in flash; [`region`]: sets of inputs;
//!   [`spec`]: what is asked of the outputs.
//! * [`regions`]: boxes of inputs that were certified beforehand, a table in flash.
//! * [`relax`]: the two lines that bound an activation.
//! * [`num`]: rounding. Everything above is a proof in real arithmetic because of what is here.
//!
//! No allocation, no panic, no `unsafe`. All memory is the caller's: [`bounds::Size`] says how
//! much, at compile time where the model is known there.
//!
//! # Features
//!
//! All on by default. Left out, each makes a program smaller, and changes no bound of what is left:
//!
//! * `curved`: activations beside the identity, the ReLU and the leaky ReLU. Without it a model that
//!   has others is refused ([`model::BlobError::Feature`]), at compile time where it is read there.
//! * `norms`: balls beside those of linf. Without it such a region is refused
//!   ([`region::RegionError::Feature`]), and a monitor for such a sensor error
//!   ([`monitor::SetupError::Feature`]).
//! * `simplex`: the simplex certificate among a monitor's means. Without it a monitor certifies by
//!   intervals and CROWN alone; [`simplex::simplex`] itself stays.
//!
//! # Bounds
//!
//! What a bound means: let `N` be the network with exactly the stored weights in real arithmetic
//! and `R` the exact real region. A lower bound is at most the minimum of the specification over
//! `R`, under `Semantics::Real` for `N`, under `Semantics::Deployed` also for [`bounds::forward`]
//! as it rounds.
#![no_std]
// No accessor of a checked model, and no bound, may panic.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]

pub mod bounds;
pub mod certificate;
mod features;
pub mod model;
pub mod monitor;
pub mod num;
pub mod region;
pub mod regions;
pub mod relax;
pub mod simplex;
pub mod spec;
