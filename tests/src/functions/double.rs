//! Each function in f64, with a bound of its error far below an f32's last place.
//!
//! The bound, [`ERROR`], is `2^-40` relative: `2^13` roundings of f64. The system's `exp`, `exp_m1`,
//! `ln_1p`, `tanh` and `atan` claim one or two; the formulas over them have no subtraction but in
//! the normal distribution, where it costs `1/Phi(-3) < 2^10`. [`super::exact`] checks it.

use certus_engine::num::functions::Function;

/// Relative error of [`middle`].
pub const ERROR: f64 = 1.0 / (1u64 << 40) as f64;

/// Absolute error of [`middle`], for what underflows in f64: `2^-200`.
pub const UNDER: f64 = f64::from_bits((1023 - 200) << 52);

/// The function at x, off by [`ERROR`] and [`UNDER`] at most.
pub fn middle(function: Function, x: f32) -> f64 {
    let x = f64::from(x);
    match function {
        Function::Exp => x.exp(),
        Function::Expm1 => x.exp_m1(),
        Function::Sigmoid if x < 0.0 => x.exp() / (1.0 + x.exp()),
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Function::Tanh => x.tanh(),
        Function::Atan => x.atan(),
        Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Function::NormalCdf => normal_cdf(x),
        Function::NormalPdf => normal_pdf(x),
    }
}

/// An interval that holds the function at x: [`middle`] and its errors, cut to the values on x's
/// side of 0.
pub fn enclose(function: Function, x: f32) -> (f64, f64) {
    let y = middle(function, x);
    if y == f64::INFINITY {
        // e^x beyond f64, let alone f32; or x itself.
        return (f64::MAX, y);
    }
    let off = y.abs() * ERROR + UNDER;
    let (least, at_zero, most) = match function {
        Function::Exp => (0.0, 1.0, f64::INFINITY),
        Function::Expm1 => (-1.0, 0.0, f64::INFINITY),
        Function::Sigmoid | Function::NormalCdf => (0.0, 0.5, 1.0),
        Function::Tanh => (-1.0, 0.0, 1.0),
        Function::Atan => (-2.0, 0.0, 2.0),
        Function::Softplus | Function::NormalPdf => return ((y - off).max(0.0), y + off),
    };
    let low = if x >= 0.0 { at_zero } else { least };
    let high = if x <= 0.0 { at_zero } else { most };
    ((y - off).max(low), (y + off).min(high))
}

/// `x^2` is exact.
fn normal_pdf(x: f64) -> f64 {
    const PEAK: f64 = 0.398_942_280_401_432_7;
    (-0.5 * (x * x)).exp() * PEAK
}

/// `1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + ..)` near 0; further out, of the tail,
/// `phi(a) / (a + 1/(a + 2/(a + 3/(a + ..))))` (Abramowitz and Stegun, 26.2.11 and 26.2.14).
fn normal_cdf(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term.abs() > sum.abs() * f64::EPSILON / 64.0 {
            odd += 2.0;
            term *= x * x / odd;
            sum += term;
        }
        return 0.5 + normal_pdf(x) * sum;
    }
    if a > 40.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let depth = if a < 6.0 { 80 } else { 30 };
    let fraction = (1..=depth).rev().fold(a, |rest, k| a + f64::from(k) / rest);
    let tail = normal_pdf(x) / fraction;
    if x > 0.0 { 1.0 - tail } else { tail }
}
