//! A search that gives up at the convex barrier certifies all that one certifies that goes on.

use certus::alpha::{self, Settings};
use certus::cpu::Runner;
use certus::slopes::Around;
use certus_engine::bounds::{Given, Method, Options, Semantics};
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm;
use certus_engine::spec::Spec;
use certus_tests::generate::{affine, network};
use certus_tests::outside::words;
use certus_tests::plan::{many, seed};
use fastrand::Rng;
use rayon::prelude::*;

const SEED: u64 = 307;

/// What a search found, and its counted work.
struct Found {
    certified: bool,
    macs: u64,
}

fn search(model: &Model<'_>, around: &Around<'_>, class: usize, settings: &Settings) -> Found {
    let mut runner = Runner::new(*model, false);
    let (spec, mut lower) = (Spec::Margins { class }, Vec::new());
    let options = Options::new(Method::Crown);
    let found = runner
        .lower_bounds_given(&around.region(), &spec, &options, &Given::default(), None, &mut lower)
        .expect("small numbers");
    let (mut lo, mut hi) = (found.lo.to_vec(), found.hi.to_vec());
    let ends = (&mut lo[..], &mut hi[..]);
    let work =
        alpha::improve(&mut runner, around, Semantics::Real, ends, class, &mut lower, settings);
    let macs = work.expect("small numbers").macs();
    Found { certified: lower.iter().all(|bound| *bound > 0.0), macs }
}

/// What was seen, to show that the test is not vacuous.
#[derive(Debug, Default)]
struct Seen {
    open: usize,
    given_up: usize,
    certified: usize,
}

#[test]
fn nothing_is_given_up_that_can_be_certified() {
    let seed = seed(SEED);
    let seen: Vec<Seen> = (0..many(300) as u64)
        .into_par_iter()
        .map(|index| {
            let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(index));
            let activation =
                [Activation::Relu, Activation::Relu, Activation::LeakyRelu(0.1)][rng.usize(..3)];
            let depth = rng.usize(2..5);
            let mut sizes: Vec<usize> = (0..depth).map(|_| rng.usize(3..14)).collect();
            sizes.push(3);
            let layers = sizes.windows(2).enumerate().map(|(k, pair)| {
                let scale = 2.5 / (pair[0] as f32).sqrt();
                let mut draw = |n: usize| -> Vec<f32> {
                    (0..n).map(|_| (rng.f32() - 0.5) * 2.0 * scale).collect()
                };
                let rows: Vec<Vec<f32>> = (0..pair[1]).map(|_| draw(pair[0])).collect();
                let bias = draw(pair[1]);
                let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
                let last = k + 2 == sizes.len();
                affine(&rows, &bias, if last { Activation::Identity } else { activation })
            });
            let net = network(layers.collect());
            let words = words(&net);
            let model = Model::from_words(&words).expect("packed here");
            let center: Vec<f32> = (0..sizes[0]).map(|_| rng.f32() * 2.0 - 1.0).collect();
            let norm = [Norm::Linf, Norm::L2, Norm::L1][rng.usize(..3)];
            let (lo, hi) = (vec![-0.9; sizes[0]], vec![0.9; sizes[0]]);
            let clip = rng.bool().then_some((&lo[..], &hi[..]));
            let center: Vec<f32> = center.iter().map(|x| x.clamp(-0.9, 0.9)).collect();
            let outputs = Runner::new(model, false).forward(&center);
            let class = (0..3).fold(0, |m, j| if outputs[j] > outputs[m] { j } else { m });
            let mut seen = Seen::default();
            // Radii about where CROWN ends and what can be certified ends.
            for epsilon in [0.05, 0.1, 0.15, 0.2, 0.3, 0.4] {
                let around = Around { center: &center, epsilon, norm, clip };
                let whole = Settings { iterations: 60, ..Settings::default() };
                let through = search(&model, &around, class, &whole);
                let give_up = Settings { give_up: true, ..whole };
                let less = search(&model, &around, class, &give_up);
                assert!(
                    less.certified || !through.certified,
                    "seed {seed} index {index}: given up at {epsilon} in {norm:?}"
                );
                seen.certified += usize::from(through.certified);
                seen.open += usize::from(!through.certified);
                seen.given_up += usize::from(!through.certified && 3 * less.macs < through.macs);
            }
            seen
        })
        .collect();
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    let (open, given_up) = (sum(|s| s.open), sum(|s| s.given_up));
    println!("{open} open, {given_up} given up, {} certified", sum(|s| s.certified));
    // Most of what stays open is beyond any slopes.
    assert!(given_up * 2 > open && sum(|s| s.certified) > seen.len());
}
