//! The arc tangent.
//!
//! Derivation: `atan |x| = b + atan t` with `t = |x|`, `(|x| - 1)/(|x| + 1)` or `-1/|x|` and
//! `b = 0`, `pi/4` or `pi/2`, so that `|t| <= tan(pi/8)` (the addition theorem); b in two parts.
//! `atan t = t + t^3 p(t^2)`, p of degree 4 (Remez, `2^-30.4` relative). t takes up to three
//! roundings to a sum that is no smaller than it: less than two ulp.

use core::f32::consts::{FRAC_PI_2, FRAC_PI_4};

use super::{NEAR_ZERO, clamp};

/// The arc tangent.
pub fn atan(x: f32) -> f32 {
    // Beyond, all are the same float.
    let size = clamp(x.abs(), 0.0, 1.0 / NEAR_ZERO);
    let (base, low, t) = if size < 0.414_213_57 {
        (0.0, 0.0, size)
    } else if size < 2.414_213_7 {
        (FRAC_PI_4, -2.185_569_4e-8, (size - 1.0) / (size + 1.0))
    } else {
        (FRAC_PI_2, -4.371_139e-8, -1.0 / size)
    };
    let z = t * t;
    let p = ((-6.090_047e-2 * z + 0.105_991_68) * z - 0.142_443_91) * z + 0.199_985_28;
    let p = p * z - 0.333_333_16;
    (base + (t + (t * z * p + low))).copysign(x)
}
