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
    for op in
        ["MaxPool", "Sigmoid", "Tanh", "Clip", "Exp", "If", "Loop", "ReduceMean", "Elu", "Softplus"]
    {
        refused(
            &Model::new(&[1, 1, 2, 2]).node(op, &["x"], "y", &[]),
            &["test.onnx: node 'y_node' (", op, "not supported"],
        );
    }
    refused(&base().node("Softmax", &["x"], "y", &[]), &["(Softmax)", "logits"]);
    let unnamed = Message::default().text(1, "x").text(2, "y").text(4, "MaxPool");
    refused(&Model::new(&[1]).field(1, unnamed), &["node 0 (MaxPool)"]);
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
fn branches() {
    let add = base().node("Relu", &["x"], "r", &[]).node("Add", &["r", "x"], "y", &[]);
    refused(&add, &["'y_node' (Add)", "'x'", "branches"]);
    refused(&base().node("Mul", &["x", "x"], "y", &[]), &["(Mul)", "branches"]);
    let two = base()
        .node("MatMul", &["x", "w"], "a", &[])
        .node("MatMul", &["x", "w"], "b", &[])
        .node("Concat", &["a", "b"], "y", &[int("axis", 1)]);
    refused(&two, &["'x' is used by node", "branches"]);
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
        Message::default().text(1, "x").text(2, "y").text(3, "a\x1b[2Jb\n").text(4, "MaxPool");
    refused(&Model::new(&[1]).field(1, nasty), &[r"'a\u{1b}[2Jb\n'"]);
}
