//! The walks of a search in floats: rows back to the inputs, points forward through the lines.

use certus_engine::region::Norm;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1};

use super::Around;
use super::lines::Lines;
use crate::slopes::live::Live;

/// Replaces the activations of a row by their lines, in place; gives what the intercepts add.
pub(super) fn relax(row: &mut [f32], lines: &Lines, set: usize) -> f32 {
    let at = set * row.len();
    let mut constant = 0.0;
    for (i, a) in row.iter_mut().enumerate() {
        let side = if *a > 0.0 { &lines.lower } else { &lines.upper };
        constant += *a * side.icpt[at + i];
        *a *= side.slope[at + i];
    }
    constant
}

/// Activations at pre-activations `z` by the lines that a row with coefficients `a` takes.
pub(super) fn apply(z: &mut [f32], a: &[f32], lines: &Lines, set: usize) {
    let at = set * z.len();
    for (i, (z, a)) in z.iter_mut().zip(a).enumerate() {
        let side = if *a > 0.0 { &lines.lower } else { &lines.upper };
        *z = side.slope[at + i] * *z + side.icpt[at + i];
    }
}

/// `rows * weights`, and what the biases add to each row.
pub(super) fn back(rows: &Array2<f32>, layer: &Live, constants: &mut [f32]) -> Array2<f32> {
    let mut out = Array2::zeros((rows.nrows(), layer.weights.ncols()));
    general_mat_mul(1.0, rows, &layer.weights, 0.0, &mut out);
    let bias = ArrayView1::from(&layer.bias);
    for (row, constant) in rows.rows().into_iter().zip(constants) {
        *constant += row.dot(&bias);
    }
    out
}

/// Pre-activations of points, one a row.
pub(super) fn forth(points: &Array2<f32>, layer: &Live) -> Array2<f32> {
    let mut out = Array2::zeros((points.nrows(), layer.bias.len()));
    let bias = ArrayView1::from(&layer.bias);
    out.rows_mut().into_iter().for_each(|mut row| row.assign(&bias));
    general_mat_mul(1.0, points, &layer.weights.t(), 1.0, &mut out);
    out
}

/// Where each row is least over the ball, into the rows of `points`.
pub(super) fn all_least(around: &Around<'_>, rows: &Array2<f32>, points: &mut Array2<f32>) {
    for (row, mut point) in rows.rows().into_iter().zip(points.rows_mut()) {
        let row = row.to_slice().expect("a row of its own");
        least(around, row, point.as_slice_mut().expect("a row of its own"));
    }
}

/// Where a row is least over the ball, into `point`; within the box as far as cutting goes.
fn least(around: &Around<'_>, row: &[f32], point: &mut [f32]) {
    let epsilon = around.epsilon as f32;
    // By Hoelder's inequality: as far in each coordinate for linf, along the row for l2, all in the
    // steepest one for l1, and in between by |a|^(q-1), q dual to p.
    if around.norm == Norm::Linf {
        put(around, row, point, |a| if a == 0.0 { 0.0 } else { epsilon });
        return;
    }
    let steepest = row.iter().fold(0.0f32, |m, a| m.max(a.abs()));
    let share = |a: f32| match around.norm {
        _ if steepest == 0.0 => 0.0,
        Norm::Linf => 1.0,
        Norm::L2 => a.abs() / steepest,
        Norm::L1 => f32::from(u8::from(a.abs() == steepest)),
        Norm::Lp(p) => (a.abs() / steepest).powf(1.0 / (p.get() - 1.0)),
    };
    let length = match around.norm {
        Norm::Linf => 1.0,
        Norm::L2 => row.iter().map(|a| share(*a).powi(2)).sum::<f32>().sqrt(),
        Norm::L1 => row.iter().map(|a| share(*a)).sum::<f32>(),
        Norm::Lp(p) => {
            let p = p.get();
            row.iter().map(|a| share(*a).powf(p)).sum::<f32>().powf(1.0 / p)
        }
    };
    let scale = if length > 0.0 { epsilon / length } else { 0.0 };
    put(around, row, point, |a| scale * share(a));
}

/// The centre less `way` in each coordinate, with the coefficient's sign, moved into the box.
fn put(around: &Around<'_>, row: &[f32], point: &mut [f32], way: impl Fn(f32) -> f32) {
    for ((a, point), x) in row.iter().zip(&mut *point).zip(around.center) {
        *point = x - way(*a).copysign(*a);
    }
    let Some((lo, hi)) = around.clip else { return };
    for (point, (lo, hi)) in point.iter_mut().zip(lo.iter().zip(hi)) {
        *point = point.max(*lo).min(*hi);
    }
}
