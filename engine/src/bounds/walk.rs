//! Back-substitution of a block of rows, one layer at a time.
//!
//! A row is a linear function of the activations of some layer with a *floor*: for all x of the
//! region, `z >= A x_k + floor`, where the coefficients `A` are these very floats. One step
//! replaces the activation by its lines and the pre-activation by `W x + b`; what the floats lose
//! is bounded and taken from the floor (`soundness.md` 3), so the new coefficients are exact again.

use super::arithmetic::{Arithmetic, Product};
use super::state::State;
use super::{Error, Work};
use crate::model::Model;
use crate::num::sums::RelaxSums;
use crate::num::{add_down, add_up, gamma, inflate, mul_up, sub_down};

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

/// A block of rows in the caller's memory.
pub(super) struct Block<'w> {
    /// Coefficients, rows `width` apart.
    pub cur: &'w mut [f32],
    next: &'w mut [f32],
    /// Floors: of the lower rows, then of the upper ones.
    pub floor: &'w mut [f32],
    /// Quantities bounded; both sides of one count once.
    pub rows: usize,
    /// Entries of a row.
    pub width: usize,
    /// How they are bounded.
    pub sides: Sides,
}

impl<'w> Block<'w> {
    /// An empty block on the memory given.
    pub(super) fn new(cur: &'w mut [f32], next: &'w mut [f32], floor: &'w mut [f32]) -> Self {
        Self { cur, next, floor, rows: 0, width: 0, sides: Sides::Lower }
    }

    /// Rows of coefficients.
    fn coefficient_rows(&self) -> usize {
        if self.sides == Sides::Split { 2 * self.rows } else { self.rows }
    }

    /// Coefficients of row `r`.
    pub(super) fn row(&self, r: usize) -> &[f32] {
        self.cur.get(r * self.width..).and_then(|tail| tail.get(..self.width)).unwrap_or(&[])
    }

    /// Floor `r`.
    pub(super) fn floor(&self, r: usize) -> f32 {
        self.floor.get(r).copied().unwrap_or(f32::NEG_INFINITY)
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
        let range = from * width..(from + 1) * width;
        if range.end <= self.cur.len() && to < from {
            self.cur.copy_within(range, to * width);
        }
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
            self.sides = Sides::Split;
        } else {
            arith.product(&product, out);
            work.product_macs += rows as u64 * live.len() as u64 * width as u64;
        }
        core::mem::swap(&mut self.cur, &mut self.next);
        self.width = width;
        Ok(())
    }

    /// Replaces the activations of layer `j` by their lines in every row.
    fn relax<A: Arithmetic>(&mut self, arith: &A, state: &State<'_>, j: usize, work: &mut Work) {
        let lines = state.lines(j);
        let n = self.width;
        let (rows, sides) = (self.rows, self.sides);
        let charge = Charge { depth: arith.row_depth(n), n, under: state.under(j) };
        work.row_macs += 4 * n as u64 * (rows * if sides == Sides::Lower { 1 } else { 2 }) as u64;
        if n == 0 {
            for floor in self.floor.iter_mut() {
                *floor = charge.settle(*floor, &RelaxSums::default());
            }
            return;
        }
        // The upper rows of a joined block go behind the lower ones; those of `Same` are only
        // needed for their sums.
        if matches!(sides, Sides::Joined | Sides::Same) {
            let target = if sides == Sides::Joined {
                self.cur.copy_within(..rows * n, rows * n);
                self.cur.get_mut(rows * n..)
            } else {
                let copy = self.next.get_mut(..rows * n);
                if let (Some(copy), Some(cur)) = (copy, self.cur.get(..rows * n)) {
                    copy.copy_from_slice(cur);
                }
                self.next.get_mut(..)
            };
            let upper = target.unwrap_or(&mut []).chunks_exact_mut(n).take(rows);
            for (row, floor) in upper.zip(self.floor.iter_mut().skip(rows)) {
                *floor = charge.settle(*floor, &arith.relax(row, -1.0, &lines));
            }
        }
        let count = if sides == Sides::Split { 2 * rows } else { rows };
        for (row, floor) in self.cur.chunks_exact_mut(n).take(count).zip(self.floor.iter_mut()) {
            *floor = charge.settle(*floor, &arith.relax(row, 1.0, &lines));
        }
    }
}

/// What a step takes from a floor.
struct Charge {
    depth: u32,
    n: usize,
    under: f32,
}

impl Charge {
    /// `floor + sum a t + sum a' b` minus the rounding budget of the step, rounded down.
    fn settle(&self, floor: f32, sums: &RelaxSums) -> f32 {
        let intercepts = inflate(sums.intercept_size, self.depth, self.n);
        let budget = inflate(sums.budget, self.depth, self.n);
        let lost = add_up(add_up(budget, mul_up(gamma(self.depth), intercepts)), self.under);
        sub_down(add_down(add_down(floor, sums.intercept), sums.bias), lost)
    }
}
