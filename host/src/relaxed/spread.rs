//! Matrices known to within a radius in each entry, and their products with weights.

use certus_engine::model::{Layer, Row};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2};

use crate::geometry::interval::{Interval, add_up, mul_up};

/// All matrices with entries within `radius` of `centre`, `[rows][n]`.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The entries' middles.
    pub centre: Array2<f64>,
    /// How far an entry may be off, 0 or more; a NaN or an infinity where nothing is known.
    pub radius: Array2<f64>,
}

/// A layer's weights in f64, `[rows][cols]`, their magnitudes, and what the original ones may be off
/// by in proportion.
pub struct Wide {
    weights: Array2<f64>,
    sizes: Array2<f64>,
    error: f64,
}

impl Wide {
    /// Of a layer. Memory: 16 bytes a weight.
    pub fn new(layer: &Layer<'_>) -> Self {
        let mut weights = Array2::zeros((layer.rows, layer.cols));
        for (i, mut out) in weights.outer_iter_mut().enumerate() {
            match layer.row(i) {
                Row::F32(row) => out.iter_mut().zip(row).for_each(|(x, w)| *x = f64::from(*w)),
                Row::F16(row) => out.iter_mut().zip(row).for_each(|(x, w)| *x = w.to_f64()),
            }
        }
        let sizes = weights.mapv(f64::abs);
        Self { weights, sizes, error: f64::from(layer.weight_error) }
    }

    /// The stored weights.
    pub fn weights(&self) -> &Array2<f64> {
        &self.weights
    }
}

impl Spread {
    /// These numbers and no others.
    pub fn exact(centre: Array2<f64>) -> Self {
        let radius = Array2::zeros(centre.raw_dim());
        Self { centre, radius }
    }

    /// A middle and a radius for each of the intervals that `entry` gives.
    pub fn around(shape: (usize, usize), entry: impl Fn(usize, usize) -> Interval) -> Self {
        let mut spread = Self::exact(Array2::zeros(shape));
        for ((i, j), centre) in spread.centre.indexed_iter_mut() {
            let Interval { lo, hi } = entry(i, j);
            let radius = &mut spread.radius[(i, j)];
            if lo == hi {
                *centre = lo;
            } else if lo > -SMALL && hi < SMALL {
                *radius = SMALL;
            } else {
                *centre = 0.5 * lo + 0.5 * hi;
                let (below, above) = ((*centre - lo).next_up(), (hi - *centre).next_up());
                // So written that a NaN stays.
                *radius = if below > above { below } else { above };
                *radius = if *radius < SMALL { SMALL } else { *radius };
            }
        }
        spread
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.centre.nrows()
    }

    /// What entry `(i, j)` may be.
    pub fn interval(&self, i: usize, j: usize) -> Interval {
        let (centre, radius) = (self.centre[(i, j)], self.radius[(i, j)]);
        if radius == 0.0 {
            return Interval { lo: centre, hi: centre };
        }
        Interval { lo: (centre - radius).next_down(), hi: (centre + radius).next_up() }
    }

    /// `A W`, for rows of coefficients that go backward through a layer.
    pub fn back(&self, wide: &Wide) -> Self {
        self.product(wide.weights.view(), wide.sizes.view(), wide.error)
    }

    /// `A W'`, for points that go forward.
    pub fn forward(&self, wide: &Wide) -> Self {
        self.product(wide.weights.t(), wide.sizes.t(), wide.error)
    }

    /// All `a M` for `a` of these rows and `M` within `error * |W|` of the stored `W`, `[n][cols]`.
    ///
    /// With `c` and `r` the middle and radius of an entry of `a`, `e` the error and `S` the floats'
    /// sum for `c W`: `|a M - S| <= sum (|c| (gamma(n) + e) + r (1 + e)) |W|` and what underflow
    /// takes, for any order of the sums, fused or not (`soundness.md` 2); that sum is one of floats
    /// again, of terms of one sign: divided by `1 - gamma(n)` it holds.
    /// Work: two products in f64.
    fn product(&self, w: ArrayView2<'_, f64>, sizes: ArrayView2<'_, f64>, error: f64) -> Self {
        let n = self.centre.ncols();
        let gamma = gamma(n);
        let (share, whole) = (add_up(gamma, error), add_up(1.0, error));
        let mut shares = self.centre.mapv(|c| mul_up(c.abs(), share));
        shares.zip_mut_with(&self.radius, |sum, r| *sum = add_up(*sum, mul_up(*r, whole)));
        let mut centre = Array2::zeros((self.count(), w.ncols()));
        let mut radius = Array2::zeros(centre.raw_dim());
        general_mat_mul(1.0, &self.centre, &w, 0.0, &mut centre);
        general_mat_mul(1.0, &shares, &sizes, 0.0, &mut radius);
        // 1/(1 - gamma) <= 1 + 2 gamma; 2^-1075 may be lost in each product of either sum, which is
        // less than SMALL together.
        let inflate = add_up(1.0, 2.0 * gamma);
        radius.mapv_inplace(|r| add_up(mul_up(r, inflate), SMALL));
        Self { centre, radius }
    }
}

/// The least radius but 0, `2^-1000`: processors are slow where products of it are subnormal.
const SMALL: f64 = f64::from_bits((1023 - 1000) << 52);

/// Upper bound of `gamma(k) = k*u / (1 - k*u)`, `u = 2^-53`, with a rounding more for the scaling by
/// 1 within the GEMM.
fn gamma(k: usize) -> f64 {
    let share = (k + 1) as f64 * f64::EPSILON / 2.0;
    (share / (1.0 - share)).next_up()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn wide(weights: Array2<f64>, error: f64) -> Wide {
        Wide { sizes: weights.mapv(f64::abs), weights, error }
    }

    #[test]
    fn products_by_hand() {
        let w = wide(array![[1.0, -2.0, 0.0], [3.0, 0.5, 1.0]], 0.0);
        let a = Spread { centre: array![[2.0, -1.0]], radius: array![[0.25, 0.0]] };
        let back = a.back(&w);
        assert_eq!(back.centre, array![[-1.0, -4.5, -1.0]]);
        for (r, expected) in back.radius.iter().zip([0.25, 0.5, 0.0]) {
            assert!(*r >= expected && *r < expected + 1e-14, "{r} {expected}");
        }
        let x = Spread::exact(array![[1.0, 2.0, 4.0]]);
        let z = x.forward(&w);
        assert_eq!(z.centre, array![[-3.0, 8.0]]);
        assert!(z.radius.iter().all(|r| *r > 0.0 && *r < 1e-13), "{:?}", z.radius);
    }

    #[test]
    fn errors_of_the_weights_are_covered() {
        let w = wide(array![[2.0], [-4.0]], 0.25);
        let a = Spread { centre: array![[1.0, 1.0]], radius: array![[0.5, 0.0]] };
        let out = a.back(&w);
        // 1.5 * 2.5 - 3 at most, 0.5 * 1.5 - 5 at least, around -2.
        assert!(out.interval(0, 0).hi >= 0.75 && out.interval(0, 0).lo <= -4.25);
        assert!(out.radius[(0, 0)] < 2.76);
    }

    #[test]
    fn sums_that_cancel_are_enclosed() {
        // 2^53 + 1 - 2^53: the floats lose the 1 in some order.
        let big = 9_007_199_254_740_992.0;
        let a = Spread::exact(array![[1.0, 1.0, 1.0]]);
        let out = a.back(&wide(array![[big], [1.0], [-big]], 0.0)).interval(0, 0);
        assert!(out.lo <= 1.0 && out.hi >= 1.0);
        // Each product is 2^-1076.
        let small = f64::from_bits((1023 - 538) << 52);
        let out = Spread::exact(array![[small; 8]].into_shape_with_order((1, 8)).unwrap());
        let out = out.back(&wide(Array2::from_elem((8, 1), small), 0.0)).interval(0, 0);
        assert!(out.lo <= 0.0 && out.hi >= 2.0 * f64::from_bits(1));
    }

    #[test]
    fn intervals_are_covered_and_nan_stays() {
        let ends = [(0.1, 0.7), (-1.0, 1.0), (3.0, 3.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)];
        let entry = |_, j: usize| Interval { lo: ends[j].0, hi: ends[j].1 };
        let spread = Spread::around((1, ends.len()), entry);
        for (j, (lo, hi)) in ends.into_iter().enumerate().take(3) {
            let found = spread.interval(0, j);
            assert!(found.lo <= lo && found.hi >= hi && found.hi - found.lo < hi - lo + 1e-14);
        }
        assert!(spread.interval(0, 3).lo.is_nan() && !spread.interval(0, 4).lo.is_finite());
        assert_eq!(spread.radius[(0, 2)], 0.0);
        let out = spread.back(&wide(Array2::zeros((5, 1)), 0.0)).interval(0, 0);
        assert!(out.lo.is_nan());
    }
}
