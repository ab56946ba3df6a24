//! The whole computation: forward through the layers, then the specification back.

use super::arithmetic::Arithmetic;
use super::choice::{self, Carry};
use super::interval::{self, Feed, Masses};
use super::linear::{Input, Linear};
use super::neurons::Task;
use super::state::State;
use super::walk::{Block, Sides};
use super::workspace::{Arena, Workspace};
use super::{Error, Method, Options, Work};
use crate::model::{Activation, Model, Row};
use crate::num::{Rounding, better_lower, sub_down};
use crate::region::{Reach, Region};
use crate::relax::LowerSlope;
use crate::spec::Spec;

/// Working memory beside the [`State`].
pub(super) struct Scratch<'w> {
    /// Midpoints and radii of the box around the region.
    pub input: (&'w mut [f32], &'w mut [f32]),
    /// Midpoints of the activations last computed, all neurons.
    pub mid: &'w mut [f32],
    /// Their radii.
    pub rad: &'w mut [f32],
    /// Masses of the layer at hand.
    pub masses: Masses<'w>,
    /// Neurons to back-substitute.
    pub candidates: &'w mut [u32],
    /// Neurons of the block; its length is the block's capacity.
    pub index: &'w mut [u32],
    /// The rows.
    pub block: Block<'w>,
    /// Functions carried forward, while they are.
    pub linear: Option<Linear<'w>>,
}

/// What [`lower_bounds`] found beside the bounds themselves.
#[derive(Debug)]
pub struct Bounds<'w> {
    /// Counted work.
    pub work: Work,
    /// Lower ends of all pre-activations, layer after layer. Ends of neurons known to be stable
    /// may be looser than [`Options::every_neuron`] would make them.
    pub lo: &'w [f32],
    /// Upper ends.
    pub hi: &'w [f32],
}

/// What the caller knows or chooses beforehand; all slices have one entry for each neuron, layer
/// after layer as in [`Bounds`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// Lower and upper ends of the pre-activations over the region or a larger one, under the same
    /// semantics. They are intersected with the interval step's, and no neuron is back-substituted.
    pub ends: Option<(&'a [f32], &'a [f32])>,
    /// Slopes of the lower and the upper lines, see [`crate::relax::relax_with`]; any are valid.
    pub slopes: Option<(&'a [f32], &'a [f32])>,
}

/// Lower bounds of the rows of `spec` over `region`.
///
/// `out[r] <= min over x in region of C_r f(x)`, with f the stored network in real arithmetic and,
/// within their error fields, the network it was made from; under deployed semantics also f as
/// [`super::forward`] computes it. `-inf` where there is no bound, never NaN. By intervals
/// ([`Method::Ibp`]) or by CROWN's back-substitution (paper 003, theorem 3.2 and corollary 3.3;
/// for Fast-Lin paper 004's LP-greedy).
///
/// Margins of a network that ends in a ReLU are bounded before it: `relu(z_c) - relu(z_j) >=
/// min(z_c - z_j, z_c)`, with equality where it is positive, so nothing is relaxed there.
///
/// # Errors
/// [`Error`]; nothing is written to `out` that is not a bound.
///
/// Memory: `workspace`, at least [`super::Size::of`] with any block; a longer one makes the blocks
/// larger. Work: returned.
pub fn lower_bounds<'w, A: Arithmetic>(
    arith: &mut A,
    model: &Model<'_>,
    region: &Region<'_>,
    spec: &Spec<'_>,
    options: &Options,
    workspace: Workspace<'w>,
    out: &mut [f32],
) -> Result<Bounds<'w>, Error> {
    lower_bounds_given(arith, model, region, spec, options, &Given::default(), workspace, out)
}

/// [`lower_bounds`] from what is given: intermediate bounds of an earlier call, slopes of a search.
///
/// # Errors
/// As [`lower_bounds`]; [`Error::Workspace`] also if a slice of `given` does not have an entry for
/// each neuron.
pub fn lower_bounds_given<'w, A: Arithmetic>(
    arith: &mut A,
    model: &Model<'_>,
    region: &Region<'_>,
    spec: &Spec<'_>,
    options: &Options,
    given: &Given<'_>,
    workspace: Workspace<'w>,
    out: &mut [f32],
) -> Result<Bounds<'w>, Error> {
    let fits = |pair: &(&[f32], &[f32])| {
        pair.0.len() == model.neurons() && pair.1.len() == model.neurons()
    };
    if !(given.ends.iter().all(fits) && given.slopes.iter().all(fits)) {
        return Err(Error::Workspace);
    }
    region.check(model.inputs())?;
    if !spec.fits(model.outputs()) {
        return Err(Error::Spec);
    }
    let rows = spec.count(model.outputs());
    let out = out.get_mut(..rows).ok_or(Error::Workspace)?;
    out.fill(f32::NEG_INFINITY);
    let (mut state, mut scratch) = carve(model, options, workspace).ok_or(Error::Workspace)?;
    let mut work = Work { dense_macs: dense_macs(model, options.method, rows), ..Work::default() };
    region.enclose(scratch.input.0, scratch.input.1);
    let last = model.depth() - 1;
    let rectified = matches!(spec, Spec::Margins { .. })
        && model.layer(last).is_some_and(|l| l.activation == Activation::Relu && l.through == 0);

    let linear =
        rectified || model.layer(last).is_some_and(|l| l.activation == Activation::Identity);
    let mut carry = Carry::new(model, region, options, given, linear);
    for k in 0..model.depth() {
        let Some(mut layer) = model.layer(k) else { break };
        if rectified && k == last {
            layer.activation = Activation::Identity;
        }
        let feed = if k == 0 {
            Feed { region: Some(region), mid: scratch.input.0, rad: scratch.input.1 }
        } else {
            let mid = scratch.mid.get(..layer.cols).ok_or(Error::Workspace)?;
            let rad = scratch.rad.get(..layer.cols).ok_or(Error::Workspace)?;
            Feed { region: None, mid, rad }
        };
        let ends = state.interval(k, layer.rows);
        let masses = &mut scratch.masses;
        let (total, macs) =
            interval::step(arith, feed, options.semantics, k, &layer, ends, masses)?;
        work.row_macs += macs;
        if let Some(ends) = given.ends {
            state.intersect(k, layer.rows, ends);
        }
        let linear = layer.activation == Activation::Identity && !options.every_neuron;
        let walks = options.method.walks_neurons() && given.ends.is_none();
        let best = carry.tighten(arith, &mut state, &mut scratch, k, &layer, &mut work);
        if k > 0 && walks && !linear && !best {
            // Slopes that are given are anyone's, also where the method's own lines are parallel.
            let parallel = options.slope() == LowerSlope::SameAsUpper && given.slopes.is_none();
            let task = Task { model, region, options, parallel, k, layer };
            task.tighten(arith, &mut state, &mut scratch, &mut work)?;
        }
        state.choose_lines(arith, options, given.slopes, k, &layer, &scratch.masses, total);
        arith.forget(k);
        carry.pass(arith, &mut state, &mut scratch, k, &layer, &mut work);
        scatter(&state, k, scratch.mid, scratch.rad);
    }

    // The row after the last margin is the class's own output.
    let walked = rows + usize::from(rectified);
    let mut own = f32::INFINITY;
    let mut done = 0;
    while done < walked {
        let block = &mut scratch.block;
        // One-sided rows: a block holds as many as it has floors.
        let take = block.floor.len().min(walked - done);
        start(arith, model, &state, spec, block, done, take)?;
        let stop = if matches!(options.method, Method::Ibp | Method::Forward) { last } else { 0 };
        for j in (stop..=last).rev() {
            block.step(arith, model, &state, j, &mut work)?;
        }
        work.row_macs += block.width as u64 * block.rows as u64;
        let outputs = stop.checked_sub(1).map(|before| state.outputs(before));
        let (input_mid, input_rad) = (&*scratch.input.0, &*scratch.input.1);
        let carried = match &mut scratch.linear {
            Some(linear) if options.method == Method::Forward && stop > 0 => {
                linear.bound(arith, Input::new(region, input_mid, input_rad), block, &mut work)
            }
            _ => &[],
        };
        // Over the boxes of the activations too, but for the papers' bounds.
        let boxes = carried.is_empty() || options.intersect;
        let found = block.bound(arith, |arith, row| match outputs {
            Some((_, rad)) => {
                let rounding = Rounding::new(arith.row_depth(rad.len()), rad.len());
                let reach = rounding.inflate(arith.reach(row, rad));
                Reach { below: reach, above: reach }
            }
            None => region.reach(arith, row, input_mid, input_rad, false),
        });
        for (r, bound) in found.iter().enumerate() {
            let bound = if bound.is_finite() && boxes { *bound } else { f32::NEG_INFINITY };
            let bound = carried.get(r).map_or(bound, |carried| better_lower(bound, *carried));
            match out.get_mut(done + r) {
                Some(out) => *out = bound,
                None => own = bound,
            }
        }
        done += take;
    }
    for out in out.iter_mut() {
        *out = if own < *out { own } else { *out };
    }
    let State { lo, hi, .. } = state;
    Ok(Bounds { work, lo, hi })
}

/// Splits the workspace; what is left after the fixed parts becomes the block.
fn carve<'w>(
    model: &Model<'_>,
    options: &Options,
    workspace: Workspace<'w>,
) -> Option<(State<'w>, Scratch<'w>)> {
    let mut floats = Arena(workspace.floats);
    let mut indices = Arena(workspace.indices);
    let state = State::new(model, &mut floats, &mut indices)?;
    let (inputs, width) = (model.inputs(), model.width());
    let input = (floats.take(inputs)?, floats.take(inputs)?);
    let mid = floats.take(width)?;
    let rad = floats.take(width)?;
    let masses = Masses(floats.take(Masses::EACH * width)?);
    let candidates = indices.take(width)?;
    let linear = match choice::carries(model, options) {
        true => Some(Linear::new(inputs, width, &mut floats, &mut indices)?),
        false => None,
    };
    let sides = if options.method.walks_neurons() { 2 } else { 1 };
    // Checked: that the divisor is not 0 the compiler cannot know.
    let fit = (floats.0.len() / sides).checked_div(2 * width + 2)?.min(indices.0.len());
    let block = fit.min(width.max(model.outputs()));
    if block == 0 {
        return None;
    }
    let index = indices.take(block)?;
    let cur = floats.take(sides * block * width)?;
    let next = floats.take(sides * block * width)?;
    let floor = floats.take(sides * block)?;
    let bound = floats.take(sides * block)?;
    let block = Block::new(cur, next, floor, bound);
    Some((state, Scratch { input, mid, rad, masses, candidates, index, block, linear }))
}

/// Writes the activations' box of layer `k` with an entry for every neuron, 0 for dead ones.
fn scatter(state: &State<'_>, k: usize, mid: &mut [f32], rad: &mut [f32]) {
    mid.fill(0.0);
    rad.fill(0.0);
    let (live_mid, live_rad) = state.outputs(k);
    for (i, (m, r)) in state.live(k).iter().zip(live_mid.iter().zip(live_rad)) {
        if let (Some(mid), Some(rad)) = (mid.get_mut(*i as usize), rad.get_mut(*i as usize)) {
            (*mid, *rad) = (*m, *r);
        }
    }
}

/// Fills the block with `take` specification rows from row `first` on; a row's floor is its value at
/// the middle of the outputs' box, rounded down.
fn start<A: Arithmetic>(
    arith: &A,
    model: &Model<'_>,
    state: &State<'_>,
    spec: &Spec<'_>,
    block: &mut Block<'_>,
    first: usize,
    take: usize,
) -> Result<(), Error> {
    let live = state.live(model.depth() - 1);
    block.sides = Sides::Lower;
    block.rows = take;
    block.width = live.len();
    if block.cur.len() < take * live.len() {
        return Err(Error::Workspace);
    }
    if live.is_empty() {
        block.floor.iter_mut().take(take).for_each(|floor| *floor = 0.0);
        return Ok(());
    }
    let rows = block.cur.chunks_exact_mut(live.len()).take(take);
    for (r, row) in rows.enumerate() {
        for (slot, j) in row.iter_mut().zip(live) {
            *slot = spec.coefficient(first + r, *j as usize, model.outputs());
        }
    }
    let (mid, rad) = state.outputs(model.depth() - 1);
    let rounding = Rounding::new(arith.row_depth(live.len()), live.len());
    for (r, floor) in (0..take).zip(&mut *block.floor) {
        let row = block.cur.get(r * live.len()..).and_then(|tail| tail.get(..live.len()));
        let sums = arith.over_box(Row::F32(row.unwrap_or(&[])), mid, rad, &rounding);
        *floor = sub_down(sums.centre, sums.error);
    }
    Ok(())
}

/// Multiply-adds that a method takes densely: both sides of every hidden neuron back-substituted
/// through all layers below it, or carried forward through each layer (for the methods that do so),
/// and `rows` specification rows; for intervals, centre and radius of every layer.
pub const fn dense_macs(model: &Model<'_>, method: Method, rows: usize) -> u64 {
    let (inputs, rows) = (model.inputs() as u64, rows as u64);
    let (mut back, mut carried) = (0u64, 0u64);
    let (mut below, mut product, mut cols) = (0u64, 0u64, inputs);
    let mut k = 0;
    while k < model.depth() {
        let neurons = model.rows(k) as u64;
        product = neurons * cols;
        if k > 0 && k + 1 < model.depth() {
            back += 2 * neurons * below;
            carried = carried.saturating_add((2 * product).saturating_mul(inputs));
        }
        below += product;
        if k + 1 < model.depth() {
            cols = neurons;
        }
        k += 1;
    }
    match method {
        Method::Ibp => 2 * below,
        Method::CrownIbp => rows * below,
        Method::FastLin | Method::Crown => back + rows * below,
        // The rows step back through the last layer and then meet the functions.
        Method::Forward if model.depth() > 1 => carried + rows * (product + 2 * cols * inputs),
        _ => carried + rows * below,
    }
}
