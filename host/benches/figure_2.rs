//! Figure 2 of paper 000: certificates and attacks, image by image, in l2.
//!
//! `cargo bench -p certus --bench figure_2 -- NET.onnx SAMPLES.npz [NET SAMPLES ..]`
//!
//! For each image, of the predicted class and without a box of inputs: the decision-boundary
//! certificate by the paper's formula and by ours, both of two-layer nets only; the simplex
//! certificate; the l2 distance of the nearest input found by DeepFool and by I-FGSM, once with
//! steps by the gradient's signs in linf balls, once with steps along the gradient in l2 balls, each
//! at the smallest radius at which it succeeds. Attacks count once replayed. Then, on how many
//! images which order holds. It panics if a certificate is above an attack.

use std::path::Path;

use certus::attack::distance::distance_up;
use certus::attack::{Attack, Method, Threat, Witness, Worker};
use certus::blob::{self, WeightKind};
use certus::geometry::{DecisionBoundary, Denominator};
use certus::{dataset, import};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::simplex::{Query, Simplex};

const COLUMNS: [&str; 6] = ["db paper", "db ours", "simplex", "DeepFool", "I-FGSM", "I-FGSM l2"];
const CERTIFICATES: usize = 3;

/// Columns of which the first shall not be above the second.
const ORDERS: [[usize; 2]; 11] =
    [[0, 2], [2, 3], [2, 4], [2, 5], [3, 4], [3, 5], [0, 1], [2, 1], [1, 3], [1, 4], [1, 5]];

/// Halvings of the interval that has the smallest radius at which I-FGSM succeeds.
const HALVINGS: usize = 14;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.is_empty() || args.len() % 2 == 1 {
        eprintln!("usage: cargo bench -p certus --bench figure_2 -- NET SAMPLES [NET SAMPLES ..]");
        return;
    }
    for net in args.chunks_exact(2) {
        figure(Path::new(&net[0]), Path::new(&net[1]));
    }
}

/// The table of one net.
fn figure(net: &Path, samples: &Path) {
    let network = import::read(net).expect("net");
    let words = blob::pack(&network, WeightKind::F32).expect("blob");
    let model = Model::from_words(&words).expect("model");
    let boundary = DecisionBoundary::new(blob::unpack(&model)).ok();
    let set = dataset::read(samples, None).expect("samples");
    let mut worker = Worker::new(model, true);
    println!("{}", net.file_stem().unwrap_or_default().to_string_lossy());
    println!(
        "{:>5} {:>5} {}",
        "image",
        "class",
        COLUMNS.map(|name| format!("{name:>10}")).join(" ")
    );
    let mut rows = Vec::new();
    for index in 0..set.rows {
        let x = set.row(index);
        let class = worker.runner.predict(x).expect("prediction");
        let row = distances(&mut worker, boundary.as_ref(), x, class, index);
        println!("{index:>5} {class:>5} {}", cells(&row));
        for (certificate, attack) in row[..CERTIFICATES].iter().flatten().flat_map(|certificate| {
            row[CERTIFICATES..].iter().flatten().map(move |attack| (certificate, attack))
        }) {
            assert!(
                certificate <= attack,
                "image {index}: {certificate} certified, {attack} found"
            );
        }
        rows.push(row);
    }
    let mean = |column: usize| {
        let found: Vec<f64> = rows.iter().filter_map(|row| row[column]).collect();
        (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
    };
    println!("{:>11} {}", "mean", cells(&std::array::from_fn(mean)));
    for [low, high] in ORDERS {
        let both = rows.iter().filter_map(|row| Some((row[low]?, row[high]?)));
        let (holds, all) =
            both.fold((0, 0), |(n, all), (low, high)| (n + usize::from(low <= high), all + 1));
        if all > 0 {
            println!("{} <= {} on {holds} of {all} images", COLUMNS[low], COLUMNS[high]);
        }
    }
}

fn cells(row: &[Option<f64>; 6]) -> String {
    let cell = |x: &Option<f64>| x.map_or(format!("{:>10}", "-"), |x| format!("{x:>10.3e}"));
    row.iter().map(cell).collect::<Vec<_>>().join(" ")
}

/// One line of the table: what its columns say.
fn distances(
    worker: &mut Worker<'_>,
    boundary: Option<&DecisionBoundary>,
    x: &[f32],
    class: usize,
    index: usize,
) -> [Option<f64>; 6] {
    let query = Query::margins(x, Norm::L2, class);
    let simplex: Simplex<1> = worker.runner.simplex(&query).expect("certificate");
    let paper = |b: &DecisionBoundary| b.radius(x, class, Norm::L2, Denominator::Product);
    let free = Threat { center: x, epsilon: f64::INFINITY, norm: Norm::L2, clip: None };
    let deepfool = Attack::new(Method::DeepFool).run(worker, &free, class, index).witness;
    [
        boundary.map(|b| paper(b).expect("certificate")),
        boundary.map(|b| b.local(x, class, Norm::L2).expect("certificate")),
        Some(simplex.radius().into()),
        deepfool.map(|witness| witness.distance()),
        ifgsm(worker, x, class, index, Norm::Linf),
        ifgsm(worker, x, class, index, Norm::L2),
    ]
}

/// The smallest l2 distance of the points that I-FGSM finds in balls of `norm`, down to the smallest
/// ball in which it finds one.
fn ifgsm(
    worker: &mut Worker<'_>,
    x: &[f32],
    class: usize,
    index: usize,
    norm: Norm,
) -> Option<f64> {
    let attack = Attack::new(Method::Ifgsm);
    let mut best = None;
    let mut succeeds = |epsilon: f64| {
        let threat = Threat { center: x, epsilon, norm, clip: None };
        let found = attack.run(worker, &threat, class, index).witness;
        let distance = |witness: &Witness| distance_up(witness.point(), x, Norm::L2);
        let found = found.as_ref().map(distance);
        best = best.into_iter().chain(found).min_by(f64::total_cmp);
        found.is_some()
    };
    let (mut low, mut high) = (0.0, 1e-3);
    while high < 1e3 && !succeeds(high) {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if succeeds(middle) { high = middle } else { low = middle }
    }
    best
}
