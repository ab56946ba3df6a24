//! The run-time monitor as a handle.

use core::ptr::null;

use certus_engine::monitor;

use crate::memory::{Room, Span, apart, array, value};
use crate::model::{Model, get, seal};
use crate::setup::{Setup, spans};
use crate::status::{Status, status};

/// A monitor: `certus_v1_monitor_init` makes it. To be kept where it was made.
#[repr(C)]
#[derive(Debug)]
pub struct Monitor {
    /// Not to be read or written.
    pub opaque: [u64; 32],
    /// Not to be read or written.
    pub opaque_words: [usize; 24],
}

/// What lies in a [`Monitor`].
#[repr(C)]
struct Inner {
    seal: u64,
    memory: Span,
    monitor: monitor::Monitor<'static>,
}

const _: () = assert!(size_of::<Inner>() <= size_of::<Monitor>());
const _: () = assert!(align_of::<Inner>() <= align_of::<Monitor>());

const KIND: [u8; 8] = *b"certus1k";

/// Whose commands go out.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The fallback's.
    Fallback = 0,
    /// The network's.
    Network = 1,
}

/// What is known of a tick. Only CERTUS_V1_VERDICT_CERTIFIED is a proof.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The input cannot be used, or the rule is broken; `fault` says which.
    Violated = 0,
    /// For every state within the sensor error of the input the network keeps the rule.
    Certified = 1,
    /// The outputs at the input keep the rule; within the sensor error it is not proved.
    Marginal = 2,
    /// No valid input for longer than the setup allows before this one, or none ever.
    Stale = 3,
}

/// What is wrong.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None = 0,
    /// The input has another number of entries than the model has inputs, or could not be read.
    Width = 1,
    /// The input `fault_input` is NaN or infinite.
    NotFinite = 2,
    /// The input `fault_input` is outside its range.
    Range = 3,
    /// The network's own outputs, as computed, do not keep the rule or are not finite.
    Output = 4,
    /// Proved: for every state within the sensor error an output is outside its limits.
    Everywhere = 5,
    /// The memory is too small; cannot happen, being checked when the monitor is made.
    Memory = 6,
    /// There was no tick: the handle was refused.
    Call = 7,
}

/// What gave a verdict.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Nothing.
    None = 0,
    /// Intervals.
    Ibp = 1,
    /// Intervals, and one walk back of the rule's rows.
    CrownIbp = 2,
    /// The simplex certificate.
    Simplex = 3,
    /// CROWN.
    Crown = 4,
    /// The table of regions that were certified beforehand.
    Regions = 5,
}

/// In place of an input or a class where there is none.
pub const CERTUS_V1_NONE: u32 = u32::MAX;

/// What a tick gives.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// What to send: the network's outputs, or the fallback. To be read before the monitor's next tick;
    /// NULL only if there was no tick.
    pub command: *const f32,
    /// Its entries.
    pub outputs: usize,
    /// Multiply-adds of this tick, at most `certus_v1_worst_case`.
    pub work: u64,
    /// Whose command that is.
    pub mode: Mode,
    /// What is known of the network's outputs, whichever command goes out.
    pub verdict: Verdict,
    /// What is wrong, if violated.
    pub fault: Fault,
    /// Which input that is, or CERTUS_V1_NONE.
    pub fault_input: u32,
    /// For a rule on classes the class of the outputs, else CERTUS_V1_NONE.
    pub label: u32,
    /// What gave the verdict, if certified, or found the limits broken everywhere.
    pub by: Means,
    /// The largest part or multiple of the sensor error that was certified, 0 if none was.
    pub scale: f32,
    /// Ticks without a certificate up to this one, one after the other.
    pub misses: u32,
}

/// How many ticks ended how; a count stays at its largest value.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Certified.
    pub certified: u32,
    /// Marginal.
    pub marginal: u32,
    /// Violated.
    pub violated: u32,
    /// Stale.
    pub stale: u32,
    /// Ticks in which the fallback went out.
    pub fallback: u32,
    /// Most misses one after the other.
    pub longest: u32,
}

const NO_TICK: Report = Report {
    command: null(),
    outputs: 0,
    work: 0,
    mode: Mode::Fallback,
    verdict: Verdict::Violated,
    fault: Fault::Call,
    fault_input: CERTUS_V1_NONE,
    label: CERTUS_V1_NONE,
    by: Means::None,
    scale: 0.0,
    misses: 0,
};

/// An index as C gets it; widths are below 2^20 + 1.
fn index(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(CERTUS_V1_NONE)
}

impl Report {
    /// The engine's report.
    fn of(report: &monitor::Report<'_>) -> Self {
        let (verdict, fault, fault_input) = match report.verdict {
            monitor::Verdict::Certified => (Verdict::Certified, Fault::None, CERTUS_V1_NONE),
            monitor::Verdict::Marginal => (Verdict::Marginal, Fault::None, CERTUS_V1_NONE),
            monitor::Verdict::Stale => (Verdict::Stale, Fault::None, CERTUS_V1_NONE),
            monitor::Verdict::Violated(fault) => {
                let (fault, input) = match fault {
                    monitor::Fault::Width => (Fault::Width, CERTUS_V1_NONE),
                    monitor::Fault::NotFinite(i) => (Fault::NotFinite, index(i)),
                    monitor::Fault::Range(i) => (Fault::Range, index(i)),
                    monitor::Fault::Output => (Fault::Output, CERTUS_V1_NONE),
                    monitor::Fault::Everywhere => (Fault::Everywhere, CERTUS_V1_NONE),
                    monitor::Fault::Memory => (Fault::Memory, CERTUS_V1_NONE),
                };
                (Verdict::Violated, fault, input)
            }
        };
        Self {
            command: report.command.as_ptr(),
            outputs: report.command.len(),
            work: report.work,
            mode: mode(report.mode),
            verdict,
            fault,
            fault_input,
            label: report.class.map_or(CERTUS_V1_NONE, index),
            by: match report.by {
                None => Means::None,
                Some(monitor::Means::Ibp) => Means::Ibp,
                Some(monitor::Means::CrownIbp) => Means::CrownIbp,
                Some(monitor::Means::Simplex) => Means::Simplex,
                Some(monitor::Means::Crown) => Means::Crown,
                Some(monitor::Means::Regions) => Means::Regions,
            },
            scale: report.scale,
            misses: report.misses,
        }
    }
}

fn mode(mode: monitor::Mode) -> Mode {
    match mode {
        monitor::Mode::Network => Mode::Network,
        monitor::Mode::Fallback => Mode::Fallback,
    }
}

/// Makes a monitor that begins in fallback.
///
/// `memory`: `words` words, at least `certus_v1_monitor_words` with a block of 1; they stay where they
/// are, and are the monitor's own, as long as it is used. So do the model's blob and the setup's
/// arrays; the model's handle and the setup itself need not stay.
/// Errors: why the handle, the memory or the setup is refused; the monitor is then no monitor, but
/// where it overlaps what it should be made of: it is then left as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_monitor_init(
    monitor: *mut Monitor,
    model: *const Model,
    setup: *const Setup,
    memory: *mut u32,
    words: usize,
) -> Status {
    // SAFETY: each is the caller's word, see the crate.
    status(unsafe { init(monitor, model, setup, memory, words, false) })
}

/// Makes a monitor as `certus_v1_monitor_init` does, which asks the table of certified regions in the
/// model's blob first.
///
/// Errors: those of `certus_v1_monitor_init`, also where the blob has no table, or one that proves less
/// than the setup asks. Memory and worst case are the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_monitor_init_regions(
    monitor: *mut Monitor,
    model: *const Model,
    setup: *const Setup,
    memory: *mut u32,
    words: usize,
) -> Status {
    // SAFETY: each is the caller's word, see the crate.
    status(unsafe { init(monitor, model, setup, memory, words, true) })
}

/// Makes a monitor, with the model's table of regions if that is asked for.
///
/// # Errors
/// Those of [`certus_v1_monitor_init_regions`].
///
/// # Safety
/// Each pointer is the caller's word, see the crate.
unsafe fn init(
    monitor: *mut Monitor,
    model: *const Model,
    setup: *const Setup,
    memory: *mut u32,
    words: usize,
    regions: bool,
) -> Result<(), Status> {
    // SAFETY: the caller's word.
    unsafe {
        let own = Span::new(monitor, 1)?;
        let inner = monitor.cast::<Inner>();
        let asked = || {
            let (model, places) = get(model)?;
            let setup_at = Span::new(setup, 1)?;
            let setup = value(setup)?.read()?;
            let memory = Room::new(memory, words)?;
            Ok::<_, Status>((model, places, setup_at, setup, memory))
        };
        let asked = asked();
        if let Ok((_, [handle, blob], setup_at, setup, memory)) = &asked {
            let [a, b, c, d, e, f, g] = spans(setup);
            apart(&[own], &[memory.span, *handle, *blob, *setup_at, a, b, c, d, e, f, g])?;
        }
        // What was a monitor is none, until it is one again.
        (&raw mut (*inner).seal).write(0);
        let (model, [handle, blob], setup_at, mut setup, memory) = asked?;
        if regions {
            setup.regions = Some(model.regions().ok_or(Status::SetupNoRegions)?);
        }
        let (span, [a, b, c, d, e, f, g]) = (memory.span, spans(&setup));
        apart(&[span], &[handle, blob, setup_at, a, b, c, d, e, f, g])?;
        let memory = memory.divide(&model, |block| setup.size(&model, block))?;
        let made = monitor::Monitor::new(model, setup, memory)?;
        inner.write(Inner { seal: seal(KIND, monitor), memory: span, monitor: made });
        Ok(())
    }
}

/// What lies in a handle, made where it is.
///
/// # Errors
/// [`Status::Handle`], and those of [`Span::new`].
///
/// # Safety
/// If the pointer passes the check, there is a handle, made or not.
unsafe fn open(handle: *const Monitor) -> Result<*const Inner, Status> {
    Span::new(handle, 1)?;
    let inner = handle.cast::<Inner>();
    // SAFETY: not NULL, aligned, and large enough; any bits are a number.
    let found = unsafe { (&raw const (*inner).seal).read() };
    if found == seal(KIND, handle) { Ok(inner) } else { Err(Status::Handle) }
}

/// One tick: judges the input measured at `now`, in ticks of a clock that may wrap, and says what to
/// send.
///
/// Errors: if `report` or the handle is refused there was no tick, and the report, if it can be
/// written, says CERTUS_V1_FAULT_CALL. If `x` is refused there was a tick with an input of the wrong
/// width, so that the fallback goes out; the status tells why.
/// Work: in the report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_monitor_check(
    monitor: *mut Monitor,
    x: *const f32,
    inputs: usize,
    now: u32,
    report: *mut Report,
) -> Status {
    // SAFETY: each is the caller's word, see the crate.
    let tick = || unsafe {
        let room = Room::new(report, 1)?;
        let none = |_: &Status| room.fill(NO_TICK);
        let own = Span::new(monitor, 1).inspect_err(none)?;
        apart(&[room.span], &[own])?;
        let inner = &mut *open(monitor).inspect_err(none)?.cast_mut();
        apart(&[room.span], &[inner.memory])?;
        let input = array(x, inputs).and_then(|x| {
            apart(&[room.span, inner.memory, own], &[Span::of(x)])?;
            Ok(x)
        });
        let found = inner.monitor.check(input.unwrap_or(&[]), now);
        room.fill(Report::of(&found));
        input.map(|_| ())
    };
    status(tick())
}

/// Whose commands go out; the fallback's if the handle is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_monitor_mode(monitor: *const Monitor) -> Mode {
    // SAFETY: the caller's word; a monitor lies where one was made.
    unsafe { open(monitor).map_or(Mode::Fallback, |inner| mode((*inner).monitor.mode())) }
}

/// How many ticks ended how since the monitor was made; all 0 if the handle is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_monitor_counters(
    monitor: *const Monitor,
    counters: *mut Counters,
) -> Status {
    // SAFETY: each is the caller's word, see the crate.
    let read = || unsafe {
        let room = Room::new(counters, 1)?;
        let none =
            Counters { certified: 0, marginal: 0, violated: 0, stale: 0, fallback: 0, longest: 0 };
        let own = Span::new(monitor, 1).inspect_err(|_| room.fill(none))?;
        apart(&[room.span], &[own])?;
        let inner = &*open(monitor).inspect_err(|_| room.fill(none))?;
        apart(&[room.span], &[inner.memory])?;
        let counters = *inner.monitor.counters();
        room.fill(Counters {
            certified: counters.certified,
            marginal: counters.marginal,
            violated: counters.violated,
            stale: counters.stale,
            fallback: counters.fallback,
            longest: counters.longest,
        });
        Ok(())
    };
    status(read())
}
