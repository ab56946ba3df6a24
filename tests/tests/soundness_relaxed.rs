//! CROWN-Quad and Fast-Lip against exact optima: never above, and what they are good for.

use std::sync::Arc;

use certus::attack::Worker;
use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus::network::Network;
use certus::plan::{CrownQuad, FastLip, SharedStage, propagation};
use certus::question::Question;
use certus::radius::Search;
use certus::relaxed::{fast_lip, quad};
use certus_engine::bounds::{Method, Options};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::{Activation, Model};
use certus_engine::region as engine;
use certus_engine::spec::Spec;
use certus_tests::ask::{engine_region, storable};
use certus_tests::generate::{Case, Kind, breakers, case};
use certus_tests::geometry::nearest_adversarial;
use certus_tests::oracle::minimum;
use certus_tests::plan::{many, seed};
use certus_tests::region::{Norm, Region};
use certus_tests::truth::{Truth, justified};
use fastrand::Rng;

const SEED: u64 = 211;
const NORMS: [(engine::Norm, Norm); 3] =
    [(engine::Norm::L1, Norm::L1), (engine::Norm::L2, Norm::L2), (engine::Norm::Linf, Norm::Linf)];

/// Lower bounds of each method; `None` where it does not fit the network.
struct Bounds {
    crown: Vec<f32>,
    fast_lin: Vec<f32>,
    quad: Option<Vec<f32>>,
    fast_lip: Option<Vec<f32>>,
}

/// `None` where the engine refuses what is too large for it.
fn ask(
    net: &Network,
    region: &engine::Region<'_>,
    spec: &Spec<'_>,
    effort: &quad::Effort,
) -> Result<Bounds, certus_engine::bounds::Error> {
    let words = pack(net, WeightKind::F32).expect("packs");
    let model = Model::from_words(&words).expect("a valid blob");
    let mut runner = Runner::new(model, false);
    let (mut crown, mut fast_lin, mut quad, mut lip) = Default::default();
    runner.lower_bounds(region, spec, &Options::new(Method::Crown), &mut crown)?;
    runner.lower_bounds(region, spec, &Options::new(Method::FastLin), &mut fast_lin)?;
    quad::lower_bounds(&mut runner, region, spec, effort, &mut quad)?;
    fast_lip::lower_bounds(&mut runner, region, spec, &mut lip)?;
    let lip_fits = fast_lip::check(&model).is_ok();
    assert!(lip_fits || lip.iter().all(|x| *x == f32::NEG_INFINITY));
    assert!(quad.iter().zip(&crown).all(|(quad, crown)| quad >= crown), "{quad:?} {crown:?}");
    let quad_fits = quad::check(&model).is_ok();
    assert!(quad_fits || quad == crown);
    let (quad, fast_lip) = (quad_fits.then_some(quad), lip_fits.then_some(lip));
    Ok(Bounds { crown, fast_lin, quad, fast_lip })
}

/// Long, short, the paper's coefficients alone, CROWN's alone.
fn effort(index: usize) -> quad::Effort {
    let [programs, steps] = [[16, 2], [3, 1], [1, 20], [0, 0]][index % 4];
    quad::Effort { programs, steps, enough: f32::INFINITY }
}

/// What was seen, to show that the test is not vacuous.
#[derive(Debug, Default)]
struct Seen {
    quad: usize,
    /// Rows that CROWN-Quad bounds better than CROWN, by more than a thousandth of what is between
    /// CROWN's bound and the exact minimum.
    better: usize,
    /// Of that, shares closed, all together.
    closed: f64,
    open: usize,
    lip: usize,
    /// Rows that Fast-Lip bounds exactly, to a thousandth.
    tight: usize,
    /// Rows that Fast-Lip bounds better than Fast-Lin, by more than rounding.
    beyond: usize,
    refused: usize,
    unbounded: usize,
    proved: [usize; 2],
}

impl Seen {
    fn take(&mut self, name: &str, bounds: &Bounds, valid: &[f32]) {
        let methods = [&bounds.quad, &bounds.fast_lip];
        for (which, found) in methods.into_iter().enumerate() {
            let Some(found) = found else { continue };
            assert_eq!(found.len(), valid.len());
            for (found, most) in found.iter().zip(valid) {
                assert!(found <= most, "{name}: method {which}: {found:e} above {most:e}");
                self.unbounded += usize::from(*found == f32::NEG_INFINITY);
                self.proved[which] += usize::from(verdict(&[*found]) == Verdict::Certified);
            }
        }
        for (r, most) in valid.iter().enumerate() {
            let (crown, most) = (f64::from(bounds.crown[r]), f64::from(*most));
            let size = most.abs() + crown.abs();
            if let Some(quad) = &bounds.quad {
                self.quad += 1;
                if most - crown > 1e-4 * size && crown.is_finite() {
                    let share = (f64::from(quad[r]) - crown) / (most - crown);
                    self.open += 1;
                    self.better += usize::from(share > 1e-3);
                    self.closed += share;
                }
            }
            if let Some(lip) = &bounds.fast_lip {
                self.lip += 1;
                self.tight += usize::from(most - f64::from(lip[r]) < 1e-3 * size);
                self.beyond += usize::from(f64::from(lip[r] - bounds.fast_lin[r]) > 1e-3 * size);
            }
        }
    }
}

/// The row, its negation, and each output.
fn rows(case: &Case) -> Vec<Vec<f32>> {
    let outputs = case.net.outputs();
    let mut rows = vec![case.spec_row.clone(), case.spec_row.iter().map(|c| -c).collect()];
    for i in 0..outputs {
        let mut row = vec![0.0; outputs];
        row[i] = 1.0;
        rows.push(row);
    }
    rows
}

fn check(case: &Case, index: usize, seen: &mut Seen) {
    let rows = rows(case);
    let (matrix, count) = (rows.concat(), rows.len());
    let spec = Spec::Rows { matrix: &matrix, rows: count };
    let region = engine_region(&case.region);
    match ask(&case.net, &region, &spec, &effort(index)) {
        Ok(bounds) => {
            let truth = Truth::find(&case.net, &case.region, &rows).expect("not empty");
            seen.take(&case.name, &bounds, &truth.least);
        }
        Err(error) => {
            assert!(justified(&error, &case.net, &case.region), "{}: {error}", case.name);
            seen.refused += 1;
        }
    }
}

#[test]
fn no_bound_is_above_the_exact_minimum() {
    let seed = seed(SEED);
    for kind in Kind::UNIFORM {
        let mut seen = Seen::default();
        for index in 0..many(250) {
            let mut case = case(seed, kind, index as u64);
            storable(&mut case.net);
            check(&case, index, &mut seen);
        }
        println!("{kind:?}: {seen:?}");
        assert!(seen.lip > 150 && seen.quad > 60, "{kind:?}");
        if !matches!(kind, Kind::Wide | Kind::Cancelling) {
            assert!(seen.refused == 0 && seen.tight > 20, "{kind:?}");
            assert!(seen.proved[0] > 20 && seen.proved[1] > 20, "{kind:?}");
        }
        if matches!(kind, Kind::Gaussian | Kind::Integer) {
            assert!(seen.better > 30 && seen.beyond * 4 < seen.lip, "{kind:?}");
        }
    }
}

#[test]
fn breakers_are_not_certified_wrongly() {
    let (mut seen, mut asked) = (Seen::default(), 0);
    for breaker in breakers() {
        let mut case = breaker.case;
        storable(&mut case.net);
        asked += 1;
        for index in 0..4 {
            check(&case, index, &mut seen);
        }
    }
    println!("{asked} breakers: {seen:?}");
    assert!(asked >= 20 && seen.quad > 100 && seen.lip > 100);
}

/// Two layers, class 0 with a head start.
fn classifier(rng: &mut Rng, most: usize) -> Network {
    let index = rng.u64(0..1 << 40);
    let kind = [Kind::Gaussian, Kind::Integer][rng.usize(0..2)];
    let mut net = (index..)
        .map(|index| case(SEED, kind, index).net)
        .find(|net| net.layers.len() == 2 && net.outputs() > 1 && net.layers[0].rows <= most)
        .expect("endless");
    if rng.u8(0..3) == 0 {
        net.layers[0].activation = Activation::LeakyRelu([0.125, 0.3, 1.0][rng.usize(0..3)]);
    }
    net.layers[1].bias[0] += 4.0 * rng.f32();
    net
}

fn point(rng: &mut Rng, inputs: usize) -> Vec<f32> {
    (0..inputs).map(|_| 3.0 * rng.f32() - 1.5).collect()
}

/// The exact minima of the margins of class 0 over a ball.
fn margins(net: &Network, x: &[f32], eps: f64, norm: Norm) -> Vec<f32> {
    let ball = Region::ball(x, eps, norm);
    let row = |other: usize| {
        let mut row = vec![0.0; net.outputs()];
        (row[0], row[other]) = (1.0, -1.0);
        row
    };
    let rows: Vec<Vec<f32>> = (1..net.outputs()).map(row).collect();
    Truth::find(net, &ball, &rows).expect("a ball has points").least
}

#[test]
fn margins_over_balls_of_every_norm() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let (mut seen, mut general) = (Seen::default(), Seen::default());
    for _ in 0..many(150) {
        let net = classifier(&mut rng, 10);
        let x = point(&mut rng, net.inputs);
        let eps = f64::from(rng.f32() * 1.5);
        let spec = Spec::Margins { class: 0 };
        for (norm, test_norm) in NORMS {
            let region = engine::Region::ball(&x, eps, norm);
            let bounds = ask(&net, &region, &spec, &quad::Effort::default()).expect("small");
            seen.take("margins", &bounds, &margins(&net, &x, eps, test_norm));
        }
        // A ball of l1.5 holds that of l1, one of l3 that of l2.
        for (p, within) in [(1.5, Norm::L1), (3.0, Norm::L2)] {
            let norm = engine::Norm::new(p).expect("a norm");
            let region = engine::Region::ball(&x, eps, norm);
            let bounds = ask(&net, &region, &spec, &quad::Effort::default()).expect("small");
            general.take("general p", &bounds, &margins(&net, &x, eps, within));
        }
    }
    println!("l1, l2, linf: {seen:?}");
    println!("l1.5, l3: {general:?}");
    let closed = seen.closed / seen.open as f64;
    println!("CROWN-Quad closes {:.1} % of CROWN's gap in the mean", 100.0 * closed);
    assert!(seen.better * 4 > seen.open && seen.open > 150 && closed > 0.1, "{seen:?}");
    assert!(seen.proved[0] > 100 && seen.proved[1] > 60 && general.better > 50);
}

/// Certified radii are below the exact distances; a radius is found by bisection as for any method.
#[test]
fn radii_are_below_the_exact_distance() {
    let mut rng = Rng::with_seed(seed(SEED + 2));
    let mut positive = [0; 3];
    let stages: [SharedStage; 3] =
        [propagation("crown", Options::new(Method::Crown)), Arc::new(CrownQuad), Arc::new(FastLip)];
    for _ in 0..many(60) {
        let net = classifier(&mut rng, 7);
        let x = point(&mut rng, net.inputs);
        let words = pack(&net, WeightKind::F32).expect("packs");
        let model = Model::from_words(&words).expect("a valid blob");
        let mut worker = Worker::new(model, false);
        let class = worker.runner.predict(&x).expect("finite outputs");
        for (norm, test_norm) in NORMS {
            let adversarial = nearest_adversarial(&net, &x, class, test_norm, None);
            let least = adversarial.map_or(f64::INFINITY, |found| found.distance.to_f64());
            let radii = stages.each_ref().map(|stage| {
                let question = Question::new(norm, [stage.clone()]);
                let search = Search { tolerance: 1e-4, budget: 40, start: 0.2 };
                question.radius(&mut worker, 0, &x, None, &search).1.radius
            });
            for (count, radius) in positive.iter_mut().zip(radii) {
                assert!(radius <= least, "{net:?} {x:?} {norm}: {radii:?} above {least}");
                *count += usize::from(radius > 0.0);
            }
            // Bisection ends where certifying changes; CROWN's need not be monotone in the radius.
            assert!(radii[1] >= radii[0] || radii[1] > 0.9 * radii[0], "{net:?} {radii:?}");
        }
    }
    println!("radii above 0: {positive:?}");
    assert!(positive.iter().all(|count| *count > 100), "{positive:?}");
}

/// The numbers moved by `error` of their size and `shift`, towards zero or away from it.
fn moved(rng: &mut Rng, numbers: &mut [f32], error: f32, shift: f32) {
    for number in numbers {
        let exactly = f64::from(*number);
        let most = f64::from(error) * exactly.abs() + f64::from(shift);
        let aim = if rng.bool() { exactly + most } else { exactly - most };
        let mut next = aim as f32;
        while (f64::from(next) - exactly).abs() > most {
            next = if next > *number { next.next_down() } else { next.next_up() };
        }
        *number = next;
    }
}

#[test]
fn every_network_within_the_import_errors_is_covered() {
    let mut rng = Rng::with_seed(seed(SEED + 3));
    let mut seen = Seen::default();
    for index in 0..many(200) {
        let case = case(SEED + 4, [Kind::Gaussian, Kind::Dying][index % 2], index as u64);
        let Case { mut net, region, spec_row, .. } = case;
        for layer in &mut net.layers {
            (layer.weight_error, layer.bias_error) = (0.02 * rng.f32(), 0.02 * rng.f32());
        }
        let spec = Spec::Rows { matrix: &spec_row, rows: 1 };
        let bounds = ask(&net, &engine_region(&region), &spec, &effort(index)).expect("small");
        for _ in 0..3 {
            let mut other = net.clone();
            for layer in &mut other.layers {
                moved(&mut rng, &mut layer.weights, layer.weight_error, 0.0);
                moved(&mut rng, &mut layer.bias, 0.0, layer.bias_error);
            }
            let least = minimum(&other, &region, &spec_row).expect("not empty");
            for found in [&bounds.quad, &bounds.fast_lip].into_iter().flatten() {
                assert!(!least.refutes_lower(found[0]), "{net:?} {region:?} {found:?}");
            }
        }
        seen.quad += usize::from(bounds.quad.is_some());
        seen.lip += usize::from(bounds.fast_lip.is_some());
    }
    assert!(seen.quad > 50 && seen.lip > 150, "{seen:?}");
}
