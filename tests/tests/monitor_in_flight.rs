//! The run-time monitor as it flies: compiled in, within its budget, and where its blob is damaged.

use certus::blob::{WeightKind, pack};
use certus::cover::Summary;
use certus_engine::bounds::{Size, forward_macs};
use certus_engine::include_model;
use certus_engine::model::{Activation, Model, blob};
use certus_engine::monitor::{Means, Mode, Rule, SensorError, Setup, StaticMonitor, Verdict};
use certus_tests::generate::policy;
use certus_tests::monitored::Memory;
use certus_tests::plan::{long, seed};
use fastrand::Rng;

const SEED: u64 = 61;

/// Checked and sized at compile time, as in firmware; the same setup for the same network in f16.
const F32: Model<'static> = include_model!("../golden/pendulum_v1.certus");
const F16: Model<'static> = include_model!("../golden/pendulum_v1_f16.certus");
/// The same network with a table of certified regions, packed as `engine/docs/monitor.md` shows.
const TABLED: Model<'static> = include_model!("../golden/pendulum_regions.certus");
const PENDULUM: Setup<'static> = Setup {
    enter: 3,
    leave: 2,
    ..Setup::new(
        (&[-0.5, -1.0], &[0.5, 1.0]),
        SensorError::Box(&[0.002, 0.01]),
        Rule::Limits { lo: &[-1.9], hi: &[1.9] },
        &[0.0],
        Setup::NO_BUDGET,
        5,
    )
};
const SIZE: Size = PENDULUM.size(&F32, 1);
type Owned = StaticMonitor<'static, { SIZE.floats }, { SIZE.indices }>;
const MONITOR: Owned = match Owned::new(F32, PENDULUM) {
    Ok(monitor) => monitor,
    Err(_) => panic!("the setup does not fit the model"),
};
const WORST: u64 = PENDULUM.worst_case(&F32);
/// A table that does not fit the setup would not compile.
const WITH_TABLE: Setup<'static> = Setup { regions: TABLED.regions(), ..PENDULUM };
const TABLED_MONITOR: Owned = match Owned::new(TABLED, WITH_TABLE) {
    Ok(monitor) => monitor,
    Err(_) => panic!("the setup does not fit the model and its table"),
};

/// Numbers that are hard on something, for an input in `[-r, r]`.
fn hard(rng: &mut Rng, r: f32) -> f32 {
    match rng.u8(0..9) {
        0 => 0.0,
        1 => -0.0,
        2 => r,
        3 => -r,
        4 => f32::from_bits(rng.u32(1..1 << 23)),
        5 => -f32::from_bits(rng.u32(1..1 << 23)),
        6 => r * (1.0 - f32::EPSILON * rng.f32()),
        7 => f32::from_bits(rng.u32(..)),
        _ => r * (2.0 * rng.f32() - 1.0),
    }
}

/// What ticks on one network take: any input within or beyond its range, small errors and large.
fn ticks_within_budget(name: &str, model: &Model<'_>, range: &[f32], limit: f32, rng: &mut Rng) {
    // Ten parts of the ticks, of each error one with every budget.
    let ticks = if long() { 10_000 } else { 200 };
    let negated = |x: &[f32]| x.iter().map(|x| -x).collect::<Vec<f32>>();
    let (least, high) = (negated(range), vec![limit; model.outputs()]);
    let (low, fallback) = (negated(&high), vec![0.0; model.outputs()]);
    let rule = Rule::Limits { lo: &low, hi: &high };
    println!("{name}: inference {}", forward_macs(model));
    for means in Means::ALL {
        println!("  {means:?}: at most {:?}", means.most_macs(model, &rule));
    }
    for part in [0.001f32, 0.003, 0.01, 0.03, 3.0] {
        let radii: Vec<f32> = range.iter().map(|r| part * r).collect();
        let error = SensorError::Box(&radii);
        let any = Setup::new((&least, range), error, rule, &fallback, u64::MAX, 1 << 20);
        let (small, full) = (any.least_budget(model), any.full_budget(model));
        for budget in [small, full] {
            let setup = Setup { budget, ..any };
            let mut memory = Memory::of(&setup, model, 1);
            let mut monitor = memory.monitor(*model, setup);
            let (mut most, mut sum) = (0, 0);
            for tick in 0..ticks {
                let bold = rng.u8(0..4) == 0;
                let usual = |r: &f32, rng: &mut Rng| r * (2.0 * rng.f32() - 1.0);
                let x = range.iter().map(|r| if bold { hard(rng, *r) } else { usual(r, rng) });
                let report = monitor.check(&x.collect::<Vec<f32>>(), tick);
                assert!(report.work <= budget, "{report:?}");
                assert!(report.work <= setup.worst_case(model), "{report:?}");
                most = most.max(report.work);
                sum += report.work;
            }
            let counters = *monitor.counters();
            println!(
                "  {} bytes; error {part:>5} budget {budget:>7}: mean {:>7}, most {most:>7}; {} certified, {} \
                 marginal, {} violated of {ticks}",
                setup.size(model, 1).bytes(),
                sum / u64::from(ticks),
                counters.certified,
                counters.marginal,
                counters.violated
            );
            // Where everything is open nearly all of a budget for one of each is used.
            assert!(part < 1.0 || budget < full || 4 * most > 3 * full, "{most} of {full}");
        }
    }
}

#[test]
fn no_tick_exceeds_its_budget() {
    let mut rng = Rng::with_seed(seed(SEED + 2));
    ticks_within_budget("pendulum", &F32, &[0.5, 1.0], 1.9, &mut rng);
    for activation in [Activation::Relu, Activation::Tanh] {
        let words = pack(&policy(&mut rng, activation), WeightKind::F32).unwrap();
        let model = Model::from_words(&words).unwrap();
        let name = format!("12-64-64-4 {activation:?}");
        ticks_within_budget(&name, &model, &[1.0; 12], 1.5, &mut rng);
    }
}

#[test]
fn compiled_in() {
    let mut monitor = MONITOR;
    assert_eq!(monitor.mode(), Mode::Fallback);
    let mut memory = Memory::of(&PENDULUM, &F16, 1);
    let mut half = memory.monitor(F16, PENDULUM);
    let mut rng = Rng::with_seed(seed(SEED + 3));
    let mut certified = 0;
    for now in 0..200 {
        let x = [0.6 * (rng.f32() - 0.5), 1.2 * (rng.f32() - 0.5)];
        let report = monitor.check(&x, now);
        assert!(report.work <= WORST);
        let halved = half.check(&x, now);
        // Nearly the same network.
        assert!(report.mode != halved.mode || (report.command[0] - halved.command[0]).abs() < 0.02);
        certified += u32::from(report.verdict == Verdict::Certified);
    }
    assert!(certified > 50);
    assert_eq!(monitor.counters().certified, certified);
    assert!(F32.words().as_ptr().addr() % 16 == 0 && F16.words().as_ptr().addr() % 16 == 0);
}

#[test]
fn a_table_of_regions_spares_the_bounds() {
    assert_eq!(WITH_TABLE.worst_case(&TABLED), WORST);
    let regions = TABLED.regions().unwrap();
    let summary = Summary::of(&regions);
    println!(
        "table: {summary:?}, {} bytes beside {}, depth {}",
        4 * regions.words().len(),
        4 * (TABLED.words().len() - regions.words().len()),
        regions.depth()
    );
    assert!(summary.share > 0.5, "{summary:?}");
    let mut rng = Rng::with_seed(seed(SEED + 4));
    let ticks = if long() { 100_000 } else { 2_000 };
    let cheap = PENDULUM.least_budget(&F32);
    for budget in [cheap, Setup::NO_BUDGET] {
        let setups = [PENDULUM, WITH_TABLE].map(|setup| Setup { budget, scales: &[], ..setup });
        let mut memories = setups.map(|setup| Memory::of(&setup, &TABLED, 1));
        let [one, other] = &mut memories;
        let mut without = one.monitor(TABLED, setups[0]);
        let mut with = other.monitor(TABLED, setups[1]);
        let (mut macs, mut by_table) = ([0, 0], 0);
        for now in 0..ticks {
            let x = [rng.f32() - 0.5, 2.0 * rng.f32() - 1.0];
            let (plain, told) = (without.check(&x, now), with.check(&x, now));
            macs = [macs[0] + plain.work, macs[1] + told.work];
            if regions.find(&x).is_some() {
                assert_eq!(told.by, Some(Means::Regions));
                assert_eq!((told.verdict, told.work), (Verdict::Certified, forward_macs(&F32)));
                // Not proved by bounds, at the most: never broken.
                assert!(matches!(plain.verdict, Verdict::Certified | Verdict::Marginal));
                by_table += 1;
            } else {
                assert_eq!((plain.verdict, plain.work), (told.verdict, told.work));
            }
        }
        let certified = [&without, &with].map(|monitor| monitor.counters().certified);
        println!(
            "budget {budget}: mean {:?} multiply-adds, {certified:?} certified, {by_table} by the table of {ticks}",
            macs.map(|macs| macs / u64::from(ticks))
        );
        assert!(macs[1] * 2 < macs[0] && certified[1] >= certified[0]);
    }
    let mut compiled = TABLED_MONITOR;
    assert_eq!(compiled.check(&[0.0, 0.0], 0).by, Some(Means::Regions));
}

/// The words of a blob that mean something: header, entries, weights, biases.
fn used(words: &[u32]) -> Vec<bool> {
    if words[2] as usize != words.len() {
        // A table knows the model's checksum, and has no padding but zeros.
        return vec![true; words.len()];
    }
    let mut used = vec![false; words.len()];
    let entry = if words[1] == 1 { 8 } else { blob::ENTRY_WORDS };
    let layers = words[4] as usize;
    used[..blob::HEADER_WORDS + layers * entry].fill(true);
    for k in 0..layers {
        let field = |i| words[blob::HEADER_WORDS + k * entry + i];
        let (rows, cols) = (field(0) as usize, field(1) as usize);
        let weights = blob::weight_words(rows, cols, field(2) >> 16);
        used[field(4) as usize..][..weights].fill(true);
        used[field(5) as usize..][..rows].fill(true);
    }
    used
}

#[test]
fn a_damaged_blob_never_changes_a_verdict() {
    let ticks = [[0.0, 0.0], [0.3, -0.6], [0.45, 0.9], [-0.2, 0.1], [0.1, f32::NAN]];
    let judge = |words: &[u32]| {
        let model = Model::from_words(words)?;
        let setup = Setup { regions: model.regions(), ..PENDULUM };
        let mut memory = Memory::of(&setup, &model, 1);
        let mut monitor = memory.monitor(model, setup);
        let reports = ticks.iter().zip(0..).map(|(x, now)| {
            let report = monitor.check(x, now);
            (report.verdict, report.scale, report.work, report.command.to_vec())
        });
        Ok::<_, blob::BlobError>(reports.collect::<Vec<_>>())
    };
    let (mut refused, mut harmless) = (0, 0);
    for model in [F32, F16, TABLED] {
        let good = judge(model.words()).unwrap();
        let used = used(model.words());
        let mut words = model.words().to_vec();
        for at in 0..words.len() {
            for flip in (0..32).map(|bit| 1 << bit).chain((0..4).map(|byte| 0xFF << (8 * byte))) {
                words[at] ^= flip;
                assert!(Model::from_words(&words).is_err(), "word {at} flipped by {flip:#x}");
                refused += 1;
                // Padding with a checksum made for it.
                if !used[at] {
                    let sum = words[blob::CRC_WORD];
                    words[blob::CRC_WORD] = blob::crc(&words);
                    assert_eq!(judge(&words).unwrap(), good);
                    harmless += 1;
                    words[blob::CRC_WORD] = sum;
                }
                words[at] ^= flip;
            }
        }
    }
    println!("{refused} flips refused; {harmless} in padding harmless with a new checksum");
    assert!(harmless > 0);
}
