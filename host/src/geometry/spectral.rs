//! An upper bound of a matrix's spectral norm that holds in real arithmetic.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, Slice};
use rayon::prelude::*;

use super::interval::{add_up, mul_up, norm_up, sqrt_up};

/// The squaring ends once it gains less than this share: what is left to gain is then no more.
const ENOUGH: f64 = 5e-4;

/// Squarings at most: after them even `n` equal singular values make an excess of `n^(2^-19)`.
const MOST: usize = 18;

/// More than underflow takes from the norm of a product, `n*(k + 1)*2^-1074` for n x n entries of
/// `k` terms, and less than anything here that is not 0 depends on.
const UNDERFLOW: f64 = f64::from_bits((1023 - 1000) << 52);

/// An upper bound of `||W||_2`, the largest singular value of a matrix `[rows][cols]`.
///
/// With `A` the matrix, scaled by a power of two, `||A||^2 = ||A'A||`; a product `B` of floats in
/// any order of summation over `k` terms has `|B - A'A| <= gamma(k) |A|'|A|` (Higham, Accuracy and
/// Stability of Numerical Algorithms, 3.5; `soundness.md` 2), hence
/// `||A||^2 <= ||B|| + gamma(k) ||A||_F^2`. Squaring `B` again and again and taking the Frobenius
/// norm at the end gives Schatten norms of order 2, 4, 8, ..., which decrease to the spectral norm.
/// Their logarithm is convex in the reciprocal of the order, so that no more is left to gain than
/// the last squaring gained: the excess is at most 0.05 %, plus rounding, some `gamma(k) * rank`.
///
/// 0 exactly if every weight is 0; NaN, which bounds nothing, if one is not finite or there are
/// not `rows*cols` of them. Memory: two matrices of `n^2` f64, `n` the smaller side. Work:
/// `n*rows*cols`, then `n^3` multiply-adds each of rarely more than ten squarings, on all cores.
pub fn spectral_norm_up(rows: usize, cols: usize, weights: &[f32]) -> f64 {
    if rows.checked_mul(cols) != Some(weights.len()) || weights.iter().any(|w| !w.is_finite()) {
        return f64::NAN;
    }
    let largest = weights.iter().fold(0.0f32, |most, w| most.max(w.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    // Exact in f64, and no product of two entries underflows.
    let exponent = exponent(f64::from(largest));
    let scaled = weights.iter().map(|w| f64::from(*w) * power(-exponent)).collect();
    let mut a = Array2::from_shape_vec((rows, cols), scaled).expect("rows x cols");
    let mut frobenius = norm_up(a.iter().copied());
    let mut best = frobenius;
    let mut steps = Vec::new();
    // One row or column is its own singular vector.
    let most = if rows.min(cols) == 1 { 0 } else { MOST };
    for _ in 0..most {
        let k = a.len_of(inner(&a));
        let mut b = gram(&a);
        let size = norm_up(b.iter().copied());
        if !size.is_finite() || size < 0.25 / b.nrows() as f64 {
            break;
        }
        let scale = self::exponent(size);
        b *= power(-scale);
        let lost = add_up(mul_up(gamma(k), mul_up(frobenius, frobenius)), UNDERFLOW);
        steps.push(Step { scale: power(scale), lost });
        (a, frobenius) = (b, size * power(-scale));
        let bound = steps.iter().rev().fold(frobenius, |norm, step| step.back(norm));
        let gain = best / bound - 1.0;
        best = if bound < best { bound } else { best };
        if !(gain > ENOUGH) {
            break;
        }
    }
    best * power(exponent)
}

/// What was done to a matrix `A`: `B = fl(A'A) / scale`.
struct Step {
    scale: f64,
    /// Upper bound of `||fl(A'A) - A'A||`.
    lost: f64,
}

impl Step {
    /// An upper bound of `||A||` from one of `||B||`.
    fn back(&self, norm: f64) -> f64 {
        sqrt_up(add_up(mul_up(norm, self.scale), self.lost))
    }
}

/// The axis that `A'A` or `AA'`, whichever is smaller, sums over.
fn inner(a: &Array2<f64>) -> Axis {
    Axis(usize::from(a.nrows() < a.ncols()))
}

/// `A'A` or `AA'`, whichever is smaller: their norms are the same.
fn gram(a: &Array2<f64>) -> Array2<f64> {
    let (left, right) = if inner(a) == Axis(0) { (a.t(), a.view()) } else { (a.view(), a.t()) };
    let n = left.nrows();
    let mut out = Array2::zeros((n, n));
    let share = n.div_ceil(rayon::current_num_threads()).max(64);
    let parts: Vec<_> = out.axis_chunks_iter_mut(Axis(0), share).enumerate().collect();
    parts.into_par_iter().for_each(|(i, mut out)| {
        let rows = Slice::from(i * share..i * share + out.nrows());
        let left: ArrayView2<'_, f64> = left.slice_axis(Axis(0), rows);
        general_mat_mul(1.0, &left, &right, 0.0, &mut out);
    });
    out
}

/// Upper bound of `gamma(k) = k*u / (1 - k*u)` for sums of `k` products, `u = 2^-53`; one rounding
/// more is counted for the scaling by 1 within the library.
fn gamma(k: usize) -> f64 {
    let share = (k + 1) as f64 * f64::EPSILON / 2.0;
    (share / (1.0 - share)).next_up()
}

/// `e` with `2^e <= x < 2^(e+1)`, for normal positive `x`.
fn exponent(x: f64) -> i32 {
    (x.to_bits() >> 52) as i32 - 1023
}

/// `2^e` for `-1022 <= e <= 1023`.
fn power(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that the bound is above `truth`, by at most 0.1 %.
    #[track_caller]
    fn tight(rows: usize, cols: usize, weight: impl Fn(usize, usize) -> f32, truth: f64) {
        let weights: Vec<f32> = (0..rows * cols).map(|i| weight(i / cols, i % cols)).collect();
        let bound = spectral_norm_up(rows, cols, &weights);
        assert!(bound >= truth && bound <= truth * 1.001, "{rows} x {cols}: {bound}, not {truth}");
    }

    #[test]
    fn norms_that_are_known() {
        tight(5, 7, |i, j| if i == j { 3.0 - i as f32 } else { 0.0 }, 3.0);
        // Rank one: the product of the vectors' norms.
        tight(3, 4, |i, j| [1.0, 2.0, 2.0][i] * [3.0, 0.0, 0.0, -4.0][j], 15.0);
        // Hadamard: every singular value is the root of 64.
        tight(64, 64, |i, j| if (i & j).count_ones() % 2 == 0 { 1.0 } else { -1.0 }, 8.0);
        tight(130, 130, |i, j| if i == j { 1.0 } else { 0.0 }, 1.0);
        tight(40, 90, |_, _| 0.5, 30.0);
        tight(1, 3, |_, j| [3.0, 0.0, -4.0][j], 5.0);
        tight(3, 1, |i, _| [3.0, 0.0, -4.0][i], 5.0);
        tight(1, 1, |_, _| -0.1, f64::from(0.1f32));
        // Widely scaled, to the ends of f32.
        let ends = [f32::MAX, 1.0, f32::from_bits(1)];
        tight(3, 3, |i, j| if i == j { ends[i] } else { 0.0 }, f64::from(f32::MAX));
        tight(2, 2, |i, j| if i == j { ends[2] } else { 0.0 }, f64::from(ends[2]));
    }

    #[test]
    fn what_is_no_matrix_has_no_bound() {
        assert_eq!(spectral_norm_up(2, 3, &[0.0; 6]), 0.0);
        assert_eq!(spectral_norm_up(0, 3, &[]), 0.0);
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(spectral_norm_up(2, 2, &[1.0, 2.0, wrong, 0.0]).is_nan());
        }
        assert!(spectral_norm_up(2, 2, &[1.0; 3]).is_nan());
        assert!(spectral_norm_up(usize::MAX, 2, &[1.0; 3]).is_nan());
    }
}
