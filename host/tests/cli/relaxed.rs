//! `--method crown-quad`, `--method fast-lip`, `--method alpha-crown` and what goes on from there.

use std::path::Path;

use certus_engine::model::Activation;
use serde_json::Value;

use super::{Folder, blob, certus, example, larger, layer, lines, npy, refusal, refused, stdout};

const METHODS: [&str; 2] = ["crown-quad", "fast-lip"];

#[test]
fn radii_and_verdicts_agree() {
    let folder = Folder::new();
    let model = folder.file("m.certus", larger());
    // The first unit stays on, so the margin is x_1 - relu(x_2). Fast-Lip has slopes up to (1, 1): up
    // to rounding exact, the classes draw level where both are 0.625. Over a radius e the chord of
    // the second leaves CROWN 7/8 - e/2 in the middle and the slopes 1 and (1/4 + e)/2e.
    let data = folder.file("d.npy", npy("(1, 2)", &[1.0, 0.25]));
    for (norm, radii) in
        [("l2", [0.5, 0.75 * 0.5f64.sqrt()]), ("linf", [0.375; 2]), ("l1", [1.75 / 3.0, 0.75])]
    {
        for (method, expected) in METHODS.into_iter().zip(radii) {
            let more = ["--method", method, "--norm", norm, "--tolerance", "1e-4"];
            let base = ["radius", &model, "--data", &data, "--format", "jsonl"];
            let found = lines(&stdout(&certus(&[&base[..], &more].concat()), 0)).remove(0);
            assert_eq!(found["method"], method);
            let radius = found["radius"].as_f64().unwrap();
            assert!(radius <= expected && radius > expected - 2e-4, "{method} {norm} {radius}");
            for (epsilon, code) in [(radius, 0), (1.01 * expected, 2)] {
                let epsilon = epsilon.to_string();
                let ask = ["certify", &model, "--data", &data, "--epsilon", &epsilon];
                let text = stdout(&certus(&[&ask[..], &more[..4]].concat()), code);
                assert!(text.contains(method), "{text}");
            }
            let clipped = [&base[..], &more, &["--clip", "0", "1"]].concat();
            let clipped = lines(&stdout(&certus(&clipped), 0)).remove(0);
            assert!(clipped["radius"].as_f64().unwrap() >= radius - 1e-4, "{clipped}");
        }
    }
}

#[test]
fn fast_lip_takes_deep_networks_and_is_below_crown() {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    let mut sums = Vec::new();
    for method in ["fast-lip", "fast-lin"] {
        let base = ["radius", &model, "--data", &data, "--range", "0..2", "--format", "jsonl"];
        let found = lines(&stdout(&certus(&[&base[..], &["--method", method]].concat()), 0));
        sums.push(found.iter().map(|line| line["radius"].as_f64().unwrap()).sum::<f64>());
    }
    assert!(sums[0] > 0.0 && sums[0] < sums[1], "{sums:?}");
}

#[test]
fn other_networks_are_refused_before_any_work() {
    let folder = Folder::new();
    let out = folder.path("out.jsonl");
    let told = |model: &str, data: &str, method: &str, words: &str| {
        for what in [&["radius"][..], &["certify", "--epsilon", "0.1"]] {
            let ask = [what, &[model, "--data", data, "--out", &out, "--method", method]].concat();
            let line = refusal(&certus(&ask));
            for words in [method, words, "expected"] {
                assert!(line.contains(words), "'{words}' is not in: {line}");
            }
            assert!(!Path::new(&out).exists());
        }
    };
    told(&example("digits.onnx"), &example("digits.npz"), "crown-quad", "a network of 3 layers");
    let data = folder.file("d.npy", npy("(1, 2)", &[1.0, 0.25]));
    let ones = |_, _| 1.0;
    let single = folder.file("1.certus", blob(vec![layer(2, 2, ones, true)]));
    told(&single, &data, "crown-quad", "a network of 1 layer;");
    let last = folder.file("2.certus", blob(vec![layer(2, 2, ones, false); 2]));
    let mut tanh = layer(2, 2, ones, false);
    tanh.activation = Activation::Tanh;
    let tanh = folder.file("3.certus", blob(vec![tanh, layer(2, 2, ones, true)]));
    for method in METHODS {
        told(&tanh, &data, method, "tanh after layer 0;");
        told(&last, &data, method, "ReLU after the last layer");
    }
}

/// With its slopes optimised CROWN certifies larger radii, and says who did.
#[test]
fn alpha_crown_goes_on_where_crown_stops() {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    for semantics in ["real", "deployed"] {
        let radii = |method: &str| -> Vec<f64> {
            let ask = ["radius", &model, "--data", &data, "--range", "0..12", "--format", "jsonl"];
            let ask = [&ask[..], &["--method", method, "--semantics", semantics]].concat();
            let found = lines(&stdout(&certus(&ask), 1));
            assert!(found.iter().any(|v| v["method"] == method), "{found:?}");
            found.iter().map(|value| value["radius"].as_f64().unwrap()).collect()
        };
        let (before, after) = (radii("crown"), radii("alpha-crown"));
        // The search for a radius ends a millionth short of it.
        assert!(before.iter().zip(&after).all(|(before, after)| after + 2e-6 >= *before));
        let gained =
            before.iter().zip(&after).filter(|(before, after)| *after > &(*before * 1.005));
        assert!(gained.count() >= 4, "{before:?} {after:?}");
    }
    for method in ["alpha-crown", "dual", "lp", "sdp", "crown-quad", "fast-lip", "grad-cert"] {
        let ask = ["bounds", &example("pendulum.onnx"), "--box", "0,0", "1,1", "--method", method];
        refused(&ask, &["--method", method, "margins of a classifier", "expected another"]);
    }
}

/// A semidefinite program ties neurons to one another, and certifies most of what single ones leave open.
#[test]
fn a_semidefinite_program_certifies_what_is_left() {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    let certified = |method: &[&str]| -> Vec<bool> {
        let ask = ["certify", &model, "--data", &data, "--epsilon", "0.09", "--range", "0..20"];
        let found = certus(&[&ask[..], &["--format", "jsonl", "--method"], method].concat());
        let found = lines(&String::from_utf8(found.stdout).unwrap());
        let stage = |line: &&Value| line["method"] == method[0] && line["verdict"] == "certified";
        assert!(found.iter().any(|line| stage(&line)), "{method:?}: {found:?}");
        found.iter().map(|line| line["verdict"] == "certified").collect()
    };
    let count = |of: &[bool]| of.iter().filter(|certified| **certified).count();
    let before = certified(&["alpha-crown"]);
    for inside in ["alpha-crown", "crown", "ibp"] {
        let after = certified(&["sdp", "--inside", inside]);
        assert!(before.iter().zip(&after).all(|(before, after)| after >= before), "{inside}");
        assert!(count(&after) >= count(&before) + 8, "{inside}: {before:?} {after:?}");
    }
    let deployed = certified(&["sdp", "--semantics", "deployed"]);
    assert!(count(&deployed) >= count(&before) + 8, "{deployed:?}");
    let mut tanh = layer(2, 2, |_, _| 1.0, false);
    tanh.activation = Activation::Tanh;
    let folder = Folder::new();
    let tanh = folder.file("t.certus", blob(vec![tanh, layer(2, 2, |_, _| 1.0, true)]));
    let data = folder.file("d.npy", npy("(1, 2)", &[1.0, 0.25]));
    let told =
        "grad-cert: a network of 3 layers; expected one hidden layer of ReLU, then a linear one";
    refused(
        &["radius", &model, "--data", &example("digits.npz"), "--method", "grad-cert"],
        &[told],
    );
    let net = folder.file("r.certus", larger());
    let ask = ["certify", &net, "--data", &data, "--epsilon", "0.1", "--method", "grad-cert"];
    assert!(stdout(&certus(&ask), 0).contains("grad-cert"));
    refused(
        &[&ask[..], &["--norm", "l1"]].concat(),
        &["grad-cert: --norm l1; expected linf or l2"],
    );
    let ask = ["certify", &tanh, "--data", &data, "--epsilon", "0.1", "--method", "sdp"];
    refused(&ask, &["sdp: layer 0 has tanh, expected ReLU or leaky ReLU, not steeper below 0"]);
}

/// Each of the stronger relaxations certifies what the one before it does, and says who did.
#[test]
fn the_relaxations_follow_one_another() {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    for semantics in ["real", "deployed"] {
        let radii = |method: &[&str]| -> Vec<f64> {
            let ask = ["radius", &model, "--data", &data, "--range", "0..8", "--format", "jsonl"];
            let more = ["--semantics", semantics, "--tolerance", "1e-4", "--method"];
            let found = lines(&stdout(&certus(&[&ask[..], &more, method].concat()), 1));
            found.iter().map(|value| value["radius"].as_f64().unwrap()).collect()
        };
        let all = [&["crown"][..], &["dual"], &["lp", "--lp", "last"], &["lp"]].map(radii);
        for pair in all.windows(2) {
            let holds = pair[0].iter().zip(&pair[1]).all(|(before, after)| after >= before);
            assert!(holds, "{semantics}: {all:?}");
        }
        let gained = |after: &[f64]| all[0].iter().zip(after).filter(|(a, b)| b > a).count();
        assert!(gained(&all[1]) >= 4 && gained(&all[3]) >= 6, "{semantics}: {all:?}");
    }
    let ask = ["certify", &model, "--data", &data, "--epsilon", "0.09", "--format", "jsonl"];
    let ask = [&ask[..], &["--range", "0..60", "--method", "lp"]].concat();
    let found = certus(&ask);
    let methods: Vec<_> = lines(&String::from_utf8(found.stdout).unwrap())
        .iter()
        .map(|value| format!("{} {}", value["method"], value["verdict"]))
        .collect();
    for (method, verdict) in [("crown", "certified"), ("pgd", "falsified"), ("lp", "certified")] {
        let expected = format!("\"{method}\" \"{verdict}\"");
        assert!(methods.contains(&expected), "{expected}: {methods:?}");
    }
}

#[test]
fn wrong_use_is_told() {
    let folder = Folder::new();
    let model = folder.file("m.certus", larger());
    let data = folder.file("d.npy", npy("(1, 2)", &[1.0, 0.25]));
    for method in METHODS {
        let ask = ["radius", &model, "--data", &data, "--method", method];
        let deployed = [&ask[..], &["--semantics", "deployed"]].concat();
        refused(&deployed, &["--method", method, "real semantics only"]);
        refused(&[&ask[..], &["--exact"]].concat(), &["--exact", "--method simplex"]);
        let bounds = ["bounds", &model, "--box", "0,0", "1,1", "--method", method];
        refused(&bounds, &["--method", method, "margins of a classifier", "expected another"]);
    }
}
