//! Table 5 of paper 003: radii certified by CROWN, and what a multiply-add costs, by activation.
//!
//! `cargo bench -p certus --bench table_5 -- NET.onnx SAMPLES.npz [NET SAMPLES ..]`
//!
//! For each norm and net, of the predicted class and without a box of inputs, over the first
//! [`SAMPLES`] samples: the mean certified radius, CROWN calls and milliseconds a radius. Then of
//! one call at each sample's radius, on one core: milliseconds, multiply-adds, nanoseconds per
//! multiply-add, and these beside the first net's of the same norm and kind. Twice: as usual, and
//! with every neuron walked all the way, which is the work of an activation that is never linear.
//! Times of calls are medians over rounds in which all nets take turns; a sample whose radius is 0
//! counts as radius alone.

use std::path::Path;
use std::time::Instant;

use certus::attack::Worker;
use certus::blob::{self, WeightKind};
use certus::cpu::Runner;
use certus::plan::propagation;
use certus::question::Question;
use certus::radius::Search;
use certus::{dataset, import};
use certus_engine::bounds::{Method, Options, Work};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;

/// Samples of a net at most.
const SAMPLES: usize = 10;

/// Rounds; the first warms up.
const ROUNDS: usize = 6;

/// The usual call, and the one that saves nothing.
const KINDS: [(&str, bool); 2] = [("usual", false), ("every", true)];

/// Norms, with the step of their radii and where the first search begins, as `certus radius` has
/// them.
const NORMS: [(Norm, f64, f64); 3] =
    [(Norm::L1, 1e-3, 1.0), (Norm::L2, 1e-4, 0.2), (Norm::Linf, 1e-6, 0.01)];

/// Radii tried for one sample at most.
const BUDGET: usize = 60;

/// A net with its samples.
struct Net {
    name: String,
    words: Vec<u32>,
    set: dataset::Dataset,
    samples: usize,
}

impl Net {
    fn read(net: &Path, samples: &Path) -> Self {
        let network = import::read(net).expect("net");
        let words = blob::pack(&network, WeightKind::F32).expect("blob");
        let set = dataset::read(samples, None).expect("samples");
        let name = net.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let samples = set.rows.min(SAMPLES);
        Self { name, words, set, samples }
    }

    fn model(&self) -> Model<'_> {
        Model::from_words(&self.words).expect("model")
    }
}

/// What the radii of a net's samples took.
struct Radii {
    each: Vec<f64>,
    calls: usize,
    seconds: f64,
}

/// One call of each sample, each sample's seconds round by round.
#[derive(Default)]
struct Calls {
    seconds: Vec<Vec<f64>>,
    work: Work,
}

impl Calls {
    /// Of one call, of the samples that were timed.
    fn mean(&self, all: f64) -> f64 {
        all / self.seconds.len() as f64
    }

    /// The sum of the samples' medians.
    fn time(&self) -> f64 {
        self.seconds.iter().map(|rounds| median(rounds[1..].to_vec())).sum()
    }

    fn nanoseconds(&self) -> f64 {
        1e9 * self.time() / self.work.macs() as f64
    }
}

/// Median of some seconds.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.is_empty() || args.len() % 2 == 1 {
        eprintln!("usage: cargo bench -p certus --bench table_5 -- NET SAMPLES [NET SAMPLES ..]");
        return;
    }
    let read = |pair: &[String]| Net::read(Path::new(&pair[0]), Path::new(&pair[1]));
    let nets: Vec<Net> = args.chunks_exact(2).map(read).collect();
    println!(
        "{:<5} {:<14} {:<6} {:>10} {:>6} {:>10} {:>9} {:>9} {:>9} {:>8} {:>7}",
        "norm",
        "net",
        "walk",
        "radius",
        "calls",
        "radius ms",
        "neurons",
        "call ms",
        "M madds",
        "ns/madd",
        "/first"
    );
    for (norm, tolerance, start) in NORMS {
        let radii: Vec<Radii> =
            nets.iter().map(|net| search(net, norm, tolerance, start)).collect();
        table(&nets, norm, &radii);
    }
}

/// The lines of one norm.
fn table(nets: &[Net], norm: Norm, radii: &[Radii]) {
    let each = || nets.iter().map(|_| Calls::default()).collect::<Vec<_>>();
    let mut calls = KINDS.map(|_| each());
    for round in 0..ROUNDS {
        for (n, (net, radii)) in nets.iter().zip(radii).enumerate() {
            for ((_, every_neuron), calls) in KINDS.iter().zip(&mut calls) {
                let options =
                    Options { every_neuron: *every_neuron, ..Options::new(Method::Crown) };
                time(net, norm, radii, &options, round, &mut calls[n]);
            }
        }
    }
    for (n, (net, radii)) in nets.iter().zip(radii).enumerate() {
        let samples = net.samples as f64;
        for ((kind, _), calls) in KINDS.iter().zip(&calls) {
            let (first, calls) = (&calls[0], &calls[n]);
            println!(
                "{:<5} {:<14} {kind:<6} {:>10.5} {:>6.1} {:>10.1} {:>9.0} {:>9.2} {:>9.2} {:>8.4} \
                 {:>7.3}",
                norm.to_string(),
                net.name,
                radii.each.iter().sum::<f64>() / samples,
                radii.calls as f64 / samples,
                1e3 * radii.seconds / samples,
                calls.mean(calls.work.neurons as f64),
                1e3 * calls.mean(calls.time()),
                1e-6 * calls.mean(calls.work.macs() as f64),
                calls.nanoseconds(),
                calls.nanoseconds() / first.nanoseconds()
            );
        }
    }
}

/// The radii, each search from the radius of the sample before.
fn search(net: &Net, norm: Norm, tolerance: f64, mut start: f64) -> Radii {
    let question = Question::new(norm, [propagation("crown", Options::new(Method::Crown))]);
    let mut worker = Worker::new(net.model(), false);
    let mut radii = Radii { each: Vec::new(), calls: 0, seconds: 0.0 };
    for index in 0..net.samples {
        let search = Search { tolerance, budget: BUDGET, start };
        let (answer, found) =
            question.radius(&mut worker, index, net.set.row(index), None, &search);
        assert!(!found.cut, "sample {index}: {BUDGET} radii are not enough");
        radii.calls += found.tried;
        radii.seconds += answer.record.seconds;
        radii.each.push(found.radius);
        start = if found.radius > 0.0 { found.radius } else { start };
    }
    radii
}

/// One round of a net's calls, each at the sample's radius.
fn time(net: &Net, norm: Norm, radii: &Radii, options: &Options, round: usize, calls: &mut Calls) {
    let mut runner = Runner::new(net.model(), false);
    let mut out = Vec::new();
    let open = radii.each.iter().enumerate().filter(|(_, radius)| **radius > 0.0);
    for (slot, (index, radius)) in open.enumerate() {
        let x = net.set.row(index);
        let class = runner.predict(x).expect("prediction");
        let region = Region::ball(x, *radius, norm);
        let begun = Instant::now();
        let work = runner
            .lower_bounds(&region, &Spec::Margins { class }, options, &mut out)
            .expect("bounds");
        let seconds = begun.elapsed().as_secs_f64();
        if round == 0 {
            calls.seconds.push(Vec::new());
            calls.work += work;
        }
        calls.seconds[slot].push(seconds);
    }
}
