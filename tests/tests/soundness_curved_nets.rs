//! Random networks of every activation: no bound is above what f64 finds in the region, nor, under
//! deployed semantics, above what f32 passes return.

use certus::alpha::{self, Settings};
use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::slopes::{Around, Rows};
use certus_engine::bounds::{Error, Given, Method, Options, OwnSlopes, Semantics};
use certus_engine::model::{Activation, Model};
use certus_engine::region;
use certus_engine::spec::Spec;
use certus_tests::ask::{Engine, Sums, all_options, engine_region};
use certus_tests::curved::{Values, curved, evaluate, seed_of, widened};
use certus_tests::generate::{Case, Kind, case};
use certus_tests::members::members;
use certus_tests::passes::{Order, pass};
use certus_tests::plan::{many, seed};
use certus_tests::region::{Norm, Region};

const SEED: u64 = 83;

/// The smallest values found, with their allowance added: no valid bound is above.
#[derive(Debug)]
struct Least {
    spec: [f64; 2],
    pre: Vec<(f64, f64)>,
}

impl Least {
    fn new(neurons: usize) -> Self {
        let empty = (f64::INFINITY, f64::NEG_INFINITY);
        Self { spec: [f64::INFINITY; 2], pre: vec![empty; neurons] }
    }

    fn add(&mut self, row: &[f32], values: &Values) {
        let value: f64 = row.iter().zip(&values.out).map(|(c, (y, _))| f64::from(*c) * y).sum();
        let sizes = row.iter().zip(&values.out);
        let off: f64 =
            sizes.map(|(c, (y, e))| f64::from(c.abs()) * (e + 1e-14 * y.abs())).sum::<f64>();
        self.spec[0] = self.spec[0].min(value + off);
        self.spec[1] = self.spec[1].min(-value + off);
        for ((lo, hi), (z, off)) in self.pre.iter_mut().zip(&values.pre) {
            (*lo, *hi) = (lo.min(z + off), hi.max(z - off));
        }
    }

    fn refute(&self, name: &str, lower: &[f32], ends: (&[f32], &[f32]), how: &dyn std::fmt::Debug) {
        for (found, least) in lower.iter().zip(&self.spec) {
            assert!(f64::from(*found) <= *least, "{name}: {found:e} above {least:e}: {how:?}");
        }
        for (i, ((lo, hi), (least, most))) in ends.0.iter().zip(ends.1).zip(&self.pre).enumerate() {
            let holds = f64::from(*lo) <= *least && f64::from(*hi) >= *most;
            assert!(holds, "{name}: neuron {i}: [{lo:e}, {hi:e}], [{least:e}, {most:e}]: {how:?}");
        }
    }
}

/// The least values of real and of deployed semantics.
fn least(case: &Case, points: &[Vec<f32>]) -> [Least; 2] {
    let neurons = case.net.layers.iter().map(|l| l.rows).sum();
    let mut least = [Least::new(neurons), Least::new(neurons)];
    for x in points {
        if let Some(values) = evaluate(&case.net, x) {
            least[0].add(&case.spec_row, &values);
        }
        for order in Order::ALL {
            let (pre, out) = pass(&case.net, x, order);
            least[1].add(&case.spec_row, &Values { pre: widened(&pre), out: widened(&out) });
        }
    }
    least
}

#[test]
fn no_bound_is_above_what_the_region_holds() {
    let mut rng = fastrand::Rng::with_seed(seed(SEED));
    let (mut answers, mut refused) = (0, 0);
    for index in 0..many(150) as u64 {
        let kind = [Kind::Gaussian, Kind::Integer, Kind::Dying][index as usize % 3];
        let case = curved(kind, index, &mut rng);
        let words = pack(&case.net, WeightKind::F32).expect("packs");
        let points = members(&case.region, &[], 60, &mut rng);
        let least = least(&case, &points);
        let rows: Vec<f32> =
            [1.0, -1.0].iter().flat_map(|s| case.spec_row.iter().map(move |c| s * c)).collect();
        let spec = Spec::Rows { matrix: &rows, rows: 2 };
        let mut engine = Engine::new(&words);
        for options in all_options() {
            for sums in Sums::ALL {
                match engine.ask(&engine_region(&case.region), &spec, &options, sums) {
                    Ok(answer) => {
                        let least = &least[usize::from(options.semantics == Semantics::Deployed)];
                        let ends = (&answer.lo[..], &answer.hi[..]);
                        least.refute(&case.name, &answer.lower, ends, &(options, sums));
                        answers += 1;
                    }
                    Err(Error::Magnitude { .. }) => refused += 1,
                    Err(error) => panic!("{}: {error}", case.name),
                }
            }
        }
    }
    println!("{answers} answers, {refused} refused for their magnitude");
    assert!(refused * 20 < answers);
}

#[test]
fn slopes_of_any_kind_and_those_that_are_searched_for_are_sound() {
    let mut rng = fastrand::Rng::with_seed(seed(SEED + 1));
    let mut gains = 0;
    for index in 0..many(150) as u64 {
        let kind = [Kind::Gaussian, Kind::Integer, Kind::Leaky][index as usize % 3];
        let case = if kind == Kind::Leaky {
            let mut case = case(seed_of(&mut rng), kind, index);
            certus_tests::ask::storable(&mut case.net);
            case
        } else {
            curved(kind, index, &mut rng)
        };
        let words = pack(&case.net, WeightKind::F32).expect("packs");
        let model = Model::from_words(&words).expect("packed");
        let mut runner = Runner::new(model, false);
        let points = members(&case.region, &[], 60, &mut rng);
        let least = least(&case, &points);
        let rows: Vec<f32> =
            [1.0, -1.0].iter().flat_map(|s| case.spec_row.iter().map(move |c| s * c)).collect();
        let spec = Spec::Rows { matrix: &rows, rows: 2 };
        let region = engine_region(&case.region);
        for semantics in [Semantics::Real, Semantics::Deployed] {
            let least = &least[usize::from(semantics == Semantics::Deployed)];
            let options = Options { semantics, ..Options::new(Method::Crown) };
            let mut lower = Vec::new();
            let given = Given::default();
            let found =
                runner.lower_bounds_given(&region, &spec, &options, &given, None, &mut lower);
            let Ok(found) = found else { continue };
            let (mut lo, mut hi) = (found.lo.to_vec(), found.hi.to_vec());
            // Slopes without rhyme or reason.
            let mut draw =
                || -> Vec<f32> { lo.iter().map(|_| 4.0 * rng.f32() * rng.f32() - 1.0).collect() };
            let (below, above) = (draw(), draw());
            let given = Given { ends: Some((&lo, &hi)), slopes: Some((&below, &above)) };
            let mut odd = Vec::new();
            let found = runner.lower_bounds_given(&region, &spec, &options, &given, None, &mut odd);
            let found = found.expect("in range before");
            least.refute(&case.name, &odd, (found.lo, found.hi), &"odd slopes");
            // Each row with its own; a row at a time, on a device, the very bits of one by one, where
            // no slope that is drawn equals the other side's: that would change the order of sums.
            let last = model.depth() - 1;
            if model.layer(last).is_some_and(|l| l.activation == Activation::Identity) {
                let all = [[&below[..], &above].concat(), [&above[..], &below].concat()];
                let own = OwnSlopes { ends: (&lo, &hi), lower: &all[0], upper: &all[1] };
                let mut each = |runner: &mut Runner<'_>| {
                    runner
                        .lower_bounds_own(&region, &spec, semantics, &own, last, &mut odd)
                        .expect("in range before");
                    least.refute(&case.name, &odd, (&lo, &hi), &"own slopes");
                    odd.clone()
                };
                each(&mut runner);
                let mut device = Runner::device(model);
                let each = each(&mut device);
                for (r, (lower, upper)) in [(&below, &above), (&above, &below)].iter().enumerate() {
                    let given = Given { ends: Some((&lo, &hi)), slopes: Some((lower, upper)) };
                    let mut one = Vec::new();
                    device
                        .lower_bounds_given(&region, &spec, &options, &given, None, &mut one)
                        .expect("in range before");
                    let same = each[r].to_bits() == one[r].to_bits();
                    assert!(
                        same || kind == Kind::Leaky,
                        "{}, row {r}: {each:?} {one:?}",
                        case.name
                    );
                }
            }
            // Slopes alone: every method finds its intermediate bounds with them, Fast-Lin too, though
            // its own two lines are parallel.
            for options in all_options().iter().filter(|o| o.semantics == semantics) {
                let given = Given { ends: None, slopes: Some((&below, &above)) };
                let found =
                    runner.lower_bounds_given(&region, &spec, options, &given, None, &mut odd);
                let Ok(found) = found else { continue };
                least.refute(&case.name, &odd, (found.lo, found.hi), options);
            }

            let Region::Ball { center, eps, norm } = &case.region else { continue };
            let norm = match norm {
                Norm::L1 => region::Norm::L1,
                Norm::L2 => region::Norm::L2,
                Norm::Linf => region::Norm::Linf,
            };
            let around = Around { center, epsilon: *eps, norm, clip: None };
            let settings = Settings { iterations: 5, shared: rng.bool(), ..Settings::default() };
            let ends = (&mut lo[..], &mut hi[..]);
            alpha::ends(&mut runner, &around, semantics, ends, &settings).expect("in range");
            let layer = model.depth() - 1;
            if model.layer(layer).is_some_and(|l| l.activation == Activation::Identity) {
                let before = lower.clone();
                let goal = f32::INFINITY;
                let mut asked = Rows { layer, matrix: &rows, lower: &mut lower, goal };
                alpha::tighten(&mut runner, &around, semantics, (&lo, &hi), &mut asked, &settings)
                    .expect("in range");
                gains += usize::from(lower.iter().zip(&before).any(|(now, then)| now > then));
            }
            least.refute(&case.name, &lower, (&lo, &hi), &(semantics, settings));
        }
    }
    println!("{gains} searches gained");
    assert!(gains > 20);
}
