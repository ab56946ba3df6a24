//! Each operator on hand-computed values.

use certus_engine::model::Activation;

use crate::writer::{
    Message, Model, doubles, float, floats, int, ints, list, tensor, text, value_info,
};
use crate::{forward, is_exact, load};

const IDENTITY: [f32; 4] = [1.0, 0.0, 0.0, 1.0];

#[test]
fn gemm_with_all_its_attributes() {
    // y = 2 x^T... with x as a column: A is [2, 1] transposed to [1, 2].
    let model = Model::new(&[2, 1])
        .constant(floats("w", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
        .constant(floats("c", &[3], &[10.0, 20.0, 30.0]))
        .node(
            "Gemm",
            &["x", "w", "c"],
            "y",
            &[int("transA", 1), int("transB", 1), float("alpha", 2.0), float("beta", 0.5)],
        );
    let network = load(&model).unwrap();
    assert!(is_exact(&network), "powers of two are exact");
    assert_eq!(network.layers[0].weights, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
    assert_eq!(network.layers[0].bias, [5.0, 10.0, 15.0]);
    assert_eq!(forward(&network, &[1.0, -1.0]), [3.0, 8.0, 13.0]);
}

#[test]
fn gemm_with_a_constant_on_the_left() {
    let model = Model::new(&[2, 2])
        .constant(floats("w", &[1, 2], &[3.0, 5.0]))
        .constant(floats("c", &[1, 1], &[1.0]))
        .node("Gemm", &["w", "x", "c"], "y", &[]);
    let network = load(&model).unwrap();
    assert_eq!(forward(&network, &[1.0, 2.0, 3.0, 4.0]), [19.0, 27.0]);
}

#[test]
fn gemm_scaled_by_what_rounds_is_bounded() {
    let weight = 0.1_f32;
    let model = Model::new(&[1, 1])
        .constant(floats("w", &[1, 1], &[weight]))
        .constant(floats("c", &[1], &[0.3]))
        .node("Gemm", &["x", "w", "c"], "y", &[float("alpha", 3.0), float("beta", 0.7)]);
    let layer = load(&model).unwrap().layers.remove(0);
    // Both products are exact in f64.
    let (w, b) = (f64::from(weight) * 3.0, f64::from(0.3_f32) * f64::from(0.7_f32));
    let weight_lost = (w - f64::from(layer.weights[0])).abs();
    let bias_lost = (b - f64::from(layer.bias[0])).abs();
    assert!(
        weight_lost > 0.0
            && weight_lost <= f64::from(layer.weight_error) * f64::from(layer.weights[0])
    );
    assert!(bias_lost > 0.0 && bias_lost <= f64::from(layer.bias_error));
    assert!(layer.weight_error <= 2f32.powi(-24) * 1.001 && layer.bias_error < 2f32.powi(-26));
}

#[test]
fn matmul_on_either_side_and_on_vectors() {
    let w = floats("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let left = Model::new(&[2]).constant(w.clone()).node("MatMul", &["x", "w"], "y", &[]);
    assert_eq!(forward(&load(&left).unwrap(), &[1.0, 10.0]), [41.0, 52.0, 63.0]);
    let right = Model::new(&[3]).constant(w.clone()).node("MatMul", &["w", "x"], "y", &[]);
    assert_eq!(forward(&load(&right).unwrap(), &[1.0, 10.0, 100.0]), [321.0, 654.0]);
    // Blocks: each row of x on its own, each matrix of a batch on its own.
    let rows = Model::new(&[2, 2]).constant(w.clone()).node("MatMul", &["x", "w"], "y", &[]);
    assert_eq!(
        forward(&load(&rows).unwrap(), &[1.0, 10.0, 0.0, 1.0]),
        [41.0, 52.0, 63.0, 4.0, 5.0, 6.0]
    );
    let batch = Model::new(&[2, 3, 1]).constant(w).node("MatMul", &["w", "x"], "y", &[]);
    assert_eq!(
        forward(&load(&batch).unwrap(), &[1.0, 10.0, 100.0, 0.0, 0.0, 1.0]),
        [321.0, 654.0, 3.0, 6.0]
    );
    let dot = Model::new(&[2]).constant(floats("w", &[2], &[3.0, 4.0])).node(
        "MatMul",
        &["x", "w"],
        "y",
        &[],
    );
    assert_eq!(forward(&load(&dot).unwrap(), &[1.0, 10.0]), [43.0]);
}

#[test]
fn matmul_add_relu_is_one_exact_layer() {
    let model = Model::new(&[-1, 2])
        .constant(floats("w", &[2, 2], &[0.1, 0.2, 0.3, 0.7]))
        .constant(floats("b", &[2], &[0.9, -0.4]))
        .node("MatMul", &["x", "w"], "m", &[])
        .node("Add", &["m", "b"], "z", &[])
        .node("Relu", &["z"], "y", &[]);
    let network = load(&model).unwrap();
    assert_eq!(network.layers.len(), 1);
    assert!(is_exact(&network));
    assert_eq!(network.layers[0].weights, [0.1, 0.3, 0.2, 0.7]);
    assert_eq!(network.layers[0].bias, [0.9, -0.4]);
    assert_eq!(network.layers[0].activation, Activation::Relu);
}

#[test]
fn normalisation_at_the_input_goes_into_the_first_layer() {
    let (mean, deviation) = (0.1307_f32, 0.3081_f32);
    let model = Model::new(&[-1, 2])
        .constant(floats("mean", &[1, 1], &[mean]))
        .constant(floats("std", &[], &[deviation]))
        .constant(floats("w", &[2, 1], &[0.3, -0.5]))
        .node("Sub", &["x", "mean"], "s", &[])
        .node("Div", &["s", "std"], "d", &[])
        .node("MatMul", &["d", "w"], "y", &[]);
    let layer = load(&model).unwrap().layers.remove(0);
    for (stored, original) in layer.weights.iter().zip([0.3_f32, -0.5]) {
        // f64 is 2^-53 off, five hundred million times less than what is measured.
        let exact = f64::from(original) / f64::from(deviation);
        let lost = (exact - f64::from(*stored)).abs();
        assert!(lost <= f64::from(layer.weight_error) * f64::from(stored.abs()) * (1.0 + 1e-6));
    }
    let bias = -f64::from(mean) / f64::from(deviation) * (f64::from(0.3_f32) - 0.5);
    assert!((bias - f64::from(layer.bias[0])).abs() <= f64::from(layer.bias_error) * (1.0 + 1e-6));
    assert!(layer.weight_error > 0.0 && layer.weight_error < 6.1e-8);
    assert!(layer.bias_error > 0.0 && layer.bias_error < 1e-8);
}

#[test]
fn a_scale_after_relu_goes_into_the_next_columns() {
    let model = Model::new(&[1, 2])
        .constant(floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]))
        .constant(floats("s", &[2], &[-0.5, 4.0]))
        .constant(floats("t", &[2], &[1.0, 10.0]))
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Relu", &["a"], "r", &[])
        .node("Mul", &["s", "r"], "m", &[])
        .node("Sub", &["t", "m"], "n", &[])
        .node("MatMul", &["n", "w"], "y", &[]);
    let network = load(&model).unwrap();
    assert_eq!(network.layers.len(), 2);
    assert!(is_exact(&network));
    // x = (1, -1): z = (-2, -2), r = 0, n = (1, 10), y = (31, 42).
    assert_eq!(forward(&network, &[1.0, -1.0]), [31.0, 42.0]);
    // x = (1, 0): r = (1, 2), m = (-0.5, 8), n = (1.5, 2), y = (7.5, 11).
    assert_eq!(forward(&network, &[1.0, 0.0]), [7.5, 11.0]);
}

#[test]
fn two_dense_layers_are_not_multiplied() {
    let model = Model::new(&[1, 2])
        .constant(floats("w", &[2, 2], &[0.1, 0.2, 0.3, 0.4]))
        .node("MatMul", &["x", "w"], "a", &[])
        .node("MatMul", &["a", "w"], "y", &[]);
    let network = load(&model).unwrap();
    assert_eq!(network.layers.len(), 2);
    assert_eq!(network.layers[0].activation, Activation::Identity);
    assert!(is_exact(&network));
}

#[test]
fn batch_normalization_after_and_before_a_layer() {
    // scale / sqrt(var + eps): 3 / sqrt(3.75 + 0.25) = 1.5 and 1 / sqrt(0.25) = 2.
    let with = |model: Model| {
        model
            .constant(floats("scale", &[2], &[3.0, 1.0]))
            .constant(floats("bias", &[2], &[1.0, -1.0]))
            .constant(floats("mean", &[2], &[2.0, 0.5]))
            .constant(floats("var", &[2], &[3.75, 0.0]))
            .constant(floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]))
    };
    let attributes = [float("epsilon", 0.25)];
    let norm = ["scale", "bias", "mean", "var"];
    let after = with(Model::new(&[1, 2]))
        .node("MatMul", &["x", "w"], "a", &[])
        .node("BatchNormalization", &[&["a"][..], &norm].concat(), "b", &attributes)
        .node("Relu", &["b"], "y", &[]);
    let network = load(&after).unwrap();
    assert_eq!(network.layers.len(), 1);
    assert!(is_exact(&network));
    // a = (4, 6): 1.5 (4 - 2) + 1, 2 (6 - 0.5) - 1.
    assert_eq!(forward(&network, &[1.0, 1.0]), [4.0, 10.0]);
    let before = with(Model::new(&[1, 2]))
        .node("BatchNormalization", &[&["x"][..], &norm].concat(), "b", &attributes)
        .node("MatMul", &["b", "w"], "y", &[]);
    // b = (1.5 (4 - 2) + 1, 2 (6 - 0.5) - 1) = (4, 10).
    assert_eq!(forward(&load(&before).unwrap(), &[4.0, 6.0]), [34.0, 48.0]);
    // Channels are axis 1, the same for every position.
    let spatial = with(Model::new(&[1, 2, 2])).node(
        "BatchNormalization",
        &[&["x"][..], &norm].concat(),
        "y",
        &attributes,
    );
    assert_eq!(forward(&load(&spatial).unwrap(), &[2.0, 4.0, 0.5, 1.0]), [1.0, 4.0, -1.0, 0.0]);
}

#[test]
fn activations_without_a_layer_get_an_identity() {
    let model = Model::new(&[2]).node("Relu", &["x"], "r", &[]).node(
        "LeakyRelu",
        &["r"],
        "y",
        &[float("alpha", 0.5)],
    );
    let network = load(&model).unwrap();
    assert_eq!(network.layers.len(), 2);
    assert_eq!(network.layers[0].weights, IDENTITY);
    assert_eq!(network.layers[1].activation, Activation::LeakyRelu(0.5));
    let none = Model::new(&[2]).node("Identity", &["x"], "y", &[]);
    assert_eq!(load(&none).unwrap().layers[0].weights, IDENTITY);
    let default = Model::new(&[2]).node("LeakyRelu", &["x"], "y", &[]);
    assert_eq!(load(&default).unwrap().layers[0].activation, Activation::LeakyRelu(0.01));
}

#[test]
fn the_input_may_be_the_output() {
    let model = Model::empty()
        .field(11, value_info("x", 1, &[1, 2]))
        .field(12, value_info("x", 1, &[1, 2]));
    assert_eq!(load(&model).unwrap().layers[0].weights, IDENTITY);
}

#[test]
fn elementwise_alone_is_a_diagonal() {
    let model = Model::new(&[2, 2])
        .constant(floats("c", &[2], &[2.0, 4.0]))
        .node("Mul", &["x", "c"], "m", &[])
        .node("Neg", &["m"], "y", &[]);
    let network = load(&model).unwrap();
    assert_eq!(forward(&network, &[1.0, 2.0, 3.0, 4.0]), [-2.0, -8.0, -6.0, -16.0]);
    assert!(is_exact(&network));
}

#[test]
fn reorderings_are_exact() {
    // [1, 2, 3] -> transpose -> [1, 3, 2] -> flatten -> dense.
    let w: Vec<f32> = (0..6).map(|i| 10f32.powi(i)).collect();
    let model = Model::new(&[1, 2, 3])
        .constant(floats("w", &[6, 1], &w))
        .node("Transpose", &["x"], "t", &[list("perm", &[0, 2, 1])])
        .node("Flatten", &["t"], "f", &[])
        .node("MatMul", &["f", "w"], "y", &[]);
    let network = load(&model).unwrap();
    assert!(is_exact(&network));
    assert_eq!(forward(&network, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [635_241.0]);
    // After a layer, with its activation: the rows change place.
    let model = Model::new(&[1, 2])
        .constant(floats(
            "w",
            &[2, 6],
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ))
        .constant(ints("shape", &[3], &[0, -1, 3]))
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Relu", &["a"], "r", &[])
        .node("Reshape", &["r", "shape"], "s", &[])
        .node("Transpose", &["s"], "y", &[]);
    let network = load(&model).unwrap();
    assert_eq!(network.layers.len(), 1);
    assert_eq!(forward(&network, &[1.0, 0.0]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
}

#[test]
fn shapes_by_attribute_and_by_input() {
    let old = Model::new(&[1, 2, 1])
        .opset(11)
        .node("Squeeze", &["x"], "s", &[list("axes", &[2])])
        .node("Unsqueeze", &["s"], "u", &[list("axes", &[0, 3])])
        .node("Flatten", &["u"], "y", &[int("axis", -1)]);
    assert_eq!(forward(&load(&old).unwrap(), &[1.0, 2.0]), [1.0, 2.0]);
    let new = Model::new(&[1, 2, 1])
        .constant(ints("a", &[1], &[-1]))
        .constant(ints("b", &[2], &[0, -1]))
        .node("Squeeze", &["x", "a"], "s", &[])
        .node("Unsqueeze", &["s", "b"], "u", &[])
        .node("Squeeze", &["u"], "y", &[]);
    assert_eq!(forward(&load(&new).unwrap(), &[1.0, 2.0]), [1.0, 2.0]);
    let legacy =
        Model::new(&[1, 4]).opset(1).node("Reshape", &["x"], "y", &[list("shape", &[2, 2])]);
    assert_eq!(load(&legacy).unwrap().inputs, 4);
}

#[test]
fn a_shape_that_the_graph_computes() {
    // As old exporters flatten: Reshape(x, Concat(Unsqueeze(Gather(Shape(x), 0)), [-1])).
    let model = Model::new(&[-1, 2, 2])
        .opset(9)
        .constant(floats("w", &[4, 1], &[1.0, 2.0, 3.0, 4.0]))
        .node("Shape", &["x"], "shape", &[])
        .node("Constant", &[], "zero", &[tensor("value", ints("", &[], &[0]))])
        .node("Gather", &["shape", "zero"], "batch", &[int("axis", 0)])
        .node("Constant", &[], "open", &[tensor("value", ints("", &[], &[-1]))])
        .node("Unsqueeze", &["batch"], "batch1", &[list("axes", &[0])])
        .node("Unsqueeze", &["open"], "open1", &[list("axes", &[0])])
        .node("Concat", &["batch1", "open1"], "to", &[int("axis", 0)])
        .node("Reshape", &["x", "to"], "flat", &[])
        .node("MatMul", &["flat", "w"], "y", &[]);
    assert_eq!(forward(&load(&model).unwrap(), &[1.0, 1.0, 1.0, 10.0]), [46.0]);
}

#[test]
fn constants_in_all_their_forms() {
    let typed = |kind: i64, field: u64, packed: &[u8]| {
        Message::default().int(1, 2).int(2, kind).text(8, "c").bytes(field, packed)
    };
    let floats_packed: Vec<u8> = [2.0_f32, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let doubles_packed: Vec<u8> = [2.0_f64, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let half_raw = [0x00, 0x40, 0x00, 0x44];
    let bfloat_raw = [0x00, 0x40, 0x80, 0x40];
    for constant in [
        typed(1, 4, &floats_packed),
        typed(1, 9, &floats_packed),
        typed(11, 10, &doubles_packed),
        typed(11, 9, &doubles_packed),
        typed(10, 9, &half_raw),
        // 0x4000 and 0x4400 as varints.
        typed(10, 5, &[0x80, 0x80, 0x01, 0x80, 0x88, 0x01]),
        typed(16, 9, &bfloat_raw),
        // Repeated fields that are not packed.
        Message::default().int(1, 2).int(2, 1).text(8, "c").float(4, 2.0).float(4, 4.0),
    ] {
        let model = Model::new(&[2]).constant(constant).node("Mul", &["x", "c"], "y", &[]);
        let network = load(&model).unwrap();
        assert_eq!(network.layers[0].weights, [2.0, 0.0, 0.0, 4.0]);
        assert!(is_exact(&network));
    }
    for attribute in [
        float("value_float", 2.0),
        Message::default().text(1, "value_floats").float(7, 2.0).int(20, 6),
        tensor("value", floats("", &[1], &[2.0])),
    ] {
        let model = Model::new(&[1]).node("Constant", &[], "c", &[attribute]).node(
            "Mul",
            &["x", "c"],
            "y",
            &[],
        );
        assert_eq!(load(&model).unwrap().layers[0].weights, [2.0]);
    }
    for (kind, raw) in
        [(6, vec![3, 0, 0, 0]), (7, vec![3, 0, 0, 0, 0, 0, 0, 0]), (2, vec![3]), (3, vec![3])]
    {
        let constant = Message::default().int(2, kind).text(8, "c").bytes(9, &raw);
        let model = Model::new(&[1])
            .constant(constant)
            .node("Cast", &["c"], "f", &[int("to", 1)])
            .node("Mul", &["x", "f"], "y", &[]);
        assert_eq!(load(&model).unwrap().layers[0].weights, [3.0]);
    }
}

#[test]
fn constants_are_folded() {
    let model = Model::new(&[2])
        .constant(floats("c", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
        .constant(ints("start", &[1], &[-1]))
        .constant(ints("end", &[1], &[-100]))
        .constant(ints("axis", &[1], &[1]))
        .constant(ints("step", &[1], &[-2]))
        .constant(ints("swap", &[2], &[1, 0]))
        .constant(ints("shape", &[1], &[2]))
        .node("Slice", &["c", "start", "end", "axis", "step"], "s", &[])
        // [[3, 1], [6, 4]]
        .node("Gather", &["s", "swap"], "g", &[])
        // [[6, 4], [3, 1]]
        .node("Transpose", &["g"], "t", &[])
        // [[6, 3], [4, 1]]
        .node("ConstantOfShape", &["shape"], "two", &[tensor("value", floats("", &[1], &[2.0]))])
        .node("Mul", &["t", "two"], "w", &[])
        .node("MatMul", &["x", "w"], "y", &[]);
    assert_eq!(forward(&load(&model).unwrap(), &[1.0, 10.0]), [92.0, 26.0]);
    let concat = Model::new(&[2])
        .constant(floats("a", &[2, 1], &[1.0, 2.0]))
        .constant(floats("b", &[2, 2], &[3.0, 4.0, 5.0, 6.0]))
        .node("Concat", &["a", "b"], "w", &[int("axis", -1)])
        .node("MatMul", &["x", "w"], "y", &[]);
    assert_eq!(forward(&load(&concat).unwrap(), &[1.0, 10.0]), [21.0, 53.0, 64.0]);
}

#[test]
fn doubles_are_rounded_with_a_bound() {
    let values = [0.1, -1.0 / 3.0];
    let model = Model::new(&[1, 2]).constant(doubles("w", &[2, 1], &values)).node(
        "MatMul",
        &["x", "w"],
        "y",
        &[],
    );
    let layer = load(&model).unwrap().layers.remove(0);
    for (w, v) in layer.weights.iter().zip(values) {
        let lost = (v - f64::from(*w)).abs();
        assert!(lost > 0.0 && lost <= f64::from(layer.weight_error) * f64::from(w.abs()));
    }
    assert!(layer.weight_error <= 2f32.powi(-24) * 1.001);
}

#[test]
fn dropout_of_inference_is_the_identity() {
    let plain = Model::new(&[2]).node("Dropout", &["x"], "y", &[float("ratio", 0.5)]).opset(7);
    assert_eq!(load(&plain).unwrap().layers[0].weights, IDENTITY);
    let off = Message::default().int(2, 9).text(8, "mode").bytes(9, &[0]);
    let new = Model::new(&[2]).constant(off).node("Dropout", &["x", "", "mode"], "y", &[]);
    assert_eq!(load(&new).unwrap().layers[0].weights, IDENTITY);
}

#[test]
fn convolution_with_padding_stride_dilation_and_groups() {
    let image: Vec<f64> = (1..=9).map(f64::from).collect();
    let model = Model::new(&[1, 1, 3, 3])
        .constant(floats("w", &[1, 1, 2, 2], &[1.0, 10.0, 100.0, 1000.0]))
        .constant(floats("b", &[1], &[0.5]))
        .node(
            "Conv",
            &["x", "w", "b"],
            "y",
            &[list("kernel_shape", &[2, 2]), list("pads", &[1, 0, 0, 1]), list("strides", &[1, 2])],
        );
    let network = load(&model).unwrap();
    assert!(is_exact(&network));
    // Rows -1..2, columns 0..3: padded on top and on the right.
    assert_eq!(forward(&network, &image), [2100.5, 300.5, 5421.5, 603.5, 8754.5, 906.5]);
    let dilated = Model::new(&[1, 1, 3, 3])
        .constant(floats("w", &[1, 1, 2, 2], &[1.0, 10.0, 100.0, 1000.0]))
        .node("Conv", &["x", "w"], "y", &[list("dilations", &[2, 2])]);
    assert_eq!(forward(&load(&dilated).unwrap(), &image), [9731.0]);
    let grouped = Model::new(&[1, 4, 1])
        .constant(floats("w", &[2, 2, 1], &[1.0, 10.0, 100.0, 1000.0]))
        .node("Conv", &["x", "w"], "y", &[int("group", 2)]);
    assert_eq!(forward(&load(&grouped).unwrap(), &[1.0, 2.0, 3.0, 4.0]), [21.0, 4300.0]);
    // Two images in one input, two filters over two channels each.
    let batch = Model::new(&[2, 2, 1])
        .constant(floats("w", &[2, 2, 1], &[1.0, 10.0, 100.0, 1000.0]))
        .node("Conv", &["x", "w"], "y", &[]);
    assert_eq!(
        forward(&load(&batch).unwrap(), &[1.0, 2.0, 3.0, 4.0]),
        [21.0, 2100.0, 43.0, 4300.0]
    );
}

#[test]
fn convolution_with_automatic_padding() {
    let conv = |mode: &str, stride: i64| {
        Model::new(&[1, 1, 4]).constant(floats("w", &[1, 1, 2], &[1.0, 10.0])).node(
            "Conv",
            &["x", "w"],
            "y",
            &[text("auto_pad", mode), list("strides", &[stride])],
        )
    };
    let input = [1.0, 2.0, 3.0, 4.0];
    assert_eq!(forward(&load(&conv("SAME_UPPER", 1)).unwrap(), &input), [21.0, 32.0, 43.0, 4.0]);
    assert_eq!(forward(&load(&conv("SAME_LOWER", 1)).unwrap(), &input), [10.0, 21.0, 32.0, 43.0]);
    assert_eq!(forward(&load(&conv("SAME_UPPER", 2)).unwrap(), &input), [21.0, 43.0]);
    assert_eq!(forward(&load(&conv("VALID", 1)).unwrap(), &input), [21.0, 32.0, 43.0]);
}

#[test]
fn average_pools() {
    let pool = |attributes: &[Message]| {
        Model::new(&[1, 1, 4]).node("AveragePool", &["x"], "y", attributes)
    };
    let input = [1.0, 3.0, 5.0, 7.0];
    let network = load(&pool(&[list("kernel_shape", &[2]), list("strides", &[2])])).unwrap();
    assert!(is_exact(&network));
    assert_eq!(forward(&network, &input), [2.0, 6.0]);
    let padded = [list("kernel_shape", &[2]), list("pads", &[1, 1]), list("strides", &[2])];
    assert_eq!(forward(&load(&pool(&padded)).unwrap(), &input), [1.0, 4.0, 7.0]);
    let counted = [&padded[..], &[int("count_include_pad", 1)]].concat();
    assert_eq!(forward(&load(&pool(&counted)).unwrap(), &input), [0.5, 4.0, 3.5]);
    let thirds = load(&pool(&[list("kernel_shape", &[3])])).unwrap();
    let layer = &thirds.layers[0];
    let lost = (1.0 / 3.0 - f64::from(layer.weights[0])).abs();
    assert!(
        lost > 0.0
            && lost * (1.0 - 1e-6) <= f64::from(layer.weight_error) * f64::from(layer.weights[0])
    );
    let global = Model::new(&[1, 2, 2, 2]).node("GlobalAveragePool", &["x"], "y", &[]);
    assert_eq!(
        forward(&load(&global).unwrap(), &[1.0, 2.0, 3.0, 6.0, 0.0, 4.0, 0.0, 0.0]),
        [3.0, 1.0]
    );
}

#[test]
fn padding_is_part_of_the_next_layer() {
    let model = Model::new(&[1, 2])
        .constant(ints("pads", &[4], &[0, 1, 0, 2]))
        .constant(floats("five", &[], &[5.0]))
        .constant(floats("w", &[5, 1], &[1.0, 10.0, 100.0, 1000.0, 10000.0]))
        .node("Pad", &["x", "pads", "five"], "p", &[])
        .node("MatMul", &["p", "w"], "y", &[]);
    let network = load(&model).unwrap();
    assert_eq!(network.layers.len(), 1);
    assert_eq!(forward(&network, &[1.0, 2.0]), [55_215.0]);
    // At the end it needs a layer of its own.
    let end = Model::new(&[2]).opset(2).node("Relu", &["x"], "r", &[]).node(
        "Pad",
        &["r"],
        "y",
        &[list("pads", &[1, 0])],
    );
    let network = load(&end).unwrap();
    assert_eq!(network.layers.len(), 2);
    assert_eq!(forward(&network, &[1.0, -2.0]), [0.0, 1.0, 0.0]);
}

#[test]
fn a_scale_that_would_underflow_stays_a_layer() {
    // 1e-30 * 1e-12 is below f32's normal range, so the product cannot be a weight.
    let model = Model::new(&[1, 2])
        .constant(floats("w", &[2, 2], &[1e-30, 1.0, 1.0, 1.0]))
        .constant(floats("s", &[2], &[1e-12, 3e-12]))
        .node("MatMul", &["x", "w"], "m", &[])
        .node("Mul", &["m", "s"], "p", &[])
        .node("Relu", &["p"], "y", &[]);
    let network = load(&model).unwrap();
    assert_eq!(network.layers.len(), 2);
    assert_eq!(network.layers[0].activation, Activation::Identity);
    assert_eq!(network.layers[1].weights, [1e-12, 0.0, 0.0, 3e-12]);
    assert!(is_exact(&network));
}

#[test]
fn initializers_may_be_listed_as_inputs() {
    let model = Model::new(&[1, 1])
        .field(11, value_info("w", 1, &[1, 1]))
        .constant(floats("w", &[1, 1], &[3.0]))
        .node("MatMul", &["x", "w"], "y", &[]);
    assert_eq!(forward(&load(&model).unwrap(), &[2.0]), [6.0]);
}

#[test]
fn nodes_in_any_order_and_dead_ones() {
    let model = Model::new(&[1, 1])
        .constant(floats("w", &[1, 1], &[3.0]))
        .constant(floats("b", &[1], &[1.0]))
        .node("Relu", &["z"], "y", &[])
        .node("LSTM", &["z"], "dead", &[])
        .node("Add", &["a", "b"], "z", &[])
        .node("Add", &["a", "w"], "dead2", &[])
        .node("MatMul", &["x", "w"], "a", &[]);
    let network = load(&model).unwrap();
    assert_eq!(network.layers.len(), 1);
    assert_eq!(forward(&network, &[2.0]), [7.0]);
}
