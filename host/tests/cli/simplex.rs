//! `--method simplex`, `--exact` and `--backend portable`.

use certus::network::Affine;
use certus_engine::model::Activation;
use serde_json::Value;

use super::{Folder, blob, certus, digits, example, layer, lines, npy, refused, stdout};

/// `radius` on the example of two inputs.
fn plane(more: &[&str]) -> Vec<Value> {
    let (model, data) = (example("plane.onnx"), example("plane.npz"));
    let base = ["radius", &model, "--data", &data, "--format", "jsonl"];
    lines(&stdout(&certus(&[&base[..], more].concat()), 0))
}

#[test]
fn a_radius_certifies_below_it_and_not_beyond() {
    let radius = |norm: &str, index: usize| {
        let range = format!("{index}..{}", index + 1);
        let more = ["--method", "simplex", "--norm", norm, "--format", "jsonl", "--range", &range];
        let value: Value =
            serde_json::from_str(stdout(&digits("radius", &more), 0).trim()).unwrap();
        assert_eq!(value["method"], "simplex");
        value["radius"].as_f64().unwrap()
    };
    for norm in ["linf", "l3", "l2", "l1.5", "l1"] {
        let r = radius(norm, 1);
        assert!(r > 1e-4, "{r}");
        for (epsilon, code) in [(r, 0), (1.001 * r, 2)] {
            let epsilon = epsilon.to_string();
            let more = ["--method", "simplex", "--norm", norm, "--range", "1..2", "--epsilon"];
            stdout(&digits("certify", &[&more[..], &[&epsilon]].concat()), code);
        }
    }
}

#[test]
fn simplex_is_below_crown_and_exact_between() {
    for norm in ["linf", "l3", "l2", "l1.5", "l1"] {
        let exact = plane(&["--exact", "--norm", norm]);
        let crown = plane(&["--method", "crown", "--norm", norm, "--tolerance", "1e-5"]);
        let mut proved = 0;
        for (exact, crown) in exact.iter().zip(&crown) {
            let radius = exact["radius"].as_f64().unwrap();
            // Within the linear region nothing is relaxed.
            assert!(radius <= crown["radius"].as_f64().unwrap() + 2e-5, "{exact} {crown}");
            if exact["exact"] == true {
                proved += 1;
                let attacked = exact["attacked"].as_f64().unwrap();
                assert!(radius < attacked && attacked < radius * 1.001, "{exact}");
                assert!(crown["radius"].as_f64().unwrap() <= attacked, "{exact} {crown}");
            } else {
                assert_eq!(exact["exact"], false, "{exact}");
                assert!(exact["attacked"].as_f64().is_none_or(|far| far > radius), "{exact}");
            }
        }
        assert!(proved > 0, "{norm}");
    }
}

/// A ball in lp lies in that of the same radius in every larger p.
#[test]
fn radii_fall_as_the_exponent_grows() {
    let methods: [&[&str]; 2] = [&["simplex"], &["crown", "--tolerance", "1e-6"]];
    for method in methods {
        let radii = |norm: &str| -> Vec<f64> {
            let more = [&["--norm", norm, "--method"], method].concat();
            plane(&more).iter().map(|value| value["radius"].as_f64().unwrap()).collect()
        };
        let norms =
            ["l1", "l1.0001", "l1.25", "1.5", "l2", "l2.5", "3", "l8", "l1000", "linf"].map(radii);
        for pair in norms.windows(2) {
            for (small, large) in pair[0].iter().zip(&pair[1]) {
                assert!(*large <= small + 2e-6, "{method:?} {small} {large}");
            }
        }
        // `||a||_q` differs by a factor of at most `n^(1/q)` from linf's, `n^(1 - 1/q)` from l1's.
        for (near, named, factor) in [(1, 0, 1.000_1), (8, 9, 1.000_8)] {
            for (near, named) in norms[near].iter().zip(&norms[named]) {
                assert!((near - named).abs() <= (factor - 1.0) * named + 2e-6, "{near} {named}");
            }
        }
    }
}

#[test]
fn the_share_of_exact_distances_is_told_and_their_inputs_written() {
    let folder = Folder::new();
    let witness = folder.path("w.npz");
    let (model, data) = (example("plane.onnx"), example("plane.npz"));
    let base = ["radius", &model, "--data", &data, "--norm", "l2", "--exact"];
    let table = stdout(&certus(&[&base[..], &["--witness", &witness]].concat()), 0);
    let told = table.lines().find(|line| line.starts_with("exact distance")).expect("a line");
    let count: usize = told.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!(count > 0 && table.contains("certified"), "{table}");
    let rerun = certus(&["certify", &model, "--data", &witness, "--epsilon", "1e-6"]);
    // Each is decided otherwise than the class that it was found for.
    let text = stdout(&rerun, 1);
    assert!(text.contains(&format!("misclassified       {count:>9}")), "{text}");
}

#[test]
fn the_portable_backend_says_so_and_agrees() {
    for method in ["simplex", "crown"] {
        let run = |backend: &str| {
            let more = ["--method", method, "--backend", backend, "--format", "jsonl"];
            let range = ["--range", "0..5", "--tolerance", "1e-5"];
            lines(&stdout(&digits("radius", &[&more[..], &range].concat()), 1))
        };
        for (fast, portable) in run("cpu").iter().zip(&run("portable")) {
            assert_eq!(portable["backend"], "portable");
            let radius = |value: &Value| value["radius"].as_f64().unwrap();
            let (fast, portable) = (radius(fast), radius(portable));
            assert!((fast - portable).abs() <= 1e-3 * fast + 2e-5, "{fast} {portable}");
        }
    }
}

#[test]
fn wrong_use_is_told() {
    let (model, data) = (example("plane.onnx"), example("plane.npz"));
    let radius = ["radius", &model, "--data", &data];
    let wrong = |more: &[&str], words: &[&str]| refused(&[&radius[..], more].concat(), words);
    wrong(&["--exact", "--method", "crown"], &["--exact", "--method simplex"]);
    wrong(&["--exact", "--attack"], &["--exact", "--attack"]);
    wrong(&["--witness", "w.npz"], &["--witness", "--attack"]);
    let bounds = ["bounds", &model, "--box", "0,0", "1,1", "--method", "simplex"];
    refused(&bounds, &["--method simplex", "expected another"]);
}

/// A violation between the box that was asked for and the next floats outside is none.
#[test]
fn distances_are_exact_within_the_box_that_was_asked_for() {
    let folder = Folder::new();
    let below = 0.1f32.next_down();
    let affine = |rows: &[[f32; 2]], bias: &[f32], activation| Affine {
        rows: rows.len(),
        cols: 2,
        weights: rows.concat(),
        bias: bias.to_vec(),
        activation,
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    };
    let first = affine(&[[1.0, 0.0], [0.0, 0.0]], &[-below, 0.0], Activation::Relu);
    let last = affine(&[[0.0, 0.0], [1.0, 0.0]], &[6.7055e-9, 0.0], Activation::Identity);
    let model = folder.file("m.certus", blob(vec![first, last]));
    let data = folder.file("d.npy", npy("(1, 2)", &[0.02, 0.0]));
    let base = ["radius", &model, "--data", &data, "--unlabelled", "--clip", "0", "0.1"];
    for how in [&["--method", "region-search", "--attack"][..], &["--exact"]] {
        let told = stdout(&certus(&[&base[..], how, &["--format", "jsonl"]].concat()), 0);
        let [value] = &lines(&told)[..] else { panic!("{told}") };
        assert!(value["exact"] == false && value["attacked"].is_null(), "{value}");
    }
}

/// The deployed network certifies less than the real one's distance.
#[test]
fn exact_is_what_the_radius_reaches() {
    let folder = Folder::new();
    let n = 400;
    let only = layer(2, n, |i, j| if (i + j) % 2 == 0 { 100.0 } else { -100.0 }, true);
    let model = folder.file("m.certus", blob(vec![only]));
    let x: Vec<f32> = (0..n).map(|j| if j == 0 { 2.0 } else { 1.0 }).collect();
    let data = folder.file("d.npy", npy(&format!("(1, {n})"), &x));
    for semantics in ["real", "deployed"] {
        let args = ["radius", &model, "--data", &data, "--unlabelled", "--norm", "l1", "--exact"];
        let more = ["--semantics", semantics, "--format", "jsonl"];
        let told = stdout(&certus(&[&args[..], &more].concat()), 0);
        let [value] = &lines(&told)[..] else { panic!("{told}") };
        let (radius, attacked) = (value["radius"].as_f64(), value["attacked"].as_f64());
        let near = attacked.unwrap() <= radius.unwrap() * 1.001;
        assert_eq!(value["exact"], near, "{value}");
        assert_eq!(near, semantics == "real", "{value}");
    }
}
