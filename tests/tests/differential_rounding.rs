//! What rigour costs: our certified radii beside those of the same computation in f64.

use certus::attack::Worker;
use certus::plan::propagation;
use certus::question::Question;
use certus::radius::Search;
use certus_engine::bounds::{Method, Options};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_tests::dense::{Ball, Dense, How, margins};
use certus_tests::outside::{self, Reference, entry};
use rayon::prelude::*;

/// Nets and how many of their samples are taken; the last two take minutes.
const NETS: [(&str, usize); 4] =
    [("acas_shape", 16), ("mnist_784_500_10", 6), ("mnist_3x1024", 4), ("mnist_4x1024", 3)];

/// Our radii are found to this, relative to the radius of the reference data.
const GRID: f64 = 2e-6;

/// Percent of a radius that rounding may cost (`soundness.md` 7.4).
const MOST: f64 = 0.1;

/// `(ours, f64's)` around `x`, f64's to within a bisection of [`GRID`].
fn radii(dense: &Dense, words: &[u32], x: &[f32], norm: Norm, start: f64) -> (f64, f64) {
    let options = Options::new(Method::Crown);
    let question = Question::new(norm, [propagation("crown", options)]);
    let mut worker = Worker::new(Model::from_words(words).expect("packed here"), false);
    let search = Search { tolerance: start * GRID, budget: 100, start };
    let class = worker.runner.predict(x).expect("finite outputs");
    let ours = question.radius(&mut worker, 0, x, None, &search).1.radius;
    let spec = margins(class, dense.outputs());
    let certified = |eps: f64| {
        let how = How { method: Method::Crown, intersect: true };
        dense.bounds(&Ball::new(x, eps, norm), &spec, how).lower.iter().all(|&x| x > 0.0)
    };
    // f64 is expected a little above ours: gallop from there.
    let (mut low, mut step) = (ours, 1e-4 * start);
    if !certified(low) {
        // Slopes chosen in f32 can be the better ones: nothing is lost.
        return (ours, ours);
    }
    while certified(low + step) {
        low += step;
        step *= 2.0;
    }
    while step > start * GRID {
        step *= 0.5;
        if certified(low + step) {
            low += step;
        }
    }
    (ours, low)
}

#[test]
fn rounding_costs_less_than_a_thousandth() {
    let test = "rounding_costs_less_than_a_thousandth";
    println!("CROWN radii: loss against f64 in percent");
    println!("{:<24} {:>8} {:>12} {:>10} {:>10}", "net", "samples", "mean radius", "mean", "max");
    let mut broken = Vec::new();
    for (name, samples) in NETS {
        if name.contains("1024") && !outside::long() {
            println!("{name}: left out, it takes minutes; set CERTUS_LONG=1");
            continue;
        }
        let Some(model) = outside::find(test, &format!("reference/{name}.onnx")) else { continue };
        let network = outside::network(&model);
        let (dense, words) = (Dense::new(&network), outside::words(&network));
        for (norm, suffix) in [(Norm::Linf, "linf"), (Norm::L2, "l2")] {
            let path = format!("reference/{name}__{suffix}.npz");
            let Some(file) = outside::find(test, &path) else { continue };
            let npz = Reference::open(&file);
            let (x, start) = (npz.f32s("X"), npz.eps());
            let each = (0..samples)
                .into_par_iter()
                .with_max_len(1)
                .map(|i| radii(&dense, &words, &entry(&x, i), norm, start));
            let each: Vec<(f64, f64)> = each.collect();
            let loss: Vec<f64> =
                each.iter().map(|(ours, exact)| 100.0 * (exact - ours) / exact).collect();
            let mean = loss.iter().sum::<f64>() / loss.len() as f64;
            let (worst, most) = loss
                .iter()
                .copied()
                .enumerate()
                .fold((0, 0.0), |worst, x| if x.1 > worst.1 { x } else { worst });
            let radius = each.iter().map(|r| r.0).sum::<f64>() / each.len() as f64;
            println!(
                "{:<24} {samples:>8} {radius:>12.6} {mean:>10.4} {most:>10.4}",
                format!("{name} {suffix}")
            );
            if most >= MOST {
                broken.push(format!("{name} {suffix}, sample {worst}: {most} %"));
            }
        }
    }
    assert!(broken.is_empty(), "more than {MOST} %: {}", broken.join("; "));
}
