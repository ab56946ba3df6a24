//! `--method auto` beside each of its stages alone, on real networks: nothing is certified less, nothing
//! that is certified is falsified, and it takes less work than the strongest stage.

use std::sync::Arc;

use certus::alpha::Settings;
use certus::attack::Worker;
use certus::plan::{self, AlphaCrown, SharedStage, propagation};
use certus::question::Question;
use certus::report::Verdict;
use certus_engine::bounds::{Method, Options};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_tests::outside;

/// Nets with radii at which no method settles all and none settles nothing.
const CASES: [(&str, f64); 5] = [
    ("vnncomp/mnist_fc/onnx/mnist-net_256x2.onnx", 0.015),
    ("vnncomp/mnist_fc/onnx/mnist-net_256x2.onnx", 0.03),
    ("vnncomp/mnist_fc/onnx/mnist-net_256x6.onnx", 0.015),
    ("eran/onnx/tf/mnist_relu_3_50.onnx", 0.03),
    ("eran/onnx/tf/mnist_relu_6_100.onnx", 0.015),
];

fn stages() -> Vec<(&'static str, Vec<SharedStage>)> {
    let crown = Options::new(Method::Crown);
    let alpha = AlphaCrown { crown, settings: Settings::default() };
    vec![
        ("ibp", vec![propagation("ibp", Options::new(Method::Ibp))]),
        ("crown-ibp", vec![propagation("crown-ibp", Options::new(Method::CrownIbp))]),
        ("crown", vec![propagation("crown", crown)]),
        ("alpha-crown", vec![Arc::new(alpha)]),
        ("auto", plan::auto(crown)),
    ]
}

#[test]
fn auto_is_its_best_stage_for_less() {
    let name = "auto_is_its_best_stage_for_less";
    let count = if outside::long() { 50 } else { 20 };
    let Some(images) = outside::mnist(name, count) else { return };
    for (path, epsilon) in CASES {
        let Some(file) = outside::find(name, path) else { continue };
        let words = outside::words(&outside::network(&file));
        let model = Model::from_words(&words).expect("packed");
        let mut worker = Worker::new(model, false);
        let mut found = Vec::new();
        for (stage, stages) in stages() {
            let ends = Some((0.0, 1.0));
            let usual = Question::new(Norm::Linf, stages);
            let question = Question { clip: ends, inner: ends, ..usual };
            let (mut verdicts, mut work) = (Vec::new(), 0);
            for (i, (x, label)) in images.iter().enumerate() {
                let answer = question.certify(&mut worker, i, x, Some(*label), epsilon);
                verdicts.push(answer.record.verdict);
                work += answer.work.macs();
            }
            let of = |verdict| verdicts.iter().filter(|v| **v == verdict).count();
            let (certified, falsified) = (of(Verdict::Certified), of(Verdict::Falsified));
            println!("{path} {epsilon}: {stage} {certified}, {falsified} falsified, {work} madds");
            found.push((verdicts, work));
        }
        let Some(((auto, work), alone)) = found.split_last() else { return };
        for (verdicts, _) in alone {
            for (i, (alone, auto)) in verdicts.iter().zip(auto).enumerate() {
                let kept = *alone != Verdict::Certified || *auto == Verdict::Certified;
                assert!(kept, "{path} {epsilon}, image {i}: {alone:?} alone, {auto:?} in auto");
            }
        }
        let strongest = alone.last().map_or(0, |(_, work)| *work);
        assert!(*work < strongest, "{path} {epsilon}: {work} beside {strongest}");
    }
}
