//! Time and counted work of the simplex certificate.
//!
//! `cargo bench -p certus --bench simplex -- NORM NET.onnx SAMPLES.npz [NET SAMPLES ..]`
//!
//! For each net: mean certified radius, rows walked to the input, multiply-adds done and dense
//! (every neuron's function of the input), seconds an image on one core, and with the images spread
//! over all cores, and seconds that the norms of its weights take once. Times are medians over
//! rounds.

use std::path::Path;
use std::time::Instant;

use certus::blob::{self, WeightKind};
use certus::cpu::Runner;
use certus::geometry::Norms;
use certus::{dataset, import};
use certus_engine::bounds::Work;
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::simplex::{Query, Simplex};
use rayon::prelude::*;

/// Images of a round.
const IMAGES: usize = 64;

/// Rounds; the first warms up.
const ROUNDS: usize = 9;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let norm = match args.first().map(String::as_str) {
        Some("l1") => Norm::L1,
        Some("l2") => Norm::L2,
        Some("linf") => Norm::Linf,
        _ => {
            eprintln!("usage: cargo bench -p certus --bench simplex -- l1|l2|linf NET SAMPLES ..");
            return;
        }
    };
    println!(
        "{:<24} {:>12} {:>6} {:>10} {:>10} {:>11} {:>11} {:>8}",
        "net", "mean radius", "rows", "M madds", "M dense", "1 core ms", "all ms", "once s"
    );
    for net in args[1..].chunks_exact(2) {
        bench(norm, Path::new(&net[0]), Path::new(&net[1]));
    }
}

/// One line of the table.
fn bench(norm: Norm, net: &Path, samples: &Path) {
    let network = import::read(net).expect("net");
    let words = blob::pack(&network, WeightKind::F32).expect("blob");
    let model = Model::from_words(&words).expect("model");
    let set = dataset::read(samples, None).expect("samples");
    let begun = Instant::now();
    let norms = Norms::new(&model, norm);
    let once = begun.elapsed().as_secs_f64();
    let one = |runner: &mut Runner<'_>, i: usize| -> Simplex<1> {
        let x = set.row(i % set.rows);
        let class = runner.predict(x).expect("prediction");
        let query = Query { known: Some(norms.known()), ..Query::margins(x, norm, class) };
        runner.simplex(&query).expect("certificate")
    };
    let mut work = Work::default();
    let mut radius = 0.0;
    let mut runner = Runner::new(model, false);
    for i in 0..IMAGES {
        let found = one(&mut runner, i);
        work += found.work;
        radius += f64::from(found.radius());
    }
    let serial = median(|| {
        for i in 0..IMAGES {
            one(&mut runner, i);
        }
    });
    let runners: Vec<usize> = (0..rayon::current_num_threads()).collect();
    let parallel = median(|| {
        runners.par_iter().with_max_len(1).for_each(|first| {
            let mut runner = Runner::new(model, false);
            for i in (*first..IMAGES).step_by(runners.len()) {
                one(&mut runner, i);
            }
        });
    });
    let n = IMAGES as f64;
    println!(
        "{:<24} {:>12.3e} {:>6.1} {:>10.2} {:>10.1} {:>11.3} {:>11.3} {once:>8.2}",
        net.file_stem().unwrap_or_default().to_string_lossy(),
        radius / n,
        work.neurons as f64 / n,
        work.macs() as f64 / n / 1e6,
        work.dense_macs as f64 / n / 1e6,
        1e3 * serial / n,
        1e3 * parallel / n,
    );
}

/// Median seconds of a round.
fn median(mut round: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            round();
            begun.elapsed().as_secs_f64()
        })
        .skip(1)
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
