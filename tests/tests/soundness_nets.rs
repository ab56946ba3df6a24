//! No bound is ever above the exact minimum, on thousands of small random networks, in every
//! setting of the engine; and bounds are as tight as theory says they are.

use certus::blob::{WeightKind, pack, unpack};
use certus::network::Network;
use certus_engine::bounds::{Method, Options, Semantics};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::{Activation, Model};
use certus_engine::spec::Spec;
use certus_tests::ask::{Answer, Engine, METHODS, Sums, all_options, engine_region, storable};
use certus_tests::generate::{Case, Kind, case};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, exact};
use certus_tests::region::Region;
use certus_tests::truth::{Truth, justified, magnitudes};

const SEED: u64 = 41;
/// Nets of each kind.
const NETS: usize = 360;

/// What was seen, to be printed and to show that the test is not vacuous.
#[derive(Debug, Default)]
struct Seen {
    nets: usize,
    halves: usize,
    answers: usize,
    refused: usize,
    unbounded: usize,
    /// Nets whose row or its negation is positive on the whole region.
    positive: usize,
    /// Of them, those certified by [`METHODS`], usual options.
    certified: [usize; METHODS.len()],
    /// Nets without a neuron near its bend, on which CROWN is exact.
    stable: usize,
}

/// The rows asked: a case's own, its negation by `least_negated`, units, and a class's margins.
struct Questions {
    rows: Vec<f32>,
    class: usize,
    truth: Truth,
}

impl Questions {
    fn new(net: &Network, case: &Case, class: usize) -> Self {
        let outputs = net.outputs();
        let unit = |i: usize, value: f32, row: &mut Vec<f32>| row[i] = value;
        let mut rows = vec![case.spec_row.clone()];
        for i in 0..outputs {
            let mut row = vec![0.0; outputs];
            unit(i, 1.0, &mut row);
            rows.push(row);
        }
        for j in (0..outputs).filter(|j| *j != class) {
            let mut row = vec![0.0; outputs];
            unit(class, 1.0, &mut row);
            unit(j, -1.0, &mut row);
            rows.push(row);
        }
        let truth = Truth::find(net, &case.region, &rows).expect("regions are not empty");
        let negated = case.spec_row.iter().map(|c| -c);
        Questions { rows: case.spec_row.iter().copied().chain(negated).collect(), class, truth }
    }

    /// The specifications, with the largest valid bound of each row.
    fn all(&self, outputs: usize) -> [(Spec<'_>, Vec<f32>); 3] {
        let (least, negated) = (&self.truth.least, &self.truth.least_negated);
        [
            (Spec::Rows { matrix: &self.rows, rows: 2 }, vec![least[0], negated[0]]),
            (Spec::Outputs, [&least[1..=outputs], &negated[1..=outputs]].concat()),
            (Spec::Margins { class: self.class }, least[1 + outputs..].to_vec()),
        ]
    }
}

fn check(case: &Case, net: &Network, kind: WeightKind, index: usize, seen: &mut Seen) -> Questions {
    let words = pack(net, kind).expect("packs");
    let mut engine = Engine::new(&words);
    let outputs = net.outputs();
    let questions = Questions::new(net, case, index % outputs);
    let region = engine_region(&case.region);
    let mut least = Vec::new();
    for options in all_options() {
        for sums in Sums::ALL {
            for (spec, valid) in questions.all(outputs) {
                let how = (&options, sums, &spec);
                let answer = match engine.ask(&region, &spec, &options, sums) {
                    Ok(answer) => answer,
                    Err(error) => {
                        let fair = justified(&error, net, &case.region);
                        assert!(fair, "{}: {error}: {how:?}", case.name);
                        seen.refused += 1;
                        continue;
                    }
                };
                answer.refute(&case.name, &valid, &questions.truth.pre, &how);
                for (found, most) in answer.lower.iter().zip(&valid) {
                    assert!(verdict(&[*found]) == Verdict::Unknown || *most > 0.0, "{how:?}");
                }
                seen.answers += 1;
                seen.unbounded += usize::from(answer.lower.contains(&f32::NEG_INFINITY));
                if matches!(spec, Spec::Rows { .. }) {
                    least.push((options, sums, answer));
                }
            }
        }
    }
    contained(case, net, &least);
    questions
}

/// Intersected intervals lie in those of the interval method, but for rounding.
fn contained(case: &Case, net: &Network, answers: &[(Options, Sums, Answer)]) {
    let sizes = magnitudes(net, &case.region);
    let sizes: Vec<f64> = sizes.into_iter().skip(1).flatten().collect();
    for (options, sums, answer) in answers {
        let plain = answers.iter().find(|(o, s, _)| {
            o.method == Method::Ibp && o.semantics == options.semantics && s == sums
        });
        let Some((.., plain)) = plain.filter(|_| options.intersect) else { continue };
        for (i, size) in sizes.iter().enumerate() {
            let room = 1e-5 * size + 1e-30;
            let inside = f64::from(answer.lo[i]) >= f64::from(plain.lo[i]) - room
                && f64::from(answer.hi[i]) <= f64::from(plain.hi[i]) + room;
            assert!(inside, "{}: neuron {i}: {options:?} {sums:?}", case.name);
        }
    }
}

/// Whether no hidden neuron comes near its bend over the region.
fn is_stable(net: &Network, truth: &Truth, sizes: &[Vec<f64>]) -> bool {
    net.layers.iter().zip(&truth.exact.pre).zip(&sizes[1..]).all(|((layer, pre), sizes)| {
        let clear = |(i, (range, size)): (usize, (&certus_tests::oracle::Range, &f64))| {
            let room = exact(1e-3 * size);
            let linear = layer.activation_of(i) == Activation::Identity;
            linear || range.min.inner > room || range.max.inner < -room
        };
        pre.iter().zip(sizes).enumerate().all(clear)
    })
}

/// Certified shares, and exactness where CROWN is exact.
fn tightness(case: &Case, net: &Network, questions: &Questions, seen: &mut Seen) {
    let words = pack(net, WeightKind::F32).expect("packs");
    let mut engine = Engine::new(&words);
    let spec = Spec::Rows { matrix: &questions.rows, rows: 2 };
    let truth = &questions.truth;
    let positive = truth.least[0] > 0.0 || truth.least_negated[0] > 0.0;
    seen.positive += usize::from(positive);
    let mut last = None;
    for (method, count) in METHODS.into_iter().zip(&mut seen.certified) {
        let options = Options::new(method);
        let answer = engine.ask(&engine_region(&case.region), &spec, &options, Sums::Portable(8));
        let answer = answer.expect("ordinary magnitudes");
        let held = answer.lower.iter().any(|bound| verdict(&[*bound]) == Verdict::Certified);
        *count += usize::from(held);
        assert!(answer.lower.iter().all(|x| x.is_finite()), "{}: {answer:?}", case.name);
        last = Some(answer);
    }
    let sizes = magnitudes(net, &case.region);
    let cut = matches!(case.region, Region::BallInBox { .. });
    if cut || !is_stable(net, truth, &sizes) {
        return;
    }
    seen.stable += 1;
    let answer = last.expect("six methods");
    let scale: f64 = sizes[sizes.len() - 1]
        .iter()
        .zip(&case.spec_row)
        .map(|(size, c)| size * f64::from(c.abs()))
        .sum();
    for (found, most) in answer.lower.iter().zip([truth.least[0], truth.least_negated[0]]) {
        let gap = f64::from(most) - f64::from(*found);
        // What products may drop, `num::NEGLIGIBLE` a coefficient and weight, bounds the resolution.
        let room = 1e-4 * scale + 2f64.powi(-50);
        assert!(gap <= room, "{}: gap {gap:e} at scale {scale:e}", case.name);
    }
}

fn run(kind: Kind) {
    let seed = seed(SEED);
    let start = std::time::Instant::now();
    let ordinary = matches!(kind, Kind::Gaussian | Kind::Integer | Kind::Leaky | Kind::Skipping);
    let mut seen = Seen::default();
    for index in 0..many(NETS) {
        let mut case = case(seed, kind, index as u64);
        storable(&mut case.net);
        let questions = check(&case, &case.net, WeightKind::F32, index, &mut seen);
        seen.nets += 1;
        if ordinary {
            tightness(&case, &case.net, &questions, &mut seen);
        }
        if index % 4 == 0
            && let Ok(words) = pack(&case.net, WeightKind::F16)
        {
            let rounded = unpack(&Model::from_words(&words).expect("a valid blob"));
            check(&case, &rounded, WeightKind::F16, index, &mut seen);
            seen.halves += 1;
        }
    }
    println!("{kind:?}: {seen:?} in {:?}", start.elapsed());
    if ordinary {
        let nets = seen.nets;
        assert!(seen.positive * 4 >= nets, "few margins are positive: {seen:?}");
        assert_eq!(seen.unbounded + seen.refused, 0, "{seen:?}");
        // Shares of what could be certified at best.
        for (count, percent) in seen.certified.iter().zip([35, 40, 40, 40, 40, 40]) {
            assert!(*count * 100 >= percent * seen.positive, "few are certified: {seen:?}");
        }
        assert!(seen.stable * 25 >= nets, "few nets are stable: {seen:?}");
    }
    if kind == Kind::Wide {
        // Large magnitudes may be refused, but not most of them.
        assert!(seen.refused < seen.answers, "{seen:?}");
    }
}

#[test]
fn gaussian() {
    run(Kind::Gaussian);
}

#[test]
fn integer() {
    run(Kind::Integer);
}

#[test]
fn wide() {
    run(Kind::Wide);
}

#[test]
fn cancelling() {
    run(Kind::Cancelling);
}

#[test]
fn dying() {
    run(Kind::Dying);
}

#[test]
fn leaky() {
    run(Kind::Leaky);
}

#[test]
fn skipping() {
    run(Kind::Skipping);
}

/// The oracle and the claim meet: a bound one float above the exact minimum is refuted.
#[test]
fn the_test_can_fail() {
    let seed = seed(SEED);
    for index in 0..20 {
        let case = case(seed, Kind::Gaussian, index);
        let truth =
            Truth::find(&case.net, &case.region, std::slice::from_ref(&case.spec_row)).unwrap();
        let min = &truth.exact.spec[0].min;
        assert!(min.refutes_lower(truth.least[0].next_up()) && !min.refutes_lower(truth.least[0]));
        assert!(min.inner > Rational::ZERO || verdict(&[truth.least[0]]) == Verdict::Unknown);
        let options = Options { semantics: Semantics::Real, ..Options::new(Method::Crown) };
        assert!(all_options().contains(&options));
    }
    for bad in [0.0, -0.0, -1e-45, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(verdict(&[1.0, bad]), Verdict::Unknown, "{bad}");
    }
    assert_eq!((verdict(&[]), verdict(&[1e-45])), (Verdict::Unknown, Verdict::Certified));
}
