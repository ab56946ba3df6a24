//! Models that are damaged, hostile or not what is read.

use certus_engine::model::blob;

use super::writer::{Model, floats, node, value_info};
use super::{Folder, METHODS, certus, example, larger, layer, npy, refusal, refused, stdout};

/// `certus inspect` and `certus certify` both refuse these bytes under this name, in the same words.
#[track_caller]
fn refuses(folder: &Folder, name: &str, bytes: &[u8], words: &[&str]) {
    let model = folder.file(name, bytes);
    let line = refusal(&certus(&["inspect", &model]));
    for word in words.iter().chain([&name]) {
        assert!(line.contains(word), "'{word}' is not in: {line}");
    }
    let out = folder.path("out.jsonl");
    let data = example("digits.npz");
    let args = ["certify", &model, "--data", &data, "--epsilon", "1", "--out", &out];
    assert_eq!(refusal(&certus(&args)), line);
    assert!(!std::path::Path::new(&out).exists());
}

#[test]
fn files_that_are_none() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder.onnx")).unwrap();
    std::fs::create_dir(folder.path("folder.certus")).unwrap();
    for name in ["absent.onnx", "absent.certus", "folder.onnx", "folder.certus", "absent.npz"] {
        refused(&["inspect", &folder.path(name)], &[name]);
    }
    for name in ["empty.onnx", "empty.nnet", "empty.npz", "empty.certus"] {
        refuses(&folder, name, b"", &[]);
    }
    refuses(&folder, "model.txt", b"", &["expected .onnx, .nnet, .npz or .certus"]);
    refuses(&folder, "zeros.certus", &[0; 4096], &["expected it to begin with CRTS"]);
    refuses(&folder, "odd.certus", &larger()[..37], &["byte 37", "4 bytes"]);
}

#[test]
fn cut_off_onnx() {
    let folder = Folder::new();
    let whole = std::fs::read(example("digits.onnx")).unwrap();
    let lengths = (0..24).chain((0..24).map(|i| i * whole.len() / 24)).chain([whole.len() - 1]);
    for length in lengths {
        let model = folder.file("cut.onnx", &whole[..length]);
        refused(&["inspect", &model], &["cut.onnx: "]);
    }
}

#[test]
fn damaged_onnx_is_refused_or_another_network() {
    let folder = Folder::new();
    let whole = std::fs::read(example("pendulum.onnx")).unwrap();
    let mut kept = 0;
    for i in 0..60 {
        let mut bytes = whole.clone();
        let at = i * 7919 % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let model = folder.file("flip.onnx", &bytes);
        let output = certus(&["bounds", &model, "--box", "-0.1", "0.1"]);
        match output.status.code() {
            Some(0 | 2) => kept += 1,
            _ => assert!(refusal(&output).contains("flip.onnx: ")),
        }
    }
    // Most of the file is weights, and a weight with another bit is a weight.
    assert!((10..60).contains(&kept), "{kept}");
}

#[test]
fn operators_that_are_not_known_are_named() {
    let folder = Folder::new();
    let unit = || floats("w", &[2, 2], &[1.0, 0.0, 0.0, 1.0]);
    for op in ["LpPool", "Selu", "Softmax", "LSTM", "Erf"] {
        let graph = Model::new(&[-1, 2]).constant(unit()).node("MatMul", &["x", "w"], "h", &[]);
        let graph = graph.node(op, &["h"], "y", &[]);
        refuses(&folder, "op.onnx", &graph.bytes(), &[op, "y_node"]);
    }
}

#[test]
fn graphs_that_lead_nowhere() {
    let folder = Folder::new();
    let cycle = Model::new(&[-1, 2])
        .node("Relu", &["b"], "a", &[])
        .node("Relu", &["a"], "b", &[])
        .node("Add", &["x", "b"], "y", &[]);
    refuses(&folder, "cycle.onnx", &cycle.bytes(), &["_node"]);
    let own = Model::new(&[-1, 2]).node("Add", &["x", "y"], "y", &[]);
    refuses(&folder, "self.onnx", &own.bytes(), &["y_node"]);
    let open = Model::new(&[-1, 2]).node("Add", &["x", "absent"], "y", &[]);
    refuses(&folder, "open.onnx", &open.bytes(), &["absent"]);
    let none = Model::empty().field(11, value_info("x", 1, &[-1, 2]));
    refuses(&folder, "none.onnx", &none.bytes(), &[]);
}

#[test]
fn sizes_that_are_claimed_take_no_memory() {
    let folder = Folder::new();
    for dims in [[1 << 40, 2], [1 << 62, 4], [-1, 2], [0, 0], [i64::MAX, i64::MAX]] {
        let graph = Model::new(&[-1, 2]).constant(floats("w", &dims, &[1.0; 4])).node(
            "MatMul",
            &["x", "w"],
            "y",
            &[],
        );
        refuses(&folder, "huge.onnx", &graph.bytes(), &["w"]);
    }
    let input = Model::new(&[-1, 1 << 40]).node("Relu", &["x"], "y", &[]);
    refuses(&folder, "wide.onnx", &input.bytes(), &[]);
}

#[test]
fn weights_are_finite() {
    let folder = Folder::new();
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let graph = Model::new(&[-1, 2])
            .constant(floats("w", &[2, 2], &[1.0, 0.0, wrong, 1.0]))
            .node("MatMul", &["x", "w"], "y", &[]);
        refuses(&folder, "nan.onnx", &graph.bytes(), &["'w' holds", "[1, 0]", "must be finite"]);
    }
    let graph = Model::new(&[-1, 2])
        .constant(floats("w", &[2, 2], &[1.0; 4]))
        .constant(floats("b", &[2], &[0.0, f32::NAN]))
        .field(1, node("Gemm", &["x", "w", "b"], "y", &[]));
    refuses(&folder, "bias.onnx", &graph.bytes(), &["'b' holds NaN", "must be finite"]);
}

#[test]
fn a_blob_with_any_damaged_word_is_refused() {
    let folder = Folder::new();
    let whole = larger();
    let words: Vec<u32> =
        whole.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
    let save = |words: &[u32]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        folder.file("bad.certus", bytes)
    };
    let told = |words: &[u32]| refusal(&certus(&["inspect", &save(words)]));
    for at in 0..words.len() {
        let mut words = words.clone();
        words[at] ^= 1 << (at % 32);
        assert!(told(&words).contains("bad.certus: blob: "));
    }
    // With the checksum mended, each field is told by itself.
    let sealed = |at: usize, value: u32| {
        let mut words = words.clone();
        words[at] = value;
        words[blob::CRC_WORD] = blob::crc(&words);
        told(&words)
    };
    let entry = blob::HEADER_WORDS;
    for (at, value, expected) in [
        (0, 0x1234_5678, "begin with CRTS"),
        (1, 9, "format version 9, expected 1 to 2"),
        (2, 3, "length"),
        (2, u32::MAX, "length"),
        (4, 0, "layer count"),
        (4, u32::MAX, "layer count"),
        (5, 7, "input width"),
        (6, 7, "output width"),
        (7, 1, "reserved"),
        (entry, 0, "layer 0: bad Rows"),
        (entry, u32::MAX, "layer 0: bad Rows"),
        (entry + 1, 3, "input width"),
        (entry + 13, 3, "layer 1: bad Columns"),
        (entry + 2, 77, "layer 0: bad Activation"),
        (entry + 2, 1 | 9 << 16, "layer 0: bad WeightKind"),
        (entry + 3, 1, "layer 0: bad Activation"),
        (entry + 4, 1, "layer 0: bad WeightOffset"),
        (entry + 5, u32::MAX, "layer 0: bad BiasOffset"),
        (entry + 6, 2f32.to_bits(), "layer 0: bad WeightError"),
        (entry + 7, f32::NAN.to_bits(), "layer 0: bad BiasError"),
        (entry + 8, 1, "layer 0: bad Activation"),
        (entry + 9, u32::MAX, "layer 0: bad Through"),
        (entry + 10, 1, "layer 0: bad Reserved"),
        (entry + 24, f32::INFINITY.to_bits(), "layer 0: bad Weight"),
        (entry + 28, f32::NAN.to_bits(), "layer 0: bad Bias"),
    ] {
        let line = sealed(at, value);
        assert!(line.contains(expected), "word {at}: {line}");
    }
    for length in 0..words.len() {
        assert!(told(&words[..length]).contains("bad.certus: blob: "));
    }
    let mut longer = words.clone();
    longer.push(0);
    assert!(told(&longer).contains("length"));
}

#[test]
fn weights_that_f16_cannot_hold_are_named() {
    let folder = Folder::new();
    let model = super::blob(vec![layer(2, 2, |i, j| if i == j { 1e6 } else { 0.0 }, true)]);
    let (model, out) = (folder.file("m.certus", model), folder.file("out.certus", "before"));
    let args = ["pack", &model, "-o", &out, "--weights", "f16"];
    refused(&args, &["m.certus: ", "layer 0", "1000000", "65504"]);
    assert_eq!(folder.read("out.certus"), "before");
}

#[test]
fn a_network_of_one_output_is_no_classifier() {
    refused(
        &["radius", &example("pendulum.onnx"), "--data", &example("pendulum.npy")],
        &["pendulum.onnx: output: 1 output", "certus bounds"],
    );
}

#[test]
fn a_sample_that_overflows_is_unknown_and_the_others_are_finished() {
    let folder = Folder::new();
    let scale = |i: usize, j: usize| if i == j { 1e25 } else { 0.0 };
    let unit = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
    let net = super::blob(vec![layer(2, 2, scale, false), layer(2, 2, unit, true)]);
    let model = folder.file("m.certus", net);
    let values = [3.0, 1.0, 1e10, 1.0, 1.0, 3.0, 1.0, 1e10];
    let data = folder.file("d.npy", npy("(4, 2)", &values));
    for (what, more) in [("certify", &["--epsilon", "0.5"][..]), ("radius", &[])] {
        for method in METHODS {
            let base = [what, &model, "--data", &data, "--format", "jsonl", "--method", method];
            let output = certus(&[&base[..], more].concat());
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(told.starts_with("certus: row 1 is unknown: "), "{told}");
            assert!(told.contains("2^100") && told.ends_with(" (and so for 1 more)\n"), "{told}");
            let found = super::lines(&String::from_utf8(output.stdout).unwrap());
            let verdicts: Vec<&str> =
                found.iter().map(|value| value["verdict"].as_str().unwrap()).collect();
            assert_eq!(verdicts, ["certified", "unknown", "certified", "unknown"], "{method}");
        }
    }
    // What overflows f32 has no answer, and says so.
    let data = folder.file("inf.npy", npy("(1, 2)", &[3e38, 3e38]));
    let output = certus(&["certify", &model, "--data", &data, "--epsilon", "1"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn other_formats_are_read_and_refused_alike() {
    let folder = Folder::new();
    let nnet = "// comment\n1,2,2,2,\n2,2,\n0,\n0,0,\n1,1,\n0,0,0,\n1,1,1,\n1,0,\n0,1,\n0,\n0,\n";
    let model = folder.file("net.nnet", nnet);
    let told = certus(&["inspect", &model]);
    if told.status.code() == Some(0) {
        assert!(stdout(&told, 0).contains("2 inputs, 2 outputs"));
    }
    refuses(&folder, "cut.nnet", &nnet.as_bytes()[..nnet.len() / 2], &[]);
    refuses(&folder, "text.npz", b"PK\x03\x04 but no more", &[]);
    refuses(&folder, "words.nnet", b"// x\na,b,c\n", &[]);
}
