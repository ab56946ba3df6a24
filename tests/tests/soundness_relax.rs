//! Lines around activations, boxes around regions and linear functions over them, against exact
//! arithmetic.

use certus::blob::{WeightKind, pack};
use certus_engine::bounds::{Arithmetic, Portable};
use certus_engine::model::{Activation, Model, Row};
use certus_engine::region::Region as EngineRegion;
use certus_engine::relax::{is_unstable, range, relax};
use certus_tests::ask::{SLOPES, engine_region};
use certus_tests::floats::{Pattern, SPECIAL, below};
use certus_tests::generate::{Kind, affine, case, network};
use certus_tests::oracle::analyse;
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, abs, compare, dot, exact, sqrt_bounds};
use certus_tests::region::{Norm, Region};
use fastrand::Rng;

const SEED: u64 = 81;
const LEAKS: [f32; 8] =
    [0.0, f32::MIN_POSITIVE, 1e-30, 0.01, 0.1, 0.5, 1.0 - f32::EPSILON / 2.0, 1.0];

fn activations() -> impl Iterator<Item = Activation> {
    [Activation::Identity, Activation::Relu].into_iter().chain(LEAKS.map(Activation::LeakyRelu))
}

fn leak(activation: Activation) -> f32 {
    activation.leak().expect("two lines")
}

fn apply(activation: Activation, z: &Rational) -> Rational {
    if *z < Rational::ZERO { z * exact(leak(activation)) } else { z.clone() }
}

/// Ends with `lo <= hi`, often on both sides of 0.
fn ends(rng: &mut Rng) -> (f32, f32) {
    let (a, b) = (below(rng, 99), below(rng, 99));
    match rng.u8(0..4) {
        0 => (a.min(b), a.max(b)),
        1 => (-a.abs(), a.abs() * (1.0 + rng.f32() * 1e-6)),
        _ => (-a.abs(), b.abs()),
    }
}

#[test]
fn lines_and_ranges_enclose() {
    let mut rng = Rng::with_seed(seed(SEED));
    let special: Vec<f32> = SPECIAL.into_iter().filter(|x| x.abs() < 1e30).collect();
    let pairs = special.iter().flat_map(|a| special.iter().map(|b| (a.min(*b), a.max(*b))));
    let pairs: Vec<_> = pairs.chain((0..many(3000)).map(|_| ends(&mut rng))).collect();
    let (mut lines, mut unstable) = (0, 0);
    for activation in activations() {
        for &(lo, hi) in &pairs {
            let at = |z: f32| (exact(z), apply(activation, &exact(z)));
            // Piecewise linear: the ends and the bend decide.
            let bend = (lo < 0.0 && hi > 0.0).then_some(0.0);
            let points: Vec<_> = [lo, hi].into_iter().chain(bend).map(at).collect();
            for lower in SLOPES {
                let found = relax(activation, lo, hi, lower);
                let line = |s: f32, t: f32, z: &Rational| z * exact(s) + exact(t);
                for (z, value) in &points {
                    let what = (activation, lo, hi, lower, found);
                    assert!(line(found.slope_lo, found.icpt_lo, z) <= *value, "{what:?}");
                    assert!(line(found.slope_up, found.icpt_up, z) >= *value, "{what:?}");
                }
                if let Some((_, value)) = points.get(2) {
                    // The upper line is near the chord: it touches one end, but for rounding.
                    let gap =
                        |(z, v): &(Rational, Rational)| line(found.slope_up, found.icpt_up, z) - v;
                    let size = abs(&exact(lo)).max(exact(hi));
                    let nearest = gap(&points[0]).min(gap(&points[1]));
                    assert!(value.is_zero() && nearest <= size * exact(1e-6) + exact(1e-36));
                    unstable += 1;
                }
                assert_eq!(found.is_shared(), found.slope_lo == found.slope_up);
                if found.is_dead() {
                    assert!(points.iter().all(|(_, value)| value.is_zero()), "{activation:?} {lo}");
                }
                assert!(found.slope_lo >= leak(activation) && found.slope_lo <= 1.0);
                assert!(found.slope_up >= leak(activation) && found.slope_up <= 1.0);
                lines += 1;
            }
            let stable = bend.is_none() || leak(activation) == 1.0;
            assert_eq!(is_unstable(activation, lo, hi), !stable);
            let (below, above) = range(activation, lo, hi);
            for (z, (_, value)) in [lo, hi, 0.0].into_iter().zip(&points) {
                assert!(compare(below, value).is_le() && compare(above, value).is_ge());
                let float = activation.apply(z);
                assert!(below <= float && float <= above, "{activation:?} [{lo}, {hi}] {z}");
            }
        }
    }
    println!("{lines} pairs of lines, {unstable} over a bend");
}

#[test]
fn boxes_hold_their_regions() {
    let seed = seed(SEED + 1);
    let mut rng = Rng::with_seed(seed);
    let mut boxes = 0;
    let mut check = |region: &Region| {
        let (mut mid, mut rad) = (vec![f32::NAN; region.dim()], vec![f32::NAN; region.dim()]);
        let engine = engine_region(region);
        if engine.check(region.dim()).is_err() {
            return false;
        }
        engine.enclose(&mut mid, &mut rad);
        let Some((lo, hi)) = region.bounding_box() else { return true };
        for (((m, r), lo), hi) in mid.iter().zip(&rad).zip(lo).zip(hi) {
            let (m, r) = (exact(*m), exact(*r));
            assert!(&m - &r <= lo && &m + &r >= hi, "{region:?}");
            // Around a round ball that is cut, the box keeps the ball's centre.
            let narrowest = match region {
                Region::BallInBox { norm: Norm::L1 | Norm::L2, .. } => (&hi - &m).max(&m - &lo),
                _ => (&hi - &lo) * exact(0.5),
            };
            let wide = &r - &narrowest;
            let size = abs(&lo).max(abs(&hi)).max(abs(&m)) + exact(4e-30);
            assert!(wide <= size * exact(1e-6), "{region:?}: too wide");
        }
        boxes += 1;
        true
    };
    for kind in Kind::ALL {
        for index in 0..many(300) as u64 {
            let case = case(seed, kind, index);
            assert!(check(&case.region), "{}: refused", case.name);
        }
    }
    for _ in 0..many(5000) {
        let n = rng.usize(1..4);
        let mut pairs = Vec::new();
        pairs.resize_with(n, || ends(&mut rng));
        let (lo, hi): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        assert!(check(&Region::cube(&lo, &hi)));
        let eps = f64::from(below(&mut rng, 99).abs()) * (1.0 + rng.f64() * 1e-7);
        let norm = [Norm::L1, Norm::L2, Norm::Linf][rng.usize(0..3)];
        assert!(check(&Region::ball(&lo, eps, norm)));
        // May be empty, and then may be refused.
        let center: Vec<f32> = hi.iter().map(|x| x * rng.f32()).collect();
        check(&Region::ball(&center, eps, norm).cut(&lo, &hi));
    }
    println!("{boxes} boxes");
}

/// `a . x` over regions of few inputs, the cut ones included, by the exact oracle.
#[test]
fn spans_enclose_on_every_region() {
    let seed = seed(SEED + 2);
    let mut rng = Rng::with_seed(seed);
    // Worst excess over whole regions, balls cut around their centre, and other cut balls.
    let (mut spans, mut loosest) = (0, [0.0f64; 3]);
    for kind in Kind::ALL {
        for index in 0..many(250) as u64 {
            let region = case(seed, kind, index).region;
            let n = region.dim();
            let row: Vec<f32> = match rng.u8(0..3) {
                0 => (0..n).map(|_| below(&mut rng, 60)).collect(),
                _ => Pattern::Even.draw(&mut rng, n, 1),
            };
            let net = network(vec![affine(&[&row], &[0.0], Activation::Identity)]);
            let truth = analyse(&net, &region, &[vec![1.0]]).unwrap().spec.remove(0);
            let engine = engine_region(&region);
            engine.check(n).unwrap();
            let (mut mid, mut rad) = (vec![0.0; n], vec![0.0; n]);
            engine.enclose(&mut mid, &mut rad);
            let reach = engine.reach(&Portable, Row::F32(&row), &mid, &rad, true);
            // The exact way from the value at `mid` to each exact end.
            let at_mid = dot(&row, &mid);
            let (below, above) = (&at_mid - &truth.min.inner, &truth.max.inner - &at_mid);
            assert!(compare(reach.below, &below).is_ge(), "{region:?} {row:?}: {reach:?}");
            assert!(compare(reach.above, &above).is_ge(), "{region:?} {row:?}: {reach:?}");
            let lower = engine.reach(&Portable, Row::F32(&row), &mid, &rad, false);
            assert!(lower.below == reach.below && lower.above >= reach.above);
            assert!(reach.below.is_finite() && reach.above.is_finite());
            let width = (&truth.max.inner - &truth.min.inner).to_f64_fast();
            let size: f64 =
                row.iter().zip(&mid).map(|(a, m)| (f64::from(*a) * f64::from(*m)).abs()).sum();
            let excess = f64::from(reach.above) + f64::from(reach.below) - width;
            let kind = match &region {
                Region::BallInBox { center, lo, hi, .. } => {
                    let sides = center.iter().zip(lo).zip(hi);
                    if sides.clone().all(|((c, lo), hi)| lo <= c && c <= hi) { 1 } else { 2 }
                }
                _ => 0,
            };
            // Squares below 2^-114 are lost in what underflow could take.
            let tiny = 2f64.powi(-57) * f64::from(rad.iter().fold(0.0, |a, b| f32::max(a, *b)));
            let excess = (excess - 1e-5 * size - tiny - 1e-30) / width.max(1e-30);
            loosest[kind] = loosest[kind].max(excess);
            spans += 1;
        }
    }
    println!("{spans} spans, wider than the exact ranges by up to {loosest:?}");
    assert!(loosest[0] < 1e-5 && loosest[1] < 0.05, "{loosest:?}");
}

/// `a . x` over balls of many inputs, by the dual norm in exact arithmetic; both arithmetics.
#[test]
fn spans_enclose_on_balls_of_many_inputs() {
    let mut rng = Rng::with_seed(seed(SEED + 3));
    let mut spans = 0;
    for n in [1, 2, 31, 33, 64, 65, 1000] {
        for (pattern, at_origin) in Pattern::ALL.into_iter().flat_map(|p| [(p, false), (p, true)]) {
            for norm in [Norm::L1, Norm::L2, Norm::Linf] {
                let row = pattern.draw(&mut rng, n, 4);
                let center = match pattern {
                    // At the origin only the radius can round.
                    _ if at_origin => vec![0.0; n],
                    Pattern::Absorbed | Pattern::Cancelling | Pattern::Vanishing => vec![1.0; n],
                    _ => Pattern::Wide.draw(&mut rng, n, 4),
                };
                let eps = rng.f64() * 2f64.powi(rng.i32(-30..10));
                let region = Region::ball(&center, eps, norm);
                let sizes: Vec<f32> = row.iter().map(|a| a.abs()).collect();
                let dual = match norm {
                    Norm::L1 => exact(sizes.iter().fold(0.0f32, |a, b| a.max(*b))),
                    Norm::L2 => sqrt_bounds(&dot(&row, &row)).0,
                    Norm::Linf => dot(&sizes, &vec![1.0; n]),
                };
                let (centre, reach) = (dot(&row, &center), dual * exact(eps));
                enclosed(&Portable, &region, &row, (&centre - &reach, &centre + &reach));
                let fast = certus::cpu::Fast::new(1, false);
                enclosed(&fast, &region, &row, (&centre - &reach, &centre + &reach));
                spans += 2;
            }
        }
    }
    println!("{spans} spans");
}

fn enclosed<A: Arithmetic>(arith: &A, region: &Region, row: &[f32], truth: (Rational, Rational)) {
    let n = row.len();
    let engine: EngineRegion<'_> = engine_region(region);
    let (mut mid, mut rad) = (vec![0.0; n], vec![0.0; n]);
    engine.enclose(&mut mid, &mut rad);
    let reach = engine.reach(arith, Row::F32(row), &mid, &rad, true);
    let centre = dot(row, &mid);
    assert!(compare(reach.below, &(&centre - &truth.0)).is_ge(), "{region:?}");
    assert!(compare(reach.above, &(&truth.1 - &centre)).is_ge(), "{region:?}");
}

/// Half-precision rows are the numbers they are.
#[test]
fn half_rows_are_exact() {
    let row: Vec<f32> = vec![1.0, -0.5, 65504.0, 5.960_464_5e-8, 6.1035e-5, 0.333_251_95, 0.0];
    let net = network(vec![affine(&[&row], &[0.0], Activation::Identity)]);
    let words = pack(&net, WeightKind::F16).unwrap();
    let layer = Model::from_words(&words).unwrap().layer(0).unwrap();
    let x: Vec<f32> = (0..row.len()).map(|i| 1.5f32.powi(i as i32)).collect();
    let Row::F16(_) = layer.row(0) else { panic!("half precision") };
    let stored: Vec<f32> = (0..row.len()).map(|j| layer.row(0).get(j)).collect();
    assert_eq!(stored[..4], row[..4]);
    let fast = certus::cpu::Fast::new(1, false);
    let size: Vec<f32> = stored.iter().zip(&x).map(|(w, x)| (w * x).abs()).collect();
    let room = exact(1e-6) * certus_tests::rational::sum(&size);
    for found in [Portable.dot(layer.row(0), &x), fast.dot(layer.row(0), &x)] {
        assert!(abs(&(exact(found) - dot(&stored, &x))) <= room);
    }
}

/// Balls of many inputs whose cut is all that counts: `sum |a_j| d`, in which small terms drown.
#[test]
fn cuts_of_many_inputs_round_up() {
    for n in [3usize, 33, 1025] {
        for norm in [Norm::L1, Norm::L2] {
            for sign in [1.0f32, -1.0] {
                let mut row = vec![sign * 2f32.powi(-26); n];
                row[0] = sign;
                let (lo, hi) = (vec![-0.75f32; n], vec![0.75f32; n]);
                let region = Region::ball(&vec![0.0; n], 1e4, norm).cut(&lo, &hi);
                let engine = engine_region(&region);
                let (mut mid, mut rad) = (vec![0.0; n], vec![0.0; n]);
                engine.enclose(&mut mid, &mut rad);
                let reach = engine.reach(&Portable, Row::F32(&row), &mid, &rad, true);
                let sizes: Vec<f32> = row.iter().map(|a| a.abs()).collect();
                let truth = dot(&sizes, &hi);
                assert!(compare(reach.below, &truth).is_ge(), "{n} {norm:?}: {reach:?}");
                assert!(compare(reach.above, &truth).is_ge(), "{n} {norm:?}: {reach:?}");
            }
        }
    }
}

/// How high lines lie above a middle, rounded away from the activation.
#[test]
fn gains_round_outward() {
    let mut rng = Rng::with_seed(seed(SEED + 4));
    for _ in 0..many(20_000) {
        let (lo, hi) = ends(&mut rng);
        let leak = LEAKS[rng.usize(0..LEAKS.len())];
        let lower = SLOPES[rng.usize(0..SLOPES.len())];
        let line = relax(Activation::LeakyRelu(leak), lo, hi, lower);
        let (z, mid) = (below(&mut rng, 99), below(&mut rng, 99));
        let (z, mid) =
            [(z, mid), (z, z), (lo, hi), (0.5 * lo + 0.5 * hi, 0.5 * hi)][rng.usize(0..4)];
        let (down, up) = line.gains(z, mid);
        let exactly = |s: f32, t: f32| exact(s) * exact(z) + exact(t) - exact(mid);
        let what = (leak, lo, hi, lower, z, mid);
        assert!(compare(down, &exactly(line.slope_lo, line.icpt_lo)).is_le(), "{what:?}");
        assert!(compare(up, &exactly(line.slope_up, line.icpt_up)).is_ge(), "{what:?}");
    }
}
