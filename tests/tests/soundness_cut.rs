//! How far a row reaches over a ball cut by a box, beside the optimum in f64.
//!
//! Weak duality encloses the optimum: a point of the region below, a split of the row above. Each is
//! a sum of at most `MOST` positive f64 numbers, off by less than `MOST*2^-51` of itself.

use certus::cpu::Fast;
use certus_engine::bounds::{Arithmetic, Portable};
use certus_engine::model::Row;
use certus_engine::num::{ETA, U};
use certus_engine::region::{Norm, Region};
use certus_tests::floats::below;
use certus_tests::plan::{many, seed};
use fastrand::Rng;

const SEED: u64 = 97;
/// Most coordinates.
const MOST: usize = 800;
/// Error of the sums in f64.
const WIDE: f64 = MOST as f64 * 2.0 * f64::EPSILON;
/// Part of the reach that a search leaves, as the engine states it.
const CLOSE: f64 = 1.0 / (1u64 << 17) as f64;

struct Case {
    a: Vec<f32>,
    center: Vec<f32>,
    lo: Vec<f32>,
    hi: Vec<f32>,
    radius: f32,
    told: String,
}

impl Case {
    /// `|a_j|` and D_j, those that are driven to the lower side where `sign` is 1.
    fn terms(&self, sign: f64) -> Vec<(f64, f64)> {
        let each = self.a.iter().zip(&self.center).zip(self.lo.iter().zip(&self.hi));
        each.map(|((a, x), (lo, hi))| {
            let down = sign * f64::from(*a) > 0.0;
            let (from, to) = if down { (lo, x) } else { (x, hi) };
            let way = (f64::from(*to) - f64::from(*from)).min(self.radius.into()).max(0.0);
            (f64::from(a.abs()), way)
        })
        .collect()
    }

    fn reach<A: Arithmetic>(&self, arith: &A, row: Row<'_>, norm: Norm) -> [f32; 2] {
        let radius = f64::from(self.radius);
        let region = Region::ball_in_box(&self.center, radius, norm, &self.lo, &self.hi);
        region.check(self.center.len()).expect("a region");
        let (mut mid, mut rad) = (self.center.clone(), self.center.clone());
        region.enclose(&mut mid, &mut rad);
        let found = region.reach(arith, row, &mid, &rad, true);
        [found.below, found.above]
    }
}

/// Ends of the optimum in l1: what pays most moves first.
///
/// What is left to move is off by `MOST*2^-53` of the radius; where that matters, all of the radius
/// but such a part has moved by coefficients at least as large.
fn flat(mut terms: Vec<(f64, f64)>, radius: f64) -> (f64, f64) {
    terms.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let (mut left, mut reach) = (radius, 0.0);
    for (a, d) in terms {
        reach += a * d.min(left);
        left -= d.min(left);
    }
    (reach * (1.0 - 2.0 * WIDE), reach * (1.0 + 2.0 * WIDE))
}

/// Ends of the optimum in l2, by the t at which the moves `min(D_j, |a_j|/t)` are as long as the
/// radius: those, shortened to it, below, the split with `|p_j| = min(|a_j|, t*D_j)` above.
fn round(terms: &[(f64, f64)], radius: f64) -> (f64, f64) {
    let moves = |t: f64| terms.iter().map(move |(a, d)| if *a > t * d { *d } else { a / t });
    let length = |t: f64| moves(t).map(|x| x * x).sum::<f64>().sqrt();
    // Powers of 2.
    let (mut low, mut high) = (-400.0f64, 400.0f64);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if length(middle.exp2()) > radius { low = middle } else { high = middle }
    }
    let t = high.exp2();
    let shrink = (radius / (length(t) * (1.0 + WIDE))).min(1.0);
    let below = terms.iter().zip(moves(t)).map(|((a, _), x)| a * x * shrink).sum::<f64>();
    let p = |(a, d): &(f64, f64)| a.min(t * d);
    let p_norm = terms.iter().map(|term| p(term) * p(term)).sum::<f64>().sqrt();
    let rest: f64 = terms.iter().map(|term| (term.0 - p(term)) * term.1).sum();
    (below * (1.0 - WIDE), (radius * p_norm + rest) * (1.0 + WIDE))
}

/// A row and a region: coefficients and ways of several scales, or of few values, or of pixels.
fn case(rng: &mut Rng) -> Case {
    let n = [1, 2, 3, 5, 17, 33, 100, 784][rng.usize(0..8)];
    let coefficients = rng.u8(0..6);
    let ways = rng.u8(0..5);
    let scale = 2f32.powi(rng.i32(-20..=20));
    let size = |rng: &mut Rng| match coefficients {
        0 => rng.f32(),
        1 => (rng.f32() + rng.f32() + rng.f32() - 1.5).powi(3),
        2 => 2f32.powf(rng.f32() * 40.0 - 20.0),
        3 => rng.u8(0..4).into(),
        4 => 1.0,
        _ => {
            if rng.u8(0..3) == 0 {
                1e-40
            } else {
                rng.f32()
            }
        }
    };
    let a = (0..n).map(|_| size(rng) * scale * if rng.bool() { 1.0 } else { -1.0 }).collect();
    let way = |rng: &mut Rng| match ways {
        0 => rng.f32(),
        1 => 2f32.powf(rng.f32() * 30.0 - 30.0),
        2 => {
            if rng.bool() {
                0.0
            } else {
                1.0
            }
        }
        3 => f32::from(rng.u8(0..=255)) / 255.0,
        _ => [0.0, 1e-40, 0.25, 1.0, 1000.0][rng.usize(0..5)],
    };
    let center: Vec<f32> = (0..n).map(|_| if ways == 1 { 0.0 } else { way(rng) }).collect();
    let (lo, hi) = if ways == 3 {
        (vec![0.0; n], vec![1.0; n])
    } else {
        let lo = center.iter().map(|x| x - way(rng)).collect();
        (lo, center.iter().map(|x| x + way(rng)).collect())
    };
    let radius = 10f32.powf(rng.f32() * 5.0 - 3.0);
    let told = format!("n {n} coefficients {coefficients} ways {ways} radius {radius:e}");
    Case { a, center, lo, hi, radius, told }
}

#[test]
fn reaches_are_above_the_optimum_and_near_it() {
    let mut rng = Rng::with_seed(seed(SEED));
    let fast = Fast::new(1, false);
    let (mut gained, mut far) = (0, [0.0f64; 2]);
    let count = many(3000);
    for _ in 0..count {
        let case = case(&mut rng);
        let n = case.a.len();
        let radius = f64::from(case.radius);
        for (i, norm) in [Norm::L1, Norm::L2].into_iter().enumerate() {
            let ends = [1.0, -1.0].map(|sign| match norm {
                Norm::L1 => flat(case.terms(sign), radius),
                _ => round(&case.terms(sign), radius),
            });
            let row = Row::F32(&case.a);
            let largest = case.a.iter().fold(0.0f64, |most, a| most.max(a.abs().into()));
            let mut check = |found: [f32; 2], depth: u32| {
                for (found, (below, above)) in found.into_iter().zip(ends) {
                    let (found, told) = (f64::from(found), &case.told);
                    assert!(above - below <= 1e-9 * above, "{norm} {told}: {below} {above}");
                    assert!(found >= below, "{norm} {told}: {found} {below}");
                    // The search's part, that of three sums and their last steps, and what a
                    // square of a magnitude below `2^-63` and a product below ETA may lose.
                    let part = CLOSE + (3.0 * f64::from(depth) + 24.0) * f64::from(U);
                    let under = 2f64.powi(-55) * radius
                        + f64::from(ETA) * 8.0 * (n + 64) as f64 * (1.0 + radius + largest);
                    let over = (found - under) / above - 1.0;
                    far[i] = far[i].max(over);
                    assert!(over <= part, "{norm} {told}: {found} {above} {over:e}");
                }
            };
            check(case.reach(&Portable, row, norm), Portable.row_depth(n));
            check(case.reach(&fast, row, norm), fast.row_depth(n));
            let whole = match norm {
                Norm::L1 => largest,
                _ => case.a.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>().sqrt(),
            };
            let alone: f64 = case.terms(1.0).iter().map(|(a, d)| a * d).sum();
            gained += usize::from(ends[0].1 < 0.99 * alone.min(whole * radius));
        }
    }
    println!("{gained} of {} gained by both, farthest {far:?}", 2 * count);
    assert!(5 * gained > count && far.iter().all(|over| *over > 0.0));
}

/// Any floats: no reach is below the optimum, and none is a number where a coefficient is not.
#[test]
fn no_floats_make_a_reach_too_small() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let fast = Fast::new(1, false);
    let (mut finite, mut none) = (0, 0);
    for _ in 0..many(6000) {
        let n = [1, 2, 3, 5, 17, 40][rng.usize(0..6)];
        let mut floats = |limit| (0..n).map(|_| below(&mut rng, limit)).collect::<Vec<f32>>();
        let (a, center, [one, other]) = (floats(127), floats(99), [floats(99), floats(99)]);
        let ends = center.iter().zip(one.iter().zip(&other));
        // The centre between the ends, or on one.
        let (lo, hi) = ends.map(|(x, (a, b))| (a.min(*b).min(*x), a.max(*b).max(*x))).unzip();
        let radius = below(&mut rng, 99).abs();
        let told = format!("{a:?} {center:?} {lo:?} {hi:?} {radius:e}");
        let mut case = Case { a, center, lo, hi, radius, told };
        let wrong = rng.u8(0..4) == 0;
        if wrong {
            let any = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][rng.usize(0..3)];
            case.a[rng.usize(0..n)] = any;
        }
        for norm in [1.0, 1.5, 2.0, 4.0].map(|p| Norm::new(p).expect("an exponent")) {
            let row = Row::F32(&case.a);
            let all = [case.reach(&Portable, row, norm), case.reach(&fast, row, norm)];
            let told = &case.told;
            if wrong {
                none += 1;
                assert!(all.iter().flatten().all(|found| !found.is_finite()), "{norm} {told}");
                continue;
            }
            for (i, sign) in [1.0, -1.0].into_iter().enumerate() {
                let terms = case.terms(sign);
                let least = match norm {
                    Norm::L2 => round(&terms, radius.into()).0,
                    // The ball of l1 lies in those of other norms.
                    _ => flat(terms, radius.into()).0,
                };
                for found in all {
                    finite += usize::from(found[i].is_finite());
                    assert!(!(f64::from(found[i]) < least), "{norm} {told}: {found:?} {least}");
                }
            }
        }
    }
    println!("{finite} finite, {none} of what is no number");
    assert!(finite > 10_000 && none > 1000);
}
