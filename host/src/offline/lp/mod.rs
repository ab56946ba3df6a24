//! The layer-wise convex relaxation, solved exactly (paper 004).
//!
//! Every neuron's activation lies between its lower and its upper lines, and a row's least value over
//! all points that meet this is the best that propagation with lines can prove from the same
//! pre-activation bounds: the convex relaxation barrier. A linear program finds it (a conic one for a
//! ball that is not a box). Its multipliers say how much of each line the bound uses; that gives each
//! neuron a slope, and the engine's back-substitution with those slopes is the bound, rounding and all
//! ([`crate::slopes`]). Nothing else of the solver's answer is believed.
//!
//! * LP-LAST: of the margins, from CROWN's pre-activation bounds.
//! * LP-ALL: of both ends of every unstable neuron first, layer by layer.

mod program;
mod solver;

use std::sync::atomic::{AtomicUsize, Ordering};

use certus_engine::bounds::{Error, Semantics, Work};
use certus_engine::relax::{self, LowerSlope};
use rayon::prelude::*;

use crate::alpha::{self, Barrier};
use crate::cpu::Runner;
use crate::slopes::live::{Live, gather};
use crate::slopes::{self, Around, MarginRows, Open, Rows, Search, Slopes};
pub use program::{Cone, Constraints, Program};
pub use solver::{Clarabel, Solution, Solver, Trouble};

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether pre-activation bounds are solved for too, where the margins alone stay open (LP-ALL).
    pub all: bool,
}

/// What a run of programs took, and what went wrong in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Solved {
    /// Programs solved.
    pub programs: u64,
    /// Of them, those that did not end in an optimum.
    pub troubled: u64,
    /// What kept the last of those from it.
    pub trouble: Option<Trouble>,
}

impl std::ops::AddAssign for Solved {
    fn add_assign(&mut self, other: Self) {
        self.programs += other.programs;
        self.troubled += other.troubled;
        self.trouble = other.trouble.or(self.trouble);
    }
}

impl Solved {
    /// Counts a program that ended with or without trouble.
    pub(super) fn add(&mut self, trouble: Option<Trouble>) {
        *self += Self { programs: 1, troubled: u64::from(trouble.is_some()), trouble };
    }
}

/// Where programs stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stand {
    /// The layer whose pre-activations they bound.
    pub layer: usize,
    /// Programs solved of its rows.
    pub done: usize,
    /// How many there are.
    pub of: usize,
    /// The least margin that is proved so far.
    pub margin: f32,
}

/// Is told where programs stand.
pub type Watch<'w> = dyn Fn(Stand) + Sync + 'w;

/// A search that solves a program for each row.
struct Programs<'a> {
    start: &'a Start<'a>,
    watch: &'a Watch<'a>,
    margin: f32,
    /// Whether to end at the first row that cannot come above the goal, the least promising first.
    stop: bool,
    solved: &'a mut Solved,
}

/// Makes a solver for a program.
pub type Start<'s> = dyn Fn(&Program<'_>) -> Box<dyn Solver> + Sync + 's;

/// The default solver.
pub fn clarabel(program: &Program<'_>) -> Box<dyn Solver> {
    Box::new(Clarabel::new(program))
}

/// By how much of its terms' sizes an optimum must be below the goal for the row to be given up.
const SURE: f64 = 1e-6;

/// Slopes of all rows, lower and upper, `[rows][neurons]`.
struct Found(Vec<(Vec<f32>, Vec<f32>)>);

impl Slopes for Found {
    fn of(&self, row: usize) -> (Vec<f32>, Vec<f32>) {
        self.0[row].clone()
    }

    fn macs(&self) -> u64 {
        0
    }
}

impl Search for Programs<'_> {
    fn search(&mut self, open: &Open<'_>) -> impl Slopes {
        let layers = gather(&open.model, open.ends);
        let (rows, crown) = (open.lower.len(), crown(&layers, open.model.neurons()));
        let mut found = vec![crown.clone(); rows];
        let Some(program) = Program::new(&layers, open.around) else { return Found(found) };
        let width = open.model.outputs();
        let (done, watch, margin) = (AtomicUsize::new(0), self.watch, self.margin);
        let layer = layers.len() - 1;
        let one = |solver: &mut Box<dyn Solver>, r: usize| {
            let (objective, constant) = program.objective(&open.matrix[r * width..][..width]);
            let size = objective.iter().fold(constant.abs(), |size, a| size + a.abs());
            let solution = solver.solve(&objective, constant);
            let (mut lower, mut upper) = crown.clone();
            program.slopes(&solution.multipliers, &layers, (&mut lower, &mut upper));
            let done = 1 + done.fetch_add(1, Ordering::Relaxed);
            watch(Stand { layer, done, of: rows, margin });
            let below = f64::from(open.goal) - SURE * size;
            let hopeless = solution.trouble.is_none() && solution.value < below;
            ((lower, upper), solution, hopeless)
        };
        if self.stop {
            let mut order: Vec<usize> = (0..rows).collect();
            order.sort_by(|a, b| open.lower[*a].total_cmp(&open.lower[*b]));
            let mut solver = (self.start)(&program);
            for r in order {
                let (slopes, solution, hopeless) = one(&mut solver, r);
                found[r] = slopes;
                self.solved.add(solution.trouble);
                if hopeless {
                    break;
                }
            }
        } else {
            let each = (0..rows).into_par_iter();
            let each = each.map_init(|| (self.start)(&program), one).collect::<Vec<_>>();
            for (found, (slopes, solution, _)) in found.iter_mut().zip(each) {
                *found = slopes;
                self.solved.add(solution.trouble);
            }
        }
        Found(found)
    }
}

/// CROWN's slopes of all neurons, lower and upper; 0 for those that are not live.
fn crown(layers: &[Live], neurons: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut lower, mut upper) = (vec![0.0; neurons], vec![0.0; neurons]);
    let mut from = 0;
    for layer in layers {
        for (slot, i) in layer.index.iter().enumerate() {
            let (activation, lo, hi) = (layer.activation[slot], layer.lo[slot], layer.hi[slot]);
            let lines = relax::relax(activation, lo, hi, LowerSlope::Adaptive);
            (lower[from + i], upper[from + i]) = (lines.slope_lo, lines.slope_up);
        }
        from += layer.rows;
    }
    (lower, upper)
}

/// [`slopes::tighten`] by a program for each row that is not good enough; what they took is added to
/// `solved`. Memory: a program of the live weights for each thread.
///
/// # Errors
/// The engine's.
pub fn tighten(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&[f32], &[f32]),
    rows: &mut Rows<'_>,
    start: &Start<'_>,
    solved: &mut Solved,
) -> Result<Work, Error> {
    let mut programs =
        Programs { start, watch: &|_| (), margin: f32::NEG_INFINITY, stop: false, solved };
    slopes::tighten(runner, around, semantics, ends, rows, &mut programs)
}

/// Raises lower bounds of the margins of `class` until all are above 0, by programs from
/// pre-activation bounds; with [`Settings::all`] and where that does not do, by programs for the
/// pre-activation bounds themselves first.
///
/// What gradient steps prove without a program is left to them, for they search for the same bounds;
/// and no program is begun where a point of the relaxation shows that none can do.
///
/// `watch` is told of each program that ends. `lower`: in the order of
/// [`certus_engine::spec::Spec::Margins`]. `lo`, `hi`: of all neurons, valid over the region; they may
/// become tighter. What holds is what [`slopes::tighten`] says.
///
/// # Errors
/// The engine's. Memory and work: those of [`slopes::tighten`]; and a program of the live weights for
/// each thread, solved for each row.
pub fn improve(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    (lo, hi): (&mut [f32], &mut [f32]),
    class: usize,
    lower: &mut [f32],
    settings: &Settings,
    start: &Start<'_>,
    watch: &Watch<'_>,
) -> Result<(Work, Solved), Error> {
    let (mut work, mut solved) = (Work::default(), Solved::default());
    let open = |lower: &[f32]| lower.iter().any(|bound| !(*bound > 0.0));
    let model = *runner.model();
    let Some(rows) = MarginRows::new(&model, class).filter(|_| open(lower)) else {
        return Ok((work, solved));
    };
    let steps = alpha::Settings::default();
    // Whether no slopes from these ends, or none from any ends within them, prove all margins.
    let barred = |ends: (&[f32], &[f32]), any: bool, work: &mut Work| {
        let barrier = Barrier::new(&model, around, ends, &rows.matrix);
        barrier.is_some_and(|mut barrier| {
            let barred = if any { barrier.any() } else { barrier.given() };
            work.product_macs += barrier.macs();
            barred
        })
    };
    let last = |runner: &mut Runner<'_>,
                ends: (&[f32], &[f32]),
                lower: &mut [f32],
                solved: &mut Solved|
     -> Result<Work, Error> {
        let mut work = Work::default();
        if barred(ends, false, &mut work) {
            return Ok(work);
        }
        work += alpha::margins(runner, around, semantics, ends, class, lower, 0.0, &steps)?;
        work += slopes::margins(runner, ends, class, lower, 0.0, &mut |runner, ends, rows| {
            let margin = least(rows.lower);
            let mut programs = Programs { start, watch, margin, stop: true, solved };
            slopes::tighten(runner, around, semantics, ends, rows, &mut programs)
        })?;
        Ok(work)
    };
    work += last(runner, (&*lo, &*hi), lower, &mut solved)?;
    if !settings.all || !open(lower) || barred((&*lo, &*hi), true, &mut work) {
        return Ok((work, solved));
    }
    work += alpha::ends(runner, around, semantics, (&mut *lo, &mut *hi), &steps)?;
    work += last(runner, (&*lo, &*hi), lower, &mut solved)?;
    if !open(lower) || barred((&*lo, &*hi), true, &mut work) {
        return Ok((work, solved));
    }
    let (mut given_up, margin) = (false, least(lower));
    let mut more = Work::default();
    work += slopes::ends(runner, (&mut *lo, &mut *hi), &mut |runner, ends, rows| {
        given_up = given_up || barred(ends, true, &mut more);
        if given_up {
            return Ok(Work::default());
        }
        let mut work = alpha::tighten(runner, around, semantics, ends, rows, &steps)?;
        work += pairs(rows, |rows| {
            let (solved, stop) = (&mut solved, false);
            let mut programs = Programs { start, watch, margin, stop, solved };
            slopes::tighten(runner, around, semantics, ends, rows, &mut programs)
        })?;
        Ok(work)
    })?;
    work += more;
    if !given_up {
        work += last(runner, (&*lo, &*hi), lower, &mut solved)?;
    }
    Ok((work, solved))
}

/// The least of some bounds; a NaN is none.
fn least(lower: &[f32]) -> f32 {
    lower.iter().fold(f32::INFINITY, |least, bound| if *bound < least { *bound } else { least })
}

/// Tightens the rows of both ends of each neuron that neither of the two settles.
fn pairs(
    rows: &mut Rows<'_>,
    tighten: impl FnOnce(&mut Rows<'_>) -> Result<Work, Error>,
) -> Result<Work, Error> {
    let width = rows.matrix.len() / rows.lower.len().max(1);
    let settled = |r: usize| rows.lower[r] > rows.goal || rows.lower[r ^ 1] > rows.goal;
    let open: Vec<usize> = (0..rows.lower.len()).filter(|r| !settled(*r)).collect();
    let matrix: Vec<f32> =
        open.iter().flat_map(|r| &rows.matrix[r * width..(r + 1) * width]).copied().collect();
    let mut lower: Vec<f32> = open.iter().map(|r| rows.lower[*r]).collect();
    let Rows { layer, goal, .. } = *rows;
    let work = tighten(&mut Rows { layer, matrix: &matrix, lower: &mut lower, goal })?;
    for (r, bound) in open.iter().zip(&lower) {
        rows.lower[*r] = *bound;
    }
    Ok(work)
}
