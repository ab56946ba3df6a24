//! Every misuse has its status, is refused before anything is read, and leaves nothing that certifies.

use std::ptr::{null, null_mut};

use certus_engine::include_model;
use certus_engine::model::{Model, blob};
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
const ZOO: Model<'static> = include_model!("../../../tests/golden/zoo_v2.certus");
/// More than each call on these takes.
const WORDS: usize = 4096;
/// A pointer that is not NULL, and on no boundary.
const ODD: usize = 1;
/// A length beyond the address space.
const LONG: usize = usize::MAX / 4;

fn closed() -> c::Model {
    c::Model { opaque: [0x0123_4567_89AB_CDEF; 8] }
}

fn opened(handle: &mut c::Model, model: Model<'_>) {
    assert_eq!(open(handle, model.words()), Status::Ok);
}

fn open(handle: &mut c::Model, words: &[u32]) -> Status {
    call!(certus_v1_model_open(handle, words.as_ptr().cast(), 4 * words.len()))
}

#[test]
fn a_model_that_is_none() {
    let mut handle = closed();
    let words = PENDULUM.words();
    let (at, bytes) = (words.as_ptr(), 4 * words.len());
    let mut open_at =
        |at: *const u8, bytes| call!(certus_v1_model_open(&mut handle, at.cast(), bytes));
    assert_eq!(open_at(at.cast(), bytes), Status::Ok);
    assert_eq!(open_at(null(), bytes), Status::Null);
    assert_eq!(open_at(at.cast(), usize::MAX), Status::Length);
    assert_eq!(open_at(at.cast(), 0), Status::BlobTruncated);
    assert_eq!(open_at(at.cast(), bytes - 1), Status::BlobMisaligned);
    assert_eq!(open_at(at.cast::<u8>().wrapping_add(1), bytes - 4), Status::BlobMisaligned);
    // What was opened before is closed by a refusal.
    opened(&mut handle, PENDULUM);
    assert_eq!(call!(certus_v1_model_inputs(&handle)), 2);
    assert_eq!(open(&mut handle, &[0; 8]), Status::BlobMagic);
    assert_eq!(call!(certus_v1_model_inputs(&handle)), 0);
    // No handle, and one that lies on its own blob.
    for (model, status) in [(null_mut(), Status::Null), (ODD as *mut c::Model, Status::Misaligned)]
    {
        assert_eq!(call!(certus_v1_model_open(model, at.cast(), bytes)), status);
    }
    let mut own = [0u64; 16];
    let inside = own.as_mut_ptr();
    assert_eq!(call!(certus_v1_model_open(inside.cast(), inside.cast(), 64)), Status::Overlap);
    // A copy is no handle: it does not lie where it was opened.
    opened(&mut handle, PENDULUM);
    let copy = c::Model { opaque: handle.opaque };
    assert_eq!(call!(certus_v1_model_inputs(&copy)), 0);
    let refused = [null(), ODD as *const c::Model, &closed(), &copy, &c::Model { opaque: [0; 8] }];
    for handle in refused {
        let counts = [
            call!(certus_v1_model_inputs(handle)),
            call!(certus_v1_model_outputs(handle)),
            call!(certus_v1_model_layers(handle)),
            call!(certus_v1_forward_words(handle)),
            call!(certus_v1_bounds_words(handle, 1, 1)),
            call!(certus_v1_simplex_words(handle, 1)),
        ];
        assert_eq!(counts, [0; 6]);
    }
    assert_eq!(call!(certus_v1_bounds_words(&handle, 0, 1)), 0);
    assert_eq!(call!(certus_v1_bounds_words(&handle, 5, 1)), 0);
    // A block larger than the model is wide is as wide.
    let most = call!(certus_v1_bounds_words(&handle, 4, usize::MAX));
    assert_eq!(most, call!(certus_v1_bounds_words(&handle, 4, PENDULUM.width())));
}

/// Each way in which a blob is refused, its checksum mended but for that one.
#[test]
fn a_blob_that_is_none() {
    let entry = blob::HEADER_WORDS;
    let (weight, bias) = (ZOO.words()[entry + 4] as usize, ZOO.words()[entry + 5] as usize);
    let nan = f32::NAN.to_bits();
    let damages = [
        (0, 0, Status::BlobMagic),
        (1, 9, Status::BlobVersion),
        (2, 9, Status::BlobLength),
        (4, 0, Status::BlobLayerCount),
        (5, 0, Status::BlobInputs),
        (6, 7, Status::BlobOutputs),
        (7, 1, Status::BlobReserved),
        (entry, 0, Status::BlobRows),
        (entry + blob::ENTRY_WORDS + 1, 3, Status::BlobColumns),
        (entry + 2, 77, Status::BlobActivation),
        (entry + 9, 3, Status::BlobThrough),
        (entry + 10, 1, Status::BlobLayerReserved),
        (entry + 2, 7 << 16, Status::BlobWeightKind),
        (entry + 4, 0, Status::BlobWeightOffset),
        (entry + 5, 0, Status::BlobBiasOffset),
        (entry + 6, nan, Status::BlobWeightError),
        (entry + 7, nan, Status::BlobBiasError),
        (weight, nan, Status::BlobWeight),
        (bias, nan, Status::BlobBias),
        (entry, 1 << 19, Status::BlobTruncated),
    ];
    for (at, word, status) in damages {
        let mut words = ZOO.words().to_vec();
        words[at] = word;
        let mut handle = closed();
        let found = open(&mut handle, &words);
        // The length is looked at before the checksum, like the magic word and the version.
        assert!(found == Status::BlobCrc || (at < 3 && found == status), "{at}: {found:?}");
        words[blob::CRC_WORD] = blob::crc(&words);
        assert_eq!(open(&mut handle, &words), status, "word {at}");
        assert_eq!(call!(certus_v1_model_outputs(&handle)), 0);
    }
}

/// What a call of `certus_v1_lower_bounds` is given.
struct Bounds {
    model: *const c::Model,
    region: *const c::Region,
    spec: *const c::Spec,
    method: u32,
    semantics: u32,
    memory: *mut u32,
    words: usize,
    work: *mut u64,
}

const CENTER: [f32; 2] = [0.1, -0.2];

fn ball() -> c::Region {
    c::Region {
        shape: c::Shape::Ball as u32,
        norm: 2.0,
        radius: 0.01,
        inputs: 2,
        center: CENTER.as_ptr(),
        lo: null(),
        hi: null(),
    }
}

fn every_output() -> c::Spec {
    c::Spec { kind: c::SpecKind::Outputs as u32, label: 0, rows: 0, matrix: null() }
}

#[test]
fn bounds_that_are_none() {
    let (mut pendulum, mut zoo) = (closed(), closed());
    opened(&mut pendulum, PENDULUM);
    opened(&mut zoo, ZOO);
    let mut memory = vec![0; WORDS];
    let memory = memory.as_mut_ptr();
    let (region, spec) = (ball(), every_output());
    let least = call!(certus_v1_bounds_words(&pendulum, 4, 1));
    // Changes one thing and asks.
    let ask = |change: &dyn Fn(&mut Bounds), out: *mut f32, rows| {
        let (method, semantics) = (c::Method::Crown as u32, c::Semantics::Deployed as u32);
        let (model, words, mut work) = (&raw const pendulum, least, 1);
        let (region, spec) = (&raw const region, &raw const spec);
        let work = &raw mut work;
        let mut b = Bounds { model, region, spec, method, semantics, memory, words, work };
        change(&mut b);
        call!(certus_v1_lower_bounds(
            b.model,
            b.region,
            b.spec,
            b.method,
            b.semantics,
            b.memory,
            b.words,
            out,
            rows,
            b.work,
        ))
    };
    let refused = |change: &dyn Fn(&mut Bounds)| {
        // What stood there would be taken for a proof.
        let mut out = [1.0f32; 2];
        let status = ask(change, out.as_mut_ptr(), 2);
        let nothing = [f32::NEG_INFINITY; 2];
        let untouched = status == Status::Overlap && out == [1.0; 2];
        assert!(out == nothing || untouched || status == Status::Ok, "{status:?} {out:?}");
        assert!(status == Status::Ok || !out.iter().all(|x| *x > 0.0) || untouched);
        status
    };
    let in_region = |change: &dyn Fn(&mut c::Region)| {
        let mut changed = ball();
        change(&mut changed);
        refused(&|b| b.region = &raw const changed)
    };
    let in_spec = |change: &dyn Fn(&mut c::Spec)| {
        let mut changed = every_output();
        change(&mut changed);
        refused(&|b| b.spec = &raw const changed)
    };
    assert_eq!(refused(&|_| {}), Status::Ok);
    assert_eq!(refused(&|b| b.work = null_mut()), Status::Ok);

    assert_eq!(refused(&|b| b.model = null()), Status::Null);
    assert_eq!(refused(&|b| b.region = null()), Status::Null);
    assert_eq!(refused(&|b| b.spec = null()), Status::Null);
    assert_eq!(refused(&|b| b.memory = null_mut()), Status::Null);
    assert_eq!(refused(&|b| b.model = ODD as *const c::Model), Status::Misaligned);
    assert_eq!(refused(&|b| b.region = ODD as *const c::Region), Status::Misaligned);
    assert_eq!(refused(&|b| b.spec = ODD as *const c::Spec), Status::Misaligned);
    assert_eq!(refused(&|b| b.memory = ODD as *mut u32), Status::Misaligned);
    assert_eq!(refused(&|b| b.work = ODD as *mut u64), Status::Misaligned);
    let strange = closed();
    assert_eq!(refused(&|b| b.model = &raw const strange), Status::Handle);
    assert_eq!(refused(&|b| b.words = LONG), Status::Length);
    assert_eq!(refused(&|b| b.words = least - 1), Status::Short);
    assert_eq!(refused(&|b| b.words = 0), Status::Short);
    for number in [0, 5, u32::MAX] {
        assert_eq!(refused(&|b| b.method = number), Status::Kind);
        assert_eq!(refused(&|b| b.semantics = number), Status::Kind);
        assert_eq!(in_region(&|r| r.shape = number), Status::Kind);
        assert_eq!(in_spec(&|s| s.kind = number), Status::Kind);
    }

    // Results on inputs, on the model, on each other.
    let overlap = |at: *mut f32| ask(&|_| {}, at, 2);
    let blob = PENDULUM.words().as_ptr();
    assert_eq!(overlap(blob.cast_mut().cast()), Status::Overlap);
    assert_eq!(overlap((&raw const region).cast_mut().cast()), Status::Overlap);
    assert_eq!(overlap((&raw const pendulum).cast_mut().cast()), Status::Overlap);
    assert_eq!(overlap(memory.cast()), Status::Overlap);
    assert_eq!(refused(&|b| b.memory = blob.cast_mut()), Status::Overlap);
    assert_eq!(refused(&|b| b.work = memory.cast()), Status::Overlap);
    assert_eq!(refused(&|b| b.memory = CENTER.as_ptr().cast_mut().cast()), Status::Overlap);
    // No room for results.
    assert_eq!(ask(&|_| {}, null_mut(), 2), Status::Null);
    assert_eq!(ask(&|_| {}, ODD as *mut f32, 2), Status::Misaligned);
    assert_eq!(ask(&|_| {}, memory.cast(), LONG), Status::Length);
    let mut one = [1.0];
    assert_eq!(ask(&|_| {}, one.as_mut_ptr(), 1), Status::Short);
    assert_eq!(one, [f32::NEG_INFINITY]);
    // More room than rows: what is not a bound proves nothing.
    let mut three = [1.0; 3];
    assert_eq!(ask(&|_| {}, three.as_mut_ptr(), 3), Status::Ok);
    assert!(three[0].is_finite() && three[1].is_finite() && three[2] == f32::NEG_INFINITY);

    let three = [0.0f32; 3];
    let (nan, huge) = ([0.0, f32::NAN], [0.0, 2e30]);
    let shape = c::Shape::Box as u32;
    assert_eq!(in_region(&|r| r.center = null()), Status::Null);
    assert_eq!(in_region(&|r| r.center = ODD as *const f32), Status::Misaligned);
    assert_eq!(in_region(&|r| r.inputs = LONG), Status::Length);
    assert_eq!(in_region(&|r| r.inputs = 0), Status::RegionWidth);
    assert_eq!(in_region(&|r| (r.inputs, r.center) = (3, three.as_ptr())), Status::RegionWidth);
    assert_eq!(in_region(&|r| r.center = nan.as_ptr()), Status::RegionEntry);
    assert_eq!(in_region(&|r| r.center = huge.as_ptr()), Status::RegionEntry);
    for radius in [-1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(in_region(&|r| r.radius = radius), Status::RegionRadius);
    }
    for p in [0.0, 0.5, -2.0, f32::NAN] {
        assert_eq!(in_region(&|r| r.norm = p), Status::Norm);
    }
    assert_eq!(in_region(&|r| r.shape = shape), Status::Null);
    let (low, high) = ([0.0; 2], [1.0; 2]);
    let ends = |lo: [f32; 2], hi: [f32; 2]| {
        in_region(&|r| (r.shape, r.lo, r.hi) = (shape, lo.as_ptr(), hi.as_ptr()))
    };
    assert_eq!(ends(low, high), Status::Ok);
    assert_eq!(ends(high, low), Status::RegionEmpty);
    let cut = c::Shape::BallInBox as u32;
    let apart = in_region(&|r| {
        (r.shape, r.radius, r.lo, r.hi) = (cut, 0.001, low.as_ptr(), high.as_ptr());
    });
    assert_eq!(apart, Status::RegionEmpty);

    let (margins, rows) = (c::SpecKind::Margins as u32, c::SpecKind::Rows as u32);
    assert_eq!(in_spec(&|s| (s.kind, s.label) = (margins, 1)), Status::Spec);
    assert_eq!(in_spec(&|s| (s.kind, s.label) = (margins, usize::MAX)), Status::Spec);
    assert_eq!(in_spec(&|s| (s.kind, s.rows) = (rows, 1)), Status::Null);
    assert_eq!(in_spec(&|s| (s.kind, s.rows) = (rows, usize::MAX)), Status::Null);
    let long = in_spec(&|s| (s.kind, s.rows, s.matrix) = (rows, LONG, nan.as_ptr()));
    assert_eq!(long, Status::Length);
    let unfit = in_spec(&|s| (s.kind, s.rows, s.matrix) = (rows, 2, nan.as_ptr()));
    assert_eq!(unfit, Status::Spec);
    let wide = c::Spec { kind: rows, rows: usize::MAX, matrix: nan.as_ptr(), label: 0 };
    assert_eq!(call!(certus_v1_spec_rows(&zoo, &wide)), 0);
    assert_eq!(call!(certus_v1_spec_rows(&zoo, null())), 0);

    // Twice two outputs, and what only the bounds find out.
    let on_zoo = |b: &mut Bounds| (b.model, b.words) = (&raw const zoo, WORDS);
    assert_eq!(refused(&on_zoo), Status::Short);
    assert_eq!(in_region(&|r| r.radius = 1e30), Status::Magnitude);
}

#[test]
fn outputs_and_radii_that_are_none() {
    let (mut model, mut zoo) = (closed(), closed());
    opened(&mut model, PENDULUM);
    opened(&mut zoo, ZOO);
    let mut memory = vec![0; WORDS];
    let memory = memory.as_mut_ptr();
    let least = call!(certus_v1_forward_words(&model));
    let x = CENTER.as_ptr();
    let run = |model: *const c::Model, x, inputs, memory, words| {
        let mut y = [1.0f32; 2];
        let status = call!(certus_v1_forward(model, x, inputs, memory, words, y.as_mut_ptr(), 2));
        assert!(status == Status::Ok || status == Status::Overlap || y.iter().all(|y| y.is_nan()));
        status
    };
    let good = &raw const model;
    assert_eq!(run(good, x, 2, memory, least), Status::Ok);
    assert_eq!(run(null(), x, 2, memory, least), Status::Null);
    assert_eq!(run(good, null(), 2, memory, least), Status::Null);
    assert_eq!(run(good, x, 2, null_mut(), least), Status::Null);
    assert_eq!(run(good, ODD as *const f32, 2, memory, least), Status::Misaligned);
    assert_eq!(run(good, x, 2, ODD as *mut u32, least), Status::Misaligned);
    assert_eq!(run(good, x, 1, memory, least), Status::RegionWidth);
    assert_eq!(run(good, null(), 0, memory, least), Status::RegionWidth);
    assert_eq!(run(good, x, 2, memory, least - 1), Status::Short);
    assert_eq!(run(good, x, LONG, memory, least), Status::Length);
    assert_eq!(run(good, memory.cast(), 2, memory, least), Status::Overlap);
    let mut none = [1.0f32; 1];
    let short = call!(certus_v1_forward(good, x, 2, memory, least, none.as_mut_ptr(), 0));
    assert_eq!((short, none), (Status::Short, [1.0]));

    let words = call!(certus_v1_simplex_words(&model, 1));
    let (real, spec) = (c::Semantics::Real as u32, every_output());
    let ask = |model: *const c::Model, x, norm, spec, offsets, semantics, words| {
        let (mut radius, mut work) = (1.0f32, 1);
        let status = call!(certus_v1_simplex(
            model,
            x,
            2,
            norm,
            spec,
            offsets,
            semantics,
            memory,
            words,
            &mut radius,
            &mut work,
        ));
        assert!(status == Status::Ok || status == Status::Overlap || radius == 0.0);
        status
    };
    let (one, big, s) = ([3.0f32; 2], [2e30f32; 2], &raw const spec);
    assert_eq!(ask(good, x, 2.0, s, one.as_ptr(), real, words), Status::Ok);
    assert_eq!(ask(null(), x, 2.0, s, null(), real, words), Status::Null);
    assert_eq!(ask(good, null(), 2.0, s, null(), real, words), Status::Null);
    assert_eq!(ask(good, x, 2.0, null(), null(), real, words), Status::Null);
    assert_eq!(ask(good, x, 2.0, s, ODD as *const f32, real, words), Status::Misaligned);
    assert_eq!(ask(good, x, 0.5, s, null(), real, words), Status::Norm);
    assert_eq!(ask(good, x, 2.0, s, null(), 3, words), Status::Kind);
    assert_eq!(ask(good, x, 2.0, s, null(), real, words - 1), Status::Short);
    assert_eq!(ask(good, x, 2.0, s, big.as_ptr(), real, words), Status::Spec);
    assert_eq!(ask(&raw const zoo, x, 2.0, s, null(), real, WORDS), Status::Activation);
    assert_eq!(ask(good, memory.cast(), 2.0, s, null(), real, words), Status::Overlap);
    let radius = call!(certus_v1_simplex(
        good,
        x,
        2,
        2.0,
        s,
        null(),
        real,
        memory,
        words,
        null_mut(),
        null_mut(),
    ));
    assert_eq!(radius, Status::Null);

    for (bounds, certified) in [
        ([1.0, 2.0], true),
        ([1.0, 0.0], false),
        ([f32::NAN, 1.0], false),
        ([1.0, f32::INFINITY], false),
    ] {
        assert_eq!(call!(certus_v1_certified(bounds.as_ptr(), 2)), certified);
    }
    assert!(!call!(certus_v1_certified(null(), 2)) && !call!(certus_v1_certified(null(), 0)));
    assert!(!call!(certus_v1_certified(ODD as *const f32, 2)));
}
