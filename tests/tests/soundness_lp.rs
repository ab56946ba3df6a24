//! Balls and distances in lp for a general p, against exact powers.

use certus::attack::distance::distance_up;
use certus::attack::{Attack, Method, Threat, Worker};
use certus::cpu::Fast;
use certus_engine::bounds::{Arithmetic, Method as Bounds, Options, Portable, Workspace};
use certus_engine::model::{Activation, Model};
use certus_engine::num::powers::Powers;
use certus_engine::region::{Norm, Region as Ball};
use certus_engine::simplex::{self, Query, Simplex, first_rates, simplex};
use certus_engine::spec::Spec;
use certus_tests::ask::{Engine, Sums, all_options};
use certus_tests::dense::{Ball as DenseBall, Dense, How, margins};
use certus_tests::floats::below;
use certus_tests::generate::{affine, network};
use certus_tests::geometry::{Case, Kind, Plane, Region, case};
use certus_tests::oracle::{forward, pre_activations};
use certus_tests::outside::words;
use certus_tests::plan::{many, seed};
use certus_tests::rational::{IBig, Rational, abs, compare, exact, from_slice, parts};
use fastrand::Rng;

const SEED: u64 = 83;

/// p whose dual exponent is a whole number.
const WHOLE: [(f32, u8); 4] = [(1.5, 3), (1.25, 5), (1.125, 9), (1.0625, 17)];

/// From one named norm to the other.
const ALL: [f32; 8] = [1.000_1, 1.0625, 1.5, 1.9, 2.5, 3.0, 8.0, 1000.0];

fn lp(p: f32) -> Norm {
    Norm::new(p).expect("a norm")
}

/// `x^n`.
fn power(x: &Rational, n: u8) -> Rational {
    x.pow(n.into())
}

/// `|x| * 2^149`.
fn whole(x: f32) -> IBig {
    let (mantissa, exponent) = parts(x.into());
    IBig::from(mantissa.abs()) << (exponent + 149).max(0) as usize
}

/// The dual norms of rows.
fn duals(rows: &[Vec<f32>], p: f32) -> Vec<[f32; 2]> {
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let net = network(vec![affine(&rows, &vec![0.0; rows.len()], Activation::Identity)]);
    let words = words(&net);
    let model = Model::from_words(&words).expect("packed here");
    let (mut plain, mut fast) = (vec![f32::NAN; rows.len()], vec![f32::NAN; rows.len()]);
    first_rates(&Portable, &model, lp(p), &mut plain);
    first_rates(&Fast::new(1, false), &model, lp(p), &mut fast);
    plain.into_iter().zip(fast).map(|(a, b)| [a, b]).collect()
}

/// What flushing is charged with, in units of `2^-149`.
fn flushed(n: usize) -> u32 {
    (n as u32 + 40) << 23
}

/// `sum |a|^q <= bound^q`, and the bound is within a millionth of that and what flushing takes.
#[test]
fn dual_norms_of_whole_exponents() {
    let mut rng = Rng::with_seed(seed(SEED));
    for _ in 0..many(60) {
        let n = rng.usize(1..9);
        let entry = |rng: &mut Rng, near: Option<f32>| match near {
            Some(x) => x * (rng.f32() - 0.5),
            None => below(rng, 100),
        };
        let rows: Vec<Vec<f32>> = (0..16)
            .map(|_| {
                let near = rng.bool().then(|| below(&mut rng, 100));
                (0..n).map(|_| entry(&mut rng, near)).collect()
            })
            .collect();
        for (p, q) in WHOLE {
            for (row, found) in rows.iter().zip(duals(&rows, p)) {
                let sum: IBig = row.iter().map(|a| whole(*a).pow(q.into())).sum();
                for bound in found {
                    let told = format!("p {p}: {bound:e} of {row:?}");
                    let bound = whole(bound);
                    assert!(bound.pow(q.into()) >= sum, "{told}");
                    let rest = (bound - IBig::from(flushed(n))).max(IBig::ZERO);
                    let least = (rest * IBig::from(999_999)).pow(q.into());
                    assert!(least <= &sum * IBig::from(1_000_000).pow(q.into()), "{told}");
                }
            }
        }
    }
}

/// Of `q = (m + 1)/m`, whose roots of `a = s^m` are rational: `(sum s^(m+1))^m <= bound^(m+1)`.
#[test]
fn dual_norms_of_whole_p() {
    let mut rng = Rng::with_seed(seed(SEED));
    for _ in 0..many(60) {
        for (m, most) in [(2, 4095), (4, 63), (8, 7)] {
            let (n, middle) = (rng.usize(1..9), rng.i32(-90..80));
            let rows: Vec<Vec<(i32, i32)>> = (0..16)
                .map(|_| {
                    let shift = |rng: &mut Rng| (middle + rng.i32(-20..20)) / m;
                    (0..n).map(|_| (rng.i32(-most..=most), shift(&mut rng))).collect()
                })
                .collect();
            let float = |(s, k): &(i32, i32)| (*s as f32).powi(m) * 2f32.powi(m * k);
            let floats: Vec<Vec<f32>> =
                rows.iter().map(|r| r.iter().map(float).collect()).collect();
            for ((row, floats), found) in
                rows.iter().zip(&floats).zip(duals(&floats, m as f32 + 1.0))
            {
                let m = m as u8;
                let root = |(s, k): &(i32, i32)| exact(f64::from(s.abs()) * 2f64.powi(*k));
                for (at, a) in row.iter().zip(floats) {
                    assert_eq!(power(&root(at), m), exact(*a), "a root");
                }
                let sum = row.iter().fold(Rational::ZERO, |sum, at| sum + power(&root(at), m + 1));
                let truth = power(&sum, m);
                for bound in found {
                    let told = format!("p {}: {bound:e} of {floats:?}", m + 1);
                    assert!(power(&exact(bound), m + 1) >= truth, "{told}");
                    let rest = exact(f64::from(bound) - f64::from(flushed(n)) * 2f64.powi(-149));
                    let least = rest * exact(1.0 - 1e-6);
                    assert!(least <= Rational::ZERO || power(&least, m + 1) <= truth, "{told}");
                }
            }
        }
    }
}

/// `libm::pow` within a 1024th of what is charged for it: `x^(k/8)` is the eighth root of `x^k`.
#[test]
fn powers_are_as_exact_as_charged() {
    let mut rng = Rng::with_seed(seed(SEED));
    let (above, below) = (exact(1.0 + 2f64.powi(-50)), exact(1.0 - 2f64.powi(-50)));
    let mut compared = 0;
    for _ in 0..many(20_000) {
        let size = match rng.u8(0..4) {
            0 => 1.0 - rng.f64() * 2f64.powi(-rng.i32(1..50)),
            1 => rng.f64(),
            2 => rng.f64() * 2f64.powi(-rng.i32(1..300)),
            // Sums under a root.
            _ => 1.0 + rng.f64() * 2f64.powi(rng.i32(-40..20)),
        };
        let k = if size > 1.0 { rng.u8(1..8) } else { rng.u8(8..=200) };
        let found = Powers::new(f64::from(k) / 8.0, 1.0).add(size);
        if found < 2f64.powi(-1000) {
            continue;
        }
        compared += 1;
        let truth = power(&exact(size), k);
        assert!(power(&(exact(found) * &above), 8) >= truth, "{size:e}^({k}/8) {found:e}");
        assert!(power(&(exact(found) * &below), 8) <= truth, "{size:e}^({k}/8) {found:e}");
    }
    assert!(compared > 10_000, "{compared}");
}

/// `sum |a - b|^p <= distance^p`, and hardly more.
#[test]
fn distances_are_just_above_the_true_ones() {
    let mut rng = Rng::with_seed(seed(SEED));
    for _ in 0..many(1500) {
        let n = rng.usize(1..7);
        let a: Vec<f32> = (0..n).map(|_| below(&mut rng, 100)).collect();
        let b: Vec<f32> =
            a.iter().map(|a| if rng.bool() { a * 0.75 } else { below(&mut rng, 100) }).collect();
        for p in [3u8, 4, 5, 7] {
            let found = distance_up(&a, &b, lp(p.into()));
            let gaps = a.iter().zip(&b).map(|(a, b)| abs(&(exact(*a) - exact(*b))));
            let truth = gaps.fold(Rational::ZERO, |sum, gap| sum + power(&gap, p));
            assert!(power(&exact(found), p) >= truth, "l{p}: {found:e} {a:?} {b:?}");
            let least = exact(found) * exact(1.0 - 1e-11);
            assert!(power(&least, p) <= truth, "l{p}: {found:e} {a:?} {b:?}");
        }
    }
}

fn certificate<A: Arithmetic>(
    mut arith: A,
    model: &Model<'_>,
    query: &Query<'_>,
) -> (Simplex<32>, Vec<f32>) {
    let size = simplex::size(model, 4);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![7; size.indices]);
    let mut nearest = vec![f32::NAN; model.inputs()];
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    let found = simplex(&mut arith, model, query, workspace, &mut nearest).expect("fits");
    (found, nearest)
}

/// Whether the hyperplane is at least as far from `u` as `distance`: `(distance ||a||_q)^q` is at
/// most `|a.u + b|^q`.
fn is_beyond(plane: &Plane, u: &[Rational], distance: f32, q: u8) -> bool {
    let sum = plane.a.iter().fold(Rational::ZERO, |sum, a| sum + power(&abs(a), q));
    power(&exact(distance), q) * sum <= power(&abs(&plane.value(u)), q)
}

/// The true distance, about.
fn about(plane: &Plane, u: &[Rational], q: f64) -> f64 {
    let wide = |x: &Rational| x.to_f64_fast().abs();
    let most = plane.a.iter().map(wide).fold(0.0, f64::max);
    let sum: f64 = plane.a.iter().map(|a| (wide(a) / most).powf(q)).sum();
    wide(&plane.value(u)) / (most * sum.powf(1.0 / q))
}

#[test]
fn simplex_distances_are_below_the_exact_ones() {
    let seed = seed(SEED);
    let (mut settled, mut tight, mut exact_ones) = (0, 0, 0);
    for kind in Kind::ALL {
        for index in 0..many(25) as u64 {
            let case = case(seed, kind, index);
            let words = words(&case.net);
            let model = Model::from_words(&words).expect("packed here");
            let (region, u) = (Region::at(&case.net, &case.u), from_slice(&case.u));
            let bending = region.pre.iter().zip(&region.bends).filter(|(_, bends)| **bends);
            let facets: Vec<&Plane> =
                bending.flat_map(|(units, _)| units).filter(|z| !z.is_constant()).collect();
            let own = &region.outputs[case.class];
            let others = region.outputs.iter().enumerate().filter(|(j, _)| *j != case.class);
            let decisions: Vec<Plane> = others.map(|(_, other)| own.minus(other)).collect();
            for (p, q) in WHOLE {
                let query = Query::margins(&case.u, lp(p), case.class);
                let (plain, _) = certificate(Portable, &model, &query);
                let (fast, _) = certificate(Fast::new(model.depth(), false), &model, &query);
                for found in [plain, fast] {
                    let told = format!("{} l{p}: {found:?}", case.name);
                    let (boundary, decision) = (found.boundary(), found.decision());
                    let holds = |distance: f32, plane: &Plane| {
                        if distance.is_finite() {
                            is_beyond(plane, &u, distance, q)
                        } else {
                            plane.is_constant()
                        }
                    };
                    assert!(facets.iter().all(|facet| holds(boundary, facet)), "{told}");
                    if boundary > 0.0 && decision > 0.0 {
                        settled += 1;
                        for margin in &decisions {
                            assert!(margin.value(&u) > Rational::ZERO, "{told}");
                            assert!(holds(decision, margin), "{told}");
                        }
                        let all = facets.iter().copied().chain(&decisions);
                        let truth =
                            all.map(|z| about(z, &u, q.into())).fold(f64::INFINITY, f64::min);
                        tight += usize::from(f64::from(found.radius()) >= 0.999 * truth);
                        exact_ones += usize::from(found.is_exact());
                    }
                }
            }
        }
    }
    println!("{settled} settled, {tight} within a thousandth, {exact_ones} exact");
    assert!(settled > 1000 && 10 * tight > 9 * settled && exact_ones > 50);
}

/// Points of the ball of `norm` (cut by the case's box): tips, corners, the steepest ways down
/// `margins`, random ones.
fn points(case: &Case, margins: &[Plane], p: f32, epsilon: f64, rng: &mut Rng) -> Vec<Vec<f32>> {
    let (n, wide) = (case.u.len(), f64::from(p));
    let mut ways: Vec<Vec<f64>> = vec![vec![0.0; n]];
    for i in 0..2 * n {
        let side = if i % 2 == 0 { 1.0 } else { -1.0 };
        ways.push((0..n).map(|j| if j == i / 2 { side } else { 0.0 }).collect());
    }
    for corner in 0..1usize << n {
        ways.push((0..n).map(|j| if corner >> j & 1 == 1 { 1.0 } else { -1.0 }).collect());
    }
    for margin in margins {
        let a: Vec<f64> = margin.a.iter().map(|a| a.to_f64_fast()).collect();
        let most = a.iter().fold(0.0, |most: f64, a| most.max(a.abs()));
        let rise = |a: &f64| -(a.abs() / most).powf(1.0 / (wide - 1.0)).copysign(*a);
        ways.push(a.iter().map(rise).collect());
    }
    for _ in 0..20 {
        ways.push((0..n).map(|_| rng.f64() - 0.5).collect());
    }
    let place = |way: Vec<f64>| {
        let most = way.iter().fold(0.0, |most: f64, w| most.max(w.abs())).max(1e-300);
        let sum: f64 = way.iter().map(|w| (w.abs() / most).powf(wide)).sum();
        let scale = epsilon * (1.0 - 1e-9) / (most * sum.powf(1.0 / wide).max(1.0));
        let at = way.iter().zip(&case.u).enumerate().map(|(j, (w, u))| {
            let x = (f64::from(*u) + scale * w) as f32;
            case.within().map_or(x, |(lo, hi)| x.clamp(lo[j], hi[j]))
        });
        at.collect::<Vec<f32>>()
    };
    let all = ways.into_iter().map(place);
    all.filter(|x| distance_up(x, &case.u, lp(p)) <= epsilon).collect()
}

#[test]
fn no_point_of_a_ball_is_below_a_bound() {
    let seed = seed(SEED);
    let mut rng = Rng::with_seed(seed);
    let (mut checked, mut asked, mut tight) = (0, 0, 0);
    for kind in [Kind::Gaussian, Kind::Leaky, Kind::Integer, Kind::Border] {
        for index in 0..many(12) as u64 {
            let case = case(seed, kind, index);
            let words = words(&case.net);
            let mut engine = Engine::new(&words);
            let region = Region::at(&case.net, &case.u);
            let others = (0..case.net.outputs()).filter(|j| *j != case.class);
            let margins: Vec<Plane> =
                others.map(|j| region.outputs[case.class].minus(&region.outputs[j])).collect();
            for p in ALL {
                let epsilon = [1e-3, 0.05, 0.5][rng.usize(0..3)];
                let ball = match case.within() {
                    Some((lo, hi)) => Ball::ball_in_box(&case.u, epsilon, lp(p), lo, hi),
                    None => Ball::ball(&case.u, epsilon, lp(p)),
                };
                let spec = Spec::Margins { class: case.class };
                let points = points(&case, &margins, p, epsilon, &mut rng);
                let found: Vec<(Vec<Rational>, Vec<Rational>)> = points
                    .iter()
                    .map(|x| {
                        let x = from_slice(x);
                        let y = forward(&case.net, &x);
                        let own = &y[case.class];
                        let rest = y.iter().enumerate().filter(|(j, _)| *j != case.class);
                        let margins = rest.map(|(_, other)| own - other).collect();
                        (margins, pre_activations(&case.net, &x).concat())
                    })
                    .collect();
                checked += points.len();
                for options in all_options() {
                    let sums = Sums::ALL[rng.usize(0..Sums::ALL.len())];
                    let answer = engine.ask(&ball, &spec, &options, sums).expect("a small region");
                    let told = format!("{} l{p} {epsilon} {options:?} {sums:?}", case.name);
                    for (x, (margins, pre)) in points.iter().zip(&found) {
                        for (lower, margin) in answer.lower.iter().zip(margins) {
                            assert!(compare(*lower, margin).is_le(), "{told}: {x:?}");
                        }
                        for ((lo, hi), z) in answer.lo.iter().zip(&answer.hi).zip(pre) {
                            let inside = compare(*lo, z).is_le() && compare(*hi, z).is_ge();
                            assert!(inside, "{told}: {x:?}");
                        }
                    }
                    for (row, lower) in answer.lower.iter().enumerate() {
                        let least = found.iter().map(|(margins, _)| margins[row].to_f64_fast());
                        let least = least.fold(f64::INFINITY, f64::min);
                        asked += 1;
                        tight += usize::from(least - f64::from(*lower) <= 1e-2 * epsilon);
                    }
                }
            }
        }
    }
    println!("{checked} points, {tight} of {asked} bounds within a hundredth of the radius");
    assert!(checked > 5000 && 10 * tight > asked, "{checked} {tight} {asked}");
}

/// Beside the same computation in f64, with its own dual norms.
#[test]
fn bounds_are_those_of_f64() {
    let seed = seed(SEED);
    let (mut compared, mut apart) = (0, 0);
    for index in 0..many(40) as u64 {
        let case = case(seed, Kind::Gaussian, index);
        let words = words(&case.net);
        let (mut engine, dense) = (Engine::new(&words), Dense::new(&case.net));
        let spec = margins(case.class, case.net.outputs());
        for p in ALL {
            for method in [Bounds::Ibp, Bounds::FastLin, Bounds::Crown] {
                let epsilon = 0.1;
                let ball = Ball::ball(&case.u, epsilon, lp(p));
                let row = Spec::Margins { class: case.class };
                let answer = engine.ask(&ball, &row, &Options::new(method), Sums::Portable(4));
                let how = How { method, intersect: true };
                let wide = dense.bounds(&DenseBall::new(&case.u, epsilon, lp(p)), &spec, how);
                for (found, wide) in answer.expect("a small region").lower.iter().zip(&wide.lower) {
                    compared += 1;
                    // Slopes chosen in f32 may be others where two are as good.
                    let off = (f64::from(*found) - wide).abs();
                    apart += usize::from(off > 1e-4 * (1.0 + wide.abs()));
                }
            }
        }
    }
    println!("{apart} of {compared} apart");
    assert!(compared > 1000 && 200 * apart < compared, "{apart} of {compared}");
}

/// A ball lies in those of the same radius in larger p, and in the limits the named norms are met.
#[test]
fn simplex_radii_fall_as_p_grows() {
    let seed = seed(SEED);
    let mut compared = 0;
    for kind in [Kind::Gaussian, Kind::Leaky, Kind::Border] {
        for index in 0..many(60) as u64 {
            let case = case(seed, kind, index);
            let words = words(&case.net);
            let model = Model::from_words(&words).expect("packed here");
            let radius = |p: f32| {
                let query =
                    Query { clip: case.within(), ..Query::margins(&case.u, lp(p), case.class) };
                f64::from(certificate(Portable, &model, &query).0.radius())
            };
            let norms = [1.0].into_iter().chain(ALL[..4].iter().copied()).chain([2.0]);
            let norms = norms.chain(ALL[4..].iter().copied()).chain([f32::INFINITY]);
            let radii: Vec<f64> = norms.map(radius).collect();
            for pair in radii.windows(2).filter(|pair| pair[0].is_finite()) {
                compared += usize::from(pair[1] > 0.0);
                // A distance in a box is searched for, to some millionths.
                assert!(pair[1] <= pair[0] * (1.0 + 1e-4), "{}: {radii:?}", case.name);
            }
            // `||d||_p` is at most `n^(1/p - 1/p')` times `||d||_p'`, n up to 4.
            for (near, named, exponent) in [(1, 0, 1.0 - 1.0 / 1.000_1), (9, 10, 1e-3)] {
                let (near, named): (f64, f64) = (radii[near], radii[named]);
                let most = 4f64.powf(exponent) * (1.0 + 1e-4);
                let close = near <= named * most && named <= near * most;
                assert!(close || near == named, "{}: {radii:?}", case.name);
            }
        }
    }
    assert!(compared > 500, "{compared}");
}

/// Witnesses lie in the ball exactly, and beyond the certified radius.
#[test]
fn attacks_and_certificates_do_not_contradict() {
    let seed = seed(SEED);
    let mut witnesses = 0;
    for kind in [Kind::Gaussian, Kind::Border] {
        for index in 0..many(25) as u64 {
            let case = case(seed, kind, index);
            let words = words(&case.net);
            let model = Model::from_words(&words).expect("packed here");
            for p in [3u8, 5] {
                let norm = lp(p.into());
                let clip = clip_around(&case.u, index);
                let sides = clip.map(|(lo, hi)| (vec![lo; case.u.len()], vec![hi; case.u.len()]));
                let sides = sides.as_ref().map(|(lo, hi)| (&lo[..], &hi[..]));
                let query = Query { clip: sides, ..Query::margins(&case.u, norm, case.class) };
                let radius = certificate(Portable, &model, &query).0.radius();
                for method in [Method::Fgsm, Method::Ifgsm, Method::Pgd, Method::DeepFool] {
                    let mut worker = Worker::new(model, false);
                    let threat = Threat { center: &case.u, epsilon: 0.7, norm, clip };
                    let found = Attack::new(method).run(&mut worker, &threat, case.class, 0);
                    let Some(witness) = found.witness else { continue };
                    witnesses += 1;
                    let told = format!("{} l{p} {method:?} {witness:?}", case.name);
                    let gaps = witness.point().iter().zip(&case.u);
                    let gaps = gaps.map(|(x, u)| power(&abs(&(exact(*x) - exact(*u))), p));
                    let beyond = gaps.fold(Rational::ZERO, |sum, gap| sum + gap);
                    assert!(beyond <= power(&exact(witness.distance()), p), "{told}");
                    assert!(witness.distance() <= 0.7, "{told}");
                    assert!(radius.is_finite(), "{told}: certified everywhere");
                    assert!(beyond >= power(&exact(radius), p), "{told}: certified {radius}");
                    let y = forward(&case.net, &from_slice(witness.point()));
                    assert!(y[witness.class()] >= y[case.class], "{told}");
                    assert!(witness.class() != case.class, "{told}");
                    if let Some((lo, hi)) = clip {
                        assert!(witness.point().iter().all(|x| (lo..=hi).contains(x)), "{told}");
                    }
                }
            }
        }
    }
    println!("{witnesses} witnesses");
    assert!(witnesses > 80, "{witnesses}");
}

/// A box with `u` in it, for every other case.
fn clip_around(u: &[f32], index: u64) -> Option<(f32, f32)> {
    let ends = u.iter().fold((0.0f32, 0.0f32), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
    index.is_multiple_of(2).then_some((ends.0 - 0.25, ends.1 + 0.25))
}
