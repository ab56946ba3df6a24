//! Single layers lose nothing but rounding; models with error fields cover their originals; deep
//! chains and enormous rows.

use certus::blob::{WeightKind, pack};
use certus_engine::model::Activation;
use certus_engine::spec::Spec;
use certus_tests::ask::{Engine, Sums, all_options, engine_region, storable};
use certus_tests::generate::{Case, Kind, affine, case, network};
use certus_tests::plan::{many, seed};
use certus_tests::region::{Norm, Region};
use certus_tests::trial::never_refuted;
use certus_tests::truth::{Truth, magnitudes};

const SEED: u64 = 41;

/// One affine layer over a ball or a box: nothing is relaxed, so nothing but rounding is lost.
#[test]
fn single_layers_are_exact() {
    let seed = seed(SEED + 1);
    let mut nets = 0;
    for index in 0..many(400) as u64 {
        let kind = [Kind::Gaussian, Kind::Integer][index as usize % 2];
        let mut case = case(seed, kind, index);
        if matches!(case.region, Region::BallInBox { .. }) {
            continue;
        }
        case.net.layers.truncate(1);
        case.net.layers[0].activation = Activation::Identity;
        case.spec_row = vec![1.0; case.net.outputs()];
        let truth =
            Truth::find(&case.net, &case.region, std::slice::from_ref(&case.spec_row)).unwrap();
        let words = pack(&case.net, WeightKind::F32).unwrap();
        let mut engine = Engine::new(&words);
        let spec = Spec::Rows { matrix: &case.spec_row, rows: 1 };
        let scale: f64 = magnitudes(&case.net, &case.region)[1].iter().sum();
        for options in all_options() {
            for sums in Sums::ALL {
                let answer = engine.ask(&engine_region(&case.region), &spec, &options, sums);
                let found = f64::from(answer.unwrap().lower[0]);
                let most = f64::from(truth.least[0]);
                assert!(found <= most, "{}: {found:e} above {most:e}", case.name);
                assert!(most - found <= 1e-5 * scale + 1e-30, "{}: {found:e}", case.name);
            }
        }
        nets += 1;
    }
    println!("{nets} single layers");
    assert!(nets >= many(200));
}

/// Bounds of a model with error fields cover every network within them.
#[test]
fn errors_of_the_stored_weights_are_covered() {
    let seed = seed(SEED + 2);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut nets, mut outside) = (0, 0);
    for index in 0..many(90) as u64 {
        let kind = [Kind::Gaussian, Kind::Integer, Kind::Leaky][index as usize % 3];
        let mut case = case(seed, kind, index);
        storable(&mut case.net);
        for layer in &mut case.net.layers {
            layer.weight_error = 2f32.powi(rng.i32(-24..-6));
            layer.bias_error = 2f32.powi(rng.i32(-24..-6));
        }
        let mut original = case.net.clone();
        for layer in &mut original.layers {
            let (e, shift) = (f64::from(layer.weight_error), f64::from(layer.bias_error));
            let mut moved = |x: f32, by: f64| {
                // The way there and back is exact in f64, and the f32 next to it stays inside.
                let target = f64::from(x) + if rng.bool() { by } else { -by };
                let near = target as f32;
                let inside = (f64::from(near) - f64::from(x)).abs() <= by;
                if inside { near } else { x }
            };
            layer.weights.iter_mut().for_each(|w| *w = moved(*w, e * f64::from(w.abs())));
            layer.bias.iter_mut().for_each(|b| *b = moved(*b, shift));
        }
        let rows = [case.spec_row.clone()];
        let truth = Truth::find(&original, &case.region, &rows).unwrap();
        let stored = Truth::find(&case.net, &case.region, &rows).unwrap();
        outside += usize::from(truth.least[0] < stored.least[0]);
        let words = pack(&case.net, WeightKind::F32).unwrap();
        let mut engine = Engine::new(&words);
        let both: Vec<f32> =
            [1.0, -1.0].iter().flat_map(|s| rows[0].iter().map(move |c| s * c)).collect();
        let spec = Spec::Rows { matrix: &both, rows: 2 };
        for options in all_options() {
            for sums in Sums::ALL {
                let answer = engine.ask(&engine_region(&case.region), &spec, &options, sums);
                let answer = answer.unwrap();
                let valid = [truth.least[0], truth.least_negated[0]];
                answer.refute(&case.name, &valid, &truth.pre, &(options, sums));
            }
        }
        nets += 1;
    }
    println!("{nets} nets with error fields, {outside} originals below the stored minimum");
    assert!(outside * 4 > nets);
}

/// A large bias at the end, to which each of many layers adds a small one that does not fit.
#[test]
fn deep_chains_of_absorbed_biases() {
    for depth in [4, 12, 40] {
        for (small, end) in [(4.1, 64.0), (-3.9, 4096.0), (12.01, 64.0), (0.1, 1024.0)] {
            let unit = |bias, activation| affine(&[&[1.0]], &[bias], activation);
            let mut layers = vec![unit(small, Activation::Relu); depth];
            layers.push(unit(2f32.powi(26) + end, Activation::Identity));
            for sign in [1.0, -1.0] {
                let case = Case {
                    name: format!("{depth} layers of {small}"),
                    net: network(layers.clone()),
                    region: Region::cube(&[200.0], &[201.0]),
                    spec_row: vec![sign],
                };
                assert_eq!(never_refuted(&case).0, all_options().len() * Sums::ALL.len());
            }
        }
    }
}

/// Rows of up to the largest float: what overflows bounds nothing.
#[test]
fn enormous_rows() {
    let seed = seed(SEED + 3);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut answers, mut unbounded) = (0, 0);
    for index in 0..many(150) as u64 {
        let kind = [Kind::Gaussian, Kind::Integer, Kind::Leaky, Kind::Wide][index as usize % 4];
        let mut case = case(seed, kind, index);
        storable(&mut case.net);
        for c in &mut case.spec_row {
            let sign = if rng.bool() { 1.0 } else { -1.0 };
            *c = sign * [f32::MAX, 2f32.powi(127), 1e36, 1e30, 1.0][rng.usize(0..5)];
        }
        let found = never_refuted(&case);
        (answers, unbounded) = (answers + found.0, unbounded + found.1);
    }
    println!("{answers} answers, {unbounded} rows without a bound");
    assert!(unbounded > 0 && unbounded < 2 * answers);
}

/// Products that underflow, over regions so large that they matter.
#[test]
fn underflow_over_large_regions() {
    let mut answers = 0;
    for reach in [1, 40, 90, 98] {
        for (weight, out) in
            [(-149, 0.25), (-126, 0.125), (-80, 2f32.powi(-80)), (-75, 2f32.powi(-76))]
        {
            for activation in [Activation::Relu, Activation::LeakyRelu(0.3), Activation::Identity] {
                let row = [2f32.powi(weight), -2f32.powi(weight)];
                let first = affine(&[&row[..], &row[..1].repeat(2)], &[0.0; 2], activation);
                let last = affine(&[&[-out, out]], &[0.0], Activation::Identity);
                let ball = |norm| Region::ball(&[0.0; 2], 2f64.powi(reach), norm);
                for region in [ball(Norm::L1), ball(Norm::L2), ball(Norm::Linf)] {
                    let name = format!("reach {reach}, weight {weight}, {activation:?}");
                    let net = network(vec![first.clone(), last.clone()]);
                    answers += never_refuted(&Case { name, net, region, spec_row: vec![1.0] }).0;
                }
            }
        }
    }
    println!("{answers} answers with underflow");
    assert!(answers > 10_000);
}
