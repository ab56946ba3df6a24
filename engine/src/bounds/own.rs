//! Rows that each have slopes of their own.

use super::arithmetic::Arithmetic;
use super::budget::{Disturbance, Entry, Share};
use super::interval::Masses;
use super::propagate::{Call, Given, Scratch, carve, dense_macs, scatter};
use super::rows::start;
use super::state::{State, part, part_mut, put};
use super::workspace::{Arena, Workspace};
use super::{Error, Method, Options, Semantics, Size, Work};
use crate::model::{Layer, Model};
use crate::num::better_lower;
use crate::num::sums::Lines;
use crate::region::Region;
use crate::relax;
use crate::spec::Spec;

/// What a search has found for some rows.
#[derive(Clone, Copy, Debug)]
pub struct OwnSlopes<'a> {
    /// As [`Given::ends`].
    pub ends: (&'a [f32], &'a [f32]),
    /// Slopes of the lower lines, `[rows][neurons]`, see [`relax::relax_with`]; any are valid.
    pub lower: &'a [f32],
    /// Slopes of the upper lines.
    pub upper: &'a [f32],
}

impl Size {
    /// Memory for [`lower_bounds_own`] with blocks of up to `block` rows: that of
    /// [`Method::CrownIbp`], and `5*neurons + layers + 5*width` floats more.
    pub const fn of_own(model: &Model<'_>, block: usize) -> Self {
        let size = Self::of(model, Method::CrownIbp, block);
        let more = Masses::EACH * model.neurons() + model.depth() + LINES * model.width();
        Self { floats: size.floats + more, ..size }
    }
}

/// Arrays of a [`Lines`].
const LINES: usize = 5;

/// Lower bounds of the rows of `spec`, each with its own slopes: of the outputs as they are, also
/// where margins could be bounded before a last ReLU.
///
/// What holds is what [`super::lower_bounds_given`] says for each row with its slopes; intervals are
/// found once for all of them, and the products serve a block of rows.
///
/// # Errors
/// [`Error`]; [`Error::Workspace`] also if a slice does not have an entry for each neuron (and row).
/// Memory: [`Size::of_own`]. Work: returned.
pub fn lower_bounds_own<A: Arithmetic>(
    arith: &mut A,
    model: &Model<'_>,
    region: &Region<'_>,
    spec: &Spec<'_>,
    semantics: Semantics,
    own: &OwnSlopes<'_>,
    workspace: Workspace<'_>,
    out: &mut [f32],
) -> Result<Work, Error> {
    let (neurons, rows) = (model.neurons(), spec.count(model.outputs()));
    let fits = [own.ends.0, own.ends.1].iter().all(|ends| ends.len() == neurons)
        && [own.lower, own.upper].iter().all(|slopes| slopes.len() == rows * neurons);
    if !fits {
        return Err(Error::Workspace);
    }
    region.check(model.inputs())?;
    if !spec.fits(model.outputs()) {
        return Err(Error::Spec);
    }
    let out = out.get_mut(..rows).ok_or(Error::Workspace)?;
    out.fill(f32::NEG_INFINITY);
    let options = Options { semantics, ..Options::new(Method::CrownIbp) };
    let mut floats = Arena(workspace.floats);
    let walk = Walk {
        masses: floats.take(Masses::EACH * neurons).ok_or(Error::Workspace)?,
        totals: floats.take(model.depth()).ok_or(Error::Workspace)?,
        lines: floats.take(LINES * model.width()).ok_or(Error::Workspace)?,
        own,
    };
    let workspace = Workspace { floats: floats.0, indices: workspace.indices };
    let (mut state, mut scratch) = carve(model, &options, workspace).ok_or(Error::Workspace)?;
    region.enclose(scratch.input.0, scratch.input.1);
    let given = Given { ends: Some(own.ends), slopes: None };
    let mut call = Call::new(model, region, spec, &options, &given);
    call.rectified = false;
    let mut work = Work { dense_macs: dense_macs(model, options.method, rows), ..Work::default() };
    walk.run(arith, &call, &mut state, &mut scratch, out, &mut work)?;
    Ok(work)
}

/// Memory beside the [`Scratch`].
struct Walk<'w, 'a> {
    /// [`Masses`] of all layers.
    masses: &'w mut [f32],
    /// For each layer the sum of its inputs' magnitudes.
    totals: &'w mut [f32],
    /// The lines of a row and a layer.
    lines: &'w mut [f32],
    own: &'a OwnSlopes<'a>,
}

impl Walk<'_, '_> {
    fn run<A: Arithmetic>(
        mut self,
        arith: &mut A,
        call: &Call<'_>,
        state: &mut State<'_>,
        scratch: &mut Scratch<'_>,
        out: &mut [f32],
        work: &mut Work,
    ) -> Result<(), Error> {
        for k in 0..=call.last {
            let layer = call.layer(k)?;
            let total = call.interval(arith, state, scratch, k, &layer, work)?;
            put(self.totals, k, total);
            let from = Masses::EACH * state.offset(k);
            let kept = part_mut(self.masses, from, Masses::EACH * layer.rows);
            for (kept, mass) in kept.iter_mut().zip(&*scratch.masses.0) {
                *kept = *mass;
            }
            call.choose(arith, state, scratch, (k, &layer), total);
            scatter(state, k, scratch.mid, scratch.rad);
        }
        let mut done = 0;
        while done < out.len() {
            let take = scratch.block.floor.len().min(out.len() - done);
            start(
                arith,
                call.model,
                state,
                call.spec,
                &mut scratch.block,
                take,
                |r| done + r,
                work,
            )?;
            for j in (0..=call.last).rev() {
                let layer = call.layer(j)?;
                for r in 0..take {
                    self.relax(arith, call, state, scratch, (j, &layer), (r, done + r), work);
                }
                scratch.block.multiply(arith, call.model, state, j, work)?;
            }
            let found = call.bound(arith, state, scratch, 0, work);
            let mine = out.get_mut(done..done + take).unwrap_or(&mut []);
            for (out, found) in mine.iter_mut().zip(found) {
                *out = better_lower(*out, *found);
            }
            done += take;
        }
        Ok(())
    }

    /// Relaxes row `r` of the block, the specification's row `of`, through layer `j`: the lines of
    /// stable neurons are every row's.
    fn relax<A: Arithmetic>(
        &mut self,
        arith: &A,
        call: &Call<'_>,
        state: &State<'_>,
        scratch: &mut Scratch<'_>,
        (j, layer): (usize, &Layer<'_>),
        (r, of): (usize, usize),
        work: &mut Work,
    ) {
        let from = state.offset(j);
        let live = state.live(j);
        let common = state.lines(j);
        let total = self.totals.get(j).copied().unwrap_or(f32::INFINITY);
        let share = Share::new(arith, live.len(), state.shared(j), total);
        let masses = Masses(part_mut(self.masses, Masses::EACH * from, Masses::EACH * layer.rows));
        let disturbance = Disturbance::new(call.options.semantics, layer);
        let (lo, hi) = state.ends(j, layer.rows);
        let neurons = of * call.model.neurons() + from;
        let (lower, upper) =
            (part(self.own.lower, neurons, layer.rows), part(self.own.upper, neurons, layer.rows));
        let mut arena = Arena(&mut *self.lines);
        let mut copy = |common: &[f32]| {
            let copy = arena.take(common.len()).unwrap_or(&mut []);
            for (copy, common) in copy.iter_mut().zip(common) {
                *copy = *common;
            }
            copy
        };
        let slope_lo = copy(common.slope_lo);
        let slope_up = copy(common.slope_up);
        let gain_lo = copy(common.gain_lo);
        let gain_up = copy(common.gain_up);
        let budget = copy(common.budget);
        for (slot, i) in live.iter().enumerate() {
            let i = *i as usize;
            let known = (lo.get(i), hi.get(i), lower.get(i), upper.get(i));
            let (Some(lo), Some(hi), Some(lower), Some(upper)) = known else { continue };
            let activation = layer.activation_of(i);
            if !relax::is_unstable(activation, *lo, *hi) {
                continue;
            }
            let line = relax::relax_with(activation, *lo, *hi, *lower, *upper);
            let mass = masses.of(i);
            let entry = Entry::new(
                call.options.semantics,
                layer,
                i,
                line,
                (*lo, *hi),
                (mass, &disturbance),
            );
            put(slope_lo, slot, line.slope_lo);
            put(slope_up, slot, line.slope_up);
            put(gain_lo, slot, entry.gain_lo);
            put(gain_up, slot, entry.gain_up);
            put(budget, slot, share.add(entry.budget, mass.spread));
        }
        let lines = Lines { slope_lo, slope_up, gain_lo, gain_up, budget };
        scratch.block.relax_row(arith, r, &lines, state.under(j), work);
    }
}
