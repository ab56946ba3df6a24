//! No bound of a GPU is ever above the exact minimum: on small random networks, and on those that are
//! built to break verifiers by rounding.

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::gpu::{Capacity, Crown, Device, Margins, Sample};
use certus::network::Network;
use certus_engine::bounds::{Error, Method, Options, Semantics};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::Model;
use certus_engine::region as engine;
use certus_engine::relax::LowerSlope;
use certus_engine::spec::Spec;
use certus_tests::ask::{engine_region, storable};
use certus_tests::generate::{Kind, breakers, case};
use certus_tests::plan::{long, seed};
use certus_tests::rational::Rational;
use certus_tests::region::{Norm, Region};
use certus_tests::truth::{Truth, magnitudes};

use super::{device, is_slow};

const SEED: u64 = 61;
/// Nets of each kind.
const NETS: usize = 24;

/// What a GPU is asked with.
fn settings() -> Vec<Options> {
    let mut all = Vec::new();
    for semantics in [Semantics::Real, Semantics::Deployed] {
        for method in [Method::Ibp, Method::CrownIbp, Method::FastLin, Method::Crown] {
            all.push(Options { semantics, ..Options::new(method) });
        }
    }
    for lower in [LowerSlope::Zero, LowerSlope::One, LowerSlope::SameAsUpper] {
        all.push(Options { lower, ..Options::new(Method::Crown) });
    }
    all
}

/// The norm by which a device measures the region's ball; of a box, any.
pub(super) fn norm(region: &Region, turn: usize) -> engine::Norm {
    match region.as_ball() {
        Some((.., Norm::L1)) => engine::Norm::L1,
        Some((.., Norm::L2)) => engine::Norm::L2,
        _ => [engine::Norm::Linf, engine::Norm::L1, engine::Norm::L2][turn % 3],
    }
}

/// The same region asked about four times in batches of 3.
fn ask(
    device: &Device,
    model: &Model<'_>,
    region: &Region,
    class: usize,
    options: &Options,
    turn: usize,
) -> Vec<Margins> {
    let crown = Crown::new(device, model, norm(region, turn), *options, |shape| {
        Capacity::new(shape, model.inputs(), device.about.binding, 1 << 28, 3)
    })
    .expect("a small network of known activations");
    let sample = Sample { region: engine_region(region), class };
    crown.margins(&[sample; 4]).expect("the device runs")
}

/// Whether a device may refuse: it sums nothing that could come near what f32 holds.
pub(super) fn large(net: &Network, region: &Region) -> bool {
    let most = magnitudes(net, region).into_iter().flatten().fold(0.0, f64::max);
    let sums = net.layers.iter().map(|layer| {
        let row = |row: &[f32]| row.iter().map(|w| f64::from(w.abs())).sum::<f64>();
        layer.weights.chunks(layer.cols).map(row).fold(1.0, f64::max)
    });
    let coefficients: f64 = sums.product();
    coefficients >= 2f64.powi(58) || coefficients * most.max(1.0) >= 2f64.powi(99)
}

/// A second output, always 0, makes the only one a margin.
pub(super) fn two_outputs(net: &mut Network) {
    let last = net.layers.last_mut().expect("a layer");
    if last.rows == 1 {
        last.rows = 2;
        last.weights.extend(vec![0.0; last.cols]);
        last.bias.push(0.0);
    }
}

#[derive(Debug, Default)]
struct Seen {
    nets: usize,
    answers: usize,
    refused: usize,
    unbounded: usize,
    positive: usize,
    certified: usize,
}

/// Panics where a bound is wrong.
fn check(
    (device, name): (&Device, &str),
    net: &Network,
    region: &Region,
    class: usize,
    most: &[f32],
    tight: bool,
    seen: &mut Seen,
) {
    let words = pack(net, WeightKind::F32).expect("packs");
    let model = Model::from_words(&words).expect("a valid blob");
    let mut runner = Runner::new(model, false);
    seen.positive += usize::from(most.iter().all(|most| *most > 0.0));
    let mut held = false;
    seen.nets += 1;
    for (turn, options) in settings().into_iter().enumerate() {
        // A driver without a compiler to speak of takes them in turn.
        if is_slow(device) && !(turn + seen.nets).is_multiple_of(5) {
            continue;
        }
        let answers = ask(device, &model, region, class, &options, seen.nets + turn);
        for answer in &answers {
            // Which place in a batch a sample has changes nothing.
            assert_eq!(answer, &answers[0], "{name}: {options:?}");
        }
        let found = match &answers[0] {
            Ok(found) => found,
            Err(error) => {
                let fair = matches!(error, Error::Magnitude { .. } | Error::Region(_));
                assert!(fair && large(net, region), "{name}: {error}: {options:?}");
                seen.refused += 1;
                continue;
            }
        };
        seen.answers += 1;
        assert_eq!(found.len(), most.len());
        for (row, (found, most)) in found.iter().zip(most).enumerate() {
            assert!(found <= most, "{name}: row {row}: {found:e} above {most:e}: {options:?}");
        }
        held |= verdict(found) == Verdict::Certified;
        seen.unbounded += usize::from(found.contains(&f32::NEG_INFINITY));
        // As tight as the CPU's, but for rounding, where a ball is not cut by a box.
        let cut = matches!(region, Region::BallInBox { .. });
        let mut cpu = Vec::new();
        let spec = Spec::Margins { class };
        let done = runner.lower_bounds(&engine_region(region), &spec, &options, &mut cpu);
        if tight && done.is_ok() && !cut {
            let sizes = magnitudes(net, region);
            let scale = 2.0 * sizes[sizes.len() - 1].iter().copied().fold(0.0, f64::max);
            for (gpu, cpu) in found.iter().zip(&cpu) {
                let gap = f64::from(*cpu) - f64::from(*gpu);
                assert!(gap <= 1e-4 * scale + 2f64.powi(-50), "{name}: {gap:e} of {scale:e}");
            }
        }
    }
    seen.certified += usize::from(held);
}

#[test]
fn no_bound_is_above_the_exact_minimum() {
    let Some(device) = device("no_bound_is_above_the_exact_minimum") else { return };
    let seed = seed(SEED);
    for kind in Kind::ALL {
        let mut seen = Seen::default();
        let nets = if long() { 2 * NETS } else { NETS };
        for index in 0..nets {
            let mut case = case(seed, kind, index as u64);
            storable(&mut case.net);
            two_outputs(&mut case.net);
            let outputs = case.net.outputs();
            let class = index % outputs;
            let rows: Vec<Vec<f32>> = (0..outputs)
                .filter(|j| *j != class)
                .map(|j| {
                    let entry = |i| f32::from(u8::from(i == class)) - f32::from(u8::from(i == j));
                    (0..outputs).map(entry).collect()
                })
                .collect();
            let truth = Truth::find(&case.net, &case.region, &rows).expect("not empty");
            let at = (&device, &*case.name);
            let ordinary = kind != Kind::Wide && kind != Kind::Cancelling;
            check(at, &case.net, &case.region, class, &truth.least, ordinary, &mut seen);
        }
        println!("{kind:?}: {seen:?}");
        // Only what is wide by design may leave a device's range.
        assert!(seen.answers > 0 || kind == Kind::Wide, "{kind:?}");
        if matches!(kind, Kind::Gaussian | Kind::Integer | Kind::Leaky | Kind::Skipping) {
            assert_eq!(seen.refused + seen.unbounded, 0, "{kind:?}");
            assert!(seen.certified > 0 || is_slow(&device), "{kind:?}");
        }
    }
}

#[test]
fn nothing_false_is_certified_where_rounding_breaks_verifiers() {
    let test = "nothing_false_is_certified_where_rounding_breaks_verifiers";
    let Some(device) = device(test) else { return };
    let mut seen = Seen::default();
    for breaker in breakers() {
        let (name, region) = (&breaker.case.name, &breaker.case.region);
        let mut net = breaker.case.net.clone();
        two_outputs(&mut net);
        if pack(&net, WeightKind::F32).is_err() {
            // The format has no subnormal slopes.
            continue;
        }
        let truth = Truth::find(&net, region, &[vec![1.0, -1.0]]).expect(name);
        let before = seen.certified;
        check((&device, name), &net, region, 0, &truth.least, false, &mut seen);
        if breaker.margin <= Rational::ZERO {
            assert_eq!(seen.certified, before, "{name}: certified");
        }
    }
    println!("{seen:?}");
    assert!(seen.answers > 30, "{seen:?}");
}
