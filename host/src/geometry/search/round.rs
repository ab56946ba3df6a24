//! Rounding in f64: the rules of `soundness.md` 2 with `u = 2^-53`.

use certus_engine::region::Norm;

/// Relative error of one operation.
pub(super) const U: f64 = f64::EPSILON / 2.0;

/// Above what underflow adds to one operation.
pub(super) const TINY: f64 = f64::MIN_POSITIVE;

/// Upper bound of `n*u / (1 - n*u)` for `n < 2^40`.
pub(super) fn gamma(n: usize) -> f64 {
    let t = n as f64 * U;
    (t / (1.0 - t) * (1.0 + 8.0 * U)).next_up()
}

/// Upper bound of a sum of `terms` non-negative products of up to four roundings each, whose
/// computed value is `sum`: `1/(1 - gamma(n)) <= 1 + 1.01*gamma(n)`, the rest is for the last steps.
pub(super) fn inflate(sum: f64, terms: usize) -> f64 {
    (sum * (1.0 + 3.0 * gamma(terms + 4)) + (terms + 4) as f64 * TINY).next_up()
}

/// Upper bound of `||row||_norm`; 0 for a row of zeros.
pub(super) fn norm_up<'a>(row: impl ExactSizeIterator<Item = &'a f64>, norm: Norm) -> f64 {
    let terms = row.len();
    let (mut most, mut sum, mut squares) = (0.0f64, 0.0, 0.0);
    for x in row {
        if x.is_nan() {
            return f64::INFINITY;
        }
        most = most.max(x.abs());
        sum += x.abs();
        squares += x * x;
    }
    match norm {
        _ if most == 0.0 => 0.0,
        Norm::Linf => most,
        Norm::L1 => inflate(sum, terms),
        Norm::L2 => inflate(squares, terms).sqrt().next_up(),
        // Refused by the search; infinity bounds nothing.
        Norm::Lp(_) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_norms_are_bounded_from_above() {
        // 2^53 + 1 + 1 + .. loses every one.
        let row: Vec<f64> = std::iter::once(9_007_199_254_740_992.0)
            .chain(std::iter::repeat_n(1.0, 1000))
            .collect();
        assert_eq!(row.iter().sum::<f64>(), row[0]);
        assert!(norm_up(row.iter(), Norm::L1) >= row[0] + 1000.0);
        assert!(norm_up(row.iter(), Norm::L1) <= row[0] * (1.0 + 1e-12));
        assert!(norm_up([3e-200, 4e-200].iter(), Norm::L2) >= 5e-200);
        let root = norm_up([1.0, 1.0].iter(), Norm::L2);
        assert!(root > std::f64::consts::SQRT_2 && root < 1.414_213_562_374);
        assert_eq!(norm_up([-3.0, 2.0].iter(), Norm::Linf), 3.0);
        assert_eq!(norm_up([0.0; 3].iter(), Norm::L2), 0.0);
        assert_eq!(norm_up([f64::NAN].iter(), Norm::Linf), f64::INFINITY);
        for n in [1usize, 1000, 1 << 20] {
            let t = n as f64 * U;
            assert!(gamma(n) > t && gamma(n) < t * (1.0 + 1e-9));
        }
    }
}
