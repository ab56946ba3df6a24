//! The counters of a run, on standard error.

use certus_engine::bounds::Work;

use super::message::note;
use crate::offline::lp::Solved;
use crate::report::{count, stages, time};

/// Prints the work and the time that `samples` took on `threads`.
pub fn print(work: &Work, solved: &Solved, samples: usize, threads: usize, seconds: f64) {
    let number = |n: u64| count(n as f64);
    let each = |n: u64| count(n as f64 / samples.max(1) as f64);
    // A search of regions counts its steps, not its multiply-adds.
    if work.macs() > 0 {
        note(format_args!(
            "\nwork    {} multiply-adds, {} of them in matrix products; {} a sample",
            number(work.macs()),
            number(work.product_macs),
            each(work.macs())
        ));
    }
    if work.dense_macs > 0 {
        bounds(work, samples);
    }
    if solved.programs > 0 {
        note(format_args!("        {} programs solved", number(solved.programs)));
    }
    let rate = count(samples as f64 / seconds.max(1e-9));
    let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    note(format_args!(
        "time    {} for {samples} samples on {threads}, {rate} samples a second",
        time(seconds)
    ));
}

/// What finding bounds took.
fn bounds(work: &Work, samples: usize) {
    let number = |n: u64| count(n as f64);
    let each = |n: u64| count(n as f64 / samples.max(1) as f64);
    let ratio = work.dense_macs as f64 / work.macs().max(1) as f64;
    note(format_args!(
        "        substituting every neuron back, densely, takes {}: {ratio:.1} times as many",
        number(work.dense_macs)
    ));
    note(format_args!(
        "        spared: {} of inactive neurons, {} by the walks' shared first product",
        number(work.spared_inactive),
        number(work.spared_shared)
    ));
    note(format_args!(
        "        {} neurons a sample substituted back, {} of them dropped on the way",
        each(work.neurons),
        each(work.dropped)
    ));
}

/// Prints what each stage did, for results that have no table.
pub fn stages(lines: &[stages::Line]) {
    let mut text = Vec::new();
    if stages::write(lines, &mut text).is_ok() {
        note(format_args!("{}", String::from_utf8_lossy(&text).trim_end()));
    }
}
