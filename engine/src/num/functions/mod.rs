//! Transcendental functions in f32: computed values, and intervals that hold the true ones.
//!
//! Whatever is proved rests on [`Function::enclose`]; [`Function::value`] is what a deployed
//! network computes. Own code rather than a library's: only `+ - * /`, comparisons and powers of two
//! made of bits, so that a value has the same bits on each target that rounds to nearest, and no
//! other version of a library changes what was tested. Polynomials are minimax ones, by Remez'
//! algorithm; the errors given for them are those with coefficients rounded to f32.
//!
//! # Permitted errors
//!
//! The N-th float below `value` and the N-th float above it enclose the true function, where
//! `value` is at least `16*ETA` in magnitude. N, and the largest error over all floats in units of
//! the gap to the next float:
//!
//! | function | N | largest error |
//! |---|---|---|
//! | [`Function::Exp`] | 1 | 0.90 |
//! | [`Function::Expm1`] | 2 | 1.64 |
//! | [`Function::Sigmoid`] | 2 | 1.81 |
//! | [`Function::Tanh`] | 2 | 1.33 |
//! | [`Function::Atan`] | 2 | 1.93 |
//! | [`Function::Softplus`] | 2 | 1.67 |
//! | [`Function::NormalCdf`] | 6 | 5.39 |
//! | [`Function::NormalPdf`] | 2 | 1.20 |
//!
//! Source: comparison with a reference in f64, itself compared with exact arithmetic, on every f32
//! (`tests/tests/soundness_functions.rs`). The derivations beside the code say why the errors are
//! this small; the comparison is what the table rests on.
//!
//! # Flushing
//!
//! No operation of [`Function::value`] has a subnormal operand or result, so that the bits are the
//! same where a processor flushes those to 0, and no time is lost where it does not (a tenth of the
//! time over all arguments): those below `2^-30` take another way, and values that would be below
//! `2*ETA` may be 0. Enclosures of values below `16*ETA` reach `32*ETA` to both sides, which covers
//! that and a flushed argument. Whether an argument is 0 is read off its bits: a processor that flushes takes a
//! subnormal for 0.

use core::f32::consts::{FRAC_PI_2, LN_2};

use super::TINY;

mod atan;
mod exp;
mod logistic;
mod normal;

/// Below this magnitude a function is its value at 0, or x if that is 0: off by `x^2` at most where
/// it is x, by `|x|` elsewhere. Both are below `2^-5` ulp.
const NEAR_ZERO: f32 = 1.0 / (1u32 << 30) as f32;

/// A smooth activation, or what one is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `e^x`.
    Exp,
    /// `e^x - 1`.
    Expm1,
    /// `1 / (1 + e^-x)`, relative accuracy where it is near 0.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Arc tangent, in `[-pi/2, pi/2]`.
    Atan,
    /// `ln(1 + e^x)`, relative accuracy where it is near 0.
    Softplus,
    /// The normal distribution `Phi(x) = erfc(-x/sqrt 2)/2`, relative accuracy where it is near 0.
    NormalCdf,
    /// The normal density `e^(-x^2/2) / sqrt(2 pi)`, relative accuracy where it is near 0.
    NormalPdf,
}

impl Function {
    /// Each of them.
    pub const ALL: [Function; 8] = [
        Function::Exp,
        Function::Expm1,
        Function::Sigmoid,
        Function::Tanh,
        Function::Atan,
        Function::Softplus,
        Function::NormalCdf,
        Function::NormalPdf,
    ];

    /// The function at x as computed: the same bits on each target; NaN for NaN, the limits at the
    /// infinities.
    ///
    /// It lies within [`Function::enclose`]. It need not be monotone.
    pub fn value(self, x: f32) -> f32 {
        if x.is_nan() {
            // What arithmetic makes of a NaN's bits differs from target to target.
            return f32::NAN;
        }
        if x.abs() < NEAR_ZERO {
            return match self {
                Function::Exp => 1.0,
                Function::Sigmoid | Function::NormalCdf => 0.5,
                Function::Expm1 | Function::Tanh | Function::Atan => x,
                Function::Softplus => LN_2,
                Function::NormalPdf => normal::PEAK,
            };
        }
        let y = match self {
            Function::Exp => exp::exp(x),
            Function::Expm1 => exp::expm1(x),
            Function::Sigmoid => logistic::sigmoid(x),
            Function::Tanh => exp::tanh(x),
            Function::Atan => atan::atan(x),
            Function::Softplus => logistic::softplus(x),
            Function::NormalCdf => normal::cdf(x),
            Function::NormalPdf => normal::pdf(x),
        };
        let (least, most) = self.range(x);
        clamp(y, least, most)
    }

    /// Permitted error N of [`Function::value`] in units in the last place: the N-th float below
    /// it and the N-th above it enclose the true value, where it is at least `16*ETA` in magnitude.
    pub const fn ulps(self) -> u32 {
        match self {
            Function::Exp => 1,
            Function::Expm1 => 2,
            Function::Sigmoid => 2,
            Function::Tanh => 2,
            Function::Atan => 2,
            Function::Softplus => 2,
            Function::NormalCdf => 6,
            Function::NormalPdf => 2,
        }
    }

    /// `(lo, hi)` with `lo <= f(x) <= hi` for the real function f at this very x; `hi` is infinite
    /// only where f passes the finite floats.
    ///
    /// [`Function::value`] less and plus the permitted error, cut to the function's range on x's
    /// side of 0; exact at 0 where that range is a point. NaN for NaN; at the infinities the limits
    /// are enclosed. Work: one value.
    pub fn enclose(self, x: f32) -> (f32, f32) {
        let y = self.value(x);
        if y.is_nan() {
            return (y, y);
        }
        let (least, most) = self.range(x);
        let (low, high) = (-beyond(-y, self.ulps()), beyond(y, self.ulps()));
        (if low < least { least } else { low }, if high > most { most } else { high })
    }

    /// An interval of all values on x's side of 0.
    fn range(self, x: f32) -> (f32, f32) {
        // ln 2, pi/2 and 1/sqrt(2 pi) lie below these, and above the floats before them.
        let (least, middle, most) = match self {
            Function::Exp => (0.0, 1.0, f32::INFINITY),
            Function::Expm1 => (-1.0, 0.0, f32::INFINITY),
            Function::Sigmoid | Function::NormalCdf => (0.0, 0.5, 1.0),
            Function::Tanh => (-1.0, 0.0, 1.0),
            Function::Atan => (-FRAC_PI_2, 0.0, FRAC_PI_2),
            Function::Softplus if x.is_sign_negative() => return (0.0, LN_2),
            Function::Softplus => return (LN_2.next_down(), f32::INFINITY),
            Function::NormalPdf => return (0.0, normal::PEAK),
        };
        if x.to_bits() << 1 == 0 {
            (middle, middle)
        } else if x.is_sign_negative() {
            (least, middle)
        } else {
            (middle, most)
        }
    }
}

/// `y` cut to an interval; NaN stays.
fn clamp(y: f32, least: f32, most: f32) -> f32 {
    if y < least {
        least
    } else if y > most {
        most
    } else {
        y
    }
}

/// The n-th float above y, infinity being the last; a fixed step where y is small.
fn beyond(y: f32, n: u32) -> f32 {
    if y.abs() < TINY {
        y + 2.0 * TINY
    } else if y > 0.0 {
        f32::from_bits((y.to_bits() + n).min(f32::INFINITY.to_bits()))
    } else {
        f32::from_bits(y.to_bits() - n)
    }
}

#[cfg(test)]
mod tests;
