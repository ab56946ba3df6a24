//! What is refused, and that the error says what, where and why.

use std::path::Path;

use certus::import;

use crate::load;
use crate::writer::{Message, Model, doubles, float, floats, int, ints, list, text, value_info};

/// The error of a model, which must hold each of these.
#[track_caller]
fn refused(model: &Model, holds: &[&str]) {
    let message = load(model).expect_err("expected a refusal").to_string();
    for part in holds {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}

fn base() -> Model {
    Model::new(&[1, 2]).constant(floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]))
}

#[test]
fn operators_by_name() {
    for op in [
        "Erf",
        "Exp",
        "If",
        "Loop",
        "ReduceMean",
        "LpPool",
        "Selu",
        "Celu",
        "Mish",
        "HardSwish",
        "PRelu",
        "ThresholdedRelu",
        "Softsign",
        "Max",
        "Where",
        "LSTM",
    ] {
        refused(
            &Model::new(&[1, 1, 2, 2]).node(op, &["x"], "y", &[]),
            &["test.onnx: node 'y_node' (", op, "not supported"],
        );
    }
    refused(&base().node("Softmax", &["x"], "y", &[]), &["(Softmax)", "logits"]);
    let unnamed = Message::default().text(1, "x").text(2, "y").text(4, "LpPool");
    refused(&Model::new(&[1]).field(1, unnamed), &["node 0 (LpPool)"]);
    let foreign =
        Message::default().text(1, "x").text(2, "y").text(4, "Relu").text(7, "com.example");
    refused(&Model::new(&[1]).field(1, foreign), &["domain 'com.example'"]);
}

#[test]
fn attributes_that_are_not_known() {
    refused(&base().node("Relu", &["x"], "y", &[int("secret", 1)]), &["(Relu)", "'secret'"]);
    refused(&base().node("LeakyRelu", &["x"], "y", &[float("alpha", 1.5)]), &["slope 1.5"]);
    refused(
        &base().node("LeakyRelu", &["x"], "y", &[float("alpha", f32::NAN)]),
        &["'alpha' is NaN"],
    );
    refused(
        &base().node("LeakyRelu", &["x"], "y", &[float("alpha", 0.1), float("alpha", 0.2)]),
        &["twice"],
    );
    refused(
        &base().node("Gemm", &["x", "w"], "y", &[text("transB", "yes")]),
        &["'transB' is not an integer"],
    );
}

#[test]
fn joinings() {
    for op in ["Mul", "Div", "MatMul", "Gemm"] {
        refused(
            &base().node("Relu", &["x"], "r", &[]).node(op, &["r", "x"], "y", &[]),
            &["'y_node' (", op, "'r' and 'x'", "only Add, Sub and Concat"],
        );
    }
    refused(&base().node("Mul", &["x", "x"], "y", &[]), &["(Mul)", "'x' and 'x'"]);
    // Gates that are none.
    let gate = base().node("Tanh", &["x"], "g", &[]).node("Mul", &["x", "g"], "y", &[]);
    refused(&gate, &["(Mul)", "'x' and 'g'"]);
    let other = base()
        .node("MatMul", &["x", "w"], "m", &[])
        .node("Sigmoid", &["m"], "g", &[])
        .node("Mul", &["x", "g"], "y", &[]);
    refused(&other, &["(Mul)", "'x' and 'g'"]);
    let misfit = |shape: &[i64], op: &str, attributes: &[Message]| {
        Model::new(&[1, 4])
            .constant(ints("s", &[shape.len() as i64], shape))
            .node("Reshape", &["x", "s"], "r", &[])
            .node(op, &["x", "r"], "y", attributes)
    };
    refused(&misfit(&[2, 2], "Add", &[]), &["[1, 4]", "[2, 2]", "do not fit"]);
    refused(&misfit(&[2, 2], "Concat", &[int("axis", 1)]), &["[1, 4]", "[2, 2]", "do not fit"]);
    refused(&misfit(&[4], "Concat", &[int("axis", 0)]), &["do not fit"]);
    refused(&misfit(&[1, 4], "Concat", &[int("axis", 2)]), &["axis 2"]);
    refused(&misfit(&[1, 4], "Concat", &[]), &["no axis"]);
    let nan = base().constant(floats("c", &[1, 1], &[f32::NAN])).node(
        "Concat",
        &["x", "c"],
        "y",
        &[int("axis", 1)],
    );
    refused(&nan, &["'c' holds NaN"]);
    // A value times 0.1 minus itself: 0, up to what the scale has lost.
    let rest = base()
        .constant(floats("c", &[1], &[3.0]))
        .node("Relu", &["x"], "r", &[])
        .node("Div", &["r", "c"], "d", &[])
        .node("Sub", &["d", "d"], "z", &[])
        .node("Relu", &["z"], "y", &[]);
    refused(&rest, &["scale of element 0 is 0", "too small"]);
}

#[test]
fn activations_with_bad_parameters() {
    let with = |op: &str, attributes: &[Message], holds: &[&str]| {
        refused(&base().opset(10).node(op, &["x"], "y", attributes), holds);
    };
    with("Clip", &[float("min", 2.0), float("max", 1.0)], &["(Clip)", "limits 2 and 1"]);
    with("Clip", &[float("min", 1.0), float("max", 1.0)], &["limits 1 and 1"]);
    with("Clip", &[float("min", -1e30), float("max", 1.0)], &["lower limit", "2^60"]);
    with("Clip", &[float("min", f32::NAN)], &["'min' is NaN"]);
    with("Elu", &[float("alpha", -1.0)], &["(Elu)", "scale -1"]);
    with("Elu", &[float("alpha", 1e-40)], &["(Elu)", "0 or normal"]);
    with("HardSigmoid", &[float("gamma", 1.0)], &["(HardSigmoid)", "'gamma'"]);
    with("Gelu", &[text("approximate", "tanh")], &["(Gelu)", "approximate", "not supported"]);
    with("Swish", &[float("alpha", 0.0)], &["(Swish)", "factor of 0"]);
    let clip = |c: Message, holds: &[&str]| {
        refused(&base().constant(c).node("Clip", &["x", "c"], "y", &[]), holds);
    };
    clip(floats("c", &[2], &[0.0, 1.0]), &["(Clip)", "'c'", "[2]", "one number"]);
    clip(floats("c", &[], &[f32::NAN]), &["limit NaN"]);
    clip(floats("c", &[], &[f32::INFINITY]), &["limit inf"]);
    refused(
        &base().node("Clip", &["x"], "y", &[float("min", 0.0)]),
        &["(Clip)", "'min'", "operator set 11"],
    );
    let depends = base().node("Clip", &["x", "x"], "y", &[]);
    refused(&depends, &["(Clip)"]);
    let erf = |one: f32, shape: &[i64]| {
        base()
            .constant(floats("k", shape, &vec![0.7; shape.iter().product::<i64>() as usize]))
            .constant(floats("one", &[], &[one]))
            .node("Mul", &["x", "k"], "s", &[])
            .node("Erf", &["s"], "e", &[])
            .node("Add", &["e", "one"], "g", &[])
            .node("Mul", &["x", "g"], "y", &[])
    };
    assert!(load(&erf(1.0, &[])).is_ok());
    refused(&erf(2.0, &[]), &["'one' is not 1"]);
    refused(&erf(1.0, &[2]), &["'k'", "[2]", "one number"]);
    refused(&erf(1.0, &[1, 1, 1]), &["'k'", "[1, 1, 1]"]);
}

#[test]
fn windows_that_are_none() {
    let pool = |dims: &[i64], attributes: &[Message], holds: &[&str]| {
        refused(&Model::new(dims).node("MaxPool", &["x"], "y", attributes), holds);
    };
    let kernel = || list("kernel_shape", &[2, 2]);
    let image = [1, 1, 3, 3];
    pool(&image, &[], &["(MaxPool)", "no kernel_shape"]);
    pool(&image, &[list("kernel_shape", &[2])], &["kernel of shape [2]", "[1, 1, 3, 3]"]);
    pool(&image, &[list("kernel_shape", &[4, 1])], &["extent 4", "3"]);
    pool(&image, &[kernel(), int("storage_order", 1)], &["'storage_order'", "not supported"]);
    pool(&image, &[kernel(), int("count_include_pad", 1)], &["'count_include_pad'"]);
    pool(&image, &[kernel(), list("pads", &[2, 0, 0, 0])], &["padding alone"]);
    pool(&image, &[kernel(), list("strides", &[0, 1])], &["strides [0, 1]"]);
    let same = text("auto_pad", "SAME_UPPER");
    pool(&image, &[kernel(), same, list("dilations", &[2, 1])], &["dilations", "SAME"]);
    pool(&[1, 3], &[list("kernel_shape", &[])], &["kernel of shape []"]);
    pool(&[3], &[kernel()], &["[3]", "spatial axes"]);
    refused(
        &Model::new(&[1, 3]).node("GlobalMaxPool", &["x"], "y", &[]),
        &["(GlobalMaxPool)", "spatial axes"],
    );
    // The indices of the maxima.
    let both = Message::default()
        .text(1, "x")
        .text(2, "m")
        .text(2, "y")
        .text(4, "MaxPool")
        .bytes(5, &kernel().0);
    refused(&Model::new(&image).field(1, both), &["output 1", "only output 0"]);
}

#[test]
fn graphs_that_are_not_functions() {
    let cycle = base().node("Add", &["b", "w"], "a", &[]).node("Relu", &["a"], "b", &[]).node(
        "Relu",
        &["b"],
        "y",
        &[],
    );
    refused(&cycle, &["depends on itself"]);
    refused(&base().node("Relu", &["y"], "y", &[]), &["depends on itself"]);
    refused(
        &base().node("Relu", &["nothing"], "y", &[]),
        &["'y_node' (Relu)", "'nothing' is not defined"],
    );
    refused(&base(), &["output 'y'", "not defined"]);
    let twice = base().node("Relu", &["x"], "y", &[]).node("Neg", &["x"], "y", &[]);
    refused(&twice, &["'y' is defined twice"]);
    refused(&base().node("Relu", &["x"], "w", &[]), &["'w' is defined twice"]);
    refused(
        &base().constant(floats("w", &[1], &[0.0])).node("Relu", &["x"], "y", &[]),
        &["initializer 'w'", "twice"],
    );
    refused(
        &base().node("Identity", &["w"], "y", &[]),
        &["output 'y'", "does not depend on the input"],
    );
    let second = Message::default().text(1, "x").text(2, "mask").text(2, "y").text(4, "Dropout");
    refused(&base().field(1, second), &["output 1", "only output 0"]);
}

#[test]
fn inputs_and_outputs_that_are_not_one() {
    let two = base().field(11, value_info("z", 1, &[1])).node("Relu", &["x"], "y", &[]);
    refused(&two, &["2 inputs ('x', 'z')"]);
    let two = base().field(12, Message::default().text(1, "z")).node("Relu", &["x"], "y", &[]);
    refused(&two, &["2 outputs ('y', 'z')"]);
    refused(&Model::empty(), &["no input"]);
    refused(&Model::empty().field(11, value_info("x", 1, &[1])), &["no output"]);
    let declared = Model::empty()
        .field(11, value_info("x", 1, &[1, 2]))
        .field(12, value_info("y", 1, &[1, 3]))
        .node("Relu", &["x"], "y", &[]);
    refused(&declared, &["[1, 3]", "[1, 2]"]);
}

#[test]
fn input_shapes() {
    let of = |dims: &[i64]| Model::new(dims).node("Relu", &["x"], "y", &[]);
    refused(&of(&[1, 0]), &["input 'x'", "dimension 1 is 0"]);
    refused(&of(&[1, -2]), &["dimension 1 is -2"]);
    refused(&of(&[1, -1]), &["dimension 1 is the symbol 'batch'"]);
    refused(&of(&[-1]), &["dimension 0"]);
    refused(&of(&[1 << 21]), &["2097152 elements", "1048576"]);
    refused(&of(&[i64::MAX, i64::MAX]), &["too large"]);
    let integers = Model::empty()
        .field(11, value_info("x", 7, &[1]))
        .field(12, Message::default().text(1, "y"))
        .node("Relu", &["x"], "y", &[]);
    refused(&integers, &["INT64"]);
}

#[test]
fn shapes_that_do_not_fit() {
    let misfit = |op: &str, c: Message, holds: &[&str]| {
        refused(&base().constant(c).node(op, &["x", "c"], "y", &[]), holds);
    };
    misfit("MatMul", floats("c", &[3, 1], &[0.0; 3]), &["[1, 2]", "[3, 1]"]);
    misfit("Gemm", floats("c", &[3, 1], &[0.0; 3]), &["[1, 2]", "[3, 1]"]);
    misfit("Gemm", floats("c", &[2], &[0.0; 2]), &["'c'", "[2]", "matrix"]);
    misfit("Add", floats("c", &[3], &[0.0; 3]), &["[1, 2]", "[3]"]);
    misfit("Add", floats("c", &[3, 2], &[0.0; 6]), &["[3, 2]", "repeated"]);
    misfit("Reshape", ints("c", &[2], &[3, -1]), &["[1, 2]", "[3, -1]"]);
    misfit("Reshape", ints("c", &[1], &[3]), &["[1, 2]", "[3]"]);
    misfit("Squeeze", ints("c", &[1], &[1]), &["axis 1", "[1, 2]"]);
    misfit("MatMul", floats("c", &[2, 2, 2], &[0.0; 8]), &["[2, 2, 2]", "batch"]);
    refused(
        &base().node("Transpose", &["x"], "y", &[list("perm", &[0, 0])]),
        &["[0, 0]", "[1, 2]"],
    );
    let gemm =
        base().constant(floats("c", &[3], &[0.0; 3])).node("Gemm", &["x", "w", "c"], "y", &[]);
    refused(&gemm, &["[3]", "[1, 2]"]);
    let conv = Model::new(&[1, 3, 4, 4]).constant(floats("w", &[1, 2, 1, 1], &[0.0; 2])).node(
        "Conv",
        &["x", "w"],
        "y",
        &[],
    );
    refused(&conv, &["(Conv)", "[1, 3, 4, 4]", "[1, 2, 1, 1]"]);
    let large = Model::new(&[1, 1, 2]).constant(floats("w", &[1, 1, 3], &[0.0; 3])).node(
        "Conv",
        &["x", "w"],
        "y",
        &[],
    );
    refused(&large, &["extent 3", "2"]);
}

#[test]
fn numbers_that_are_none() {
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let c = floats("c", &[2, 2], &[1.0, 2.0, value, 4.0]);
        let model = base().constant(c).node("MatMul", &["x", "c"], "y", &[]);
        refused(&model, &["'y_node' (MatMul)", "'c'", name, "[1, 0]"]);
        let b = floats("c", &[2], &[1.0, value]);
        refused(&base().constant(b).node("Add", &["x", "c"], "y", &[]), &["'c'", name, "[1]"]);
    }
    let zero = base().constant(floats("c", &[2], &[1.0, 0.0])).node("Div", &["x", "c"], "y", &[]);
    refused(&zero, &["'c' is 0 at [1]"]);
    refused(&base().node("Div", &["w", "x"], "y", &[]), &["(Div)"]);
    let tiny =
        base().constant(doubles("c", &[2, 1], &[1.0, 1e-60])).node("MatMul", &["x", "c"], "y", &[]);
    refused(&tiny, &["'c'", "[1, 0]", "too small"]);
    let huge =
        base().constant(doubles("c", &[2, 1], &[1.0, 1e60])).node("MatMul", &["x", "c"], "y", &[]);
    refused(&huge, &["'c'", "[1, 0]", "not a finite f32"]);
    let overflow = base()
        .constant(floats("c", &[1], &[3e38]))
        .node("Add", &["x", "c"], "a", &[])
        .node("Add", &["a", "c"], "y", &[]);
    refused(&overflow, &["bias", "finite"]);
}

#[test]
fn batch_normalization_of_no_variance() {
    let model = Model::new(&[1, 1])
        .constant(floats("one", &[1], &[1.0]))
        .constant(floats("var", &[1], &[-1.0]))
        .node("BatchNormalization", &["x", "one", "one", "one", "var"], "y", &[]);
    refused(&model, &["variance of channel 0 is -1"]);
    let training = Model::new(&[1, 1]).constant(floats("one", &[1], &[1.0])).node(
        "BatchNormalization",
        &["x", "one", "one", "one", "one"],
        "y",
        &[int("training_mode", 1)],
    );
    refused(&training, &["training"]);
}

#[test]
fn dropout_in_training() {
    let on = Message::default().int(2, 9).text(8, "mode").bytes(9, &[1]);
    refused(
        &base().constant(on).node("Dropout", &["x", "", "mode"], "y", &[]),
        &["(Dropout)", "training"],
    );
}

#[test]
fn constants_that_cannot_be_read() {
    let with = |c: Message, holds: &[&str]| {
        refused(&base().constant(c).node("Add", &["x", "c"], "y", &[]), holds);
    };
    with(Message::default().int(1, 2).int(2, 1).text(8, "c").int(14, 1), &["'c'", "external data"]);
    with(
        Message::default().int(1, 2).int(2, 1).text(8, "c").bytes(9, &[0; 7]),
        &["'c'", "7 bytes", "2 elements"],
    );
    with(Message::default().int(1, 2).int(2, 1).text(8, "c").float(4, 1.0), &["1 elements", "[2]"]);
    with(Message::default().int(1, 2).int(2, 8).text(8, "c"), &["STRING"]);
    with(Message::default().int(1, -2).int(2, 1).text(8, "c"), &["dimension -2"]);
    with(Message::default().int(1, 1 << 40).int(2, 1).text(8, "c"), &["more elements"]);
    with(
        Message::default().int(1, 1).int(2, 1).text(8, "c").float(4, 1.0).bytes(9, &[0; 4]),
        &["at once"],
    );
}

#[test]
fn rounding_arithmetic_on_constants() {
    let third = base()
        .constant(floats("a", &[1], &[1.0]))
        .constant(floats("b", &[1], &[3.0]))
        .node("Div", &["a", "b"], "c", &[])
        .node("Mul", &["x", "c"], "y", &[]);
    refused(&third, &["'c_node' (Div)", "not exact"]);
}

#[test]
fn sizes_beyond_the_limits() {
    let conv = Model::new(&[1, 1, 512, 512]).constant(floats("w", &[1, 1, 3, 3], &[1.0; 9])).node(
        "Conv",
        &["x", "w"],
        "y",
        &[],
    );
    refused(&conv, &["'y_node' (Conv)", "260100 x 262144", "67108864"]);
    let pads = Model::new(&[1]).constant(ints("p", &[2], &[1 << 40, 1 << 40])).node(
        "Pad",
        &["x", "p"],
        "y",
        &[],
    );
    refused(&pads, &["(Pad)", "1048576"]);
    // A layer of a round: 2 of 4 candidates pass by, 2 differences.
    let pool = Model::new(&[1, 1, 256, 256]).node(
        "MaxPool",
        &["x"],
        "y",
        &[list("kernel_shape", &[2, 2]), list("strides", &[2, 2])],
    );
    refused(&pool, &["'y_node' (MaxPool)", "65536 x 65536", "67108864"]);
    let wide = Model::new(&[1, 9000])
        .constant(floats("w", &[9000, 1], &[0.5; 9000]))
        .node("MatMul", &["x", "w"], "m", &[])
        .node("Add", &["x", "m"], "y", &[]);
    refused(&wide, &["'m_node' (MatMul)", "9001 x 9000", "67108864"]);
    let limits = import::Limits { weights: 10, ..import::Limits::default() };
    let model = base()
        .node("MatMul", &["x", "w"], "a", &[])
        .node("MatMul", &["a", "w"], "b", &[])
        .node("MatMul", &["b", "w"], "y", &[]);
    let error =
        import::onnx_within(&model.bytes(), Path::new("m"), limits).unwrap_err().to_string();
    assert!(error.contains("more than 10 weights"), "{error}");
}

#[test]
fn files_that_are_not_models() {
    for (bytes, part) in [
        (&b""[..], "no graph"),
        (b"hello, world", "byte"),
        (&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f], "longer than its message"),
        (&[0xff; 12], "more than 64 bits"),
    ] {
        let error = import::onnx(bytes, Path::new("m.onnx")).unwrap_err().to_string();
        assert!(error.starts_with("m.onnx: ") && error.contains(part), "{error}");
    }
    refused(&base().opset(1000).node("Relu", &["x"], "y", &[]), &["operator set 1000"]);
    let error = import::read(Path::new("model.txt")).unwrap_err().to_string();
    assert!(error.contains("expected .onnx, .nnet, .npz"), "{error}");
    let error = import::read(Path::new("/nonexistent/model.onnx")).unwrap_err();
    assert!(matches!(error, certus::error::Error::Io { .. }));
}

#[test]
fn names_are_shown_harmlessly() {
    let nasty =
        Message::default().text(1, "x").text(2, "y").text(3, "a\x1b[2Jb\n").text(4, "LpPool");
    refused(&Model::new(&[1]).field(1, nasty), &[r"'a\u{1b}[2Jb\n'"]);
}
