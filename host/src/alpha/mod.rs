//! alpha-CROWN: back-substitution with the slopes of its lines optimised for each question.
//!
//! Any slopes give valid lines once their intercepts are certified (`soundness.md` 4), so slopes may
//! be searched for in any way. Here: projected Adam on each row's bound (Xu et al., "Fast and
//! Complete", 2021), in floats, with intermediate bounds held fixed. The slopes that did best go
//! through the engine once, and only its word counts: a search that went wrong loses tightness, never
//! soundness.
//!
//! A GPU does the same for batches, from CROWN's intermediate bounds (`crate::gpu`).
//!
//! * [`improve`]: of a classifier's margins, for as long as one is open.
//! * [`tighten`]: better bounds of rows over the pre-activations of a layer.
//! * [`margins`]: of a classifier's margins; [`ends`]: of all pre-activations, layer by layer.

mod barrier;
mod layers;
mod lines;
mod search;
mod walk;

use certus_engine::bounds::{Error, Given, Method, Options, OwnSlopes, Semantics, Work};
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;

use crate::cpu::Runner;
use barrier::Barrier;
use search::Search;

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
}

impl Default for Settings {
    fn default() -> Self {
        Self { iterations: 20, rate: 0.5, curved: 0.05, decay: 0.98, shared: false, give_up: false }
    }
}

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

/// Rows whose slopes go through the engine in one call.
const TOGETHER: usize = 256;

/// Multiply-adds that optimising the intermediate bounds of one question may take.
const MOST_WORK: u64 = 20_000_000_000;

/// Raises lower bounds of the margins of `class` until all are above 0, from pre-activation bounds:
/// with slopes searched for; where that does not do, with pre-activation bounds whose slopes were
/// searched for too, if that takes no more than some seconds. With [`Settings::give_up`], neither where
/// the convex barrier of these relaxations is below 0 (Salman et al., 2019).
///
/// `lower`: in the order of [`Spec::Margins`]. `lo`, `hi`: of all neurons, valid over the region; they
/// may become tighter. What holds is what [`tighten`] says.
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
    if open(lower)
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

/// Improves the lower bounds of some rows.
///
/// `rows.lower[r] <= min over the region of C_r z` for the layer's pre-activations z, as
/// [`certus_engine::bounds::lower_bounds`] means it under `semantics`; never lower than before.
/// `ends`: of the pre-activations of all neurons up to that layer at least, valid over the region.
///
/// # Errors
/// The engine's. Memory: the live weights once more, and `rows * neurons` slopes and moments a few
/// times. Work: two products `[rows][live] * [live][live]` a layer and iteration, and the engine's
/// walk.
pub fn tighten(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    ends: (&[f32], &[f32]),
    rows: &mut Rows<'_>,
    settings: &Settings,
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
    let mut search = Search::new(&model, around, known, &matrix, settings);
    search.run(rows.goal);
    work.product_macs += search.macs();
    let region = around.region();
    let mut out = Vec::new();
    if settings.shared {
        let spec = Spec::Rows { matrix: &matrix, rows: open.len() };
        let (lower, upper) = search.slopes(0, neurons);
        let given = Given { ends: Some(known), slopes: Some((&lower, &upper)) };
        let options = Options { semantics, ..Options::new(Method::Crown) };
        let layer = Some(rows.layer);
        work += runner.lower_bounds_given(&region, &spec, &options, &given, layer, &mut out)?.work;
    } else {
        // Some at a time: their slopes take a float each for every neuron.
        let mut some = Vec::new();
        for first in (0..open.len()).step_by(TOGETHER) {
            let sets = first..open.len().min(first + TOGETHER);
            let matrix = &matrix[first * width..sets.end * width];
            let spec = Spec::Rows { matrix, rows: sets.len() };
            let (lower, upper): (Vec<_>, Vec<_>) =
                sets.map(|set| search.slopes(set, neurons)).unzip();
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
/// As [`tighten`].
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
    let work = tighten(runner, around, semantics, ends, &mut rows, settings)?;
    let most = if own { found[count] } else { f32::INFINITY };
    for (lower, found) in lower.iter_mut().zip(&found) {
        let bound = if *found < most { *found } else { most };
        *lower = if bound > *lower { bound } else { *lower };
    }
    Ok(work)
}

/// The margins of a class as rows over the last layer's pre-activations.
struct MarginRows {
    /// `[rows][outputs]`, the margins first, as [`Spec::Margins`] orders them.
    matrix: Vec<f32>,
    /// How many margins there are.
    count: usize,
    /// Whether the class's own output follows them, which must be positive too where outputs are cut
    /// off at 0.
    own: bool,
}

impl MarginRows {
    /// If margins can be bounded before the last activation.
    fn new(model: &Model<'_>, class: usize) -> Option<Self> {
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

/// Improves the ends of all pre-activations that are not settled, layer by layer, each by slopes of
/// its own.
///
/// # Errors
/// As [`tighten`]; the memory is that of two rows for each such neuron of a layer.
pub fn ends(
    runner: &mut Runner<'_>,
    around: &Around<'_>,
    semantics: Semantics,
    (lo, hi): (&mut [f32], &mut [f32]),
    settings: &Settings,
) -> Result<Work, Error> {
    let model = *runner.model();
    let mut work = Work::default();
    let mut from = model.rows(0);
    for (k, layer) in model.layers().enumerate().skip(1) {
        if layer.activation != Activation::Identity {
            let unstable: Vec<usize> = (0..layer.rows)
                .filter(|i| {
                    let activation = layer.activation_of(*i);
                    certus_engine::relax::is_unstable(activation, lo[from + i], hi[from + i])
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
            work += tighten(runner, around, semantics, (&*lo, &*hi), &mut rows, settings)?;
            for (i, ends) in unstable.iter().zip(lower.chunks_exact(2)) {
                (lo[from + i], hi[from + i]) = (ends[0], -ends[1]);
            }
        }
        from += layer.rows;
    }
    Ok(work)
}
