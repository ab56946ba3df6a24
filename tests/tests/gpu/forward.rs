//! A class that a GPU gives is the one that the cores' forward pass gives, and most are given.

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::gpu::{Capacity, Crown, Device};
use certus::network::{Affine, Network};
use certus_engine::bounds::{Method, Options};
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm;
use certus_tests::ask::storable;
use certus_tests::generate::{Kind, breakers, case};
use certus_tests::outside;
use certus_tests::plan::{long, seed};
use certus_tests::region::Region;
use fastrand::Rng;

use super::{agreement, device, is_slow};

const SEED: u64 = 83;
/// Nets of each kind.
const NETS: usize = 24;

/// Samples of a batch: a sample a workgroup in the first, many in the second.
const BATCHES: [usize; 2] = [3, 40];

/// How many of the points have a class by the GPU. Panics where one is not the cores'.
fn check(device: &Device, name: &str, words: &[u32], points: &[Vec<f32>], batch: usize) -> usize {
    let model = Model::from_words(words).expect("a valid blob");
    let crown = Crown::new(device, &model, Norm::L2, Options::new(Method::Crown), |shape| {
        Capacity::new(shape, model.inputs(), device.about.binding, 1 << 29, batch)
    })
    .expect("a network of known activations");
    let all: Vec<&[f32]> = points.iter().map(|x| &x[..]).collect();
    let found = crown.classes(&all).expect("the device runs");
    assert_eq!(found.len(), points.len());
    let mut runner = Runner::new(model, false);
    for (i, (class, x)) in found.iter().zip(points).enumerate() {
        let expected = runner.predict(x);
        assert!(class.is_none() || *class == expected, "{name} {i}: {class:?} for {expected:?}");
    }
    found.iter().flatten().count()
}

fn draw(rng: &mut Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.f32() * 2.0 - 1.0).collect()
}

fn affine([rows, cols]: [usize; 2], weights: Vec<f32>, bias: Vec<f32>) -> Affine {
    let (activation, through) = (Activation::Identity, 0);
    let (weight_error, bias_error) = (0.0, 0.0);
    Affine { rows, cols, weights, bias, activation, through, weight_error, bias_error }
}

/// A network of random weights, scaled so that nothing grows.
fn random(rng: &mut Rng, widths: &[usize], hidden: Activation, end: Activation) -> Network {
    let layers = widths.windows(2).enumerate().map(|(k, of)| {
        let scale = (6.0 / of[0] as f32).sqrt();
        let weights = draw(rng, of[0] * of[1]).into_iter().map(|w| scale * w).collect();
        let activation = if k + 2 == widths.len() { end } else { hidden };
        Affine { activation, ..affine([of[1], of[0]], weights, draw(rng, of[1])) }
    });
    Network { inputs: widths[0], layers: layers.collect() }
}

#[test]
fn classes_are_the_cores() {
    let Some(device) = device("classes_are_the_cores") else { return };
    let mut rng = Rng::with_seed(seed(SEED));
    let (relu, leaky, none) = (Activation::Relu, Activation::LeakyRelu(0.1), Activation::Identity);
    // Which of 40 points a GPU must be sure of, at least.
    for (widths, hidden, end, least) in [
        (&[6, 12, 10, 3][..], relu, none, 38),
        (&[31, 33, 2], leaky, none, 38),
        (&[1000, 33, 31, 5], relu, none, 30),
        (&[1025, 65, 64, 10], leaky, leaky, 30),
        (&[33, 40, 4], relu, relu, 15),
        (&[1, 1, 2], relu, none, 1),
        (&[64, 7], none, none, 38),
        (&[5, 1], none, none, 40),
    ] {
        let network = random(&mut rng, widths, hidden, end);
        let points: Vec<_> = (0..40).map(|_| draw(&mut rng, widths[0])).collect();
        for kind in [WeightKind::F32, WeightKind::F16] {
            let words = pack(&network, kind).unwrap();
            for batch in BATCHES {
                let sure = check(&device, &format!("{widths:?}"), &words, &points, batch);
                println!("{widths:?} {kind:?}, by {batch}: {sure} of 40");
                assert!(sure >= least, "{widths:?}: {sure} of 40");
            }
        }
    }
}

#[test]
fn small_random_nets_have_the_cores_classes() {
    let Some(device) = device("small_random_nets_have_the_cores_classes") else { return };
    let seed = seed(SEED);
    let mut named: Vec<(String, Network, Region)> = Vec::new();
    let nets = if long() { 4 * NETS } else { NETS };
    for kind in Kind::ALL {
        let count = if is_slow(&device) { 6 } else { nets };
        named.extend((0..count as u64).map(|index| {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            (case.name, case.net, case.region)
        }));
    }
    let breakers = breakers().into_iter().map(|breaker| breaker.case);
    named.extend(breakers.map(|case| (case.name, case.net, case.region)));
    let mut rng = Rng::with_seed(seed);
    let (mut sure, mut all) = (0, 0);
    for (name, net, region) in named {
        // The format has no subnormal slopes.
        let Ok(words) = pack(&net, WeightKind::F32) else { continue };
        let corner = match &region {
            Region::Ball { center, .. } | Region::BallInBox { center, .. } => center.clone(),
            Region::Box { lo, .. } => lo.clone(),
        };
        let near = corner.iter().map(|x| x + rng.f32() * 0.01).collect();
        let points = [corner, near, vec![0.0; net.inputs]];
        sure += check(&device, &name, &words, &points, 2);
        all += points.len();
    }
    println!("{sure} of {all}");
    // Whatever the numbers, most of them are told; ties and what is out of range are not.
    assert!(3 * sure > all && sure < all, "{sure} of {all}");
}

/// Two outputs, the first a sum of which the cores lose all but 1, one term after the other.
fn absorbed(n: usize, other: f32) -> (Network, Vec<f32>) {
    let mut weights = vec![1.0; n];
    weights.extend(vec![0.0; n]);
    let one = |i: usize| match i {
        0 => 1.0,
        // Of the lane of the first.
        i if i.is_multiple_of(32) => 2f32.powi(-24),
        _ => 0.0,
    };
    let layers = vec![affine([2, n], weights, vec![0.0, other])];
    (Network { inputs: n, layers }, (0..n).map(one).collect())
}

#[test]
fn what_the_cores_round_away_is_no_class() {
    let Some(device) = device("what_the_cores_round_away_is_no_class") else { return };
    let n = 4000;
    // Truly 1 + 7.3e-6, of which a GPU loses at most 4.0e-6; on the cores 1.
    let other = 1.0 + 2f32.powi(-19);
    let (network, x) = absorbed(n, other);
    let words = pack(&network, WeightKind::F32).unwrap();
    let model = Model::from_words(&words).unwrap();
    assert_eq!(Runner::new(model, false).forward(&x), [1.0, other]);
    for batch in BATCHES {
        let points = vec![x.clone(); batch];
        assert_eq!(check(&device, "absorbed", &words, &points, batch), 0);
    }
    // Where that cannot matter, it is one.
    let (network, x) = absorbed(n, 1.25);
    let words = pack(&network, WeightKind::F32).unwrap();
    assert_eq!(check(&device, "apart", &words, &[x], 1), 1);
}

#[test]
fn ties_are_the_cores_to_break() {
    let Some(device) = device("ties_are_the_cores_to_break") else { return };
    let mut rng = Rng::with_seed(seed(SEED));
    let mut network = random(&mut rng, &[20, 30, 3], Activation::Relu, Activation::Identity);
    // The first two outputs are one.
    let end = &mut network.layers[1];
    end.weights.copy_within(30..60, 0);
    end.bias = vec![10.0, 10.0, 0.0];
    let words = pack(&network, WeightKind::F32).unwrap();
    let points: Vec<_> = (0..40).map(|_| draw(&mut rng, 20)).collect();
    for batch in BATCHES {
        assert_eq!(check(&device, "tie", &words, &points, batch), 0);
    }
    // No point, and none that a region could be around.
    for wrong in [f32::NAN, f32::INFINITY, 2f32.powi(101)] {
        let mut x = draw(&mut rng, 20);
        x[3] = wrong;
        assert_eq!(check(&device, "wrong", &words, &[x], 1), 0);
    }
}

#[test]
fn real_networks_have_the_cores_classes() {
    let test = "real_networks_have_the_cores_classes";
    let (mut sure, mut all) = (0, 0);
    for (turn, subject) in agreement::subjects(test, 40).into_iter().enumerate() {
        let Some(device) = device(test) else { return };
        if is_slow(&device) && turn > 0 {
            break;
        }
        let words = outside::words(&subject.network);
        let points: Vec<_> = subject.images.into_iter().map(|(x, _)| x).collect();
        let found = check(&device, &subject.name, &words, &points, 40);
        println!("{}: {found} of {}", subject.name, points.len());
        // Of curved activations the cores predict all.
        if subject.network.layers.iter().any(|layer| layer.activation.leak().is_none()) {
            assert_eq!(found, 0, "{}", subject.name);
            continue;
        }
        (sure, all) = (sure + found, all + points.len());
    }
    println!("{sure} of {all}");
    assert!(2 * sure > all, "{sure} of {all}");
}
