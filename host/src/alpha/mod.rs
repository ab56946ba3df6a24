//! alpha-CROWN: back-substitution with the slopes of its lines optimised for each question.
//!
//! A search of [`crate::slopes`]: projected Adam on each row's bound (Xu et al., "Fast and Complete",
//! 2021), in floats, with intermediate bounds held fixed.
//!
//! A GPU does the same for batches, from CROWN's intermediate bounds (`crate::gpu`).
//!
//! * [`improve`]: of a classifier's margins, for as long as one is open.
//! * [`tighten`]: better bounds of rows over the pre-activations of a layer.
//! * [`margins`]: of a classifier's margins; [`ends`]: of all pre-activations, layer by layer.

mod barrier;
mod lines;
mod search;
mod walk;

use certus_engine::bounds::{Error, Semantics, Work};
use certus_engine::model::Model;

use crate::cpu::Runner;
use crate::slopes::{self, Around, MarginRows, Rows, TOGETHER};
pub(crate) use barrier::Barrier;

/// How slopes are searched for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Steps of Adam.
    pub iterations: usize,
    /// The first step's size, as a share of the slopes' range.
    pub rate: f32,
    /// The same for curved activations, whose bounds are smooth in their slopes: there is a best one
    /// to come close to, not an end of the range to reach.
    pub curved: f32,
    /// By what it shrinks from step to step.
    pub decay: f32,
    /// One set of slopes for all rows, rather than one for each.
    pub shared: bool,
    /// Whether [`improve`] gives up where no slopes can prove what is asked, rather than go on for
    /// margins that are merely better.
    pub give_up: bool,
    /// Whether [`improve`] searches for slopes of pre-activation bounds too, where those of the margins
    /// do not do; off, it climbs the dual of [`crate::offline::lp`]'s LP-LAST.
    pub inside: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let (shared, give_up, inside) = (false, false, true);
        Self { iterations: 20, rate: 0.5, curved: 0.05, decay: 0.98, shared, give_up, inside }
    }
}

/// Multiply-adds that optimising the intermediate bounds of one question may take.
const MOST_WORK: u64 = 20_000_000_000;

/// Raises lower bounds of the margins of `class` until all are above 0, from pre-activation bounds:
/// with slopes searched for; where that does not do, with pre-activation bounds whose slopes were
/// searched for too, if that takes no more than some seconds and [`Settings::inside`] has it. With
/// [`Settings::give_up`], neither where
/// the convex barrier of these relaxations is below 0 (Salman et al., 2019).
///
/// `lower`: in the order of [`certus_engine::spec::Spec::Margins`]. `lo`, `hi`: of all neurons, valid over
/// the region; they may become tighter. What holds is what [`tighten`] says.
///
/// # Errors
/// The engine's. Memory and work: those of [`tighten`], and of [`ends`].
pub fn improve(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    (lo, hi): (&mut [f32], &mut [f32]),
    class: usize,
    lower: &mut [f32],
    settings: &Settings,
) -> Result<Work, Error> {
    let open = |lower: &[f32]| lower.iter().any(|bound| !(*bound > 0.0));
    let model = *runner.model();
    let rows = MarginRows::new(&model, class).filter(|_| settings.give_up);
    let mut barrier = rows
        .as_ref()
        .filter(|_| open(lower))
        .and_then(|rows| Barrier::new(&model, around, (&*lo, &*hi), &rows.matrix));
    let mut work = Work::default();
    if open(lower) && !barrier.as_mut().is_some_and(Barrier::given) {
        work += margins(runner, around, semantics, (&*lo, &*hi), class, lower, 0.0, settings)?;
    }
    if settings.inside
        && open(lower)
        && ends_work(&model, (&*lo, &*hi), settings) <= MOST_WORK
        && !barrier.as_mut().is_some_and(Barrier::any)
    {
        work += ends(runner, around, semantics, (&mut *lo, &mut *hi), settings)?;
        work += margins(runner, around, semantics, (&*lo, &*hi), class, lower, 0.0, settings)?;
    }
    work.product_macs += barrier.map_or(0, |barrier| barrier.macs());
    Ok(work)
}

/// At most what [`ends`] would take: two walks an iteration for both ends of each unstable neuron.
fn ends_work(model: &Model<'_>, (lo, hi): (&[f32], &[f32]), settings: &Settings) -> u64 {
    let (mut from, mut below, mut sum) = (0, 0u64, 0u64);
    for layer in model.layers() {
        let unstable = (0..layer.rows).filter(|i| {
            let ends = lo.get(from + i).zip(hi.get(from + i));
            let activation = layer.activation_of(*i);
            ends.is_some_and(|(lo, hi)| certus_engine::relax::is_unstable(activation, *lo, *hi))
        });
        sum += 4 * unstable.count() as u64 * below;
        below += layer.rows as u64 * layer.cols as u64;
        from += layer.rows;
    }
    sum * settings.iterations as u64
}

/// [`slopes::tighten`] by this search. Memory: the live weights once more, and `rows * neurons` slopes
/// and moments a few times. Work: two products `[rows][live] * [live][live]` a layer and iteration, and
/// the engine's walk.
///
/// # Errors
/// The engine's.
pub fn tighten(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&[f32], &[f32]),
    rows: &mut Rows<'_>,
    settings: &Settings,
) -> Result<Work, Error> {
    slopes::tighten(runner, around, semantics, ends, rows, &mut { *settings })
}

/// [`slopes::margins`] by [`tighten`].
///
/// # Errors
/// The engine's.
pub fn margins(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&[f32], &[f32]),
    class: usize,
    lower: &mut [f32],
    goal: f32,
    settings: &Settings,
) -> Result<Work, Error> {
    slopes::margins(runner, ends, class, lower, goal, &mut |runner, ends, rows| {
        tighten(runner, around, semantics, ends, rows, settings)
    })
}

/// [`slopes::ends`] by [`tighten`].
///
/// # Errors
/// The engine's.
pub fn ends(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&mut [f32], &mut [f32]),
    settings: &Settings,
) -> Result<Work, Error> {
    slopes::ends(runner, ends, &mut |runner, ends, rows| {
        tighten(runner, around, semantics, ends, rows, settings)
    })
}
