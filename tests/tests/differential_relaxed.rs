//! CROWN-Quad and Fast-Lip on trained networks, beside CROWN and Fast-Lin as in paper 003, another
//! implementation's optimised slopes, and what a search finds.

use std::sync::Arc;
use std::time::Instant;

use certus::attack::Worker;
use certus::cpu::Runner;
use certus::plan::{CrownQuad, FastLip, SharedStage, propagation};
use certus::question::Question;
use certus::radius::Search;
use certus::relaxed::{fast_lip, quad};
use certus_engine::bounds::{Method, Options};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use certus_tests::dense::{Ball, Dense, margins};
use certus_tests::outside::{self, Reference, entry};
use ndarray::ArrayD;
use rayon::prelude::*;

const TWO_LAYERS: &str = "mnist_784_500_10";

/// Radii are found to this, relative to the radius of the reference data.
const GRID: f64 = 1e-4;

const METHODS: [&str; 4] = ["fast-lip", "fast-lin", "crown", "crown-quad"];

fn stage(method: &str) -> SharedStage {
    match method {
        "fast-lip" => Arc::new(FastLip),
        "fast-lin" => propagation("fast-lin", Options::new(Method::FastLin)),
        "crown" => propagation("crown", Options::new(Method::Crown)),
        "crown-quad" => Arc::new(CrownQuad),
        other => panic!("no stage for {other}"),
    }
}

/// A network's blob, and its samples in one norm.
struct Case {
    title: String,
    words: Vec<u32>,
    norm: Norm,
    npz: Reference,
    x: ArrayD<f32>,
}

fn cases(test: &str, names: &[&str]) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in names {
        let Some(model) = outside::find(test, &format!("reference/{name}.onnx")) else { continue };
        let words = outside::words(&outside::network(&model));
        for (norm, suffix) in [(Norm::L2, "l2"), (Norm::Linf, "linf")] {
            let path = format!("reference/{name}__{suffix}.npz");
            let Some(file) = outside::find(test, &path) else { continue };
            let npz = Reference::open(&file);
            let (title, x) = (format!("{name} {norm}"), npz.f32s("X"));
            cases.push(Case { title, words: words.clone(), norm, npz, x });
        }
    }
    cases
}

impl Case {
    fn runner(&self) -> Runner<'_> {
        Runner::new(Model::from_words(&self.words).expect("packed here"), false)
    }

    fn samples(&self, few: usize) -> usize {
        if outside::long() { self.x.shape()[0] } else { few }
    }

    /// Radii of sample `i` and the seconds that each took.
    fn radii(&self, i: usize, methods: &[&str]) -> Vec<(f64, f64)> {
        let (x, start) = (entry(&self.x, i), self.npz.eps());
        let search = Search { tolerance: start * GRID, budget: 60, start };
        let mut worker = Worker::new(Model::from_words(&self.words).expect("packed here"), false);
        let radius = |name: &&str| {
            let question = Question::new(self.norm, [stage(name)]);
            let begun = Instant::now();
            let found = question.radius(&mut worker, i, &x, None, &search).1.radius;
            (found, begun.elapsed().as_secs_f64())
        };
        methods.iter().map(radius).collect()
    }

    /// Mean radii and milliseconds by method, after a check that they are in their order for each
    /// sample; prints them.
    fn table(&self, samples: usize, methods: &[&str]) -> Vec<f64> {
        let each: Vec<Vec<(f64, f64)>> =
            (0..samples).into_par_iter().with_max_len(1).map(|i| self.radii(i, methods)).collect();
        let mean = |m: usize, pick: fn(&(f64, f64)) -> f64| {
            each.iter().map(|row| pick(&row[m])).sum::<f64>() / samples as f64
        };
        let radii: Vec<f64> = (0..methods.len()).map(|m| mean(m, |x| x.0)).collect();
        print!("| {} | {samples} |", self.title);
        radii.iter().for_each(|r| print!(" {r:.5} |"));
        (0..methods.len()).for_each(|m| print!(" {:.0} |", 1e3 * mean(m, |x| x.1)));
        println!();
        if let [.., crown, quad] = methods
            && (*crown, *quad) == ("crown", "crown-quad")
        {
            for row in &each {
                let [.., (crown, _), (quad, _)] = row[..] else { unreachable!("two at least") };
                assert!(quad >= crown, "{}: {row:?}", self.title);
            }
        }
        radii
    }
}

fn heading(methods: &[&str]) {
    let names: Vec<&str> = methods.to_vec();
    println!("| net, norm | samples | {} | and ms a radius |", names.join(" | "));
}

/// Mean certified radii of the methods of paper 003 on a network of two layers.
#[test]
fn radii_of_two_layers() {
    heading(&METHODS);
    for case in cases("radii_of_two_layers", &[TWO_LAYERS]) {
        let radii = case.table(case.samples(4), &METHODS);
        assert!(radii.windows(2).all(|pair| pair[0] < pair[1]), "{}: {radii:?}", case.title);
    }
}

/// Fast-Lip is below Fast-Lin on deeper networks too, the further the deeper.
#[test]
fn radii_of_deeper_networks() {
    let methods = &METHODS[..3];
    heading(methods);
    for case in cases("radii_of_deeper_networks", &["acas_shape", "mnist_784_200_100_50_10"]) {
        let radii = case.table(case.samples(4), methods);
        assert!(radii[0] < 0.8 * radii[1] && radii[1] <= radii[2], "{}: {radii:?}", case.title);
        assert!(radii[0] > 0.0);
    }
    if outside::asked_for("radii_of_deeper_networks: mnist_3x1024, mnist_4x1024") {
        for case in cases("radii_of_deeper_networks", &["mnist_3x1024", "mnist_4x1024"]) {
            let radii = case.table(4, methods);
            assert!(radii[0] < 0.7 * radii[1] && radii[1] <= radii[2], "{}", case.title);
        }
    }
}

/// The largest radius at which bounds are compared, in that of the reference data.
const WIDEST: f64 = 3.0;

#[test]
fn what_the_quadratic_part_gains() {
    println!(
        "share of rows better than CROWN; mean bounds: CROWN, the paper's program, CROWN-Quad"
    );
    for case in cases("what_the_quadratic_part_gains", &[TWO_LAYERS]) {
        for scale in [1.0, 2.0, WIDEST] {
            let samples = case.samples(6);
            let each = (0..samples).into_par_iter().map(|i| {
                let x = entry(&case.x, i);
                let mut runner = case.runner();
                let class = runner.predict(&x).expect("finite outputs");
                let region = Region::ball(&x, scale * case.npz.eps(), case.norm);
                let spec = Spec::Margins { class };
                let (mut crown, mut papers, mut found) = Default::default();
                let options = Options::new(Method::Crown);
                runner.lower_bounds(&region, &spec, &options, &mut crown).expect("bounds");
                let effort = quad::Effort::default();
                let first = quad::Effort { programs: 1, steps: 64, ..effort };
                let mut ask = |effort, out| {
                    quad::lower_bounds(&mut runner, &region, &spec, effort, out).expect("bounds")
                };
                ask(&first, &mut papers);
                ask(&effort, &mut found);
                let pairs = found.iter().zip(&papers).zip(&crown);
                pairs.fold([0.0; 5], |sum, ((found, papers), crown): ((&f32, &f32), &f32)| {
                    assert!(found >= crown && papers >= crown, "{}: sample {i}", case.title);
                    // A gain by the slopes, not by f64 where the engine has f32.
                    let better = f64::from(found - crown) > 1e-4 * f64::from(crown.abs() + 1.0);
                    let [crown, papers, found] = [crown, papers, found].map(|x| f64::from(*x));
                    let row = [1.0, f64::from(u8::from(better)), crown, papers, found];
                    std::array::from_fn(|k| sum[k] + row[k])
                })
            });
            let sums = each.reduce(|| [0.0; 5], |a, b| std::array::from_fn(|k| a[k] + b[k]));
            let [rows, better, crown, papers, found] = sums;
            println!(
                "{} at {scale} eps: {:.1} % of {rows} rows; {:.5} {:.5} {:.5}",
                case.title,
                100.0 * better / rows,
                crown / rows,
                papers / rows,
                found / rows,
            );
            assert!(better > 0.3 * rows && found > crown, "{}", case.title);
        }
    }
}

/// Both are below the linear program's value, and most of what is between it and CROWN is gained.
#[test]
fn optimised_slopes_are_met() {
    println!("gain over CROWN: by 20 steps of Adam on the slopes, by CROWN-Quad");
    for case in cases("optimised_slopes_are_met", &[TWO_LAYERS]) {
        let alpha = case.npz.f64s("lb_alpha20_f32");
        let crown = case.npz.f64s("lb_CROWN_f64");
        let (labels, eps) = (case.npz.f64s("y"), case.npz.eps());
        let mut runner = case.runner();
        let (mut expected, mut gained) = (0.0, 0.0);
        for i in 0..case.samples(6).min(alpha.shape()[0]) {
            let x = entry(&case.x, i);
            let spec = Spec::Margins { class: labels[[i]] as usize };
            let mut found = Vec::new();
            let region = Region::ball(&x, eps, case.norm);
            let effort = quad::Effort::default();
            quad::lower_bounds(&mut runner, &region, &spec, &effort, &mut found).expect("bounds");
            let (alpha, crown) = (entry(&alpha, i), entry(&crown, i));
            expected += alpha.iter().zip(&crown).map(|(a, c)| a - c).sum::<f64>();
            gained += found.iter().zip(&crown).map(|(f, c)| f64::from(*f) - c).sum::<f64>();
        }
        println!("{}: {expected:.4} {gained:.4}", case.title);
        assert!(gained > 0.8 * expected && expected > 0.0, "{}", case.title);
    }
}

#[test]
fn no_bound_exceeds_what_a_search_finds() {
    for case in cases("no_bound_exceeds_what_a_search_finds", &[TWO_LAYERS]) {
        let network = certus::blob::unpack(&Model::from_words(&case.words).expect("packed here"));
        let dense = Dense::new(&network);
        let mut rng = fastrand::Rng::with_seed(11);
        for i in 0..case.samples(4) {
            let x = entry(&case.x, i);
            let mut runner = case.runner();
            let class = runner.predict(&x).expect("finite outputs");
            let eps = WIDEST * case.npz.eps();
            let (region, spec) = (Region::ball(&x, eps, case.norm), Spec::Margins { class });
            let (mut quad, mut lip) = (Vec::new(), Vec::new());
            let effort = quad::Effort::default();
            quad::lower_bounds(&mut runner, &region, &spec, &effort, &mut quad).expect("bounds");
            fast_lip::lower_bounds(&mut runner, &region, &spec, &mut lip).expect("bounds");
            let ball = Ball::new(&x, eps, case.norm);
            let least = dense.search(&ball, &margins(class, dense.outputs()), 3, 12, &mut rng);
            for ((quad, lip), least) in quad.iter().zip(&lip).zip(&least) {
                let (quad, lip) = (f64::from(*quad), f64::from(*lip));
                // The search's own rounding in f64.
                let most = least + 1e-9 * (1.0 + least.abs());
                assert!(lip <= most && quad <= most, "{}: {i}: {lip} {quad} {least}", case.title);
            }
        }
    }
}
