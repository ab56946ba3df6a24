//! alpha-CROWN on a GPU: no bound is ever above the exact minimum, whatever the slopes; given slopes and
//! those that are searched for come to what the cores make of them; what is certified beside the cores.

use certus::alpha::{self, Settings};
use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::gpu::{Capacity, Crown, Device, Sample};
use certus::network::Network;
use certus::slopes::Around;
use certus_engine::bounds::{Given, Method, Options, OwnSlopes, Semantics};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use certus_engine::relax::{LowerSlope, relax};
use certus_engine::spec::Spec;
use certus_shaders::kernel::{ASCEND, Kernel};
use certus_shaders::layout::Step;
use certus_tests::ask::{engine_region, storable};
use certus_tests::generate::{Case, Kind, breakers, case};
use certus_tests::outside;
use certus_tests::plan::{long, seed};
use certus_tests::rational::Rational;
use certus_tests::region as tested;
use certus_tests::truth::{Truth, magnitudes};
use fastrand::Rng;

use super::oracle::{large, norm, two_outputs};
use super::{device, is_slow};

const SEED: u64 = 67;
/// Nets of each kind.
const NETS: usize = 16;

/// CROWN that searches, in batches of three samples and more rows than fit at once.
fn searching<'d>(
    device: &'d Device,
    model: &Model<'_>,
    norm: Norm,
    semantics: Semantics,
    iterations: usize,
) -> Crown<'d> {
    let options = Options { semantics, ..Options::new(Method::Crown) };
    let settings = Settings { iterations, ..Settings::default() };
    Crown::new(device, model, norm, options, |shape| {
        Capacity::new(shape, model.inputs(), device.about.binding, 1 << 28, 3)
    })
    .and_then(|crown| crown.searching(settings))
    .expect("a small network of known activations")
}

/// Slopes that nobody asked for: some within [0, 1], some far from it, some that are no number.
fn wild(rng: &mut Rng, n: usize) -> Vec<f32> {
    let none = [-1.0, 2.0, 1e30, f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40];
    let one = |rng: &mut Rng| if rng.u8(0..4) == 0 { none[rng.usize(0..8)] } else { rng.f32() };
    (0..n).map(|_| one(rng)).collect()
}

#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    refused: usize,
    better: usize,
    certified: usize,
}

/// Panics where a bound is wrong; `tight`: or far from the cores' by the same slopes.
fn check(
    device: &Device,
    (name, net, region): (&str, &Network, &tested::Region),
    class: usize,
    most: &[f32],
    turn: usize,
    tight: bool,
    seen: &mut Seen,
) {
    let words = pack(net, WeightKind::F32).expect("packs");
    let model = Model::from_words(&words).expect("a valid blob");
    let mut rng = Rng::with_seed(turn as u64);
    let sample = Sample { region: engine_region(region), class };
    let semantics = [Semantics::Real, Semantics::Deployed][turn % 2];
    let norm = norm(region, turn);
    let crown = searching(device, &model, norm, semantics, 4);
    let sound = |found: &[f32]| {
        for (row, (found, most)) in found.iter().zip(most).enumerate() {
            assert!(found <= most, "{name}: row {row}: {found:e} above {most:e}");
        }
    };
    let bounds = crown.bounds(&[sample; 4]).expect("the device runs");
    let Ok(found) = &bounds[0] else {
        assert!(large(net, region), "{name}: {:?}", bounds[0]);
        seen.refused += 1;
        return;
    };
    seen.answers += 1;
    for other in &bounds {
        // Which place in a batch a sample has changes nothing.
        assert_eq!(other.as_ref(), Ok(found), "{name}");
    }
    assert_eq!(found.slopes.is_none(), verdict(&found.crown) == Verdict::Certified, "{name}");
    let best = found.clone().best();
    sound(&best);
    for (best, crown) in best.iter().zip(&found.crown) {
        assert!(best >= crown, "{name}: {best} below {crown}");
        seen.better += usize::from(best > crown);
    }
    seen.certified += usize::from(verdict(&best) == Verdict::Certified);

    let outputs = model.outputs();
    let slopes = wild(&mut rng, outputs * model.neurons());
    let given = crown.margins_by(&[sample; 4], &[&slopes[..]; 4]).expect("the device runs");
    for other in &given {
        assert_eq!(other, &given[0], "{name}");
    }
    let given = given[0].as_ref().expect("as before");
    sound(given);
    // The cores bound rows before the last activation.
    let end = net.layers.last().expect("a layer");
    let straight = match end.activation {
        Activation::Relu => end.through == 0,
        activation => activation == Activation::Identity,
    };
    if tight && straight && !matches!(region, tested::Region::BallInBox { .. }) {
        let sizes = magnitudes(net, region);
        let scale = 2.0 * sizes[sizes.len() - 1].iter().copied().fold(0.0, f64::max);
        let cpu = on_the_cores(&model, &sample, semantics, &slopes);
        for (gpu, cpu) in given.iter().zip(&cpu) {
            let gap = (f64::from(*cpu) - f64::from(*gpu)).abs();
            assert!(gap <= 1e-4 * scale + 2f64.powi(-50), "{name}: {gpu} for {cpu}");
        }
    }
}

/// The margins by lower slopes that are cut to the activations' ranges, from CROWN's bounds.
fn on_the_cores(
    model: &Model<'_>,
    sample: &Sample<'_>,
    semantics: Semantics,
    slopes: &[f32],
) -> Vec<f32> {
    let Sample { region, class } = sample;
    let (outputs, neurons) = (model.outputs(), model.neurons());
    let mut runner = Runner::new(*model, false);
    let options = Options { semantics, ..Options::new(Method::Crown) };
    let spec = Spec::Margins { class: *class };
    let mut out = Vec::new();
    let known = runner
        .lower_bounds_given(region, &spec, &options, &Given::default(), None, &mut out)
        .expect("in range");
    let (lo, hi) = (known.lo.to_vec(), known.hi.to_vec());
    let activations =
        model.layers().flat_map(|layer| (0..layer.rows).map(move |i| layer.activation_of(i)));
    let lines: Vec<_> = activations
        .zip(lo.iter().zip(&hi))
        .map(|(activation, (lo, hi))| {
            (activation.leak().unwrap_or(1.0), relax(activation, *lo, *hi, LowerSlope::Adaptive))
        })
        .collect();
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    for slopes in slopes.chunks_exact(neurons) {
        lower.extend(slopes.iter().zip(&lines).map(|(slope, (leak, line))| match slope {
            _ if line.slope_lo == line.slope_up && line.icpt_up == 0.0 => line.slope_lo,
            _ if slope.is_nan() && slope.is_sign_positive() => 1.0,
            _ if slope.is_sign_negative() => *leak,
            _ => slope.clamp(*leak, 1.0),
        }));
        upper.extend(lines.iter().map(|(_, line)| line.slope_up));
    }
    let mut matrix: Vec<f32> = (0..outputs - 1)
        .flat_map(|r| (0..outputs).map(move |j| spec.coefficient(r, j, outputs)))
        .collect();
    matrix.extend((0..outputs).map(|j| f32::from(u8::from(j == *class))));
    let spec = Spec::Rows { matrix: &matrix, rows: outputs };
    let own = OwnSlopes { ends: (&lo, &hi), lower: &lower, upper: &upper };
    let mut found = Vec::new();
    let last = model.depth() - 1;
    runner.lower_bounds_own(region, &spec, semantics, &own, last, &mut found).expect("in range");
    let end = model.layer(last).expect("a layer");
    let own = found.pop().expect("a row");
    let rectified = end.activation == Activation::Relu && end.through == 0;
    found.iter().map(|x| if rectified { x.min(own) } else { *x }).collect()
}

/// Margins of a class as rows over the outputs.
fn margins_of(class: usize, outputs: usize) -> Vec<Vec<f32>> {
    let entry = |i, j| f32::from(u8::from(i == class)) - f32::from(u8::from(i == j));
    let rows = (0..outputs).filter(|j| *j != class);
    rows.map(|j| (0..outputs).map(|i| entry(i, j)).collect()).collect()
}

/// A random net with its exact least margins.
fn drawn(kind: Kind, index: usize) -> (Case, usize, Truth) {
    let mut case = case(seed(SEED), kind, index as u64);
    storable(&mut case.net);
    two_outputs(&mut case.net);
    let outputs = case.net.outputs();
    let class = index % outputs;
    let rows = margins_of(class, outputs);
    let truth = Truth::find(&case.net, &case.region, &rows).expect("not empty");
    (case, class, truth)
}

#[test]
fn no_slopes_make_a_bound_above_the_exact_minimum() {
    let test = "no_slopes_make_a_bound_above_the_exact_minimum";
    let Some(device) = device(test) else { return };
    let nets = if is_slow(&device) { NETS / 4 } else { NETS };
    for kind in Kind::ALL {
        let mut seen = Seen::default();
        for index in 0..nets {
            let (case, class, truth) = drawn(kind, index);
            let subject = (&*case.name, &case.net, &case.region);
            let tight = kind != Kind::Wide && kind != Kind::Cancelling;
            check(&device, subject, class, &truth.least, index, tight, &mut seen);
        }
        println!("{kind:?}: {seen:?}");
        assert!(seen.answers > 0 || kind == Kind::Wide, "{kind:?}");
        if kind == Kind::Gaussian && !is_slow(&device) {
            assert!(seen.better > 0, "{seen:?}");
        }
    }
}

#[test]
fn no_slopes_certify_what_rounding_makes_look_true() {
    let test = "no_slopes_certify_what_rounding_makes_look_true";
    let Some(device) = device(test) else { return };
    let mut seen = Seen::default();
    for (turn, breaker) in breakers().into_iter().enumerate() {
        let (name, region) = (&breaker.case.name, &breaker.case.region);
        let mut net = breaker.case.net.clone();
        two_outputs(&mut net);
        if pack(&net, WeightKind::F32).is_err() || is_slow(&device) && !turn.is_multiple_of(5) {
            continue;
        }
        let truth = Truth::find(&net, region, &[vec![1.0, -1.0]]).expect(name);
        let before = seen.certified;
        check(&device, (name, &net, region), 0, &truth.least, turn, false, &mut seen);
        if breaker.margin <= Rational::ZERO {
            assert_eq!(seen.certified, before, "{name}: certified");
        }
    }
    println!("{seen:?}");
    assert!(seen.answers > if is_slow(&device) { 2 } else { 5 }, "{seen:?}");
}

/// Makes a device run another kernel wherever that of its name is asked for.
fn plant(device: &Device, wrong: &Kernel) {
    let uniforms =
        [vec![0u8; size_of::<Step>()], vec![0u8; 16]].map(|bytes| device.uniform(&bytes));
    // No row at all: one place, of a sample without live neurons.
    let buffers: Vec<_> = (0..6).map(|_| device.empty(64)).collect();
    let all: Vec<_> = uniforms.iter().chain(&buffers).collect();
    let mut tape = device.tape();
    tape.dispatch(wrong, &all, [1, 1, 1]).expect("it compiles");
    tape.submit().expect("it runs");
}

#[test]
fn a_search_that_goes_the_wrong_way_proves_nothing_wrong() {
    let test = "a_search_that_goes_the_wrong_way_proves_nothing_wrong";
    let (mut better, mut slow) = ([0; 3], false);
    for (way, better) in better.iter_mut().enumerate() {
        let Some(device) = device(test) else { return };
        let flipped =
            ["before + ascend.rate", "before - ascend.rate", "1e30 * before - ascend.rate"];
        let source = ASCEND.source.replace(flipped[0], flipped[way]);
        let wrong = Kernel { source: source.into(), ..ASCEND };
        plant(&device, &wrong);
        slow = is_slow(&device);
        let nets = if slow { NETS / 4 } else { NETS };
        let mut seen = Seen::default();
        for index in 0..nets {
            let (case, class, truth) = drawn(Kind::Gaussian, index);
            let subject = (&*case.name, &case.net, &case.region);
            check(&device, subject, class, &truth.least, index, false, &mut seen);
        }
        *better = seen.better;
    }
    println!("margins raised: {better:?}");
    assert!(slow || better[1] < better[0], "{better:?}");
}

/// Nets, with a radius, and so many images that slopes can prove one that CROWN leaves open.
const NETS_OF_MNIST: [(&str, f64, usize); 4] = [
    ("vnncomp/mnist_fc/onnx/mnist-net_256x2.onnx", 0.017, 64),
    ("vnncomp/mnist_fc/onnx/mnist-net_256x4.onnx", 0.016, 12),
    ("eran/onnx/tf/mnist_relu_6_100.onnx", 0.012, 12),
    ("relax_barrier/experiment_2/mnist_MLP_9_100_NOR.onnx", 0.012, 12),
];

#[test]
fn a_search_comes_to_what_the_cores_do_from_the_same_bounds() {
    let test = "a_search_comes_to_what_the_cores_do_from_the_same_bounds";
    let Some(device) = device(test) else { return };
    if is_slow(&device) {
        return;
    }
    let Some(images) = outside::mnist(test, 100) else { return };
    let mut all = [0; 3];
    for (path, epsilon, count) in NETS_OF_MNIST {
        let (norm, count) = (Norm::Linf, if long() { images.len() } else { count });
        let Some(found) = outside::find(test, path) else { continue };
        let words = outside::words(&outside::network(&found));
        let model = Model::from_words(&words).expect("packed here");
        let mut runner = Runner::new(model, false);
        let asked: Vec<_> = images
            .iter()
            .take(count)
            .filter(|(x, label)| runner.predict(x) == Some(*label))
            .collect();
        let samples: Vec<Sample<'_>> = asked
            .iter()
            .map(|(x, class)| Sample { region: Region::ball(x, epsilon, norm), class: *class })
            .collect();
        let settings = Settings::default();
        let options = Options::new(Method::Crown);
        let crown = Crown::new(&device, &model, norm, options, |shape| {
            Capacity::new(shape, model.inputs(), device.about.binding, 1 << 29, 16)
        })
        .and_then(|crown| crown.searching(settings))
        .expect("a known network");
        let found = crown.bounds(&samples).expect("the device runs");
        let (mut counts, mut gains) = ([0; 3], [0.0; 2]);
        for (found, (sample, (x, class))) in found.iter().zip(samples.iter().zip(&asked)) {
            let found = found.as_ref().expect("in range");
            let best = found.clone().best();
            let spec = Spec::Margins { class: *class };
            let mut cpu = Vec::new();
            let of = runner
                .lower_bounds_given(
                    &sample.region,
                    &spec,
                    &options,
                    &Given::default(),
                    None,
                    &mut cpu,
                )
                .expect("in range");
            let ends = (of.lo.to_vec(), of.hi.to_vec());
            let (ends, before) = ((&ends.0[..], &ends.1[..]), cpu.clone());
            let around = Around { center: x, epsilon, norm, clip: None };
            let semantics = Semantics::Real;
            alpha::margins(&mut runner, &around, semantics, ends, *class, &mut cpu, 0.0, &settings)
                .expect("in range");
            // Rows that stay open all take the same steps: what those gain, here and there.
            let rows = best.iter().zip(&found.crown).zip(cpu.iter().zip(&before));
            for ((gpu, crown), (cpu, before)) in
                rows.filter(|((gpu, _), (cpu, _))| **gpu <= 0.0 && **cpu <= 0.0)
            {
                gains[0] += f64::from(gpu - crown);
                gains[1] += f64::from(cpu - before);
            }
            for (count, margins) in counts.iter_mut().zip([&found.crown, &best, &cpu]) {
                *count += usize::from(verdict(margins) == Verdict::Certified);
            }
        }
        let [crown, gpu, cpu] = counts;
        println!("{path}: of {}: CROWN {crown}, slopes {gpu}, on the cores {cpu}", asked.len());
        println!("rows that stay open gain {gains:?}");
        assert!(crown <= gpu && gpu + 1 >= cpu, "{path}");
        // A step's way hangs on signs of gradients: those near 0 may differ.
        assert!(gains[0] >= 0.95 * gains[1], "{path}: {gains:?}");
        all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
    }
    let [crown, gpu, _] = all;
    assert!(gpu == 0 || gpu > crown, "{all:?}");
}
