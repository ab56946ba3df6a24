//! Deployed semantics: what forward passes in f32 return is never below the bounds, whatever the
//! order of their sums.

use certus::blob::{WeightKind, pack};
use certus::network::Network;
use certus_engine::bounds::{Method, Options, Portable, Semantics, argmax, forward};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::Activation;
use certus_engine::spec::Spec;
use certus_tests::ask::{Engine, Sums, all_options, engine_region, storable};
use certus_tests::generate::{Case, Kind, affine, breakers, case, network};
use certus_tests::members::members;
use certus_tests::oracle::minimum;
use certus_tests::passes::{Order, pass};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{dot, floor_f32};
use certus_tests::region::{Norm, Region};
use certus_tests::truth::justified;

const SEED: u64 = 61;

/// Outputs at `x` by every pass there is.
fn outputs(engine: &Engine<'_>, net: &Network, x: &[f32]) -> Vec<Vec<f32>> {
    let mut scratch = vec![0.0; 2 * engine.model.width()];
    let mut out = vec![0.0; engine.model.outputs()];
    let mut all = Vec::new();
    forward(&Portable, &engine.model, x, &mut scratch, &mut out).expect("room");
    all.push(out.clone());
    forward(&engine.fast, &engine.model, x, &mut scratch, &mut out).expect("room");
    all.push(out);
    all.extend(Order::ALL.map(|order| pass(net, x, order).1));
    all
}

/// The least values that passes took over points of a region, as floats that no valid bound
/// exceeds.
#[derive(Debug)]
struct Least {
    /// Of the case's row and of the negated row.
    spec: [f32; 2],
    /// Least and largest pre-activations.
    pre: Vec<(f32, f32)>,
    passes: usize,
}

impl Least {
    fn find(engine: &Engine<'_>, net: &Network, row: &[f32], points: &[Vec<f32>]) -> Self {
        let neurons = net.layers.iter().map(|l| l.rows).sum();
        let mut least = Least {
            spec: [f32::INFINITY; 2],
            pre: vec![(f32::INFINITY, f32::NEG_INFINITY); neurons],
            passes: 0,
        };
        let mut seen: Vec<Vec<f32>> = Vec::new();
        for x in points {
            for order in Order::ALL {
                let (pre, _) = pass(net, x, order);
                for ((lo, hi), z) in least.pre.iter_mut().zip(pre) {
                    (*lo, *hi) = (lo.min(z), hi.max(z));
                }
            }
            for y in outputs(engine, net, x) {
                least.passes += 1;
                // A pass that overflows is no pass of a network whose bounds are finite.
                assert!(y.iter().all(|y| y.is_finite()), "{y:?}");
                if !seen.contains(&y) {
                    let value = dot(row, &y);
                    least.spec[0] = least.spec[0].min(floor_f32(&value));
                    least.spec[1] = least.spec[1].min(floor_f32(&-value));
                    seen.push(y);
                }
            }
        }
        least
    }
}

/// Panics if a deployed bound is above what a pass returned; gives how many answers were checked
/// and how many real bounds were above.
fn check(case: &Case, points: &[Vec<f32>]) -> (usize, usize, usize) {
    let Case { name, net, region, spec_row } = case;
    let words = pack(net, WeightKind::F32).expect(name);
    let mut engine = Engine::new(&words);
    let least = Least::find(&engine, net, spec_row, points);
    let rows: Vec<f32> = spec_row.iter().copied().chain(spec_row.iter().map(|c| -c)).collect();
    let spec = Spec::Rows { matrix: &rows, rows: 2 };
    let (mut answers, mut above) = (0, 0);
    for options in all_options() {
        for sums in Sums::ALL {
            let answer = match engine.ask(&engine_region(region), &spec, &options, sums) {
                Ok(answer) => answer,
                Err(error) => {
                    assert!(justified(&error, net, region), "{name}: {error}");
                    continue;
                }
            };
            answers += 1;
            let wrong = (0..2).any(|r| answer.lower[r] > least.spec[r]);
            if options.semantics == Semantics::Real {
                above += usize::from(wrong);
                continue;
            }
            let how = (&options, sums);
            answer.refute(name, &least.spec, &least.pre, &how);
        }
    }
    (answers, above, least.passes)
}

fn critical_points(case: &Case, rng: &mut fastrand::Rng) -> Vec<Vec<f32>> {
    let row = &case.spec_row;
    let negated: Vec<f32> = row.iter().map(|c| -c).collect();
    let at = |row: &[f32]| minimum(&case.net, &case.region, row).expect("not empty").at;
    members(&case.region, &[at(row), at(&negated)], 12, rng)
}

#[test]
fn random_nets() {
    let seed = seed(SEED);
    let mut rng = fastrand::Rng::with_seed(seed);
    for kind in Kind::ALL {
        let (mut answers, mut above, mut passes, mut nets) = (0, 0, 0, 0);
        for index in 0..many(100) as u64 {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            let largest = certus_tests::truth::magnitudes(&case.net, &case.region);
            if largest.iter().flatten().any(|m| *m > 2f64.powi(110)) {
                continue;
            }
            let found = check(&case, &critical_points(&case, &mut rng));
            nets += 1;
            (answers, above, passes) = (answers + found.0, above + found.1, passes + found.2);
        }
        println!("{kind:?}: {nets} nets, {answers} answers, {passes} passes, {above} real above");
        assert!(nets > 10 && answers > 0);
    }
}

#[test]
fn the_breakers() {
    let mut rng = fastrand::Rng::with_seed(seed(SEED));
    let (mut nets, mut answers, mut lower) = (0, 0, 0);
    for breaker in breakers() {
        let case = &breaker.case;
        let largest = certus_tests::truth::magnitudes(&case.net, &case.region);
        let large = largest.iter().flatten().any(|m| *m > 2f64.powi(110));
        if large || pack(&case.net, WeightKind::F32).is_err() {
            continue;
        }
        let points = critical_points(case, &mut rng);
        answers += check(case, &points).0;
        let below = points.iter().flat_map(|x| Order::ALL.map(|o| pass(&case.net, x, o).1[0]));
        let below = below.fold(f32::INFINITY, f32::min);
        lower += usize::from(certus_tests::rational::compare(below, &breaker.margin).is_lt());
        nets += 1;
    }
    println!("{nets} breakers, {answers} answers; a pass is below the real minimum of {lower}");
    assert!(nets >= 20 && lower >= 1);
}

/// `2^26 + 3.9 * 1000 - 2^26`: one by one, each small term is rounded away.
fn absorber() -> Case {
    let mut rows: Vec<&[f32]> = vec![&[0.0]];
    rows.extend([&[1.0f32][..]; 1000]);
    let mut bias = vec![2f32.powi(26)];
    bias.extend([0.0; 1000]);
    let out = [&[1.0][..], &[3.9; 1000]].concat();
    let first = affine(&rows, &bias, Activation::Relu);
    let last = affine(&[&out], &[-2f32.powi(26)], Activation::Identity);
    let region = Region::cube(&[1.0], &[1.0]);
    Case { name: "absorber".into(), net: network(vec![first, last]), region, spec_row: vec![1.0] }
}

/// The passes do go where real semantics does not reach: without the disturbance the bounds would
/// be wrong.
#[test]
fn real_bounds_do_not_cover_the_passes() {
    let case = absorber();
    let (answers, above, _) = check(&case, &[vec![1.0]]);
    println!("{answers} answers for the absorber, {above} real bounds above a pass");
    assert!(above > 0);
    let words = pack(&case.net, WeightKind::F32).unwrap();
    let mut engine = Engine::new(&words);
    let region = engine_region(&case.region);
    let spec = Spec::Rows { matrix: &[1.0], rows: 1 };
    let real = Options::new(Method::Crown);
    let deployed = Options { semantics: Semantics::Deployed, ..real };
    let real = engine.ask(&region, &spec, &real, Sums::Portable(8)).unwrap();
    let deployed = engine.ask(&region, &spec, &deployed, Sums::Portable(8)).unwrap();
    assert_eq!(verdict(&real.lower), Verdict::Certified);
    assert_eq!(verdict(&deployed.lower), Verdict::Unknown);
    assert_eq!(pass(&case.net, &[1.0], Order::Sequential).1, [0.0]);
}

/// A leaky product in the subnormal range loses more than a relative error says, also where no
/// layer follows.
#[test]
fn leaky_products_that_underflow() {
    // slope * x is 8193.5 units of the smallest subnormal, which rounds to 8194.
    let x = -(8193.5 * 2f32.powi(-23));
    let mut failed = Vec::new();
    for (slope, x, row) in [
        (f32::MIN_POSITIVE, x, 2f32.powi(127)),
        (0.1, -3e-45, 2f32.powi(60)),
        (0.25, -3.0 * 2f32.powi(-149), 2f32.powi(120)),
        (0.01, -1e-40, 1e12),
    ] {
        let first = affine(&[&[1.0]], &[0.0], Activation::LeakyRelu(slope));
        let after = affine(&[&[row]], &[0.0], Activation::Identity);
        for (layers, row) in [(vec![first.clone()], row), (vec![first, after], 1.0)] {
            let case = Case {
                name: format!("leaky slope {slope:e} at {x:e}, row {row:e}"),
                net: network(layers),
                region: Region::cube(&[x], &[x]),
                spec_row: vec![row],
            };
            if let Err(text) = std::panic::catch_unwind(|| check(&case, &[vec![x]])) {
                failed.push((case.name, text.downcast_ref::<String>().cloned()));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The largest radii that are certified under deployed semantics, found by bisection: no pass
/// changes the class on any member.
#[test]
fn certified_classes_do_not_change() {
    let seed = seed(SEED + 1);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut regions, mut passes) = (0, 0);
    for index in 0..many(150) as u64 {
        let kind = [Kind::Gaussian, Kind::Integer, Kind::Leaky][index as usize % 3];
        let mut case = case(seed, kind, index);
        storable(&mut case.net);
        let (net, many) = (&case.net, case.net.outputs());
        let Some((center, eps, norm)) = case.region.as_ball().filter(|_| many > 1) else {
            continue;
        };
        let words = pack(net, WeightKind::F32).unwrap();
        let mut engine = Engine::new(&words);
        let class = argmax(&pass(net, center, Order::Sequential).1).unwrap();
        let spec = Spec::Margins { class };
        for method in [Method::Ibp, Method::Crown] {
            let options = Options { semantics: Semantics::Deployed, ..Options::new(method) };
            let mut holds = |eps: f64| {
                let ball = Region::ball(center, eps, norm);
                let answer = engine.ask(&engine_region(&ball), &spec, &options, Sums::Fast(8));
                verdict(&answer.unwrap().lower) == Verdict::Certified
            };
            let (mut low, mut high) = (0.0, 4.0 * eps.max(1.0));
            for _ in 0..40 {
                let middle = 0.5 * (low + high);
                *if holds(middle) { &mut low } else { &mut high } = middle;
            }
            if !holds(low) {
                continue;
            }
            regions += 1;
            for x in members(&Region::ball(center, low, norm), &[], 30, &mut rng) {
                for y in outputs(&engine, net, &x) {
                    passes += 1;
                    assert_eq!(argmax(&y), Some(class), "{}: {method:?} at {x:?}", case.name);
                }
            }
        }
    }
    println!("{regions} certified regions, {passes} passes, all of the certified class");
    assert!(regions >= 60 && passes > 10_000);
}

/// Passes at single points against the smallest regions there are.
#[test]
fn single_points() {
    let seed = seed(SEED + 2);
    let mut answers = 0;
    for index in 0..many(120) as u64 {
        let kind = [Kind::Cancelling, Kind::Gaussian, Kind::Leaky, Kind::Wide][index as usize % 4];
        let mut case = case(seed, kind, index);
        storable(&mut case.net);
        let Some((center, ..)) = case.region.as_ball() else { continue };
        let (center, norm) =
            (center.to_vec(), [Norm::L1, Norm::L2, Norm::Linf][index as usize % 3]);
        case.region = Region::ball(&center, 0.0, norm);
        let largest = certus_tests::truth::magnitudes(&case.net, &case.region);
        if largest.iter().flatten().all(|m| *m < 2f64.powi(110)) {
            answers += check(&case, &[center]).0;
        }
    }
    println!("{answers} answers at points");
    assert!(answers > 1000);
}
