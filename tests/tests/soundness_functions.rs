//! The engine's transcendental functions: enclosures hold the true values, and values keep to the
//! table of permitted errors.
//!
//! Against f64, whose error is stated and checked against intervals of 512 places; and against those
//! directly. By default dense samples; under `CERTUS_LONG` every f32 but where functions are constant
//! or x.

use std::time::Instant;

use certus_engine::num::functions::Function;
use certus_engine::num::{ETA, U};
use certus_tests::functions::{double, exact};
use certus_tests::outside;
use certus_tests::plan::{many, seed};
use fastrand::Rng;
use rayon::prelude::*;

const SEED: u64 = 4_129;

/// Below this magnitude the permitted error is absolute.
const SMALL: f32 = 16.0 * ETA;

/// Where the code or the function changes its course; both signs are tried.
const SPECIAL: [f32; 36] = [
    0.0,
    f32::MIN_POSITIVE,
    SMALL,
    1.0 / (1 << 30) as f32,
    0.25,
    0.346_573_6,
    0.414_213_57,
    0.5,
    0.625,
    std::f32::consts::LN_2,
    1.0,
    1.039_720_8,
    1.5,
    2.0,
    2.414_213_7,
    3.0,
    4.0,
    5.0,
    9.010_913,
    10.0,
    12.9,
    13.1,
    16.635_532,
    17.328_68,
    20.0,
    44.361_42,
    86.643_4,
    87.336_54,
    88.376_26,
    88.722_84,
    90.0,
    103.278_93,
    103.972_08,
    110.0,
    (1 << 30) as f32,
    f32::MAX,
];

/// Of the floats outside [`course`], the long test takes each that many: 20 to 50 s a function on two
/// cores. With 1 it takes every float, 70 to 90 s a function; the engine's table is from such a run.
const OUTSIDE: u32 = 61;

/// The magnitudes between which a function is not its value at 0, x, a limit or, for softplus, x.
fn course(function: Function) -> [f32; 2] {
    let least = 2f32.powi(-31);
    if function == Function::Atan { [least, 2f32.powi(31)] } else { [least, 256.0] }
}

/// What a run over many points came to.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    /// Largest error of a value, in units of the gap to the float beyond it on the truth's side.
    ulps: f64,
    /// Where.
    at: f32,
    points: u64,
    /// Points whose enclosure, value or permitted error failed.
    failures: u64,
    /// The first of them.
    failed: Option<f32>,
}

impl Worst {
    fn join(self, other: Self) -> Self {
        let larger = if other.ulps > self.ulps { other } else { self };
        Self {
            ulps: larger.ulps,
            at: larger.at,
            points: self.points + other.points,
            failures: self.failures + other.failures,
            failed: self.failed.or(other.failed),
        }
    }

    /// One point of a function with permitted error `ulps`.
    fn see(&mut self, function: Function, x: f32, ulps: u32) {
        self.points += 1;
        let (low, high) = double::enclose(function, x);
        let value = function.value(x);
        let (below, above) = function.enclose(x);
        let mut right = f64::from(below) <= low && high <= f64::from(above);
        right &= below <= value && value <= above;
        // Infinite only where the function comes near the largest float.
        // No time is lost with subnormal numbers, nor does it matter whether they are flushed.
        right &= !value.is_subnormal() || value == x;
        right &= above < f32::INFINITY || high >= 0.999_999 * f64::from(f32::MAX);
        if value.abs() >= SMALL && value.is_finite() {
            // The gaps beside a float y are at least |y|*2^-24, so that most points need no more.
            let wide = f64::from(value);
            let least = wide.abs() * f64::from(U);
            let off = (wide - low).max(high - wide);
            if off > self.ulps * least {
                let error = in_gaps(value, low, high);
                if error > self.ulps {
                    (self.ulps, self.at) = (error, x);
                }
            }
            right &= off <= f64::from(ulps) * least || permitted(value, low, high, ulps);
        }
        if !right {
            self.failures += 1;
            self.failed = self.failed.or(Some(x));
        }
    }
}

/// How far `low` and `high` are from a value, in gaps to the next float on their side.
fn in_gaps(value: f32, low: f64, high: f64) -> f64 {
    let (wide, largest) = (f64::from(value), f64::from(f32::MAX));
    let down = (wide - low) / (wide - f64::from(value.next_down()));
    // What passes the largest float is infinite, which is permitted beside it.
    let up = (high.min(largest) - wide) / (f64::from(value.next_up()) - wide);
    down.max(up)
}

/// Whether `ulps` floats down and up from `value` reach `low` and `high`.
fn permitted(value: f32, low: f64, high: f64, ulps: u32) -> bool {
    let (mut down, mut up) = (value, value);
    for _ in 0..ulps {
        (down, up) = (down.next_down(), up.next_up());
    }
    f64::from(down) <= low && high <= f64::from(up)
}

/// Runs over the points given by their bits.
fn run(function: Function, bits: impl ParallelIterator<Item = u32>, ulps: u32) -> Worst {
    bits.map(f32::from_bits)
        .filter(|x| !x.is_nan())
        .fold(Worst::default, |mut worst, x| {
            worst.see(function, x, ulps);
            worst
        })
        .reduce(Worst::default, Worst::join)
}

/// Every `stride`-th bit pattern from `start` on.
fn strided(start: u32, stride: u32) -> impl ParallelIterator<Item = u32> {
    let count = (u32::MAX - start) / stride;
    (0..=count).into_par_iter().map(move |i| start + i * stride)
}

/// Special points and their neighbours, the ends of each binade.
fn near_special() -> Vec<u32> {
    let binades = (0..512u32).map(|i| i << 23);
    let special = SPECIAL.into_iter().flat_map(|x| [x.to_bits(), (-x).to_bits()]);
    binades
        .chain(special)
        .flat_map(|at| (0..2000).map(move |i| at.wrapping_add(i).wrapping_sub(1000)))
        .collect()
}

fn check(function: Function, worst: Worst) {
    let permitted = function.ulps();
    println!(
        "{function:?}: {} points, worst {:.4} of {permitted} ulp at {:e}",
        worst.points, worst.ulps, worst.at
    );
    assert_eq!(worst.failures, 0, "{function:?} at {:?}", worst.failed);
    assert!(worst.ulps <= f64::from(permitted), "{function:?} at {:e}", worst.at);
}

#[test]
fn enclosures_hold_dense_samples() {
    let start = Rng::with_seed(seed(SEED)).u32(0..1009);
    for function in Function::ALL {
        let ulps = function.ulps();
        let worst = run(function, near_special().into_par_iter(), ulps);
        check(function, worst.join(run(function, strided(start, 1009), ulps)));
    }
}

#[test]
fn enclosures_hold_each_float() {
    if !outside::asked_for("enclosures_hold_each_float") {
        return;
    }
    for function in Function::ALL {
        let (start, ulps) = (Instant::now(), function.ulps());
        let ends = course(function).map(f32::to_bits);
        let [first, last] = ends;
        let inside = (first..last).into_par_iter().flat_map_iter(|x| [x, x | 1 << 31]);
        let worst = run(function, inside, ulps);
        let outside = strided(0, OUTSIDE).filter(|x| !(first..last).contains(&(x & !(1 << 31))));
        check(function, worst.join(run(function, outside, ulps)));
        println!("{function:?}: {:.0} s", start.elapsed().as_secs_f64());
    }
}

#[test]
fn a_smaller_permitted_error_fails() {
    for function in Function::ALL {
        let worst = run(function, strided(0, 65_537), 0);
        assert!(worst.failures > 1000, "{function:?}: {worst:?}");
        assert!(worst.ulps > 0.4, "{function:?}: {worst:?}");
    }
}

/// Arguments for the exact reference: of every size, small ones less often.
fn argument(rng: &mut Rng, function: Function) -> f32 {
    loop {
        let x = match rng.u8(0..4) {
            0 => f32::from_bits(rng.u32(..)),
            1 => (rng.f32() - 0.5) * 2.0 * exact::LARGEST,
            2 => (rng.f32() - 0.5) * 10.0,
            _ => {
                let near = SPECIAL[rng.usize(0..SPECIAL.len())].to_bits();
                f32::from_bits(near.wrapping_add(rng.u32(0..9)).wrapping_sub(4) | rng.u32(..) << 31)
            }
        };
        if x.is_finite() && x != 0.0 && (x.abs() <= exact::LARGEST || function == Function::Atan) {
            return x;
        }
    }
}

#[test]
fn references_and_enclosures_hold_exact_values() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    for function in Function::ALL {
        let points: Vec<f32> = (0..many(1500)).map(|_| argument(&mut rng, function)).collect();
        points.par_iter().for_each(|&x| {
            let (low, high) = double::enclose(function, x);
            assert!(
                exact::holds(function, x, low, high),
                "f64 {function:?} {x:e}: {low:e} {high:e}"
            );
            // Nor is the reference vague.
            assert!(
                high - low <= high.abs().max(low.abs()) * 3.0 * double::ERROR + 3.0 * double::UNDER
            );
            let (low, high) = function.enclose(x);
            let (low, high) = (f64::from(low), f64::from(high));
            assert!(exact::holds(function, x, low, high), "{function:?} {x:e}: {low:e} {high:e}");
        });
        // A reference a little off is found out.
        let x = 0.75;
        let (low, high) = double::enclose(function, x);
        assert!(!exact::holds(function, x, high, high + 1.0), "{function:?}");
        assert!(!exact::holds(function, x, low - 1.0, low), "{function:?}");
    }
}
