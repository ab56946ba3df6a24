//! The semidefinite relaxation (paper 002, equation 7), of any depth.
//!
//! The triangle of a linear program looks at one neuron at a time. Here the unknown is the matrix of all
//! products of quantities, inputs and activations alike; ReLUs are quadratic equations in it, and that
//! it is positive semidefinite ties neurons to one another. It is the tightest relaxation here, and the
//! dearest: work in the cube of the number of neurons.
//!
//! * [`gradient`]: a bound of the gradient by the same means, for comparison.
//! * [`program`]: the quadratic inequalities of a network over a region.
//! * [`mod@interior`]: the default solver.
//! * [`proof`]: what multipliers prove, whoever found them; nothing else of a solver's word counts.

mod dense;
pub mod gradient;
pub mod interior;
pub mod program;
pub mod proof;

use certus_engine::bounds::{Error, Semantics, Work};
use certus_engine::model::Model;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

pub use interior::Interior;
pub use program::{Objective, Program};

use super::lp::{Solved, Trouble};
use crate::cpu::Runner;
use crate::error;
use crate::slopes::{self, Around, Rows};

/// Something that looks for multipliers.
pub trait Solver {
    /// Multipliers that bound the objective well from below. `watch` is told each better bound and its
    /// multipliers, and says whether that is enough.
    fn solve(
        &mut self,
        program: &Program,
        objective: &Objective,
        watch: &mut dyn FnMut(Stand, &Array1<f64>) -> bool,
    ) -> Solution;
}

/// Where a solver stands, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stand {
    /// The bound that its multipliers give.
    pub bound: f64,
    /// A value that no multipliers exceed; infinite where it has none.
    pub value: f64,
}

/// What a solver found.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// One for each form, and the sphere's: any floats.
    pub multipliers: Array1<f64>,
    /// The least value, as far as the solver knows; no bound.
    pub value: f64,
    /// The matrix of products at which that is taken, if there is one.
    pub products: Option<Array2<f64>>,
    /// What kept it from an answer.
    pub trouble: Option<Trouble>,
    /// Multiply-adds that it took.
    pub macs: u64,
}

/// Whether a network has only activations that the program knows.
///
/// # Errors
/// Which it found, and what was expected.
pub fn check(model: &Model<'_>, semantics: Semantics) -> error::Result<()> {
    let last = model.depth() - 1;
    let mut inner = model.layers().take(last).enumerate();
    let Some((k, layer)) = inner.find(|(_, layer)| !program::knows(layer.activation, semantics))
    else {
        return Ok(());
    };
    let expected = match semantics {
        Semantics::Real => "ReLU or leaky ReLU, not steeper below 0",
        Semantics::Deployed => "ReLU, whose value is exact in f32",
    };
    let found = layer.activation.name();
    Err(error::Error::Usage(format!("sdp: layer {k} has {found}, expected {expected}")))
}

/// Makes a solver.
pub type Start = fn() -> Box<dyn Solver>;

/// The default solver.
pub fn interior() -> Box<dyn Solver> {
    Box::new(Interior::default())
}

/// Is told which of how many rows is at what bound and value.
pub type Watch<'w> = dyn Fn(usize, usize, Stand) + Sync + 'w;

/// Rows that are asked about before it is seen whether one of them cannot come above the goal.
const TOGETHER: usize = 2;

/// By how much of its terms' sizes a value must be below the goal for a row to be given up.
const SURE: f64 = 1e-6;

/// Improves the lower bounds of rows that are not good enough, a program for each.
///
/// `rows.lower[r] <= min over the region of C_r z` for the layer's pre-activations z; never lower than
/// before. `ends`: of the pre-activations of all neurons up to that layer at least, valid over the region
/// under `semantics`. `stop`: whether to end at the first row that cannot come above the goal, the least
/// promising first. Activations that are not of two lines, and ends that are not finite, leave everything as
/// it was.
///
/// # Errors
/// A bad region; ends or rows of the wrong length. Memory: 8 bytes times some ten squares of the number of inputs and
/// neurons, for each thread. Work: the cube of the same, some twenty times a row.
pub fn tighten(
    runner: &Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&[f32], &[f32]),
    rows: &mut Rows<'_>,
    (start, stop): (Start, bool),
    watch: &Watch<'_>,
    solved: &mut Solved,
) -> Result<Work, Error> {
    let model = runner.model().up_to(rows.layer).ok_or(Error::Spec)?;
    let neurons = model.neurons();
    let known = ends.0.get(..neurons).zip(ends.1.get(..neurons)).ok_or(Error::Workspace)?;
    let (width, count) = (model.outputs(), rows.lower.len());
    if rows.matrix.len() != count * width {
        return Err(Error::Spec);
    }
    around.region().check(model.inputs())?;
    let goal = rows.goal;
    let mut open: Vec<usize> = (0..count).filter(|r| !(rows.lower[*r] > goal)).collect();
    if open.is_empty() || rows.layer == 0 {
        return Ok(Work::default());
    }
    let Some(program) = Program::new(&model, around, semantics, known) else {
        return Ok(Work::default());
    };
    open.sort_by(|a, b| rows.lower[*a].total_cmp(&rows.lower[*b]));
    let one = |at: usize| {
        let objective = program.objective(&rows.matrix[open[at] * width..][..width]);
        let mut watch = |stand| watch(at, open.len(), stand);
        row(&program, &objective, f64::from(goal), start, &mut watch)
    };
    let mut work = Work::default();
    let mut take = |at: usize, (bound, solution, hopeless): (f32, Solution, bool)| {
        let lower = &mut rows.lower[open[at]];
        *lower = if bound > *lower { bound } else { *lower };
        solved.add(solution.trouble);
        work.product_macs += solution.macs;
        hopeless
    };
    // Two at a time, however many threads there are, so that the same rows are asked about on each.
    let together = if stop { TOGETHER } else { open.len() };
    for first in (0..open.len()).step_by(together) {
        let some = first..open.len().min(first + together);
        let found: Vec<_> = some.clone().into_par_iter().map(one).collect();
        let hopeless = some.zip(found).fold(false, |any, (at, found)| take(at, found) || any);
        if stop && hopeless {
            break;
        }
    }
    Ok(work)
}

/// Solves for one objective until it is above the goal, or cannot come there: the proved bound, what the
/// solver found, and whether it cannot.
fn row(
    program: &Program,
    objective: &Objective,
    goal: f64,
    start: Start,
    watch: &mut dyn FnMut(Stand),
) -> (f32, Solution, bool) {
    let (mut best, mut hopeless) = (f64::NEG_INFINITY, false);
    let solution = start().solve(program, objective, &mut |stand, multipliers| {
        watch(stand);
        hopeless = goal.is_finite() && stand.value < goal - SURE * objective.size;
        if stand.bound > goal {
            best = best.max(proof::lower(program, objective, multipliers));
        }
        hopeless || best > goal
    });
    if !(best > goal) {
        best = best.max(proof::lower(program, objective, &solution.multipliers));
    }
    (proof::narrow(best), solution, hopeless)
}

/// Raises lower bounds of the margins of `class` until all are above 0 or one cannot come there.
///
/// `lower`: in the order of [`certus_engine::spec::Spec::Margins`]. What holds is what [`tighten`] says;
/// `ends`: of all neurons.
///
/// # Errors
/// As [`tighten`]; so are memory and work.
pub fn improve(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&[f32], &[f32]),
    class: usize,
    lower: &mut [f32],
    start: Start,
    watch: &Watch<'_>,
) -> Result<(Work, Solved), Error> {
    let mut solved = Solved::default();
    let work = slopes::margins(runner, ends, class, lower, 0.0, &mut |runner, ends, rows| {
        tighten(runner, around, semantics, ends, rows, (start, true), watch, &mut solved)
    })?;
    Ok((work, solved))
}
