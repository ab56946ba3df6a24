//! Devices that fail under a job: nothing is lost, nothing waits for ever, the CPU answers the rest.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use certus_engine::bounds::{Method, Options};
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use rayon::prelude::*;

use super::{Adapters, Ahead, Asked, Capacity, Crown, Device, Job, Sample, Troubles};
use crate::attack::{self, Attack, DeepFool, Descent, Worker};
use crate::blob::{self, WeightKind};
use crate::dataset::Dataset;
use crate::network::{Affine, Network};
use crate::plan::{SharedStage, propagation};
use crate::question::{Answer, Question};
use crate::radius::Search;
use crate::report::Verdict;

/// The first adapter, open; where there is none, `None`, after a line in the log of skipped tests.
///
/// With `CERTUS_GPU=required` that is a failure; with `CERTUS_GPU=off` none is looked for.
fn device(test: &str) -> Option<Device> {
    let wish = std::env::var("CERTUS_GPU").unwrap_or_default();
    if wish == "off" {
        println!("{test}: left out, CERTUS_GPU=off");
        return None;
    }
    let opened = Adapters::find().open(0);
    // The chunks of a job are small on software only.
    let opened = opened.map(|mut device| {
        device.about.kind = "software";
        device
    });
    match opened {
        Ok(device) => Some(device),
        Err(fault) => {
            let line = format!("SKIPPED: {test}: no GPU: {fault}");
            assert!(wish != "required", "{line}, with CERTUS_GPU=required");
            let log = std::env::var_os("CERTUS_SKIP_LOG").and_then(|log| {
                std::fs::OpenOptions::new().append(true).create(true).open(log).ok()
            });
            match log {
                Some(mut log) => writeln!(log, "{line}").unwrap(),
                None => println!("{line}"),
            }
            None
        }
    }
}

/// Samples of a chunk of a job on software.
const CHUNK: usize = 16;
const SAMPLES: usize = 40;
const INPUTS: usize = 6;
const EPSILON: f64 = 0.15;
const METHOD: (&str, Options) = ("crown", Options::new(Method::Crown));
const PGD: Attack = Attack {
    method: attack::Method::Pgd,
    descent: Descent { restarts: 3, ..Descent::PGD },
    deepfool: DeepFool { steps: 1, overshoot: 0.0 },
    clip: None,
};

/// A network and samples.
type Subject = (Arc<Vec<u32>>, Arc<Dataset>);

/// A small random network, with lines that kernels and that the host chooses.
fn mixed() -> Subject {
    subject(Activation::Tanh)
}

/// One that a GPU attacks, too.
fn plain() -> Subject {
    subject(Activation::Relu)
}

/// With this activation of its second layer.
fn subject(second: Activation) -> Subject {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut draw = |n: usize| (0..n).map(|_| rng.f32() * 2.0 - 1.0).collect::<Vec<_>>();
    let widths = [INPUTS, 12, 10, 3];
    let layers = widths.windows(2).enumerate().map(|(k, widths)| Affine {
        rows: widths[1],
        cols: widths[0],
        weights: draw(widths[0] * widths[1]),
        bias: draw(widths[1]),
        activation: [Activation::Relu, second, Activation::Identity][k],
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    });
    let network = Network { inputs: INPUTS, layers: layers.collect() };
    let words = blob::pack(&network, WeightKind::F32).unwrap();
    let (rows, cols, labels) = (SAMPLES, INPUTS, None);
    let set = Dataset { inputs: draw(rows * cols), rows, cols, labels, shape: vec![cols] };
    (Arc::new(words), Arc::new(set))
}

/// What a job said.
type Notices = Arc<Mutex<Vec<String>>>;

fn job(device: Device, (words, set): Subject, asked: Asked) -> (Job, Notices) {
    let notices = Notices::default();
    let to = Arc::clone(&notices);
    let job = Job {
        device,
        words,
        set,
        todo: (0..SAMPLES).collect(),
        method: METHOD,
        norm: Norm::Linf,
        clip: None,
        asked,
        attacks: Vec::new(),
        profiled: false,
        notice: Box::new(move |what| to.lock().unwrap().push(what.to_owned())),
    };
    (job, notices)
}

const SEARCH: Search = Search { tolerance: 1e-3, budget: 60, start: 0.05 };

/// Every sample's answer by a stage, asked by as many threads as there are.
fn answers(stage: &SharedStage, (words, set): &Subject, asked: Asked) -> Vec<Answer> {
    let model = Model::from_words(words).unwrap();
    let question = Question::new(Norm::Linf, [Arc::clone(stage)]);
    let one = |worker: &mut Worker<'_>, i: usize| match asked {
        Asked::Ball(epsilon) => question.certify(worker, i, set.row(i), None, epsilon),
        Asked::Radius(search) => question.radius(worker, i, set.row(i), None, &search).0,
        Asked::Attack(epsilon) => PGD.answer(&question, worker, i, set.row(i), None, epsilon).0,
    };
    (0..SAMPLES).into_par_iter().map_init(|| Worker::new(model, false), one).collect()
}

/// Checks the verdicts of a job's answers against the CPU's; gives for each whether a GPU found it.
fn checked(job: Job, asked: Asked) -> Vec<bool> {
    let backend = format!("gpu {}", job.device.about.name);
    let of = (Arc::clone(&job.words), Arc::clone(&job.set));
    let found = answers(&(Arc::new(Ahead::begin(job)) as SharedStage), &of, asked);
    let expected = answers(&propagation(METHOD.0, METHOD.1), &of, asked);
    let mut verdicts = [0; 2];
    for (found, expected) in found.iter().zip(&expected) {
        let (found, expected) = (&found.record, &expected.record);
        // No margin is so near to 0 that the devices' roundings could matter.
        assert!(expected.margin.is_none_or(|margin| margin.abs() > 1e-4), "{expected:?}");
        assert_eq!(found.verdict, expected.verdict, "{found:?}");
        verdicts[usize::from(found.verdict == Verdict::Certified)] += 1;
        if let (Some(a), Some(b)) = (found.radius, expected.radius) {
            assert!((a - b).abs() <= SEARCH.tolerance, "{found:?}, on the CPU {b}");
        }
        assert!(found.backend == backend || found.backend == "cpu", "{found:?}");
        assert_eq!(found.method, METHOD.0);
    }
    if matches!(asked, Asked::Ball(_)) {
        assert!(verdicts[0] > 5 && verdicts[1] > 5, "{verdicts:?}");
    }
    found.iter().map(|answer| answer.record.backend == backend).collect()
}

/// Submissions that one chunk takes on this device.
fn submissions(device: &Device, (words, set): &Subject, samples: usize) -> usize {
    let model = Model::from_words(words).unwrap();
    let crown = Crown::new(device, &model, Norm::Linf, METHOD.1, |shape| {
        Capacity::new(shape, INPUTS, device.about.binding, 1 << 29, samples)
    });
    let crown = crown.unwrap();
    let region = |i| Region::ball(set.row(i), EPSILON, Norm::Linf);
    let all: Vec<_> = (0..samples).map(|i| Sample { region: region(i), class: 0 }).collect();
    let points: Vec<_> = (0..samples).map(|i| set.row(i)).collect();
    let before = device.submissions();
    crown.classes(&points).unwrap();
    crown.margins(&all).unwrap();
    device.submissions() - before
}

#[test]
fn a_job_without_faults_is_the_gpus() {
    let Some(device) = device("a_job_without_faults_is_the_gpus") else { return };
    let (job, notices) = job(device, mixed(), Asked::Ball(EPSILON));
    assert_eq!(checked(job, Asked::Ball(EPSILON)), [true; SAMPLES]);
    assert!(notices.lock().unwrap().is_empty());
}

#[test]
fn a_device_that_is_lost_leaves_the_rest_to_the_cpu() {
    let Some(device) = device("a_device_that_is_lost_leaves_the_rest_to_the_cpu") else { return };
    let each = submissions(&device, &mixed(), CHUNK);
    assert!(each > 1);
    // At the first kernels of the second chunk, and at its last.
    let mut device = Some(device);
    for destroyed in [each, 2 * each - 1] {
        let troubles = Troubles { destroyed: Some(destroyed), ..Troubles::default() };
        let fresh = device.take().unwrap_or_else(|| Adapters::find().open(0).unwrap());
        let mut fresh = fresh.plant(troubles);
        fresh.about.kind = "software";
        let (job, notices) = job(fresh, mixed(), Asked::Ball(EPSILON));
        let by_gpu = checked(job, Asked::Ball(EPSILON));
        assert!(by_gpu[..CHUNK].iter().all(|gpu| *gpu), "{by_gpu:?}");
        assert!(by_gpu[CHUNK..].iter().all(|gpu| !gpu), "{by_gpu:?}");
        let notices = notices.lock().unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].starts_with("GPU: device lost"), "{notices:?}");
        assert!(notices[0].ends_with("; the CPU does the rest"), "{notices:?}");
    }
}

#[test]
fn searches_survive_a_lost_device() {
    let Some(device) = device("searches_survive_a_lost_device") else { return };
    let asked = Asked::Radius(SEARCH);
    let device = device.plant(Troubles { destroyed: Some(9), ..Troubles::default() });
    let (job, notices) = job(device, mixed(), asked);
    assert_eq!(checked(job, asked), [false; SAMPLES]);
    assert_eq!(notices.lock().unwrap().len(), 1);
}

#[test]
fn attacks_survive_a_lost_device() {
    let Some(device) = device("attacks_survive_a_lost_device") else { return };
    let asked = Asked::Attack(EPSILON);
    let expected = answers(&propagation(METHOD.0, METHOD.1), &plain(), asked);
    let mut device = Some(device);
    // Before the classes, within the first search, within the second chunk, and never.
    for destroyed in [Some(0), Some(3), Some(9), None] {
        let troubles = Troubles { destroyed, ..Troubles::default() };
        let fresh = device.take().unwrap_or_else(|| Adapters::find().open(0).unwrap());
        let mut fresh = fresh.plant(troubles);
        fresh.about.kind = "software";
        let (job, notices) = job(fresh, plain(), asked);
        let job = Job { attacks: vec![PGD], ..job };
        let found = answers(&(Arc::new(Ahead::begin(job)) as SharedStage), &plain(), asked);
        let mut by_gpu = 0;
        for (found, expected) in found.iter().zip(&expected) {
            let (found, expected) = (&found.record, &expected.record);
            assert_eq!((found.predicted, found.verdict), (expected.predicted, expected.verdict));
            by_gpu += usize::from(found.backend != "cpu");
        }
        assert_eq!(notices.lock().unwrap().len(), usize::from(destroyed.is_some()));
        let falsified = expected.iter().filter(|of| of.record.verdict == Verdict::Falsified);
        let falsified = falsified.count();
        match destroyed {
            None => assert!(by_gpu == SAMPLES && falsified > 5, "{by_gpu}, {falsified}"),
            Some(9) => assert!(by_gpu > 0 && by_gpu < SAMPLES, "{by_gpu}"),
            Some(_) => assert_eq!(by_gpu, 0),
        }
    }
}

#[test]
fn bounds_are_kept_where_an_attack_fails() {
    let Some(device) = device("bounds_are_kept_where_an_attack_fails") else { return };
    let each = submissions(&device, &plain(), CHUNK);
    let device = device.plant(Troubles { refused: each..usize::MAX, ..Troubles::default() });
    let (job, notices) = job(device, plain(), Asked::Ball(EPSILON));
    let by_gpu = checked(Job { attacks: vec![PGD], ..job }, Asked::Ball(EPSILON));
    assert!(by_gpu[..CHUNK].iter().all(|gpu| *gpu) && !by_gpu[CHUNK..].contains(&true));
    assert_eq!(notices.lock().unwrap()[2], "GPU: out of memory; the CPU does the rest");
}

#[test]
fn the_steps_of_attacks_are_counted() {
    let Some(device) = device("the_steps_of_attacks_are_counted") else { return };
    let (job, _) = job(device, plain(), Asked::Attack(EPSILON));
    let job = Job { attacks: vec![PGD], profiled: true, ..job };
    let ahead = Arc::new(Ahead::begin(job));
    answers(&(Arc::clone(&ahead) as SharedStage), &plain(), Asked::Attack(EPSILON));
    let done = ahead.end().unwrap();
    // A pass and a gradient for each of 40 steps from 3 starts, and a pass at the end.
    let weights = (6 * 12 + 12 * 10 + 10 * 3) as u64;
    assert_eq!((done.macs, done.climbed), (0, SAMPLES as u64 * 3 * (2 * 40 + 1) * weights));
    assert_eq!(done.classes[1], SAMPLES);
}

#[test]
fn want_of_memory_is_answered_by_smaller_batches() {
    let Some(device) = device("want_of_memory_is_answered_by_smaller_batches") else { return };
    let device = device.plant(Troubles { refused: 0..2, ..Troubles::default() });
    let (job, notices) = job(device, mixed(), Asked::Ball(EPSILON));
    assert_eq!(checked(job, Asked::Ball(EPSILON)), [true; SAMPLES]);
    let expected = [2, 1].map(|n| format!("GPU: out of memory; trying {n} samples at a time"));
    assert_eq!(*notices.lock().unwrap(), expected);
}

#[test]
fn want_of_memory_for_one_sample_leaves_the_rest_to_the_cpu() {
    let Some(device) = device("want_of_memory_for_one_sample_leaves_the_rest_to_the_cpu") else {
        return;
    };
    let each = submissions(&device, &mixed(), CHUNK);
    let device = device.plant(Troubles { refused: each..usize::MAX, ..Troubles::default() });
    let (job, notices) = job(device, mixed(), Asked::Ball(EPSILON));
    let by_gpu = checked(job, Asked::Ball(EPSILON));
    assert_eq!(by_gpu.iter().filter(|gpu| **gpu).count(), CHUNK);
    let notices = notices.lock().unwrap();
    assert_eq!(notices.len(), 3);
    assert_eq!(notices[2], "GPU: out of memory; the CPU does the rest");
}

#[test]
fn a_panic_of_the_gpus_thread_keeps_nobody_waiting() {
    let Some(device) = device("a_panic_of_the_gpus_thread_keeps_nobody_waiting") else { return };
    let device = device.plant(Troubles { refused: 0..1, ..Troubles::default() });
    let (job, _) = job(device, mixed(), Asked::Ball(EPSILON));
    let job = Job { notice: Box::new(|what| panic!("planted, at: {what}")), ..job };
    assert_eq!(checked(job, Asked::Ball(EPSILON)), [false; SAMPLES]);
}

#[test]
fn what_a_job_did_is_told_whole_or_broken_off() {
    let test = "what_a_job_did_is_told_whole_or_broken_off";
    let Some(device) = device(test) else { return };
    let (each, timed) = (submissions(&device, &mixed(), CHUNK), device.has_clock());
    let asked = Asked::Ball(EPSILON);
    let mut macs = Vec::new();
    for troubles in [
        Troubles::default(),
        Troubles { refused: 1..2, ..Troubles::default() },
        Troubles { refused: each..usize::MAX, ..Troubles::default() },
    ] {
        let mut device = Adapters::find().open(0).unwrap().plant(troubles);
        device.about.kind = "software";
        let (job, _) = job(device, mixed(), asked);
        let ahead = Arc::new(Ahead::begin(Job { profiled: true, ..job }));
        answers(&(Arc::clone(&ahead) as SharedStage), &mixed(), asked);
        let done = ahead.end().unwrap();
        assert_eq!(done.kernels.is_some(), timed);
        if let Some(kernels) = done.kernels {
            let runs = |name| kernels.0.get(name).map_or(0, |timing| timing.runs);
            assert!(runs("interval") > 0 && runs("reach") > 0, "{kernels:?}");
        }
        macs.push(done.macs);
    }
    // All chunks, all in smaller batches, and the first alone.
    assert!(macs[0] > macs[2] && macs[1] > macs[2] && macs[2] > 0, "{macs:?}");
}

#[test]
fn a_job_that_is_given_up_ends_with_its_searches_open() {
    let Some(device) = device("a_job_that_is_given_up_ends_with_its_searches_open") else { return };
    // All of them would take hours.
    let asked = Asked::Radius(Search { tolerance: 1e-12, budget: usize::MAX, start: 1e-12 });
    let (job, notices) = job(device, mixed(), asked);
    drop(Ahead::begin(Job { todo: (0..SAMPLES).cycle().take(1 << 20).collect(), ..job }));
    assert!(notices.lock().unwrap().is_empty());
}

#[test]
fn a_device_destroyed_at_any_time_gives_whole_answers_or_a_fault() {
    let test = "a_device_destroyed_at_any_time_gives_whole_answers_or_a_fault";
    let Some(device) = device(test) else { return };
    let (words, set) = mixed();
    let model = Model::from_words(&words).unwrap();
    let crown = Crown::new(&device, &model, Norm::Linf, METHOD.1, |shape| {
        Capacity::new(shape, INPUTS, device.about.binding, 1 << 29, CHUNK)
    });
    let crown = crown.unwrap();
    let region = |i| Region::ball(set.row(i), EPSILON, Norm::Linf);
    let samples: Vec<_> = (0..CHUNK).map(|i| Sample { region: region(i), class: 0 }).collect();
    let margins = || -> Result<Vec<Vec<f32>>, super::Fault> {
        Ok(crown.margins(&samples)?.into_iter().map(Result::unwrap).collect())
    };
    let whole = margins().unwrap();
    let rounds = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (rounds, device) = (&rounds, &device);
        scope.spawn(move || {
            while !rounds.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            device.destroy();
        });
        let fault = loop {
            match margins() {
                Ok(found) => assert_eq!(found, whole),
                Err(fault) => break fault,
            }
            rounds.store(true, Ordering::Relaxed);
        };
        println!("{fault}");
    });
    // For good.
    for _ in 0..3 {
        assert!(margins().is_err() && device.is_lost());
    }
}
