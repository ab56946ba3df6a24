//! What linear functions carried forward cost beside walks back, in counted multiply-adds, and how
//! tight they are.

use std::time::Instant;

use certus::cpu::Runner;
use certus::network::{Affine, Network};
use certus_engine::bounds::{Method, Options, Tighten, Work};
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use certus_tests::outside;

/// The ways that are compared.
fn ways() -> [(&'static str, Options); 7] {
    let crown = Options::new(Method::Crown);
    [
        ("ibp", Options::new(Method::Ibp)),
        ("crown-ibp", Options::new(Method::CrownIbp)),
        ("forward", Options::new(Method::Forward)),
        ("forward-backward", Options::new(Method::ForwardBackward)),
        ("crown", crown),
        ("crown, both", Options { tighten: Tighten::Both, ..crown }),
        ("crown, cheapest", Options { tighten: Tighten::Cheapest, ..crown }),
    ]
}

/// A network of these widths with weights that keep the size of what passes.
fn network(widths: &[usize], seed: u64) -> Network {
    let mut rng = fastrand::Rng::with_seed(seed);
    let last = widths.len() - 2;
    let mut layer = |k: usize| {
        let (cols, rows) = (widths[k], widths[k + 1]);
        // Uniform, variance 2 / cols.
        let scale = (6.0 / cols as f32).sqrt();
        let mut draw = |n: usize, scale: f32| -> Vec<f32> {
            (0..n).map(|_| scale * (2.0 * rng.f32() - 1.0)).collect()
        };
        Affine {
            rows,
            cols,
            weights: draw(rows * cols, scale),
            bias: draw(rows, 0.1),
            activation: if k == last { Activation::Identity } else { Activation::Relu },
            through: 0,
            weight_error: 0.0,
            bias_error: 0.0,
        }
    };
    Network { inputs: widths[0], layers: (0..=last).map(&mut layer).collect() }
}

/// Points of `[-1/2, 1/2]^n`.
fn points(n: usize, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| (0..n).map(|_| rng.f32() - 0.5).collect()).collect()
}

/// What each of [`ways`] found over balls: the mean least margin, work, and seconds.
fn compare(title: &str, network: &Network, points: &[Vec<f32>], eps: f64) -> Vec<(f64, Work)> {
    let words = outside::words(network);
    let model = Model::from_words(&words).expect("packed here");
    println!("{title}, linf {eps}: {} points", points.len());
    println!(
        "  {:<18} {:>12} {:>9} {:>12} {:>12} {:>9} {:>9} {:>8}",
        "method", "mean margin", "positive", "product madds", "all madds", "dense", "neurons", "us"
    );
    let mut all = Vec::new();
    for (name, options) in ways() {
        let mut runner = Runner::new(model, false);
        let (mut sum, mut positive, mut work, mut best) = (0.0, 0, Work::default(), f64::INFINITY);
        for round in 0..5 {
            let begun = Instant::now();
            for x in points {
                let class = runner.predict(x).expect("finite outputs");
                let region = Region::ball(x, eps, Norm::Linf);
                let spec = Spec::Margins { class };
                let mut out = Vec::new();
                let done = runner.lower_bounds(&region, &spec, &options, &mut out).expect("bounds");
                if round == 0 {
                    let least = out.iter().copied().fold(f32::INFINITY, f32::min);
                    sum += f64::from(least);
                    positive += usize::from(least > 0.0);
                    work += done;
                }
            }
            best = best.min(begun.elapsed().as_secs_f64());
        }
        let n = points.len() as u64;
        println!(
            "  {name:<18} {:>12.5} {positive:>9} {:>12} {:>12} {:>9} {:>9} {:>8.0}",
            sum / n as f64,
            work.product_macs / n,
            work.macs() / n,
            work.dense_macs / n,
            work.neurons / n,
            1e6 * best / n as f64
        );
        all.push((sum / n as f64, work));
    }
    all
}

/// What holds of every network: walks alone are no tighter than after functions carried forward,
/// which are looser by themselves; and what is expected to be cheapest is hardly ever more work.
fn holds(found: &[(f64, Work)]) {
    let [ibp, _, forward, mixed, crown, both, cheapest] = found else { panic!("seven ways") };
    let macs = |way: &(f64, Work)| way.1.macs();
    assert!(ibp.0 <= forward.0 && forward.0 <= mixed.0 && mixed.0 <= crown.0 + 1e-3);
    for way in [both, cheapest] {
        // Lines are a heuristic's choice: a tighter interval need not make a better one.
        assert!(way.0 >= crown.0 - 0.05 * crown.0.abs(), "{} {}", way.0, crown.0);
        assert!(way.1.neurons <= crown.1.neurons);
    }
    assert!(macs(cheapest) <= macs(crown) + macs(crown) / 20);
}

#[test]
fn carried_functions_take_fewer_multiply_adds_for_few_inputs() {
    let seed = 5;
    let net = network(&[5, 50, 50, 50, 50, 50, 50, 5], seed);
    for eps in [0.002, 0.005, 0.01, 0.02, 0.05] {
        let found = compare("5-50x6-5 random", &net, &points(5, 16, seed), eps);
        holds(&found);
        let macs: Vec<u64> = found.iter().map(|(_, work)| work.macs()).collect();
        let dense: Vec<u64> = found.iter().map(|(_, work)| work.dense_macs / 16).collect();
        // Both sides of 50 neurons of 5 layers through 250 to 10250 weights, or through 2500 weights
        // for each of 5 inputs; 4 margins.
        assert_eq!(dense[4], 100 * (250 + 2750 + 5250 + 7750 + 10250) + 4 * 13_000);
        assert_eq!(dense[3], 5 * 2 * 2500 * 5 + 4 * 13_000);
        assert_eq!(dense[2], 5 * 2 * 2500 * 5 + 4 * (250 + 2 * 50 * 5));
        assert!(3 * macs[2] < macs[4] && 3 * macs[3] < macs[4], "{macs:?}");
        if eps <= 0.005 {
            assert!(3 * macs[6] < macs[4], "{macs:?}");
        }
    }
}

#[test]
fn many_inputs_are_walked_back() {
    let seed = 6;
    for widths in [&[60, 40, 40, 40, 5][..], &[12, 64, 64, 4]] {
        let found =
            compare("many inputs", &network(widths, seed), &points(widths[0], 8, seed), 0.01);
        holds(&found);
        assert_eq!(found[6], found[4]);
    }
}

#[test]
fn networks_from_outside() {
    let test = "networks_from_outside";
    if let Some(model) = outside::find(test, "reference/acas_shape.onnx") {
        let net = outside::network(&model);
        let file = outside::find(test, "reference/acas_shape__linf.npz").expect("beside it");
        let x = outside::Reference::open(&file).f32s("X");
        let x: Vec<Vec<f32>> = (0..32).map(|i| outside::entry(&x, i)).collect();
        for eps in [0.005, 0.01, 0.02, 0.05] {
            holds(&compare("acas_shape", &net, &x, eps));
        }
    }
    for name in ["1_1", "2_5", "4_9"] {
        let path = format!("vnncomp/acasxu/onnx/ACASXU_run2a_{name}_batch_2000.onnx");
        let Some(model) = outside::find(test, &path) else { continue };
        let net = outside::network(&model);
        for eps in [0.005, 0.01, 0.02, 0.05] {
            holds(&compare(&format!("ACASXU {name}"), &net, &points(5, 32, 3), eps));
        }
    }
}
