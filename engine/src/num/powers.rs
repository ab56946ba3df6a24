//! Sums of powers and their roots, never below the true ones: norms of a general exponent.
//!
//! In f64, by `libm::pow`, whose error its authors state as below one unit in the last place
//! (`2^-52` relative) where the result is normal; `SLACK` charges 4096 times that.

use super::{ETA, from_f64_up, up};

/// Relative error charged to one power, `2^-40`.
const SLACK: f64 = 1.0 / (1u64 << 40) as f64;

/// Absolute error charged to one power of a number of magnitude 1, `2^-1000`: what underflows.
const UNDER: f64 = f64::from_bits((1023 - 1000) << 52);

/// `sum (|x_i| / scale)^q` for one `q >= 1`, as computed.
#[derive(Clone, Copy, Debug)]
pub struct Powers {
    q: f64,
    scale: f64,
    sum: f64,
    terms: usize,
}

impl Powers {
    /// No terms yet; `scale >= 0` should be about the largest magnitude, so that no power overflows
    /// and the large ones do not underflow.
    pub fn new(q: f64, scale: f64) -> Self {
        Self { q, scale, sum: 0.0, terms: 0 }
    }

    /// Adds `(|x| / scale)^q` and returns it as computed; what is NaN stays NaN.
    #[inline]
    pub fn add(&mut self, x: f64) -> f64 {
        self.terms += 1;
        // Most are 0 where boxes and activations cut.
        let power = if x == 0.0 { 0.0 } else { libm::pow(x.abs() / self.scale, self.q) };
        self.sum += power;
        power
    }

    /// Upper bound of `(sum |x_i|^q)^(1/q)`; NaN or infinite where there is none.
    ///
    /// A quotient's error is a factor `1 + 2^-53` of an entry, hence of the norm, or of an entry
    /// whose power is below `UNDER`. A power loses `SLACK` and `UNDER`, a sum of n positive terms in
    /// order a part `n*2^-52` (Higham, 4.2). The root loses `SLACK`: `pow`'s own error, and for
    /// `1/q` being rounded `2^-53 |ln sum|/q`, with `|ln sum| < 710`.
    pub fn root_up(&self) -> f64 {
        let n = self.terms as f64;
        let sum = self.sum * (1.0 + (SLACK + n * (4.0 * f64::EPSILON))) + n * UNDER;
        let root = if sum == 0.0 { 0.0 } else { libm::pow(sum, 1.0 / self.q) };
        let bound = self.scale * root * (1.0 + 2.0 * SLACK);
        // A subnormal's rounding is no longer relative.
        if bound > 0.0 { bound.next_up() } else { bound }
    }
}

/// Upper bound of `(sum |x_i|^q)^(1/q)`, `q >= 1`; infinite if an entry is not finite.
///
/// Source: [`Powers::root_up`]. Work: two passes, one power an entry.
pub fn power_norm_up(x: impl Iterator<Item = f64> + Clone, q: f64) -> f64 {
    let mut largest = 0.0;
    for x in x.clone() {
        if !x.is_finite() {
            return f64::INFINITY;
        }
        if x.abs() > largest {
            largest = x.abs();
        }
    }
    let mut powers = Powers::new(q, largest);
    for x in x {
        powers.add(x);
    }
    powers.root_up()
}

/// [`power_norm_up`] of `terms` floats as a float: each may have been flushed to 0, and so may the
/// result.
pub fn narrow_up(norm: f64, terms: usize) -> f32 {
    if norm.is_nan() {
        return f32::INFINITY;
    }
    up(from_f64_up(norm + terms as f64 * f64::from(ETA)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Just above `expected`.
    fn near(found: f64, expected: f64) {
        assert!(found >= expected && found <= expected * (1.0 + 1e-11), "{found} {expected}");
    }

    #[test]
    fn norms_by_hand() {
        // 27 + 64 + 125 = 216.
        near(power_norm_up([3.0, -4.0, 5.0].into_iter(), 3.0), 6.0);
        // 30^4 + 120^4 + 272^4 + 315^4 = 353^4.
        near(power_norm_up([30.0, 120.0, -272.0, 315.0].into_iter(), 4.0), 353.0);
        // 8 + 27 + 1 = 36, of 1.5 = 3/2: 36^(2/3).
        let root = power_norm_up([4.0, 9.0, 1.0].into_iter(), 1.5);
        near(root * root * root, 36.0 * 36.0);
        near(power_norm_up([1e200, 1e200].into_iter(), 1.0), 2e200);
        near(power_norm_up([3e-200, 4e-200].into_iter(), 2.0), 5e-200);
        let pair = 7.0 * 2f64.powf(1.0 / 8_388_609.0);
        near(power_norm_up([7.0, 7.0].into_iter(), 8_388_609.0), pair);
        assert_eq!(power_norm_up([0.0, -0.0].into_iter(), 1.5), 0.0);
        assert_eq!(power_norm_up(core::iter::empty(), 1.5), 0.0);
    }

    #[test]
    fn what_is_no_number_is_no_norm() {
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(power_norm_up([1.0, wrong].into_iter(), 3.0), f64::INFINITY);
        }
        let mut powers = Powers::new(3.0, 1.0);
        powers.add(f64::NAN);
        powers.add(1.0);
        assert!(powers.root_up().is_nan());
        assert_eq!(narrow_up(f64::NAN, 1), f32::INFINITY);
        assert_eq!(narrow_up(1e300, 1), f32::INFINITY);
        assert!(f64::from(narrow_up(0.1, 1)) > 0.1 && narrow_up(0.1, 1) < 0.100_000_02);
        assert!(narrow_up(0.0, 3) >= 3.0 * ETA);
    }
}
