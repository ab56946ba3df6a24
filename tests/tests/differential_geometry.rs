//! The geometric certificates on trained networks, between each other and the attacks:
//! simplex <= region search <= nearest attack.

use std::path::{Path, PathBuf};

use certus::attack::{Cpu, Nearest, Threat, Worker};
use certus::cpu::Runner;
use certus::geometry::{Norms, search};
use certus::plan::propagation;
use certus::question::Question;
use certus::radius::Search;
use certus_engine::bounds::{Method, Options};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::simplex::{Query, Simplex};
use certus_tests::outside;
use rayon::prelude::*;

const NORMS: [(&str, Norm, f64); 3] =
    [("linf", Norm::Linf, 0.01), ("l2", Norm::L2, 0.2), ("l1", Norm::L1, 1.0)];

/// Linear regions that the search explores.
const REGIONS: usize = 20;

/// How much further than the simplex certificate in f32 the search in f64 must see.
const ROUNDING: f64 = 1e-5;

/// The nets of a folder, small ones only unless the run may take an hour.
fn nets(test: &str, folder: &str) -> Vec<PathBuf> {
    let Some(folder) = outside::find(test, folder) else { return Vec::new() };
    let entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").path());
    let mut nets: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    nets.sort();
    nets.retain(|path| outside::hours() || name(path).contains("MLP_2_100"));
    nets
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Distances of one image.
#[derive(Clone, Copy, Default)]
struct Distances {
    simplex: f64,
    search: f64,
    crown: f64,
    attack: f64,
}

fn measure(
    what: &str,
    model: Model<'_>,
    norms: &Norms,
    x: &[f32],
    norm: Norm,
    start: f64,
) -> Distances {
    let mut runner = Runner::new(model, false);
    let class = runner.predict(x).expect("finite");
    let query = Query { known: Some(norms.known()), ..Query::margins(x, norm, class) };
    let simplex: Simplex<1> = runner.simplex(&query).expect("in range");
    let budget = search::Budget { regions: REGIONS, programs: 10 * REGIONS, ..Default::default() };
    let searched = search::search(&model, x, class, norm, None, &budget).expect("in range");
    let options = Options::new(Method::Crown);
    let question = Question::new(norm, [propagation("crown", options)]);
    let steps = Search { tolerance: start * 1e-3, budget: 10, start };
    let crown = question.radius(&mut Worker::new(model, false), 0, x, None, &steps).1.radius;
    let threat = Threat { center: x, epsilon: f64::INFINITY, norm, clip: None };
    let mut gradient = Cpu::new(model);
    let nearest = Nearest::default().run(&mut gradient, &mut runner, &threat, class, 0, crown);
    let attack = nearest.map_or(f64::INFINITY, |witness| witness.distance());
    let found =
        Distances { simplex: simplex.radius().into(), search: searched.radius, crown, attack };
    let Distances { simplex, search, crown, attack } = found;
    assert!(simplex <= search * (1.0 + ROUNDING), "{what}: simplex {simplex}, search {search}");
    let violation = searched.violation.map_or(f64::INFINITY, |violation| violation.distance);
    let upper = attack.min(violation);
    assert!(search <= upper && crown <= upper, "{what}: {search}, {crown} beyond {upper}");
    found
}

#[test]
fn simplex_search_and_attack_are_in_order() {
    let test = "simplex_search_and_attack_are_in_order";
    let folders = ["relax_barrier/experiment_1", "relax_barrier/experiment_2", "mipverify"];
    let images = if outside::long() { 2 } else { 1 };
    let Some(x) = outside::mnist(test, images) else { return };
    println!("mean distances of {images} images, {REGIONS} regions; attack where it found one");
    println!(
        "{:<22} {:>5} {:>10} {:>10} {:>10} {:>10}",
        "net", "norm", "simplex", "search", "crown", "attack"
    );
    let all: Vec<PathBuf> = folders.iter().flat_map(|folder| nets(test, folder)).collect();
    let there = outside::find(test, "relax_barrier/experiment_2").is_some();
    assert!(!there || all.len() >= 3, "{all:?}");
    for net in all {
        let words = outside::words(&outside::network(&net));
        let model = Model::from_words(&words).expect("packed here");
        for (label, norm, start) in NORMS {
            let norms = Norms::new(&model, norm);
            let what = format!("{} {label}", name(&net));
            let all: Vec<Distances> = x
                .par_iter()
                .with_max_len(1)
                .map(|(x, _)| measure(&what, model, &norms, x, norm, start))
                .collect();
            let mean = |of: fn(&Distances) -> f64| {
                let finite: Vec<f64> = all.iter().map(of).filter(|d| d.is_finite()).collect();
                finite.iter().sum::<f64>() / finite.len() as f64
            };
            println!(
                "{:<22} {label:>5} {:>10.3e} {:>10.3e} {:>10.3e} {:>10.3e}",
                name(&net),
                mean(|d| d.simplex),
                mean(|d| d.search),
                mean(|d| d.crown),
                mean(|d| d.attack)
            );
            assert!(all.iter().all(|d| d.simplex > 0.0), "{what}: a certificate of 0");
        }
    }
}
