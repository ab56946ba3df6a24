//! Bytes that no exporter writes: an error or a network, quickly, and never a panic.

use std::path::Path;
use std::time::{Duration, Instant};

use certus::import;

use crate::writer::{Message, Model, float, floats, int, ints, list, tensor};

/// Small models that between them use most operators.
fn models() -> Vec<Vec<u8>> {
    let dense = Model::new(&[-1, 1, 1, 4])
        .constant(floats("mean", &[1, 1, 1, 4], &[0.1, 0.2, 0.3, 0.4]))
        .constant(floats("w", &[4, 3], &[0.5; 12]))
        .constant(floats("b", &[3], &[0.1; 3]))
        .node("Sub", &["x", "mean"], "s", &[])
        .node("Flatten", &["s"], "f", &[int("axis", 1)])
        .node("MatMul", &["f", "w"], "m", &[])
        .node("Add", &["m", "b"], "a", &[])
        .node("LeakyRelu", &["a"], "y", &[float("alpha", 0.1)]);
    let conv = Model::new(&[1, 1, 4, 4])
        .opset(9)
        .constant(floats("k", &[2, 1, 2, 2], &[0.25; 8]))
        .constant(floats("n", &[2], &[1.5; 2]))
        .constant(floats("w", &[1, 4], &[0.5; 4]))
        .node(
            "Conv",
            &["x", "k", "n"],
            "c",
            &[list("strides", &[2, 2]), list("pads", &[1, 1, 1, 1])],
        )
        .node("BatchNormalization", &["c", "n", "n", "n", "n"], "bn", &[float("epsilon", 0.1)])
        .node("Relu", &["bn"], "r", &[])
        .node("AveragePool", &["r"], "p", &[list("kernel_shape", &[2, 2])])
        .node("Transpose", &["p"], "t", &[list("perm", &[0, 2, 3, 1])])
        .node("Shape", &["t"], "shape", &[])
        .node("Constant", &[], "zero", &[tensor("value", ints("", &[], &[0]))])
        .node("Gather", &["shape", "zero"], "g", &[int("axis", 0)])
        .node("Unsqueeze", &["g"], "u", &[list("axes", &[0])])
        .node("Constant", &[], "open", &[tensor("value", ints("", &[1], &[-1]))])
        .node("Concat", &["u", "open"], "to", &[int("axis", 0)])
        .node("Reshape", &["t", "to"], "flat", &[])
        .node("GlobalAveragePool", &["flat"], "y", &[]);
    let folded = Model::new(&[2])
        .constant(floats("c", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
        .constant(ints("one", &[1], &[1]))
        .constant(ints("pads", &[2], &[1, 1]))
        .constant(ints("three", &[1], &[3]))
        .node("Slice", &["c", "one", "three", "one"], "s", &[])
        .node("ConstantOfShape", &["three"], "z", &[])
        .node("Squeeze", &["x"], "q", &[])
        .node("MatMul", &["q", "s"], "m", &[])
        .node("Pad", &["m", "pads"], "p", &[])
        .node("Dropout", &["p"], "y", &[]);
    let joined = Model::new(&[1, 1, 4])
        .opset(11)
        .constant(floats("lo", &[], &[-0.5]))
        .constant(floats("hi", &[], &[2.0]))
        .constant(floats("two", &[1], &[2.0]))
        .constant(floats("one", &[1], &[1.0]))
        .constant(floats("w", &[3, 4], &[0.5; 12]))
        .node("MaxPool", &["x"], "p", &[list("kernel_shape", &[3]), int("ceil_mode", 1)])
        .node("Clip", &["p", "lo", "hi"], "c", &[])
        .node("Concat", &["c", "one3"], "j", &[int("axis", 2)])
        .constant(floats("one3", &[1, 1, 1], &[1.0]))
        .node("MatMul", &["j", "w"], "m", &[])
        .node("Sigmoid", &["m"], "g", &[])
        .node("Mul", &["m", "g"], "s", &[])
        .node("Sub", &["x", "s"], "r", &[])
        .node("Div", &["r", "two"], "d", &[])
        .node("Erf", &["d"], "e", &[])
        .node("Add", &["e", "one"], "a", &[])
        .node("Mul", &["r", "a"], "u", &[])
        .node("Elu", &["u"], "v", &[float("alpha", 0.5)])
        .node("Add", &["v", "x"], "y", &[]);
    [dense, conv, folded, joined].iter().map(Model::bytes).collect()
}

/// Imports, and checks what must hold of any result.
#[track_caller]
fn survives(bytes: &[u8]) {
    let start = Instant::now();
    if let Ok(network) = import::onnx(bytes, Path::new("hostile.onnx")) {
        let mut width = network.inputs;
        for layer in &network.layers {
            assert_eq!(layer.cols, width);
            assert_eq!(layer.weights.len(), layer.rows * layer.cols);
            assert!(layer.weights.iter().chain(&layer.bias).all(|x| x.is_finite()));
            width = layer.rows;
        }
    }
    // One second on a machine of its own; tests share one.
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
}

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn the_models_themselves_import() {
    for (i, bytes) in models().iter().enumerate() {
        import::onnx(bytes, Path::new("m.onnx")).unwrap_or_else(|e| panic!("model {i}: {e}"));
    }
}

#[test]
fn every_truncation() {
    for bytes in models() {
        for end in 0..bytes.len() {
            survives(&bytes[..end]);
        }
    }
}

#[test]
fn every_byte_at_its_extremes() {
    for bytes in models() {
        for i in 0..bytes.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[i] = value;
                survives(&bytes);
            }
        }
    }
}

#[test]
fn random_flips_and_splices() {
    let models = models();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3000 {
        let mut bytes = models[random.below(models.len())].clone();
        for _ in 0..=random.below(4) {
            let i = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[i] ^= 1 << random.below(8),
                1 => {
                    bytes.truncate(i + 1);
                }
                _ => {
                    let other = &models[random.below(models.len())];
                    let (from, length) = (random.below(other.len()), random.below(40));
                    let part: Vec<u8> = other[from..].iter().copied().take(length).collect();
                    let end = (i + random.below(40)).min(bytes.len());
                    bytes.splice(i..end, part);
                    bytes.push(0);
                }
            }
        }
        survives(&bytes);
    }
}

#[test]
fn deep_nesting_is_not_followed() {
    // A graph in an attribute of a node of a graph, a hundred thousand deep.
    let mut tail = Vec::new();
    let mut length = 0u64;
    let mut headers = Vec::new();
    for depth in 0..100_000u64 {
        let field = [1u8 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2][(depth % 3) as usize];
        let mut header = vec![field];
        let mut rest = length;
        while rest >= 0x80 {
            header.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        header.push(rest as u8);
        length += header.len() as u64;
        headers.push(header);
    }
    for header in headers.into_iter().rev() {
        tail.extend(header);
    }
    survives(&Message::default().bytes(7, &tail).0);
}

#[test]
fn sizes_that_only_claim() {
    // Lengths and dimensions far beyond the file.
    let claimed = Message::default().ints(1, &[1 << 20, 1 << 20]).int(2, 1).text(8, "w");
    survives(&Model::new(&[1, 1]).constant(claimed).node("MatMul", &["x", "w"], "y", &[]).bytes());
    let doubling =
        (0..60).fold(Model::new(&[1]).constant(ints("c0", &[1024], &[1; 1024])), |model, i| {
            let (from, to) = (format!("c{i}"), format!("c{}", i + 1));
            model.node("Concat", &[&from, &from], &to, &[int("axis", 0)])
        });
    survives(&doubling.node("Add", &["x", "c60"], "y", &[]).bytes());
    let many = (0..2000).fold(Model::new(&[1 << 20]), |model, i| {
        let (from, to) = (if i == 0 { "x".into() } else { format!("n{i}") }, format!("n{}", i + 1));
        model.node("Neg", &[&from], &to, &[])
    });
    survives(&many.node("Relu", &["n2000"], "y", &[]).bytes());
    // Values that all are needed at the end, sums that double, and windows without end.
    let kept = (0..64)
        .fold(Model::new(&[1 << 20]), |model, i| model.node("Neg", &["x"], &format!("n{i}"), &[]));
    let kept = (0..64).fold(kept, |model, i| {
        let (from, to) = (if i == 0 { "x".into() } else { format!("s{i}") }, format!("s{}", i + 1));
        model.node("Add", &[&from, &format!("n{i}")], &to, &[])
    });
    survives(&kept.node("Relu", &["s64"], "y", &[]).bytes());
    let doubled = (0..60).fold(Model::new(&[1, 1]), |model, i| {
        let (from, to) = (if i == 0 { "x".into() } else { format!("d{i}") }, format!("d{}", i + 1));
        model.node("Concat", &[&from, &from], &to, &[int("axis", 1)])
    });
    survives(&doubled.node("Relu", &["d60"], "y", &[]).bytes());
    let deep = (0..3000).fold(Model::new(&[1, 40]), |model, i| {
        let (from, to) = (if i == 0 { "x".into() } else { format!("a{i}") }, format!("a{}", i + 1));
        let relu = format!("r{i}");
        model.node("Relu", &[&from], &relu, &[]).node("Add", &[&relu, "x"], &to, &[])
    });
    survives(&deep.node("Relu", &["a3000"], "y", &[]).bytes());
    for (dims, kernel, pads) in [
        (vec![1, 1, 1 << 19], vec![1 << 18], vec![0, 0]),
        (vec![1, 1, 4, 4], vec![1 << 29, 1 << 29], vec![1 << 28; 4]),
        (vec![1, 1, 1000, 1000], vec![1, 1], vec![0, 0, 1 << 29, 1 << 29]),
        (vec![1, 1, 1024, 1024], vec![3, 3], vec![1; 4]),
    ] {
        let attributes = [list("kernel_shape", &kernel), list("pads", &pads), int("ceil_mode", 1)];
        survives(&Model::new(&dims).node("MaxPool", &["x"], "y", &attributes).bytes());
    }
    survives(&Model::new(&[1, 1, 1 << 20]).node("GlobalMaxPool", &["x"], "y", &[]).bytes());
    let shape = ints("s", &[3], &[0, 1 << 40, 1 << 40]);
    let empty = Model::new(&[1])
        .constant(shape)
        .constant(ints("i", &[1], &[0]))
        .node("ConstantOfShape", &["s"], "e", &[])
        .node("Transpose", &["e"], "t", &[])
        .node("Gather", &["t", "i"], "g", &[])
        .node("Concat", &["g", "g"], "c", &[int("axis", 0)])
        .node("Add", &["x", "c"], "y", &[]);
    survives(&empty.bytes());
    let window = Model::new(&[1, 1, 1000]).constant(floats("w", &[1, 1, 1], &[1.0])).node(
        "Conv",
        &["x", "w"],
        "y",
        &[list("pads", &[1 << 30, 1 << 30])],
    );
    survives(&window.bytes());
    let pool = Model::new(&[1, 1, 4, 4]).node(
        "AveragePool",
        &["x"],
        "y",
        &[list("kernel_shape", &[1 << 29, 1 << 29]), list("pads", &[1 << 29; 4])],
    );
    survives(&pool.bytes());
}
