//! Hand-made networks with known answers; the state machine as tables.

extern crate std;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::bounds::forward_macs;
use crate::bounds::tests::build;
use crate::model::blob;
use crate::region::Norm;

/// `y = relu(x0 + x1) + relu(x0 - x1) - 1`, which is `2 x0 - 1` where `x0 > |x1|`.
pub(super) fn two_neurons() -> Vec<u32> {
    build(&[
        (2, 2, blob::RELU, &[1.0, 1.0, 1.0, -1.0], &[0.0, 0.0]),
        (1, 2, blob::IDENTITY, &[1.0, 1.0], &[-1.0]),
    ])
}

/// `f = (relu(x + 1), relu(x - 1))`.
pub(super) fn two_classes() -> Vec<u32> {
    build(&[(2, 1, blob::RELU, &[1.0, 1.0], &[1.0, -1.0])])
}

const RANGE: (&[f32], &[f32]) = (&[-8.0, -8.0], &[8.0, 8.0]);
const BOX: SensorError<'static> = SensorError::Box(&[0.25, 0.125]);

fn limits<'a>(lo: &'a [f32], hi: &'a [f32]) -> Setup<'a> {
    Setup::new(RANGE, BOX, Rule::Limits { lo, hi }, &[3.75], Setup::NO_BUDGET, 10)
}

/// Report of one tick: verdict, scale, by, work, command.
pub(super) type Told = (Verdict, f32, Option<Means>, u64, Vec<f32>);

/// The first tick of a monitor on memory of exactly its size, full of what was there.
pub(super) fn once(words: &[u32], setup: Setup<'_>, x: &[f32]) -> Told {
    let model = Model::from_words(words).unwrap();
    let size = setup.size(&model, 1);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![9; size.indices]);
    let memory = Workspace { floats: &mut floats, indices: &mut indices };
    let mut monitor = Monitor::new(model, setup, memory).unwrap();
    let report = monitor.check(x, 7);
    assert!(report.work <= setup.worst_case(&model));
    let certified = report.verdict == Verdict::Certified;
    assert_eq!((report.scale >= 1.0, report.mode == Mode::Network), (certified, certified));
    (report.verdict, report.scale, report.by, report.work, report.command.to_vec())
}

#[track_caller]
fn near(found: f32, expected: f32) {
    assert!(found <= expected && found > expected * (1.0 - 3e-5), "{found} {expected}");
}

#[test]
fn the_cheapest_means_that_proves() {
    let words = two_neurons();
    let x = [2.0, 0.0];
    // y = 3 in [2.5, 3.5], by intervals [2.25, 3.75].
    let (verdict, scale, by, _, command) = once(&words, limits(&[2.125], &[4.0]), &x);
    assert_eq!((verdict, by), (Verdict::Certified, Some(Means::Ibp)));
    assert_eq!((scale, command), (1.0, vec![3.0]));
    // Intervals prove twice the error: [1.5, 4.5]; four times is [0, 6].
    let (_, scale, by, ..) = once(&words, limits(&[1.25], &[5.0]), &x);
    assert_eq!((scale, by), (2.0, Some(Means::Ibp)));
    let (verdict, scale, by, ..) = once(&words, limits(&[2.375], &[4.0]), &x);
    assert_eq!((verdict, by), (Verdict::Certified, Some(Means::Simplex)));
    near(scale, 1.25);
    // x1 counts for nothing while z0 = x0 + x1 and z1 = x0 - x1 are above 1/4; the cube is larger.
    let wide = Setup { error: SensorError::Box(&[0.25, 1.5]), ..limits(&[2.375], &[4.0]) };
    let (verdict, scale, by, ..) = once(&words, wide, &x);
    assert_eq!((verdict, scale, by), (Verdict::Certified, 1.0, Some(Means::CrownIbp)));
    // Not true of the whole error, but of 0.2 in x0.
    let (verdict, scale, by, _, command) = once(&words, limits(&[2.6], &[4.0]), &x);
    assert_eq!((verdict, by, command), (Verdict::Marginal, None, vec![3.75]));
    near(scale, 0.8);
    // The border itself is within, and never proved.
    let (verdict, scale, ..) = once(&words, limits(&[3.0], &[4.0]), &x);
    assert_eq!((verdict, scale), (Verdict::Marginal, 0.0));
    // One limit only.
    let (verdict, ..) = once(&words, limits(&[2.375], &[f32::MAX]), &x);
    assert_eq!(verdict, Verdict::Certified);
}

#[test]
fn balls_and_their_radii() {
    let words = two_neurons();
    // Off the axis by 1: z = (5, 3). dB = 3/2 (linf), dD = (7 - 4)/2.
    for (norm, radius, scale) in [(Norm::Linf, 1.25, 1.2), (Norm::L1, 1.25, 1.2)] {
        let error = SensorError::Ball { radius, norm };
        let setup = Setup { error, ..limits(&[4.0], &[11.0]) };
        let setup = Setup { fallback: &[5.0], scales: &[], ..setup };
        let (verdict, found, by, ..) = once(&words, setup, &[4.0, 1.0]);
        assert_eq!(verdict, Verdict::Certified);
        match by {
            Some(Means::Simplex) => near(found, scale),
            _ => assert_eq!(found, 1.0),
        }
        let setup = Setup { error: SensorError::Ball { radius: 1.75, norm }, ..setup };
        let (verdict, found, ..) = once(&words, setup, &[4.0, 1.0]);
        assert_eq!(verdict, Verdict::Marginal);
        near(found, 1.5 / 1.75);
    }
    // No error at all.
    for norm in [Norm::L1, Norm::L2, Norm::Linf] {
        let error = SensorError::Ball { radius: 0.0, norm };
        let (verdict, ..) = once(&words, Setup { error, ..limits(&[2.99], &[4.0]) }, &[2.0, 0.0]);
        assert_eq!(verdict, Verdict::Certified);
    }
}

#[test]
fn classes_and_their_margins() {
    let words = two_classes();
    let range: (&[f32], &[f32]) = (&[-9.0], &[9.0]);
    let setup = |margin, radius: &'static [f32; 1]| {
        let (error, rule) = (SensorError::Box(radius), Rule::Class { margin });
        Setup::new(range, error, rule, &[1.0, 0.0], Setup::NO_BUDGET, 10)
    };
    // At 3: f = (4, 2); at least 2 apart from 1 on, 1 + x below, a tie at -1.
    for (margin, radius, verdict) in [
        (0.0, &[3.5], Verdict::Certified),
        (0.0, &[4.5], Verdict::Marginal),
        (1.0, &[2.75], Verdict::Certified),
        (1.0, &[3.25], Verdict::Marginal),
        (2.0, &[0.25], Verdict::Violated(Fault::Output)),
    ] {
        let (found, _, _, _, command) = once(&words, setup(margin, radius), &[3.0]);
        assert_eq!(found, verdict, "{margin} {radius:?}");
        let own = verdict == Verdict::Certified;
        assert_eq!(command, if own { [4.0, 2.0] } else { [1.0, 0.0] });
    }
    // Both outputs are 0: no class.
    let (verdict, ..) = once(&words, setup(0.0, &[0.25]), &[-3.0]);
    assert_eq!(verdict, Verdict::Violated(Fault::Output));
}

#[test]
fn what_is_no_input() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let setup = limits(&[-9.0], &[19.0]);
    let size = setup.size(&model, 1);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![9; size.indices]);
    let memory = Workspace { floats: &mut floats, indices: &mut indices };
    let mut monitor = Monitor::new(model, setup, memory).unwrap();
    let below = -f32::MIN_POSITIVE / 4.0;
    let mut ask = |x: &[f32]| {
        let report = monitor.check(x, 3);
        if report.verdict != Verdict::Certified {
            assert_eq!((report.command, report.work, report.scale), (&[3.75][..], 0, 0.0));
        }
        report.verdict
    };
    // Nothing valid was ever seen.
    assert_eq!(ask(&[f32::NAN, 0.0]), Verdict::Stale);
    for x in [[0.0, 0.0], [-0.0, -0.0], [below, f32::from_bits(1)], [8.0, -8.0]] {
        assert_eq!(ask(&x), Verdict::Certified, "{x:?}");
    }
    let violated = [
        (&[1.0][..], Fault::Width),
        (&[1.0; 3], Fault::Width),
        (&[], Fault::Width),
        (&[0.0, f32::NAN], Fault::NotFinite(1)),
        (&[f32::INFINITY, 0.0], Fault::NotFinite(0)),
        (&[0.0, f32::NEG_INFINITY], Fault::NotFinite(1)),
        (&[8.0f32.next_up(), 0.0], Fault::Range(0)),
        (&[0.0, -1e30], Fault::Range(1)),
    ];
    for (x, fault) in violated {
        assert_eq!(ask(x), Verdict::Violated(fault), "{x:?}");
    }
}

#[test]
fn broken_as_computed_and_broken_everywhere() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let setup = limits(&[3.5], &[4.0]);
    let (verdict, scale, by, work, _) = once(&words, setup, &[2.0, 0.0]);
    assert_eq!((verdict, scale, by), (Verdict::Violated(Fault::Output), 0.0, None));
    assert_eq!(work, forward_macs(&model));
    // Bounds of y and of -y, limits 3.5 and 4.
    let none = f32::NEG_INFINITY;
    for (bounds, broken) in [
        ([3.6, -3.9], false),
        ([0.0, -9.0], false),
        ([none, none], false),
        ([f32::NAN, f32::INFINITY], false),
        ([4.1, none], true),
        ([3.0, -3.4], true),
        ([-9.0, -3.5], false),
        ([none, -3.4], true),
    ] {
        assert_eq!(setup.rule.is_broken(&bounds), broken, "{bounds:?}");
    }
}

#[test]
fn a_budget_is_kept() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let all = limits(&[2.375], &[4.0]);
    let ibp = Means::Ibp.most_macs(&model, &all.rule).unwrap();
    let crown_ibp = Means::CrownIbp.most_macs(&model, &all.rule).unwrap();
    assert_eq!(Means::Crown.most_macs(&model, &all.rule), None);
    let least = all.least_budget(&model);
    assert_eq!(least, 6 + ibp);
    for (budget, verdict) in [
        (least, Verdict::Marginal),
        (6 + ibp + crown_ibp - 1, Verdict::Certified),
        (Setup::NO_BUDGET, Verdict::Certified),
    ] {
        let (found, _, _, work, _) = once(&words, Setup { budget, ..all }, &[2.0, 0.0]);
        assert_eq!(found, verdict);
        assert!(work <= budget);
    }
    assert_eq!(Setup { budget: least, ..all }.worst_case(&model), least);
}

#[test]
fn setups_that_do_not_fit() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let good = limits(&[-9.0], &[9.0]);
    let size = good.size(&model, 1);
    let check = |setup: Setup<'_>| setup.check(&model, size);
    assert_eq!(check(good), Ok(()));
    let width = |part| Err(SetupError::Width(part));
    let entry = |part| Err(SetupError::Entry(part));
    let range = |lo, hi| check(Setup { range: (lo, hi), ..good });
    assert_eq!(range(&[0.0], &[1.0, 1.0]), width(Part::Range));
    assert_eq!(range(&[0.0; 3], &[1.0; 3]), width(Part::Range));
    assert_eq!(range(&[0.0, 2.0], &[1.0; 2]), entry(Part::Range));
    assert_eq!(range(&[0.0, f32::NAN], &[1.0; 2]), entry(Part::Range));
    assert_eq!(range(&[0.0; 2], &[1.0, 1e30]), entry(Part::Range));
    let error = |error| check(Setup { error, ..good });
    assert_eq!(error(SensorError::Box(&[0.1])), width(Part::Error));
    assert_eq!(error(SensorError::Box(&[0.1, -0.1])), entry(Part::Error));
    assert_eq!(error(SensorError::Box(&[0.1, f32::NAN])), entry(Part::Error));
    for radius in [-1.0, f32::NAN, f32::INFINITY, 1e30] {
        assert_eq!(error(SensorError::Ball { radius, norm: Norm::L2 }), entry(Part::Error));
    }
    let rule = |lo, hi| check(Setup { rule: Rule::Limits { lo, hi }, ..good });
    assert_eq!(rule(&[0.0; 2], &[1.0]), width(Part::Rule));
    assert_eq!(rule(&[5.0], &[5.0]), entry(Part::Rule));
    assert_eq!(rule(&[f32::NEG_INFINITY], &[5.0]), entry(Part::Rule));
    assert_eq!(rule(&[f32::NAN], &[5.0]), entry(Part::Rule));
    assert_eq!(rule(&[4.0], &[5.0]), entry(Part::Fallback));
    assert_eq!(check(Setup { fallback: &[f32::NAN], ..good }), entry(Part::Fallback));
    assert_eq!(check(Setup { fallback: &[], ..good }), width(Part::Fallback));
    let class = Setup { rule: Rule::Class { margin: 0.0 }, ..good };
    assert_eq!(check(class), Err(SetupError::Outputs));
    for scales in [&[0.5, 0.5][..], &[0.0], &[-1.0], &[f32::NAN], &[f32::INFINITY], &[2.0, 1.5]] {
        assert_eq!(check(Setup { scales, ..good }), entry(Part::Scales));
    }
    assert_eq!(check(Setup { enter: 0, ..good }), Err(SetupError::Hysteresis));
    assert_eq!(check(Setup { leave: 0, ..good }), Err(SetupError::Hysteresis));
    assert_eq!(check(Setup { stale: 1 << 31, ..good }), Err(SetupError::Clock));
    let needed = good.least_budget(&model);
    let found = needed - 1;
    assert_eq!(check(Setup { budget: found, ..good }), Err(SetupError::Budget { found, needed }));
    for less in
        [Size { floats: size.floats - 1, ..size }, Size { indices: size.indices - 1, ..size }]
    {
        let error = SetupError::Memory { found: less, needed: size };
        assert_eq!(good.check(&model, less), Err(error));
    }
    // For a class the fallback need not be one.
    let words = two_classes();
    let model = Model::from_words(&words).unwrap();
    let class = Setup {
        range: (&[0.0], &[1.0]),
        error: SensorError::Box(&[0.1]),
        fallback: &[0.0, 0.0],
        ..class
    };
    assert_eq!(class.check(&model, class.size(&model, 1)), Ok(()));
    for margin in [-1.0, f32::NAN, f32::INFINITY] {
        let setup = Setup { rule: Rule::Class { margin }, ..class };
        assert_eq!(setup.check(&model, class.size(&model, 1)), entry(Part::Rule));
    }
}

/// One letter a tick: certified, marginal, violated, stale; whose command goes out.
#[test]
fn hysteresis() {
    for (enter, leave, ticks, modes) in [
        (1, 1, "CMCVMCSC", "NFNFFNFN"),
        (3, 2, "CCMMCMMMCCVCCSC", "FNNNNNNFFNFFNFF"),
        (2, 3, "CCMCCCMCMMCCC", "FFFFFNNNNFFFN"),
        (1, 2, "CCMCMCC", "FNFFFFN"),
        (9, 1, "MMMCMMMMMMMMM", "FFFNNNNNNNNNF"),
    ] {
        let mut machine = Machine::new();
        assert_eq!(machine.mode(), Mode::Fallback);
        let mut misses = 0;
        for (i, (tick, mode)) in ticks.chars().zip(modes.chars()).enumerate() {
            let verdict = match tick {
                'C' => Verdict::Certified,
                'M' => Verdict::Marginal,
                'V' => Verdict::Violated(Fault::Output),
                _ => Verdict::Stale,
            };
            misses = if tick == 'C' { 0 } else { misses + 1 };
            let expected = if mode == 'N' { Mode::Network } else { Mode::Fallback };
            assert_eq!(machine.step(verdict, enter, leave), expected, "{ticks} tick {i}");
            assert_eq!((machine.mode(), machine.misses()), (expected, misses));
        }
        let count = |letter, text: &str| text.matches(letter).count() as u32;
        let counters = machine.counters();
        let found = [counters.certified, counters.marginal, counters.violated, counters.stale];
        assert_eq!(found, ['C', 'M', 'V', 'S'].map(|letter| count(letter, ticks)));
        assert_eq!(counters.fallback, count('F', modes));
    }
}

/// Time, whether the input is valid, whether the tick is stale; at most 10 ticks old.
#[test]
fn clocks() {
    let tables: [&[(u32, bool, bool)]; 5] = [
        // The first tick has no age; without any input it is stale.
        &[
            (5, true, false),
            (15, true, false),
            (25, true, false),
            (36, true, true),
            (37, true, false),
        ],
        &[(5, false, true), (6, false, true), (7, true, false), (17, false, false)],
        // An invalid input does not make it younger.
        &[(0, true, false), (9, false, false), (11, false, true), (12, true, false)],
        // A clock that wraps, and one that runs backwards.
        &[(u32::MAX - 3, true, false), (5, true, false), (4, true, true), (4, true, false)],
        // Old is not young again after a turn of the clock.
        &[(0, true, false), (99, false, true), (1 << 31, false, true), (3, false, true)],
    ];
    for table in tables {
        let mut machine = Machine::new();
        for (i, (now, valid, stale)) in table.iter().enumerate() {
            assert_eq!(machine.clock(*valid, *now, 10), *stale, "{table:?} tick {i}");
        }
    }
}

#[test]
fn stale_ticks_send_the_fallback() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let setup = Setup { leave: 2, ..limits(&[-9.0], &[9.0]) };
    let size = setup.size(&model, 1);
    let (mut floats, mut indices) = (vec![f32::NAN; size.floats], vec![9; size.indices]);
    let memory = Workspace { floats: &mut floats, indices: &mut indices };
    let mut monitor = Monitor::new(model, setup, memory).unwrap();
    let x = [2.0, 0.0];
    let mut ask = |now| {
        let report = monitor.check(&x, now);
        (report.verdict, report.mode, report.command.to_vec())
    };
    assert_eq!(ask(0), (Verdict::Certified, Mode::Fallback, vec![3.75]));
    assert_eq!(ask(10), (Verdict::Certified, Mode::Network, vec![3.0]));
    assert_eq!(ask(21), (Verdict::Stale, Mode::Fallback, vec![3.75]));
    assert_eq!(ask(31), (Verdict::Certified, Mode::Fallback, vec![3.75]));
    assert_eq!(ask(32), (Verdict::Certified, Mode::Network, vec![3.0]));
    assert_eq!(monitor.mode(), Mode::Network);
    assert_eq!((monitor.counters().certified, monitor.counters().stale), (4, 1));
}
