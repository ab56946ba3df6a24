//! Counted work never exceeds its bound, and reaches it nearly on some networks.

use certus::blob::{WeightKind, pack};
use certus_engine::bounds::{
    Error, Options, Portable, Size, Tighten, Work, Workspace, forward, forward_macs, lower_bounds,
    most_macs,
};
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use certus_engine::simplex::{self, Query, Simplex};
use certus_engine::spec::Spec;
use certus_tests::ask::{METHODS, all_options, storable};
use certus_tests::generate::{Kind, case, policy};
use certus_tests::plan::{many, seed};
use fastrand::Rng;

const SEED: u64 = 51;
const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::Linf];

fn bounds(
    model: &Model<'_>,
    region: &Region<'_>,
    spec: &Spec<'_>,
    options: &Options,
    block: usize,
) -> Result<Work, Error> {
    let size = Size::of_options(model, options, block);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![1; size.indices]);
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    let mut out = vec![0.0; spec.count(model.outputs())];
    let found = lower_bounds(&mut Portable, model, region, spec, options, workspace, &mut out);
    found.map(|found| found.work)
}

fn distances<const K: usize>(
    model: &Model<'_>,
    query: &Query<'_>,
    block: usize,
) -> Result<Work, Error> {
    let size = simplex::size(model, block);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![1; size.indices]);
    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
    let found: Result<Simplex<K>, Error> =
        simplex::simplex(&mut Portable, model, query, workspace, &mut []);
    found.map(|found| found.work)
}

/// The regions around `x` that are asked, from a point to where every neuron may be open.
fn regions<'a>(x: &'a [f32], rng: &mut Rng) -> Vec<Region<'a>> {
    let radii = [0.0, 1e-3, 0.1, 1.0 + rng.f64(), 50.0];
    radii.iter().flat_map(|r| NORMS.map(|norm| Region::ball(x, *r, norm))).collect()
}

/// The largest share of the bound that was reached, for each method.
#[derive(Debug, Default)]
struct Shares([f64; METHODS.len()]);

impl Shares {
    fn add(&mut self, options: &Options, work: Work, most: u64, what: &str) {
        let macs = work.macs();
        assert!(macs <= most, "{what}: {macs} above {most}: {options:?}");
        let at = METHODS.iter().position(|method| *method == options.method).unwrap();
        self.0[at] = self.0[at].max(macs as f64 / most as f64);
    }
}

#[test]
fn bounds_of_random_nets() {
    let seed = seed(SEED);
    let mut rng = Rng::with_seed(seed);
    let (mut shares, mut calls, mut refused) = (Shares::default(), 0, 0);
    for kind in Kind::ALL {
        for index in 0..many(25) as u64 {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            let words = pack(&case.net, WeightKind::F32).unwrap();
            let model = Model::from_words(&words).unwrap();
            let x: Vec<f32> = (0..model.inputs()).map(|_| rng.f32() - 0.5).collect();
            let mut specs = vec![Spec::Outputs];
            specs.extend((model.outputs() > 1).then_some(Spec::Margins { class: 0 }));
            for (i, region) in regions(&x, &mut rng).iter().enumerate() {
                let spec = specs[i % specs.len()];
                for options in all_options() {
                    let most = most_macs(&model, &options, &spec);
                    match bounds(&model, region, &spec, &options, 1 + i % 4) {
                        Ok(work) => shares.add(&options, work, most, &case.name),
                        Err(Error::Magnitude { .. }) => refused += 1,
                        Err(error) => panic!("{}: {error}", case.name),
                    }
                    calls += 1;
                }
            }
        }
    }
    println!("{calls} calls, {refused} refused; shares of the bounds reached: {shares:?}");
    assert!(refused * 4 < calls && shares.0.iter().all(|share| *share > 0.9), "{shares:?}");
}

#[test]
fn distances_of_random_nets() {
    let seed = seed(SEED + 1);
    let mut rng = Rng::with_seed(seed);
    let (mut share, mut calls): (f64, usize) = (0.0, 0);
    for kind in Kind::ALL {
        for index in 0..many(150) as u64 {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            let words = pack(&case.net, WeightKind::F32).unwrap();
            let model = Model::from_words(&words).unwrap();
            if !simplex::applies(&model) {
                continue;
            }
            let x: Vec<f32> = (0..model.inputs()).map(|_| 4.0 * rng.f32() - 2.0).collect();
            let offsets = vec![1e3; 2 * model.outputs()];
            for norm in NORMS {
                let margins = Query::margins(&x, norm, 0);
                let offsets = Some(&offsets[..]);
                for query in [margins, Query { spec: Spec::Outputs, offsets, ..margins }] {
                    let most = simplex::most_macs(&model, &query.spec);
                    let all = [
                        distances::<1>(&model, &query, 1),
                        distances::<3>(&model, &query, 4),
                        distances::<16>(&model, &query, 2),
                    ];
                    for work in all.into_iter().flatten() {
                        assert!(work.macs() <= most, "{}: {work:?} above {most}", case.name);
                        share = share.max(work.macs() as f64 / most as f64);
                        calls += 1;
                    }
                }
            }
        }
    }
    println!("{calls} calls, {:.1} % of the bound reached", 100.0 * share);
    assert!(calls > 1000 && share > 0.9);
}

/// A controller of the size that monitors are for: what its ticks cost, and what they could.
#[test]
fn a_controller() {
    let mut rng = Rng::with_seed(seed(SEED + 2));
    for activation in [Activation::Relu, Activation::Tanh] {
        let net = policy(&mut rng, activation);
        let words = pack(&net, WeightKind::F32).unwrap();
        let model = Model::from_words(&words).unwrap();
        let (mut scratch, mut y) = (vec![0.0; 2 * model.width()], [0.0; 4]);
        let done = forward(&Portable, &model, &[0.0; 12], &mut scratch, &mut y);
        assert_eq!(done, Some(forward_macs(&model)));
        assert_eq!(done, Some(12 * 64 + 64 * 64 + 64 * 4));
        let spec = Spec::Outputs;
        for method in METHODS {
            for tighten in [Tighten::Backward, Tighten::Both] {
                let options = Options { tighten, ..Options::new(method) };
                if tighten != Tighten::Backward && !method.walks_neurons() {
                    continue;
                }
                let most = most_macs(&model, &options, &spec);
                let mut largest = 0;
                for _ in 0..many(10) {
                    let x: Vec<f32> = (0..12).map(|_| 2.0 * rng.f32() - 1.0).collect();
                    for radius in [0.001, 0.01, 0.1, 1.0, 100.0] {
                        let region = Region::ball(&x, radius, Norm::L2);
                        let work = bounds(&model, &region, &spec, &options, 4).unwrap();
                        assert!(work.macs() <= most, "{work:?} above {most}");
                        largest = largest.max(work.macs());
                    }
                }
                let share = 100.0 * largest as f64 / most as f64;
                println!("{activation:?} {method:?} {tighten:?}: {share:.1} % of {most}");
                // Functions carried through one layer are as tight as walks, which are then not taken.
                let least = if tighten == Tighten::Backward { 75.0 } else { 40.0 };
                assert!(share > least);
            }
        }
    }
}
