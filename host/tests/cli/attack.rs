//! `certus attack`, and `--attack` of the proofs.

use certus::dataset;

use super::{Folder, certus, digits, example, larger, lines, npy, refusal, refused, stdout};

fn json(what: &str, code: i32, more: &[&str]) -> Vec<serde_json::Value> {
    lines(&stdout(&digits(what, &[&["--format", "jsonl"], more].concat()), code))
}

#[test]
fn every_norm_and_method_attacks() {
    for (norm, epsilon) in
        [("linf", "0.2"), ("l3", "0.6"), ("l2", "0.9"), ("l1.5", "1.4"), ("l1", "2.5")]
    {
        for method in ["fgsm", "ifgsm", "pgd", "deepfool"] {
            let base = ["--norm", norm, "--epsilon", epsilon, "--method", method];
            let more = [&base[..], &["--clip", "0", "1", "--range", "0..40"]].concat();
            let found = json("attack", 1, &more);
            assert_eq!(found.len(), 40);
            let falsified = found.iter().filter(|v| v["verdict"] == "falsified").count();
            assert!(falsified >= 5, "{norm} {method}: {falsified}");
            for value in found.iter().filter(|v| v["verdict"] != "misclassified") {
                assert_eq!((&value["method"], &value["norm"]), (&method.into(), &norm.into()));
                assert!(value["radius"].is_null() && value["attacked"].is_null());
                assert_eq!(value["epsilon"].as_f64().unwrap().to_string(), epsilon);
                if let Some(margin) = value["margin"].as_f64() {
                    assert_eq!(margin <= 0.0, value["verdict"] == "falsified", "{value}");
                } else {
                    assert_eq!((&value["verdict"], method), (&"unknown".into(), "deepfool"));
                }
            }
        }
    }
}

#[test]
fn stronger_attacks_falsify_no_less() {
    let count = |more: &[&str]| {
        let base = ["--epsilon", "0.15", "--clip", "0", "1"];
        let found = json("attack", 1, &[&base, more].concat());
        found.iter().filter(|v| v["verdict"] == "falsified").count()
    };
    let (one, many) = (count(&["--method", "fgsm"]), count(&["--method", "ifgsm"]));
    let (pgd, targeted) = (count(&[]), count(&["--targeted"]));
    assert!(0 < one && one <= many && many <= pgd && pgd <= targeted, "{one} {many} {pgd}");
}

#[test]
fn attacks_do_not_depend_on_threads_or_range() {
    let run = |more: &[&str]| {
        let base = ["--format", "jsonl", "--epsilon", "0.15"];
        lines(&String::from_utf8(digits("attack", &[&base, more].concat()).stdout).unwrap())
    };
    let whole = run(&["--threads", "1"]);
    assert_eq!(run(&["--threads", "3"]), whole);
    assert_eq!(run(&["--range", "40..50"]), whole[40..50]);
    assert_eq!(run(&["--range", "7..8", "--threads", "4"]), whole[7..8]);
    assert_ne!(run(&["--seed", "1"]), whole);
}

#[test]
fn certify_escalates_to_an_attack() {
    let base = ["--epsilon", "0.15", "--clip", "0", "1", "--method", "crown"];
    let (plain, both) =
        (json("certify", 1, &base), json("certify", 1, &[&base[..], &["--attack"]].concat()));
    let mut falsified = 0;
    for (plain, both) in plain.iter().zip(&both) {
        if both["verdict"] == "falsified" {
            falsified += 1;
            assert_eq!((&plain["verdict"], &both["method"]), (&"unknown".into(), &"pgd".into()));
            // The proofs' lower bound stays.
            assert_eq!(plain["margin"], both["margin"]);
        } else {
            assert_eq!(plain, both);
        }
    }
    assert!(falsified > 50, "{falsified}");
    let table = stdout(&digits("certify", &[&base[..], &["--attack"]].concat()), 1);
    assert!(table.contains("method  crown, then pgd, real semantics"), "{table}");
    assert!(table.contains("robust error "), "{table}");
}

#[test]
fn radius_prints_the_bracket() {
    let folder = Folder::new();
    let plot = folder.path("plot.svg");
    for (norm, tolerance) in
        [("linf", "1e-4"), ("l3", "1e-3"), ("l2", "1e-3"), ("l1.5", "1e-2"), ("l1", "1e-2")]
    {
        let base = ["--norm", norm, "--tolerance", tolerance, "--clip", "0", "1"];
        let more = [&base[..], &["--range", "0..12", "--attack"]].concat();
        for value in json("radius", 1, &more) {
            if value["verdict"] == "misclassified" {
                assert!(value["attacked"].is_null());
                continue;
            }
            let (radius, attacked) =
                (value["radius"].as_f64().unwrap(), value["attacked"].as_f64().unwrap());
            assert!(radius < attacked && attacked < 4.0 * radius, "{value}");
        }
    }
    let more = ["--range", "0..12", "--attack", "--plot", &plot, "--tolerance", "1e-3"];
    let table = stdout(&digits("radius", &more), 1);
    assert!(table.contains("      radius    attacked "), "{table}");
    assert!(table.contains("attacked            mean "), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let plot = folder.read("plot.svg");
    assert!(plot.contains("under attack") && plot.contains("certified"));
}

/// The file of witnesses is a data set on which the network is wrong, near the samples.
#[test]
fn witnesses_are_data_that_is_misclassified() {
    let folder = Folder::new();
    let path = folder.path("w.npz");
    let base = ["--epsilon", "0.15", "--range", "0..40", "--clip", "0", "1"];
    let found = json("attack", 1, &[&base[..], &["--witness", &path]].concat());
    let falsified: Vec<_> = found.iter().filter(|v| v["verdict"] == "falsified").collect();
    let (set, data) = (
        dataset::read(path.as_ref(), None).unwrap(),
        dataset::read(example("digits.npz").as_ref(), None).unwrap(),
    );
    assert!(set.rows == falsified.len() && set.rows > 5);
    for (i, record) in falsified.iter().enumerate() {
        let index = record["index"].as_u64().unwrap() as usize;
        assert_eq!(set.label(i), data.label(index));
        for (x, center) in set.row(i).iter().zip(data.row(index)) {
            assert!((f64::from(*x) - f64::from(*center)).abs() <= 0.15);
            assert!((0.0..=1.0).contains(x));
        }
    }
    let model = example("digits.onnx");
    let again =
        certus(&["certify", &model, "--data", &path, "--epsilon", "1e-9", "--format", "jsonl"]);
    let again = lines(&String::from_utf8(again.stdout).unwrap());
    assert!(again.iter().all(|v| v["verdict"] == "misclassified"), "{again:?}");
    for command in ["certify", "radius"] {
        let path = folder.path(&format!("{command}.npz"));
        let epsilon: &[&str] = if command == "certify" { &["--epsilon", "0.15"] } else { &[] };
        let more = [epsilon, &["--attack", "--range", "0..4", "--witness", &path]].concat();
        stdout(&digits(command, &more), 1);
        assert!(dataset::read(path.as_ref(), None).unwrap().rows > 0, "{command}");
    }
}

#[test]
fn attacks_are_resumed_as_they_were() {
    let folder = Folder::new();
    let out = folder.path("out.jsonl");
    let base = ["--out", &out, "--format", "jsonl", "--range", "0..6", "--epsilon", "0.15"];
    stdout(&digits("attack", &base), 1);
    let text = folder.read("out.jsonl");
    let whole = lines(&text);
    assert_eq!(whole.len(), 6);
    // As if the run had been stopped after its second sample.
    let two: Vec<&str> = text.lines().take(2).collect();
    folder.file("out.jsonl", two.join("\n") + "\n");
    stdout(&digits("attack", &[&base[..], &["--resume"]].concat()), 1);
    assert_eq!(lines(&folder.read("out.jsonl")), whole);
    for (option, value) in [("--seed", "3"), ("--steps", "7"), ("--method", "fgsm")] {
        let told = refusal(&digits("attack", &[&base[..], &["--resume", option, value]].concat()));
        assert!(told.contains(&format!("option {} is ", &option[2..])), "{told}");
    }
}

/// A box that no f32 within it reaches, or that ends between two floats, is not left.
#[test]
fn witnesses_stay_in_the_box_that_was_asked_for() {
    let folder = Folder::new();
    let model = folder.file("m.certus", larger());
    let data = folder.file("d.npy", npy("(1, 2)", &[0.1, 0.0]));
    let path = folder.path("w.npz");
    // 0.1f32 lies above 0.1: the sample is taken, but no witness may lie where it does.
    let args = [
        "attack",
        &model,
        "--data",
        &data,
        "--unlabelled",
        "--epsilon",
        "1",
        "--clip",
        "0",
        "0.1",
        "--witness",
        &path,
    ];
    stdout(&certus(&args), 1);
    let set = dataset::read(path.as_ref(), None).unwrap();
    assert!(set.row(0).iter().all(|x| (0.0..=0.1).contains(&f64::from(*x))), "{:?}", set.row(0));
}

/// A sample on the side of a box that lies between two floats is attacked like any other.
#[test]
fn a_side_between_two_floats_hides_no_witness() {
    let count = |side: &str| {
        let more = ["--norm", "linf", "--epsilon", "0.03", "--method", "fgsm", "--range", "0..60"];
        let clip = ["--scale", "3", "--clip", "0", side];
        let found = json("attack", 1, &[&more[..], &clip[..]].concat());
        found.iter().filter(|v| v["verdict"] == "falsified").count()
    };
    let (beyond, at) = (count("0.34"), count("0.3333333333"));
    assert!(beyond > 5 && 2 * at > beyond, "{at} against {beyond}");
}

/// What cannot be written does not take the witnesses with it.
#[cfg(target_os = "linux")]
#[test]
fn witnesses_are_written_where_the_plot_cannot_be() {
    let folder = Folder::new();
    let path = folder.path("w.npz");
    let more = ["--epsilon", "0.15", "--range", "0..20", "--witness", &path, "--plot", "/dev/full"];
    let output = digits("attack", &more);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(dataset::read(path.as_ref(), None).unwrap().rows > 0);
}

#[test]
fn options_that_make_no_sense_are_told() {
    let attack = |more: &[&str], words: &[&str]| {
        let (model, data) = (example("digits.onnx"), example("digits.npz"));
        let base = ["attack", &model, "--data", &data, "--epsilon", "0.1"];
        refused(&[&base, more].concat(), words);
    };
    attack(&["--method", "cw"], &["'--method <METHOD>'", "fgsm, ifgsm, pgd, deepfool"]);
    attack(&["--method", "fgsm", "--steps", "3"], &["--steps means nothing to --method fgsm"]);
    attack(&["--method", "ifgsm", "--restarts", "3"], &["--restarts means nothing"]);
    attack(&["--method", "deepfool", "--targeted"], &["--targeted means nothing"]);
    for (option, wrong) in [
        ("--steps", "0"),
        ("--restarts", "0"),
        ("--step", "0"),
        ("--step", "nan"),
        ("--momentum", "1"),
        ("--momentum", "-0.1"),
        ("--momentum", "NaN"),
        ("--seed", "-1"),
        ("--epsilon", "0"),
    ] {
        attack(&[option, wrong], &[option]);
    }
    let data = example("digits.npz");
    attack(&["--witness", &data], &["--witness", "is also --data"]);
    attack(&["--witness", "no/such/w.npz"], &["no/such/w.npz: "]);
    attack(&["--witness", "w.npz", "--resume", "--out", "o"], &["--witness", "--resume"]);
    let line = refusal(&digits("radius", &["--witness", "w.npz"]));
    assert!(line.contains("--attack"), "{line}");
}
