//! What runs that go well print, on the shipped example.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Folder, METHODS, certus, digits, example, lines, stdout};

const FIELDS: [&str; 14] = [
    "index",
    "label",
    "predicted",
    "verdict",
    "method",
    "margin",
    "radius",
    "attacked",
    "exact",
    "epsilon",
    "norm",
    "semantics",
    "backend",
    "seconds",
];

#[test]
fn json_lines_have_the_fields_of_the_contract() {
    let whole = |v: &Value| v.is_u64();
    let real = |v: &Value| v.is_number();
    let text = |v: &Value| v.is_string();
    let runs = [
        digits("certify", &["--epsilon", "0.05", "--format", "jsonl", "--range", "0..20"]),
        digits("radius", &["--norm", "l2", "--format", "jsonl", "--range", "0..20"]),
    ];
    for (run, output) in runs.iter().enumerate() {
        for line in stdout(output, 1).lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            let object = value.as_object().unwrap();
            // In the contract's order in the text, and no others.
            let at = |f: &str| line.find(&format!("\"{f}\":"));
            let places: Vec<usize> = FIELDS.iter().filter_map(|f| at(f)).collect();
            assert!(places.is_sorted() && places.len() == object.len(), "{line}");
            let wrong = value["verdict"] == "misclassified";
            for field in FIELDS {
                let (type_is, applies): (&dyn Fn(&Value) -> bool, bool) = match field {
                    "index" | "label" | "predicted" => (&whole, true),
                    "margin" => (&real, run == 0 && !wrong),
                    "radius" => (&real, run == 1),
                    "attacked" | "exact" => (&real, false),
                    "epsilon" => (&real, run == 0),
                    "seconds" => (&real, true),
                    _ => (&text, true),
                };
                assert_eq!(object.contains_key(field), applies, "{field}: {line}");
                assert!(!applies || type_is(&value[field]), "{field}: {line}");
            }
            assert_eq!(value["norm"], ["linf", "l2"][run]);
            assert_eq!((&value["semantics"], &value["backend"]), (&"real".into(), &"cpu".into()));
        }
    }
}

#[test]
fn the_three_forms_tell_the_same() {
    let run =
        |format: &str| stdout(&digits("radius", &["--format", format, "--range", "0..20"]), 1);
    let (table, csv, json) = (run("table"), run("csv"), lines(&run("jsonl")));
    assert_eq!(csv.lines().next().unwrap(), FIELDS.join(","));
    assert_eq!((csv.lines().count(), json.len()), (21, 20));
    let rows = table.lines().skip_while(|l| !l.contains("index")).skip(1);
    for ((value, row), listed) in json.iter().zip(csv.lines().skip(1)).zip(rows) {
        let row: Vec<&str> = row.split(',').collect();
        let listed: Vec<&str> = listed.split_whitespace().collect();
        for (at, field) in ["index", "label", "predicted"].iter().enumerate() {
            assert_eq!(row[at], value[field].to_string());
            assert_eq!(listed[at], row[at]);
        }
        assert_eq!((row[3], listed[3]), (value["verdict"].as_str().unwrap(), row[3]));
        let radius = value["radius"].as_f64().unwrap();
        assert_eq!(row[6].parse::<f64>().unwrap(), radius);
        let shown: f64 = listed[5].parse().unwrap();
        assert!(shown <= radius && radius - shown < 1e-5, "{shown} for {radius}");
    }
    assert!(table.contains("query   radius linf\n") && table.contains("radius              mean "));
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn every_norm_and_method_answers() {
    for (norm, epsilon) in
        [("linf", "0.03"), ("l3", "0.12"), ("l2", "0.2"), ("l1.5", "0.3"), ("l1", "0.5")]
    {
        for method in METHODS {
            for semantics in ["real", "deployed"] {
                let more = [
                    "--epsilon",
                    epsilon,
                    "--norm",
                    norm,
                    "--method",
                    method,
                    "--semantics",
                    semantics,
                    "--format",
                    "jsonl",
                    "--range",
                    "0..10",
                ];
                let found = lines(&stdout(&digits("certify", &more), 1));
                assert_eq!(found.len(), 10);
                let certified = found.iter().filter(|v| v["verdict"] == "certified");
                assert!(method == "ibp" || certified.count() >= 5, "{norm} {method}");
                for value in found.iter().filter(|v| v["verdict"] != "misclassified") {
                    let margin = value["margin"].as_f64().unwrap();
                    assert_eq!(margin > 0.0, value["verdict"] == "certified", "{value}");
                    let by = value["method"].as_str().unwrap();
                    let stages = ["crown", "pgd", "alpha-crown"];
                    assert!(by == method || (method == "auto" && stages.contains(&by)), "{value}");
                }
            }
        }
    }
}

/// What one stage settles does not come to the next, and no verdict is another than alone.
#[test]
fn auto_asks_one_stage_after_the_other() {
    let base = ["--epsilon", "0.06", "--clip", "0", "1", "--range", "0..100"];
    let run = |more: &[&str]| {
        lines(&stdout(&digits("certify", &[&base[..], &["--format", "jsonl"], more].concat()), 1))
    };
    let (auto, alpha) = (run(&[]), run(&["--method", "alpha-crown"]));
    let mut settled = BTreeMap::new();
    for (auto, alpha) in auto.iter().zip(&alpha) {
        match auto["verdict"].as_str() {
            Some("certified") | Some("unknown") => assert_eq!(auto["verdict"], alpha["verdict"]),
            Some("falsified") => assert_eq!(alpha["verdict"], "unknown"),
            _ => continue,
        }
        let settles = auto["verdict"] != "unknown";
        let by = auto["method"].as_str().unwrap().to_owned();
        *settled.entry(by).or_insert(0) += usize::from(settles);
    }
    let counts = ["crown", "pgd", "alpha-crown"].map(|stage| settled[stage]);
    assert!(counts.iter().all(|count| *count > 0), "{settled:?}");
    let table = stdout(&digits("certify", &base), 1);
    let mut asked = auto.iter().filter(|v| v["verdict"] != "misclassified").count();
    for (stage, count) in ["crown", "pgd", "alpha-crown"].into_iter().zip(counts) {
        let line = table.lines().rfind(|line| line.starts_with(stage)).expect("its line");
        let words: Vec<&str> = line.split_whitespace().collect();
        let (proved, violated) = if stage == "pgd" { (0, count) } else { (count, 0) };
        let expected = [asked, proved, violated].map(|n| n.to_string());
        assert_eq!(words[1..4], expected, "{table}");
        asked -= count;
    }
}

#[test]
fn results_do_not_depend_on_threads_or_range() {
    let run = |more: &[&str]| {
        let base = ["--format", "jsonl", "--epsilon", "0.05"];
        lines(&String::from_utf8(digits("certify", &[&base, more].concat()).stdout).unwrap())
    };
    let whole = run(&["--threads", "1"]);
    assert_eq!(whole.len(), 300);
    assert_eq!(run(&["--threads", "5"]), whole);
    assert_eq!(run(&[]), whole);
    assert_eq!(run(&["--range", "40..50"]), whole[40..50]);
    // With fewer rows than threads, the threads share the work of one.
    assert_eq!(run(&["--range", "7..8", "--threads", "4"]), whole[7..8]);
}

#[test]
fn a_clipped_ball_certifies_more() {
    let sum = |more: &[&str]| -> f64 {
        let more = [&["--format", "jsonl", "--range", "0..20"], more].concat();
        let found = lines(&stdout(&digits("radius", &more), 1));
        found.iter().map(|value| value["radius"].as_f64().unwrap()).sum()
    };
    assert!(sum(&["--clip", "0", "1"]) > 1.02 * sum(&[]));
}

#[test]
fn plots_are_drawn() {
    let folder = Folder::new();
    let path = folder.path("plot.svg");
    stdout(&digits("radius", &["--range", "0..9", "--plot", &path, "--clip", "0", "1"]), 1);
    let plot = folder.read("plot.svg");
    assert!(plot.starts_with("<svg") && plot.contains("Certified accuracy by radius: digits.onnx"));
    assert!(plot.contains("9 samples of digits.npz") && plot.contains("linf cut to [0, 1]"));
    stdout(&digits("certify", &["--epsilon", "0.1", "--unlabelled", "--plot", &path]), 1);
    let plot = folder.read("plot.svg");
    assert!(plot.contains("Proved margins within linf radius 0.1: digits.onnx"));
    assert!(plot.contains("samples certified") && !plot.contains("accuracy"));
}

#[test]
fn exit_codes_tell_the_worst_verdict() {
    // Row 2 is misclassified; rows 0 and 1 are proved up to 0.09.
    stdout(&digits("certify", &["--epsilon", "0.05", "--range", "0..2"]), 0);
    stdout(&digits("certify", &["--epsilon", "0.2", "--range", "0..2", "--method", "crown"]), 2);
    stdout(&digits("certify", &["--epsilon", "0.2", "--range", "0..3", "--method", "crown"]), 1);
    // What can be falsified is.
    stdout(&digits("certify", &["--epsilon", "0.2", "--range", "0..2"]), 1);
}

#[test]
fn a_packed_network_gives_the_same_results() {
    let folder = Folder::new();
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    let certify = |model: &str| {
        let args = ["--epsilon", "0.05", "--format", "jsonl"];
        lines(&stdout(&certus(&[&["certify", model, "--data", &data], &args[..]].concat()), 1))
    };
    let (single, half) = (folder.path("f32.certus"), folder.path("f16.certus"));
    let told = stdout(&certus(&["pack", &model, "-o", &single]), 0);
    assert!(told.contains("flash 26464 bytes") && told.contains("crown"), "{told}");
    // 106 neurons, 64 wide: 4*106 + 64 + 3*64 + 3 floats and 106 + 2*3 + 1 indices; as one block
    // of 64 rows 4*106 + 64 + 2*64*64 + 3*64 and 106 + 2*3 + 64. The function of every neuron
    // after the first layer, and of 9 margins: (32*64 + 10*32 + 9*10) * 64.
    let words: Vec<&str> = told.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(words, ["simplex", "3184", "36192", "157312"], "{told}");
    assert_eq!(std::fs::metadata(&single).unwrap().len(), 26464);
    assert_eq!(certify(&single), certify(&model));
    stdout(&certus(&["pack", &model, "-o", &half, "--weights", "f16"]), 0);
    let certified = certify(&half).iter().filter(|v| v["verdict"] == "certified").count();
    assert!((265..=275).contains(&certified), "{certified}");
    // A blob packs again, to the same bytes as the model it came from.
    let again = folder.path("again.certus");
    stdout(&certus(&["pack", &single, "-o", &again, "--weights", "f16"]), 0);
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&half).unwrap());
    let told = stdout(&certus(&["inspect", &half]), 0);
    assert!(told.contains("64 inputs, 10 outputs, 3 layers") && told.contains("f16"), "{told}");
}

#[test]
fn a_normalisation_in_the_command_is_that_in_the_data() {
    let folder = Folder::new();
    let model = folder.file("larger.certus", super::larger());
    // x / 4, then (x - 0.5) / 0.25: powers of two, so both are exact.
    let stored = folder.file("stored.npy", super::npy("(2, 2)", &[4.0, 2.0, 1.0, 3.0]));
    let ready = folder.file("ready.npy", super::npy("(2, 2)", &[2.0, 0.0, -1.0, 1.0]));
    let radii = |data: &str, more: &[&str]| -> Vec<f64> {
        let args = ["radius", &model, "--data", data, "--format", "jsonl", "--tolerance", "0.0001"];
        let found = lines(&stdout(&certus(&[&args, more].concat()), 0));
        found.iter().map(|value| value["radius"].as_f64().unwrap()).collect()
    };
    let told = radii(&stored, &["--scale", "4", "--mean", "0.5", "--std", "0.25"]);
    let plain = radii(&ready, &[]);
    for (told, plain) in told.iter().zip(&plain) {
        // Radii are in units of the scaled data, before the division by 0.25.
        assert!((told - plain / 4.0).abs() <= 1e-4, "{told} {plain}");
    }
}

#[test]
fn verbose_counts_on_standard_error() {
    let output = digits("radius", &["--range", "0..2", "--verbose", "--threads", "1"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("multiply-adds") && told.contains("2 samples on 1 thread,"), "{told}");
}

#[test]
fn help_goes_where_it_was_asked_for() {
    let told = stdout(&certus(&["--help"]), 0);
    for name in ["certify", "radius", "attack", "bounds", "inspect", "pack", "merge"] {
        assert!(told.contains(name));
        assert!(stdout(&certus(&[name, "--help"]), 0).contains("Usage: certus"));
    }
    assert!(stdout(&certus(&["--version"]), 0).starts_with("certus "));
    let nothing = certus(&[]);
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(4), 0));
    assert!(String::from_utf8(nothing.stderr).unwrap().contains("Usage: certus <COMMAND>"));
}
