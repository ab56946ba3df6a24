//! References for the engine's transcendental functions.
//!
//! * [`double`]: formulas in f64, good to `2^-40`, for millions of points.
//! * [`exact`]: intervals of 512 binary places, which check those.

pub mod double;
pub mod exact;
