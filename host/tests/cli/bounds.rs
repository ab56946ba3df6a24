//! `certus bounds`, mostly on the shipped controller.

use certus::cpu::Runner;
use certus::import;
use certus_engine::model::Model;
use serde_json::Value;

use super::{Folder, certus, example, layer, lines, npy, refused, stdout};

fn pendulum(more: &[&str]) -> std::process::Output {
    certus(&[&["bounds", &example("pendulum.onnx")], more].concat())
}

/// The ends of a line.
fn ends(value: &Value) -> (f64, f64) {
    (value["lower"].as_f64().unwrap(), value["upper"].as_f64().unwrap())
}

/// Asserts that the controller's outputs on a grid over the box are within `(lower, upper)`, and
/// that these are not far off.
fn encloses((lower, upper): (f64, f64), lo: [f32; 2], hi: [f32; 2]) {
    let network = import::read(example("pendulum.onnx").as_ref()).unwrap();
    let words = certus::blob::pack(&network, certus::blob::WeightKind::F32).unwrap();
    let mut runner = Runner::new(Model::from_words(&words).unwrap(), false);
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for i in 0..=20 {
        for j in 0..=20 {
            let at = |k: usize, n: i32| lo[k] + (hi[k] - lo[k]) * n as f32 / 20.0;
            let y = f64::from(runner.forward(&[at(0, i), at(1, j)])[0]);
            (least, most) = (least.min(y), most.max(y));
        }
    }
    // The forward pass rounds.
    assert!(lower <= least + 1e-5 && most - 1e-5 <= upper, "{lower} {least} {most} {upper}");
    assert!(upper - lower < 3.0 * (most - least) + 1e-3, "{lower} {least} {most} {upper}");
}

#[test]
fn a_box_in_all_forms() {
    let region = ["--box", "-0.1,-0.2", "0.1,0.2"];
    let run = |format: &str| stdout(&pendulum(&[&region[..], &["--format", format]].concat()), 0);
    let found = lines(&run("jsonl"));
    assert_eq!(found.len(), 1);
    let keys: Vec<&String> = found[0].as_object().unwrap().keys().collect();
    // serde_json sorts the keys of what it reads.
    assert_eq!(keys, ["backend", "index", "lower", "method", "output", "semantics", "upper"]);
    encloses(ends(&found[0]), [-0.1, -0.2], [0.1, 0.2]);
    let (lower, upper) = (&found[0]["lower"], &found[0]["upper"]);
    assert_eq!(
        run("csv"),
        format!(
            "index,layer,output,lower,upper,method,epsilon,norm,semantics,backend\n\
             0,,0,{lower},{upper},auto,,,real,cpu\n"
        )
    );
    let table = run("table");
    assert!(table.contains("data    box from -0.1,-0.2 to 0.1,0.2\n"), "{table}");
    let row: Vec<f64> = table
        .lines()
        .last()
        .map(|line| line.split_whitespace().map(|cell| cell.parse().unwrap()).collect())
        .unwrap();
    assert!(row[2] <= ends(&found[0]).0 && ends(&found[0]).1 <= row[3], "{table}");
}

#[test]
fn balls_around_the_rows_of_a_file() {
    let center = example("pendulum.npy");
    for (norm, epsilon) in [("linf", "0.01"), ("l3", "0.02"), ("l2", "0.02"), ("l1", "0.02")] {
        let more = ["--center", &center, "--epsilon", epsilon, "--norm", norm, "--format", "jsonl"];
        let found = lines(&stdout(&pendulum(&more), 0));
        assert_eq!(found.len(), 100);
        let set = certus::dataset::read(center.as_ref(), None).unwrap();
        for (row, value) in found.iter().enumerate().step_by(9) {
            assert_eq!((value["index"].as_u64(), &value["norm"]), (Some(row as u64), &norm.into()));
            let x = set.row(row);
            // The box within the ball.
            let r = if norm == "linf" { 0.01 } else { 0.01f32.min(0.02 / 2.0) };
            encloses(ends(value), [x[0] - r, x[1] - r], [x[0] + r, x[1] + r]);
        }
    }
    let table = stdout(&pendulum(&["--center", &center, "--epsilon", "0.01"]), 0);
    assert!(table.contains("... 60 more not shown") && table.contains("     all       0 "));
}

#[test]
fn layers_are_listed_and_summed_up() {
    let region = ["--box", "-0.1", "0.1", "--layers"];
    let found = lines(&stdout(&pendulum(&[&region[..], &["--format", "jsonl"]].concat()), 0));
    let of = |k: u64| found.iter().filter(|v| v["layer"] == k).count();
    assert_eq!((found.len(), of(0), of(1), of(2)), (34, 16, 16, 1));
    let table = stdout(&pendulum(&region), 0);
    assert!(table.contains("neurons before their activation"), "{table}");
}

#[test]
fn threads_and_methods_agree() {
    let run = |more: &[&str]| {
        let region = ["--box", "-0.3,-1", "0.3,1", "--format", "jsonl"];
        lines(&stdout(&pendulum(&[&region[..], more].concat()), 0))
    };
    assert_eq!(run(&["--threads", "1"]), run(&["--threads", "3"]));
    let (auto, crown, ibp) = (run(&[]), run(&["--method", "crown"]), run(&["--method", "ibp"]));
    let (auto, crown, ibp) = (ends(&auto[0]), ends(&crown[0]), ends(&ibp[0]));
    assert_eq!(auto, (crown.0.max(ibp.0), crown.1.min(ibp.1)));
}

#[test]
fn a_region_that_overflows_is_not_bounded_and_the_others_are() {
    let folder = Folder::new();
    let huge = super::blob(vec![layer(1, 1, |_, _| 1e25, false), layer(1, 1, |_, _| 1.0, true)]);
    let (model, center) = (folder.file("m.certus", huge), folder.path("c.npy"));
    folder.file("c.npy", npy("(3, 1)", &[1.0, 1e10, 2.0]));
    let args = ["bounds", &model, "--center", &center, "--epsilon", "0.5", "--format", "csv"];
    let output = certus(&args);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("c.npy: row 1: no bounds: ") && told.lines().count() == 1, "{told}");
    let rows = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split(',').collect()).collect();
    assert_eq!((rows.len(), &rows[2][3..5]), (4, &["", ""][..]));
    assert!(rows[1][3].parse::<f64>().unwrap() > 4.9e24);
}

#[test]
fn wrong_regions_are_told() {
    let model = example("pendulum.onnx");
    let center = example("pendulum.npy");
    let bounds = |more: &[&str], words: &[&str]| {
        refused(&[&["bounds", &model], more].concat(), words);
    };
    bounds(&[], &["--box LO HI, or --center FILE --epsilon E"]);
    bounds(&["--epsilon", "1"], &["--center"]);
    bounds(&["--center", &center], &["--epsilon"]);
    bounds(&["--center", &center, "--epsilon", "-1"], &["--epsilon", "above 0"]);
    bounds(&["--box", "0", "1", "--norm", "l2"], &["--box", "--norm"]);
    bounds(&["--box", "0", "1", "--center", &center, "--epsilon", "1"], &["--box", "--center"]);
    bounds(&["--box", "0.1", "-0.2"], &["--box from 0.1 to -0.2 in coordinate 0", "expected"]);
    bounds(&["--box", "0,0,0", "1"], &["--box '0,0,0': 3 numbers", "2 inputs"]);
    bounds(&["--box", "0,x", "1"], &["--box '0,x'", "expected finite numbers"]);
    bounds(&["--box", "0", "nan"], &["--box 'nan'", "expected finite numbers"]);
    bounds(&["--box", "0", "1e39"], &["--box '1e39'", "expected finite numbers"]);
    bounds(&["--box", "0"], &["--box"]);
    let wide = example("digits.npz");
    bounds(&["--center", &wide, "--epsilon", "1"], &["digits.npz: shape: 64 numbers", "2 inputs"]);
    bounds(&["--center", "absent.npy", "--epsilon", "1"], &["absent.npy: "]);
}

#[test]
fn an_output_file_is_replaced_whole_or_left() {
    let folder = Folder::new();
    let out = folder.file("out.csv", "before\n");
    let model = folder.file("m.onnx", std::fs::read(example("pendulum.onnx")).unwrap());
    refused(&["bounds", &model, "--box", "1", "0", "--out", &out], &["--box"]);
    assert_eq!(folder.read("out.csv"), "before\n");
    refused(&["bounds", &model, "--box", "0", "1", "--out", &model], &["--out", "is also MODEL"]);
    stdout(&certus(&["bounds", &model, "--box", "0", "1", "--out", &out, "--format", "csv"]), 0);
    assert!(folder.read("out.csv").starts_with("index,layer,output"));
    import::read(model.as_ref()).unwrap();
}

/// Two neurons that cancel: 0 to CROWN, an interval beyond f32 two layers later.
#[test]
fn auto_goes_on_where_intervals_leave_the_range() {
    let folder = Folder::new();
    let large = 2f32.powi(55);
    let sign = |_, j| if j == 0 { large } else { -large };
    let mut first = layer(2, 1, |_, _| 1.0, false);
    first.bias = vec![10.0; 2];
    let layers = vec![
        first,
        layer(1, 2, sign, false),
        layer(1, 1, |_, _| large, false),
        layer(1, 1, |_, _| 1.0, true),
    ];
    let model = folder.file("cancelling.certus", super::blob(layers));
    let run = |method: &str| {
        certus(&["bounds", &model, "--box", "1", "2", "--method", method, "--format", "jsonl"])
    };
    let refused = run("ibp");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("could reach 2^100"));
    let [crown, auto] = ["crown", "auto"].map(|method| lines(&stdout(&run(method), 0)).remove(0));
    assert_eq!(ends(&auto), ends(&crown));
    assert!(ends(&auto).0 <= 0.0 && ends(&auto).1 >= 0.0);
}
