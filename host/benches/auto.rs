//! `--method auto` of `certus certify` beside its stages alone.
//!
//! `cargo bench -p certus --bench auto -- IMAGES LABELS COUNT NET.onnx EPS,EPS.. [NET EPS,EPS.. ..]`
//!
//! For each net and radius (linf, cut to [0, 1], pixels divided by 255): certified and falsified of
//! the images that are answered as labelled, milliseconds an image on one core (medians over rounds, in
//! which the methods take turns), and multiply-adds. The best of the others is the one that certifies
//! most, in the least time; `auto` has its time's ratio to that.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use certus::alpha::Settings;
use certus::attack::Worker;
use certus::blob::{self, WeightKind};
use certus::dataset::{self, CsvLabels};
use certus::geometry::Norms;
use certus::import;
use certus::plan::{self, AlphaCrown, SharedStage, Simplex, propagation};
use certus::question::Question;
use certus::report::Verdict;
use certus_engine::bounds::{Method, Options, Semantics, Work};
use certus_engine::model::Model;
use certus_engine::region::Norm;

/// Rounds.
const ROUNDS: usize = 5;

/// What is compared; `auto` last.
fn methods() -> Vec<(&'static str, Vec<SharedStage>)> {
    let crown = Options::new(Method::Crown);
    let alpha = AlphaCrown { crown, settings: Settings::default() };
    vec![
        ("simplex", vec![Arc::new(Simplex { semantics: Semantics::Real })]),
        ("ibp", vec![propagation("ibp", Options::new(Method::Ibp))]),
        ("crown-ibp", vec![propagation("crown-ibp", Options::new(Method::CrownIbp))]),
        ("crown", vec![propagation("crown", crown)]),
        ("alpha-crown", vec![Arc::new(alpha)]),
        ("auto", plan::auto(crown)),
    ]
}

/// What a method did in a round.
#[derive(Default)]
struct Done {
    certified: usize,
    falsified: usize,
    work: Work,
    seconds: Vec<f64>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [images, labels, count, nets @ ..] = &args[..] else {
        eprintln!(
            "usage: cargo bench -p certus --bench auto -- IMAGES LABELS COUNT NET EPS,EPS .."
        );
        return;
    };
    let labels = Some(Path::new(labels));
    let set = dataset::read_with(Path::new(images), labels, CsvLabels::First).expect("images");
    let count = count.parse::<usize>().expect("a number of images").min(set.rows);
    let images: Vec<(Vec<f32>, Option<usize>)> = (0..count)
        .map(|i| (set.row(i).iter().map(|x| x / 255.0).collect(), set.label(i)))
        .collect();
    println!(
        "| net | epsilon | answered | method | certified | falsified | ms | M madds | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for net in nets.chunks_exact(2) {
        for epsilon in net[1].split(',') {
            bench(Path::new(&net[0]), epsilon.parse().expect("a radius"), &images);
        }
    }
}

/// The lines of one net and radius.
fn bench(path: &Path, epsilon: f64, images: &[(Vec<f32>, Option<usize>)]) {
    let words = blob::pack(&import::read(path).expect("net"), WeightKind::F32).expect("blob");
    let model = Model::from_words(&words).expect("model");
    let norms = Norms::new(&model, Norm::Linf);
    let questions: Vec<(&str, Question)> = methods()
        .into_iter()
        .map(|(name, stages)| {
            let norms = (name == "simplex").then(|| norms.clone());
            let ends = Some((0.0, 1.0));
            let usual = Question::new(Norm::Linf, stages);
            (name, Question { clip: ends, inner: ends, norms, ..usual })
        })
        .collect();
    let mut worker = Worker::new(model, false);
    let mut all: Vec<Done> = questions.iter().map(|_| Done::default()).collect();
    let mut answered = 0;
    for round in 0..ROUNDS {
        for ((_, question), done) in questions.iter().zip(&mut all) {
            let begun = Instant::now();
            let (mut certified, mut falsified, mut right) = (0, 0, 0);
            let mut work = Work::default();
            for (index, (x, label)) in images.iter().enumerate() {
                let answer = question.certify(&mut worker, index, x, *label, epsilon);
                certified += usize::from(answer.record.verdict == Verdict::Certified);
                falsified += usize::from(answer.record.verdict == Verdict::Falsified);
                right += usize::from(answer.record.verdict != Verdict::Misclassified);
                work += answer.work;
            }
            done.seconds.push(begun.elapsed().as_secs_f64() / images.len() as f64);
            assert!(round == 0 || (certified, falsified) == (done.certified, done.falsified));
            (done.certified, done.falsified, done.work) = (certified, falsified, work);
            answered = right;
        }
    }
    let time = |done: &Done| {
        let mut seconds = done.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        1e3 * seconds[seconds.len() / 2]
    };
    let others = &all[..all.len() - 1];
    let most = others.iter().map(|done| done.certified).max().unwrap_or(0);
    let best = others.iter().filter(|done| done.certified == most).map(time).reduce(f64::min);
    for ((name, _), done) in questions.iter().zip(&all) {
        let ratio = match best {
            Some(best) if *name == "auto" => format!("{:.2}", time(done) / best),
            _ => String::new(),
        };
        println!(
            "| {} | {epsilon} | {answered} | {name} | {} | {} | {:.3} | {:.2} | {ratio} |",
            path.file_stem().unwrap_or_default().to_string_lossy(),
            done.certified,
            done.falsified,
            time(done),
            1e-6 * done.work.macs() as f64 / images.len() as f64,
        );
    }
}
