//! Every rounding primitive against exact rational arithmetic.

use certus::cpu::Fast;
use certus_engine::bounds::{Arithmetic, OverBox, Portable};
use certus_engine::model::Row;
use certus_engine::num::sums::{self, Lines};
use certus_engine::num::{
    ETA, NEGLIGIBLE, Rounding, U, add_down, add_up, better_lower, down, from_f64_up, gamma,
    inflate, mul_down, mul_up, sqrt_up, sub_down, sub_up, underflow, up,
};
use certus_tests::floats::{Pattern, SPECIAL, any, partner};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, abs, ceil_f32, compare, dot, dyadic, exact};
use fastrand::Rng;

const SEED: u64 = 71;
const SIZES: [usize; 10] = [0, 1, 3, 4, 31, 33, 64, 65, 1000, 1025];

/// `depth*U / (1 - depth*U)`, exactly.
fn exact_gamma(depth: u32) -> Rational {
    let t = exact(depth) * exact(U);
    &t / (Rational::ONE - &t)
}

/// Most that gradual underflow takes from `n` products: half of the smallest number each.
fn eta(n: usize) -> Rational {
    exact(n as f64) * dyadic(1.into(), -150)
}

/// `found` is on the right side of `truth` and near it, unless it has overflowed.
fn outward(found: f32, plain: f32, truth: &Rational, above: bool, what: &dyn std::fmt::Debug) {
    if found.is_infinite() {
        assert!(compare(f32::MAX, &abs(truth)).is_le() || plain.abs() == f32::MAX, "{what:?}");
        return;
    }
    let order = compare(found, truth);
    assert!(if above { order.is_ge() } else { order.is_le() }, "{found:e} {what:?}");
    let room = abs(truth) * exact(2.5 * f64::from(f32::EPSILON)) + exact(64.0 * ETA);
    assert!(abs(&(exact(found) - truth)) <= room, "{found:e} is far: {what:?}");
}

#[test]
fn scalars_round_outward() {
    let mut rng = Rng::with_seed(seed(SEED));
    let pairs = SPECIAL.iter().flat_map(|a| SPECIAL.iter().map(|b| (*a, *b))).collect::<Vec<_>>();
    let random = (0..many(40_000)).map(|_| {
        let a = any(&mut rng);
        (a, partner(&mut rng, a))
    });
    let mut count = 0;
    for (a, b) in pairs.into_iter().chain(random) {
        let (x, y) = (exact(a), exact(b));
        let (sum, difference, product) = (&x + &y, &x - &y, &x * &y);
        outward(add_up(a, b), a + b, &sum, true, &("add_up", a, b));
        outward(add_down(a, b), a + b, &sum, false, &("add_down", a, b));
        outward(sub_up(a, b), a - b, &difference, true, &("sub_up", a, b));
        outward(sub_down(a, b), a - b, &difference, false, &("sub_down", a, b));
        outward(mul_up(a, b), a * b, &product, true, &("mul_up", a, b));
        outward(mul_down(a, b), a * b, &product, false, &("mul_down", a, b));
        // Whatever rounds to a lies within half the way to its neighbours.
        if a.abs() < f32::MAX {
            let half = |next: f32| (exact(a) + exact(next)) / exact(2.0);
            assert!(compare(up(a), &half(a.next_up())).is_ge(), "{a:e}");
            assert!(compare(down(a), &half(a.next_down())).is_le(), "{a:e}");
        }
        // Flushed results are covered, too.
        if a.abs() < ETA {
            assert!(up(0.0) >= a && down(0.0) <= a && up(a) >= ETA && down(a) <= -ETA);
        }
        count += 1;
    }
    println!("{count} pairs");
    for x in [f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!((up(x), down(x)), (x, x));
    }
    assert!(up(f32::NAN).is_nan() && down(f32::NAN).is_nan());
}

#[test]
fn gamma_inflate_and_underflow_are_above() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let depths = (0..600).chain((0..many(3000)).map(|_| rng.u32(0..1 << 22)));
    let mut count = 0;
    for depth in depths.chain([2047, 2048, 2049, (1 << 22) - 1]) {
        let (found, truth) = (gamma(depth), exact_gamma(depth));
        assert!(compare(found, &truth).is_ge(), "{depth}");
        assert!(compare(found, &(&truth * exact(1.1) + exact(1e-30))).is_le(), "{depth}");
        let g = Rational::ONE - &truth;
        for sum in [0.0, 1e-45, ETA, 1.0, 3.7e-3, 1.0 + f32::EPSILON, 2f32.powi(101)] {
            let terms = depth as usize % 5000;
            let found = inflate(sum, depth, terms);
            let lost = exact(terms as f64) * exact(ETA);
            let least = (exact(sum) + lost) / &g;
            assert!(compare(found, &least).is_ge(), "{sum:e} {depth}");
            if depth < 1 << 20 {
                let most = (exact(sum) + exact(5000.0 * 10.0 * f64::from(ETA)))
                    * (Rational::ONE + exact(2.5) * &truth + exact(1e-6));
                assert!(compare(found, &most).is_le(), "{sum:e} {depth}: {found:e}");
            }
        }
        assert!(compare(underflow(depth as usize), &(exact(depth) * exact(4.0 * ETA))).is_ge());
        count += 1;
    }
    println!("{count} depths");
    assert_eq!(gamma(1 << 22), f32::INFINITY);
    assert_eq!(gamma(u32::MAX), f32::INFINITY);
    assert_eq!(inflate(1.0, 1 << 22, 1), f32::INFINITY);
    assert!(inflate(f32::NAN, 3, 1).is_nan());
    assert_eq!(inflate(f32::INFINITY, 3, 1), f32::INFINITY);
}

#[test]
fn roots_and_radii_round_up() {
    let mut rng = Rng::with_seed(seed(SEED + 2));
    for x in SPECIAL.into_iter().chain((0..many(20_000)).map(|_| any(&mut rng))) {
        let x = x.abs();
        let root = sqrt_up(x);
        let square = exact(root) * exact(root);
        assert!(square >= exact(x), "{x:e}");
        assert!(square <= exact(x) * exact(1.000_001) + exact(2e-18 * 2e-18), "{x:e}: {root:e}");
    }
    assert!(sqrt_up(f32::NAN).is_nan() && sqrt_up(f32::INFINITY) == f32::INFINITY);
    for _ in 0..many(20_000) {
        let near = f64::from(any(&mut rng).abs());
        let x = [near, near.next_up(), near.next_down().abs(), near * rng.f64()][rng.usize(0..4)];
        assert_eq!(from_f64_up(x), ceil_f32(&exact(x)), "{x:e}");
    }
    for x in [5e-324, 1e-46, f64::MAX, 3.5e38, f64::from(f32::MAX).next_up(), 0.1] {
        assert_eq!(from_f64_up(x), ceil_f32(&exact(x)), "{x:e}");
    }
    assert_eq!(from_f64_up(f64::INFINITY), f32::INFINITY);
}

#[test]
fn only_finite_bounds_improve() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let all: Vec<f32> = SPECIAL.into_iter().chain(odd).collect();
    for &a in &all {
        for &b in &all {
            let found = better_lower(a, b);
            let expected = match (a.is_nan(), b.is_finite()) {
                (_, false) => a,
                (true, true) => b,
                (false, true) => a.max(b),
            };
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{a} {b}: {found}");
        }
    }
}

/// The largest share of the claimed error that was seen.
#[derive(Default)]
struct Share(f64, usize);

impl Share {
    /// `|found - truth| <= gamma(depth)*size + n*eta`.
    fn check(
        &mut self,
        found: f32,
        truth: &Rational,
        size: &Rational,
        depth: u32,
        n: usize,
        what: &dyn std::fmt::Debug,
    ) {
        let error = abs(&(exact(found) - truth));
        let claim = exact_gamma(depth) * size + eta(n);
        assert!(
            error <= claim,
            "{what:?}: error {} of {}",
            error.to_f64_fast(),
            claim.to_f64_fast()
        );
        if !claim.is_zero() {
            self.0 = self.0.max((error / claim).to_f64_fast());
        }
        self.1 += 1;
    }
}

fn sizes_of(x: &[f32]) -> Vec<f32> {
    x.iter().map(|x| x.abs()).collect()
}

fn row_sums<const L: usize>(rng: &mut Rng, share: &mut Share) {
    for n in SIZES {
        let depth = sums::depth(n, L);
        for (kind, other) in Pattern::ALL.into_iter().zip([1, 0, 0, 3, 3, 5, 6, 7]) {
            let w = kind.draw(rng, n, L);
            let x = match kind {
                Pattern::Absorbed | Pattern::Slices | Pattern::Cancelling | Pattern::Vanishing => {
                    vec![1.0; n]
                }
                _ => Pattern::ALL[other].draw(rng, n, L),
            };
            let rad = sizes_of(&Pattern::Wide.draw(rng, n, L));
            let what = (kind, n, L);
            let (sw, sx) = (sizes_of(&w), sizes_of(&x));
            let (centre, size) = (dot(&w, &x), dot(&sw, &sx));
            share.check(sums::dot::<L, f32>(&w, &x), &centre, &size, depth, n, &what);
            let found = sums::box_sums::<L, f32>(&w, &x, &rad);
            share.check(found.centre, &centre, &size, depth, n, &what);
            share.check(found.size, &size, &size, depth, n, &what);
            let radius = dot(&sw, &rad);
            share.check(found.radius, &radius, &radius, depth, n, &what);
            share.check(sums::reach::<L, f32>(&w, &rad), &radius, &radius, depth, n, &what);
            // In f64: as if every rounding were 2^-53.
            let (double, found) = sums::box_sums_f64::<L, L, f32>(&w, &x, &rad);
            let room = &size * exact(n as f64 * 2f64.powi(-52));
            assert!(abs(&(exact(double) - &centre)) <= room, "{what:?}");
            share.check(found.size, &size, &size, depth, n, &what);
            share.check(found.radius, &radius, &radius, depth, n, &what);
            for over in
                [over_box(&Portable, &w, &x, &rad), over_box(&Fast::new(1, false), &w, &x, &rad)]
            {
                let OverBox { centre: sum, error: off, .. } = over;
                let near = || abs(&(exact(sum) - &centre)) <= exact(off);
                assert!(!off.is_finite() || near(), "{what:?}: {sum} {off}");
                assert!(compare(over.size, &size).is_ge(), "{what:?}");
                assert!(compare(over.radius, &radius).is_ge(), "{what:?}");
            }
            // The upper bounds that the engine derives.
            assert!(compare(inflate(found.size, depth, n), &size).is_ge(), "{what:?}");
            assert!(compare(inflate(found.radius, depth, n), &radius).is_ge(), "{what:?}");
            let norms = sums::norms::<L, f32>(&w);
            let truth = dot(&w, &w);
            share.check(norms.squares, &truth, &truth, depth, n, &what);
            let truth = dot(&sw, &vec![1.0; n]);
            share.check(norms.sum, &truth, &truth, depth, n, &what);
            assert_eq!(norms.largest, sw.iter().fold(0.0, |a, b| f32::max(a, *b)), "{what:?}");
            relaxed::<L>(rng, &w, kind, share);
        }
    }
}

/// What a row meets over a box, by one arithmetic.
fn over_box<A: Arithmetic>(arith: &A, w: &[f32], mid: &[f32], rad: &[f32]) -> OverBox {
    let rounding = Rounding::new(arith.row_depth(w.len()), w.len());
    arith.over_box(Row::F32(w), mid, rad, &rounding)
}

/// The sums of a relaxed row, and its coefficients.
fn relaxed<const L: usize>(rng: &mut Rng, row: &[f32], kind: Pattern, share: &mut Share) {
    let n = row.len();
    let mut draw = |pattern: Pattern| pattern.draw(rng, n, L);
    let slope = |x: Vec<f32>| x.into_iter().map(|s| s.abs().min(1.0)).collect::<Vec<f32>>();
    let (slope_lo, slope_up) = (slope(draw(Pattern::Even)), slope(draw(Pattern::Wide)));
    let (gain_lo, gain_up) = (draw(Pattern::Sparse), draw(Pattern::Wide));
    let budget = sizes_of(&draw(Pattern::Tiny));
    let lines = Lines {
        slope_lo: &slope_lo,
        slope_up: &slope_up,
        gain_lo: &gain_lo,
        gain_up: &gain_up,
        budget: &budget,
    };
    for sign in [1.0, -1.0] {
        let row: Vec<f32> = row.iter().map(|a| sign * a).collect();
        // Where negligible coefficients are dropped, before and after, and where they are not.
        for drops in [true, false] {
            let mut new = row.clone();
            let (found, depth, signed) = if drops {
                let signed = row.iter().map(|a| sums::drop_negligible(*a)).collect();
                (sums::relax::<L>(&mut new, &lines), sums::depth(n, L), signed)
            } else {
                (sums::relax_each(&mut new, &lines), Portable.relax_depth(n), row.clone())
            };
            let pick = |i: usize, lower: &[f32], upper: &[f32]| {
                if signed[i] > 0.0 { lower[i] } else { upper[i] }
            };
            let gain: Vec<f32> = (0..n).map(|i| pick(i, &gain_lo, &gain_up)).collect();
            for (i, new) in new.iter().enumerate() {
                let truth = exact(signed[i]) * exact(pick(i, &slope_lo, &slope_up));
                let room = abs(&truth) * exact(U) + eta(1);
                let dropped = drops && *new == 0.0 && abs(&truth) <= exact(NEGLIGIBLE);
                assert!(dropped || abs(&(exact(*new) - truth)) <= room, "{kind:?} {n} {i}");
            }
            let what = ("relax", kind, n, L, sign, drops);
            let size = dot(&sizes_of(&signed), &sizes_of(&gain));
            share.check(found.gain, &dot(&signed, &gain), &size, depth, n, &what);
            share.check(found.gain_size, &size, &size, depth, n, &what);
            let total = dot(&sizes_of(&new), &budget);
            share.check(found.budget, &total, &total, depth, n, &what);
        }
    }
}

#[test]
fn row_sums_stay_within_their_depth() {
    let mut rng = Rng::with_seed(seed(SEED + 3));
    let mut share = Share::default();
    for _ in 0..many(1) {
        row_sums::<1>(&mut rng, &mut share);
        row_sums::<4>(&mut rng, &mut share);
        row_sums::<16>(&mut rng, &mut share);
        row_sums::<32>(&mut rng, &mut share);
    }
    println!("{} sums, the worst takes {:.3} of its claim", share.1, share.0);
    assert!(share.0 > 0.9, "adversarial sums come near the claim");
}
