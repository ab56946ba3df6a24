//! Back-substitution of the neurons of a layer that the interval step left unstable.

use super::arithmetic::Arithmetic;
use super::budget::Disturbance;
use super::interval::{Mass, Masses};
use super::propagate::Scratch;
use super::state::State;
use super::walk::{Block, Sides};
use super::{Error, Options, Work};
use crate::model::{Layer, Model};
use crate::num::{Rounding, add_up, better_lower, sub_down};
use crate::region::{Reach, Region};
use crate::relax::is_unstable;

/// What the walk of one layer's neurons needs to know.
pub(super) struct Task<'a> {
    pub model: &'a Model<'a>,
    pub region: &'a Region<'a>,
    pub options: &'a Options,
    /// Whether the two lines of every neuron have the same slope.
    pub parallel: bool,
    /// The layer whose pre-activations are bounded, at least 1.
    pub k: usize,
    pub layer: Layer<'a>,
}

impl Task<'_> {
    /// Whether neuron `i` with these ends is worth another step.
    pub(super) fn open(&self, i: usize, lo: f32, hi: f32) -> bool {
        self.options.every_neuron
            || !self.options.intersect
            || is_unstable(self.layer.activation_of(i), lo, hi)
    }

    /// Tightens the intervals of layer `k` in `state`.
    ///
    /// Neurons in blocks of as many as the workspace holds. After each step the rows are also
    /// bounded over the box of activations they have reached: a neuron that this settles is dropped
    /// from the block.
    pub(super) fn tighten<A: Arithmetic>(
        &self,
        arith: &mut A,
        state: &mut State<'_>,
        scratch: &mut Scratch<'_>,
        work: &mut Work,
    ) -> Result<(), Error> {
        let rows = self.layer.rows;
        let (lo, hi) = state.interval(self.k, rows);
        let mut count = 0;
        for (i, (l, h)) in lo.iter().zip(hi.iter()).enumerate() {
            if self.open(i, *l, *h)
                && let Some(slot) = scratch.candidates.get_mut(count)
            {
                *slot = i as u32;
                count += 1;
            }
        }
        let mut done = 0;
        while done < count {
            let Scratch { candidates, index, block, masses, input, .. } = &mut *scratch;
            let take = index.len().min(count - done);
            let chosen = candidates.get(done..done + take).unwrap_or(&[]);
            for (slot, i) in index.iter_mut().zip(chosen) {
                *slot = *i;
            }
            self.start(state, block, chosen, masses)?;
            work.neurons += take as u64;
            for j in (0..self.k).rev() {
                block.step(arith, self.model, state, j, work)?;
                let passes = if j > 0 { 1 } else { self.region.passes() };
                work.row_macs += 2 * passes * block.width as u64 * block.rows as u64;
                self.bound(arith, state, block, index, input, j);
                if j > 0 && self.options.intersect {
                    self.drop_settled(state, block, index, work);
                }
                if block.rows == 0 {
                    break;
                }
            }
            done += take;
        }
        Ok(())
    }

    /// Fills the block with the rows `W_i x_{k-1}` of the neurons chosen.
    fn start(
        &self,
        state: &State<'_>,
        block: &mut Block<'_>,
        chosen: &[u32],
        masses: &Masses<'_>,
    ) -> Result<(), Error> {
        let live = state.live(self.k - 1);
        block.rows = chosen.len();
        block.width = live.len();
        block.sides = if self.parallel { Sides::Same } else { Sides::Joined };
        let disturbance = Disturbance::new(self.options.semantics, &self.layer);
        let (lower, upper) =
            block.floor.split_at_mut_checked(chosen.len()).ok_or(Error::Workspace)?;
        if upper.len() < chosen.len() || block.cur.len() < chosen.len() * live.len() {
            return Err(Error::Workspace);
        }
        for ((i, lower), upper) in chosen.iter().zip(lower).zip(upper) {
            let i = *i as usize;
            let Mass { mass, centre, error, .. } = masses.of(i);
            let off = add_up(error, disturbance.of(mass));
            *lower = sub_down(centre, off);
            *upper = sub_down(-centre, off);
        }
        for (r, i) in chosen.iter().enumerate() {
            let row = block.cur.get_mut(r * live.len()..).unwrap_or(&mut []);
            self.layer.row(*i as usize).gather(Some(live), row);
        }
        Ok(())
    }

    /// Bounds each row over what it is now a function of, and keeps the better ends.
    fn bound<A: Arithmetic>(
        &self,
        arith: &A,
        state: &mut State<'_>,
        block: &mut Block<'_>,
        index: &[u32],
        (input_mid, input_rad): &(&mut [f32], &mut [f32]),
        j: usize,
    ) {
        // Without intersection only the bound over the region itself counts.
        if j > 0 && !self.options.intersect {
            return;
        }
        let rounding = Rounding::new(arith.row_depth(block.width), block.width);
        let both = block.sides == Sides::Same;
        let rows = block.rows;
        let found = {
            let radii = j.checked_sub(1).map(|before| state.radii(before));
            block.bound(arith, |arith, row| match radii {
                Some(rad) => {
                    let reach = rounding.inflate(arith.reach(row, rad));
                    Reach { below: reach, above: reach }
                }
                None => self.region.reach(arith, row, input_mid, input_rad, both),
            })
        };
        let (lo, hi) = state.interval(self.k, self.layer.rows);
        let Some((lower, upper)) = found.split_at_checked(rows) else { return };
        for (i, (lower, upper)) in index.iter().zip(lower.iter().zip(upper)) {
            if let (Some(lo), Some(hi)) = (lo.get_mut(*i as usize), hi.get_mut(*i as usize)) {
                if self.options.intersect {
                    *lo = better_lower(*lo, *lower);
                    *hi = -better_lower(-*hi, *upper);
                } else if lower.is_finite() && upper.is_finite() {
                    (*lo, *hi) = (*lower, -*upper);
                }
            }
        }
    }

    /// Drops the rows of neurons that are stable by now.
    fn drop_settled(
        &self,
        state: &mut State<'_>,
        block: &mut Block<'_>,
        index: &mut [u32],
        work: &mut Work,
    ) {
        let (lo, hi) = state.interval(self.k, self.layer.rows);
        let open = |i: u32| {
            let i = i as usize;
            match (lo.get(i), hi.get(i)) {
                (Some(lo), Some(hi)) => self.open(i, *lo, *hi),
                _ => true,
            }
        };
        let before = block.rows;
        let kept = block.retain(|r| index.get(r).is_none_or(|i| open(*i)));
        if kept == before {
            return;
        }
        let mut to = 0;
        for r in 0..before {
            if let Some(i) = index.get(r).copied()
                && open(i)
            {
                if let Some(slot) = index.get_mut(to) {
                    *slot = i;
                }
                to += 1;
            }
        }
        work.dropped += (before - kept) as u64;
    }
}
