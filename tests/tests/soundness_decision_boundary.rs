//! The decision-boundary certificate against every activation pattern and against the exact
//! optimum, and the spectral norm against exact definiteness.

use certus::geometry::{DecisionBoundary, Denominator, spectral_norm_up};
use certus::network::{Affine, Network};
use certus_engine::model::Activation;
use certus_engine::region::Norm;
use certus_tests::floats;
use certus_tests::generate::network;
use certus_tests::oracle::{minimum, pre_activations};
use certus_tests::outside;
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, Sign, abs, compare, dot, exact, from_slice};
use certus_tests::region::{Norm as TestNorm, Region};
use fastrand::Rng;
use ndarray::{Array1, Array2};

const SEED: u64 = 97;
const NORMS: [(Norm, TestNorm); 3] =
    [(Norm::L1, TestNorm::L1), (Norm::L2, TestNorm::L2), (Norm::Linf, TestNorm::Linf)];
const DENOMINATORS: [Denominator; 2] = [Denominator::Product, Denominator::Smallest];

fn numbers(rng: &mut Rng, count: usize, integers: bool) -> Vec<f32> {
    let number = |_| {
        let x = 3.0 * rng.f32() - 1.5;
        if integers { (2.0 * x).round() } else { x }
    };
    (0..count).map(number).collect()
}

/// Two layers; class 0 has a head start, so that the certificate is often positive.
fn random_net(rng: &mut Rng) -> Network {
    let sizes = [rng.usize(1..=3), rng.usize(1..=7), rng.usize(2..=3)];
    let integers = rng.bool();
    let mut layer = |rows: usize, cols: usize, activation| Affine {
        rows,
        cols,
        weights: numbers(rng, rows * cols, integers),
        bias: numbers(rng, rows, integers),
        activation,
        weight_error: 0.0,
        bias_error: 0.0,
    };
    let first = layer(sizes[1], sizes[0], Activation::Relu);
    let last = layer(sizes[2], sizes[1], Activation::Identity);
    let mut net = network(vec![first, last]);
    if rng.bool() {
        net.layers[0].activation = Activation::LeakyRelu([0.125, 0.3, 1.0][rng.usize(0..3)]);
    }
    net.layers[1].bias[0] += 4.0 * sizes[1] as f32 * rng.f32();
    net
}

/// The margin of class 0 over `other` at `x` and its gradient, for a pattern.
fn pattern(
    net: &Network,
    z: &[Rational],
    other: usize,
    theta: &[Rational],
) -> (Rational, Vec<Rational>) {
    let (hidden, output) = (&net.layers[0], &net.layers[1]);
    let mut margin = exact(output.bias[0]) - exact(output.bias[other]);
    let mut gradient = vec![Rational::ZERO; hidden.cols];
    for (i, theta) in theta.iter().enumerate() {
        let weight = |class: usize| exact(output.weights[class * output.cols + i]);
        let d = (weight(0) - weight(other)) * theta;
        margin += &d * &z[i];
        for (k, entry) in gradient.iter_mut().enumerate() {
            *entry += &d * exact(hidden.weights[i * hidden.cols + k]);
        }
    }
    (margin, gradient)
}

/// Whether `radius * ||gradient|| <= margin`, the norm dual to `norm`.
fn reaches(radius: &Rational, gradient: &[Rational], margin: &Rational, norm: Norm) -> bool {
    let zero = || Rational::ZERO;
    match norm {
        Norm::L1 => gradient.iter().all(|g| radius * abs(g) <= *margin),
        Norm::Linf => radius * gradient.iter().fold(zero(), |sum, g| sum + abs(g)) <= *margin,
        Norm::L2 => {
            let square = gradient.iter().fold(zero(), |sum, g| sum + g * g);
            radius * radius * square <= margin * margin
        }
        Norm::Lp(_) => unreachable!("{norm} is not asked about here"),
    }
}

#[test]
fn every_pattern_and_the_exact_optimum_agree() {
    let mut rng = Rng::with_seed(seed(SEED));
    let (mut positive, mut negative, mut zero, mut better) = (0, 0, 0, 0);
    for index in 0..many(300) {
        let net = random_net(&mut rng);
        let certificate = DecisionBoundary::new(&net).unwrap();
        let x = numbers(&mut rng, net.inputs, index % 2 == 0);
        let z = pre_activations(&net, &from_slice(&x)).remove(0);
        let slope = match net.layers[0].activation {
            Activation::LeakyRelu(slope) => exact(slope),
            _ => Rational::ZERO,
        };
        let patterns = (0..1u32 << z.len()).map(|bits| {
            let on = |i| if bits >> i & 1 == 1 { Rational::ONE } else { slope.clone() };
            (0..z.len()).map(on).collect::<Vec<_>>()
        });
        let patterns: Vec<Vec<Rational>> = patterns.collect();
        for (norm, test_norm) in NORMS {
            let radii = DENOMINATORS.map(|d| certificate.radius(&x, 0, norm, d).unwrap());
            assert!(radii[1].abs() >= radii[0].abs() && radii[1].signum() == radii[0].signum());
            better += usize::from(radii[1] > 1.05 * radii[0]);
            let radius = radii[1];
            match radius.partial_cmp(&0.0).unwrap() {
                std::cmp::Ordering::Greater => positive += 1,
                std::cmp::Ordering::Less => negative += 1,
                std::cmp::Ordering::Equal => zero += 1,
            }
            if !(radius > 0.0 && radius.is_finite()) {
                continue;
            }
            for other in 1..net.outputs() {
                for theta in &patterns {
                    let (margin, gradient) = pattern(&net, &z, other, theta);
                    let holds = reaches(&exact(radius), &gradient, &margin, norm);
                    assert!(margin.sign() == Sign::Positive && holds, "{net:?} {x:?} {norm:?}");
                }
                let mut row = vec![0.0; net.outputs()];
                (row[0], row[other]) = (1.0, -1.0);
                let ball = Region::ball(&x, radius, test_norm);
                let least = minimum(&net, &ball, &row).expect("a ball has points");
                assert!(!least.refutes_lower(0.0), "{net:?} {x:?} {norm:?} {radius}");
            }
        }
    }
    println!(
        "radii: {positive} positive, {negative} negative, {zero} zero; {better} better by 5 %"
    );
    assert!(positive > 100 && negative > 0 && zero > 100 && better > 30);
}

/// The certificate is the paper's formula, not something smaller.
#[test]
fn the_product_is_the_papers_formula() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let mut checked = 0;
    for _ in 0..many(200) {
        let net = random_net(&mut rng);
        let certificate = DecisionBoundary::new(&net).unwrap();
        let x = numbers(&mut rng, net.inputs, false);
        let (hidden, output) = (&net.layers[0], &net.layers[1]);
        let slope = match hidden.activation {
            Activation::LeakyRelu(slope) => f64::from(slope),
            _ => 0.0,
        };
        let formula = (1..output.rows).map(|other| {
            let weight =
                |class: usize, i: usize| f64::from(output.weights[class * output.cols + i]);
            let mut low = f64::from(output.bias[0]) - f64::from(output.bias[other]);
            let mut square = 0.0;
            for i in 0..hidden.rows {
                let row = &hidden.weights[i * hidden.cols..(i + 1) * hidden.cols];
                let terms = row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x));
                let d = weight(0, i) - weight(other, i);
                let term = d * (terms.sum::<f64>() + f64::from(hidden.bias[i]));
                low += term.min(slope * term);
                square += d * d;
            }
            low / (square.sqrt() * certificate.spectral_norm())
        });
        let formula = formula.fold(f64::INFINITY, f64::min);
        let found = certificate.radius(&x, 0, Norm::L2, Denominator::Product).unwrap();
        if formula > 1e-3 {
            checked += 1;
            assert!(found > formula * (1.0 - 1e-9) && found < formula * (1.0 + 1e-9));
            let linf = certificate.radius(&x, 0, Norm::Linf, Denominator::Product).unwrap();
            let expected = formula / (hidden.cols as f64).sqrt();
            assert!((linf / expected - 1.0).abs() < 1e-9);
        }
    }
    assert!(checked > 30, "{checked}");
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
    let mut rng = Rng::with_seed(seed(SEED + 2));
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
    let mut rng = Rng::with_seed(seed(SEED + 3));
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
