//! `certus plot regions`, mostly on the shipped classifier of the plane.

use super::writer::{Model, floats};
use super::{Folder, blob, certus, example, layer, refused, stdout};

fn plane(more: &[&str]) -> std::process::Output {
    certus(&[&["plot", "regions", &example("plane.onnx")], more].concat())
}

#[test]
fn a_picture_says_what_it_shows() {
    let svg = stdout(&plane(&["--center", "1,-0.3", "--norm", "l2"]), 0);
    assert!(svg.starts_with("<svg width=\"980\" height=\"760\"") && svg.ends_with("</svg>\n"));
    for text in ["plane.onnx", "linear regions in the window", "class 0", "class 1", "input 0"] {
        assert!(svg.contains(text), "{text}");
    }
    for text in ["simplex certificate, l2", "nearest other decision", "(1, -0.3)", "dB = 0.165"] {
        assert!(svg.contains(text), "{text}");
    }
    // Where the region's border is nearer, nothing is known exactly.
    let svg = stdout(&plane(&["--center", "0.5,0.6", "--norm", "l2"]), 0);
    assert!(!svg.contains("nearest other decision"));
    for norm in ["l1", "l1.5", "l3", "linf"] {
        let svg = stdout(&plane(&["--center", "-0.5,0.6", "--norm", norm, "--extent", "2"]), 0);
        assert!(svg.contains(&format!("simplex certificate, {norm}")));
    }
}

#[test]
fn centres_from_a_file_and_slices_of_many_inputs() {
    let folder = Folder::new();
    let out = folder.path("digits.svg");
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    let args = ["plot", "regions", &model, "--center", &data, "--row", "2", "--axes", "20,30"];
    assert_eq!(stdout(&certus(&[&args[..], &["--out", &out]].concat()), 0), "");
    let svg = folder.read("digits.svg");
    assert!(svg.contains("inputs 20 and 30 of 64") && svg.contains("input 30"));
    let row = ["--center", &example("plane.npz"), "--row", "99"];
    assert!(stdout(&plane(&row), 0).contains("class"));
}

#[test]
fn wrong_use_is_told() {
    let folder = Folder::new();
    let model = example("plane.onnx");
    let wrong = |more: &[&str], words: &[&str]| {
        refused(&[&["plot", "regions", &model], more].concat(), words);
    };
    wrong(&[], &["--center"]);
    wrong(&["--center", "1"], &["--center '1': 1 numbers", "2 inputs"]);
    wrong(&["--center", "1,2,3"], &["3 numbers", "2 inputs"]);
    wrong(&["--center", "1,nan"], &["--center '1,nan'", "finite"]);
    wrong(&["--center", "1,1e39"], &["--center '1,1e39'", "finite"]);
    wrong(&["--center", "1,x"], &["--center '1,x'", "not all numbers"]);
    wrong(&["--center", "absent.npy"], &["absent.npy: "]);
    wrong(&["--center", &example("digits.npz")], &["64 numbers a row", "2 inputs"]);
    wrong(&["--center", &example("plane.npz"), "--row", "100"], &["--row 100", "100 rows"]);
    wrong(&["--center", "1,2", "--axes", "0,2"], &["--axes '0,2'", "2 inputs"]);
    wrong(&["--center", "1,2", "--axes", "1"], &["--axes '1'", "I,J"]);
    wrong(&["--center", "1,2", "--extent", "0"], &["--extent", "above 0"]);
    wrong(&["--center", "1,2", "--extent", "nan"], &["--extent", "above 0"]);
    wrong(&["--center", "1,2", "--out", &model], &["--out", "is also MODEL"]);
    let digits = [example("digits.onnx"), example("digits.npz")];
    let args = ["plot", "regions", &digits[0], "--center", &digits[1]];
    refused(&args, &["64 inputs, expected 2", "--axes"]);
    let pendulum = example("pendulum.onnx");
    refused(&["plot", "regions", &pendulum, "--center", "0,0"], &["1 output", "classifier"]);
    // Overflow in the network is told, not drawn.
    let huge = |rows, cols, last| layer(rows, cols, |_, _| f32::MAX, last);
    let deep = (0..10).map(|k| huge(2, 2, k == 9)).collect();
    let deep = folder.file("deep.certus", blob(deep));
    refused(&["plot", "regions", &deep, "--center", "1,1"], &["2^100"]);
    let unit = floats("w", &[2, 2], &[1.0, 0.0, 0.0, 1.0]);
    let smooth = Model::new(&[-1, 2]).constant(unit).node("MatMul", &["x", "w"], "h", &[]);
    let smooth = folder.file("smooth.onnx", smooth.node("Tanh", &["h"], "y", &[]).bytes());
    refused(
        &["plot", "regions", &smooth, "--center", "0,0"],
        &["tanh after layer 0", "expected ReLU"],
    );
    refused(&["plot", "nothing"], &["nothing", "certus plot --help"]);
    assert_eq!(certus(&["plot"]).status.code(), Some(4));
}
