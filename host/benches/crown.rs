//! Time and counted work of CROWN against the GEMM crate alone, in one run.
//!
//! `cargo bench -p certus --bench crown -- NET.onnx SAMPLES.npz EPSILON [NET SAMPLES EPSILON ..]`
//!
//! For each net: the share certified at epsilon (linf), multiply-adds done and dense, milliseconds
//! an image on one core, at batch 1 (products spread over the cores) and at batch 32 (all images at
//! once, one image a core), each with its ratio to the time that the multiply-adds of our products
//! take in the GEMM crate alone, at 1024 x 1024 x 1024 on as many cores, measured between the
//! rounds; the last columns are its G multiply-adds a second. Times of single images are medians
//! over rounds, averaged over the images.

use std::path::Path;
use std::time::Instant;

use certus::blob::{self, WeightKind};
use certus::cpu::Runner;
use certus::{dataset, import};
use certus_engine::bounds::{Method, Options, Work};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use ndarray::Array2;
use ndarray::linalg::general_mat_mul;
use rayon::prelude::*;

/// Images of a batch.
const BATCH: usize = 32;

/// Rounds at least; the first warms up.
const ROUNDS: usize = 7;

/// Median of some seconds.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Multiply-adds of one product of the GEMM crate on each core.
const GEMM: usize = 1024;

/// Seconds that the GEMM crate takes for a product of [`GEMM`] cubed on each of `threads` cores.
fn gemm(threads: usize) -> f64 {
    let one = || {
        let a = Array2::<f32>::from_elem((GEMM, GEMM), 0.5);
        let b = Array2::<f32>::from_elem((GEMM, GEMM), 0.25);
        let mut c = Array2::<f32>::zeros((GEMM, GEMM));
        let begun = Instant::now();
        general_mat_mul(1.0, &a, &b, 0.0, &mut c);
        assert_eq!(c[[1, 1]], 0.125 * GEMM as f32);
        begun.elapsed().as_secs_f64()
    };
    // The slowest counts: they run together.
    (0..threads).into_par_iter().with_max_len(1).map(|_| one()).reduce(|| 0.0, f64::max)
}

/// Multiply-adds a second, given the seconds of some [`gemm`]s.
fn rate(threads: usize, seconds: Vec<f64>) -> f64 {
    (threads * GEMM.pow(3)) as f64 / median(seconds)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.is_empty() || !args.len().is_multiple_of(3) {
        eprintln!("usage: cargo bench -p certus --bench crown -- NET.onnx SAMPLES.npz EPSILON ..");
        return;
    }
    println!(
        "{:<24} {:>8} {:>5} {:>9} {:>9} {:>7} {:>9} {:>6} {:>9} {:>6} {:>9} {:>6} {:>6} {:>6}",
        "net",
        "epsilon",
        "cert",
        "M madds",
        "M dense",
        "dense/",
        "1 core ms",
        "/GEMM",
        "batch1 ms",
        "/GEMM",
        "batch ms",
        "/GEMM",
        "G/s 1",
        "G/s",
    );
    for net in args.chunks_exact(3) {
        bench(&net[0], &net[1], net[2].parse().expect("epsilon"));
    }
}

/// One line of the table.
fn bench(net: &str, samples: &str, epsilon: f64) {
    let threads = rayon::current_num_threads();
    let network = import::read(Path::new(net)).expect("net");
    let words = blob::pack(&network, WeightKind::F32).expect("blob");
    let model = Model::from_words(&words).expect("model");
    let set = dataset::read(Path::new(samples), None).expect("samples");
    let rows = BATCH;
    let options = Options::new(Method::Crown);
    let certify = |runner: &mut Runner<'_>, i: usize| -> (Work, bool) {
        // Fewer samples than a batch are taken again.
        let x = set.row(i % set.rows);
        let class = runner.predict(x).expect("prediction");
        let region = Region::ball(x, epsilon, Norm::Linf);
        let mut out = Vec::new();
        let work = runner
            .lower_bounds(&region, &Spec::Margins { class }, &options, &mut out)
            .expect("bounds");
        (work, verdict(&out) == Verdict::Certified)
    };
    let mut work = Work::default();
    let mut certified = 0;
    // Each image's median over the rounds, and the GEMM crate's rate between them.
    let single = |parallel: bool| {
        let mut runner = Runner::new(model, parallel);
        let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); rows];
        let mut alone = Vec::new();
        let mut answers = Vec::new();
        let begun = Instant::now();
        while alone.len() < ROUNDS || (begun.elapsed().as_secs_f64() < 0.5 && alone.len() < 1000) {
            answers.clear();
            for (i, times) in rounds.iter_mut().enumerate() {
                let begun = Instant::now();
                answers.push(certify(&mut runner, i));
                times.push(begun.elapsed().as_secs_f64());
            }
            alone.push(gemm(if parallel { threads } else { 1 }));
        }
        let times = rounds.into_iter().map(|mut times| median(times.split_off(1)));
        let each = times.zip(answers).map(|(time, (work, ok))| (time, work, ok));
        (each.collect::<Vec<_>>(), rate(if parallel { threads } else { 1 }, alone))
    };
    let (serial, one) = single(false);
    for (_, w, c) in &serial {
        work += *w;
        certified += usize::from(*c);
    }
    let (parallel, all) = single(true);
    let batch = |_| {
        let begun = Instant::now();
        (0..rows).into_par_iter().with_max_len(1).for_each_init(
            || Runner::new(model, false),
            |runner, i| {
                certify(runner, i);
            },
        );
        (begun.elapsed().as_secs_f64() / rows as f64, gemm(threads))
    };
    let (batch, alone): (Vec<f64>, Vec<f64>) = (0..ROUNDS).map(batch).unzip();
    let (batch, together) = (median(batch), rate(threads, alone));
    let n = rows as f64;
    let products = work.product_macs as f64 / n;
    // Ratios of means: the images differ in work.
    let mean = |each: &[(f64, Work, bool)]| each.iter().map(|e| e.0).sum::<f64>() / n;
    println!(
        "{:<24} {:>8} {:>5} {:>9.2} {:>9.1} {:>7.1} {:>9.3} {:>6.2} {:>9.3} {:>6.2} {:>9.3} {:>6.2} {:>6.1} {:>6.1}",
        Path::new(net).file_stem().unwrap_or_default().to_string_lossy(),
        epsilon,
        format!("{certified}/{rows}"),
        work.macs() as f64 / n / 1e6,
        work.dense_macs as f64 / n / 1e6,
        work.dense_macs as f64 / work.macs() as f64,
        1e3 * mean(&serial),
        mean(&serial) * one / products,
        1e3 * mean(&parallel),
        mean(&parallel) * all / products,
        1e3 * batch,
        batch * together / products,
        one / 1e9,
        together / 1e9,
    );
}
