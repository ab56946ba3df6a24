//! The simplex certificate in deployed semantics: within its radius no forward pass in f32 changes
//! the class, whatever the order of its sums.

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::geometry::Norms;
use certus::network::Network;
use certus_engine::bounds::{Semantics, argmax};
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm as Of;
use certus_engine::simplex::{Query, Simplex};
use certus_tests::ask::storable;
use certus_tests::generate::{Kind, affine, case, network};
use certus_tests::members::members;
use certus_tests::oracle::minimum;
use certus_tests::passes::{Order, pass};
use certus_tests::plan::{many, seed};
use certus_tests::region::{Norm, Region};
use fastrand::Rng;

const SEED: u64 = 23;
const NORMS: [(Norm, Of); 3] = [(Norm::L1, Of::L1), (Norm::L2, Of::L2), (Norm::Linf, Of::Linf)];

/// What was asked, and what ran.
#[derive(Debug, Default)]
struct Tally {
    certified: usize,
    passes: usize,
    /// Radii above 0 that real semantics has where deployed semantics has none.
    only_real: usize,
}

/// Where the class of `net` at `u` is certified, runs every pass at points of the ball.
fn check(name: &str, net: &Network, u: &[f32], rng: &mut Rng, tally: &mut Tally) {
    let words = pack(net, WeightKind::F32).expect(name);
    let model = Model::from_words(&words).expect(name);
    let class = argmax(&pass(net, u, Order::Sequential).1).expect(name);
    for (norm, of) in NORMS {
        let norms = Norms::new(&model, of);
        for known in [None, Some(norms.known())] {
            for mut runner in [Runner::new(model, false), Runner::device(model)] {
                let mut radius = |semantics| {
                    let query = Query { semantics, known, ..Query::margins(u, of, class) };
                    let found = runner.simplex(&query).map(|found: Simplex<1>| found.radius());
                    found.unwrap_or(0.0)
                };
                let (real, radius) = (radius(Semantics::Real), radius(Semantics::Deployed));
                assert!(radius <= real, "{name} {norm:?}: {radius} above {real}");
                if radius == 0.0 {
                    tally.only_real += usize::from(real > 0.0);
                    continue;
                }
                tally.certified += 1;
                // The certificate is of the open ball.
                let ball = Region::ball(u, f64::from(radius.min(1e20)).next_down(), norm);
                let worst = (0..net.outputs()).filter(|j| *j != class).filter_map(|j| {
                    let mut row = vec![0.0; net.outputs()];
                    (row[class], row[j]) = (1.0, -1.0);
                    Some(minimum(net, &ball, &row)?.at)
                });
                let hints: Vec<_> = worst.collect();
                for x in members(&ball, &hints, 6, rng) {
                    let orders = Order::ALL.iter().map(|order| pass(net, &x, *order).1);
                    for y in orders.chain([runner.forward(&x)]) {
                        tally.passes += 1;
                        let mut others = y.iter().enumerate().filter(|(j, _)| *j != class);
                        assert!(
                            others.all(|(_, y_j)| y[class] > *y_j),
                            "{name} {norm:?} radius {radius}: {y:?} at {x:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn certified_classes_do_not_change() {
    let seed = seed(SEED);
    let mut rng = Rng::with_seed(seed);
    for kind in Kind::UNIFORM {
        let mut tally = Tally::default();
        for index in 0..many(40) as u64 {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            let largest = certus_tests::truth::magnitudes(&case.net, &case.region);
            let large = largest.iter().flatten().any(|m| *m > 2f64.powi(90));
            if large || case.net.outputs() < 2 {
                continue;
            }
            let Some((u, ..)) = case.region.as_ball() else { continue };
            check(&case.name, &case.net, u, &mut rng, &mut tally);
        }
        println!("{kind:?}: {tally:?}");
        let least = if matches!(kind, Kind::Wide | Kind::Cancelling) { 0 } else { 1000 };
        assert!(tally.passes >= least, "{kind:?}: {tally:?}");
    }
}

/// Two outputs whose difference is of the size of the rounding before and within a leaky product,
/// at the end or followed by their sum.
#[test]
fn leaky_products_near_a_tie() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let mut tally = Tally::default();
    for index in 0..many(150) {
        let slope = [0.01f32, 0.3, 0.7, 0.99, f32::MIN_POSITIVE][index % 5];
        let gap = (1 + rng.u32(0..12)) as f32 * f32::EPSILON;
        let z = 1.0 + rng.f32();
        // `x - z` and `x - z - gap*z`, both below 0 around x = 0.
        let ends = [-z, -z - gap * z];
        let first = affine(&[&[1.0], &[1.0]], &ends, Activation::LeakyRelu(slope));
        let scale = 1.0 + rng.f32();
        let rows: [&[f32]; 2] = [&[scale, 0.0], &[0.0, scale]];
        let after = affine(&rows, &[0.0; 2], Activation::Identity);
        for layers in [vec![first.clone()], vec![first, after]] {
            let name = format!("slope {slope:e}, {ends:?}, {} layers", layers.len());
            check(&name, &network(layers), &[0.0], &mut rng, &mut tally);
        }
    }
    println!("{tally:?}");
    assert!(tally.certified > 100 && tally.only_real > 100, "{tally:?}");
}

/// A large term and many small ones that some orders of summation round away, and a margin of the
/// size of what is lost.
#[test]
fn sums_that_absorb() {
    let mut rng = Rng::with_seed(seed(SEED + 2));
    let mut tally = Tally::default();
    for index in 0..many(100) {
        let n = 10 + rng.usize(0..60);
        let large = 2f32.powi(rng.i32(10..24));
        let activation = [Activation::Relu, Activation::LeakyRelu(0.3)][index % 2];
        // All units are 1 at x = 0, or -1 with a leaky slope.
        let sign = if activation == Activation::Relu { 1.0 } else { -1.0 };
        let rows = vec![&[1.0f32][..]; n];
        let first = affine(&rows, &vec![sign; n], activation);
        let unit = f64::from(activation.apply(sign));
        let mut weights: Vec<f32> = (1..n).map(|_| rng.f32() * 4.0).collect();
        weights.insert(0, large);
        let sum: f64 = weights.iter().map(|w| f64::from(*w) * unit).sum();
        let margin = rng.f64() * n as f64 * f64::from(large * f32::EPSILON);
        let last =
            affine(&[&weights, &vec![0.0; n]], &[(margin - sum) as f32, 0.0], Activation::Identity);
        let name = format!("absorber {index}: {n} units, {large}");
        check(&name, &network(vec![first, last]), &[0.0], &mut rng, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.certified > 20 && tally.only_real > 20, "{tally:?}");
}
