//! Back-substitution of a block of rows, one layer at a time.
//!
//! A row is a linear function of the deviation of some layer's activations from the middle of
//! their box, with a *floor*: for all x of the region, `z >= A (x_k - mid_k) + floor`, where the
//! coefficients `A` are these very floats. One step replaces the activation by its lines and the
//! pre-activation by `W x + b`; what the floats lose is bounded and taken from the floor
//! (`soundness.md` 3), so the new coefficients are exact again. That rounding errors of `A` meet
//! deviations, not magnitudes, is why they cost so little.

use super::arithmetic::{Arithmetic, Product};
use super::state::{State, move_down};
use super::{Error, Work};
use crate::model::{Model, Row};
use crate::num::sums::{Lines, RelaxSums};
use crate::num::{Rounding, add_down, add_up, sub_down};
use crate::region::Reach;

/// How the rows of a block bound their quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sides {
    /// From below only (specification rows).
    Lower,
    /// Both ways with the same coefficients: all slopes are shared (Fast-Lin). The upper floor
    /// belongs to the negated row.
    Same,
    /// Both ways, still one row of coefficients for both: before the first step.
    Joined,
    /// Both ways, `rows` lower rows and then as many rows that bound the negated quantity.
    Split,
}

/// Multiply-adds that passes over a row take for each of its entries and each step: lines and reach.
pub(super) const PASSES: u64 = 4;

/// A block of rows in the caller's memory.
pub(super) struct Block<'w> {
    /// Coefficients, rows `width` apart.
    pub cur: &'w mut [f32],
    next: &'w mut [f32],
    /// Floors: of the lower rows, then of the upper ones.
    pub floor: &'w mut [f32],
    /// What [`Block::bound`] finds for each of them.
    bound: &'w mut [f32],
    /// Quantities bounded; both sides of one count once.
    pub rows: usize,
    /// Entries of a row.
    pub width: usize,
    /// How they are bounded.
    pub sides: Sides,
}

impl<'w> Block<'w> {
    /// An empty block on the memory given.
    pub(super) fn new(
        cur: &'w mut [f32],
        next: &'w mut [f32],
        floor: &'w mut [f32],
        bound: &'w mut [f32],
    ) -> Self {
        Self { cur, next, floor, bound, rows: 0, width: 0, sides: Sides::Lower }
    }

    /// Rows of coefficients.
    fn coefficient_rows(&self) -> usize {
        if self.sides == Sides::Split { 2 * self.rows } else { self.rows }
    }

    /// A lower bound for every floor's quantity: the floor less the row's reach over the set that
    /// the block's rows are functions of; `reach` gives that below and above.
    pub(super) fn bound<A: Arithmetic>(
        &mut self,
        arith: &A,
        reach: impl Fn(&A, Row<'_>) -> Reach + Sync,
    ) -> &mut [f32] {
        let count = self.coefficient_rows();
        let total = if self.sides == Sides::Same { 2 * count } else { count };
        // A row without entries is its floor.
        self.bound.fill(0.0);
        let rows = self.cur.get_mut(..count * self.width).unwrap_or(&mut []);
        arith.each_row(self.width, rows, self.width, self.bound, |_, row, bound| {
            *bound = reach(arith, Row::F32(row)).below;
        });
        if self.sides == Sides::Same {
            let upper = self.bound.get_mut(count..).unwrap_or(&mut []);
            arith.each_row(self.width, rows, self.width, upper, |_, row, bound| {
                *bound = reach(arith, Row::F32(row)).above;
            });
        }
        let bound = self.bound.get_mut(..total).unwrap_or(&mut []);
        for (bound, floor) in bound.iter_mut().zip(&*self.floor) {
            *bound = sub_down(*floor, *bound);
        }
        bound
    }

    /// Keeps the quantities for which `keep` says so, in order; gives how many are left.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) -> usize {
        let (rows, width) = (self.rows, self.width);
        let mut kept = 0;
        for r in 0..rows {
            if keep(r) {
                self.move_row(r, kept, width);
                self.move_floor(r, kept);
                kept += 1;
            }
        }
        // The upper halves follow the lower ones, so they can move only now.
        if self.sides != Sides::Lower && kept != rows {
            let mut to = kept;
            for r in 0..rows {
                if keep(r) {
                    if self.sides == Sides::Split {
                        self.move_row(rows + r, to, width);
                    }
                    self.move_floor(rows + r, to);
                    to += 1;
                }
            }
        }
        self.rows = kept;
        kept
    }

    fn move_row(&mut self, from: usize, to: usize, width: usize) {
        move_down(self.cur, from * width, to * width, width);
    }

    fn move_floor(&mut self, from: usize, to: usize) {
        if let Some(x) = self.floor.get(from).copied()
            && let Some(slot) = self.floor.get_mut(to)
        {
            *slot = x;
        }
    }

    /// Steps the block from the activations of layer `j` to those of layer `j - 1`, or to the
    /// inputs if `j` is 0.
    pub(super) fn step<A: Arithmetic>(
        &mut self,
        arith: &mut A,
        model: &Model<'_>,
        state: &State<'_>,
        j: usize,
        work: &mut Work,
    ) -> Result<(), Error> {
        self.relax(arith, state, j, work);
        self.multiply(arith, model, state, j, work)
    }

    /// Replaces the activations of layer `j`, after their lines, by its weights' product.
    pub(super) fn multiply<A: Arithmetic>(
        &mut self,
        arith: &mut A,
        model: &Model<'_>,
        state: &State<'_>,
        j: usize,
        work: &mut Work,
    ) -> Result<(), Error> {
        let weights = model.layer(j).ok_or(Error::Workspace)?;
        let columns = j.checked_sub(1).map(|before| state.live(before));
        let live = state.live(j);
        let (rows, stride) = (self.coefficient_rows(), self.width);
        let product = Product {
            layer: j,
            weights,
            live,
            from: 0,
            inner: live.len(),
            columns,
            a: &*self.cur,
            stride,
            rows,
            accumulate: false,
        };
        let width = product.width();
        // What each row would take over all neurons, and over those that are live.
        let whole = weights.rows as u64 * weights.cols as u64;
        let part = live.len() as u64 * width as u64;
        let walked = if self.sides == Sides::Joined { 2 * rows } else { rows } as u64;
        work.spared_inactive += walked * (whole - part);
        let out = self.next.get_mut(..2 * self.rows * width);
        let out = match out {
            Some(out) => out,
            None => self.next.get_mut(..rows * width).ok_or(Error::Workspace)?,
        };
        if self.sides == Sides::Joined {
            // Both sides agree on the shared neurons: one product serves both, and each side adds
            // its own part of the others.
            let shared = state.shared(j);
            let (lower, upper) =
                out.split_at_mut_checked(self.rows * width).ok_or(Error::Workspace)?;
            arith.product(&Product { inner: shared, ..product }, lower);
            for (upper, lower) in upper.iter_mut().zip(&*lower) {
                *upper = -*lower;
            }
            let rest = live.len() - shared;
            if rest > 0 {
                let a = self.cur.get(shared..).unwrap_or(&[]);
                let split = Product {
                    from: shared,
                    inner: rest,
                    a,
                    rows: 2 * self.rows,
                    accumulate: true,
                    ..product
                };
                arith.product(&split, out);
            }
            let macs = (shared + 2 * rest) as u64 * self.rows as u64 * width as u64;
            work.product_macs += macs;
            work.spared_shared += walked * part - macs;
            self.sides = Sides::Split;
        } else {
            arith.product(&product, out);
            work.product_macs += rows as u64 * live.len() as u64 * width as u64;
        }
        core::mem::swap(&mut self.cur, &mut self.next);
        self.width = width;
        Ok(())
    }

    /// Replaces the activations of layer `j` by lines of its own in one row of a one-sided block.
    pub(super) fn relax_row<A: Arithmetic>(
        &mut self,
        arith: &A,
        r: usize,
        lines: &Lines<'_>,
        under: f32,
        work: &mut Work,
    ) {
        let n = self.width;
        work.row_macs += 3 * n as u64;
        let charge = Charge { rounding: Rounding::new(arith.relax_depth(n), n), under };
        let row = self.cur.get_mut(r * n..).and_then(|tail| tail.get_mut(..n)).unwrap_or(&mut []);
        if let Some(floor) = self.floor.get_mut(r) {
            *floor = charge.settle(*floor, &arith.relax(row, lines));
        }
    }

    /// Replaces the activations of layer `j` by their lines in every row.
    fn relax<A: Arithmetic>(&mut self, arith: &A, state: &State<'_>, j: usize, work: &mut Work) {
        let lines = state.lines(j);
        let n = self.width;
        let (rows, sides) = (self.rows, self.sides);
        let rounding = Rounding::new(arith.relax_depth(n), n);
        let charge = Charge { rounding, under: state.under(j) };
        work.row_macs += 3 * n as u64 * (rows * if sides == Sides::Lower { 1 } else { 2 }) as u64;
        if n == 0 {
            for floor in self.floor.iter_mut() {
                *floor = charge.settle(*floor, &RelaxSums::default());
            }
            return;
        }
        // The upper rows, the negatives, of a joined block go behind the lower ones; those of `Same`
        // are only needed for their sums.
        if matches!(sides, Sides::Joined | Sides::Same) {
            let Self { cur, next, .. } = self;
            let upper = cur.split_at_mut_checked(rows * n).and_then(|(cur, behind)| {
                let target = if sides == Sides::Joined { behind } else { &mut **next };
                let upper = target.get_mut(..rows * n)?;
                upper.iter_mut().zip(cur).for_each(|(to, from)| *to = -*from);
                Some(upper)
            });
            let Some(upper) = upper else {
                // Never; without room for the upper rows nothing is known.
                self.floor.fill(f32::NEG_INFINITY);
                return;
            };
            let floor = self.floor.get_mut(rows..).unwrap_or(&mut []);
            arith.each_row(n, upper, n, floor, |_, row, floor| {
                *floor = charge.settle(*floor, &arith.relax(row, &lines));
            });
        }
        let count = if sides == Sides::Split { 2 * rows } else { rows };
        let lower = self.cur.get_mut(..count * n).unwrap_or(&mut []);
        arith.each_row(n, lower, n, self.floor, |_, row, floor| {
            *floor = charge.settle(*floor, &arith.relax(row, &lines));
        });
    }
}

/// What a step takes from a floor.
struct Charge {
    rounding: Rounding,
    under: f32,
}

impl Charge {
    /// `floor + sum a g` minus the rounding budget of the step, rounded down.
    #[inline]
    fn settle(&self, floor: f32, sums: &RelaxSums) -> f32 {
        let gains = self.rounding.error(sums.gain_size);
        let budget = self.rounding.inflate(sums.budget);
        sub_down(add_down(floor, sums.gain), add_up(add_up(budget, gains), self.under))
    }
}
