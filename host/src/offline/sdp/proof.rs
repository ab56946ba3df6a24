//! What multipliers prove, whoever found them.
//!
//! For every point v = (1, t) of the program, with |t| <= 1, and multipliers y of the right signs,
//!
//! ```text
//! v' M v >= v' S v - sum_k y_k right_k,   S = M + sum_k y_k A_k
//! ```
//!
//! and for **any** matrix R whatever, `v' S v = |R v|^2 + v' (S - R'R) v >= -sum_ij |S - R'R|_ij`. So a
//! factor that floats found proves as much as its product says, with no word of an eigenvalue: what is
//! left of `S - R'R`, its own rounding and that of S are added up and taken off.

use ndarray::Array1;
use ndarray::linalg::general_mat_mul;

use super::dense;
use super::program::{Objective, Program, gamma};

/// Attempts to make S positive definite by adding to its diagonal.
const SHIFTS: i32 = 12;

/// A lower bound of `v' matrix v - loose` over all points of a program; negative infinity where
/// multipliers prove nothing.
///
/// A multiplier of the wrong sign counts as 0. Work: a factor and a product of the order; memory: four
/// matrices.
pub fn lower(program: &Program, objective: &Objective, multipliers: &Array1<f64>) -> f64 {
    let count = program.multipliers();
    if multipliers.len() != count || !multipliers.iter().all(|y| y.is_finite()) {
        return f64::NEG_INFINITY;
    }
    let equal = |k: usize| program.forms.get(k).is_some_and(|form| form.equal);
    let mut used: Array1<f64> = (0..count)
        .map(|k| if equal(k) { multipliers[k] } else { multipliers[k].max(0.0) })
        .collect();
    let mut s = program.sum(&used) + &objective.matrix;
    let mut factor = dense::cholesky(s.clone());
    // The squares of single quantities are forms, so that a shift of the diagonal is in the multipliers.
    let size = s.diag().iter().fold(0.0f64, |most, a| most.max(a.abs()));
    for attempt in 0..SHIFTS {
        if factor.is_some() {
            break;
        }
        let shift = size * 1e-13 * 10f64.powi(attempt);
        for k in (0..count).filter(|k| program.square(*k).is_some() || *k >= program.forms.len()) {
            used[k] += shift;
        }
        s = program.sum(&used) + &objective.matrix;
        factor = dense::cholesky(s.clone());
    }
    let Some(factor) = factor else { return f64::NEG_INFINITY };

    // |S - R'R|, and what its floats may be off by: gamma (|S| + |R'| |R|).
    let n = program.order;
    let (mut sizes, mut left) = (0.0, s);
    sizes += left.iter().map(|a| a.abs()).sum::<f64>();
    let columns: f64 =
        (0..n).map(|k| factor.column(k).iter().map(|a| a.abs()).sum::<f64>().powi(2)).sum();
    sizes += columns;
    general_mat_mul(-1.0, &factor, &factor.t(), 1.0, &mut left);
    let residual: f64 = left.iter().map(|a| a.abs()).sum();

    // S itself: each entry is off by gamma times the sum of its terms' magnitudes.
    let mut terms = objective.size;
    let (mut rights, mut loose) = (0.0, objective.loose);
    let mut rights_size = 0.0;
    for (form, y) in program.forms.iter().zip(&used) {
        terms += y.abs() * program.size(form.p) * program.size(form.q);
        rights += y * form.right;
        rights_size += (y * form.right).abs();
        loose += y.abs() * form.loose;
    }
    if let Some(sphere) = program.sphere {
        let y = used[count - 1];
        terms += y * sphere.inputs as f64;
        rights += y * sphere.right;
        rights_size += y * sphere.right;
    }
    // Roundings of these sums themselves are a thousandth of the gamma that they are multiplied by.
    let depth = program.depth + 4 * (n + count);
    let error = 1.01 * (gamma(depth) * (sizes + terms + rights_size) + residual + loose);
    let bound = -rights - error - 1e-250;
    if bound.is_finite() { bound.next_down() } else { f64::NEG_INFINITY }
}

/// A bound as a float that is not above it.
pub fn narrow(bound: f64) -> f32 {
    let near = bound as f32;
    if f64::from(near) > bound { near.next_down() } else { near }
}
