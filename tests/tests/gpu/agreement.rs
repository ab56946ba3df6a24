//! A GPU's verdicts on real networks are the CPU's, but for what lies within its rounding budget; and its
//! radii are the CPU's but for 0.2 %.

use std::path::Path;
use std::sync::Arc;

use certus::attack::{Nearest, Worker};
use certus::cpu::Runner;
use certus::dataset::Dataset;
use certus::gpu::{Ahead, Asked, Device, Job};
use certus::network::Network;
use certus::plan::{SharedStage, propagation};
use certus::question::Question;
use certus::radius::Search;
use certus::report::Verdict;
use certus_engine::bounds::{Method, Options};
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm;
use certus_tests::outside;
use certus_tests::plan::long;

use super::{device, is_slow};

/// Nets, with a norm and a radius that certifies some of the images.
const NETS: [(&str, Norm, f64); 6] = [
    ("vnncomp/mnist_fc/onnx/mnist-net_256x2.onnx", Norm::Linf, 0.015),
    ("vnncomp/mnist_fc/onnx/mnist-net_256x4.onnx", Norm::Linf, 0.015),
    ("relax_barrier/experiment_2/mnist_MLP_2_100_LPD.onnx", Norm::Linf, 0.08),
    ("relax_barrier/experiment_2/mnist_MLP_9_100_NOR.onnx", Norm::Linf, 0.011),
    ("eran/onnx/tf/mnist_relu_3_50.onnx", Norm::L2, 0.15),
    ("eran/onnx/tf/mnist_relu_6_100.onnx", Norm::L1, 1.0),
];

/// Nets of curved activations on images with pixels 0 to 255, with a norm and a radius as above.
const CURVED: [(&str, Norm, f64); 4] = [
    ("sigmoid/logsig_200_50", Norm::Linf, 0.6),
    ("sigmoid/logsig_200_100_50", Norm::L2, 8.0),
    ("tanh/tansig_200_50", Norm::L1, 60.0),
    ("tanh/tansig_200_100_50", Norm::Linf, 0.6),
];

/// What a GPU's budget may take from a radius.
const LOSS: f64 = 0.002;

struct Net {
    words: Arc<Vec<u32>>,
    set: Arc<Dataset>,
    norm: Norm,
}

impl Net {
    fn new(network: &Network, norm: Norm, images: &[(Vec<f32>, usize)]) -> Self {
        let words = Arc::new(outside::words(network));
        let data: Vec<f32> = images.iter().flat_map(|(x, _)| x.clone()).collect();
        let labels = images.iter().map(|(_, label)| *label).collect();
        let (rows, cols) = (images.len(), network.inputs);
        let set =
            Arc::new(Dataset { inputs: data, rows, cols, labels: Some(labels), shape: vec![cols] });
        Self { words, set, norm }
    }

    fn gpu(&self, device: Device, method: (&'static str, Options), asked: Asked) -> SharedStage {
        Arc::new(Ahead::begin(Job {
            device,
            words: Arc::clone(&self.words),
            set: Arc::clone(&self.set),
            todo: (0..self.set.rows).collect(),
            method,
            norm: self.norm,
            clip: None,
            asked,
            attacks: Vec::new(),
            profiled: false,
            notice: Box::new(|what| panic!("{what}")),
        }))
    }

    fn question(&self, stage: SharedStage) -> Question {
        Question::new(self.norm, [stage])
    }

    fn worker(&self) -> Worker<'_> {
        Worker::new(Model::from_words(&self.words).expect("packed here"), false)
    }
}

const CROWN: (&str, Options) = ("crown", Options::new(Method::Crown));
const IBP: (&str, Options) = ("ibp", Options::new(Method::Ibp));

/// Radii that intervals certify are so much smaller.
const NARROW: f64 = 0.2;

fn cpu((name, options): (&'static str, Options)) -> SharedStage {
    propagation(name, options)
}

/// A net, how it is asked, and with what.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) network: Network,
    norm: Norm,
    epsilon: f64,
    pub(super) images: Vec<(Vec<f32>, usize)>,
}

/// The example that comes with the project, and what there is of [`NETS`].
pub(super) fn subjects(test: &str, count: usize) -> Vec<Subject> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/example");
    let set = outside::samples(&example.join("digits.npz"), None);
    let label = |i| set.label(i).expect("labelled");
    let digits: Vec<_> =
        (0..count.min(set.rows)).map(|i| (set.row(i).to_vec(), label(i))).collect();
    let mut all = Vec::new();
    for (norm, epsilon) in [(Norm::Linf, 0.05), (Norm::L2, 0.3), (Norm::L1, 1.0)] {
        all.push(Subject {
            name: "digits".to_owned(),
            network: outside::network(&example.join("digits.onnx")),
            norm,
            epsilon,
            images: digits.clone(),
        });
    }
    all.extend(bent(&all[0]));
    let Some(images) = outside::mnist(test, count) else { return all };
    all.extend(NETS.into_iter().filter_map(|(path, norm, epsilon)| {
        let network = outside::network(&outside::find(test, path)?);
        Some(Subject { name: path.to_owned(), network, norm, epsilon, images: images.clone() })
    }));
    let bytes: Vec<(Vec<f32>, usize)> = images
        .iter()
        .map(|(x, label)| (x.iter().map(|x| (255.0 * x).round()).collect(), *label))
        .collect();
    all.extend(CURVED.into_iter().filter_map(|(name, norm, epsilon)| {
        let path = format!("vnncomp2020/NLN_mnist/{name}_onnx.onnx");
        let network = outside::logits(&outside::find(test, &path)?);
        Some(Subject { name: name.to_owned(), network, norm, epsilon, images: bytes.clone() })
    }));
    all
}

/// The same network with other activations, and its own classes as labels.
fn bent(subject: &Subject) -> Vec<Subject> {
    let all = [
        ("tanh", [Activation::Tanh; 2], Norm::Linf, 0.02),
        ("ReLU and sigmoid", [Activation::Relu, Activation::Sigmoid], Norm::Linf, 0.05),
        ("GELU and ReLU", [Activation::Gelu, Activation::Relu], Norm::L2, 0.3),
    ];
    let of = |(name, activations, norm, epsilon): (&str, [Activation; 2], Norm, f64)| {
        let mut network = subject.network.clone();
        for (layer, activation) in network.layers.iter_mut().zip(activations) {
            assert_eq!(layer.activation, Activation::Relu);
            layer.activation = activation;
        }
        let words = outside::words(&network);
        let model = Model::from_words(&words).expect("packed here");
        let mut runner = Runner::new(model, false);
        let mut label = |x: &[f32]| runner.predict(x).expect("it fits");
        let images = subject.images.iter().map(|(x, _)| (x.clone(), label(x))).collect();
        Subject { name: format!("digits with {name}"), network, norm, epsilon, images }
    };
    all.map(of).into()
}

#[test]
fn verdicts_are_the_cpus_but_within_the_budget() {
    agree("verdicts_are_the_cpus_but_within_the_budget", CROWN, 1.0);
}

#[test]
fn verdicts_by_intervals_are_the_cpus_but_within_the_budget() {
    agree("verdicts_by_intervals_are_the_cpus_but_within_the_budget", IBP, NARROW);
}

/// Compares the verdicts of a method, at so many times the subjects' radii.
fn agree(test: &str, method: (&'static str, Options), times: f64) {
    let (mut certified, mut open, mut differ) = (0, 0, 0);
    for (turn, subject) in subjects(test, if long() { 24 } else { 12 }).into_iter().enumerate() {
        let Some(device) = device(test) else { return };
        if is_slow(&device) && turn > 3 {
            break;
        }
        let Subject { name, network, norm, epsilon, mut images } = subject;
        let epsilon = times * epsilon;
        images.truncate(if is_slow(&device) { 3 } else { images.len() });
        let net = Net::new(&network, norm, &images);
        let ours = net.question(net.gpu(device, method, Asked::Ball(epsilon)));
        let theirs = net.question(cpu(method));
        let mut worker = net.worker();
        for (i, (x, label)) in images.iter().enumerate() {
            let mut ask = |question: &Question, epsilon| {
                question.certify(&mut worker, i, x, Some(*label), epsilon).record
            };
            let (gpu, other) = (ask(&ours, epsilon), ask(&theirs, epsilon));
            let asked = other.verdict != Verdict::Misclassified;
            assert_eq!(gpu.backend.starts_with("gpu"), asked, "{name} {i}: {}", gpu.backend);
            certified += usize::from(gpu.verdict == Verdict::Certified);
            open += usize::from(gpu.verdict == Verdict::Unknown);
            if gpu.verdict == other.verdict {
                continue;
            }
            differ += 1;
            // Within the budget, as a share of the radius.
            let (near, expected) = match other.verdict {
                Verdict::Certified => (1.0 + LOSS, Verdict::Unknown),
                _ => (1.0 - LOSS, Verdict::Certified),
            };
            let there = ask(&theirs, epsilon * near).verdict;
            assert_eq!(there, expected, "{name} {i}: {gpu:?}, {other:?}");
        }
    }
    println!("{certified} certified, {open} open, {differ} within the budget");
    assert!(certified > 0 && open > 0);
}

#[test]
fn radii_are_the_cpus_and_below_what_attacks_find() {
    let test = "radii_are_the_cpus_and_below_what_attacks_find";
    let mut worst = 0.0f64;
    for (turn, subject) in subjects(test, if long() { 8 } else { 4 }).into_iter().enumerate() {
        let Some(device) = device(test) else { return };
        if is_slow(&device) && turn > 3 {
            break;
        }
        let Subject { name, network, norm, epsilon: start, mut images } = subject;
        images.truncate(if is_slow(&device) { 1 } else { images.len() });
        let net = Net::new(&network, norm, &images);
        let search = Search { tolerance: start * 1e-4, budget: 60, start };
        let gpu = net.question(net.gpu(device, CROWN, Asked::Radius(search)));
        let cpu = net.question(cpu(CROWN));
        let mut worker = net.worker();
        for (i, (x, label)) in images.iter().enumerate() {
            let (mut ours, found) = gpu.radius(&mut worker, i, x, Some(*label), &search);
            let (other, expected) = cpu.radius(&mut worker, i, x, Some(*label), &search);
            if other.record.verdict == Verdict::Misclassified {
                continue;
            }
            let (found, expected) = (found.radius, expected.radius);
            // What is too coarse goes to the cores.
            let whole = ours.record.backend.starts_with("gpu");
            assert!(whole || found == expected, "{name} {i}: {found} of {expected}");
            // Either may stop a step of the grid apart.
            let step = search.tolerance;
            worst = worst.max((expected - found - step) / expected);
            assert!(found + step >= expected * (1.0 - LOSS), "{name} {i}: {found} of {expected}");
            assert!(found <= expected * (1.0 + LOSS) + step, "{name} {i}: {found} of {expected}");
            Nearest::default().bracket(&gpu, &mut worker, x, &mut ours);
            let attacked = ours.record.attacked.unwrap_or(f64::INFINITY);
            assert!(found <= attacked, "{name} {i}: {found} above {attacked}");
        }
    }
    println!("at most {:.4} % below", 100.0 * worst);
}

/// Points on the way from one image to another, the nearer to where the class changes the later, with
/// their classes: radii from an image's own down to what rounding hides.
fn on_the_way(worker: &mut Worker<'_>, from: &[f32], to: &[f32]) -> Vec<(Vec<f32>, usize)> {
    let between = |t: f32| from.iter().zip(to).map(|(a, b)| a + t * (b - a)).collect::<Vec<f32>>();
    let mut class = |x: &[f32]| worker.runner.predict(x).expect("finite outputs");
    let own = class(from);
    if class(to) == own {
        return Vec::new();
    }
    let (mut low, mut high) = (0.0f32, 1.0f32);
    for _ in 0..24 {
        let middle = 0.5 * low + 0.5 * high;
        if class(&between(middle)) == own { low = middle } else { high = middle }
    }
    [0, 2, 4, 6, 8, 10, 12, 14, 16]
        .map(|k| between(low * (1.0 - 0.5f32.powi(k))))
        .map(|x| (x, own))
        .into()
}

#[test]
fn radii_are_the_cpus_however_small() {
    let test = "radii_are_the_cpus_however_small";
    let (mut whole, mut coarse, mut worst) = (0, 0, 0.0f64);
    let mut least = 4;
    for (turn, subject) in subjects(test, 4).into_iter().enumerate().take(4) {
        let Some(device) = device(test) else { return };
        // One pair of images has nine points.
        least = if is_slow(&device) { 2 } else { least };
        if is_slow(&device) && turn > 0 {
            break;
        }
        let Subject { name, network, norm, epsilon: start, images } = subject;
        let bare = Net::new(&network, norm, &images);
        let pairs = if is_slow(&device) || turn > 2 { 1 } else { 3 };
        let points: Vec<_> = images
            .windows(2)
            .take(pairs)
            .flat_map(|pair| on_the_way(&mut bare.worker(), &pair[0].0, &pair[1].0))
            .collect();
        let net = Net::new(&network, norm, &points);
        // So fine that its steps hide nothing.
        let search = Search { tolerance: start * 1e-8, budget: 60, start };
        let gpu = net.question(net.gpu(device, CROWN, Asked::Radius(search)));
        let cpu = net.question(cpu(CROWN));
        let mut worker = net.worker();
        for (i, (x, label)) in points.iter().enumerate() {
            let (ours, found) = gpu.radius(&mut worker, i, x, Some(*label), &search);
            let (other, expected) = cpu.radius(&mut worker, i, x, Some(*label), &search);
            assert_eq!(ours.record.verdict, other.record.verdict, "{name} {i}");
            let (found, expected) = (found.radius, expected.radius);
            if ours.record.backend == "cpu" {
                assert_eq!(found, expected, "{name} {i}");
                coarse += 1;
                continue;
            }
            let off = (found - expected).abs() / expected;
            assert!(off <= LOSS, "{name} {i}: {found} of {expected}");
            worst = worst.max(off);
            whole += 1;
        }
    }
    println!("{whole} by the GPU, at most {:.4} % off, {coarse} by the cores", 100.0 * worst);
    assert!(whole > least && coarse > 2, "{whole}, {coarse}");
}
