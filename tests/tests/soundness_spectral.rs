//! The rigorous bound of the spectral norm against exact definiteness, and beside an estimate.

use certus::geometry::spectral_norm_up;
use certus_tests::floats;
use certus_tests::outside;
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, Sign, compare, dot, exact};
use fastrand::Rng;
use ndarray::{Array1, Array2};

const SEED: u64 = 99;

fn numbers(rng: &mut Rng, count: usize, integers: bool) -> Vec<f32> {
    let number = |_| {
        let x = 3.0 * rng.f32() - 1.5;
        if integers { (2.0 * x).round() } else { x }
    };
    (0..count).map(number).collect()
}

/// `bound^2 I - W W'` has no negative pivot: `bound >= ||W||_2`, exactly.
fn is_bound(bound: &Rational, rows: usize, cols: usize, weights: &[f32]) -> bool {
    let row = |i: usize| &weights[i * cols..(i + 1) * cols];
    let mut matrix: Vec<Vec<Rational>> =
        (0..rows).map(|i| (0..rows).map(|j| -dot(row(i), row(j))).collect()).collect();
    (0..rows).for_each(|i| matrix[i][i] += bound * bound);
    for k in 0..rows {
        let pivot = matrix[k][k].clone();
        if pivot.is_zero() {
            // Semidefinite: a zero on the diagonal takes its row with it.
            if matrix[k][k + 1..].iter().any(|x| !x.is_zero()) {
                return false;
            }
            continue;
        }
        if pivot.sign() == Sign::Negative {
            return false;
        }
        let pivots = matrix[k].clone();
        for row in &mut matrix[k + 1..] {
            let factor = &row[k] / &pivot;
            for (entry, above) in row.iter_mut().zip(&pivots).skip(k + 1) {
                *entry -= &factor * above;
            }
        }
    }
    true
}

#[test]
fn spectral_norms_are_above_the_truth_and_near_it() {
    let mut rng = Rng::with_seed(seed(SEED));
    let tight = Rational::from_parts(999.into(), 1000u32.into());
    for index in 0..many(400) {
        let (rows, cols) = (rng.usize(1..=6), rng.usize(1..=6));
        let weights: Vec<f32> = match index % 4 {
            0 => numbers(&mut rng, rows * cols, false),
            1 => numbers(&mut rng, rows * cols, true),
            // From subnormals to the largest.
            2 => (0..rows * cols).map(|_| floats::below(&mut rng, 127)).collect(),
            _ => {
                let (u, v) = (numbers(&mut rng, rows, false), numbers(&mut rng, cols, true));
                (0..rows * cols).map(|i| u[i / cols] * v[i % cols]).collect()
            }
        };
        let bound = spectral_norm_up(rows, cols, &weights);
        if weights.iter().all(|w| *w == 0.0) {
            assert_eq!(bound, 0.0);
            continue;
        }
        assert!(compare(bound, &Rational::ZERO).is_gt());
        assert!(is_bound(&exact(bound), rows, cols, &weights), "{rows} x {cols} {weights:?}");
        let lower = exact(bound) * &tight;
        assert!(!is_bound(&lower, rows, cols, &weights), "{bound} is loose: {weights:?}");
    }
}

/// `||W v|| / ||v||` after many steps of power iteration: at most the spectral norm, and near it.
fn power_iteration(rows: usize, cols: usize, weights: &[f32], steps: usize) -> f64 {
    let matrix = Array2::from_shape_fn((rows, cols), |(i, j)| f64::from(weights[i * cols + j]));
    let mut v = Array1::from_elem(cols, 1.0 / (cols as f64).sqrt());
    let mut size = 0.0;
    for _ in 0..steps {
        let image = matrix.dot(&v);
        size = image.dot(&image).sqrt();
        v = matrix.t().dot(&image);
        v /= v.dot(&v).sqrt();
    }
    size
}

#[test]
fn large_matrices_have_tight_norms() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let uniform: Vec<f32> = (0..1024 * 784).map(|_| rng.f32() - 0.5).collect();
    let mut all = vec![("random".to_owned(), 1024, 784, uniform)];
    for name in ["mnist_784_500_10", "mnist_3x1024"] {
        let test = "large_matrices_have_tight_norms";
        let Some(path) = outside::find(test, &format!("reference/{name}.onnx")) else { continue };
        let layer = outside::network(&path).layers.remove(0);
        all.push((name.to_owned(), layer.rows, layer.cols, layer.weights));
    }
    for (name, rows, cols, weights) in all {
        let (bound, near) =
            (spectral_norm_up(rows, cols, &weights), power_iteration(rows, cols, &weights, 300));
        println!("{name} {rows} x {cols}: {near:.6} <= norm <= {bound:.6}");
        // What the sums of the iteration itself may be off by.
        assert!(bound >= near * (1.0 - 1e-12) && bound <= near * 1.001, "{name}");
    }
}
