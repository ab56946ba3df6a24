//! What a GPU did in a run, on standard error.

use super::message::note;
use crate::gpu::Profiled;
use crate::report::{count, time};

/// Prints the multiply-adds of `samples` and the time of each kernel.
pub fn print(name: &str, done: &Profiled, samples: usize) {
    for line in lines(name, done, samples) {
        note(line);
    }
}

fn lines(name: &str, done: &Profiled, samples: usize) -> Vec<String> {
    let each = count(done.macs as f64 / samples.max(1) as f64);
    let mut lines = vec![
        String::new(),
        format!("gpu     {name}"),
        format!("        {} multiply-adds in matrix products; {each} a sample", whole(done.macs)),
    ];
    if done.curves > 0.0 {
        let seconds = time(done.curves);
        lines.push(format!("        {seconds} on the cores, for lines of curved activations"));
    }
    if done.climbed > 0 {
        lines.push(format!("        {} multiply-adds in steps of attacks", whole(done.climbed)));
    }
    let [found, all] = done.classes;
    lines.push(format!("        {found} of {all} classes predicted, the others by the CPU"));
    let [answers, coarse] = done.answers;
    if answers > 0 {
        let what = "left to the cores, for what rounding may take of them";
        lines.push(format!("        {coarse} of {answers} answers {what}"));
    }
    let Some(kernels) = &done.kernels else {
        lines.push("        it has no clock: its kernels are not timed".to_owned());
        return lines;
    };
    let seconds: f64 = kernels.0.values().map(|timing| timing.seconds).sum();
    let is_product = |name: &str| name.starts_with("product") || name == "forth";
    let products = kernels.0.iter().filter(|(name, _)| is_product(name));
    let products: f64 = products.map(|(_, timing)| timing.seconds).sum();
    let rate = if products > 0.0 { done.macs as f64 / products } else { 0.0 };
    lines.push(format!(
        "        {} in kernels, {} of it in products: {} multiply-adds a second there",
        time(seconds),
        time(products),
        count(rate)
    ));
    let mut kernels: Vec<_> = kernels.0.iter().collect();
    kernels.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
    for (name, timing) in kernels {
        let share = 100.0 * timing.seconds / seconds.max(f64::MIN_POSITIVE);
        lines.push(format!(
            "        {name:16}{:>10}{share:>6.1} %{:>10} runs",
            time(timing.seconds),
            timing.runs
        ));
    }
    lines
}

fn whole(n: u64) -> String {
    count(n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Profile;
    use crate::gpu::device::Timing;

    #[test]
    fn a_gpus_kernels_are_listed_slowest_first() {
        let timing = |seconds, runs| Timing { seconds, runs };
        let kernels = [
            ("interval", timing(0.25, 3)),
            ("product_middle", timing(0.5, 4)),
            ("product_wide", timing(1.0, 120)),
            ("forth", timing(0.25, 20)),
        ];
        let kernels = Some(Profile(kernels.into()));
        let done = Profiled {
            macs: 3_500_000,
            curves: 0.5,
            climbed: 2_000_000,
            classes: [99, 100],
            answers: [90, 2],
            kernels,
        };
        let expected = "
gpu     some GPU
        3.50 M multiply-adds in matrix products; 35.0 k a sample
        500 ms on the cores, for lines of curved activations
        2.00 M multiply-adds in steps of attacks
        99 of 100 classes predicted, the others by the CPU
        2 of 90 answers left to the cores, for what rounding may take of them
        2.00 s in kernels, 1.75 s of it in products: 2.00 M multiply-adds a second there
        product_wide        1.00 s  50.0 %       120 runs
        product_middle      500 ms  25.0 %         4 runs
        forth               250 ms  12.5 %        20 runs
        interval            250 ms  12.5 %         3 runs";
        assert_eq!(lines("some GPU", &done, 100).join("\n"), expected);
    }

    #[test]
    fn a_gpu_without_a_clock_is_told() {
        let done = Profiled { macs: 5, ..Profiled::default() };
        let lines = lines("some GPU", &done, 0);
        assert_eq!(lines[4..], ["        it has no clock: its kernels are not timed"]);
    }
}
