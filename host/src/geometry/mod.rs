//! The geometry of piecewise linear networks: certificates from it, and regions to draw.
//!
//! * [`DecisionBoundary`]: a certified radius of two-layer networks from all activation patterns at
//!   once; [`spectral_norm_up`], which it rests on. Rounded outward: proofs.
//! * [`regions`]: the linear regions over a window of a plane; [`Local`]: the distances to the
//!   nearest facet and decision boundary at a point. In f64: pictures.

mod decision_boundary;
mod forms;
mod interval;
mod local;
pub mod polygon;
mod regions;
mod spectral;

pub use decision_boundary::{DecisionBoundary, Denominator};
pub use forms::Forms;
pub use local::Local;
pub use regions::{MAX_REGIONS, Piece, Plane, Window, regions};
pub use spectral::spectral_norm_up;
