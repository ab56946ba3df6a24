//! The simplex certificate of a GPU: never beyond a face's exact distance, and the cores' but for what they
//! are asked about.

use std::path::Path;
use std::sync::Arc;

use certus::attack::Worker;
use certus::cpu::Runner;
use certus::dataset::Dataset;
use certus::gpu::{Ahead, Asked, Capacity, Clear, Crown, Device, Faces, Job, Sample};
use certus::plan::{SharedStage, Simplex};
use certus::question::Question;
use certus::radius::Search;
use certus::report::Verdict;
use certus_engine::bounds::{Method, Options, Semantics};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region as Ball};
use certus_engine::simplex::{self, Query};
use certus_tests::geometry::{Kind, Region, case, nearest_adversarial};
use certus_tests::outside;
use certus_tests::plan::{long, seed};
use certus_tests::region::Norm as Exact;

use super::{device, is_slow};

const SEED: u64 = 63;
/// Nets of each kind.
const NETS: u64 = 6;
const NORMS: [(Norm, Exact); 3] =
    [(Norm::L1, Exact::L1), (Norm::L2, Exact::L2), (Norm::Linf, Exact::Linf)];

fn options(semantics: Semantics) -> Options {
    Options { semantics, ..Options::new(Method::Crown) }
}

/// The same point asked about four times in batches of 3.
fn ask(
    device: &Device,
    model: &Model<'_>,
    (u, class, norm): (&[f32], usize, Norm),
    semantics: Semantics,
) -> Option<Clear> {
    let crown = Crown::new(device, model, norm, options(semantics), |shape| {
        Capacity::new(shape, model.inputs(), device.about.binding, 1 << 28, 3)
    })
    .expect("a small network of known activations");
    let sample = Sample { region: Ball::ball(u, 0.0, norm), class };
    let found = Faces::new(&crown).find(&[sample; 4], f32::INFINITY).expect("the device runs");
    assert!(found.iter().all(|clear| *clear == found[0]), "{found:?}");
    found[0]
}

#[test]
fn no_radius_is_beyond_a_face() {
    let Some(device) = device("no_radius_is_beyond_a_face") else { return };
    let seed = seed(SEED);
    let (mut asked, mut positive, mut short) = (0, 0, 0.0f64);
    for kind in Kind::ALL {
        let nets = if long() {
            4 * NETS
        } else if is_slow(&device) {
            1
        } else {
            NETS
        };
        for index in 0..nets {
            let case = case(seed, kind, index);
            let words = outside::words(&case.net);
            let model = Model::from_words(&words).expect("packed here");
            if !Faces::knows(&model) {
                continue;
            }
            let (norm, exact) = NORMS[index as usize % 3];
            let region = Region::at(&case.net, &case.u);
            let facets = region.facets(exact).into_iter().map(|facet| facet.distance);
            let decisions = region.decisions(case.class, exact);
            let decisions = decisions.into_iter().map(|decision| decision.distance);
            let all: Vec<_> = facets.chain(decisions).collect();
            let adversarial = nearest_adversarial(&case.net, &case.u, case.class, exact, None);
            for semantics in [Semantics::Real, Semantics::Deployed] {
                let what = format!("{} {norm:?} {semantics:?}", case.name);
                let at = (&case.u[..], case.class, norm);
                let Some(clear) = ask(&device, &model, at, semantics) else { continue };
                asked += 1;
                if !(clear.radius > 0.0) {
                    continue;
                }
                positive += 1;
                for distance in &all {
                    let to = distance.to_f64();
                    assert!(distance.at_least(clear.radius), "{what}: {clear:?} beyond {to}");
                }
                if let Some(found) = &adversarial {
                    assert!(found.distance.at_least(clear.radius), "{what}: {clear:?}");
                }
                // Some face is within what nobody certifies more than.
                let most = (clear.most as f32).next_up();
                assert!(most == f32::INFINITY || all.iter().any(|d| d.at_most(most)), "{what}");
                let query = Query { semantics, ..Query::margins(at.0, norm, case.class) };
                let mut runner = Runner::new(model, false);
                let cores: simplex::Simplex<1> = runner.simplex(&query).expect("fits");
                let (mine, theirs) = (f64::from(clear.radius), f64::from(cores.radius()));
                assert!(theirs <= clear.most, "{what}: {clear:?} of {theirs}");
                if theirs < 100.0 {
                    short = short.max((theirs - mine) / (1.0 + theirs));
                }
            }
        }
    }
    println!("{asked} asked, {positive} positive, at most {short:e} short");
    let least = if is_slow(&device) { 5 } else { 20 };
    assert!(asked > least && 2 * positive > asked && short < 1e-3);
}

#[test]
fn points_that_a_device_might_flush_are_the_cores() {
    let Some(device) = device("points_that_a_device_might_flush_are_the_cores") else { return };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/example");
    let words = outside::words(&outside::network(&example.join("digits.onnx")));
    let model = Model::from_words(&words).expect("packed here");
    let set = outside::samples(&example.join("digits.npz"), None);
    let mut x = set.row(0).to_vec();
    let class = set.label(0).expect("labelled");
    let mut ask = |at: f32| {
        x[0] = at;
        ask(&device, &model, (&x, class, Norm::Linf), Semantics::Real)
    };
    assert!(ask(0.0).is_some_and(|clear| clear.radius > 0.0));
    for at in [1e-40, -1e-45, f32::NAN, f32::INFINITY, 1e30] {
        assert_eq!(ask(at), None, "{at}");
    }
}

/// Nets beside the example.
const FILES: [&str; 2] = [
    "vnncomp/mnist_fc/onnx/mnist-net_256x4.onnx",
    "relax_barrier/experiment_2/mnist_MLP_9_100_NOR.onnx",
];

#[test]
fn radii_and_verdicts_are_the_cores() {
    let test = "radii_and_verdicts_are_the_cores";
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/example");
    let digits = outside::samples(&example.join("digits.npz"), None);
    let count = if long() { 64 } else { 12 };
    let label = |i| digits.label(i).expect("labelled");
    let own: Vec<_> =
        (0..count.min(digits.rows)).map(|i| (digits.row(i).to_vec(), label(i))).collect();
    let mut subjects = vec![(outside::network(&example.join("digits.onnx")), own)];
    if let Some(images) = outside::mnist(test, count) {
        let found = FILES.into_iter().filter_map(|path| outside::find(test, path));
        subjects.extend(found.map(|path| (outside::network(&path), images.clone())));
    }
    let (mut whole, mut cores, mut worst, mut certified) = (0, 0, 0.0f64, 0);
    for (turn, (network, mut images)) in subjects.into_iter().enumerate() {
        let words = Arc::new(outside::words(&network));
        for (norm, semantics) in [
            (Norm::Linf, Semantics::Real),
            (Norm::L2, Semantics::Deployed),
            (Norm::L1, Semantics::Real),
        ] {
            let Some(device) = device(test) else { return };
            if is_slow(&device) {
                if turn > 0 {
                    break;
                }
                images.truncate(2);
            }
            let (rows, cols) = (images.len(), network.inputs);
            let set = Arc::new(Dataset {
                inputs: images.iter().flat_map(|(x, _)| x.clone()).collect(),
                rows,
                cols,
                labels: Some(images.iter().map(|(_, label)| *label).collect()),
                shape: vec![cols],
            });
            let stage: SharedStage = Arc::new(Simplex { semantics });
            let cpu = Question::new(norm, [stage]);
            let search = Search { tolerance: 1e-6, budget: 60, start: 0.01 };
            let job = |device, asked| Job {
                device,
                words: Arc::clone(&words),
                set: Arc::clone(&set),
                todo: (0..rows).collect(),
                method: ("simplex", options(semantics)),
                norm,
                clip: None,
                asked,
                attacks: Vec::new(),
                profiled: false,
                notice: Box::new(|what| panic!("{what}")),
            };
            let ahead: SharedStage = Arc::new(Ahead::begin(job(device, Asked::Radius(search))));
            let gpu = Question::new(norm, [ahead]);
            let mut worker = Worker::new(Model::from_words(&words).expect("packed here"), false);
            let mut radii = Vec::new();
            for (i, (x, label)) in images.iter().enumerate() {
                let (ours, found) = gpu.radius(&mut worker, i, x, Some(*label), &search);
                let (other, expected) = cpu.radius(&mut worker, i, x, Some(*label), &search);
                assert_eq!(ours.record.verdict, other.record.verdict, "{turn} {i}");
                if other.record.verdict == Verdict::Misclassified {
                    continue;
                }
                let (found, expected) = (found.radius, expected.radius);
                radii.push(expected);
                if ours.record.backend == "cpu" {
                    assert_eq!(found, expected, "{turn} {i}");
                    cores += 1;
                } else {
                    assert!(found <= expected * 1.002, "{turn} {i}: {found} of {expected}");
                    assert!(found * 1.002 >= expected, "{turn} {i}: {found} of {expected}");
                    worst = worst.max((found - expected).abs() / expected);
                    whole += 1;
                }
            }
            // In the midst of them, and as near to one as the cores can tell.
            radii.sort_by(f64::total_cmp);
            let middle = radii[radii.len() / 2];
            for epsilon in [middle, middle * 1.0001, middle * 0.9999] {
                let Some(device) = super::device(test) else { return };
                let ahead: SharedStage = Arc::new(Ahead::begin(job(device, Asked::Ball(epsilon))));
                let gpu = Question::new(norm, [ahead]);
                for (i, (x, label)) in images.iter().enumerate() {
                    let ours = gpu.certify(&mut worker, i, x, Some(*label), epsilon).record;
                    let other = cpu.certify(&mut worker, i, x, Some(*label), epsilon).record;
                    if ours.verdict != other.verdict {
                        // Above by rounding that happened to be less, and never the other way.
                        assert_eq!(ours.verdict, Verdict::Certified, "{turn} {i}: {ours:?}");
                        let less = cpu.certify(&mut worker, i, x, Some(*label), epsilon * 0.998);
                        assert_eq!(less.record.verdict, Verdict::Certified, "{turn} {i}");
                    }
                    certified += usize::from(ours.verdict == Verdict::Certified);
                }
            }
        }
    }
    println!("{whole} by the GPU, at most {worst:e} off, {cores} by the cores; {certified}");
    assert!(whole > 4 && certified > 0);
}
