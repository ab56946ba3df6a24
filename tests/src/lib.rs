//! Oracles and fixtures shared by the tests.
//!
//! * [`rational`]: floats as the exact rationals they are, and roundings back.
//! * [`region`]: input regions and exact membership.
//! * [`oracle`]: exact optima of small piecewise linear networks.
//! * [`members`]: floats of a region, for what runs in floats.
//! * [`generate`]: seeded random networks, and networks that break careless verifiers.
//! * [`naive`]: bounds that forget rounding, to show that those networks bite.

pub mod generate;
pub mod members;
pub mod naive;
pub mod oracle;
pub mod rational;
pub mod region;
