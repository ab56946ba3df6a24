//! Every misuse of the monitor has its status; what goes out then is the fallback, or nothing.

use std::ptr::{null, null_mut};

use certus_engine::include_model;
use certus_engine::model::Model;
use certus_ffi as c;
use certus_ffi::Status;

/// Calls a function of the interface.
macro_rules! call {
    ($f:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: what the tests hand over is what the interface refuses, or points into what lives.
        unsafe { c::$f($($argument),*) }
    };
}

const PENDULUM: Model<'static> = include_model!("../../../tests/golden/pendulum_v1.certus");
/// With a table of certified regions, for outputs within 1.9, and where it begins.
const REGIONS: Model<'static> = include_model!("../../../tests/golden/pendulum_regions.certus");
const PENDULUM_WORDS: usize = REGIONS.words()[2] as usize;
static TABLE_LEAST: [f32; 1] = [-1.9];
static TABLE_MOST: [f32; 1] = [1.9];
/// A pointer that is not NULL, and on no boundary.
const ODD: usize = 1;
/// A length beyond the address space.
const LONG: usize = usize::MAX / 4;

static LOW: [f32; 2] = [-0.5, -1.0];
static HIGH: [f32; 2] = [0.5, 1.0];
static RADII: [f32; 2] = [0.002, 0.01];
static LEAST: [f32; 1] = [-2.0];
static MOST: [f32; 1] = [2.0];
static FALLBACK: [f32; 1] = [0.25];

fn setup() -> c::Setup {
    // SAFETY: a plain struct, in which all zeros is a value.
    let mut setup: c::Setup = unsafe { std::mem::zeroed() };
    assert_eq!(call!(certus_v1_setup_default(&mut setup)), Status::Ok);
    (setup.inputs, setup.outputs) = (2, 1);
    (setup.range_lo, setup.range_hi) = (LOW.as_ptr(), HIGH.as_ptr());
    (setup.error, setup.error_radii) = (c::Shape::Box as u32, RADII.as_ptr());
    setup.rule = c::RuleKind::Limits as u32;
    (setup.limits_lo, setup.limits_hi) = (LEAST.as_ptr(), MOST.as_ptr());
    (setup.fallback, setup.stale) = (FALLBACK.as_ptr(), 20);
    setup
}

fn opened() -> Box<c::Model> {
    let mut handle = Box::new(c::Model { opaque: [7; 8] });
    let words = PENDULUM.words();
    let status = call!(certus_v1_model_open(&mut *handle, words.as_ptr().cast(), 4 * words.len()));
    assert_eq!(status, Status::Ok);
    handle
}

fn unmade() -> c::Monitor {
    c::Monitor { opaque: [0x0123_4567_89AB_CDEF; 32], opaque_words: [9; 24] }
}

/// A report that would let something pass, were it not written.
fn bold() -> c::Report {
    c::Report {
        command: null(),
        outputs: 9,
        work: 9,
        mode: c::Mode::Network,
        verdict: c::Verdict::Certified,
        fault: c::Fault::None,
        fault_input: 9,
        label: 9,
        by: c::Means::Crown,
        scale: 9.0,
        misses: 9,
    }
}

#[test]
fn setups_that_are_refused() {
    let model = opened();
    let good = setup();
    let least = call!(certus_v1_monitor_words(&*model, &good, 1));
    let mut memory = vec![0; least];
    let at = memory.as_mut_ptr();
    let mut made = unmade();
    let mut refused = |change: &dyn Fn(&mut c::Setup)| {
        assert_eq!(call!(certus_v1_monitor_init(&mut made, &*model, &good, at, least)), Status::Ok);
        let mut changed = setup();
        change(&mut changed);
        let status = call!(certus_v1_monitor_init(&mut made, &*model, &changed, at, least));
        // What was a monitor is none any more.
        let mut report = bold();
        let ticked = call!(certus_v1_monitor_check(&mut made, LOW.as_ptr(), 2, 0, &mut report));
        assert_eq!(ticked == Status::Handle, status != Status::Ok, "{status:?}");
        if ticked == Status::Handle {
            assert_eq!((report.fault, report.mode), (c::Fault::Call, c::Mode::Fallback));
            assert!(report.verdict == c::Verdict::Violated && report.command.is_null());
        }
        status
    };
    assert_eq!(refused(&|_| {}), Status::Ok);
    assert_eq!(refused(&|s| s.scale_count = 0), Status::Ok);
    assert_eq!(refused(&|s| s.range_lo = null()), Status::Null);
    assert_eq!(refused(&|s| s.range_hi = null()), Status::Null);
    assert_eq!(refused(&|s| s.error_radii = null()), Status::Null);
    assert_eq!(refused(&|s| s.limits_lo = null()), Status::Null);
    assert_eq!(refused(&|s| s.limits_hi = null()), Status::Null);
    assert_eq!(refused(&|s| s.fallback = null()), Status::Null);
    assert_eq!(refused(&|s| s.scales = null()), Status::Null);
    assert_eq!(refused(&|s| s.fallback = ODD as *const f32), Status::Misaligned);
    assert_eq!(refused(&|s| s.inputs = LONG), Status::Length);
    assert_eq!(refused(&|s| s.scale_count = LONG), Status::Length);
    for number in [0, 9] {
        assert_eq!(refused(&|s| s.error = number), Status::Kind);
        assert_eq!(refused(&|s| s.rule = number), Status::Kind);
        assert_eq!(refused(&|s| s.semantics = number), Status::Kind);
    }
    let ball = c::Shape::Ball as u32;
    assert_eq!(refused(&|s| s.error = ball), Status::Norm);
    let class = c::RuleKind::Class as u32;
    assert_eq!(refused(&|s| s.rule = class), Status::SetupClasses);
    assert_eq!(refused(&|s| s.inputs = 1), Status::SetupWidth);
    assert_eq!(refused(&|s| s.outputs = 0), Status::SetupWidth);
    assert_eq!(refused(&|s| s.range_lo = [0.6, 0.0].as_ptr()), Status::SetupRange);
    assert_eq!(refused(&|s| s.error_radii = LOW.as_ptr()), Status::SetupError);
    let round = |radius| {
        move |s: &mut c::Setup| (s.error, s.error_norm, s.error_radius) = (ball, 2.0, radius)
    };
    assert_eq!(refused(&round(0.01)), Status::Ok);
    assert_eq!(refused(&round(f32::NAN)), Status::SetupError);
    assert_eq!(refused(&|s| s.limits_lo = MOST.as_ptr()), Status::SetupRule);
    assert_eq!(refused(&|s| s.fallback = [3.0].as_ptr()), Status::SetupFallback);
    let (scales, count) = ([0.5, 0.5], 2);
    assert_eq!(
        refused(&|s| (s.scales, s.scale_count) = (scales.as_ptr(), count)),
        Status::SetupScales
    );
    assert_eq!(refused(&|s| s.enter = 0), Status::SetupHysteresis);
    assert_eq!(refused(&|s| s.leave = 0), Status::SetupHysteresis);
    assert_eq!(refused(&|s| s.stale = 1 << 31), Status::SetupClock);
    let budget = call!(certus_v1_least_budget(&*model, &good));
    assert_eq!(refused(&|s| s.budget = budget - 1), Status::SetupBudget);
    assert_eq!(refused(&|s| s.budget = budget), Status::Ok);
    // Arrays on the monitor's own memory.
    assert_eq!(refused(&|s| s.fallback = at.cast()), Status::Overlap);

    let asked = |model: *const c::Model, setup: *const c::Setup| {
        let budgets = [
            call!(certus_v1_least_budget(model, setup)),
            call!(certus_v1_full_budget(model, setup)),
            call!(certus_v1_worst_case(model, setup)),
            call!(certus_v1_monitor_words(model, setup, 1)) as u64,
        ];
        assert!(budgets == [0; 4] || budgets.iter().all(|n| *n > 0));
        budgets[0] > 0
    };
    let empty = c::Setup { rule: 0, ..good };
    assert!(asked(&*model, &good));
    assert!(!asked(null(), &good) && !asked(&*model, null()) && !asked(&*model, &empty));
    assert_eq!(call!(certus_v1_setup_default(null_mut())), Status::Null);
    assert_eq!(call!(certus_v1_setup_default(ODD as *mut c::Setup)), Status::Misaligned);
}

#[test]
fn the_table_of_regions_in_a_blob() {
    let plain = opened();
    let mut model = Box::new(c::Model { opaque: [7; 8] });
    let words = REGIONS.words();
    let at = words.as_ptr().cast();
    assert_eq!(call!(certus_v1_model_open(&mut *model, at, 4 * words.len())), Status::Ok);
    // Asked for by the other function, in the same memory.
    let good =
        c::Setup { limits_lo: TABLE_LEAST.as_ptr(), limits_hi: TABLE_MOST.as_ptr(), ..setup() };
    let least = call!(certus_v1_monitor_words(&*model, &good, 1));
    assert_eq!(least, call!(certus_v1_monitor_words(&*plain, &good, 1)));
    let mut memory = vec![0; least];
    let at = memory.as_mut_ptr();
    let mut made = unmade();
    let tick = |made: *mut c::Monitor| {
        let mut report = bold();
        let x = [0.0, 0.0];
        assert_eq!(call!(certus_v1_monitor_check(made, x.as_ptr(), 2, 0, &mut report)), Status::Ok);
        assert_eq!((report.verdict, report.mode), (c::Verdict::Certified, c::Mode::Network));
        (report.by, report.work)
    };
    let init = |made: &mut c::Monitor, model: &c::Model, setup: &c::Setup| {
        call!(certus_v1_monitor_init_regions(made, model, setup, at, least))
    };
    assert_eq!(init(&mut made, &model, &good), Status::Ok);
    let (by, work) = tick(&mut made);
    assert_eq!(by, c::Means::Regions);
    assert_eq!(call!(certus_v1_monitor_init(&mut made, &*model, &good, at, least)), Status::Ok);
    let (by, more) = tick(&mut made);
    assert!(by != c::Means::Regions && more > work);
    // What a table does not prove makes no monitor.
    let wide = c::Setup { limits_hi: [1.5].as_ptr(), ..good };
    let far = c::Setup { error_radii: [0.0, 0.02].as_ptr(), ..good };
    for (model, setup, status) in [
        (&plain, &good, Status::SetupNoRegions),
        (&model, &wide, Status::SetupRegionsRule),
        (&model, &far, Status::SetupRegionsError),
    ] {
        assert_eq!(
            call!(certus_v1_monitor_init(&mut made, &**model, setup, at, least)),
            Status::Ok
        );
        assert_eq!(init(&mut made, model, setup), status);
        let mut report = bold();
        let x = [0.0, 0.0];
        let ticked = call!(certus_v1_monitor_check(&mut made, x.as_ptr(), 2, 0, &mut report));
        assert_eq!((ticked, report.fault), (Status::Handle, c::Fault::Call));
    }
    let first = PENDULUM_WORDS;
    assert_eq!((words[first], words[2] as usize), (u32::from_le_bytes(*b"CRTR"), first));
    for (at, status) in [
        (first + 1, Status::BlobRegionsVersion),
        (first + 2, Status::BlobRegions),
        (first + 4, Status::BlobRegionsCrc),
        (first, Status::BlobLength),
    ] {
        let mut words = words.to_vec();
        words[at] ^= 1 << 8;
        let opened =
            call!(certus_v1_model_open(&mut *model, words.as_ptr().cast(), 4 * words.len()));
        assert_eq!(opened, status, "word {at}");
    }
    let mut words = words.to_vec();
    words[first + 4] ^= 1;
    words[first + 3] = certus_engine::model::blob::crc(&words[first..]);
    let opened = call!(certus_v1_model_open(&mut *model, words.as_ptr().cast(), 4 * words.len()));
    assert_eq!(opened, Status::BlobRegionsModel);
}

#[test]
fn monitors_that_are_refused() {
    let model = opened();
    let good = setup();
    let least = call!(certus_v1_monitor_words(&*model, &good, 1));
    let mut memory = vec![0; least];
    let at = memory.as_mut_ptr();
    let mut made = unmade();
    let own = &raw mut made;
    let init = |monitor: *mut c::Monitor, model: *const c::Model, setup, memory, words| {
        call!(certus_v1_monitor_init(monitor, model, setup, memory, words))
    };
    let (m, s) = (&raw const *model, &raw const good);
    assert_eq!(init(null_mut(), m, s, at, least), Status::Null);
    assert_eq!(init(ODD as *mut c::Monitor, m, s, at, least), Status::Misaligned);
    assert_eq!(init(own, null(), s, at, least), Status::Null);
    assert_eq!(init(own, m, null(), at, least), Status::Null);
    assert_eq!(init(own, m, s, null_mut(), least), Status::Null);
    assert_eq!(init(own, m, s, ODD as *mut u32, least), Status::Misaligned);
    assert_eq!(init(own, m, s, at, LONG), Status::Length);
    assert_eq!(init(own, m, s, at, least - 1), Status::Short);
    let strange = c::Model { opaque: [5; 8] };
    assert_eq!(init(own, &strange, s, at, least), Status::Handle);
    assert_eq!(init(own, m, s, own.cast(), least), Status::Overlap);
    assert_eq!(init(own, m, s, PENDULUM.words().as_ptr().cast_mut(), least), Status::Overlap);

    let mut report = bold();
    let check = |monitor: *mut c::Monitor, x: *const f32, inputs, report: *mut c::Report| {
        call!(certus_v1_monitor_check(monitor, x, inputs, 0, report))
    };
    let x = RADII.as_ptr();
    // Never made.
    assert_eq!(check(own, x, 2, &mut report), Status::Handle);
    assert_eq!((report.fault, report.command), (c::Fault::Call, null()));
    report = bold();
    assert_eq!(check(null_mut(), x, 2, &mut report), Status::Null);
    assert_eq!(report.fault, c::Fault::Call);
    report = bold();
    assert_eq!(check(ODD as *mut c::Monitor, x, 2, &mut report), Status::Misaligned);
    assert_eq!(report.fault, c::Fault::Call);

    assert_eq!(init(own, m, s, at, least), Status::Ok);
    assert_eq!(check(own, x, 2, &mut report), Status::Ok);
    assert_eq!(report.verdict, c::Verdict::Certified);
    assert_eq!(check(own, x, 2, null_mut()), Status::Null);
    assert_eq!(check(own, x, 2, ODD as *mut c::Report), Status::Misaligned);
    assert_eq!(check(own, x, 2, at.cast()), Status::Overlap);
    assert_eq!(check(own, x, 2, own.cast()), Status::Overlap);
    // A tick is a tick: what cannot be read sends the fallback.
    let inputs = [
        (null(), 2, Status::Null),
        (ODD as *const f32, 2, Status::Misaligned),
        (x, LONG, Status::Length),
        (at.cast_const().cast(), 2, Status::Overlap),
        (x, 1, Status::Ok),
        (null(), 0, Status::Ok),
    ];
    for (misses, (x, inputs, status)) in (1..).zip(inputs) {
        report = bold();
        assert_eq!(check(own, x, inputs, &mut report), status);
        assert_eq!((report.verdict, report.fault), (c::Verdict::Violated, c::Fault::Width));
        assert_eq!((report.command, report.misses), (FALLBACK.as_ptr(), misses));
    }
    // A copy does not lie where it was made.
    // SAFETY: a monitor is plain memory to C.
    let mut copy = unsafe { own.read() };
    report = bold();
    assert_eq!(check(&mut copy, x, 2, &mut report), Status::Handle);
    assert_eq!(report.fault, c::Fault::Call);

    let none =
        c::Counters { certified: 7, marginal: 7, violated: 7, stale: 7, fallback: 7, longest: 7 };
    let mut counters = none;
    let count = |monitor: *const c::Monitor, counters: *mut c::Counters| {
        call!(certus_v1_monitor_counters(monitor, counters))
    };
    assert_eq!(count(own, &mut counters), Status::Ok);
    assert_eq!((counters.certified, counters.violated, counters.longest), (1, 6, 6));
    assert_eq!(count(own, null_mut()), Status::Null);
    assert_eq!(count(own, ODD as *mut c::Counters), Status::Misaligned);
    assert_eq!(count(own, at.cast()), Status::Overlap);
    for (monitor, status) in [
        (&raw const copy, Status::Handle),
        (null(), Status::Null),
        (ODD as *const c::Monitor, Status::Misaligned),
    ] {
        counters = none;
        assert_eq!(count(monitor, &mut counters), status);
        assert_eq!((counters.certified, counters.fallback), (0, 0));
        assert_eq!(call!(certus_v1_monitor_mode(monitor)), c::Mode::Fallback);
    }
}
