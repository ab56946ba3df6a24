//! Our bounds beside those of another implementation, and beside what a search finds.
//!
//! A row's *scale* is the larger of its net's logit scale, the largest magnitude of a logit over the
//! samples of the file, and the largest magnitude among the sample's bounds.

use std::path::PathBuf;

use certus::cpu::Runner;
use certus::network::Network;
use certus_engine::bounds::{Method, Options};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use certus_tests::dense::{Ball, Dense, How};
use certus_tests::outside::{self, Reference, entry};
use ndarray::{Array1, Array2, ArrayD};
use rayon::prelude::*;

/// Nets and how many of their samples are taken; the last two take minutes.
const NETS: [(&str, usize); 6] = [
    (TANH, 32),
    ("acas_shape", 32),
    ("mnist_784_500_10", 12),
    ("mnist_784_200_100_50_10", 12),
    ("mnist_3x1024", 0),
    ("mnist_4x1024", 0),
];

const METHODS: [(&str, Method); 4] = [
    ("CROWN", Method::Crown),
    ("CROWN-IBP", Method::CrownIbp),
    ("IBP", Method::Ibp),
    ("forward+backward", Method::ForwardBackward),
];

/// How many of them the textbook code in f64 knows, too.
const TEXTBOOK: usize = 3;

/// The net with another activation than ReLU. The textbook does not bound it; the reference looks
/// its tangents up in tables, which costs less than [`MOST`].
const TANH: &str = "robot_tanh";

/// Percent of its scale by which a bound may be looser.
const MOST: f64 = 0.1;

/// A reference file with its net.
struct Case {
    name: String,
    norm: Norm,
    network: Network,
    eps: f64,
    x: ArrayD<f32>,
    spec: ArrayD<f64>,
    logits: ArrayD<f64>,
    /// Bounds of each of [`METHODS`].
    lower: Vec<ArrayD<f64>>,
    file: PathBuf,
    samples: usize,
}

impl Case {
    fn spec(&self, i: usize) -> Array2<f64> {
        let shape = (self.spec.shape()[1], self.spec.shape()[2]);
        Array2::from_shape_vec(shape, entry(&self.spec, i)).expect("a matrix per sample")
    }

    fn scale(&self, lower: &[f64]) -> f64 {
        lower.iter().chain(&self.logits).fold(0.0, |most: f64, x| most.max(x.abs()))
    }

    /// The norm's name and the net's, as one column.
    fn title(&self) -> String {
        format!("{} {}", self.name, self.norm)
    }
}

/// The cases, and whether any was left out for its length.
fn cases(test: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, few) in NETS {
        let samples = if outside::long() { usize::MAX } else { few };
        if samples == 0 {
            println!("{name}: left out, it takes minutes; set CERTUS_LONG=1");
            continue;
        }
        let Some(model) = outside::find(test, &format!("reference/{name}.onnx")) else { continue };
        let network = outside::network(&model);
        for (norm, suffix) in [(Norm::Linf, "linf"), (Norm::L2, "l2")] {
            let path = format!("reference/{name}__{suffix}.npz");
            let Some(file) = outside::find(test, &path) else { continue };
            let npz = Reference::open(&file);
            let x = npz.f32s("X");
            let bounds = |(key, _): &(&str, Method)| npz.f64s(&format!("lb_{key}_f64"));
            let lower = METHODS.iter().map(bounds).collect();
            cases.push(Case {
                name: name.to_owned(),
                norm,
                network: network.clone(),
                eps: npz.eps(),
                samples: samples.min(x.shape()[0]),
                x,
                spec: npz.f64s("C"),
                logits: npz.f64s("logits_f64"),
                lower,
                file,
            });
        }
    }
    cases
}

/// Largest and mean of numbers.
fn summary(x: &[f64]) -> (f64, f64) {
    let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (most, x.iter().sum::<f64>() / x.len() as f64)
}

#[test]
fn dense_f64_agrees_with_the_reference() {
    let test = "dense_f64_agrees_with_the_reference";
    println!("largest difference over the scale: bounds by method, pre-activations (CROWN, IBP)");
    for case in cases(test).into_iter().filter(|case| case.name != TANH) {
        let dense = Dense::new(&case.network);
        // What is compared is the textbook code: a few samples of the large nets do.
        let samples = case.samples.min(if case.name.contains("1024") { 2 } else { 12 });
        let npz = Reference::open(&case.file);
        let hidden = case.network.layers.len() - 1;
        let pre = |prefix: &str| -> Vec<(ArrayD<f64>, ArrayD<f64>)> {
            let ends =
                |k| (npz.f64s(&format!("{prefix}_l_{k}")), npz.f64s(&format!("{prefix}_u_{k}")));
            (0..hidden).map(ends).collect()
        };
        let ends = [pre("pre"), pre("ibp")];
        let worst = (0..samples).into_par_iter().map(|i| {
            let ball = Ball::new(&entry(&case.x, i), case.eps, case.norm);
            let mut worst = [0.0f64; 5];
            for (m, (_, method)) in METHODS.into_iter().enumerate().take(TEXTBOOK) {
                let found = dense.bounds(&ball, &case.spec(i), How { method, intersect: false });
                let expected = entry(&case.lower[m], i);
                let scale = case.scale(&expected);
                for (a, b) in found.lower.iter().zip(&expected) {
                    worst[m] = worst[m].max((a - b).abs() / scale);
                }
                let ends = match method {
                    Method::Crown => &ends[0],
                    Method::Ibp => &ends[1],
                    _ => continue,
                };
                let slot = if method == Method::Crown { 3 } else { 4 };
                for ((lo, hi), (l, u)) in found.layers.iter().zip(ends) {
                    let (l, u) = (entry(l, i), entry(u, i));
                    let scale = l.iter().chain(&u).fold(0.0, |most: f64, x| most.max(x.abs()));
                    for (a, b) in lo.iter().chain(hi).zip(l.iter().chain(&u)) {
                        worst[slot] = worst[slot].max((a - b).abs() / scale);
                    }
                }
            }
            worst
        });
        let worst = worst.reduce(|| [0.0; 5], |a, b| std::array::from_fn(|i| a[i].max(b[i])));
        let [crown, crown_ibp, ibp, pre, pre_ibp] = worst;
        println!(
            "{:<30} CROWN {crown:.1e}  CROWN-IBP {crown_ibp:.1e}  IBP {ibp:.1e}  \
             pre {pre:.1e} {pre_ibp:.1e}",
            case.title()
        );
        assert!(worst.iter().all(|&x| x < 1e-9), "{}: {worst:?}", case.title());
    }
}

/// Ours for one method: as the papers, and with our intersections.
fn ours(case: &Case, words: &[u32], i: usize, method: Method, intersect: bool) -> Vec<f64> {
    let model = Model::from_words(words).expect("packed here");
    let (x, matrix) = (entry(&case.x, i), entry(&case.spec, i));
    let matrix: Vec<f32> = matrix.iter().map(|&c| c as f32).collect();
    let spec = Spec::Rows { matrix: &matrix, rows: case.spec.shape()[1] };
    let options = Options { intersect, ..Options::new(method) };
    let mut out = Vec::new();
    Runner::new(model, false)
        .lower_bounds(&Region::ball(&x, case.eps, case.norm), &spec, &options, &mut out)
        .unwrap_or_else(|error| panic!("{}: sample {i}: {error}", case.title()));
    out.into_iter().map(f64::from).collect()
}

#[test]
fn bounds_meet_the_reference() {
    println!("(reference - ours) / scale, in percent; positive: ours is looser");
    println!(
        "{:<30} {:<16} {:>28} {:>28}",
        "net", "method", "as the papers: worst, mean", "default: worst, mean"
    );
    let mut broken = Vec::new();
    for case in cases("bounds_meet_the_reference") {
        let words = outside::words(&case.network);
        for (m, (name, method)) in METHODS.into_iter().enumerate() {
            let short = |intersect: bool| -> Vec<f64> {
                let each = (0..case.samples).into_par_iter().flat_map_iter(|i| {
                    let expected = entry(&case.lower[m], i);
                    let scale = case.scale(&expected);
                    let found = ours(&case, &words, i, method, intersect);
                    let pairs = expected.into_iter().zip(found);
                    pairs.map(move |(e, f)| 100.0 * (e - f) / scale).collect::<Vec<_>>()
                });
                each.collect()
            };
            let (plain, default) = (summary(&short(false)), summary(&short(true)));
            println!(
                "{:<30} {name:<16} {:>14.6} {:>13.6} {:>14.6} {:>13.6}",
                case.title(),
                plain.0,
                plain.1,
                default.0,
                default.1
            );
            let met = |(worst, mean): (f64, f64)| worst <= MOST && mean.is_finite();
            if !met(plain) || !met(default) {
                broken.push(format!("{} {name}: {} and {} %", case.title(), plain.0, default.0));
            }
        }
    }
    assert!(broken.is_empty(), "more than {MOST} % looser: {}", broken.join("; "));
}

#[test]
fn no_bound_exceeds_what_a_search_finds() {
    let seed = 7;
    println!("least gap between the search's minimum and our bound, over the scale; seed {seed}");
    for case in cases("no_bound_exceeds_what_a_search_finds") {
        let dense = Dense::new(&case.network);
        let words = outside::words(&case.network);
        let each = (0..case.samples).into_par_iter().map(|i| {
            let mut rng = fastrand::Rng::with_seed(seed + i as u64);
            let ball = Ball::new(&entry(&case.x, i), case.eps, case.norm);
            let (restarts, steps) = if outside::long() { (5, 30) } else { (3, 12) };
            let least: Array1<f64> = dense.search(&ball, &case.spec(i), restarts, steps, &mut rng);
            METHODS.map(|(name, method)| {
                let mut gap = f64::INFINITY;
                for intersect in [false, true] {
                    let bounds = ours(&case, &words, i, method, intersect);
                    let scale = case.scale(&bounds);
                    for (r, (bound, found)) in bounds.iter().zip(&least).enumerate() {
                        // The search's own rounding in f64.
                        assert!(
                            *bound <= found + 1e-9 * scale,
                            "{} {name} sample {i} row {r}: bound {bound} above {found}",
                            case.title()
                        );
                        gap = gap.min((found - bound) / scale);
                    }
                }
                gap
            })
        });
        let gaps = each.reduce(
            || [f64::INFINITY; METHODS.len()],
            |a, b| std::array::from_fn(|m| a[m].min(b[m])),
        );
        println!(
            "{:<30} CROWN {:.3e}  CROWN-IBP {:.3e}  IBP {:.3e}  forward+backward {:.3e}",
            case.title(),
            gaps[0],
            gaps[1],
            gaps[2],
            gaps[3]
        );
    }
}
