//! What a monitor shall do, as C writes it, and what it costs.

use certus_engine::monitor::{self, Rule, SensorError};

use crate::memory::{Span, array, value, words_of};
use crate::model::{Model, get};
use crate::question::{self, Semantics, Shape};
use crate::status::Status;

/// What the outputs shall keep.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// `limits_lo <= y <= limits_hi` for every output; proved is `<`. FLT_MAX is no limit.
    Limits = 1,
    /// The largest output is above every other by more than `margin`, and stays the same one within
    /// the sensor error.
    Class = 2,
}

/// What a monitor shall do; `certus_v1_setup_default` fills in what is usual. The arrays are not
/// copied: they stay, unchanged, as long as a monitor of this setup is used. The struct need not.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Entries of `range_lo`, `range_hi` and `error_radii`: the model's inputs.
    pub inputs: usize,
    /// Least valid value of each input.
    pub range_lo: *const f32,
    /// Largest valid value of each input.
    pub range_hi: *const f32,
    /// The sensor error: CERTUS_V1_SHAPE_BOX for `error_radii`, CERTUS_V1_SHAPE_BALL for
    /// `error_radius` in the norm of exponent `error_norm`.
    pub error: u32,
    /// Norm of a ball.
    pub error_norm: f32,
    /// Radius of a ball.
    pub error_radius: f32,
    /// How far the truth may be from each input, each way.
    pub error_radii: *const f32,
    /// Entries of `limits_lo`, `limits_hi` and `fallback`: the model's outputs.
    pub outputs: usize,
    /// A `certus_v1_rule_kind`.
    pub rule: u32,
    /// For a class, from 0 on.
    pub margin: f32,
    /// Lower limits.
    pub limits_lo: *const f32,
    /// Upper limits.
    pub limits_hi: *const f32,
    /// The command in place of the network's.
    pub fallback: *const f32,
    /// Multiply-adds that a tick may take; UINT64_MAX for no limit but the certificates' own.
    pub budget: u64,
    /// Ticks of the clock from one valid input to the next, at most.
    pub stale: u32,
    /// So many misses in a row enter the fallback: 1 lets no command pass that is not certified.
    pub enter: u32,
    /// So many certified ticks in a row leave it.
    pub leave: u32,
    /// A `certus_v1_semantics`.
    pub semantics: u32,
    /// Parts and multiples of the sensor error to try beside the whole, increasing.
    pub scales: *const f32,
    /// Entries of `scales`.
    pub scale_count: usize,
}

/// A setup in which each tick decides for itself, under deployed semantics, without a budget, with the
/// scales 1/4, 1/2, 2 and 4; `stale`, the arrays and their kinds are left 0, to be filled in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_setup_default(setup: *mut Setup) -> Status {
    use core::ptr::null;
    let scales = monitor::Setup::SCALES;
    let default = Setup {
        inputs: 0,
        range_lo: null(),
        range_hi: null(),
        error: 0,
        error_norm: 0.0,
        error_radius: 0.0,
        error_radii: null(),
        outputs: 0,
        rule: 0,
        margin: 0.0,
        limits_lo: null(),
        limits_hi: null(),
        fallback: null(),
        budget: monitor::Setup::NO_BUDGET,
        stale: 0,
        enter: 1,
        leave: 1,
        semantics: Semantics::Deployed as u32,
        scales: scales.as_ptr(),
        scale_count: scales.len(),
    };
    match Span::new(setup, 1) {
        // SAFETY: checked; that it may be written is the caller's word.
        Ok(_) => unsafe { setup.write(default) },
        Err(status) => return status,
    }
    Status::Ok
}

impl Setup {
    /// As the engine takes it.
    ///
    /// # Safety
    /// Arrays that pass the checks are written, and stay for `'a`.
    pub(crate) unsafe fn read<'a>(&self) -> Result<monitor::Setup<'a>, Status> {
        // SAFETY: the caller's word, for both.
        let inputs = |at| unsafe { array::<f32>(at, self.inputs) };
        // SAFETY: as above.
        let outputs = |at| unsafe { array::<f32>(at, self.outputs) };
        let error = match self.error {
            n if n == Shape::Box as u32 => SensorError::Box(inputs(self.error_radii)?),
            n if n == Shape::Ball as u32 => SensorError::Ball {
                radius: self.error_radius,
                norm: question::norm(self.error_norm)?,
            },
            _ => return Err(Status::Kind),
        };
        let rule = match self.rule {
            n if n == RuleKind::Limits as u32 => {
                Rule::Limits { lo: outputs(self.limits_lo)?, hi: outputs(self.limits_hi)? }
            }
            n if n == RuleKind::Class as u32 => Rule::Class { margin: self.margin },
            _ => return Err(Status::Kind),
        };
        Ok(monitor::Setup {
            range: (inputs(self.range_lo)?, inputs(self.range_hi)?),
            error,
            rule,
            fallback: outputs(self.fallback)?,
            budget: self.budget,
            stale: self.stale,
            enter: self.enter,
            leave: self.leave,
            // SAFETY: as above.
            scales: unsafe { array(self.scales, self.scale_count) }?,
            semantics: question::semantics(self.semantics)?,
            regions: None,
        })
    }
}

/// Where a setup's arrays lie.
pub(crate) fn spans(setup: &monitor::Setup<'_>) -> [Span; 7] {
    let radii: &[f32] = match setup.error {
        SensorError::Box(radii) => radii,
        SensorError::Ball { .. } => &[],
    };
    let (lo, hi): (&[f32], &[f32]) = match setup.rule {
        Rule::Limits { lo, hi } => (lo, hi),
        Rule::Class { .. } => (&[], &[]),
    };
    let (low, high) = setup.range;
    [low, high, radii, lo, hi, setup.fallback, setup.scales].map(Span::of)
}

/// What a model and a setup come to; `nothing` if either is refused.
///
/// # Safety
/// A handle, opened or not; a setup whose arrays are there.
unsafe fn of<T>(
    model: *const Model,
    setup: *const Setup,
    nothing: T,
    f: impl FnOnce(&certus_engine::model::Model<'_>, &monitor::Setup<'_>) -> T,
) -> T {
    // SAFETY: the caller's word.
    let both = || unsafe { Ok::<_, Status>((get(model)?.0, value(setup)?.read()?)) };
    both().map_or(nothing, |(model, setup)| f(&model, &setup))
}

/// Multiply-adds of inference and intervals at most: the smallest budget. 0 if the handle or the setup
/// is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_least_budget(model: *const Model, setup: *const Setup) -> u64 {
    // SAFETY: the caller's word.
    unsafe { of(model, setup, 0, |model, setup| setup.least_budget(model)) }
}

/// Multiply-adds of inference and one certificate of each kind at most: the smallest budget with which
/// none is left out. 0 if the handle or the setup is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_full_budget(model: *const Model, setup: *const Setup) -> u64 {
    // SAFETY: the caller's word.
    unsafe { of(model, setup, 0, |model, setup| setup.full_budget(model)) }
}

/// No tick takes more multiply-adds. 0 if the handle or the setup is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_worst_case(model: *const Model, setup: *const Setup) -> u64 {
    // SAFETY: the caller's word.
    unsafe { of(model, setup, 0, |model, setup| setup.worst_case(model)) }
}

/// Words of memory of a monitor, with blocks of up to `block` rows. 0 if the handle or the setup is
/// refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_monitor_words(
    model: *const Model,
    setup: *const Setup,
    block: usize,
) -> usize {
    // SAFETY: the caller's word.
    unsafe {
        of(model, setup, 0, |model, setup| words_of(model, block, |block| setup.size(model, block)))
    }
}
