//! The rows of the specification: walked back from the outputs, and bounded.

use super::arithmetic::Arithmetic;
use super::linear::Input;
use super::propagate::{Call, Scratch};
use super::state::State;
use super::walk::{Block, Sides};
use super::{Error, Method, Work};
use crate::model::{Model, Row};
use crate::num::{Rounding, better_lower, sub_down};
use crate::region::Reach;
use crate::spec::Spec;

/// Whether every row is proved to be positive. A NaN is not.
pub(super) fn is_settled(out: &[f32]) -> bool {
    out.iter().all(|bound| *bound > 0.0)
}

impl Call<'_> {
    /// Raises `out` to the bounds of the rows by the lines of all layers.
    ///
    /// Each bound is one over the region, or over the box of the activations that the rows have
    /// reached: for the last step of the methods that go no further, and for every step where a call
    /// may end early.
    pub(super) fn specify<A: Arithmetic>(
        &self,
        arith: &mut A,
        state: &State<'_>,
        scratch: &mut Scratch<'_>,
        out: &mut [f32],
        work: &mut Work,
    ) -> Result<(), Error> {
        let Self { model, options, last, .. } = *self;
        // The class's own output, which caps the margins, comes before them.
        let own = usize::from(self.rectified);
        let walked = out.len() + own;
        let short = matches!(options.method, Method::Ibp | Method::Forward);
        let stop = if short { last } else { 0 };
        let mut cap = if self.rectified { f32::NEG_INFINITY } else { f32::INFINITY };
        let mut done = 0;
        while done < walked {
            // One-sided rows: a block holds as many as it has floors.
            let take = scratch.block.floor.len().min(walked - done);
            let capped = done < own;
            let first = done.saturating_sub(own);
            let last_row = first + take - usize::from(capped);
            let row = |r: usize| match (done + r).checked_sub(own) {
                Some(r) => r,
                None => walked - own,
            };
            start(arith, model, state, self.spec, &mut scratch.block, take, row, work)?;
            for j in (stop..=last).rev() {
                scratch.block.step(arith, model, state, j, work)?;
                if j > stop && !options.early {
                    continue;
                }
                let found = self.bound(arith, state, scratch, j, work);
                let mut found = found.iter().copied();
                if capped && let Some(found) = found.next() {
                    cap = better_lower(cap, found);
                }
                let mine = out.get_mut(first..last_row).unwrap_or(&mut []);
                for (out, found) in mine.iter_mut().zip(found) {
                    *out = better_lower(*out, if cap < found { cap } else { found });
                }
                // Rows of later blocks need the cap at its best.
                let needed = capped && done + take < walked;
                if options.early && !needed && is_settled(mine) {
                    break;
                }
            }
            done += take;
        }
        Ok(())
    }

    /// A lower bound for each row of the block, which has stepped through layer `j`.
    pub(super) fn bound<'s, A: Arithmetic>(
        &self,
        arith: &A,
        state: &State<'_>,
        scratch: &'s mut Scratch<'_>,
        j: usize,
        work: &mut Work,
    ) -> &'s [f32] {
        let Scratch { block, input, linear, .. } = scratch;
        let passes = if j > 0 { 1 } else { self.region.passes() };
        work.row_macs += passes * block.width as u64 * block.rows as u64;
        let radii = j.checked_sub(1).map(|before| state.radii(before));
        let (input_mid, input_rad) = (&*input.0, &*input.1);
        let carried = match linear {
            Some(linear) if self.options.method == Method::Forward && j > 0 => {
                linear.bound(arith, Input::new(self.region, input_mid, input_rad), block, work)
            }
            _ => &[],
        };
        let found = block.bound(arith, |arith, row| match radii {
            Some(rad) => {
                let rounding = Rounding::new(arith.row_depth(rad.len()), rad.len());
                let reach = rounding.inflate(arith.reach(row, rad));
                Reach { below: reach, above: reach }
            }
            None => self.region.reach(arith, row, input_mid, input_rad, false),
        });
        // Over the boxes of the activations too, but for the papers' bounds.
        let boxes = carried.is_empty() || self.options.intersect;
        for (r, bound) in found.iter_mut().enumerate() {
            let over = if bound.is_finite() && boxes { *bound } else { f32::NEG_INFINITY };
            *bound = carried.get(r).map_or(over, |carried| better_lower(over, *carried));
        }
        found
    }
}

/// Fills the block with `take` specification rows, its row r with that of number `row(r)`; a row's
/// floor is its value at the middle of the outputs' box, rounded down.
pub(super) fn start<A: Arithmetic>(
    arith: &A,
    model: &Model<'_>,
    state: &State<'_>,
    spec: &Spec<'_>,
    block: &mut Block<'_>,
    take: usize,
    row: impl Fn(usize) -> usize,
    work: &mut Work,
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
    for (r, coefficients) in rows.enumerate() {
        for (slot, j) in coefficients.iter_mut().zip(live) {
            *slot = spec.coefficient(row(r), *j as usize, model.outputs());
        }
    }
    work.row_macs += 3 * live.len() as u64 * take as u64;
    let (mid, rad) = state.outputs(model.depth() - 1);
    let rounding = Rounding::new(arith.row_depth(live.len()), live.len());
    for (r, floor) in (0..take).zip(&mut *block.floor) {
        let row = block.cur.get(r * live.len()..).and_then(|tail| tail.get(..live.len()));
        let sums = arith.over_box(Row::F32(row.unwrap_or(&[])), mid, rad, &rounding);
        *floor = sub_down(sums.centre, sums.error);
    }
    Ok(())
}
