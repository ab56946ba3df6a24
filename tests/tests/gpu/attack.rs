//! Attacks on a GPU: from the same starts as the cores', about as strong, and nothing but a replay falsifies.

use std::sync::Arc;

use certus::attack::{Aim, Attack, Cpu, Descent, Loss, Method, Place, Threat, Worker, replay};
use certus::cpu::Runner;
use certus::dataset::Dataset;
use certus::gpu::{Ahead, Asked, Capacity, Crown, Device, Goal, Job};
use certus::plan::{AlphaCrown, SharedStage, Sieve, propagation};
use certus::question::Question;
use certus::report::Verdict;
use certus_engine::bounds::{self as engine, Options};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_tests::outside;
use certus_tests::plan::long;

use super::agreement::{self, Subject};
use super::{device, is_slow};

/// At which about half of the digits have another answer near by, of the norms of their radii.
const NEAR: [(Norm, f64); 2] = [(Norm::Linf, 0.12), (Norm::L2, 0.6)];

/// The example, and some of its images.
fn digits(test: &str, count: usize) -> Subject {
    agreement::subjects(test, count).swap_remove(0)
}

fn crown<'d>(device: &'d Device, model: &Model<'_>, samples: usize) -> Crown<'d> {
    Crown::new(device, model, Norm::Linf, Options::new(engine::Method::Ibp), |shape| {
        Capacity::new(shape, model.inputs(), device.about.binding, 1 << 28, samples)
    })
    .expect("a network of known activations")
}

#[test]
fn starts_are_the_cores_and_what_is_found_is_about_as_good() {
    let test = "starts_are_the_cores_and_what_is_found_is_about_as_good";
    let Some(device) = device(test) else { return };
    let subject = digits(test, if is_slow(&device) { 4 } else { 40 });
    let words = outside::words(&subject.network);
    let model = Model::from_words(&words).unwrap();
    let (mut gradient, mut runner) = (Cpu::new(model), Runner::new(model, false));
    let crown = crown(&device, &model, 7);
    for (norm, epsilon) in NEAR {
        for (clip, aim) in [(None, Aim::Spread), (Some((0.0, 1.0)), Aim::Each), (None, Aim::Best)] {
            let mut goals = Vec::new();
            for (index, (x, _)) in subject.images.iter().enumerate() {
                let threat = Threat { center: x, epsilon, norm, clip };
                let class = runner.predict(x).unwrap();
                goals.push(Goal { index, class, threat });
            }
            let mut host = |descent: &Descent| {
                let one = |goal: &Goal<'_>| {
                    let Goal { index, class, threat } = goal;
                    descent.run(&mut gradient, &mut runner, threat, *class, *index)
                };
                goals.iter().map(one).collect::<Vec<_>>()
            };
            // Without a step, what is found is where a search begins.
            let descent = Descent { steps: 0, restarts: 4, aim, seed: 5, ..Descent::PGD };
            let mut same = 0;
            for (peak, found) in crown.climb(&descent, &goals).unwrap().iter().zip(host(&descent)) {
                let peak = peak.as_ref().unwrap();
                let (point, lead) = found.best.unwrap();
                // Of two that are about as good, either.
                assert!(
                    (peak.lead - lead).abs() < 1e-3 * (1.0 + lead.abs()),
                    "{lead} {}",
                    peak.lead
                );
                same += usize::from(peak.point == point);
            }
            assert!(same + 2 >= goals.len(), "{same} of {}", goals.len());
            // With steps, about as many cross.
            let descent = Descent { steps: 20, restarts: 3, aim, ..Descent::PGD };
            let theirs = host(&descent).iter().filter(|found| found.witness.is_some()).count();
            let peaks = crown.climb(&descent, &goals).unwrap();
            let mut ours = 0;
            for (peak, goal) in peaks.iter().zip(&goals) {
                let peak = peak.as_ref().unwrap();
                let place = Place::new(&goal.threat);
                let mut point = peak.point.clone();
                place.put(&mut place.way(&peak.point), &mut point);
                // Out of the threat by rounding at most.
                let far = point.iter().zip(&peak.point).map(|(a, b)| (a - b).abs());
                let far = far.fold(0.0f32, f32::max);
                assert!(far < 1e-5, "{norm} {clip:?}: {far} out");
                ours += usize::from(replay(&mut runner, &goal.threat, goal.class, &point).is_ok());
            }
            println!("{norm} {clip:?} {aim:?}: {ours} by the GPU, {theirs} by the cores");
            assert!(ours + 2 >= theirs, "{norm} {clip:?} {aim:?}: {ours}, the cores {theirs}");
            assert!(theirs > 0 && theirs < goals.len() || is_slow(&device), "{theirs}");
        }
    }
}

#[test]
fn what_no_device_takes_is_the_cores() {
    let entropy = Descent { loss: Loss::CrossEntropy, ..Descent::PGD };
    assert!(!Crown::climbs(&entropy, Norm::Linf) && !Crown::climbs(&Descent::PGD, Norm::L1));
    assert!(Crown::climbs(&Descent::PGD, Norm::Linf) && Crown::climbs(&Descent::PGD, Norm::L2));
}

struct Run {
    words: Arc<Vec<u32>>,
    set: Arc<Dataset>,
    norm: Norm,
    clip: Option<(f32, f32)>,
}

impl Run {
    fn new(subject: &Subject, norm: Norm, clip: Option<(f32, f32)>) -> Self {
        let words = Arc::new(outside::words(&subject.network));
        let inputs = subject.images.iter().flat_map(|(x, _)| x.clone()).collect();
        let labels = Some(subject.images.iter().map(|(_, label)| *label).collect());
        let (rows, cols) = (subject.images.len(), subject.network.inputs);
        let set = Arc::new(Dataset { inputs, rows, cols, labels, shape: vec![cols] });
        Self { words, set, norm, clip }
    }

    fn gpu(&self, device: Device, asked: Asked, attacks: Vec<Attack>) -> SharedStage {
        Arc::new(Ahead::begin(Job {
            device,
            words: Arc::clone(&self.words),
            set: Arc::clone(&self.set),
            todo: (0..self.set.rows).collect(),
            method: ("crown", Options::new(engine::Method::Crown)),
            norm: self.norm,
            clip: self.clip,
            asked,
            attacks,
            profiled: false,
            notice: Box::new(|what| panic!("{what}")),
        }))
    }

    fn question(&self, stages: Vec<SharedStage>) -> Question {
        let inner = self.clip;
        Question { clip: self.clip, inner, ..Question::new(self.norm, stages) }
    }
}

#[test]
fn attacks_on_a_gpu_falsify_by_replays() {
    let test = "attacks_on_a_gpu_falsify_by_replays";
    for ((norm, epsilon), clip) in NEAR.into_iter().zip([Some((0.0, 1.0)), None]) {
        let Some(device) = device(test) else { return };
        let subject = digits(test, if is_slow(&device) { 4 } else { 40 });
        let run = Run::new(&subject, norm, clip);
        let descent = Descent { steps: 15, restarts: 3, ..Descent::PGD };
        let attack = Attack { clip, descent, ..Attack::new(Method::Pgd) };
        let ours = run.question(vec![run.gpu(device, Asked::Attack(epsilon), vec![attack])]);
        let theirs = run.question(Vec::new());
        let model = Model::from_words(&run.words).unwrap();
        let mut worker = Worker::new(model, false);
        let mut counts = [0, 0];
        for i in 0..run.set.rows {
            let (x, label) = (run.set.row(i), run.set.label(i));
            let (gpu, witness) = attack.answer(&ours, &mut worker, i, x, label, epsilon);
            let (cpu, _) = attack.answer(&theirs, &mut worker, i, x, label, epsilon);
            let (gpu, cpu) = (gpu.record, cpu.record);
            assert_eq!((gpu.predicted, &gpu.method), (cpu.predicted, &cpu.method));
            let wrong = Verdict::Misclassified;
            assert_eq!(gpu.verdict == wrong, cpu.verdict == wrong, "{gpu:?}");
            assert_eq!(gpu.verdict == Verdict::Falsified, witness.is_some());
            assert!(gpu.backend.starts_with("gpu") || gpu.verdict == wrong, "{gpu:?}");
            if let Some(witness) = witness {
                assert!(witness.distance() <= epsilon, "{gpu:?}");
                let inside = |x: &f32| clip.is_none_or(|(lo, hi)| lo <= *x && *x <= hi);
                assert!(witness.point().iter().all(inside));
            }
            for (count, record) in counts.iter_mut().zip([&gpu, &cpu]) {
                *count += usize::from(record.verdict == Verdict::Falsified);
            }
        }
        println!("{norm}: {counts:?} of {}", run.set.rows);
        assert!(counts[0] + 2 >= counts[1] && counts[1] > 0, "{counts:?}");
    }
}

#[test]
fn what_a_gpu_leaves_open_it_attacks() {
    let test = "what_a_gpu_leaves_open_it_attacks";
    let Some(device) = device(test) else { return };
    let count = if is_slow(&device) {
        4
    } else if long() {
        200
    } else {
        60
    };
    let subject = digits(test, count);
    let epsilon = 0.12;
    let run = Run::new(&subject, Norm::Linf, None);
    let sieve = Sieve::default();
    let crown = Options::new(engine::Method::Crown);
    let rest = || -> Vec<SharedStage> {
        vec![Arc::new(sieve), Arc::new(AlphaCrown { crown, settings: Default::default() })]
    };
    let first = run.gpu(device, Asked::Ball(epsilon), vec![sieve.attack]);
    let ours = run.question([vec![first], rest()].concat());
    let theirs = run.question([vec![propagation("crown", crown)], rest()].concat());
    let model = Model::from_words(&run.words).unwrap();
    let mut worker = Worker::new(model, false);
    let mut falsified = [0, 0];
    let mut differ = 0;
    for i in 0..run.set.rows {
        let (x, label) = (run.set.row(i), run.set.label(i));
        let gpu = ours.certify(&mut worker, i, x, label, epsilon);
        let cpu = theirs.certify(&mut worker, i, x, label, epsilon);
        let of = |verdict: Verdict| verdict == Verdict::Falsified;
        assert_eq!(of(gpu.record.verdict), gpu.witness.is_some());
        if of(gpu.record.verdict) {
            assert_eq!((&*gpu.record.method, &gpu.record.backend[..3]), ("pgd", "gpu"));
            // The cores took no gradient.
            assert_eq!(gpu.stages[1].work.product_macs, 0);
        } else if gpu.record.method == "alpha-crown" {
            assert_eq!(gpu.record.backend, "cpu");
        }
        falsified[0] += usize::from(of(gpu.record.verdict));
        falsified[1] += usize::from(of(cpu.record.verdict));
        differ += usize::from(gpu.record.verdict != cpu.record.verdict);
        // No proof beside a counterexample.
        let both = [gpu.record.verdict, cpu.record.verdict];
        assert!(!(both.contains(&Verdict::Certified) && both.contains(&Verdict::Falsified)));
    }
    println!("{falsified:?} falsified, {differ} differ of {}", run.set.rows);
    assert!(falsified[0] + 2 >= falsified[1] && (falsified[1] > 2 || count < 9), "{falsified:?}");
    assert!(differ <= 2, "{differ}");
}
