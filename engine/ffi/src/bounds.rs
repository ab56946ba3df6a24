//! The forward pass, lower bounds, the simplex certificate, and what they prove.

use certus_engine::bounds::{Options, Portable, Size, forward, lower_bounds};
use certus_engine::certificate::{self, verdict};
use certus_engine::simplex::{self, Query, simplex};

use crate::memory::{Room, Span, apart, array, value, words_of};
use crate::model::{Model, get};
use crate::question::{self, Region, Spec};
use crate::status::{Status, status};

/// Words of working memory for `certus_v1_forward`; 0 if the handle is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_forward_words(model: *const Model) -> usize {
    // SAFETY: a handle, opened or not, is the caller's word.
    unsafe { get(model) }.map_or(0, |(model, _)| model.width().saturating_mul(2))
}

/// The network's outputs at `x` in f32.
///
/// `memory`: `words` words, at least `certus_v1_forward_words`; `out`: `outputs` floats, at least the
/// model's outputs, what is beyond them NaN. Errors: `out` is NaN throughout, but where it is itself
/// refused or overlaps.
/// Work: a multiply-add a weight.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_forward(
    model: *const Model,
    x: *const f32,
    inputs: usize,
    memory: *mut u32,
    words: usize,
    out: *mut f32,
    outputs: usize,
) -> Status {
    // SAFETY: each is the caller's word, see the crate.
    let run = |room: Room<f32>| unsafe {
        let (model, spans) = get(model)?;
        let x = array(x, inputs)?;
        let memory = Room::new(memory, words)?;
        let [handle, blob] = spans;
        apart(&[room.span, memory.span], &[handle, blob, Span::of(x)])?;
        if inputs != model.inputs() {
            return Err(Status::RegionWidth);
        }
        let size = |_| Size { floats: model.width().saturating_mul(2), indices: 0 };
        let memory = memory.divide(&model, size)?;
        let out = room.filled(f32::NAN);
        forward(&Portable, &model, x, memory.floats, out).map(|_| ()).ok_or(Status::Short)
    };
    // SAFETY: as above.
    unsafe { into(out, outputs, f32::NAN, run) }
}

/// Words of working memory for `certus_v1_lower_bounds` with blocks of up to `block` rows: 1 takes
/// the least, more of them read the weights less often and change no bound. 0 if the handle or the
/// method is refused, or if so much does not fit the address space.
///
/// `method`: a `certus_v1_method`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_bounds_words(
    model: *const Model,
    method: u32,
    block: usize,
) -> usize {
    // SAFETY: as above.
    let (Ok((model, _)), Ok(method)) = (unsafe { get(model) }, question::method(method)) else {
        return 0;
    };
    let options = Options::new(method).without_ends();
    words_of(&model, block, |block| Size::of_options(&model, &options, block))
}

/// Rows of a specification for a model; 0 if either is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_spec_rows(model: *const Model, spec: *const Spec) -> usize {
    // SAFETY: as above.
    let rows = || unsafe {
        let (model, _) = get(model)?;
        let spec = value(spec)?.read(model.outputs())?;
        Ok::<_, Status>(if spec.fits(model.outputs()) { spec.count(model.outputs()) } else { 0 })
    };
    rows().unwrap_or(0)
}

/// Lower bounds of the rows of a specification over a region.
///
/// `out[r] <= min over the region of row r`: for the stored network in real arithmetic and, under
/// deployed semantics, also for its f32 forward pass in any order of its sums. -INFINITY where there
/// is no bound, never NaN.
/// `method`: a `certus_v1_method`; `semantics`: a `certus_v1_semantics`; `memory`: `words` words, at
/// least `certus_v1_bounds_words` with a block of 1; `out`: `rows` floats, at least
/// `certus_v1_spec_rows`, what is beyond them -INFINITY; `work`: the multiply-adds done, may be NULL.
/// Errors: `out` is -INFINITY throughout, but where it is itself refused or overlaps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_lower_bounds(
    model: *const Model,
    region: *const Region,
    spec: *const Spec,
    method: u32,
    semantics: u32,
    memory: *mut u32,
    words: usize,
    out: *mut f32,
    rows: usize,
    work: *mut u64,
) -> Status {
    // SAFETY: each is the caller's word, see the crate.
    let run = |room: Room<f32>| unsafe {
        let (model, [handle, blob]) = get(model)?;
        let (region_at, spec_at) = (Span::new(region, 1)?, Span::new(spec, 1)?);
        let region = value(region)?.read()?;
        let spec = value(spec)?.read(model.outputs())?;
        let method = question::method(method)?;
        let semantics = question::semantics(semantics)?;
        let options = Options { semantics, ..Options::new(method).without_ends() };
        let (memory, work) = (Room::new(memory, words)?, Room::optional(work)?);
        let [center, lo, hi] = question::spans(&region);
        let matrix = question::matrix(&spec);
        let read = [handle, blob, region_at, spec_at, center, lo, hi, matrix];
        apart(&[room.span, memory.span, work.span], &read)?;
        work.fill(0);
        let memory = memory.divide(&model, |block| Size::of_options(&model, &options, block))?;
        let out = room.filled(f32::NEG_INFINITY);
        let bounds = lower_bounds(&mut Portable, &model, &region, &spec, &options, memory, out)?;
        work.fill(bounds.work.macs());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { into(out, rows, f32::NEG_INFINITY, run) }
}

/// Words of working memory for `certus_v1_simplex`, as `certus_v1_bounds_words`; with larger blocks it
/// may walk rows that a block of 1 finds it can leave out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_simplex_words(model: *const Model, block: usize) -> usize {
    // SAFETY: a handle, opened or not, is the caller's word.
    let Ok((model, _)) = (unsafe { get(model) }) else { return 0 };
    words_of(&model, block, |block| simplex::size(&model, block))
}

/// The radius of an open ball around `x` on which every row of a specification is positive, by the
/// simplex certificate; for networks of ReLU and leaky ReLU.
///
/// Each row, `offsets` added (one a row; NULL for none), is positive at every real point nearer to `x`
/// than `radius` in the norm of exponent `norm`: semantics, memory and work as for
/// `certus_v1_lower_bounds`. 0 where nothing is proved, and on errors, but where `radius` is itself
/// refused or overlaps; infinite where the rows are positive everywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_simplex(
    model: *const Model,
    x: *const f32,
    inputs: usize,
    norm: f32,
    spec: *const Spec,
    offsets: *const f32,
    semantics: u32,
    memory: *mut u32,
    words: usize,
    radius: *mut f32,
    work: *mut u64,
) -> Status {
    // SAFETY: each is the caller's word, see the crate.
    let run = |room: Room<f32>| unsafe {
        let (model, [handle, blob]) = get(model)?;
        let spec_at = Span::new(spec, 1)?;
        let x = array(x, inputs)?;
        let spec = value(spec)?.read(model.outputs())?;
        let offsets = match offsets.is_null() {
            true => None,
            false => Some(array(offsets, spec.count(model.outputs()))?),
        };
        let (norm, semantics) = (question::norm(norm)?, question::semantics(semantics)?);
        let (memory, work) = (Room::new(memory, words)?, Room::optional(work)?);
        let offsets_at = Span::of(offsets.unwrap_or(&[]));
        let read = [handle, blob, spec_at, Span::of(x), question::matrix(&spec), offsets_at];
        apart(&[room.span, memory.span, work.span], &read)?;
        work.fill(0);
        let memory = memory.divide(&model, |block| simplex::size(&model, block))?;
        let query = Query { x, norm, clip: None, spec, offsets, semantics, known: None };
        let found: simplex::Simplex<1> = simplex(&mut Portable, &model, &query, memory, &mut [])?;
        room.fill(found.radius());
        work.fill(found.work.macs());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { into(radius, 1, 0.0, run) }
}

/// Whether lower bounds prove that every row is positive: each is a finite number above 0, and there
/// is one at least. False for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_certified(bounds: *const f32, rows: usize) -> bool {
    // SAFETY: the caller's word.
    let bounds = unsafe { array(bounds, rows) };
    bounds.is_ok_and(|bounds| verdict(bounds) == certificate::Verdict::Certified)
}

/// Runs what writes to `out`; where it is refused, `out` is `nothing` throughout.
///
/// # Safety
/// If `out` passes the checks, `len` entries may be written there.
unsafe fn into(
    out: *mut f32,
    len: usize,
    nothing: f32,
    run: impl FnOnce(Room<f32>) -> Result<(), Status>,
) -> Status {
    let room = match Room::new(out, len) {
        Ok(room) => room,
        Err(refused) => return refused,
    };
    let done = run(room);
    // What overlaps is left as it is.
    if done.is_err_and(|why| why != Status::Overlap) {
        // SAFETY: the caller's word.
        unsafe { room.fill(nothing) };
    }
    status(done)
}
