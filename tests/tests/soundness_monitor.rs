//! The run-time monitor: its verdicts against exact ranges, and faults in sequences of inputs.

use certus::blob::{WeightKind, pack};
use certus::network::Network;
use certus_engine::model::{Activation, Model};
use certus_engine::monitor::{Fault, Means, Mode, Report, Rule, SensorError, Setup, Verdict};
use certus_engine::region as engine;
use certus_tests::ask::storable;
use certus_tests::generate::{Kind, affine, case, network};
use certus_tests::members::members;
use certus_tests::monitored::{Memory, outputs};
use certus_tests::passes::{Order, pass};
use certus_tests::plan::{many, seed};
use certus_tests::rational::{Rational, ceil_f32, exact, floor_f32};
use certus_tests::region::{Norm, Region};
use certus_tests::truth::{Truth, magnitudes};
use fastrand::Rng;

const SEED: u64 = 61;
const NORMS: [(Norm, engine::Norm); 3] =
    [(Norm::L1, engine::Norm::L1), (Norm::L2, engine::Norm::L2), (Norm::Linf, engine::Norm::Linf)];

/// Rows `e_0, .., e_n-1`.
fn unit_rows(n: usize) -> Vec<Vec<f32>> {
    (0..n).map(|i| (0..n).map(|j| f32::from(u8::from(i == j))).collect()).collect()
}

/// A case, its monitor's sensor error, and what is exactly true `scale` times as far.
struct Asked<'a> {
    net: &'a Network,
    x: &'a [f32],
    error: SensorError<'a>,
}

impl Asked<'_> {
    /// The states within `scale` times the error; where that has no floats for ends, a bit less.
    fn states(&self, scale: f32) -> Region {
        match self.error {
            SensorError::Ball { radius, norm } => {
                let (norm, _) = *NORMS.iter().find(|(_, of)| *of == norm).expect("one of three");
                Region::ball(self.x, f64::from(radius) * f64::from(scale), norm)
            }
            SensorError::Box(radii) => {
                let ends = self.x.iter().zip(radii).map(|(x, r)| {
                    let r = exact(*r) * exact(scale);
                    (ceil_f32(&(exact(*x) - &r)), floor_f32(&(exact(*x) + &r)))
                });
                let (lo, hi): (Vec<f32>, Vec<f32>) = ends.unzip();
                Region::cube(&lo, &hi)
            }
        }
    }

    /// Panics if a verdict is false: in rationals over the states, and by passes at f32 states.
    fn refute(&self, report: &Report<'_>, rule: &Rule<'_>, name: &str, rng: &mut Rng) {
        if report.scale == 0.0 {
            return;
        }
        let region = self.states(report.scale);
        let n = self.net.outputs();
        let rows: Vec<Vec<f32>> = match rule {
            Rule::Limits { .. } => unit_rows(n),
            Rule::Class { .. } => {
                let class = report.class.expect("a class");
                let row = |j| {
                    let mut row = vec![0.0; n];
                    (row[class], row[j]) = (1.0, -1.0);
                    row
                };
                (0..n).filter(|j| *j != class).map(row).collect()
            }
        };
        let Some(truth) = Truth::find(self.net, &region, &rows) else { return };
        for (row, range) in truth.exact.spec.iter().enumerate() {
            let (min, max) = (&range.min.inner, &range.max.inner);
            let kept = match rule {
                Rule::Limits { lo, hi } => *min > exact(lo[row]) && *max < exact(hi[row]),
                Rule::Class { margin } => *min > exact(*margin),
            };
            assert!(kept, "{name}: row {row} in [{min}, {max}]: {report:?}, {rule:?}");
        }
        let hints: Vec<Vec<Rational>> =
            truth.exact.spec.iter().flat_map(|r| [r.min.at.clone(), r.max.at.clone()]).collect();
        for x in members(&region, &hints, 4, rng) {
            for order in Order::ALL {
                let y = pass(self.net, &x, order).1;
                let kept = match rule {
                    Rule::Limits { lo, hi } => {
                        y.iter().zip(lo.iter().zip(*hi)).all(|(y, (lo, hi))| lo < y && y < hi)
                    }
                    Rule::Class { margin } => {
                        let class = report.class.expect("a class");
                        let mut others = y.iter().enumerate().filter(|(j, _)| *j != class);
                        others.all(|(_, other)| exact(y[class]) - exact(*other) > exact(*margin))
                    }
                };
                assert!(kept, "{name}: {y:?} at {x:?} by {order:?}: {report:?}, {rule:?}");
            }
        }
    }
}

/// How often each of the means answered.
#[derive(Debug, Default)]
struct Tally {
    by: [usize; 4],
    marginal: usize,
    violated: usize,
    parts: usize,
}

impl Tally {
    fn add(&mut self, report: &Report<'_>) {
        match (report.verdict, report.by) {
            (Verdict::Certified, Some(by)) => {
                self.by[Means::ALL.iter().position(|means| *means == by).unwrap()] += 1;
            }
            (Verdict::Marginal, None) => self.marginal += 1,
            (Verdict::Violated(_), _) => self.violated += 1,
            other => panic!("{other:?}"),
        }
        self.parts += usize::from(report.scale > 0.0 && report.scale != 1.0);
    }
}

#[test]
fn verdicts_against_exact_ranges() {
    let seed = seed(SEED);
    let mut rng = Rng::with_seed(seed);
    let mut tally = Tally::default();
    for kind in Kind::ALL {
        for index in 0..many(120) as u64 {
            let mut case = case(seed, kind, index);
            storable(&mut case.net);
            let Some((x, eps, _)) = case.region.as_ball() else { continue };
            let large = magnitudes(&case.net, &case.region);
            if large.iter().flatten().any(|m| *m > 2f64.powi(80)) {
                continue;
            }
            let words = pack(&case.net, WeightKind::F32).unwrap();
            let model = Model::from_words(&words).unwrap();
            let radius = eps as f32 * rng.f32();
            let radii: Vec<f32> = x.iter().map(|_| radius * rng.f32()).collect();
            let error = match index % 4 {
                0 => SensorError::Box(&radii),
                i => SensorError::Ball { radius, norm: NORMS[i as usize - 1].1 },
            };
            let asked = Asked { net: &case.net, x, error };
            let n = model.outputs();
            let truth = Truth::find(&case.net, &asked.states(1.0), &unit_rows(n));
            let Some(truth) = truth else { continue };
            let far: Vec<f32> = x.iter().map(|x| 2.0 * x.abs() + 1.0).collect();
            let near: Vec<f32> = far.iter().map(|x| -x).collect();
            // Limits beside the exact range: outside it by some or by an ulp, on it, inside it.
            let width = truth.least.iter().zip(&truth.least_negated).map(|(a, b)| (-b - a).abs());
            let width = width.fold(1e-3, f32::max);
            let away =
                [0.3 * width, 0.01 * width, 1e-6 * width, 0.0, -0.02 * width][rng.usize(0..5)];
            let lo: Vec<f32> = truth.least.iter().map(|y| (y - away).next_down()).collect();
            let hi: Vec<f32> = truth.least_negated.iter().map(|y| (away - y).next_up()).collect();
            let middle: Vec<f32> = lo.iter().zip(&hi).map(|(l, h)| 0.5 * l + 0.5 * h).collect();
            let margin = if rng.bool() { 0.0 } else { 0.1 * width };
            for rule in [Rule::Limits { lo: &lo, hi: &hi }, Rule::Class { margin }] {
                let class = matches!(rule, Rule::Class { .. });
                if (class && n < 2) || (!class && lo.iter().zip(&hi).any(|(l, h)| l >= h)) {
                    continue;
                }
                let full = Setup::new((&near, &far), error, rule, &middle, Setup::NO_BUDGET, 9);
                let budgets =
                    [full.least_budget(&model), full.full_budget(&model), Setup::NO_BUDGET];
                for (block, budget) in [1, 2, 3].into_iter().zip(budgets) {
                    let setup = Setup { budget, ..full };
                    let mut memory = Memory::of(&setup, &model, block);
                    let mut monitor = memory.monitor(model, setup);
                    let report = monitor.check(x, 0);
                    assert!(report.work <= setup.worst_case(&model) && report.work <= budget);
                    let certified = report.verdict == Verdict::Certified;
                    assert_eq!(report.scale >= 1.0, certified, "{}: {report:?}", case.name);
                    assert_eq!(report.mode == Mode::Network, certified);
                    assert!(certified || report.command == middle);
                    tally.add(&report);
                    asked.refute(&report, &rule, &case.name, &mut rng);
                }
            }
        }
    }
    println!("{tally:?}");
    assert!(tally.by.iter().all(|by| *by >= 3), "{tally:?}");
    assert!(tally.marginal >= 50 && tally.violated >= 10 && tally.parts >= 50, "{tally:?}");
}

/// A fault of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sick {
    No,
    /// One sample far off, within the declared range.
    Spike,
    /// One sample outside it.
    Out,
    Nan,
    /// The same sample for a while.
    Stuck,
    /// Off by more and more.
    Drift,
    /// Nothing arrives for a while.
    Gap,
}

/// The rule for the mode, written out once more: certified ticks and misses in a row so far.
struct Expected {
    run: u32,
    misses: u32,
    network: bool,
}

impl Expected {
    fn step(&mut self, verdict: Verdict, setup: &Setup<'_>) -> Mode {
        let certified = verdict == Verdict::Certified;
        self.run = if certified { self.run + 1 } else { 0 };
        self.misses = if certified { 0 } else { self.misses + 1 };
        let hard = !certified && verdict != Verdict::Marginal;
        self.network =
            if self.network { !hard && self.misses < setup.enter } else { self.run >= setup.leave };
        if self.network { Mode::Network } else { Mode::Fallback }
    }
}

#[test]
fn faults_are_reported_in_the_tick_they_matter() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let (mut seen, mut kept, mut refuted) = ([[0usize; 4]; 7], 0, 0);
    for _ in 0..many(60) {
        let mut row = |n: usize| -> Vec<f32> { (0..n).map(|_| 2.0 * rng.f32() - 1.0).collect() };
        let rows: Vec<Vec<f32>> = (0..6).map(|_| row(2)).collect();
        let (bias, out) = (row(6), row(6));
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let net = network(vec![
            affine(&rows, &bias, Activation::Relu),
            affine(&[&out], &[0.0], Activation::Identity),
        ]);
        let words = pack(&net, WeightKind::F32).unwrap();
        let model = Model::from_words(&words).unwrap();
        // Limits that a part of the states breaks.
        let mut values: Vec<f32> = (0..200)
            .map(|_| {
                let x = [2.0 * rng.f32() - 1.0, 2.0 * rng.f32() - 1.0];
                pass(&net, &x, Order::Sequential).1[0]
            })
            .collect();
        values.sort_by(f32::total_cmp);
        let (lo, hi) = ([values[15]], [values[185]]);
        let command = [0.5 * lo[0] + 0.5 * hi[0]];
        let radii = [0.03, 0.02];
        let error = SensorError::Box(&radii);
        let rule = Rule::Limits { lo: &lo, hi: &hi };
        let range: (&[f32], &[f32]) = (&[-1.2, -1.2], &[1.2, 1.2]);
        let setup =
            Setup { enter: 3, leave: 4, ..Setup::new(range, error, rule, &command, u64::MAX, 4) };
        let mut memory = Memory::of(&setup, &model, 1);
        let mut monitor = memory.monitor(model, setup);
        let mut expected = Expected { run: 0, misses: 0, network: false };
        let (mut stuck, mut drift) = ([0.0f32; 2], 0.0f32);
        let mut state = [0; 2].map(|_| 2.0 * rng.f32() - 1.0);
        let (mut sick, mut left, mut last) = (Sick::No, 0u32, None);
        let mut now = rng.u32(..);
        for _ in 0..60 {
            now = now.wrapping_add(1);
            for s in &mut state {
                *s = (*s + 0.2 * (rng.f32() - 0.5)).clamp(-1.0, 1.0);
            }
            // The sample: the state, off by less than the error.
            let mut x = [0, 1].map(|i| state[i] + 0.99 * radii[i] * (2.0 * rng.f32() - 1.0));
            if left == 0 && rng.u8(0..8) == 0 {
                use Sick::{Drift, Gap, Nan, Out, Spike, Stuck};
                sick = [Spike, Out, Nan, Stuck, Drift, Gap][rng.usize(0..6)];
                left = if matches!(sick, Stuck | Drift | Nan) { rng.u32(1..12) } else { 1 };
                (stuck, drift) = (x, 0.0);
            }
            match sick {
                Sick::No => {}
                Sick::Spike => x[rng.usize(0..2)] = 2.4 * rng.f32() - 1.2,
                Sick::Out => x[1] = 1.3 + rng.f32(),
                Sick::Nan => x[0] = f32::NAN,
                Sick::Stuck => x = stuck,
                Sick::Drift => {
                    drift += 0.02;
                    x[0] = (x[0] + drift).min(1.2);
                }
                Sick::Gap => now = now.wrapping_add(rng.u32(1..9)),
            }
            let report = monitor.check(&x, now);
            let valid = x.iter().all(|x| x.abs() <= 1.2);
            // What must be known in this very tick.
            let age = last.map(|last| now.wrapping_sub(last));
            let stale = age.map_or(!valid, |age| age > setup.stale);
            let verdict = match report.verdict {
                Verdict::Stale => {
                    assert!(stale);
                    3
                }
                other => {
                    assert!(!stale, "{other:?}");
                    match other {
                        Verdict::Certified => 0,
                        Verdict::Marginal => 1,
                        _ => 2,
                    }
                }
            };
            seen[sick as usize][verdict] += 1;
            match sick {
                Sick::Nan if !stale => {
                    assert_eq!(report.verdict, Verdict::Violated(Fault::NotFinite(0)));
                }
                Sick::Out if !stale => {
                    assert_eq!(report.verdict, Verdict::Violated(Fault::Range(1)));
                }
                _ => {}
            }
            if valid {
                last = Some(now);
            } else if stale {
                last = None;
            }
            // The mode is that of the rule, and no command is outside the limits, ever.
            assert_eq!(report.mode, expected.step(report.verdict, &setup));
            assert_eq!(report.misses, expected.misses);
            assert!(lo[0] <= report.command[0] && report.command[0] <= hi[0]);
            if report.mode == Mode::Fallback {
                assert_eq!(report.command, command);
            } else {
                assert_eq!(report.command, outputs(&model, &x));
            }
            if valid {
                let asked = Asked { net: &net, x: &x, error };
                asked.refute(&report, &rule, "sequence", &mut rng);
                // The promise is about the state, as long as the sample is within its error.
                let near = [0, 1].iter().all(|i| (x[*i] - state[*i]).abs() <= radii[*i]);
                let y = outputs(&model, &state)[0];
                let good = lo[0] < y && y < hi[0];
                if report.verdict == Verdict::Certified && near {
                    assert!(good, "{report:?}: {y} at {state:?}");
                    kept += 1;
                }
                refuted += usize::from(!good && report.verdict != Verdict::Certified);
            }
            left = left.saturating_sub(1);
            if left == 0 {
                sick = Sick::No;
            }
        }
    }
    println!(
        "certified, marginal, violated, stale by fault: {seen:?}; {kept} promises kept, {refuted} bad states not certified"
    );
    assert!(kept > 500 && refuted > 50);
    let [well, _, _, nan, stuck, drift, gap] = seen;
    assert!(well[0] > 100 && well[1] > 10 && well[2] > 10 && nan[3] > 5 && gap[3] > 5);
    assert!(stuck[0] > 5 && drift[0] > 5);
}
