use super::*;
use crate::network::affine;

/// Hidden units `x + 1` and `-y + 2`; class 0 has their sum minus 1, class 1 has 0.
fn network(activation: Activation) -> Network {
    let hidden = affine(&[&[1.0, 0.0], &[0.0, -1.0]], &[1.0, 2.0], activation);
    let output = affine(&[&[1.0, 1.0], &[0.0, 0.0]], &[-1.0, 0.0], Activation::Identity);
    Network { inputs: 2, layers: vec![hidden, output] }
}

#[track_caller]
fn near(found: f64, expected: f64) {
    let expected_low = expected - 1e-3 * expected.abs();
    assert!(found <= expected && found >= expected_low, "{found}, not {expected}");
}

#[test]
fn by_hand() {
    // Leak 1/2: the terms 3 and 5 shrink to at least 1.5 and 2.5; minus 1 leaves 3.
    let network = network(Activation::LeakyRelu(0.5));
    let certificate = DecisionBoundary::new(network.clone()).unwrap();
    near(-certificate.spectral_norm(), -1.0);
    let ask = |norm, which| certificate.radius(&[2.0, -3.0], 0, norm, which).unwrap();
    let root = 2f64.sqrt();
    near(ask(Norm::L2, Denominator::Product), 3.0 / root);
    near(ask(Norm::L1, Denominator::Product), 3.0 / root);
    near(ask(Norm::Linf, Denominator::Product), 1.5);
    near(ask(Norm::L2, Denominator::Smallest), 3.0 / root);
    near(ask(Norm::L1, Denominator::Smallest), 3.0);
    near(ask(Norm::Linf, Denominator::Smallest), 1.5);
    // Those of l2 and of linf hold for what lies between.
    near(ask(Norm::new(1.5).unwrap(), Denominator::Smallest), 3.0 / root);
    near(ask(Norm::new(3.0).unwrap(), Denominator::Smallest), 1.5);
    // Class 1 is below class 0 for every theta.
    let wrong = certificate.radius(&[2.0, -3.0], 1, Norm::L1, Denominator::Smallest).unwrap();
    near(-wrong, 3.0);
    assert!(wrong < 0.0);
    // Terms 0 and 1, minus 1: from -1/2 to 0.
    let zero = certificate.radius(&[-1.0, 1.0], 0, Norm::L1, Denominator::Smallest).unwrap();
    assert_eq!(zero, 0.0);
}

#[test]
fn by_hand_within_the_ball() {
    // Pre-activations 3 and 5, which are the distances to the bends; margin 7, gradient (1, -1).
    let certificate = DecisionBoundary::new(network(Activation::Relu)).unwrap();
    let ask = |x: &[f32], class, norm| certificate.local(x, class, norm).unwrap();
    let x = [2.0, -3.0];
    // 7 over the norm is beyond the first bend, after which it is 4 over the norm.
    near(ask(&x, 0, Norm::L2), 3.0);
    near(ask(&x, 0, Norm::Linf), 3.0);
    near(ask(&x, 0, Norm::L1), 4.0);
    near(ask(&x, 0, Norm::new(1.5).unwrap()), 3.0);
    // Class 1 is below class 0 just as far.
    near(-ask(&x, 1, Norm::L1), 4.0);
    assert_eq!(ask(&x, 1, Norm::L2), -ask(&x, 0, Norm::L2));
    // A lead of 1/4, lost before the bend at 1/4 is reached: dD.
    near(ask(&[0.0, 1.75], 0, Norm::L2), 0.25 * 0.5f64.sqrt());
    // A unit exactly at its bend, which can only add to the lead.
    near(ask(&[1.0, 2.0], 0, Norm::L1), 1.0);
}

#[test]
fn relu_alone_switches_everything_off() {
    // Without a leak, theta = 0 leaves the biases: -1.
    let network = network(Activation::Relu);
    let certificate = DecisionBoundary::new(network.clone()).unwrap();
    for which in [Denominator::Product, Denominator::Smallest] {
        assert_eq!(certificate.radius(&[2.0, -3.0], 0, Norm::L2, which).unwrap(), 0.0);
    }
}

#[test]
fn what_never_changes_has_no_end() {
    let mut network = network(Activation::Relu);
    network.layers[1].weights.fill(0.0);
    let certificate = DecisionBoundary::new(network.clone()).unwrap();
    for which in [Denominator::Product, Denominator::Smallest] {
        let ask = |class| certificate.radius(&[2.0, -3.0], class, Norm::Linf, which).unwrap();
        assert_eq!((ask(1), ask(0)), (f64::INFINITY, f64::NEG_INFINITY));
    }
    let ask = |class| certificate.local(&[2.0, -3.0], class, Norm::Linf).unwrap();
    assert_eq!((ask(1), ask(0)), (f64::INFINITY, f64::NEG_INFINITY));
    network.layers[1].bias.fill(0.0);
    let certificate = DecisionBoundary::new(network.clone()).unwrap();
    let tie = certificate.radius(&[2.0, -3.0], 0, Norm::Linf, Denominator::Smallest).unwrap();
    assert_eq!(tie, 0.0);
    assert_eq!(certificate.local(&[2.0, -3.0], 0, Norm::Linf).unwrap(), 0.0);
}

#[test]
fn huge_numbers_do_not_overflow() {
    let mut network = network(Activation::LeakyRelu(0.5));
    network.layers[0].weights = vec![f32::MAX; 4];
    network.layers[1].weights = vec![f32::MAX, f32::MAX, f32::MIN, f32::MIN];
    let certificate = DecisionBoundary::new(network.clone()).unwrap();
    for norm in [Norm::L1, Norm::L2, Norm::Linf] {
        for which in [Denominator::Product, Denominator::Smallest] {
            let radius = certificate.radius(&[f32::MAX; 2], 0, norm, which).unwrap();
            assert!(radius > 1e37 && radius < 3.5e38, "{norm:?} {which:?} {radius}");
        }
        let local = certificate.local(&[f32::MAX; 2], 0, norm).unwrap();
        assert!(local > 1e37 && local < 7e38, "{norm:?} {local}");
    }
}

#[test]
fn rounded_weights_are_covered() {
    let mut network = network(Activation::LeakyRelu(0.5));
    let e = 1.0 / 128.0;
    network.layers[0].weight_error = e;
    network.layers[1].bias_error = 0.25;
    let certificate = DecisionBoundary::new(network.clone()).unwrap();
    let e = f64::from(e);
    assert!(certificate.spectral_norm() >= 1.0 + e);
    let radius = certificate.radius(&[2.0, -3.0], 0, Norm::L1, Denominator::Smallest).unwrap();
    let margin = 0.5 * (5.0 * (1.0 - e) + 3.0) - 1.0 - 2.0 * 0.25;
    near(radius, margin / (1.0 + e));
}

#[test]
fn what_is_refused_is_named() {
    let wrong = |change: fn(&mut Network), words: &str| {
        let mut network = network(Activation::Relu);
        change(&mut network);
        let error = DecisionBoundary::new(network.clone()).expect_err("refused").to_string();
        assert!(error.contains(words) && error.contains("expected one hidden"), "{error}");
    };
    wrong(|n| n.layers.truncate(1), "1 layers");
    wrong(|n| n.layers.push(n.layers[1].clone()), "3 layers");
    wrong(|n| n.layers[1].activation = Activation::Relu, "Relu after the second layer");
    wrong(|n| n.layers[0].activation = Activation::LeakyRelu(1.5), "slope 1.5");
    wrong(|n| n.layers[0].activation = Activation::LeakyRelu(f32::NAN), "slope NaN");
    wrong(|n| n.layers[0].weights[1] = f32::NAN, "NaN among the numbers of layer 0");
    wrong(|n| n.layers[1].bias[1] = f32::INFINITY, "inf among the numbers of layer 1");
    wrong(|n| n.layers[1].rows = 1, "1 output");
    let network = network(Activation::Relu);
    let certificate = DecisionBoundary::new(network.clone()).unwrap();
    let ask = |x: &[f32], class| {
        let answer = certificate.radius(x, class, Norm::L2, Denominator::Product);
        answer.unwrap_err().to_string()
    };
    assert!(ask(&[1.0], 0).contains("1 coordinates, expected the network's 2 inputs"));
    assert!(ask(&[1.0, f32::NAN], 0).contains("NaN in coordinate 1"));
    assert!(ask(&[1.0, 2.0], 2).contains("class 2, expected one below the 2 outputs"));
    let local = |x: &[f32], class| certificate.local(x, class, Norm::L2).unwrap_err().to_string();
    assert_eq!(local(&[1.0, f32::NAN], 0), ask(&[1.0, f32::NAN], 0));
    assert_eq!(local(&[1.0, 2.0], 2), ask(&[1.0, 2.0], 2));
}
