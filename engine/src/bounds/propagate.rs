//! The whole computation: forward through the layers, then the specification back.

use super::arithmetic::Arithmetic;
use super::choice::{self, Carry};
use super::early::Early;
use super::interval::{self, Feed, Masses};
use super::linear::Linear;
use super::neurons::Task;
use super::rows::is_settled;
use super::state::State;
use super::walk::Block;
use super::workspace::{Arena, Workspace};
use super::{Error, Method, Options, Work};
use crate::model::{Activation, Layer, Model};
use crate::region::Region;
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
    /// Lower ends of all pre-activations, layer after layer, or none without [`Options::ends`]. Ends
    /// of neurons known to be stable may be looser than [`Options::every_neuron`] would make them.
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
    let call = Call::new(model, region, spec, options, given);
    if !call.forward(arith, &mut state, &mut scratch, out, &mut work)? {
        call.specify(arith, &state, &mut scratch, out, &mut work)?;
    }
    let State { lo, hi, .. } = state;
    let (lo, hi): (&[f32], &[f32]) = if options.ends { (lo, hi) } else { (&[], &[]) };
    Ok(Bounds { work, lo, hi })
}

/// What a call was asked.
pub(super) struct Call<'a> {
    pub model: &'a Model<'a>,
    pub region: &'a Region<'a>,
    pub spec: &'a Spec<'a>,
    pub options: &'a Options,
    given: &'a Given<'a>,
    /// The last layer.
    pub last: usize,
    /// Whether margins are bounded before the last layer's ReLU.
    pub rectified: bool,
    /// Whether nothing follows the last layer.
    linear: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        model: &'a Model<'a>,
        region: &'a Region<'a>,
        spec: &'a Spec<'a>,
        options: &'a Options,
        given: &'a Given<'a>,
    ) -> Self {
        let last = model.depth() - 1;
        let end = model.layer(last);
        let relu = end.is_some_and(|l| l.activation == Activation::Relu && l.through == 0);
        let rectified = relu && matches!(spec, Spec::Margins { .. });
        let linear = rectified || end.is_some_and(|l| l.activation == Activation::Identity);
        Self { model, region, spec, options, given, last, rectified, linear }
    }

    /// Layer `k`, as it is bounded.
    pub(super) fn layer(&self, k: usize) -> Result<Layer<'a>, Error> {
        let mut layer = self.model.layer(k).ok_or(Error::Workspace)?;
        if self.rectified && k == self.last {
            layer.activation = Activation::Identity;
        }
        Ok(layer)
    }

    /// Bounds and relaxes layer after layer; gives whether `out` is settled before the last, which
    /// only [`Options::early`] allows.
    fn forward<A: Arithmetic>(
        &self,
        arith: &mut A,
        state: &mut State<'_>,
        scratch: &mut Scratch<'_>,
        out: &mut [f32],
        work: &mut Work,
    ) -> Result<bool, Error> {
        let Self { model, region, options, given, .. } = *self;
        let mut carry = Carry::new(model, region, options, given, self.linear);
        let mut early = Early::default();
        for k in 0..=self.last {
            let layer = self.layer(k)?;
            let mut total = self.interval(arith, state, scratch, k, &layer, work)?;
            let linear = layer.activation == Activation::Identity && !options.every_neuron;
            let walks = options.method.walks_neurons() && given.ends.is_none();
            let best = carry.tighten(arith, state, scratch, k, &layer, work);
            if k > 0 && walks && !linear && !best {
                // Slopes that are given are anyone's, also where the method's own lines are parallel.
                let parallel = options.slope() == LowerSlope::SameAsUpper && given.slopes.is_none();
                let task = Task { model, region, options, parallel, k, layer };
                let carries = scratch.linear.is_some();
                let tries = options.early && !options.every_neuron && !carries;
                if tries && early.pays(model, state, &task, out.len()) {
                    // Out of range here, tightened bounds may yet be within.
                    let _ = self.finish(arith, state, scratch, (k, total), out, work);
                    if is_settled(out) {
                        return Ok(true);
                    }
                    scatter(state, k - 1, scratch.mid, scratch.rad);
                    total = self.interval(arith, state, scratch, k, &layer, work)?;
                }
                task.tighten(arith, state, scratch, work)?;
            }
            self.choose(arith, state, scratch, (k, &layer), total);
            carry.pass(arith, state, scratch, k, &layer, work);
            scatter(state, k, scratch.mid, scratch.rad);
        }
        Ok(false)
    }

    /// The interval step of layer `k`, and what is given; the sum of its inputs' magnitudes.
    pub(super) fn interval<A: Arithmetic>(
        &self,
        arith: &A,
        state: &mut State<'_>,
        scratch: &mut Scratch<'_>,
        k: usize,
        layer: &Layer<'_>,
        work: &mut Work,
    ) -> Result<f32, Error> {
        let feed = if k == 0 {
            Feed { region: Some(self.region), mid: scratch.input.0, rad: scratch.input.1 }
        } else {
            let mid = scratch.mid.get(..layer.cols).ok_or(Error::Workspace)?;
            let rad = scratch.rad.get(..layer.cols).ok_or(Error::Workspace)?;
            Feed { region: None, mid, rad }
        };
        let ends = state.interval(k, layer.rows);
        let masses = &mut scratch.masses;
        let semantics = self.options.semantics;
        let (total, macs) = interval::step(arith, feed, semantics, k, layer, ends, masses)?;
        work.row_macs += macs;
        if let Some(ends) = self.given.ends {
            state.intersect(k, layer.rows, ends);
        }
        Ok(total)
    }

    /// Chooses the lines of layer `k`, whose intervals are known.
    pub(super) fn choose<A: Arithmetic>(
        &self,
        arith: &mut A,
        state: &mut State<'_>,
        scratch: &Scratch<'_>,
        (k, layer): (usize, &Layer<'_>),
        total: f32,
    ) {
        let (options, slopes, masses) = (self.options, self.given.slopes, &scratch.masses);
        state.choose_lines(arith, options, slopes, k, layer, masses, total);
        arith.forget(k);
    }

    /// Raises `out` to what the intervals of layer `k` as they are give, with interval steps from
    /// there on.
    fn finish<A: Arithmetic>(
        &self,
        arith: &mut A,
        state: &mut State<'_>,
        scratch: &mut Scratch<'_>,
        (k, mut total): (usize, f32),
        out: &mut [f32],
        work: &mut Work,
    ) -> Result<(), Error> {
        for j in k..=self.last {
            let layer = self.layer(j)?;
            if j > k {
                total = self.interval(arith, state, scratch, j, &layer, work)?;
            }
            self.choose(arith, state, scratch, (j, &layer), total);
            scatter(state, j, scratch.mid, scratch.rad);
        }
        self.specify(arith, state, scratch, out, work)
    }
}

/// Splits the workspace; what is left after the fixed parts becomes the block.
pub(super) fn carve<'w>(
    model: &Model<'_>,
    options: &Options,
    workspace: Workspace<'w>,
) -> Option<(State<'w>, Scratch<'w>)> {
    let mut floats = Arena(workspace.floats);
    let mut indices = Arena(workspace.indices);
    let state = State::new(model, options, &mut floats, &mut indices)?;
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
    let each = sides * (2 * width + 2);
    let fit = floats.0.len().checked_div(each).unwrap_or(0).min(indices.0.len());
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
pub(super) fn scatter(state: &State<'_>, k: usize, mid: &mut [f32], rad: &mut [f32]) {
    mid.fill(0.0);
    rad.fill(0.0);
    let (live_mid, live_rad) = state.outputs(k);
    for (i, (m, r)) in state.live(k).iter().zip(live_mid.iter().zip(live_rad)) {
        if let (Some(mid), Some(rad)) = (mid.get_mut(*i as usize), rad.get_mut(*i as usize)) {
            (*mid, *rad) = (*m, *r);
        }
    }
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
