use certus_engine::model::Activation;
use certus_engine::region::Norm;

use super::*;
use crate::blob::{WeightKind, pack};
use crate::network::{Affine, Network};

const PAPERS: Effort = Effort { programs: 1, steps: 200, enough: f32::INFINITY };
const LONG: Effort = Effort { programs: 200, steps: 4, enough: f32::INFINITY };

fn affine(cols: usize, weights: &[f32], bias: &[f32], activation: Activation) -> Affine {
    Affine {
        rows: bias.len(),
        cols,
        weights: weights.to_vec(),
        bias: bias.to_vec(),
        activation,
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    }
}

/// `2 sigma(x) + sigma(-x - 1/2)`.
fn network(activation: Activation) -> Network {
    let hidden = affine(1, &[1.0, -1.0], &[0.0, -0.5], activation);
    Network {
        inputs: 1,
        layers: vec![hidden, affine(2, &[2.0, 1.0], &[0.0], Activation::Identity)],
    }
}

/// The bound, and CROWN's.
fn ask(network: &Network, region: &Region<'_>, effort: &Effort) -> (f32, f32) {
    let words = pack(network, WeightKind::F32).unwrap();
    let mut runner = Runner::new(Model::from_words(&words).unwrap(), false);
    let (mut out, mut crown) = (vec![7.0; 5], Vec::new());
    let spec = Spec::Rows { matrix: &[1.0], rows: 1 };
    lower_bounds(&mut runner, region, &spec, effort, &mut out).unwrap();
    runner.lower_bounds(region, &spec, &Options::new(Method::Crown), &mut crown).unwrap();
    assert_eq!((out.len(), crown.len()), (1, 1));
    (out[0], crown[0])
}

#[track_caller]
fn near(found: f32, expected: f64, room: f64) {
    assert!(f64::from(found) <= expected, "{found} above {expected}");
    assert!(f64::from(found) >= expected - room, "{found}, not {expected}");
}

#[test]
fn the_papers_program_by_hand() {
    // Over [-1, 1] CROWN-Ada takes slopes 1 and 0: 2x. The parabolas are (z^2 + z)/2 and
    // z^2/2 + 3z/4, their sum 3x^2/2 + 3x/4 - 1/4 is least at -1/4: -11/32. The slopes there are
    // 1/4 and 1/2: x/2 - (x + 1/2)/2 is -1/4 everywhere.
    let region = Region::ball(&[0.0], 1.0, Norm::Linf);
    let (found, crown) = ask(&network(Activation::Relu), &region, &PAPERS);
    near(crown, -2.0, 1e-5);
    near(found, -0.25, 1e-3);
    // The best slopes are 0 and 0.
    near(ask(&network(Activation::Relu), &region, &LONG).0, 0.0, 1e-3);
    // With a leak of 1/2 the row is -1/2 from -1 to -1/2 and grows from there: slopes 1/2 and 1.
    let (found, crown) = ask(&network(Activation::LeakyRelu(0.5)), &region, &LONG);
    near(crown, -1.75, 1e-5);
    near(found, -0.5, 1e-3);
}

#[test]
fn every_norm() {
    // The same function of x_1 + x_2, of reach 1 in every norm.
    let mut network = network(Activation::Relu);
    network.inputs = 2;
    (network.layers[0].cols, network.layers[0].weights) = (2, vec![1.0, 1.0, -1.0, -1.0]);
    for (p, reach) in
        [(1.0, 1.0), (1.5, 2f64.powf(1.0 / 3.0)), (2.0, 2f64.sqrt()), (3.0, 4f64.cbrt())]
    {
        let norm = Norm::new(p).unwrap();
        let region = Region::ball(&[0.0, 0.0], 1.0 / reach, norm);
        let (found, crown) = ask(&network, &region, &LONG);
        near(crown, -2.0, 1e-5);
        near(found, 0.0, 1e-3);
        let region = Region::ball_in_box(&[0.0, 0.0], 1.0 / reach, norm, &[-1.0; 2], &[0.0; 2]);
        near(ask(&network, &region, &LONG).0, 0.0, 1e-3);
    }
    let sides = Region::Box { lo: &[-0.5, -0.5], hi: &[0.5, 0.5] };
    near(ask(&network, &sides, &LONG).0, 0.0, 1e-3);
}

#[test]
fn what_is_enough_is_left() {
    let region = Region::ball(&[0.0], 1.0, Norm::Linf);
    let effort = Effort { enough: -3.0, ..LONG };
    let (found, crown) = ask(&network(Activation::Relu), &region, &effort);
    assert_eq!(found, crown);
}

#[test]
fn rounded_weights_are_covered() {
    let mut network = network(Activation::Relu);
    network.layers[0].bias_error = 1.0 / 8.0;
    network.layers[1].weight_error = 1.0 / 64.0;
    network.layers[1].bias_error = 0.25;
    let region = Region::ball(&[2.0], 0.5, Norm::L2);
    let (found, crown) = ask(&network, &region, &LONG);
    // 2 (x - 1/8) - 1/4 is least at 3/2; the weight may be off by 2/64, the unit reaches 2 + 5/8.
    near(found, 2.75 - 2.625 / 32.0 - 0.25, 1e-6);
    near(crown, 2.75 - 2.625 / 32.0 - 0.25, 1e-5);
}

#[test]
fn other_networks_have_crowns_bound() {
    let refused = |change: fn(&mut Network), words: &str| {
        let mut network = network(Activation::Relu);
        change(&mut network);
        let blob = pack(&network, WeightKind::F32).unwrap();
        let error = check(&Model::from_words(&blob).unwrap()).unwrap_err().to_string();
        for word in [words, "crown-quad: ", "expected one hidden layer of ReLU"] {
            assert!(error.contains(word), "{word} is not in: {error}");
        }
        let (found, crown) = ask(&network, &Region::ball(&[0.0], 1.0, Norm::Linf), &LONG);
        assert_eq!(found, crown);
    };
    refused(|n| n.layers[1].activation = Activation::Relu, "ReLU after the last layer");
    refused(|n| n.layers[0].activation = Activation::Tanh, "tanh after layer 0;");
    refused(|n| n.layers[0].through = 1, "ReLU after layer 0 beside rows that pass by it");
    refused(|n| n.layers.push(affine(1, &[1.0], &[0.0], Activation::Identity)), "3 layers");
    refused(|n| n.layers = vec![affine(1, &[1.0], &[0.0], Activation::Identity)], "1 layer;");
}

#[test]
fn any_slopes_give_a_bound() {
    // What the program is proved by needs nothing of it: x in [-1, 1], slopes out of range.
    let network = network(Activation::Relu);
    let words = pack(&network, WeightKind::F32).unwrap();
    let model = Model::from_words(&words).unwrap();
    let region = Region::ball(&[0.0], 1.0, Norm::Linf);
    let rows = rows(&Spec::Outputs, 1);
    let ends = vec![(-1.0, 1.0), (-1.5, 0.5)];
    let (hidden, last) = (model.layer(0).unwrap(), model.layer(1).unwrap());
    let certificate = Certificate::new(hidden, last, ends, &region, &rows);
    let ask = |a: f64, b: f64| {
        let slopes = Array2::from_shape_fn((2, 2), |(_, i)| [a, b][i]);
        certificate.bounds(&region, &slopes)
    };
    // Of the row and its negation, by hand: the plane's least value and the intercepts.
    for (a, b, expected) in [
        (1.0, 0.0, [-2.0 + 0.0 + 0.0, -2.0 - 2.0 - 0.5]),
        (1.5, 0.0, [-3.0 - 1.0 + 0.0, -3.0 - 3.0 - 0.5]),
        (-1.0, 0.0, [-2.0 - 2.0 + 0.0, -2.0 - 4.0 - 0.5]),
        (0.5, 0.25, [-0.875 + 0.0 + 0.0, -0.625 - 1.0 - 0.375]),
    ] {
        for (found, expected) in ask(a, b).into_iter().zip(expected) {
            near(narrow_down(found), expected, 1e-5);
        }
    }
    for bad in [f64::NAN, f64::INFINITY] {
        assert!(ask(bad, 0.0).iter().all(|x| !x.is_finite()), "{bad}");
    }
}
