//! The decision-boundary certificate, over all patterns and over those of its ball, against every
//! activation pattern and against exact distances.

use certus::geometry::{DecisionBoundary, Denominator};
use certus::network::{Affine, Network};
use certus_engine::model::Activation;
use certus_engine::region::Norm;
use certus_tests::generate::network;
use certus_tests::geometry::{Region as Linear, nearest_adversarial};
use certus_tests::oracle::{minimum, pre_activations};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, Sign, abs, exact, from_slice};
use certus_tests::region::{Norm as TestNorm, Region};
use fastrand::Rng;

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
        through: 0,
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

/// The leak of the hidden layer.
fn slope(net: &Network) -> f32 {
    match net.layers[0].activation {
        Activation::LeakyRelu(slope) => slope,
        _ => 0.0,
    }
}

/// Every way to give each hidden unit the slope of either side.
fn patterns(net: &Network) -> Vec<Vec<Rational>> {
    let (units, slope) = (net.layers[0].rows, exact(slope(net)));
    let pattern = |bits: u32| {
        let on = |i| if bits >> i & 1 == 1 { Rational::ONE } else { slope.clone() };
        (0..units).map(on).collect()
    };
    (0..1u32 << units).map(pattern).collect()
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
        let certificate = DecisionBoundary::new(net.clone()).unwrap();
        let x = numbers(&mut rng, net.inputs, index % 2 == 0);
        let z = pre_activations(&net, &from_slice(&x)).remove(0);
        let patterns = patterns(&net);
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
        let certificate = DecisionBoundary::new(net.clone()).unwrap();
        let x = numbers(&mut rng, net.inputs, false);
        let (hidden, output) = (&net.layers[0], &net.layers[1]);
        let slope = f64::from(slope(&net));
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
            // Infinite where the outputs' rows are equal.
            let equal = |a: f64, b: f64| a == b || (a / b - 1.0).abs() < 1e-9;
            assert!(equal(found, formula), "{found}, not {formula}: {net:?} {x:?}");
            let linf = certificate.radius(&x, 0, Norm::Linf, Denominator::Product).unwrap();
            let expected = formula / (hidden.cols as f64).sqrt();
            assert!(equal(linf, expected), "{linf}, not {expected}: {net:?} {x:?}");
        }
    }
    assert!(checked > 30, "{checked}");
}

/// Whether unit `i` has no bend nearer to the point than `radius`.
fn keeps_side(net: &Network, z: &[Rational], i: usize, radius: &Rational, norm: Norm) -> bool {
    let hidden = &net.layers[0];
    let row = from_slice(&hidden.weights[i * hidden.cols..(i + 1) * hidden.cols]);
    reaches(radius, &row, &abs(&z[i]), norm)
}

/// Asserts that for every pattern whose region can come nearer than `radius`, class 0 stays above
/// `other` up to there.
fn assert_every_pattern_within(
    net: &Network,
    z: &[Rational],
    other: usize,
    radius: f64,
    norm: Norm,
) {
    let radius = exact(radius);
    let fixed: Vec<usize> =
        (0..z.len()).filter(|i| keeps_side(net, z, *i, &radius, norm)).collect();
    let slope = exact(slope(net));
    let here =
        |i: &usize| if z[*i].sign() == Sign::Positive { Rational::ONE } else { slope.clone() };
    for theta in patterns(net) {
        // At zero a unit is on either side.
        if fixed.iter().any(|i| !z[*i].is_zero() && theta[*i] != here(i)) {
            continue;
        }
        let (margin, gradient) = pattern(net, z, other, &theta);
        let holds = margin.sign() == Sign::Positive && reaches(&radius, &gradient, &margin, norm);
        assert!(holds, "{net:?} {norm:?} {radius}");
    }
}

#[test]
fn the_local_certificate_is_below_the_exact_distance_and_above_the_others() {
    let mut rng = Rng::with_seed(seed(SEED + 2));
    let (mut positive, mut negative, mut beyond, mut tight) = (0, 0, 0, 0);
    for index in 0..many(200) {
        let net = random_net(&mut rng);
        let certificate = DecisionBoundary::new(net.clone()).unwrap();
        let x = numbers(&mut rng, net.inputs, index % 2 == 0);
        let z = pre_activations(&net, &from_slice(&x)).remove(0);
        let region = Linear::at(&net, &x);
        for (norm, test_norm) in NORMS {
            let local = certificate.local(&x, 0, norm).unwrap();
            for denominator in DENOMINATORS {
                let whole = certificate.radius(&x, 0, norm, denominator).unwrap();
                assert!(whole == 0.0 || local.signum() == whole.signum());
                assert!(local.abs() >= whole.abs(), "{net:?} {x:?} {norm:?} {local} {whole}");
            }
            let facet = region.facet_distance(test_norm).to_f64();
            let simplex = region.decision_distance(0, test_norm).to_f64().min(facet);
            if simplex > 0.0 {
                assert!(
                    local >= simplex * (1.0 - 1e-6),
                    "{net:?} {x:?} {norm:?} {local} {simplex}"
                );
                beyond += usize::from(local > 1.01 * simplex);
            }
            let adversarial = nearest_adversarial(&net, &x, 0, test_norm, None);
            if local > 0.0 {
                positive += 1;
                let least = adversarial.map_or(f64::INFINITY, |found| found.distance.to_f64());
                assert!(local <= least, "{net:?} {x:?} {norm:?}: {local} above {least}");
                tight += usize::from(local > 0.999 * least);
            }
            if local > 0.0 && local.is_finite() {
                let others = 1..net.outputs();
                others.for_each(|j| assert_every_pattern_within(&net, &z, j, local, norm));
            }
            if local < 0.0 {
                negative += 1;
                let ball = Region::ball(&x, local.abs().min(1e6), test_norm);
                let stays_above = |other: usize| {
                    let mut row = vec![0.0; net.outputs()];
                    (row[0], row[other]) = (-1.0, 1.0);
                    !minimum(&net, &ball, &row).expect("a ball has points").refutes_lower(0.0)
                };
                assert!((1..net.outputs()).any(stays_above), "{net:?} {x:?} {norm:?} {local}");
            }
        }
    }
    println!(
        "{positive} positive, {negative} negative, {beyond} beyond the simplex certificate by 1 %, {tight} exact to 0.1 %"
    );
    assert!(positive > 200 && negative > 30 && beyond > 60 && tight > 30);
}

/// The numbers moved by `error` of their size and `shift`, towards zero or away from it.
fn moved(rng: &mut Rng, numbers: &mut [f32], error: f32, shift: f32) {
    for number in numbers {
        let exactly = f64::from(*number);
        let most = f64::from(error) * exactly.abs() + f64::from(shift);
        let aim = if rng.bool() { exactly + most } else { exactly - most };
        let mut next = aim as f32;
        while (f64::from(next) - exactly).abs() > most {
            next = if next > *number { next.next_down() } else { next.next_up() };
        }
        *number = next;
    }
}

#[test]
fn every_network_within_the_import_errors_is_covered() {
    let mut rng = Rng::with_seed(seed(SEED + 3));
    let mut positive = 0;
    for _ in 0..many(150) {
        let mut net = random_net(&mut rng);
        for layer in &mut net.layers {
            (layer.weight_error, layer.bias_error) = (0.02 * rng.f32(), 0.02 * rng.f32());
        }
        let certificate = DecisionBoundary::new(net.clone()).unwrap();
        let x = numbers(&mut rng, net.inputs, false);
        for layer in &mut net.layers {
            moved(&mut rng, &mut layer.weights, layer.weight_error, 0.0);
            moved(&mut rng, &mut layer.bias, 0.0, layer.bias_error);
        }
        for (norm, test_norm) in NORMS {
            let local = certificate.local(&x, 0, norm).unwrap();
            let Some(found) = nearest_adversarial(&net, &x, 0, test_norm, None) else { continue };
            positive += usize::from(local > 0.0);
            let least = found.distance.to_f64();
            assert!(local <= least, "{net:?} {x:?} {norm:?}: {local} above {least}");
        }
    }
    assert!(positive > 100, "{positive}");
}
