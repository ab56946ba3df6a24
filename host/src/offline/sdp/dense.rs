//! Dense algebra of symmetric matrices in f64, by halves down to small blocks, so that products do the
//! work.
//!
//! Floats throughout, for what searches; what decides ([`super::proof`]) checks a factor by its product.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{
    Array1, Array2, ArrayBase, ArrayView2, ArrayViewMut2, Axis, Data, DataMut, Ix2, Slice,
};

/// Blocks of this order are not halved.
const SMALL: usize = 48;

/// `a b`.
pub fn product(a: &ArrayView2<'_, f64>, b: &ArrayView2<'_, f64>) -> Array2<f64> {
    let mut out = Array2::zeros((a.nrows(), b.ncols()));
    general_mat_mul(1.0, a, b, 0.0, &mut out);
    out
}

/// Some rows and columns.
pub fn part<S: Data<Elem = f64>>(
    a: &ArrayBase<S, Ix2>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayView2<'_, f64> {
    let mut part = a.view();
    part.slice_axis_inplace(Axis(0), Slice::from(rows));
    part.slice_axis_inplace(Axis(1), Slice::from(columns));
    part
}

/// Some rows and columns.
pub fn part_mut<S: DataMut<Elem = f64>>(
    a: &mut ArrayBase<S, Ix2>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayViewMut2<'_, f64> {
    let mut part = a.view_mut();
    part.slice_axis_inplace(Axis(0), Slice::from(rows));
    part.slice_axis_inplace(Axis(1), Slice::from(columns));
    part
}

/// The mean of a matrix and its transpose.
pub fn symmetric(mut a: Array2<f64>) -> Array2<f64> {
    for i in 0..a.nrows() {
        for j in 0..i {
            let mean = 0.5 * (a[[i, j]] + a[[j, i]]);
            (a[[i, j]], a[[j, i]]) = (mean, mean);
        }
    }
    a
}

/// The sum of the products of two matrices' entries.
pub fn inner(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    a.rows().into_iter().zip(b.rows()).map(|(a, b)| a.dot(&b)).sum()
}

/// The factor `L`, lower triangular, of `a = L L'`; none where it does not exist, as far as floats can
/// tell.
pub fn cholesky(mut l: Array2<f64>) -> Option<Array2<f64>> {
    factor(&mut l.view_mut())?;
    for (i, mut row) in l.rows_mut().into_iter().enumerate() {
        row.iter_mut().skip(i + 1).for_each(|a| *a = 0.0);
    }
    Some(l)
}

/// Replaces the lower triangle by the factor.
fn factor(a: &mut ArrayViewMut2<'_, f64>) -> Option<()> {
    let n = a.nrows();
    if n <= SMALL {
        for j in 0..n {
            let known = part(a, j..j + 1, 0..j).row(0).to_owned();
            let pivot = a[[j, j]] - known.dot(&known);
            if !(pivot > 0.0 && pivot < f64::INFINITY) {
                return None;
            }
            let root = pivot.sqrt();
            a[[j, j]] = root;
            for i in j + 1..n {
                a[[i, j]] = (a[[i, j]] - part(a, i..i + 1, 0..j).row(0).dot(&known)) / root;
            }
        }
        return Some(());
    }
    let (mut top, mut bottom) = a.view_mut().split_at(Axis(0), n / 2);
    let mut first = part_mut(&mut top, 0..n / 2, 0..n / 2);
    factor(&mut first)?;
    let (mut left, mut last) = bottom.view_mut().split_at(Axis(1), n / 2);
    divide(&mut left, &first.view());
    subtract_square(&mut last, &left.view());
    factor(&mut last)
}

/// `b` becomes `b inv(l)'`.
fn divide(b: &mut ArrayViewMut2<'_, f64>, l: &ArrayView2<'_, f64>) {
    let n = l.nrows();
    if n <= SMALL {
        let inverse = invert_small(l);
        let divided = product(&b.view(), &inverse.t());
        b.assign(&divided);
        return;
    }
    let (mut left, mut right) = b.view_mut().split_at(Axis(1), n / 2);
    divide(&mut left, &part(l, 0..n / 2, 0..n / 2));
    let corner = part(l, n / 2..n, 0..n / 2);
    general_mat_mul(-1.0, &left.view(), &corner.t(), 1.0, &mut right);
    divide(&mut right, &part(l, n / 2..n, n / 2..n));
}

/// The lower triangle of `a` becomes that of `a - b b'`; what is above may become anything.
fn subtract_square(a: &mut ArrayViewMut2<'_, f64>, b: &ArrayView2<'_, f64>) {
    let n = a.nrows();
    if n <= 2 * SMALL {
        general_mat_mul(-1.0, b, &b.t(), 1.0, a);
        return;
    }
    let (above, below) = b.split_at(Axis(0), n / 2);
    subtract_square(&mut part_mut(a, 0..n / 2, 0..n / 2), &above);
    subtract_square(&mut part_mut(a, n / 2..n, n / 2..n), &below);
    general_mat_mul(-1.0, &below, &above.t(), 1.0, &mut part_mut(a, n / 2..n, 0..n / 2));
}

/// The inverse of a lower triangle, by substitution.
fn invert_small(l: &ArrayView2<'_, f64>) -> Array2<f64> {
    let n = l.nrows();
    let mut inverse = Array2::<f64>::zeros((n, n));
    for i in 0..n {
        let mut row = Array1::zeros(n);
        row[i] = 1.0;
        for k in 0..i {
            row.scaled_add(-l[[i, k]], &inverse.row(k));
        }
        row /= l[[i, i]];
        inverse.row_mut(i).assign(&row);
    }
    inverse
}

/// The inverse of a lower triangle.
pub fn invert(l: &ArrayView2<'_, f64>) -> Array2<f64> {
    let n = l.nrows();
    if n <= SMALL {
        return invert_small(l);
    }
    let (first, last) =
        (invert(&part(l, 0..n / 2, 0..n / 2)), invert(&part(l, n / 2..n, n / 2..n)));
    let corner =
        product(&product(&last.view(), &part(l, n / 2..n, 0..n / 2)).view(), &first.view());
    let mut inverse = Array2::zeros((n, n));
    part_mut(&mut inverse, 0..n / 2, 0..n / 2).assign(&first);
    part_mut(&mut inverse, n / 2..n, n / 2..n).assign(&last);
    part_mut(&mut inverse, n / 2..n, 0..n / 2).assign(&-corner);
    inverse
}

/// `a x` of a symmetric matrix whose lower triangle is given.
pub fn times(a: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> {
    let mut out = Array1::zeros(x.len());
    for (i, row) in a.rows().into_iter().enumerate() {
        let (known, _) = row.split_at(Axis(0), i);
        let (before, _) = x.view().split_at(Axis(0), i);
        out[i] += known.dot(&before) + row[i] * x[i];
        let (mut first, _) = out.view_mut().split_at(Axis(0), i);
        first.scaled_add(x[i], &known);
    }
    out
}

/// The solution of `L L' x = b`.
pub fn solve(l: &Array2<f64>, b: &Array1<f64>) -> Array1<f64> {
    up(l, &down(l, b.clone()))
}

/// `inv(l) b`.
fn down(l: &Array2<f64>, mut b: Array1<f64>) -> Array1<f64> {
    for i in 0..b.len() {
        let (known, rest) = b.view_mut().split_at(Axis(0), i);
        let mut rest = rest;
        let row = l.row(i);
        rest[0] = (rest[0] - row.split_at(Axis(0), i).0.dot(&known)) / row[i];
    }
    b
}

/// `inv(l)' b`.
fn up(l: &Array2<f64>, b: &Array1<f64>) -> Array1<f64> {
    let mut x = b.clone();
    for i in (0..x.len()).rev() {
        let (mut before, mut rest) = x.view_mut().split_at(Axis(0), i);
        let row = l.row(i);
        rest[0] /= row[i];
        before.scaled_add(-rest[0], &row.split_at(Axis(0), i).0);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(n: usize, seed: u64) -> Array2<f64> {
        let mut rng = fastrand::Rng::with_seed(seed);
        Array2::from_shape_fn((n, n), |_| rng.f64() - 0.5)
    }

    fn most(a: &Array2<f64>) -> f64 {
        a.iter().fold(0.0, |most, a| most.max(a.abs()))
    }

    #[test]
    fn factors_and_inverses_multiply_back() {
        for n in [1, 2, 47, 48, 49, 97, 150, 333] {
            let a = random(n, n as u64);
            let a = product(&a.view(), &a.t()) + Array2::<f64>::eye(n);
            let l = cholesky(a.clone()).expect("positive definite");
            assert!(most(&(product(&l.view(), &l.t()) - &a)) < 1e-12 * n as f64, "{n}");
            let inverse = invert(&l.view());
            let one = product(&l.view(), &inverse.view());
            assert!(most(&(one - Array2::<f64>::eye(n))) < 1e-11 * n as f64, "{n}");
            let b = a.row(0).to_owned();
            let x = solve(&l, &b);
            assert!((x[0] - 1.0).abs() < 1e-10 && x.iter().skip(1).all(|x| x.abs() < 1e-10), "{n}");
        }
    }

    #[test]
    fn what_is_not_definite_has_no_factor() {
        for n in [1, 60, 200] {
            let mut a = Array2::<f64>::eye(n);
            a[[n - 1, n - 1]] = -1e-9;
            assert!(cholesky(a.clone()).is_none());
            a[[n - 1, n - 1]] = f64::NAN;
            assert!(cholesky(a.clone()).is_none());
        }
    }
}
