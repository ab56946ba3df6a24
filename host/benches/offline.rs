//! Dual ascent beside the linear program whose dual it climbs.
//!
//! `cargo bench -p certus --bench offline -- IMAGES.npy RATE,DECAY NET.onnx [NET.onnx ..]`
//!
//! For each net and image, at 1.02 times CROWN's radius (linf, no box), from CROWN's pre-activation bounds:
//! all margins by the program (LP-LAST) and by dual ascent of some iterations; the share of the program's
//! gain over CROWN that the ascent reaches, the least over the images and over all, and the ratio of their
//! times on one core.

use std::path::Path;
use std::time::Instant;

use certus::alpha::{self, Settings};
use certus::attack::Worker;
use certus::blob::{self, WeightKind};
use certus::cpu::Runner;
use certus::dataset::{self, CsvLabels};
use certus::import;
use certus::offline::lp::{self, Solved};
use certus::plan::propagation;
use certus::question::Question;
use certus::radius::Search;
use certus::slopes::{Around, Rows};
use certus_engine::bounds::{Given, Method, Options, Semantics};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::spec::Spec;

const ITERATIONS: [usize; 5] = [20, 50, 100, 200, 400];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [images, tune, nets @ ..] = &args[..] else {
        eprintln!("usage: cargo bench -p certus --bench offline -- IMAGES RATE,DECAY NET ..");
        return;
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let set = dataset::read_with(Path::new(images), None, CsvLabels::First).expect("images");
    let tune: Vec<f32> = tune.split(',').map(|x| x.parse().expect("a number")).collect();
    println!("| net | iterations | least share | share of all | time of LP-LAST's |");
    println!("|---|---|---|---|---|");
    for net in nets {
        pool.install(|| bench(Path::new(net), &set, (tune[0], tune[1])));
    }
}

fn bench(path: &Path, set: &dataset::Dataset, (rate, decay): (f32, f32)) {
    let words = blob::pack(&import::read(path).expect("net"), WeightKind::F32).expect("blob");
    let model = Model::from_words(&words).expect("model");
    let mut runner = Runner::new(model, false);
    let crown = Options::new(Method::Crown);
    let question = Question::new(Norm::Linf, [propagation("crown", crown)]);
    let search = Search { tolerance: 1e-6, budget: 60, start: 0.01 };
    let mut gains = vec![Vec::new(); ITERATIONS.len()];
    let (mut program_gain, mut seconds, mut program_seconds) =
        (Vec::new(), [0.0; ITERATIONS.len()], 0.0);
    for i in 0..set.rows {
        let x = set.row(i);
        let mut worker = Worker::new(model, false);
        let epsilon = 1.02 * question.radius(&mut worker, i, x, None, &search).1.radius;
        let class = runner.predict(x).expect("a class");
        let around = Around { center: x, epsilon, norm: Norm::Linf, clip: None };
        let (spec, mut before) = (Spec::Margins { class }, Vec::new());
        let given = Given::default();
        let found = runner
            .lower_bounds_given(&around.region(), &spec, &crown, &given, None, &mut before)
            .expect("in range");
        let (lo, hi) = (found.lo.to_vec(), found.hi.to_vec());
        let outputs = model.outputs();
        let matrix: Vec<f32> = (0..before.len())
            .flat_map(|r| (0..outputs).map(move |j| (r, j)))
            .map(|(r, j)| spec.coefficient(r, j, outputs))
            .collect();
        let gain = |after: &[f32]| -> f64 {
            after.iter().zip(&before).map(|(a, b)| f64::from(a - b)).sum()
        };
        let layer = model.depth() - 1;
        let goal = f32::INFINITY;
        let mut lower = before.clone();
        let mut rows = Rows { layer, matrix: &matrix, lower: &mut lower, goal };
        let begun = Instant::now();
        let mut solved = Solved::default();
        let ends = (&lo[..], &hi[..]);
        let start = &lp::clarabel;
        lp::tighten(&mut runner, &around, Semantics::Real, ends, &mut rows, start, &mut solved)
            .expect("in range");
        program_seconds += begun.elapsed().as_secs_f64();
        program_gain.push(gain(&lower));
        assert_eq!(solved.troubled, 0, "image {i}: {solved:?}");
        for (k, iterations) in ITERATIONS.into_iter().enumerate() {
            let mut lower = before.clone();
            let mut rows = Rows { layer, matrix: &matrix, lower: &mut lower, goal };
            let settings = Settings { iterations, rate, decay, ..Settings::default() };
            let begun = Instant::now();
            alpha::tighten(&mut runner, &around, Semantics::Real, ends, &mut rows, &settings)
                .expect("in range");
            seconds[k] += begun.elapsed().as_secs_f64();
            gains[k].push(gain(&lower));
        }
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    for (k, iterations) in ITERATIONS.into_iter().enumerate() {
        let shares = gains[k].iter().zip(&program_gain).map(|(a, b)| a / b);
        let least = shares.fold(f64::INFINITY, f64::min);
        let all = gains[k].iter().sum::<f64>() / program_gain.iter().sum::<f64>();
        println!(
            "| {name} | {iterations} | {:.2} % | {:.2} % | 1/{:.1} |",
            100.0 * least,
            100.0 * all,
            program_seconds / seconds[k]
        );
    }
}
