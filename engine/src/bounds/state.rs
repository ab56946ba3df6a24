//! What the forward walk knows of each layer: intervals, and the lines of its live neurons.

use super::Options;
use super::arithmetic::Arithmetic;
use super::budget::{Disturbance, Entry, Share};
use super::interval::Masses;
use super::workspace::Arena;
use crate::model::{Layer, Model};
use crate::num::sums::Lines;
use crate::num::{NEGLIGIBLE, add_up, better_lower, mul_up, underflow};
use crate::relax;

/// Arrays over all neurons, a part for each layer; lines and what follows them hold one entry per
/// *live* neuron (one whose activation can differ from 0), the shared ones first.
pub(super) struct State<'w> {
    /// Lower ends of the pre-activations: of all layers, or of the last one bounded.
    pub lo: &'w mut [f32],
    /// Upper ends.
    pub hi: &'w mut [f32],
    /// Whether these, and the middles, are of all layers.
    whole: bool,
    slope_lo: &'w mut [f32],
    slope_up: &'w mut [f32],
    gain_lo: &'w mut [f32],
    gain_up: &'w mut [f32],
    budget: &'w mut [f32],
    /// As the ends, of all layers or of the last one.
    mid: &'w mut [f32],
    rad: &'w mut [f32],
    /// For each layer, what underflow may take from a row that steps through it.
    under: &'w mut [f32],
    live: &'w mut [u32],
    offset: &'w mut [u32],
    count: &'w mut [u32],
    shared: &'w mut [u32],
}

/// The part of `slice` that belongs to a layer.
pub(crate) fn part<T>(slice: &[T], from: usize, len: usize) -> &[T] {
    slice.get(from..).and_then(|tail| tail.get(..len)).unwrap_or(&[])
}

/// As [`part`], mutable.
pub(super) fn part_mut<T>(slice: &mut [T], from: usize, len: usize) -> &mut [T] {
    slice.get_mut(from..).and_then(|tail| tail.get_mut(..len)).unwrap_or(&mut [])
}

/// Copies `len` entries from `from` on to `to`, where they end before `from`; nothing if they do not
/// exist. What `copy_within` does, without its panic.
pub(crate) fn move_down<T: Copy>(slice: &mut [T], from: usize, to: usize, len: usize) {
    if let Some((head, tail)) = slice.split_at_mut_checked(from)
        && let Some(source) = tail.get(..len)
        && let Some(target) = head.get_mut(to..).and_then(|rest| rest.get_mut(..len))
    {
        target.copy_from_slice(source);
    }
}

/// Entry `k`, 0 past the end.
pub(crate) fn at(slice: &[u32], k: usize) -> usize {
    slice.get(k).copied().unwrap_or(0) as usize
}

/// Writes entry `i` of a slice if there is one.
pub(super) fn put<T>(slice: &mut [T], i: usize, value: T) {
    if let Some(slot) = slice.get_mut(i) {
        *slot = value;
    }
}

impl<'w> State<'w> {
    /// Takes its arrays from the workspace; `None` if that is too small.
    pub(super) fn new(
        model: &Model<'_>,
        options: &Options,
        floats: &mut Arena<'w, f32>,
        indices: &mut Arena<'w, u32>,
    ) -> Option<Self> {
        let (n, whole) = (model.neurons(), options.keeps_ends());
        let ends = Self::ends_len(model, options);
        let state = Self {
            whole,
            lo: floats.take(ends)?,
            hi: floats.take(ends)?,
            slope_lo: floats.take(n)?,
            slope_up: floats.take(n)?,
            gain_lo: floats.take(n)?,
            gain_up: floats.take(n)?,
            budget: floats.take(n)?,
            mid: floats.take(ends)?,
            rad: floats.take(n)?,
            under: floats.take(model.depth())?,
            live: indices.take(n)?,
            offset: indices.take(model.depth())?,
            count: indices.take(model.depth())?,
            shared: indices.take(model.depth())?,
        };
        let mut sum = 0;
        for (slot, k) in state.offset.iter_mut().zip(0..) {
            *slot = sum as u32;
            sum += model.rows(k);
        }
        Some(state)
    }

    /// Entries of the ends and the middles.
    pub(super) const fn ends_len(model: &Model<'_>, options: &Options) -> usize {
        if options.keeps_ends() { model.neurons() } else { model.width() }
    }

    /// Where layer `k`'s part of the ends and the middles begins.
    fn ends_offset(&self, k: usize) -> usize {
        if self.whole { self.offset(k) } else { 0 }
    }

    /// Where layer `k`'s part of the arrays begins.
    pub(super) fn offset(&self, k: usize) -> usize {
        at(self.offset, k)
    }

    /// Live neurons of layer `k`, the shared ones first.
    pub(super) fn live(&self, k: usize) -> &[u32] {
        part(self.live, self.offset(k), at(self.count, k))
    }

    /// How many of them multiply a coefficient by one slope whatever its sign.
    pub(super) fn shared(&self, k: usize) -> usize {
        at(self.shared, k)
    }

    /// The lines of layer `k`'s live neurons.
    pub(super) fn lines(&self, k: usize) -> Lines<'_> {
        let (from, len) = (self.offset(k), at(self.count, k));
        Lines {
            slope_lo: part(self.slope_lo, from, len),
            slope_up: part(self.slope_up, from, len),
            gain_lo: part(self.gain_lo, from, len),
            gain_up: part(self.gain_up, from, len),
            budget: part(self.budget, from, len),
        }
    }

    /// Radii of the activations of layer `k`'s live neurons.
    pub(super) fn radii(&self, k: usize) -> &[f32] {
        part(self.rad, self.offset(k), at(self.count, k))
    }

    /// Midpoints and radii of the same, of the last layer whose lines were chosen.
    pub(super) fn outputs(&self, k: usize) -> (&[f32], &[f32]) {
        (part(self.mid, self.ends_offset(k), at(self.count, k)), self.radii(k))
    }

    /// Underflow allowance of a step through layer `k`.
    pub(super) fn under(&self, k: usize) -> f32 {
        self.under.get(k).copied().unwrap_or(f32::INFINITY)
    }

    /// Pre-activation interval ends of layer `k`.
    pub(super) fn interval(&mut self, k: usize, rows: usize) -> (&mut [f32], &mut [f32]) {
        let from = self.ends_offset(k);
        (part_mut(self.lo, from, rows), part_mut(self.hi, from, rows))
    }

    /// As [`State::interval`], to look at.
    pub(super) fn ends(&self, k: usize, rows: usize) -> (&[f32], &[f32]) {
        let from = self.ends_offset(k);
        (part(self.lo, from, rows), part(self.hi, from, rows))
    }

    /// Intersects the intervals of layer `k` with those given for all neurons.
    pub(super) fn intersect(&mut self, k: usize, rows: usize, (lo, hi): (&[f32], &[f32])) {
        let from = self.offset(k);
        let (lower, upper) = self.interval(k, rows);
        for (slot, lo) in lower.iter_mut().zip(part(lo, from, rows)) {
            *slot = better_lower(*slot, *lo);
        }
        for (slot, hi) in upper.iter_mut().zip(part(hi, from, rows)) {
            *slot = -better_lower(-*slot, -*hi);
        }
    }

    /// Chooses the lines of layer `k` from its intervals, and the rounding budget that goes with
    /// them; `total` is the sum of the magnitudes of the layer's inputs.
    ///
    /// A step goes from `A (sigma(z) - mid)` to `A' (x' - mid')`, x' the layer's inputs and `A' =
    /// fl(Ã W)`, with `z - zc = W (x' - mid') + (W mid' + b - zc)`. So the budget of neuron i, what
    /// a unit of `|Ã_i|` may lose, is (`soundness.md` 3, 4, 6): the product's rounding, which only
    /// meets the inputs' *deviation*, `gamma(depth) * |W_i| rad'`; the error of `zc_i`; the rounding
    /// of coefficient times slope, `U*max|z_i - zc_i|`, unless the slope is 0 or 1; what separates
    /// the stored layer from the original one; and under deployed semantics the forward pass's own
    /// rounding ([`Disturbance`]).
    pub(super) fn choose_lines<A: Arithmetic>(
        &mut self,
        arith: &A,
        options: &Options,
        slopes: Option<(&[f32], &[f32])>,
        k: usize,
        layer: &Layer<'_>,
        masses: &Masses<'_>,
        total: f32,
    ) {
        let (from, middles) = (self.offset(k), self.ends_offset(k));
        let lo = part(self.lo, middles, layer.rows);
        let hi = part(self.hi, middles, layer.rows);
        let lines = |i: usize| {
            let (l, h) = (lo.get(i).copied()?, hi.get(i).copied()?);
            let activation = layer.activation_of(i);
            let lines = match slopes {
                Some((lower, upper)) => {
                    let (lower, upper) = (lower.get(from + i)?, upper.get(from + i)?);
                    relax::relax_with(activation, l, h, *lower, *upper)
                }
                None => relax::relax(activation, l, h, options.slope()),
            };
            (!lines.is_dead()).then_some((lines, l, h))
        };
        let disturbance = Disturbance::new(options.semantics, layer);
        // Lines of curved activations cost much and seldom share slopes: they are found once.
        let curved = |i: usize| layer.activation_of(i).leak().is_none();
        let mut count = 0;
        let mut shared = 0;
        let mut largest = 0.0f32;
        for pass in [true, false] {
            for i in 0..layer.rows {
                let curved = curved(i);
                if curved && pass {
                    continue;
                }
                let found = lines(i).filter(|(r, ..)| curved || r.is_shared() == pass);
                let Some((line, l, h)) = found else { continue };
                let slot = from + count;
                let entry = Entry::new(
                    options.semantics,
                    layer,
                    i,
                    line,
                    (l, h),
                    (masses.of(i), &disturbance),
                );
                put(self.live, slot, i as u32);
                put(self.slope_lo, slot, line.slope_lo);
                put(self.slope_up, slot, line.slope_up);
                put(self.gain_lo, slot, entry.gain_lo);
                put(self.gain_up, slot, entry.gain_up);
                put(self.mid, middles + count, entry.mid);
                put(self.rad, slot, entry.rad);
                largest = if entry.largest > largest { entry.largest } else { largest };
                // The product's share is added below, when the live count is known.
                put(self.budget, slot, entry.budget);
                count += 1;
            }
            if pass {
                shared = count;
            }
        }
        put(self.count, k, count as u32);
        put(self.shared, k, shared as u32);
        let live = part(self.live, from, count);
        let share = Share::new(arith, count, shared, total);
        for (budget, i) in part_mut(self.budget, from, count).iter_mut().zip(live) {
            *budget = share.add(*budget, masses.of(*i as usize).spread);
        }
        // Each of the `count` products and sums may lose ETA on a coefficient, which then meets an
        // input of magnitude m_j, a gain, or z_i - zc_i.
        let per_coefficient = add_up(add_up(total, mul_up(4.0 * count as f32, largest)), 2.0);
        let under = mul_up(underflow(count), per_coefficient);
        // A dropped coefficient was on `sigma(z_i) - mid_i` or on `z_i - zc_i`.
        let dropped = mul_up(NEGLIGIBLE, mul_up(4.0 * count as f32, largest));
        put(self.under, k, add_up(under, dropped));
    }
}
