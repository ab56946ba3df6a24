//! Wide layers and tall stacks whose sums drown small terms where the budget is small: each sum of
//! the engine that could forget its rounding has a network here that would show it.

use certus_engine::model::Activation::{Identity, Relu};
use certus_tests::generate::{Case, affine, network};
use certus_tests::region::{Norm, Region};
use certus_tests::trial::never_refuted;

/// `2^24` and then, every `step` entries, a number that is no more than half an ulp of it.
fn drowned(n: usize, step: usize, small: f32) -> Vec<f32> {
    let mut row: Vec<f32> =
        (0..n).map(|i| if i.is_multiple_of(step) { small } else { 0.0 }).collect();
    row[0] = 2f32.powi(24);
    row
}

fn case(name: &str, net: certus::network::Network, region: Region, row: &[f32]) -> Case {
    Case { name: name.into(), net, region, spec_row: row.to_vec() }
}

/// The rows of a specification are summed, too.
#[test]
fn many_outputs() {
    for (n, step) in [(401, 1), (401, 4), (3201, 32)] {
        for bias in [1.0f32, -1.0] {
            let first = affine(&vec![&[0.0f32][..]; n], &vec![bias; n], Identity);
            let row = drowned(n, step, 1.0);
            let region = Region::cube(&[0.0], &[1.0]);
            never_refuted(&case("many outputs", network(vec![first]), region, &row));
        }
    }
}

/// Lower lines of slope 0: what they give away is summed, and nothing else rounds.
#[test]
fn many_gains() {
    for (n, step) in [(401, 1), (401, 4), (3201, 32)] {
        for sign in [1.0, -1.0] {
            let first = affine(&vec![&[1.0f32][..]; n], &vec![0.0; n], Relu);
            let out: Vec<f32> = drowned(n, step, 0.5).iter().map(|a| sign * a).collect();
            let net = network(vec![first, affine(&[&out], &[0.0], Identity)]);
            for region in [Region::cube(&[-2.0], &[0.9]), Region::cube(&[-1.0], &[0.9])] {
                never_refuted(&case("many gains", net.clone(), region, &[1.0]));
            }
        }
    }
}

/// Each layer gives away less than half an ulp of the floor.
#[test]
fn stacked_gains() {
    for layers in [3, 8, 16] {
        for reach in [7.8f32, 3.9, 1.1] {
            // Units: x carried along, the sum so far, and a fresh relu(x).
            let mut stack = vec![affine(&[&[1.0], &[0.0], &[1.0]], &[16.0, 100.0, 0.0], Relu)];
            let next: [&[f32]; 3] = [&[1.0, 0.0, 0.0], &[0.0, 1.0, 1.0], &[1.0, 0.0, 0.0]];
            stack.extend(vec![affine(&next, &[0.0, 0.0, -16.0], Relu); layers]);
            for sign in [1.0, -1.0] {
                let mut all = stack.clone();
                let end = sign * (2f32.powi(26) - 100.0);
                all.push(affine(&[&[0.0, sign, sign]], &[end], Identity));
                let region = Region::cube(&[-2.0 * reach], &[reach]);
                never_refuted(&case("stacked gains", network(all), region, &[1.0]));
            }
        }
    }
}

/// Balls cut at their centre: the function reaches far to one side only.
#[test]
fn cut_at_the_centre() {
    for (n, step) in [(401, 1), (401, 8), (3201, 64)] {
        for sign in [1.0f32, -1.0] {
            let unit = [sign, 0.0];
            let first = affine(&vec![&unit[..]; n], &vec![0.001; n], Relu);
            let out: Vec<f32> = drowned(n, step, 1.0).iter().map(|a| -a).collect();
            let net = network(vec![first, affine(&[&out], &[0.0], Identity)]);
            for norm in [Norm::L1, Norm::L2] {
                let side = |s: f32| if s == sign { [s, s] } else { [0.0, 0.0] };
                let region = Region::ball(&[0.0; 2], 1.0, norm).cut(&side(-1.0), &side(1.0));
                never_refuted(&case("cut at the centre", net.clone(), region, &[1.0]));
            }
        }
    }
}

/// Sums of weights over inputs that cancel, even in f64.
#[test]
fn centres_that_cancel() {
    for n in [65usize, 1025] {
        for sign in [1.0f32, -1.0] {
            let mut row = vec![sign; n];
            (row[0], row[n - 1]) = (2f32.powi(60), -(2f32.powi(60)));
            // Few inputs: the terms come from a layer of ones.
            let ones = affine(&vec![&[0.0f32][..]; n], &vec![1.0; n], Relu);
            let rows = [&row[..]];
            let net = network(vec![ones, affine(&rows, &[0.0], Identity)]);
            let region = Region::cube(&[0.0], &[1.0]);
            never_refuted(&case("centres that cancel", net, region, &[1.0]));
        }
    }
}
