//! What C gets is what the engine gives, bit for bit.

use std::ptr::{null, null_mut};

use certus::blob::{WeightKind, pack};
use certus_engine::bounds::{
    self, Error, Options, Portable, Size, Workspace, forward, lower_bounds,
};
use certus_engine::include_model;
use certus_engine::model::{Activation, Model};
use certus_engine::monitor::{self, Rule, SensorError};
use certus_engine::region::{Ball, Norm, Region};
use certus_engine::simplex::{self, Query, simplex};
use certus_engine::spec::Spec;
use certus_ffi as c;
use certus_ffi::Status;
use certus_tests::generate::{Kind, cases, policy};
use certus_tests::monitored::Memory;
use certus_tests::plan::{many, seed};
use fastrand::Rng;

const SEED: u64 = 91;

/// Calls a function of the interface.
macro_rules! call {
    ($f:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: what the tests hand over are pointers into values that live.
        unsafe { c::$f($($argument),*) }
    };
}

const PENDULUM: Model<'static> = include_model!("../../../tests/golden/pendulum_v1.certus");
const HALF: Model<'static> = include_model!("../../../tests/golden/pendulum_v1_f16.certus");
const ZOO: Model<'static> = include_model!("../../../tests/golden/zoo_v2.certus");

/// The golden blobs, random networks of each kind, and controllers.
fn blobs(rng: &mut Rng) -> Vec<Vec<u32>> {
    let mut blobs: Vec<Vec<u32>> =
        [PENDULUM, HALF, ZOO].iter().map(|model| model.words().to_vec()).collect();
    for kind in Kind::ALL {
        let nets = cases(rng.u64(..), kind).map(|case| case.net);
        blobs.extend(nets.take(many(8)).filter_map(|net| pack(&net, WeightKind::F32).ok()));
    }
    for (activation, kind) in
        [(Activation::Relu, WeightKind::F16), (Activation::Tanh, WeightKind::F32)]
    {
        blobs.push(pack(&policy(rng, activation), kind).expect("a blob"));
    }
    blobs
}

fn open(words: &[u32], handle: &mut c::Model) {
    let status = call!(certus_v1_model_open(handle, words.as_ptr().cast(), 4 * words.len()));
    assert_eq!(status, Status::Ok);
}

fn closed() -> c::Model {
    c::Model { opaque: [0xA5A5_A5A5; 8] }
}

fn vector(rng: &mut Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| 2.0 * rng.f32() - 1.0).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// As C writes a region.
fn region_in_c(region: &Region<'_>) -> c::Region {
    let none = c::Region {
        shape: 0,
        norm: 9.0,
        radius: 9.0,
        inputs: 0,
        center: null(),
        lo: null(),
        hi: null(),
    };
    let exponent = |norm| match norm {
        Norm::L1 => 1.0,
        Norm::L2 => 2.0,
        Norm::Linf => f32::INFINITY,
        Norm::Lp(p) => p.get(),
    };
    let round = |ball: &Ball<'_>| c::Region {
        shape: c::Shape::Ball as u32,
        norm: exponent(ball.norm),
        radius: ball.radius,
        inputs: ball.center.len(),
        center: ball.center.as_ptr(),
        ..none
    };
    match region {
        Region::Ball(ball) => round(ball),
        Region::Box { lo, hi } => c::Region {
            shape: c::Shape::Box as u32,
            inputs: lo.len(),
            lo: lo.as_ptr(),
            hi: hi.as_ptr(),
            ..none
        },
        Region::BallInBox { ball, lo, hi } => c::Region {
            shape: c::Shape::BallInBox as u32,
            lo: lo.as_ptr(),
            hi: hi.as_ptr(),
            ..round(ball)
        },
    }
}

/// As C writes a specification.
fn spec_in_c(spec: &Spec<'_>) -> c::Spec {
    let none = c::Spec { kind: c::SpecKind::Outputs as u32, label: 9, rows: 9, matrix: null() };
    match spec {
        Spec::Outputs => none,
        Spec::Margins { class } => {
            c::Spec { kind: c::SpecKind::Margins as u32, label: *class, ..none }
        }
        Spec::Rows { matrix, rows } => {
            c::Spec { kind: c::SpecKind::Rows as u32, rows: *rows, matrix: matrix.as_ptr(), ..none }
        }
    }
}

const METHODS: [(bounds::Method, c::Method); 4] = [
    (bounds::Method::Ibp, c::Method::Ibp),
    (bounds::Method::CrownIbp, c::Method::CrownIbp),
    (bounds::Method::FastLin, c::Method::FastLin),
    (bounds::Method::Crown, c::Method::Crown),
];
const SEMANTICS: [(bounds::Semantics, c::Semantics); 2] = [
    (bounds::Semantics::Real, c::Semantics::Real),
    (bounds::Semantics::Deployed, c::Semantics::Deployed),
];

/// One question put to both; gives whether there was an answer.
fn same_bounds(
    model: &Model<'_>,
    handle: &c::Model,
    region: &Region<'_>,
    spec: &Spec<'_>,
    block: usize,
) -> usize {
    let mut answers = 0;
    let rows = spec.count(model.outputs());
    let (region_c, spec_c) = (region_in_c(region), spec_in_c(spec));
    assert_eq!(call!(certus_v1_spec_rows(handle, &spec_c)), rows);
    for (method, number) in METHODS {
        let usual = Options::new(method).without_ends();
        let size = Size::of_options(model, &usual, block.min(model.width()));
        let words = call!(certus_v1_bounds_words(handle, number as u32, block));
        assert_eq!(words, size.floats + size.indices);
        for (semantics, which) in SEMANTICS {
            let (mut floats, mut indices) = (vec![0.0; size.floats], vec![0; size.indices]);
            let memory = Workspace { floats: &mut floats, indices: &mut indices };
            let options = Options { semantics, ..usual };
            let mut out = vec![f32::NEG_INFINITY; rows];
            let found =
                lower_bounds(&mut Portable, model, region, spec, &options, memory, &mut out);
            let expected = match &found {
                Ok(found) => (Status::Ok, found.work.macs()),
                Err(Error::Activation { .. }) => (Status::Activation, 0),
                Err(Error::Magnitude { .. }) => (Status::Magnitude, 0),
                Err(other) => panic!("{other:?}"),
            };
            if found.is_err() {
                out.fill(f32::NEG_INFINITY);
            }
            let (mut memory, mut out_c, mut work) = (vec![!0; words], vec![7.0; rows], 5);
            let status = call!(certus_v1_lower_bounds(
                handle,
                &region_c,
                &spec_c,
                number as u32,
                which as u32,
                memory.as_mut_ptr(),
                words,
                out_c.as_mut_ptr(),
                rows,
                &mut work,
            ));
            assert_eq!((status, work), expected);
            assert_eq!(bits(&out_c), bits(&out));
            let proved = certus_engine::certificate::verdict(&out);
            let certified = call!(certus_v1_certified(out_c.as_ptr(), rows));
            assert_eq!(certified, proved == certus_engine::certificate::Verdict::Certified);
            answers += usize::from(found.is_ok());
        }
    }
    answers
}

/// The same for the simplex certificate.
fn same_simplex(
    model: &Model<'_>,
    handle: &c::Model,
    (x, norm): (&[f32], Norm),
    (spec, offsets): (&Spec<'_>, Option<&[f32]>),
    block: usize,
) -> usize {
    let mut answers = 0;
    let size = simplex::size(model, block.min(model.width()));
    let words = call!(certus_v1_simplex_words(handle, block));
    assert_eq!(words, size.floats + size.indices);
    let ball = region_in_c(&Region::Ball(Ball { center: x, radius: 0.0, norm }));
    for (semantics, which) in SEMANTICS {
        let (mut floats, mut indices) = (vec![0.0; size.floats], vec![0; size.indices]);
        let memory = Workspace { floats: &mut floats, indices: &mut indices };
        let query = Query { spec: *spec, offsets, semantics, ..Query::margins(x, norm, 0) };
        let found: Result<simplex::Simplex<1>, Error> =
            simplex(&mut Portable, model, &query, memory, &mut []);
        let expected = match &found {
            Ok(found) => (Status::Ok, found.radius(), found.work.macs()),
            Err(Error::Activation { .. }) => (Status::Activation, 0.0, 0),
            Err(Error::Magnitude { .. }) => (Status::Magnitude, 0.0, 0),
            Err(other) => panic!("{other:?}"),
        };
        let (mut memory, mut radius, mut work) = (vec![!0; words], 7.0, 5);
        let status = call!(certus_v1_simplex(
            handle,
            x.as_ptr(),
            x.len(),
            ball.norm,
            &spec_in_c(spec),
            offsets.map_or(null(), <[f32]>::as_ptr),
            which as u32,
            memory.as_mut_ptr(),
            words,
            &mut radius,
            &mut work,
        ));
        assert_eq!((status, work), (expected.0, expected.2));
        assert_eq!(radius.to_bits(), expected.1.to_bits());
        answers += usize::from(found.is_ok_and(|found| found.radius() > 0.0));
    }
    answers
}

#[test]
fn networks_and_bounds() {
    let mut rng = Rng::with_seed(seed(SEED));
    let norms = [1.0, 1.5, 2.0, 3.0, f32::INFINITY].map(|p| Norm::new(p).expect("an exponent"));
    let (mut nets, mut bounds, mut radii) = (0, 0, 0);
    for words in blobs(&mut rng) {
        let model = Model::from_words(&words).expect("checked");
        let mut handle = closed();
        open(&words, &mut handle);
        nets += 1;
        let (inputs, outputs) = (model.inputs(), model.outputs());
        let shape = [
            call!(certus_v1_model_inputs(&handle)),
            call!(certus_v1_model_outputs(&handle)),
            call!(certus_v1_model_layers(&handle)),
        ];
        assert_eq!(shape, [inputs, outputs, model.depth()]);
        let (x, radius) = (vector(&mut rng, inputs), 0.2 * rng.f32());
        let mut y = vec![0.0; outputs];
        forward(&Portable, &model, &x, &mut vec![0.0; 2 * model.width()], &mut y).expect("fits");
        let words = call!(certus_v1_forward_words(&handle));
        let (mut memory, mut y_c) = (vec![!0; words], vec![7.0; outputs]);
        let status = call!(certus_v1_forward(
            &handle,
            x.as_ptr(),
            inputs,
            memory.as_mut_ptr(),
            words,
            y_c.as_mut_ptr(),
            outputs,
        ));
        assert_eq!((status, bits(&y_c)), (Status::Ok, bits(&y)));

        let shift = |by: f32| x.iter().map(|x| x + by).collect::<Vec<f32>>();
        let (lo, hi) = (shift(-0.3 * radius), shift(0.5 * radius));
        let norm = norms[rng.usize(0..norms.len())];
        let ball = Ball { center: &x, radius, norm };
        let matrix = vector(&mut rng, 2 * outputs);
        let class = rng.usize(0..outputs);
        for spec in
            [Spec::Outputs, Spec::Margins { class }, Spec::Rows { matrix: &matrix, rows: 2 }]
        {
            let rows = spec.count(outputs);
            if rows == 0 {
                continue;
            }
            let block = rng.usize(1..6);
            for region in [
                Region::Ball(ball),
                Region::Box { lo: &lo, hi: &hi },
                Region::BallInBox { ball, lo: &lo, hi: &hi },
            ] {
                bounds += same_bounds(&model, &handle, &region, &spec, block);
            }
            let offsets = vec![3.0; rows];
            for offsets in [None, Some(&offsets[..])] {
                radii += same_simplex(&model, &handle, (&x, norm), (&spec, offsets), block);
            }
        }
    }
    println!("{nets} networks, {bounds} bounds, {radii} radii above 0");
    assert!(nets > 40 && bounds > 1000 && radii > 50);
}

/// What C sees of a tick.
type Tick = (c::Mode, c::Verdict, c::Fault, [u32; 2], c::Means, u32, u64, u32, Vec<u32>);

fn expected(report: &monitor::Report<'_>) -> Tick {
    let (verdict, fault, input) = match report.verdict {
        monitor::Verdict::Certified => (c::Verdict::Certified, c::Fault::None, !0),
        monitor::Verdict::Marginal => (c::Verdict::Marginal, c::Fault::None, !0),
        monitor::Verdict::Stale => (c::Verdict::Stale, c::Fault::None, !0),
        monitor::Verdict::Violated(fault) => match fault {
            monitor::Fault::Width => (c::Verdict::Violated, c::Fault::Width, !0),
            monitor::Fault::NotFinite(i) => (c::Verdict::Violated, c::Fault::NotFinite, i as u32),
            monitor::Fault::Range(i) => (c::Verdict::Violated, c::Fault::Range, i as u32),
            monitor::Fault::Output => (c::Verdict::Violated, c::Fault::Output, !0),
            monitor::Fault::Everywhere => (c::Verdict::Violated, c::Fault::Everywhere, !0),
            monitor::Fault::Memory => panic!("checked"),
        },
    };
    let mode = match report.mode {
        monitor::Mode::Network => c::Mode::Network,
        monitor::Mode::Fallback => c::Mode::Fallback,
    };
    let by = match report.by {
        None => c::Means::None,
        Some(monitor::Means::Ibp) => c::Means::Ibp,
        Some(monitor::Means::CrownIbp) => c::Means::CrownIbp,
        Some(monitor::Means::Simplex) => c::Means::Simplex,
        Some(monitor::Means::Crown) => c::Means::Crown,
        Some(monitor::Means::Regions) => c::Means::Regions,
    };
    let label = report.class.map_or(!0, |class| class as u32);
    let (scale, command) = (report.scale.to_bits(), bits(report.command));
    (mode, verdict, fault, [input, label], by, scale, report.work, report.misses, command)
}

/// As C writes the engine's setup.
fn setup_in_c(setup: &monitor::Setup<'_>) -> c::Setup {
    // SAFETY: a plain struct, in which all zeros is a value.
    let mut own: c::Setup = unsafe { std::mem::zeroed() };
    assert_eq!(call!(certus_v1_setup_default(&mut own)), Status::Ok);
    assert_eq!((own.budget, own.enter, own.leave), (u64::MAX, 1, 1));
    (own.inputs, own.outputs) = (setup.range.0.len(), setup.fallback.len());
    (own.range_lo, own.range_hi) = (setup.range.0.as_ptr(), setup.range.1.as_ptr());
    match setup.error {
        SensorError::Box(radii) => {
            (own.error, own.error_radii) = (c::Shape::Box as u32, radii.as_ptr());
        }
        SensorError::Ball { radius, norm } => {
            let ball = region_in_c(&Region::Ball(Ball { center: &[], radius, norm }));
            (own.error, own.error_norm, own.error_radius) = (ball.shape, ball.norm, radius);
        }
    }
    match setup.rule {
        Rule::Limits { lo, hi } => {
            own.rule = c::RuleKind::Limits as u32;
            (own.limits_lo, own.limits_hi) = (lo.as_ptr(), hi.as_ptr());
        }
        Rule::Class { margin } => (own.rule, own.margin) = (c::RuleKind::Class as u32, margin),
    }
    own.fallback = setup.fallback.as_ptr();
    (own.budget, own.stale, own.enter, own.leave) =
        (setup.budget, setup.stale, setup.enter, setup.leave);
    own
}

#[test]
fn monitors() {
    let mut rng = Rng::with_seed(seed(SEED + 1));
    let mut counts = [0; 4];
    for words in blobs(&mut rng) {
        let model = Model::from_words(&words).expect("checked");
        let mut handle = closed();
        open(&words, &mut handle);
        let (inputs, outputs) = (model.inputs(), model.outputs());
        let (low, high) = (vec![-1.0; inputs], vec![1.0; inputs]);
        let part = [0.001, 0.01, 0.1][rng.usize(0..3)];
        let radii: Vec<f32> = (0..inputs).map(|_| part * rng.f32()).collect();
        let error = match rng.bool() {
            true => SensorError::Box(&radii),
            false => SensorError::Ball { radius: part, norm: Norm::L2 },
        };
        let limit = [0.5, 2.0, 9.0][rng.usize(0..3)];
        let (lo, hi) = (vec![-limit; outputs], vec![limit; outputs]);
        let fallback = vec![0.25; outputs];
        let rule = match outputs > 1 && rng.bool() {
            true => Rule::Class { margin: 0.1 * rng.f32() },
            false => Rule::Limits { lo: &lo, hi: &hi },
        };
        let any = monitor::Setup::new((&low, &high), error, rule, &fallback, u64::MAX, 4);
        let budget = match rng.bool() {
            true => any.full_budget(&model),
            false => any.least_budget(&model),
        };
        let setup = monitor::Setup { enter: 2, leave: 2, budget, ..any };
        let own = setup_in_c(&setup);
        assert_eq!(call!(certus_v1_least_budget(&handle, &own)), setup.least_budget(&model));
        assert_eq!(call!(certus_v1_full_budget(&handle, &own)), setup.full_budget(&model));
        assert_eq!(call!(certus_v1_worst_case(&handle, &own)), setup.worst_case(&model));
        let block = rng.usize(1..4);
        let size = setup.size(&model, block.min(model.width()));
        let words = call!(certus_v1_monitor_words(&handle, &own, block));
        assert_eq!(words, size.floats + size.indices);

        let mut memory = vec![!0; words];
        let mut made = c::Monitor { opaque: [!0; 32], opaque_words: [!0; 24] };
        let at = memory.as_mut_ptr();
        let status = call!(certus_v1_monitor_init(&mut made, &handle, &own, at, words));
        assert_eq!(status, Status::Ok);
        // The handle is not needed any more.
        handle = closed();
        assert_eq!(call!(certus_v1_model_inputs(&handle)), 0);
        let mut memory = Memory::of(&setup, &model, block.min(model.width()));
        let mut direct = memory.monitor(model, setup);

        let mut now = rng.u32(..);
        for _ in 0..20 {
            let mut x = vector(&mut rng, inputs);
            match rng.u8(0..8) {
                0 => x[rng.usize(0..inputs)] = f32::NAN,
                1 => x[rng.usize(0..inputs)] = 1.5,
                2 => x.push(0.0),
                _ => {}
            }
            now = now.wrapping_add(rng.u32(0..6));
            // SAFETY: a plain struct, in which all zeros is a value.
            let mut report: c::Report = unsafe { std::mem::zeroed() };
            let status =
                call!(certus_v1_monitor_check(&mut made, x.as_ptr(), x.len(), now, &mut report));
            assert_eq!((status, report.outputs), (Status::Ok, outputs));
            // SAFETY: a tick's command, read before the next tick.
            let command = unsafe { std::slice::from_raw_parts(report.command, report.outputs) };
            let found = (
                report.mode,
                report.verdict,
                report.fault,
                [report.fault_input, report.label],
                report.by,
                report.scale.to_bits(),
                report.work,
                report.misses,
                bits(command),
            );
            assert_eq!(found, expected(&direct.check(&x, now)));
            assert_eq!(call!(certus_v1_monitor_mode(&made)), report.mode);
        }
        let mut counters = c::Counters {
            certified: 0,
            marginal: 0,
            violated: 0,
            stale: 0,
            fallback: 0,
            longest: 0,
        };
        assert_eq!(call!(certus_v1_monitor_counters(&made, &mut counters)), Status::Ok);
        let monitor::Counters { certified, marginal, violated, stale, fallback, longest } =
            *direct.counters();
        assert_eq!(
            counters,
            c::Counters { certified, marginal, violated, stale, fallback, longest }
        );
        for (sum, n) in counts.iter_mut().zip([certified, marginal, violated, stale]) {
            *sum += n;
        }
    }
    println!("certified, marginal, violated, stale: {counts:?}");
    assert!(counts.iter().all(|n| *n > 10), "{counts:?}");
    // Nothing is asked of what is not there.
    assert_eq!(call!(certus_v1_monitor_mode(null_mut())), c::Mode::Fallback);
}
