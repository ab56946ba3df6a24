//! The sigmoid and its integral, softplus.
//!
//! Derivation: with `e = e^-|x|`, which does not overflow, the sigmoid is `1 - q` or `e - e q` with
//! `q = e/(1 + e) <= 1/2`, whose own error counts by half at most; softplus is
//! `max(x, 0) + ln(1 + e)`.

use super::NEAR_ZERO;
use super::exp::exp;

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let q = e / (1.0 + e);
    if x > 0.0 {
        1.0 - q
    } else if e < NEAR_ZERO {
        e
    } else {
        e - e * q
    }
}

/// `ln(1 + e^x)`.
pub fn softplus(x: f32) -> f32 {
    let log = ln_1p(exp(-x.abs()));
    if x > 0.0 { x + log } else { log }
}

/// `ln(1 + e)` for e in [0, 1].
///
/// `1 + e = 2^k (1 + f)` with k = 0 and `f = e`, or k = 1 and `f = (e - 1)/2`, exact for
/// `e >= 1/2`. With `s = f/(2 + f)`, `ln(1 + f) = ln(1 + s) - ln(1 - s) = 2s + s R(s^2)`, written as
/// `f - (f^2/2 - s (f^2/2 + R))` so that s and R count in a correction only (FreeBSD's `e_log.c`); R
/// of degree 3 (Remez, `2^-28.4` relative to the sum).
fn ln_1p(e: f32) -> f32 {
    if e < NEAR_ZERO {
        return e;
    }
    let (high, low, f) = if e < 0.5 {
        (0.0, 0.0, e)
    } else {
        (core::f32::consts::LN_2, -1.904_654_2e-9, (e - 1.0) * 0.5)
    };
    let s = f / (2.0 + f);
    let z = s * s;
    let r = z * (z * (z * 0.303_644_4 + 0.399_576_57) + 0.666_669_5);
    let half_square = 0.5 * f * f;
    high + (f - ((half_square - s * (half_square + r)) - low))
}
