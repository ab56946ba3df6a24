//! Bounds by slopes that something searched for.
//!
//! Any slopes give valid lines once their intercepts are certified (`soundness.md` 4), so slopes may
//! be found in any way: by gradient steps ([`crate::alpha`]), or as the multipliers of a solver
//! ([`crate::offline`]). They go through the engine once, and only its word counts: a search that went
//! wrong loses tightness, never soundness.
//!
//! * [`tighten`]: better bounds of rows over the pre-activations of a layer.
//! * [`margins`]: of a classifier's margins; [`ends`]: of all pre-activations, layer by layer.

pub(crate) mod live;

use certus_engine::bounds::{Error, Given, Method, Options, OwnSlopes, Semantics, Work};
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use certus_engine::relax;
use certus_engine::spec::Spec;

use crate::cpu::Runner;

/// The set of inputs: a ball, cut by a box if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The centre.
    pub center: &'a [f32],
    /// The radius.
    pub epsilon: f64,
    /// The norm.
    pub norm: Norm,
    /// The box.
    pub clip: Option<(&'a [f32], &'a [f32])>,
}

impl<'a> Around<'a> {
    /// For the engine.
    pub fn region(&self) -> Region<'a> {
        match self.clip {
            Some((lo, hi)) => Region::ball_in_box(self.center, self.epsilon, self.norm, lo, hi),
            None => Region::ball(self.center, self.epsilon, self.norm),
        }
    }
}

/// Rows over the pre-activations of a layer, and what is known of them.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The layer.
    pub layer: usize,
    /// Coefficients, `[rows][neurons of the layer]`.
    pub matrix: &'a [f32],
    /// Lower bounds, one a row; they become better ones.
    pub lower: &'a mut [f32],
    /// A bound above this is good enough.
    pub goal: f32,
}

/// Rows that are not good enough yet, as a search sees them.
#[derive(Debug)]
pub struct Open<'a> {
    /// The network up to their layer, whose outputs are that layer's pre-activations.
    pub model: Model<'a>,
    /// The inputs.
    pub around: &'a Around<'a>,
    /// Ends of the pre-activations of all neurons of `model`.
    pub ends: (&'a [f32], &'a [f32]),
    /// Coefficients, `[rows][outputs]`.
    pub matrix: &'a [f32],
    /// The bounds that are known.
    pub lower: &'a [f32],
    /// A bound above this is good enough.
    pub goal: f32,
}

/// What searches for slopes.
pub trait Search {
    /// Looks for slopes that bound the rows well.
    fn search(&mut self, open: &Open<'_>) -> impl Slopes;
}

/// Slopes that were found.
pub trait Slopes {
    /// Whether all rows share those of row 0.
    fn shared(&self) -> bool {
        false
    }

    /// Slopes of the lower and the upper lines of all neurons, for a row: any floats.
    fn of(&self, row: usize) -> (Vec<f32>, Vec<f32>);

    /// Multiply-adds that the search took.
    fn macs(&self) -> u64;
}

/// Rows whose slopes go through the engine in one call.
pub(crate) const TOGETHER: usize = 256;

/// What improves the lower bounds of rows, from ends of all pre-activations: [`tighten`] by a search,
/// or by one after the other.
pub type Tighten<'a> =
    dyn FnMut(&mut Runner<'_>, (&[f32], &[f32]), &mut Rows<'_>) -> Result<Work, Error> + 'a;

/// Improves the lower bounds of some rows.
///
/// `rows.lower[r] <= min over the region of C_r z` for the layer's pre-activations z, as
/// [`certus_engine::bounds::lower_bounds`] means it under `semantics`; never lower than before.
/// `ends`: of the pre-activations of all neurons up to that layer at least, valid over the region.
///
/// # Errors
/// The engine's. Memory: two slopes for each of 256 rows and each neuron, and the search's. Work: the
/// search's, and the engine's walk.
pub fn tighten<S: Search>(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&[f32], &[f32]),
    rows: &mut Rows<'_>,
    search: &mut S,
) -> Result<Work, Error> {
    let model = runner.model().up_to(rows.layer).ok_or(Error::Spec)?;
    let neurons = model.neurons();
    let known = ends.0.get(..neurons).zip(ends.1.get(..neurons)).ok_or(Error::Workspace)?;
    let width = model.outputs();
    let count = rows.lower.len();
    if rows.matrix.len() != count * width {
        return Err(Error::Spec);
    }
    let mut work = Work::default();
    let open: Vec<usize> = (0..count).filter(|r| !(rows.lower[*r] > rows.goal)).collect();
    if open.is_empty() || rows.layer == 0 {
        return Ok(work);
    }
    let matrix: Vec<f32> =
        open.iter().flat_map(|r| &rows.matrix[r * width..(r + 1) * width]).copied().collect();
    let lower: Vec<f32> = open.iter().map(|r| rows.lower[*r]).collect();
    let goal = rows.goal;
    let asked = Open { model, around, ends: known, matrix: &matrix, lower: &lower, goal };
    let found = search.search(&asked);
    work.product_macs += found.macs();
    let region = around.region();
    let mut out = Vec::new();
    if found.shared() {
        let spec = Spec::Rows { matrix: &matrix, rows: open.len() };
        let (lower, upper) = found.of(0);
        let given = Given { ends: Some(known), slopes: Some((&lower, &upper)) };
        let options = Options { semantics, ..Options::new(Method::Crown) };
        let layer = Some(rows.layer);
        work += runner.lower_bounds_given(&region, &spec, &options, &given, layer, &mut out)?.work;
    } else {
        // Some at a time: their slopes take a float each for every neuron.
        let mut some = Vec::new();
        for first in (0..open.len()).step_by(TOGETHER) {
            let these = first..open.len().min(first + TOGETHER);
            let matrix = &matrix[first * width..these.end * width];
            let spec = Spec::Rows { matrix, rows: these.len() };
            let (lower, upper): (Vec<_>, Vec<_>) = these.map(|row| found.of(row)).unzip();
            let (lower, upper) = (lower.concat(), upper.concat());
            let own = OwnSlopes { ends: known, lower: &lower, upper: &upper };
            work +=
                runner.lower_bounds_own(&region, &spec, semantics, &own, rows.layer, &mut some)?;
            out.extend_from_slice(&some);
        }
    }
    for (r, bound) in open.iter().zip(&out) {
        let lower = &mut rows.lower[*r];
        *lower = if *bound > *lower { *bound } else { *lower };
    }
    Ok(work)
}

/// Improves the lower bounds of the margins of `class`, as [`Spec::Margins`] orders them, until all
/// are above `goal`.
///
/// # Errors
/// As `tighten`.
pub fn margins(
    runner: &mut Runner<'_>,
    ends: (&[f32], &[f32]),
    class: usize,
    lower: &mut [f32],
    goal: f32,
    tighten: &mut Tighten<'_>,
) -> Result<Work, Error> {
    let model = *runner.model();
    let Some(MarginRows { matrix, count, own }) = MarginRows::new(&model, class) else {
        // Margins are of the outputs, not of what goes into an activation that bends them.
        return Ok(Work::default());
    };
    if lower.len() != count {
        return Err(Error::Spec);
    }
    let mut found = lower.to_vec();
    found.resize(count + usize::from(own), f32::NEG_INFINITY);
    let mut rows = Rows { layer: model.depth() - 1, matrix: &matrix, lower: &mut found, goal };
    let work = tighten(runner, ends, &mut rows)?;
    let most = if own { found[count] } else { f32::INFINITY };
    for (lower, found) in lower.iter_mut().zip(&found) {
        let bound = if *found < most { *found } else { most };
        *lower = if bound > *lower { bound } else { *lower };
    }
    Ok(work)
}

/// The margins of a class as rows over the last layer's pre-activations.
pub(crate) struct MarginRows {
    /// `[rows][outputs]`, the margins first, as [`Spec::Margins`] orders them.
    pub matrix: Vec<f32>,
    /// How many margins there are.
    pub count: usize,
    /// Whether the class's own output follows them, which must be positive too where outputs are cut
    /// off at 0.
    pub own: bool,
}

impl MarginRows {
    /// If margins can be bounded before the last activation.
    pub fn new(model: &Model<'_>, class: usize) -> Option<Self> {
        let layer = model.layer(model.depth() - 1)?;
        let own = match layer.activation {
            Activation::Identity => false,
            Activation::Relu if layer.through == 0 => true,
            _ => return None,
        };
        let (spec, outputs) = (Spec::Margins { class }, model.outputs());
        let count = spec.count(outputs);
        let matrix = (0..count + usize::from(own))
            .flat_map(|r| (0..outputs).map(move |j| spec.coefficient(r, j, outputs)))
            .collect();
        Some(Self { matrix, count, own })
    }
}

/// Improves the ends of all pre-activations that are not settled, layer by layer: as rows, the lower
/// end and the negated upper one of each such neuron in turn.
///
/// # Errors
/// As `tighten`; the memory is that of two rows for each such neuron of a layer.
pub fn ends(
    runner: &mut Runner<'_>,
    (lo, hi): (&mut [f32], &mut [f32]),
    tighten: &mut Tighten<'_>,
) -> Result<Work, Error> {
    let model = *runner.model();
    let mut work = Work::default();
    let mut from = model.rows(0);
    for (k, layer) in model.layers().enumerate().skip(1) {
        if layer.activation != Activation::Identity {
            let unstable: Vec<usize> = (0..layer.rows)
                .filter(|i| {
                    let activation = layer.activation_of(*i);
                    relax::is_unstable(activation, lo[from + i], hi[from + i])
                })
                .collect();
            let mut matrix = vec![0.0; 2 * unstable.len() * layer.rows];
            let mut lower = Vec::with_capacity(2 * unstable.len());
            for (r, i) in unstable.iter().enumerate() {
                matrix[2 * r * layer.rows + i] = 1.0;
                matrix[(2 * r + 1) * layer.rows + i] = -1.0;
                lower.extend([lo[from + i], -hi[from + i]]);
            }
            // An end that has reached 0 settles a ReLU; others can always be better.
            let two_lines = layer.leak().is_some();
            let goal = if two_lines { 0.0 } else { f32::INFINITY };
            let mut rows = Rows { layer: k, matrix: &matrix, lower: &mut lower, goal };
            work += tighten(runner, (&*lo, &*hi), &mut rows)?;
            for (i, ends) in unstable.iter().zip(lower.chunks_exact(2)) {
                (lo[from + i], hi[from + i]) = (ends[0], -ends[1]);
            }
        }
        from += layer.rows;
    }
    Ok(work)
}
