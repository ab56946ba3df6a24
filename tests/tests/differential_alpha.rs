//! alpha-CROWN beside another implementation's, and its work beside one pass of CROWN.

use std::time::Instant;

use certus::alpha::{self, Settings};
use certus::cpu::Runner;
use certus::slopes::{Around, Rows};
use certus_engine::bounds::{Given, Method, Options, Semantics};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::spec::Spec;
use certus_tests::outside::{self, Reference, entry};

/// Nets; how many of their samples are taken without CERTUS_LONG; whether intermediate bounds are
/// optimised too. The other implementation's are, in all of its files.
const NETS: [(&str, usize, bool); 6] = [
    ("robot_tanh", 8, true),
    ("acas_shape", 8, true),
    ("mnist_784_500_10", 4, false),
    ("mnist_784_200_100_50_10", 4, true),
    ("mnist_3x1024", 1, false),
    ("mnist_4x1024", 0, false),
];

/// Percent of its scale by which a bound may be below the other implementation's.
const MOST: f64 = 0.5;

fn compare(test: &str, nets: &[(&str, usize, bool)]) {
    println!(
        "net, norm: samples; gap over the scale in %, worst and mean; mean gain over CROWN; ms"
    );
    for (name, few, all) in nets {
        let Some(path) = outside::find(test, &format!("reference/{name}.onnx")) else { continue };
        let words = outside::words(&outside::network(&path));
        let model = Model::from_words(&words).expect("packed");
        let mut runner = Runner::new(model, false);
        for (norm, suffix) in [(Norm::Linf, "linf"), (Norm::L2, "l2")] {
            let file = format!("reference/{name}__{suffix}.npz");
            let Some(file) = outside::find(test, &file) else { continue };
            let npz = Reference::open(&file);
            let (x, eps, rows) = (npz.f32s("X"), npz.eps(), npz.f64s("C"));
            let theirs = npz.f64s("lb_alpha20_f32");
            let logits = npz.f64s("logits_f64").iter().fold(0.0f64, |m, x| m.max(x.abs()));
            let samples = if outside::long() { usize::MAX } else { *few }.min(theirs.shape()[0]);
            let (mut worst, mut mean, mut gain, mut count) = (f64::NEG_INFINITY, 0.0, 0.0, 0.0);
            let mut their_gain = 0.0;
            let mut seconds = [0.0; 3];
            for i in 0..samples {
                let x = entry(&x, i);
                let c: Vec<f32> = entry(&rows, i).iter().map(|c| *c as f32).collect();
                let width = model.outputs();
                let spec = Spec::Rows { matrix: &c, rows: c.len() / width };
                let around = Around { center: &x, epsilon: eps, norm, clip: None };
                let options = Options::new(Method::Crown);
                let mut lower = Vec::new();
                let begun = Instant::now();
                let given = Given::default();
                let region = around.region();
                let found =
                    runner.lower_bounds_given(&region, &spec, &options, &given, None, &mut lower);
                let found = found.expect("in range");
                let pass = found.work;
                let (mut lo, mut hi) = (found.lo.to_vec(), found.hi.to_vec());
                seconds[0] += begun.elapsed().as_secs_f64();
                let crown = lower.clone();
                let settings = Settings::default();
                if *all {
                    let ends = (&mut lo[..], &mut hi[..]);
                    alpha::ends(&mut runner, &around, Semantics::Real, ends, &settings)
                        .expect("in range");
                }
                let ends = (&lo[..], &hi[..]);
                let layer = model.depth() - 1;
                let mut search = |iterations: usize, lower: &mut [f32]| {
                    let begun = Instant::now();
                    let settings = Settings { iterations, ..settings };
                    let goal = f32::INFINITY;
                    let mut rows = Rows { layer, matrix: &c, lower, goal };
                    let semantics = Semantics::Real;
                    let work =
                        alpha::tighten(&mut runner, &around, semantics, ends, &mut rows, &settings);
                    (work.expect("in range").macs(), begun.elapsed().as_secs_f64())
                };
                // What gathering and the engine's last walk take is not an iteration's.
                let (beside, start) = search(0, &mut crown.clone());
                let (work, all) = search(settings.iterations, &mut lower);
                seconds[1] += (all - start) / settings.iterations as f64;
                seconds[2] += all;
                let each = (work - beside) / settings.iterations as u64;
                assert!(each <= 4 * pass.macs(), "{name}: {each} for {}", pass.macs());
                let theirs = entry(&theirs, i);
                let scale = theirs.iter().fold(logits, |m, x| m.max(x.abs()));
                for ((ours, before), theirs) in lower.iter().zip(&crown).zip(&theirs) {
                    assert!(ours >= before);
                    let gap = 100.0 * (theirs - f64::from(*ours)) / scale;
                    worst = worst.max(gap);
                    mean += gap;
                    gain += f64::from(ours - before);
                    their_gain += theirs - f64::from(*before);
                    count += 1.0;
                }
            }
            let [pass, iteration, whole] = seconds.map(|s| 1e3 * s / samples.max(1) as f64);
            println!(
                "{name} {suffix}: {samples}; {worst:.3} {:.3}; {:.4} (theirs {:.4}); CROWN {pass:.2}, an iteration \
                 {iteration:.3}, a search {whole:.1}",
                mean / count,
                gain / count,
                their_gain / count
            );
            assert!(samples == 0 || worst <= MOST, "{name} {suffix}: {worst} %");
        }
    }
}

#[test]
fn bounds_are_as_tight() {
    compare("bounds_are_as_tight", &NETS);
}
