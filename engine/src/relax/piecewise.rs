//! ReLU and leaky ReLU: `max(z, leak*z)` with `0 <= leak <= 1`.

use super::{LowerSlope, Relaxation};
use crate::num::{mul_up, sub_up};

/// Lines of `max(z, leak*z)` over `[lo, hi]`.
///
/// Unstable, upper: the chord's slope `s` in floats, kept in `[leak, 1]`; `sigma(z) - s*z` is
/// convex, so the intercept is the larger of its values at the ends, `(s - leak)*(-lo)` and
/// `(1 - s)*hi`, rounded up. Lower: `s*z` for any `s` in `[leak, 1]`, intercept 0 exactly
/// (paper 003, table 2).
pub(super) fn relax(leak: f32, lo: f32, hi: f32, lower: LowerSlope) -> Relaxation {
    if lo >= 0.0 || leak == 1.0 {
        return Relaxation::linear(1.0);
    }
    if hi <= 0.0 {
        return Relaxation::linear(leak);
    }
    let chord = (hi - leak * lo) / (hi - lo);
    let slope_up = if chord >= 1.0 {
        1.0
    } else if chord > leak {
        chord
    } else {
        leak
    };
    let at_lo = mul_up(sub_up(slope_up, leak), -lo);
    let at_hi = mul_up(sub_up(1.0, slope_up), hi);
    let slope_lo = match lower {
        LowerSlope::Adaptive => {
            if hi >= -lo {
                1.0
            } else {
                leak
            }
        }
        LowerSlope::Zero => leak,
        LowerSlope::One => 1.0,
        LowerSlope::SameAsUpper => slope_up,
    };
    let icpt_up = if at_lo > at_hi { at_lo } else { at_hi };
    Relaxation { slope_lo, icpt_lo: 0.0, slope_up, icpt_up }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Activation;
    use crate::relax::{range, relax as any};

    #[test]
    fn relu_by_hand() {
        let r = relax(0.0, -1.0, 3.0, LowerSlope::Adaptive);
        assert_eq!((r.slope_lo, r.icpt_lo, r.slope_up), (1.0, 0.0, 0.75));
        assert!(r.icpt_up >= 0.75 && r.icpt_up < 0.750_001);
        assert_eq!(relax(0.0, -3.0, 1.0, LowerSlope::Adaptive).slope_lo, 0.0);
        assert_eq!(relax(0.0, -3.0, 1.0, LowerSlope::SameAsUpper).slope_lo, 0.25);
        assert!(relax(0.0, -3.0, 0.0, LowerSlope::One).is_dead());
        assert_eq!(relax(0.0, 0.0, 2.0, LowerSlope::Zero), Relaxation::linear(1.0));
    }

    #[test]
    fn lines_enclose_in_exact_arithmetic() {
        let ends = [1e-30f32, 1e-7, 0.3, 1.0, 1.000_000_1, 7.5, 1e10, 1e25];
        let leaks = [0.0f32, 1e-30, 0.01, 0.1, 0.5, 0.999_999_9, 1.0];
        let triples = (0..ends.len() * ends.len() * leaks.len()).map(|i| {
            let (pair, leak) = (i / leaks.len(), leaks[i % leaks.len()]);
            (-ends[pair / ends.len()], ends[pair % ends.len()], leak)
        });
        for (lo, hi, leak) in triples {
            for lower in
                [LowerSlope::Adaptive, LowerSlope::Zero, LowerSlope::One, LowerSlope::SameAsUpper]
            {
                let r = any(Activation::LeakyRelu(leak), lo, hi, lower);
                // Piecewise linear: the ends and 0 decide. Products of two f32 are exact in f64, and
                // the one sum is compared without rounding by moving the intercept over.
                for z in [f64::from(lo), 0.0, f64::from(hi)] {
                    let sigma = if z < 0.0 { f64::from(leak) * z } else { z };
                    let upper = sigma - f64::from(r.slope_up) * z;
                    assert!(upper <= f64::from(r.icpt_up) * (1.0 + 1e-15), "{lo} {hi} {leak}");
                    assert!(f64::from(r.slope_lo) * z <= sigma);
                }
                assert!(r.slope_up >= leak && r.slope_up <= 1.0);
            }
        }
    }

    #[test]
    fn range_covers_the_rounded_activation() {
        let leak = Activation::LeakyRelu(0.1);
        let (lo, hi) = range(leak, -0.7, -0.3);
        assert!(lo < leak.apply(-0.7) && hi > leak.apply(-0.3));
        assert_eq!(range(Activation::Relu, -1.0, 2.0), (0.0, 2.0));
    }
}
