//! Each activation, and what is read as one, on hand-computed values.

use certus::network::Network;
use certus_engine::model::Activation;

use crate::writer::{Message, Model, float, floats, text};
use libm::erf;

use crate::{apply, forward, is_exact, load};

/// A layer `z` of weights and biases that tell the rows apart.
fn layer() -> Model {
    Model::new(&[1, 2])
        .constant(floats("w", &[2, 3], &[1.0, -2.0, 0.5, 0.25, 1.0, -1.0]))
        .constant(floats("b", &[3], &[0.5, -1.0, 0.0]))
        .node("MatMul", &["x", "w"], "m", &[])
        .node("Add", &["m", "b"], "z", &[])
}

fn after_a_layer(op: &str, attributes: &[Message]) -> Model {
    layer().node(op, &["z"], "y", attributes)
}

const INPUTS: [[f64; 2]; 4] = [[0.0, 0.0], [1.0, -2.0], [-1.5, 0.75], [2.0, 1.0]];

/// What comes before the activation.
fn before([a, b]: [f64; 2]) -> [f64; 3] {
    [a + 0.25 * b + 0.5, -2.0 * a + b - 1.0, 0.5 * a - b]
}

#[test]
fn each_is_itself() {
    for (op, attributes, expected) in [
        ("Relu", vec![], Activation::Relu),
        ("LeakyRelu", vec![float("alpha", 0.25)], Activation::LeakyRelu(0.25)),
        ("Abs", vec![], Activation::Abs),
        ("Sign", vec![], Activation::Sign),
        ("Elu", vec![], Activation::Elu(1.0)),
        ("Elu", vec![float("alpha", 0.5)], Activation::Elu(0.5)),
        ("Elu", vec![float("alpha", 0.0)], Activation::Relu),
        ("Softplus", vec![], Activation::Softplus),
        ("Sigmoid", vec![], Activation::Sigmoid),
        ("Tanh", vec![], Activation::Tanh),
        ("Atan", vec![], Activation::Atan),
        ("Swish", vec![], Activation::Silu),
        ("Gelu", vec![], Activation::Gelu),
        ("Gelu", vec![text("approximate", "none")], Activation::Gelu),
    ] {
        let network = load(&after_a_layer(op, &attributes)).unwrap();
        assert!(is_exact(&network), "{op}");
        let [layer] = network.layers.as_slice() else { panic!("{op}: {network:?}") };
        assert_eq!((layer.activation, layer.through), (expected, 0), "{op}");
        for x in INPUTS {
            let right: Vec<f64> = before(x).iter().map(|&z| apply(expected, z)).collect();
            assert_eq!(forward(&network, &x), right, "{op}");
        }
    }
}

/// The network's outputs and `right` of what comes before the activation, within `room`.
#[track_caller]
fn compare(network: &Network, room: f64, right: impl Fn(f64) -> f64) {
    for x in INPUTS {
        for (found, z) in forward(network, &x).into_iter().zip(before(x)) {
            assert!((found - right(z)).abs() <= room, "{z}: {found}, not {}", right(z));
        }
    }
}

#[test]
fn clips_of_old_and_new_operator_sets() {
    let old = |attributes: &[Message]| load(&after_a_layer("Clip", attributes).opset(6)).unwrap();
    let new = |limits: [Option<f32>; 2]| {
        let mut model = layer();
        let mut inputs = vec!["z", "", ""];
        for (i, (limit, name)) in limits.iter().zip(["lo", "hi"]).enumerate() {
            if let Some(limit) = limit {
                model = model.constant(floats(name, &[], &[*limit]));
                inputs[i + 1] = name;
            }
        }
        load(&model.node("Clip", &inputs, "y", &[])).unwrap()
    };
    for network in [old(&[float("min", -1.0), float("max", 0.5)]), new([Some(-1.0), Some(0.5)])] {
        assert_eq!(network.layers[0].activation, Activation::Clip(-1.0, 0.5));
        compare(&network, 0.0, |z| z.clamp(-1.0, 0.5));
    }
    // From 0 on is a ReLU and nothing else; f32's largest is no limit.
    let largest = || [float("min", 0.0), float("max", f32::MAX)];
    for network in [
        old(&[float("min", 0.0)]),
        old(&largest()),
        new([Some(0.0), None]),
        new([Some(-0.0), None]),
    ] {
        assert_eq!((network.layers.len(), network.layers[0].activation), (1, Activation::Relu));
        assert!(is_exact(&network));
    }
    for network in [old(&[float("min", -0.75)]), new([Some(-0.75), None])] {
        assert!(is_exact(&network), "shifts of few bits");
        compare(&network, 0.0, |z| z.max(-0.75));
    }
    for network in [old(&[float("max", 0.25)]), new([None, Some(0.25)])] {
        assert!(is_exact(&network));
        compare(&network, 0.0, |z| z.min(0.25));
    }
    for network in [old(&[]), new([None, None]), new([Some(f32::NEG_INFINITY), Some(f32::MAX)])] {
        assert_eq!((network.layers.len(), network.layers[0].activation), (1, Activation::Identity));
    }
}

#[test]
fn a_limit_alone_that_rounds_is_bounded() {
    let (bias, limit) = (0.7_f32, 0.1_f32);
    let model = Model::new(&[1, 1])
        .constant(floats("b", &[1], &[bias]))
        .constant(floats("lo", &[], &[limit]))
        .constant(floats("one", &[1, 1], &[1.0]))
        .node("Gemm", &["x", "one", "b"], "z", &[])
        .node("Clip", &["z", "lo"], "y", &[]);
    let network = load(&model).unwrap();
    let exact = f64::from(bias) - f64::from(limit);
    let lost = (exact - f64::from(network.layers[0].bias[0])).abs();
    assert!(lost > 0.0 && lost <= f64::from(network.layers[0].bias_error));
    assert_eq!((network.layers[1].bias[0], network.layers[1].bias_error), (limit, 0.0));
}

#[test]
fn hard_sigmoids_scale_before_they_clip() {
    let network =
        load(&after_a_layer("HardSigmoid", &[float("alpha", 0.5), float("beta", 0.25)])).unwrap();
    assert!(is_exact(&network));
    assert_eq!(network.layers[0].activation, Activation::Clip(0.0, 1.0));
    compare(&network, 0.0, |z| (0.5 * z + 0.25).clamp(0.0, 1.0));
    let network = load(&after_a_layer("HardSigmoid", &[])).unwrap();
    let layer = &network.layers[0];
    assert!(layer.weight_error + layer.bias_error > 0.0 && layer.weight_error <= 6e-8, "{layer:?}");
    // Each weight and bias is off by 2^-24 of itself at most; they sum up to less than 2.
    compare(&network, 2.0 * 2f64.powi(-24), |z| (f64::from(0.2_f32) * z + 0.5).clamp(0.0, 1.0));
}

/// Nothing is moved across an activation that it does not commute with.
#[test]
fn scales_stay_on_their_side() {
    for op in ["Tanh", "Sigmoid", "Softplus", "Abs", "Clip", "Sign", "Relu"] {
        let model = Model::new(&[1, 1])
            .opset(9)
            .constant(floats("two", &[1], &[2.0]))
            .constant(floats("four", &[1], &[4.0]))
            .constant(floats("w", &[1, 1], &[3.0]))
            .node("Mul", &["x", "two"], "m", &[])
            .node(op, &["m"], "a", if op == "Clip" { &CLIP[..] } else { &[] })
            .node("Mul", &["a", "four"], "n", &[])
            .node("Sub", &["n", "two"], "s", &[])
            .node(op, &["s"], "b", if op == "Clip" { &CLIP[..] } else { &[] })
            .node("MatMul", &["b", "w"], "y", &[]);
        let network = load(&model).unwrap();
        let weights: Vec<f32> = network.layers.iter().map(|layer| layer.weights[0]).collect();
        assert_eq!(weights, [2.0, 4.0, 3.0], "{op}");
        assert_eq!(network.layers[1].bias, [-2.0], "{op}");
    }
}

static CLIP: std::sync::LazyLock<[Message; 2]> =
    std::sync::LazyLock::new(|| [float("min", -1.0), float("max", 1.0)]);

#[test]
fn silu_as_a_product_with_its_sigmoid() {
    for factors in [["z", "g"], ["g", "z"]] {
        let model = layer().node("Sigmoid", &["z"], "g", &[]).node("Mul", &factors, "y", &[]);
        let network = load(&model).unwrap();
        assert_eq!((network.layers.len(), network.layers[0].activation), (1, Activation::Silu));
        assert!(is_exact(&network));
        compare(&network, 1e-15, |z| z / (1.0 + (-z).exp()));
    }
    // With a factor inside: z sigmoid(2 z) = silu(2 z) / 2, exact for a power of two.
    for (op, k) in [("Mul", 2.0), ("Div", 0.5)] {
        let model = layer()
            .constant(floats("k", &[1], &[k]))
            .node(op, &["z", "k"], "s", &[])
            .node("Sigmoid", &["s"], "g", &[])
            .node("Mul", &["z", "g"], "y", &[]);
        let network = load(&model).unwrap();
        assert!(is_exact(&network));
        compare(&network, 1e-15, |z| z / (1.0 + (-2.0 * z).exp()));
    }
    let swish = load(&after_a_layer("Swish", &[float("alpha", -4.0)])).unwrap();
    assert!(is_exact(&swish));
    compare(&swish, 1e-15, |z| z / (1.0 + (4.0 * z).exp()));
    // A sigmoid that something else reads too stays one.
    let both = layer().node("Sigmoid", &["z"], "g", &[]).node("Mul", &["z", "g"], "s", &[]).node(
        "Add",
        &["s", "g"],
        "y",
        &[],
    );
    compare(&load(&both).unwrap(), 1e-15, |z| (z + 1.0) / (1.0 + (-z).exp()));
}

/// GELU as exporters write it: a half and a root of 2 in several places.
#[test]
fn gelu_by_erf_in_its_usual_orders() {
    let (root, inverse) = (std::f32::consts::SQRT_2, std::f32::consts::FRAC_1_SQRT_2);
    let gate = |divides: bool| {
        let model = layer()
            .constant(floats("root", &[], &[if divides { root } else { inverse }]))
            .constant(floats("half", &[], &[0.5]))
            .constant(floats("one", &[1], &[1.0]));
        let model = if divides {
            model.node("Div", &["z", "root"], "s", &[])
        } else {
            model.node("Mul", &["root", "z"], "s", &[])
        };
        model.node("Erf", &["s"], "e", &[])
    };
    let plus = |model: Model, swapped: bool| {
        model.node("Add", if swapped { &["one", "e"] } else { &["e", "one"] }, "g", &[])
    };
    for (divides, swapped) in [(true, false), (false, true), (true, true)] {
        let gate = || plus(gate(divides), swapped);
        let models = [
            gate().node("Mul", &["z", "g"], "p", &[]).node("Mul", &["p", "half"], "y", &[]),
            gate().node("Mul", &["z", "half"], "p", &[]).node("Mul", &["p", "g"], "y", &[]),
            gate().node("Mul", &["half", "g"], "p", &[]).node("Mul", &["z", "p"], "y", &[]),
            gate().node("Mul", &["g", "z"], "p", &[]).node("Mul", &["half", "p"], "y", &[]),
        ];
        let k = if divides { 1.0 / f64::from(root) } else { f64::from(inverse) };
        for model in models {
            let network = load(&model).unwrap();
            assert_eq!(network.layers[0].activation, Activation::Gelu);
            // The root is rounded in the file, so GELU needs scales; what they lose is stated.
            let error = network.layers.iter().map(|l| l.weight_error).fold(0.0, f32::max);
            assert!(error > 0.0 && error < 1e-7, "{error}");
            // z is within 6, the slope of GELU within 1.2, and each layer loses as much again.
            let room = 3.0 * 6.0 * 1.2 * f64::from(error);
            compare(&network, room, |z| 0.5 * z * (1.0 + erf(k * z)));
        }
    }
    // Any scale and factor will do.
    let model = layer()
        .constant(floats("one", &[1], &[1.0]))
        .constant(floats("h", &[1], &[3.0]))
        .node("Erf", &["z"], "e", &[])
        .node("Add", &["e", "one"], "g", &[])
        .node("Mul", &["g", "h"], "p", &[])
        .node("Mul", &["p", "z"], "y", &[]);
    let network = load(&model).unwrap();
    let error = f64::from(network.layers.iter().map(|l| l.weight_error).fold(0.0, f32::max));
    compare(&network, 3.0 * 36.0 * 1.2 * error, |z| 3.0 * z * (1.0 + erf(z)));
}
