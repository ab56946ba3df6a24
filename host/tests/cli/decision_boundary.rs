//! `--method decision-boundary`.

use std::path::Path;

use super::{Folder, blob, certus, example, larger, layer, lines, npy, refusal, refused, stdout};

const METHOD: [&str; 2] = ["--method", "decision-boundary"];

/// The radius of the one sample of `data`, with more arguments.
fn radius(model: &str, data: &str, more: &[&str]) -> f64 {
    let base = ["radius", model, "--data", data, "--format", "jsonl"];
    let found = lines(&stdout(&certus(&[&base[..], more].concat()), 0)).remove(0);
    assert_eq!(found["verdict"], "certified");
    found["radius"].as_f64().unwrap()
}

#[test]
fn it_reaches_past_bends_that_do_no_harm() {
    let folder = Folder::new();
    let model = folder.file("m.certus", larger());
    // The second unit bends at 0.25; the classes draw level where both are 0.625.
    let data = folder.file("d.npy", npy("(1, 2)", &[1.0, 0.25]));
    for (norm, expected) in [("l2", 0.75 * 0.5f64.sqrt()), ("linf", 0.375), ("l1", 0.75)] {
        let more = [&METHOD[..], &["--norm", norm]].concat();
        let found = radius(&model, &data, &more);
        assert!(found < expected && found > expected * (1.0 - 1e-9), "{norm} {found}");
        let simplex = radius(&model, &data, &["--method", "simplex", "--norm", norm]);
        assert!((simplex - 0.25).abs() < 1e-6);
        // It takes no heed of a box.
        let clipped = [&more[..], &["--clip", "0", "1"]].concat();
        assert_eq!(radius(&model, &data, &clipped), found);
        for (epsilon, code) in [(found, 0), (1.0001 * found, 2)] {
            let epsilon = epsilon.to_string();
            let ask = ["certify", &model, "--data", &data, "--epsilon", &epsilon];
            let text = stdout(&certus(&[&ask[..], &more].concat()), code);
            assert!(text.contains("decision-boundary"), "{text}");
        }
    }
}

#[test]
fn it_covers_the_normalised_network() {
    let folder = Folder::new();
    let model = folder.file("m.certus", larger());
    let data = folder.file("d.npy", npy("(1, 2)", &[0.9, 0.6]));
    let more = [&METHOD[..], &["--norm", "l2", "--mean", "0.5", "--std", "0.3"]].concat();
    let (found, expected) = (radius(&model, &data, &more), 0.3 * 0.5f64.sqrt());
    assert!(found < expected && found > expected * (1.0 - 1e-5), "{found}, not {expected}");
}

#[test]
fn an_attack_ends_above_it() {
    let folder = Folder::new();
    let model = folder.file("m.certus", larger());
    let data = folder.file("d.npy", npy("(3, 2)", &[1.0, 0.25, 0.3, 0.8, 0.4, 0.5]));
    for norm in ["l2", "linf", "l1"] {
        let base = ["radius", &model, "--data", &data, "--format", "jsonl", "--attack", "--norm"];
        for found in lines(&stdout(&certus(&[&base[..], &[norm], &METHOD].concat()), 0)) {
            let (low, high) = (&found["radius"], &found["attacked"]);
            let (low, high) = (low.as_f64().unwrap(), high.as_f64().unwrap());
            assert!(low < high && high < 1.01 * low, "{found}");
        }
    }
}

#[test]
fn other_networks_are_refused_before_any_work() {
    let folder = Folder::new();
    let out = folder.path("out.jsonl");
    let told = |model: &str, data: &str, words: &str| {
        for what in [&["radius"][..], &["certify", "--epsilon", "0.1"]] {
            let ask = [what, &[model, "--data", data, "--out", &out], &METHOD].concat();
            let line = refusal(&certus(&ask));
            for words in ["decision-boundary", words, "expected one hidden layer of ReLU"] {
                assert!(line.contains(words), "'{words}' is not in: {line}");
            }
            assert!(!Path::new(&out).exists());
        }
    };
    told(&example("digits.onnx"), &example("digits.npz"), "a network of 3 layers");
    let data = folder.file("d.npy", npy("(1, 2)", &[1.0, 0.25]));
    let ones = |_, _| 1.0;
    let single = folder.file("1.certus", blob(vec![layer(2, 2, ones, true)]));
    told(&single, &data, "a network of 1 layers");
    let last = folder.file("2.certus", blob(vec![layer(2, 2, ones, false); 2]));
    told(&last, &data, "Relu after the second layer");
}

#[test]
fn wrong_use_is_told() {
    let folder = Folder::new();
    let model = folder.file("m.certus", larger());
    let data = folder.file("d.npy", npy("(1, 2)", &[1.0, 0.25]));
    let ask = [&["radius", &model, "--data", &data], &METHOD[..]].concat();
    let deployed = [&ask[..], &["--semantics", "deployed"]].concat();
    refused(&deployed, &["--method decision-boundary", "real semantics only"]);
    refused(&[&ask[..], &["--exact"]].concat(), &["--exact", "--method simplex"]);
    let bounds = ["bounds", &model, "--box", "0,0", "1,1", "--method", "decision-boundary"];
    refused(&bounds, &["--method decision-boundary is a distance", "expected another"]);
}
