//! A tanh policy as a device bounds it, beside the host.

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus_engine::bounds::{Method, Options, Semantics};
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use certus_tests::ask::{Engine, Sums};
use certus_tests::generate::policy;
use fastrand::Rng;

/// Blocks of one row in the portable arithmetic and blocks of any size in the host's give the same
/// bounds but for rounding, and all enclose.
///
/// Deployed bounds charge each pre-activation with `gamma(n + 2)` of its mass, which covers any order
/// of its sum; what two orders of the same walk differ by is covered by that charge too, on the
/// smaller deviations that the walk's sums are of.
#[test]
fn blocks_and_arithmetics_agree_within_the_rounding_budget() {
    let mut rng = Rng::with_seed(9);
    let mut closest = f64::INFINITY;
    for _ in 0..3 {
        let words = pack(&policy(&mut rng, Activation::Tanh), WeightKind::F32).expect("a blob");
        let model = Model::from_words(&words).expect("checked");
        let mut engine = Engine::new(&words);
        for epsilon in [0.0, 0.002, 0.02, 0.1] {
            let x: Vec<f32> = (0..12).map(|_| 2.0 * rng.f32() - 1.0).collect();
            let region = Region::ball(&x, epsilon, Norm::Linf);
            let mut ask = |semantics, sums| {
                let options = Options { semantics, ..Options::new(Method::Crown) };
                engine.ask(&region, &Spec::Outputs, &options, sums).expect("in range").lower
            };
            let device = ask(Semantics::Real, Sums::Portable(1));
            let charged = ask(Semantics::Deployed, Sums::Portable(1));
            for sums in [Sums::Portable(64), Sums::Fast(1), Sums::Fast(7), Sums::Fast(64)] {
                let host = ask(Semantics::Real, sums);
                for ((device, host), charged) in device.iter().zip(&host).zip(&charged) {
                    let budget = device - charged;
                    assert!((device - host).abs() <= budget, "{sums:?}: {device} {host} {budget}");
                }
            }
            // Both ends of every output hold what passes return.
            let mut runner = Runner::device(model);
            for _ in 0..200 {
                let near: Vec<f32> = x
                    .iter()
                    .map(|x| x + (2.0 * rng.f32() - 1.0) * (epsilon as f32) * 0.999_999)
                    .collect();
                for (j, y) in runner.forward(&near).iter().enumerate() {
                    assert!(charged[j] <= *y && *y <= -charged[j + 4], "output {j}");
                    closest = closest.min(f64::from(y - charged[j]));
                }
            }
        }
    }
    assert!(closest < 1e-4, "bounds over a point are tight: {closest}");
}

/// The same bits from the device's arithmetic whoever drives it.
#[test]
fn the_device_backend_gives_the_engines_bits() {
    let mut rng = Rng::with_seed(10);
    let words = pack(&policy(&mut rng, Activation::Tanh), WeightKind::F16).expect("a blob");
    let model = Model::from_words(&words).expect("checked");
    let mut runner = Runner::device(model);
    let mut engine = Engine::new(&words);
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let x: Vec<f32> = (0..12).map(|_| 2.0 * rng.f32() - 1.0).collect();
        let region = Region::ball(&x, 0.01, norm);
        let options = Options::new(Method::Crown);
        let (spec, mut host) = (Spec::Outputs, Vec::new());
        runner.lower_bounds(&region, &spec, &options, &mut host).expect("in range");
        let engine = engine.ask(&region, &spec, &options, Sums::Portable(1)).expect("in range");
        assert_eq!(host, engine.lower);
    }
}
