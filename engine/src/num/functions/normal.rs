//! The normal distribution and its density.
//!
//! Derivation: `x = h + d`, h its leading 12 bits: `h^2` is exact and
//! `-x^2/2 = -h^2/2 - d(x + h)/2`, the second part below `2^-11` of the first, so that
//! `e^(-x^2/2) = 2^n (1 + t)` is as accurate as any other power of e.
//!
//! The density is `2^n (c + c t)`, `c = 1/sqrt(2 pi)` in two parts.
//!
//! The distribution at `-a <= 0` is `2^n (1 + t) R(a)`, `R(a) = e^(a^2/2) Phi(-a)` (Mills' ratio
//! times c, which falls from 1/2 like `c/a`). `(a + 4) R(a)` is a polynomial of degree 9 in
//! `y = (a - 4)/(a + 4)` (Remez, `2^-25.6` relative for a up to 14.5). At `a > 0` it is
//! `1 - Phi(-a)`, which is at least 1/2 and takes the error of the other by half.

use super::clamp;
use super::exp::{reduce, scale};

/// `1/sqrt(2 pi)`, rounded up.
pub const PEAK: f32 = 0.398_942_3;
/// `1/sqrt(2 pi)` less that.
const PEAK_LOW: f32 = -1.133_517e-8;
/// From here on both are below half of the smallest float.
const END: f32 = 14.5;

/// `(t, n)` with `e^(-a^2/2) = 2^n (1 + t)`, for a in `[0, END]`.
fn bell(a: f32) -> (f32, i32) {
    let h = f32::from_bits(a.to_bits() & 0xffff_f000);
    reduce(-0.5 * (h * h), -0.5 * ((a - h) * (a + h)))
}

/// `e^(-x^2/2) / sqrt(2 pi)`.
pub fn pdf(x: f32) -> f32 {
    let (t, n) = bell(clamp(x.abs(), 0.0, END));
    scale(PEAK + (PEAK * t + PEAK_LOW), n)
}

/// `erfc(-x/sqrt 2) / 2`.
pub fn cdf(x: f32) -> f32 {
    let a = clamp(x.abs(), 0.0, END);
    let d = 1.0 / (a + 4.0);
    let y = (a - 4.0) * d;
    let g = (-1.093_396_64e-4 * y + 2.099_257_8e-4) * y + 1.555_342e-3;
    let g = ((g * y - 3.539_153_1e-3) * y - 7.522_34e-3) * y + 6.041_119_2e-2;
    let g = ((g * y - 0.186_523_77) * y + 0.387_136_25) * y - 0.607_896_57;
    let r = (g * y + 0.755_285_14) * d;
    let (t, n) = bell(a);
    let tail = scale(r + r * t, n);
    if x > 0.0 { 1.0 - tail } else { tail }
}
