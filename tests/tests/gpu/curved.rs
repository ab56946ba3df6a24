//! Networks of every activation on a GPU: no bound is above what f64 finds in the region, nor, under
//! deployed semantics, above what f32 passes return.

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::gpu::{Capacity, Crown, Device, Margins, Sample};
use certus::network::{Affine, Network};
use certus_engine::bounds::{Error, Method, Options, Semantics};
use certus_engine::model::{Activation, Model};
use certus_engine::region as engine;
use certus_engine::relax::LowerSlope;
use certus_engine::spec::Spec;
use certus_tests::ask::engine_region;
use certus_tests::curved::{Values, curved, evaluate, widened};
use certus_tests::generate::{Case, Kind, affine};
use certus_tests::members::members;
use certus_tests::passes::{Order, pass};
use certus_tests::plan::{long, seed};
use certus_tests::region::{Norm, Region};
use fastrand::Rng;

use super::{device, is_slow};

const SEED: u64 = 89;
const NETS: u64 = 60;

/// What a GPU is asked with.
fn settings() -> Vec<Options> {
    let mut all = Vec::new();
    for semantics in [Semantics::Real, Semantics::Deployed] {
        for method in [Method::CrownIbp, Method::FastLin, Method::Crown] {
            all.push(Options { semantics, ..Options::new(method) });
        }
    }
    all.push(Options { lower: LowerSlope::SameAsUpper, ..Options::new(Method::Crown) });
    all
}

/// A random network, some of whose layers are ReLU layers again; at least two outputs.
fn draw(index: u64, rng: &mut Rng) -> Case {
    let kind = [Kind::Gaussian, Kind::Integer, Kind::Dying][index as usize % 3];
    let mut case = curved(kind, index, rng);
    for layer in &mut case.net.layers {
        if index % 2 == 1 && rng.u8(0..3) == 0 {
            layer.activation = Activation::Relu;
        }
    }
    let last = case.net.layers.last_mut().expect("a layer");
    if last.rows == 1 {
        last.rows = 2;
        last.weights.extend(vec![0.0; last.cols]);
        last.bias.push(0.0);
    }
    case
}

/// The smallest margins of `class` that were found, with their allowance.
fn least(net: &Network, points: &[Vec<f32>], class: usize) -> [Vec<f64>; 2] {
    let mut least = [0, 1].map(|_| vec![f64::INFINITY; net.outputs() - 1]);
    let add = |least: &mut Vec<f64>, values: &Values| {
        let (own, off) = values.out[class];
        let others = values.out.iter().enumerate().filter(|(i, _)| *i != class);
        for (least, (_, (y, other))) in least.iter_mut().zip(others) {
            let rounding = 1e-14 * (own.abs() + y.abs());
            *least = least.min(own - y + off + other + rounding);
        }
    };
    for x in points {
        if let Some(values) = evaluate(net, x) {
            add(&mut least[0], &values);
        }
        for order in Order::ALL {
            let (_, out) = pass(net, x, order);
            add(&mut least[1], &Values { pre: Vec::new(), out: widened(&out) });
        }
    }
    least
}

/// The same region asked about four times in batches of 3.
fn ask(
    device: &Device,
    model: &Model<'_>,
    region: &Region,
    class: usize,
    options: &Options,
) -> Vec<Margins> {
    let norm = match region.as_ball() {
        Some((.., Norm::L1)) => engine::Norm::L1,
        Some((.., Norm::L2)) => engine::Norm::L2,
        _ => engine::Norm::Linf,
    };
    let crown = Crown::new(device, model, norm, *options, |shape| {
        Capacity::new(shape, model.inputs(), device.about.binding, 1 << 28, 3)
    })
    .expect("a small network");
    let sample = Sample { region: engine_region(region), class };
    crown.margins(&[sample; 4]).expect("the device runs")
}

#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    refused: usize,
    bounded: usize,
    positive: usize,
    /// The largest distance below the cores' bound, whose lines other ends may have moved.
    gap: f64,
}

#[test]
fn no_bound_of_curved_networks_is_above_what_the_region_holds() {
    let test = "no_bound_of_curved_networks_is_above_what_the_region_holds";
    let Some(device) = device(test) else { return };
    let mut rng = Rng::with_seed(seed(SEED));
    let mut seen = Seen::default();
    for index in 0..if long() { 10 * NETS } else { NETS } {
        let Case { net, region, name, .. } = draw(index, &mut rng);
        let words = pack(&net, WeightKind::F32).expect("packs");
        let model = Model::from_words(&words).expect("packed");
        let mut runner = Runner::new(model, false);
        let class = index as usize % net.outputs();
        let points = members(&region, &[], 40, &mut rng);
        let least = least(&net, &points, class);
        for (turn, options) in settings().into_iter().enumerate() {
            // A driver without a compiler to speak of takes them in turn.
            if is_slow(&device) && !(turn as u64 + index).is_multiple_of(7) {
                continue;
            }
            let least = &least[usize::from(options.semantics == Semantics::Deployed)];
            let answers = ask(&device, &model, &region, class, &options);
            for answer in &answers {
                // Which place in a batch a sample has changes nothing.
                assert_eq!(answer, &answers[0], "{name}: {options:?}");
            }
            let found = match &answers[0] {
                Ok(found) => found,
                Err(Error::Magnitude { .. }) => {
                    seen.refused += 1;
                    continue;
                }
                Err(error) => panic!("{name}: {error}: {options:?}"),
            };
            seen.answers += 1;
            for (row, (found, least)) in found.iter().zip(least).enumerate() {
                let found = f64::from(*found);
                assert!(
                    found <= *least,
                    "{name}: row {row}: {found:e} above {least:e}: {options:?}"
                );
            }
            seen.bounded += usize::from(found.iter().all(|x| x.is_finite()));
            seen.positive += usize::from(found.iter().all(|x| *x > 0.0));
            let (mut cpu, spec) = (Vec::new(), Spec::Margins { class });
            let done = runner.lower_bounds(&engine_region(&region), &spec, &options, &mut cpu);
            let cut = matches!(region, Region::BallInBox { .. });
            if done.is_err() || cut {
                continue;
            }
            for (gpu, cpu) in found.iter().zip(&cpu) {
                let gap = f64::from(*cpu - *gpu) / f64::from(cpu.abs().max(1.0));
                seen.gap = seen.gap.max(gap);
            }
        }
    }
    println!("{seen:?}");
    assert!(seen.refused * 20 < seen.answers && seen.bounded * 20 > 19 * seen.answers);
    assert!(seen.positive > 0 || is_slow(&device));
}

/// A network of `depth` layers of 4 neurons of this activation, between 4 inputs and 2 outputs.
fn steep(activation: Activation, depth: usize, rng: &mut Rng) -> Network {
    let mut layer = |rows: usize, activation: Activation| {
        let weights: Vec<f32> = (0..rows * 4).map(|_| rng.f32() * 2.0 - 1.0).collect();
        let rows: Vec<&[f32]> = weights.chunks(4).collect();
        affine(&rows, &vec![0.0; rows.len()], activation)
    };
    let mut layers: Vec<Affine> = (0..depth).map(|_| layer(4, activation)).collect();
    layers.push(layer(2, Activation::Identity));
    Network { inputs: 4, layers }
}

#[test]
fn lines_that_no_coefficient_may_meet_are_refused() {
    let test = "lines_that_no_coefficient_may_meet_are_refused";
    let Some(device) = device(test) else { return };
    let mut rng = Rng::with_seed(seed(SEED + 1));
    for (activation, depth, refused) in [
        (Activation::Sign, 3, false),
        (Activation::Sign, 8, true),
        (Activation::Elu(1e4), 2, false),
        (Activation::Elu(1e4), 6, true),
        (Activation::Tanh, 8, false),
    ] {
        let net = steep(activation, depth, &mut rng);
        let words = pack(&net, WeightKind::F32).expect("packs");
        let model = Model::from_words(&words).expect("packed");
        // Next to 0, where a jump's lines are steepest.
        for eps in [1e-30, 1e-3, 1.0] {
            let region = Region::Ball { center: vec![1e-4; 4], eps, norm: Norm::Linf };
            let points = members(&region, &[], 20, &mut rng);
            let [least, _] = least(&net, &points, 0);
            let options = Options::new(Method::Crown);
            let answer = ask(&device, &model, &region, 0, &options).swap_remove(0);
            assert_eq!(answer.is_err(), refused, "{activation:?} {depth} {eps}: {answer:?}");
            for (found, least) in answer.unwrap_or_default().iter().zip(&least) {
                assert!(found.is_finite(), "{activation:?} {depth} {eps}: {found}");
                assert!(f64::from(*found) <= *least, "{activation:?} {depth} {eps}: {found}");
            }
        }
    }
}
