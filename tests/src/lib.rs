//! Oracles and fixtures shared by the tests.
//!
//! * [`rational`]: floats as the exact rationals they are, and roundings back.
//! * [`region`]: input regions and exact membership.
//! * [`oracle`]: exact optima of small piecewise linear networks.
//! * [`geometry`]: exact distances to facets, decision boundaries and adversarial points.
//! * [`members`]: floats of a region, for what runs in floats.
//! * [`generate`]: seeded random networks, and networks that break careless verifiers.
//! * [`curves`]: curved activations in f64; [`curved`]: random networks of them.
//! * [`dense`]: the papers' bounds in f64, and a search for small outputs.
//! * [`rows`]: rows as solvers are asked about them, of the oracle's cases.
//! * [`outside`]: data from outside the project.
//! * [`naive`]: bounds that forget rounding, to show that those networks bite.
//! * [`ask`]: the engine in all its settings; [`truth`]: what refutes its answers; [`trial`]: a
//!   case in all of them.
//! * [`monitored`]: run-time monitors on memory of exactly their size.
//! * [`passes`]: forward passes in f32, each with its own order of sums.
//! * [`floats`]: floats that are hard on rounding.
//! * [`functions`]: references for the transcendental functions.
//! * [`plan`]: seeds and amounts.

pub mod ask;
pub mod curved;
pub mod curves;
pub mod dense;
pub mod floats;
pub mod functions;
pub mod generate;
pub mod geometry;
pub mod members;
pub mod monitored;
pub mod naive;
pub mod oracle;
pub mod outside;
pub mod passes;
pub mod plan;
pub mod rational;
pub mod region;
pub mod rows;
pub mod trial;
pub mod truth;
