//! A tanh network, a skip connection and max pooling through every command.
//!
//! Each has two classes and one sample, whose class changes where two numbers that are 0.8 apart
//! become equal: at a distance of 0.4 in linf, exactly.

use serde_json::Value;

use super::writer::{Model, floats, list};
use super::{Folder, METHODS, certus, lines, npy, refused, stdout};

/// Where the class changes.
const DISTANCE: f64 = 0.4;

struct Case {
    name: &'static str,
    model: Model,
    sample: &'static [f32],
    /// What `inspect` says.
    told: &'static [&'static str],
    /// The outputs over the box from -1 to 1.
    range: (f64, f64),
}

fn cases() -> [Case; 3] {
    let unit = || floats("w", &[2, 2], &[1.0, 0.0, 0.0, 1.0]);
    let tanh = Model::new(&[-1, 2])
        .constant(unit())
        .node("MatMul", &["x", "w"], "h", &[])
        .node("Tanh", &["h"], "t", &[])
        .node("MatMul", &["t", "w"], "y", &[]);
    let residual = Model::new(&[-1, 2])
        .constant(unit())
        .node("MatMul", &["x", "w"], "h", &[])
        .node("Relu", &["h"], "r", &[])
        .node("MatMul", &["r", "w"], "f", &[])
        .node("Add", &["f", "x"], "y", &[]);
    let windows = [list("kernel_shape", &[2]), list("strides", &[2])];
    let pool = Model::new(&[-1, 1, 4]).node("MaxPool", &["x"], "y", &windows);
    [
        Case {
            name: "tanh.onnx",
            model: tanh,
            sample: &[1.0, 0.2],
            told: &["tanh"],
            range: (-1f64.tanh(), 1f64.tanh()),
        },
        Case {
            name: "residual.onnx",
            model: residual,
            sample: &[1.0, 0.2],
            told: &["ReLU", "2 rows pass by the activation"],
            range: (-1.0, 2.0),
        },
        Case {
            name: "pool.onnx",
            model: pool,
            sample: &[0.0, 1.0, 0.2, 0.1],
            told: &["ReLU", "2 rows pass by the activation"],
            range: (-1.0, 1.0),
        },
    ]
}

/// The files of a case.
fn files(folder: &Folder, case: &Case) -> (String, String) {
    let model = folder.file(case.name, case.model.bytes());
    let shape = format!("(1, {})", case.sample.len());
    (model, folder.file("sample.npy", npy(&shape, case.sample)))
}

/// The one line of a run, which may end with 0, 1 or 2.
fn line(args: &[&str]) -> Value {
    let output = certus(&[args, &["--format", "jsonl"]].concat());
    let code = output.status.code().filter(|code| *code <= 2).expect("no refusal");
    lines(&stdout(&output, code)).pop().expect("a line")
}

const SEMANTICS: [&str; 2] = ["real", "deployed"];

#[test]
fn they_certify_below_their_distance_only() {
    let folder = Folder::new();
    for case in cases() {
        let (model, data) = files(&folder, &case);
        for semantics in SEMANTICS {
            for method in METHODS.into_iter().chain(["alpha-crown"]) {
                let verdict = |epsilon: &str| {
                    let base = ["certify", &model, "--data", &data, "--method", method];
                    let more = ["--semantics", semantics, "--epsilon", epsilon];
                    line(&[base.as_slice(), &more].concat())["verdict"].clone()
                };
                // Intervals lose that what passes by and the difference move together.
                let loose = case.name == "pool.onnx" && method == "ibp";
                let expected = if loose { "unknown" } else { "certified" };
                assert_eq!(verdict("0.2"), expected, "{} {method} {semantics}", case.name);
                // One that escalates attacks what it cannot prove.
                let expected = if method == "auto" { "falsified" } else { "unknown" };
                assert_eq!(verdict("0.401"), expected, "{} {method} {semantics}", case.name);
            }
        }
    }
}

#[test]
fn their_radii_and_attacks_meet_the_distance() {
    let folder = Folder::new();
    for case in cases() {
        let (model, data) = files(&folder, &case);
        for semantics in SEMANTICS {
            let args = ["radius", &model, "--data", &data, "--semantics", semantics, "--attack"];
            let found = line(&args);
            let number = |field: &str| found[field].as_f64().unwrap();
            let (radius, attacked) = (number("radius"), number("attacked"));
            assert!((0.2..=DISTANCE).contains(&radius), "{}: {found}", case.name);
            // 1 and 0.2 are f32: their difference is off by half an ulp of each.
            let below = DISTANCE - 2f64.powi(-24);
            assert!((below..DISTANCE + 0.01).contains(&attacked), "{}: {found}", case.name);
        }
        for method in ["fgsm", "ifgsm", "pgd", "deepfool"] {
            let verdict = |epsilon: &str| {
                let base = ["attack", &model, "--data", &data, "--method", method];
                line(&[base.as_slice(), &["--epsilon", epsilon]].concat())["verdict"].clone()
            };
            assert_eq!(verdict("0.5"), "falsified", "{} {method}", case.name);
            assert_eq!(verdict("0.399"), "unknown", "{} {method}", case.name);
        }
    }
}

#[test]
fn their_outputs_are_bounded() {
    let folder = Folder::new();
    for case in cases() {
        let (model, _) = files(&folder, &case);
        for semantics in SEMANTICS {
            let base = ["bounds", &model, "--box", "-1", "1", "--format", "jsonl"];
            let more = ["--semantics", semantics, "--method", "crown"];
            let output = certus(&[base.as_slice(), &more].concat());
            let found = lines(&stdout(&output, 0));
            assert_eq!(found.len(), 2, "{}: {found:?}", case.name);
            for value in &found {
                let end = |name: &str| value[name].as_f64().unwrap();
                let (lower, upper) = (end("lower"), end("upper"));
                assert!(lower <= case.range.0 && case.range.1 <= upper, "{}: {value}", case.name);
                // By hand: x + relu(x) >= 2 x, and b + relu(a - b) <= (a + b) / 2 + 1.
                assert!(lower >= -2.001 && upper <= 2.001, "{}: {value}", case.name);
            }
        }
    }
}

#[test]
fn they_are_told_packed_and_read_again() {
    let folder = Folder::new();
    for case in cases() {
        let (model, data) = files(&folder, &case);
        let told = stdout(&certus(&["inspect", &model]), 0);
        for word in case.told {
            assert!(told.contains(word), "'{word}' is not in: {told}");
        }
        let blob = folder.path("packed.certus");
        stdout(&certus(&["pack", &model, "-o", &blob]), 0);
        let ask = |model: &str| line(&["radius", model, "--data", &data, "--method", "crown"]);
        assert_eq!(ask(&model), ask(&blob), "{}", case.name);
        let half = folder.path("half.certus");
        stdout(&certus(&["pack", &model, "-o", &half, "--weights", "f16"]), 0);
        assert_eq!(ask(&half), ask(&blob), "weights 0, 1 and -1 are f16");
    }
}

#[test]
fn linear_regions_are_refused_by_name() {
    let folder = Folder::new();
    for case in cases() {
        let (model, data) = files(&folder, &case);
        let words = if case.name == "tanh.onnx" { "tanh" } else { "pass by" };
        for method in ["simplex", "region-search", "crown-quad", "fast-lip"] {
            let args = ["certify", &model, "--data", &data, "--epsilon", "0.1", "--method", method];
            refused(&args, &[words]);
        }
    }
}
