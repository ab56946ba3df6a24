//! Walking rows back to the input, a block at a time, as far as they may still matter.

use super::chain::{Chain, Live, own_rate};
use super::distance::{Row as Reached, distance};
use super::nearest::{Face, Nearest};
use super::query::{Query, Scratch};
use crate::bounds::{Arithmetic, Error, Product, Work, move_down};
use crate::model::{Activation, Layer, Model, Row};
use crate::num::{ETA, Rounding, add_up, gamma, mul_up, ratio_down, sub_down, underflow};

/// Whose rows are walked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Neurons of a layer that is computed and not settled: each as the function that is positive
    /// on its side.
    Neurons(usize),
    /// The specification, all layers being settled.
    Spec,
}

/// The walk of all rows of one source.
pub(super) struct Walk<'a, 'w, A> {
    pub arith: &'a mut A,
    pub model: &'a Model<'a>,
    pub query: &'a Query<'a>,
    pub chain: &'a Chain<'w>,
    pub source: Source,
}

/// A block of rows in the caller's memory: row r is positive at the point by `value - off`, and
/// within a distance t it moves by at most `|A (x - x_0)| + slope*t`.
struct Block<'s> {
    cur: &'s mut [f32],
    next: &'s mut [f32],
    value: &'s mut [f32],
    off: &'s mut [f32],
    slope: &'s mut [f32],
    index: &'s mut [u32],
    rows: usize,
    width: usize,
}

impl<'a, A: Arithmetic> Walk<'a, '_, A> {
    /// Finds the faces nearer than those in `faces`; `nearest` is told the coefficients and the
    /// value of each that becomes the first. Neurons are taken in the order of `scratch.keys`.
    pub(super) fn run<const K: usize>(
        &mut self,
        scratch: &mut Scratch<'_>,
        faces: &mut Nearest<K>,
        work: &mut Work,
        mut nearest: impl FnMut(&[f32], f32),
    ) -> Result<(), Error> {
        let half = scratch.pool.len() / 2;
        let (cur, next) = scratch.pool.split_at_mut(half);
        let (value, off) = (&mut *scratch.value, &mut *scratch.off);
        let (slope, index) = (&mut *scratch.slope, &mut *scratch.index);
        let mut block = Block { cur, next, value, off, slope, index, rows: 0, width: 0 };
        let (layers, count) = match self.source {
            Source::Neurons(k) => (k, 0),
            Source::Spec => (self.model.depth(), self.query.rows(self.model)),
        };
        let mut done = 0;
        loop {
            // While there is no limit, every row of a block is walked to the end.
            let all = block.index.len();
            let room = if faces.limit() < f32::INFINITY { all } else { all.min(K.max(1)) };
            let index = block.index.get_mut(..room).unwrap_or(&mut []);
            block.rows = match self.source {
                Source::Neurons(_) => pick(scratch.keys, index, faces.limit()),
                Source::Spec => sequence(&mut done, count, index),
            };
            if block.rows == 0 {
                return Ok(());
            }
            self.start(&mut block)?;
            work.neurons += block.rows as u64;
            for j in (0..layers).rev() {
                self.step(&mut block, j, faces.limit(), work)?;
            }
            work.row_macs += block.rows as u64 * block.width as u64;
            for r in 0..block.rows {
                let row = block.reached(r);
                let signed = self.source == Source::Spec;
                let walked = distance(self.arith, self.query, &row, signed, faces.limit());
                let row_index = block.index.get(r).copied().unwrap_or(0) as usize;
                let face = Face {
                    layer: self.face_layer(),
                    row: row_index,
                    distance: self.further(row_index, walked),
                };
                if faces.insert(face) {
                    let row = block.reached(r);
                    nearest(row.a, row.value);
                }
            }
        }
    }

    /// The better of a row's distance as walked and of what was known before.
    fn further(&self, i: usize, walked: f32) -> f32 {
        match self.source {
            Source::Neurons(k) => {
                let near = self.chain.near(k, i);
                if near > walked { near } else { walked }
            }
            Source::Spec => walked,
        }
    }

    fn face_layer(&self) -> usize {
        match self.source {
            Source::Neurons(k) => k,
            Source::Spec => self.model.depth(),
        }
    }

    fn layer(&self, k: usize) -> Result<Layer<'a>, Error> {
        self.query.layer(self.model, k).ok_or(Error::Workspace)
    }

    /// Fills the block with the rows of its index, over the activations of the layer before.
    fn start(&self, block: &mut Block<'_>) -> Result<(), Error> {
        match self.source {
            Source::Neurons(k) => {
                let before = self.before(k);
                block.width = before.map_or(self.model.inputs(), |live| live.index.len());
                let (rates, _) = self.totals(k);
                let layer = self.layer(k)?;
                let moves = own_rate(self.query.semantics, &layer);
                for r in 0..block.rows {
                    let i = block.index.get(r).copied().unwrap_or(0) as usize;
                    let [z, own, rate] = self.chain.neuron(k, i);
                    let slope = add_up(mul_up(moves, rate), mul_up(2.0 * ETA, rates));
                    let row = block.begin(r, z.abs(), own, slope).ok_or(Error::Workspace)?;
                    layer.row(i).gather(before.map(|live| live.index), row);
                    if z < 0.0 {
                        row.iter_mut().for_each(|a| *a = -*a);
                    }
                }
            }
            Source::Spec => {
                let last = self.model.depth() - 1;
                let (live, layer) = (self.chain.live(last), self.layer(last)?);
                block.width = live.index.len();
                let rounding = Rounding::new(block.width as u32 + 1, block.width);
                for r in 0..block.rows {
                    let spec_row = block.index.get(r).copied().unwrap_or(0) as usize;
                    let row = block.begin(r, 0.0, 0.0, 0.0).ok_or(Error::Workspace)?;
                    let (mut value, mut size) = (0.0f32, 0.0f32);
                    for (a, (i, z)) in row.iter_mut().zip(live.index.iter().zip(live.z)) {
                        *a = self.query.coefficient(spec_row, *i as usize, self.model.outputs());
                        let term = *a * layer.activation.apply(*z);
                        value += term;
                        size += term.abs();
                    }
                    block.begin(r, value, rounding.error(size), 0.0);
                }
            }
        }
        Ok(())
    }

    /// The live neurons before layer `k`, `None` for the inputs.
    fn before(&self, k: usize) -> Option<Live<'a>> {
        k.checked_sub(1).map(|k| self.chain.live(k))
    }

    /// Sums of rates and errors of what feeds layer `k`; over the inputs, `sum |x_j - u_j| <= n*r`.
    fn totals(&self, k: usize) -> (f32, f32) {
        self.before(k).map_or((self.model.inputs() as f32, 0.0), |live| live.totals())
    }

    /// Steps the block from the activations of layer `j` to those before it, after dropping the
    /// rows whose distance is at least `limit`.
    fn step(
        &mut self,
        block: &mut Block<'_>,
        j: usize,
        limit: f32,
        work: &mut Work,
    ) -> Result<(), Error> {
        let layer = self.layer(j)?;
        let live = self.chain.live(j);
        let inner = live.index.len();
        if let Activation::LeakyRelu(leak) = layer.activation {
            for row in block.cur.chunks_exact_mut(inner.max(1)).take(block.rows) {
                let below = row.iter_mut().zip(live.z).filter(|(_, z)| !(**z > 0.0));
                below.for_each(|(a, _)| *a *= leak);
            }
        }
        let rounds =
            add_up(gamma(self.arith.product_depth(inner)), own_rate(self.query.semantics, &layer));
        let (rates, errors) = self.totals(j);
        let (own_rates, own_errors) = live.totals();
        let under = underflow(inner);
        let under_slope = mul_up(under, add_up(rates, own_rates));
        let under_off = mul_up(under, add_up(errors, own_errors));
        let rounding = Rounding::new(self.arith.row_depth(inner), inner);
        let mut kept = 0;
        for r in 0..block.rows {
            let row = Row::F32(block.cur.get(r * inner..(r + 1) * inner).unwrap_or(&[]));
            let reach = |x: &[f32]| rounding.inflate(self.arith.reach(row, x));
            let (rate, error, own) = (reach(live.rate), reach(live.error), reach(live.own));
            let (value, off, slope) = block.known(r);
            let off = add_up(add_up(off, own), add_up(mul_up(rounds, error), under_off));
            let slope = add_up(slope, add_up(mul_up(rounds, rate), under_slope));
            let near = ratio_down(sub_down(sub_down(value, off), error), add_up(slope, rate));
            if !(near >= limit) {
                block.keep(r, kept, inner, [value, off, slope]);
                kept += 1;
            }
        }
        work.row_macs += 3 * block.rows as u64 * inner as u64;
        work.dropped += (block.rows - kept) as u64;
        block.rows = kept;
        let columns = self.before(j).map(|live| live.index);
        let product = Product {
            layer: j,
            weights: layer,
            live: live.index,
            from: 0,
            inner,
            columns,
            a: &*block.cur,
            stride: inner,
            rows: kept,
            accumulate: false,
        };
        block.width = product.width();
        if kept > 0 {
            let out = block.next.get_mut(..kept * block.width).ok_or(Error::Workspace)?;
            self.arith.product(&product, out);
            work.product_macs += kept as u64 * inner as u64 * block.width as u64;
        }
        core::mem::swap(&mut block.cur, &mut block.next);
        Ok(())
    }
}

impl Block<'_> {
    /// Row r's memory, its numbers being set.
    fn begin(&mut self, r: usize, value: f32, off: f32, slope: f32) -> Option<&mut [f32]> {
        *self.value.get_mut(r)? = value;
        *self.off.get_mut(r)? = off;
        *self.slope.get_mut(r)? = slope;
        self.cur.get_mut(r * self.width..(r + 1) * self.width)
    }

    /// Value, off and slope of row r.
    fn known(&self, r: usize) -> (f32, f32, f32) {
        let at = |x: &[f32]| x.get(r).copied().unwrap_or(f32::NAN);
        (at(self.value), at(self.off), at(self.slope))
    }

    /// Moves row `from` to `to` with new numbers.
    fn keep(&mut self, from: usize, to: usize, width: usize, [value, off, slope]: [f32; 3]) {
        if to < from {
            move_down(self.cur, from * width, to * width, width);
        }
        if let Some(index) = self.index.get(from).copied()
            && let Some(slot) = self.index.get_mut(to)
        {
            *slot = index;
        }
        for (slice, x) in [(&mut self.value, value), (&mut self.off, off), (&mut self.slope, slope)]
        {
            if let Some(slot) = slice.get_mut(to) {
                *slot = x;
            }
        }
    }

    /// Row r at the input.
    fn reached(&self, r: usize) -> Reached<'_> {
        let (value, off, slope) = self.known(r);
        let a = self.cur.get(r * self.width..(r + 1) * self.width).unwrap_or(&[]);
        Reached { a, value, off, slope }
    }
}

/// Takes the smallest keys below `limit` out of `keys`, as many as `index` holds.
fn pick(keys: &mut [f32], index: &mut [u32], limit: f32) -> usize {
    let mut count = 0;
    for slot in index {
        let mut best = None;
        let mut least = limit;
        for (i, key) in keys.iter().enumerate() {
            if *key < least {
                (best, least) = (Some(i), *key);
            }
        }
        let Some(i) = best else { break };
        if let Some(key) = keys.get_mut(i) {
            *key = f32::INFINITY;
        }
        *slot = i as u32;
        count += 1;
    }
    count
}

/// The next rows in order, as many as `index` holds.
fn sequence(done: &mut usize, count: usize, index: &mut [u32]) -> usize {
    let take = index.len().min(count - *done);
    for (slot, i) in index.iter_mut().zip(*done..*done + take) {
        *slot = i as u32;
    }
    *done += take;
    take
}
