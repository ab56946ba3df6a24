//! The geometry of piecewise linear networks.
//!
//! * [`DecisionBoundary`]: a certified radius of two-layer networks from all activation patterns at
//!   once; [`spectral_norm_up`], which it rests on.

mod decision_boundary;
mod interval;
mod norms;
mod spectral;

pub use decision_boundary::{DecisionBoundary, Denominator};
pub use norms::Norms;
pub use spectral::spectral_norm_up;
