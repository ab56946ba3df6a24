//! `e^x`, `e^x - 1` and the hyperbolic tangent.
//!
//! Derivation: `x = n ln 2 + r` with n whole and `|r| <= ln(2)/2`, by Cody and Waite: ln 2 in two
//! parts, the first of 10 bits, so that n times it and the difference from x are exact. Then
//! `e^x = 2^n (1 + t)` with `t = e^r - 1 = r + r^2 q(r)`, q the polynomial of degree 4 that
//! minimises the relative error of `e^r` (Remez; `2^-28.2` on `|r| <= 0.3475` with its coefficients
//! rounded). t is off by half an ulp of its own and little more, for r enters with what its own
//! rounding lost; so `1 + t` is off by three quarters of an ulp.

use super::clamp;

/// `2^23 + 2^22`: a float of magnitude below `2^22` plus this, less this, is the nearest whole one.
const WHOLE: f32 = 12_582_912.0;
/// The first 10 bits of ln 2.
const LN_2_HIGH: f32 = 355.0 / 512.0;
/// `ln 2 - 355/512`.
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `(t, n)` with `e^(x + low) = 2^n (1 + t)` about, `|t| < 0.42`; `|low|` is well below 1 and so is
/// the rounding of `x + low`. For `|x|` up to 1000.
pub fn reduce(x: f32, low: f32) -> (f32, i32) {
    let n = ((x + low) * core::f32::consts::LOG2_E + WHOLE) - WHOLE;
    let high = x - n * LN_2_HIGH;
    let low = low - n * LN_2_LOW;
    let r = high + low;
    let lost = (high - r) + low;
    let q = ((1.383_839_8e-3 * r + 8.369_301e-3) * r + 4.166_808_7e-2) * r + 0.166_665_15;
    let q = q * r + 0.499_999_94;
    (r + (lost + r * r * q), n as i32)
}

/// `2^n` for `-126 <= n <= 127`.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// `y 2^n` for `|n| <= 252`, rounded once; infinite beyond the floats.
pub fn scale(y: f32, n: i32) -> f32 {
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n - half)
}

/// `e^x`; 0 instead of subnormal, infinite beyond the floats.
pub fn exp(x: f32) -> f32 {
    // Here it is ETA.
    if x < -87.336_54 {
        return 0.0;
    }
    let (t, n) = reduce(if x > 90.0 { 90.0 } else { x }, 0.0);
    scale(1.0 + t, n)
}

/// `e^x - 1 = 2^n t + (2^n - 1)`, the second exact for n up to 24 and as good as `2^n` beyond.
///
/// With large n all is divided by `2^n` until the end, lest it overflow too early.
pub fn expm1(x: f32) -> f32 {
    let (t, n) = reduce(clamp(x, -20.0, 90.0), 0.0);
    if n <= 0 {
        let power = power_of_two(n);
        power * t + (power - 1.0)
    } else {
        scale(t + (1.0 - power_of_two(-n.min(64))), n)
    }
}

/// The hyperbolic tangent: `x + x^3 p(x^2)` for `|x| < 0.625`, p of degree 4 (Remez, `2^-27.8`
/// relative), else `1 - 2/(e^(2|x|) + 1)` with the sign of x, whose quotient is at most 0.45 and so
/// takes its error of two ulp by half.
pub fn tanh(x: f32) -> f32 {
    let size = x.abs();
    if size < 0.625 {
        let z = x * x;
        let p = ((-5.714_064e-3 * z + 2.064_806_2e-2) * z - 5.374_277_4e-2) * z + 0.133_314_83;
        return x + x * z * (p * z - 0.333_332_84);
    }
    let (t, n) = reduce(clamp(2.0 * size, 0.0, 20.0), 0.0);
    (1.0 - 2.0 / (scale(1.0 + t, n) + 1.0)).copysign(x)
}
