//! The normal distribution and its density.
//!
//! Derivation: `x = h + d`, h its leading 12 bits: `h^2` is exact and
//! `-x^2/2 = -h^2/2 - d(x + h)/2`, the second part below `2^-11` of the first, so that
//! `e^(-x^2/2) = 2^n (1 + t)` is as accurate as any other power of e.
//!
//! The density is `2^n (c + c t)`, `c = 1/sqrt(2 pi)` in two parts.
//!
//! The distribution is `1/2 + x (c + x^2 p(x^2))` for `|x| < 1`, p of degree 4 (Remez, `2^-28.4`
//! absolute). There it is at least 0.15, what is added at most 0.35.
//!
//! Further out, at `-a` it is `2^n (1 + t) R(a)`, `R(a) = e^(a^2/2) Phi(-a)` (Mills' ratio times c,
//! which falls like `c/a`). `R(a) = w r(w)` with `w = 1/(a + 2.125)`, r of degree 7 (Remez,
//! `2^-25.2` relative for a from 1 to 13). w is off by more than an ulp and R by almost twice that;
//! with the errors of r, of the power and of two products that makes 5 ulp where a float's relative
//! gap is least. At a it is `1 - Phi(-a)`, which takes a fifth of that.

use super::exp::{reduce, scale};

/// `1/sqrt(2 pi)`, rounded up.
pub const PEAK: f32 = 0.398_942_3;
/// `1/sqrt(2 pi)` less that.
const PEAK_LOW: f32 = -1.133_517e-8;

/// `(t, n)` with `e^(-a^2/2) = 2^n (1 + t)`, for a up to 15.
fn bell(a: f32) -> (f32, i32) {
    let h = f32::from_bits(a.to_bits() & 0xffff_f000);
    reduce(-0.5 * (h * h), -0.5 * ((a - h) * (a + h)))
}

/// `e^(-x^2/2) / sqrt(2 pi)`.
pub fn pdf(x: f32) -> f32 {
    let a = x.abs();
    // Here it is 1.8*ETA.
    if a > 13.1 {
        return 0.0;
    }
    let (t, n) = bell(a);
    scale(PEAK + (PEAK * t + PEAK_LOW), n)
}

/// `erfc(-x/sqrt 2) / 2`.
pub fn cdf(x: f32) -> f32 {
    let a = x.abs();
    // Here the tail is 1.9*ETA.
    if a > 12.9 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    if a < 1.0 {
        let z = x * x;
        let p = ((-7.600_739e-6 * z + 1.133_519_5e-4) * z - 1.186_213_3e-3) * z + 9.973_285e-3;
        let p = p * z - 6.649_036e-2;
        return 0.5 + (PEAK * x + x * (p * z + PEAK_LOW));
    }
    let w = 1.0 / (a + 2.125);
    let r = ((-40.989_42 * w + 64.887_085) * w - 34.565_056) * w + 3.545_712_2;
    let r = ((r * w + 0.707_835_9) * w + 1.442_249_1) * w + 0.846_245_35;
    let r = (r * w + 0.398_966_46) * w;
    let (t, n) = bell(a);
    let tail = scale(r + r * t, n);
    if x > 0.0 { 1.0 - tail } else { tail }
}
