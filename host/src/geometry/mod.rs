//! The geometry of piecewise linear networks: certificates from it, and regions to draw.
//!
//! * [`DecisionBoundary`]: a certified radius of two-layer networks from all activation patterns at
//!   once, or all that its ball can meet; [`spectral_norm_up`], which it rests on; [`Norms`]: of all layers, for the simplex
//!   certificate. Rounded outward: proofs.
//! * [`search`]: from linear region to linear region, until the nearest other answer is found.
//! * [`exact()`]: the exact distance of the nearest other answer, where it is known.
//! * [`regions`]: the linear regions over a window of a plane. In f64: pictures.

mod decision_boundary;
mod exact;
mod forms;
mod interval;
mod norms;
pub mod polygon;
mod regions;
pub mod search;
mod spectral;

pub use decision_boundary::{DecisionBoundary, Denominator};
pub(crate) use exact::ROUNDING;
pub use exact::exact;
pub use forms::Forms;
pub use norms::Norms;
pub use regions::{MAX_REGIONS, Piece, Plane, Window, regions};
pub use spectral::spectral_norm_up;
