//! The lines of curved activations: above and below in f64, and nearly of the least area.

use certus_engine::model::Activation;
use certus_engine::relax::{LowerSlope, Relaxation, apply_error, range, relax, relax_with};
use certus_tests::curves::{self, activations, interval, points, reference};
use certus_tests::plan::{long, many, seed};
use rayon::prelude::*;

/// What f64 and the reference may be off by at `z`: a few parts in 10^15 of all that is added up.
fn slack(line: &Relaxation, z: f64, y: f64) -> f64 {
    let sizes = (f64::from(line.slope_lo) * z).abs() + (f64::from(line.slope_up) * z).abs();
    1e-14 * (sizes + y.abs()) + 1e-44
}

fn check(activation: Activation, lo: f32, hi: f32, line: &Relaxation, z: f32) {
    let x = f64::from(z);
    for y in reference(activation, z) {
        let below = f64::from(line.slope_lo) * x + f64::from(line.icpt_lo);
        let above = f64::from(line.slope_up) * x + f64::from(line.icpt_up);
        let off = slack(line, x, y);
        assert!(below <= y + off, "{activation:?} [{lo:e}, {hi:e}] at {z:e}: {below:e} > {y:e}");
        assert!(above >= y - off, "{activation:?} [{lo:e}, {hi:e}] at {z:e}: {above:e} < {y:e}");
    }
}

#[test]
fn lines_and_ranges_enclose() {
    let mut rng = fastrand::Rng::with_seed(seed(41));
    let all = activations();
    for _ in 0..many(20_000) {
        let activation = all[rng.usize(0..all.len())];
        let (lo, hi) = interval(&mut rng);
        let lower = [LowerSlope::Adaptive, LowerSlope::SameAsUpper][rng.usize(0..2)];
        let mut lines = vec![relax(activation, lo, hi, lower)];
        let slope = |rng: &mut fastrand::Rng| 1.5 * rng.f32() - 0.4;
        let (below, above) = (slope(&mut rng), slope(&mut rng));
        lines.push(relax_with(activation, lo, hi, below, above));
        let (least, most) = range(activation, lo, hi);
        let error = f64::from(apply_error(activation, lo, hi));
        for line in &lines {
            for z in points(activation, lo, hi, line) {
                check(activation, lo, hi, line, z);
                let y = reference(activation, z);
                let rounded = f64::from(activation.apply(z));
                for y in y.into_iter().chain([rounded]) {
                    let inside = f64::from(least) <= y + 1e-15 * y.abs()
                        && y - 1e-15 * y.abs() <= f64::from(most);
                    assert!(inside, "{activation:?} [{lo:e}, {hi:e}] at {z:e}: {y:e}");
                }
                let off = (rounded - y[0]).abs().min((rounded - y[1]).abs());
                let off = off.min((rounded - 0.5 * (y[0] + y[1])).abs());
                assert!(off <= error + 1e-15 * y[0].abs(), "{activation:?} {z:e}: {off:e}");
            }
        }
    }
}

/// Random points of random intervals, a thousand each: in the long run 10^8 for each activation.
#[test]
fn lines_enclose_at_random_points() {
    const POINTS: usize = 1000;
    let intervals = if long() { 100_000 } else { 100 };
    for (k, activation) in activations().into_iter().enumerate() {
        (0..intervals).into_par_iter().for_each(|i| {
            let mut rng = fastrand::Rng::with_seed(seed(43) ^ (k * intervals + i) as u64);
            let (lo, hi) = interval(&mut rng);
            let line = if rng.bool() {
                relax(activation, lo, hi, LowerSlope::Adaptive)
            } else {
                relax_with(activation, lo, hi, 1.5 * rng.f32() - 0.4, 1.5 * rng.f32() - 0.4)
            };
            for _ in 0..POINTS {
                let z = (lo + rng.f32() * (hi - lo)).clamp(lo, hi);
                check(activation, lo, hi, &line, z);
            }
        });
    }
}

#[test]
fn areas_are_within_five_percent_of_the_best() {
    let mut rng = fastrand::Rng::with_seed(seed(42));
    let all = activations();
    let mut worst = (0.0f64, String::new());
    for _ in 0..many(5_000) {
        let activation = all[rng.usize(0..all.len())];
        let (lo, hi) = interval(&mut rng);
        if !(hi > lo) {
            continue;
        }
        let line = relax(activation, lo, hi, LowerSlope::Adaptive);
        let m = 0.5 * f64::from(lo) + 0.5 * f64::from(hi);
        let ours = (f64::from(line.slope_up) - f64::from(line.slope_lo)) * m
            + f64::from(line.icpt_up)
            - f64::from(line.icpt_lo);
        let best = curves::hull_gap(activation, lo, hi);
        // What f32 can hold of the values and of slope times z, and what may underflow.
        let size = f64::from(lo).abs().max(f64::from(hi).abs());
        let steep = f64::from(line.slope_up).abs().max(f64::from(line.slope_lo).abs());
        let (least, most) = range(activation, lo, hi);
        let values = f64::from(least).abs().max(f64::from(most).abs());
        let room = 4e-6 * (steep * size + values) + 1e-33 * (1.0 + size);
        let share = (ours - room) / best;
        if best > 0.0 && share > worst.0 {
            worst = (share, format!("{activation:?} [{lo}, {hi}]: {ours:e} for {best:e}"));
        }
        assert!(ours <= 1.05 * best + room, "{activation:?} [{lo}, {hi}]: {ours:e} {best:e}");
    }
    println!("largest share of the best area: {:.4} ({})", worst.0, worst.1);
}
