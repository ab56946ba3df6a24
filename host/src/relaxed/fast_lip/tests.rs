use certus_engine::model::Activation;

use super::*;
use crate::blob::{WeightKind, pack};
use crate::network::{Network, affine};

/// `x_1 - 2 sigma(x_2)`, through one hidden layer.
fn network(activation: Activation) -> Network {
    let hidden = affine(&[&[1.0, 0.0], &[0.0, 1.0]], &[0.0, 0.0], activation);
    Network {
        inputs: 2,
        layers: vec![hidden, affine(&[&[1.0, -2.0]], &[0.0], Activation::Identity)],
    }
}

fn ask(network: &Network, region: &Region<'_>) -> f32 {
    let words = pack(network, WeightKind::F32).unwrap();
    let mut runner = Runner::new(Model::from_words(&words).unwrap(), false);
    let mut out = vec![7.0; 5];
    let spec = Spec::Rows { matrix: &[1.0], rows: 1 };
    lower_bounds(&mut runner, region, &spec, &mut out).unwrap();
    assert_eq!(out.len(), 1);
    out[0]
}

#[track_caller]
fn near(found: f32, expected: f64) {
    let room = 1e-6 * (1.0 + expected.abs());
    assert!(f64::from(found) <= expected, "{found} above {expected}");
    assert!(f64::from(found) >= expected - room, "{found}, not {expected}");
}

#[test]
fn by_hand() {
    // The first unit is on, the second's slope is in [leak, 1]: v = (1, 2). The value is 3/2.
    let x = [2.0, 0.25];
    for activation in [Activation::Relu, Activation::LeakyRelu(0.5)] {
        let network = network(activation);
        let at = |norm| ask(&network, &Region::ball(&x, 0.5, norm));
        near(at(Norm::Linf), 0.0);
        near(at(Norm::L2), 1.5 - 0.5 * 5f64.sqrt());
        near(at(Norm::L1), 0.5);
        // q = 3: the sum of 1 and 8.
        near(at(Norm::new(1.5).unwrap()), 1.5 - 0.5 * 9f64.cbrt());
        // A smaller ball keeps the unit on, a point needs no slope at all.
        near(ask(&network, &Region::ball(&x, 0.125, Norm::L1)), 1.25);
        near(ask(&network, &Region::ball(&x, 0.0, Norm::L2)), 1.5);
    }
    // Off, with a leak of 1/2: the gradient is (1, -1), the value 9/4.
    let network = network(Activation::LeakyRelu(0.5));
    near(ask(&network, &Region::ball(&[2.0, -0.25], 0.125, Norm::Linf)), 2.0);
}

#[test]
fn two_hidden_layers_by_hand() {
    // sigma(3 sigma(x) - 1) over [0, 1]: both are unstable in what matters, J in [0, 3].
    let layers = vec![
        affine(&[&[1.0]], &[-0.25], Activation::Relu),
        affine(&[&[3.0]], &[-1.0], Activation::Relu),
        affine(&[&[1.0]], &[0.0], Activation::Identity),
    ];
    let network = Network { inputs: 1, layers };
    // 3 (1/2 - 1/4) - 1 is below 0: the value is 0, and nothing keeps J from 3.
    near(ask(&network, &Region::ball(&[0.5], 0.5, Norm::Linf)), -1.5);
    // Both on: exact.
    near(ask(&network, &Region::ball(&[2.0], 0.5, Norm::Linf)), 4.25 - 1.5);
}

#[test]
fn boxes() {
    let network = network(Activation::Relu);
    near(ask(&network, &Region::Box { lo: &[1.5, -0.25], hi: &[2.5, 0.75] }), 0.0);
    // The box leaves the second input only [0, 0.25]: from the middle, 0.5 * 1 + 0.125 * 2.
    let cut = Region::ball_in_box(&[2.0, 0.0], 0.5, Norm::Linf, &[0.0, 0.0], &[9.0, 0.25]);
    near(ask(&network, &cut), 2.0 - 0.25 - 0.75);
    let cut = Region::ball_in_box(&[2.0, 0.0], 0.5, Norm::L1, &[0.0, 0.0], &[9.0, 0.25]);
    near(ask(&network, &cut), 1.0);
    // The slopes hold between points of the region, and its middle would be none.
    let cut = Region::ball_in_box(&[2.0, 0.0], 0.5, Norm::L2, &[2.25, 0.0], &[9.0, 0.25]);
    assert_eq!(ask(&network, &cut), f32::NEG_INFINITY);
}

#[test]
fn rounded_weights_are_covered() {
    let mut network = network(Activation::Relu);
    let e = 1.0 / 64.0;
    network.layers[0].weight_error = e;
    network.layers[1].bias_error = 0.25;
    let found = ask(&network, &Region::ball(&[2.0, 1.0], 0.5, Norm::L1));
    // The value may be 2 (1 - e) - 2 (1 + e) - 1/4, a slope 2 (1 + e).
    near(found, 2.0 * (1.0 - 1.0 / 64.0) - (2.0 + 1.0) * (1.0 + 1.0 / 64.0) - 0.25);
}

#[test]
fn what_is_refused_is_named() {
    let refused = |change: fn(&mut Network), words: &str| {
        let mut network = network(Activation::Relu);
        change(&mut network);
        let words_of = pack(&network, WeightKind::F32).unwrap();
        let error = check(&Model::from_words(&words_of).unwrap()).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("fast-lip: "), "{error}");
        assert_eq!(ask(&network, &Region::ball(&[2.0, 0.0], 0.1, Norm::L2)), f32::NEG_INFINITY);
    };
    refused(|n| n.layers[1].activation = Activation::Relu, "ReLU after the last layer");
    refused(|n| n.layers[1].activation = Activation::LeakyRelu(0.5), "leaky ReLU after");
    refused(|n| n.layers[0].activation = Activation::Tanh, "tanh after layer 0;");
    refused(|n| n.layers[0].through = 1, "ReLU after layer 0 beside rows that pass by it");
}

#[test]
fn what_overflows_is_no_bound() {
    let mut network = network(Activation::Relu);
    network.layers[1].weights = vec![f32::MAX, f32::MAX];
    let words = pack(&network, WeightKind::F32).unwrap();
    let mut runner = Runner::new(Model::from_words(&words).unwrap(), false);
    let spec = Spec::Rows { matrix: &[1.0], rows: 1 };
    let x = [1.0, 1.0];
    let region = Region::ball(&x, 0.5, Norm::L2);
    let found = lower_bounds(&mut runner, &region, &spec, &mut Vec::new());
    assert!(matches!(found, Err(Error::Magnitude { .. })), "{found:?}");
}
