//! Linear functions of the input carried forward, layer after layer.
//!
//! With `d = x - mid` the input's deviation from the middle of its box, the activations of the layer
//! last passed are held as `|x_j - mid_j - M_j.d - m_j| <= R_j.d + e_j` for all x of the region, the
//! coefficients being these very floats: M is the middle of a lower and an upper linear function, R
//! half their difference. A layer's pre-activations obey, with `zc` the interval step's centres,
//! `|z_i - zc_i - (W_i M).d - W_i m| <= (|W_i| R).d + |W_i| e` and what the floats drop, so
//! `z_i - zc_i >= L_i.d + l_i` and `zc_i - z_i >= N_i.d + n_i` with `L = W M - |W| R` and
//! `N = -(W M + |W| R)`. Two products of the inputs' width a layer bound all of its neurons, where a
//! walk back takes as many as there are layers below for each of them; but the lines of layers below
//! are chosen for no neuron in particular, and so the bounds are looser than a walk's.

use super::arithmetic::Arithmetic;
use super::budget::Disturbance;
use super::interval::{Mass, Masses};
use super::state::{State, part, part_mut, put};
use super::walk::Block;
use super::workspace::Arena;
use super::{Options, Semantics, Work};
use crate::model::{Activation, Layer, Row};
use crate::num::sums::drop_negligible;
use crate::num::{
    ETA, NEGLIGIBLE, Rounding, U, add_down, add_up, better_lower, gamma, mul_down, mul_up,
    sub_down, underflow,
};
use crate::region::{Reach, Region};
use crate::relax::is_unstable;

/// The region and the box around it.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub region: &'a Region<'a>,
    pub mid: &'a [f32],
    pub rad: &'a [f32],
}

impl<'a> Input<'a> {
    pub(super) fn new(region: &'a Region<'a>, mid: &'a [f32], rad: &'a [f32]) -> Self {
        Self { region, mid, rad }
    }

    /// Upper bound of `sum |a_c| |x_c - mid_c|` over the region: over its box or, for a ball, by
    /// Hoelder's inequality.
    fn magnitude<A: Arithmetic>(&self, arith: &A, row: &[f32], rounding: &Rounding) -> f32 {
        match self.region {
            Region::Ball(_) if !self.region.is_box() => {
                self.region.reach(arith, Row::F32(row), self.mid, self.rad, false).below
            }
            _ => rounding.inflate(arith.reach(Row::F32(row), self.rad)),
        }
    }
}

/// The functions of one layer in the caller's memory.
pub(super) struct Linear<'w> {
    inputs: usize,
    /// For each neuron chosen `[L, N, l, n, hi]`: its functions, and the upper end found.
    pre: &'w mut [f32],
    /// The lower ends found.
    found: &'w mut [f32],
    /// The neurons chosen, in increasing order.
    chosen: &'w mut [u32],
    count: usize,
    /// Whether `N = -L` for each of them.
    same: bool,
    /// Whether all neurons passed before them are one line over their intervals.
    exact: bool,
    /// The same of the layer last passed.
    tight: bool,
    /// The activations last passed.
    columns: Columns<'w>,
}

/// The functions of the live activations of one layer.
struct Columns<'w> {
    /// M, for each input the entries of all activations.
    mid: &'w mut [f32],
    /// R, the same for those from `from` on; the others have none.
    rad: &'w mut [f32],
    /// m.
    shift: &'w mut [f32],
    /// e, and what a weight of size 1 may lose to rounding.
    loss: &'w mut [f32],
    live: usize,
    from: usize,
    /// What underflow may take from a row.
    under: f32,
}

/// Floats of a row of [`Linear::pre`].
const fn stride(inputs: usize) -> usize {
    2 * inputs + 3
}

/// Floats and indices of [`Linear`] for a network of so many inputs and neurons in its widest layer.
pub(super) const fn size(inputs: usize, width: usize) -> (usize, usize) {
    (width * (stride(inputs) + 2 * inputs + 3), width)
}

/// What a row starts from: its quantity at the middle of the boxes, give or take `error`.
#[derive(Clone, Copy)]
struct Constant {
    centre: f32,
    error: f32,
}

impl<'w> Linear<'w> {
    /// Takes its arrays from the workspace; `None` if that is too small.
    pub(super) fn new(
        inputs: usize,
        width: usize,
        floats: &mut Arena<'w, f32>,
        indices: &mut Arena<'w, u32>,
    ) -> Option<Self> {
        Some(Self {
            inputs,
            pre: floats.take(width * stride(inputs))?,
            found: floats.take(width)?,
            chosen: indices.take(width)?,
            count: 0,
            same: true,
            exact: true,
            tight: true,
            columns: Columns {
                mid: floats.take(width * inputs)?,
                rad: floats.take(width * inputs)?,
                shift: floats.take(width)?,
                loss: floats.take(width)?,
                live: 0,
                from: 0,
                under: 0.0,
            },
        })
    }

    /// Whether the ends that [`Linear::step`] gives next are as tight as a walk's: nothing but the
    /// layer before was relaxed.
    pub(super) fn is_tight(&self) -> bool {
        self.tight
    }

    /// Chooses the neurons of a layer whose functions are computed: all that are not known to be dead
    /// if a later layer needs them (`carry`), else those that are worth tightening.
    fn choose(
        &mut self,
        layer: &Layer<'_>,
        options: &Options,
        carry: bool,
        lo: &[f32],
        hi: &[f32],
    ) {
        let all = options.every_neuron || !options.intersect;
        self.count = 0;
        for (i, (lo, hi)) in lo.iter().zip(hi).enumerate() {
            let activation = layer.activation_of(i);
            let dead = activation == Activation::Relu && *hi <= 0.0;
            if (all || (carry && !dead) || is_unstable(activation, *lo, *hi))
                && let Some(slot) = self.chosen.get_mut(self.count)
            {
                *slot = i as u32;
                self.count += 1;
            }
        }
    }

    /// The functions of the first layer: its weights. Its intervals are the interval step's.
    pub(super) fn begin(
        &mut self,
        layer: &Layer<'_>,
        options: &Options,
        state: &mut State<'_>,
        masses: &Masses<'_>,
    ) {
        let (lo, hi) = state.interval(0, layer.rows);
        self.choose(layer, options, true, lo, hi);
        (self.same, self.exact) = (true, true);
        let disturbance = Disturbance::new(options.semantics, layer);
        let chosen = self.chosen.get(..self.count).unwrap_or(&[]);
        for (row, i) in self.pre.chunks_exact_mut(stride(self.inputs)).zip(chosen) {
            let (lower, negated, tail) = split(row, self.inputs);
            layer.row(*i as usize).gather(None, lower);
            for (n, l) in negated.iter_mut().zip(&*lower) {
                *n = -*l;
            }
            let off = -constant(&disturbance, masses, *i).error;
            write(tail, [off, off, f32::INFINITY]);
        }
    }

    /// The functions of layer `k`'s pre-activations, k at least 1, and the ends that they give.
    ///
    /// `carry`: whether a later layer needs them; `intersect`: whether the ends are intersected with
    /// those known or, as in the papers, replace them. Gives how many neurons were worth tightening, and
    /// how many still are.
    pub(super) fn step<A: Arithmetic>(
        &mut self,
        arith: &A,
        input: Input<'_>,
        (k, layer): (usize, &Layer<'_>),
        options: &Options,
        (carry, intersect): (bool, bool),
        (state, block, masses): (&mut State<'_>, &mut Block<'_>, &Masses<'_>),
        work: &mut Work,
    ) -> (usize, usize) {
        let (lo, hi) = state.interval(k, layer.rows);
        self.choose(layer, options, carry, lo, hi);
        self.same = self.columns.wide() == 0;
        let capacity = block.cur.len().checked_div(self.columns.live).unwrap_or(self.count).max(1);
        let disturbance = Disturbance::new(options.semantics, layer);
        let mut done = 0;
        while done < self.count {
            let take = capacity.min(self.count - done);
            let live = state.live(k - 1);
            let chosen = part(self.chosen, done, take);
            for (r, i) in chosen.iter().enumerate() {
                let row = block.cur.get_mut(r * live.len()..).unwrap_or(&mut []);
                layer.row(*i as usize).gather(Some(live), row);
            }
            let pre = part_mut(self.pre, done * stride(self.inputs), take * stride(self.inputs));
            let found = part_mut(self.found, done, take);
            self.columns.bound(arith, input, block.cur, true, pre, found, |r| {
                let i = chosen.get(r).copied().unwrap_or(u32::MAX);
                constant(&disturbance, masses, i)
            });
            done += take;
        }
        self.count_work(self.count, input.region, work);
        let (lo, hi) = state.interval(k, layer.rows);
        let chosen = self.chosen.get(..self.count).unwrap_or(&[]);
        let rows = self.pre.chunks_exact(stride(self.inputs));
        let (mut before, mut after) = (0, 0);
        for ((i, lower), row) in chosen.iter().zip(&*self.found).zip(rows) {
            let i = *i as usize;
            let (Some(lo), Some(hi), Some(upper)) = (lo.get_mut(i), hi.get_mut(i), row.last())
            else {
                continue;
            };
            before += usize::from(is_unstable(layer.activation_of(i), *lo, *hi));
            if intersect {
                *lo = better_lower(*lo, *lower);
                *hi = -better_lower(-*hi, -*upper);
            } else if lower.is_finite() && upper.is_finite() {
                (*lo, *hi) = (*lower, *upper);
            }
            after += usize::from(is_unstable(layer.activation_of(i), *lo, *hi));
        }
        (before, after)
    }

    /// Multiply-adds of so many rows.
    fn count_work(&self, rows: usize, region: &Region<'_>, work: &mut Work) {
        let (rows, inputs) = (rows as u64, self.inputs as u64);
        let (live, wide) = (self.columns.live as u64, self.columns.wide() as u64);
        work.product_macs += rows * (live + wide) * inputs;
        work.row_macs += 2 * rows * (live + region.passes() * inputs);
    }

    /// Replaces the pre-activations of layer `k` by its activations, by the lines that `state` has.
    ///
    /// `x - mid >= slope (z - zc) + gain` with the lower line's, `<=` with the upper's; each slope
    /// multiplies the function that its sign asks for. A coefficient of M or R is rounded twice, so
    /// M and R together are off by at most `2 gamma(3) (|M| + |R|)` and by what is negligible; that
    /// meets `|d|` and goes into e, as does half the distance of the two constants (`soundness.md` 3,
    /// 4). Where both functions are one and the slopes are 0 or 1 nothing is rounded.
    pub(super) fn relax<A: Arithmetic>(
        &mut self,
        arith: &A,
        input: Input<'_>,
        (k, layer): (usize, &Layer<'_>),
        semantics: Semantics,
        state: &State<'_>,
        work: &mut Work,
    ) {
        let mut sum = 1.0f32;
        for rad in input.rad {
            sum = add_up(sum, *rad);
        }
        let inputs = self.inputs;
        let rounding = Rounding::new(arith.row_depth(inputs), inputs);
        let (live, lines) = (state.live(k), state.lines(k));
        let (lo, hi) = state.ends(k, layer.rows);
        let columns = &mut self.columns;
        columns.live = live.len();
        columns.from = if self.same { state.shared(k) } else { 0 };
        let (from, wide) = (columns.from, columns.wide());
        // A coefficient of `W M - |W| R`: two sums and their difference.
        let g = gamma(arith.row_depth(live.len()).max(arith.row_depth(wide)) + 1);
        let chosen = self.chosen.get(..self.count).unwrap_or(&[]);
        let slopes = lines.slope_lo.iter().zip(lines.slope_up);
        let gains = lines.gain_lo.iter().zip(lines.gain_up);
        let slots = columns.shift.iter_mut().zip(&mut *columns.loss);
        self.tight = self.exact;
        let mut total = 0.0f32;
        for (slot, (((i, (&s_lo, &s_up)), (&gain_lo, &gain_up)), (shift, loss))) in
            live.iter().zip(slopes).zip(gains).zip(slots).enumerate()
        {
            let row = chosen.binary_search(i).ok();
            let row = row.and_then(|p| self.pre.chunks_exact_mut(stride(inputs)).nth(p));
            let Some(row) = row else {
                // Never: what is live was chosen.
                *loss = f32::NAN;
                continue;
            };
            let (lower, negated, tail) = split(row, inputs);
            let [l, n, _] = *tail else { continue };
            // The constants of the two sides.
            let below = add_down(mul_down(s_lo.abs(), if s_lo >= 0.0 { l } else { n }), gain_lo);
            let above = sub_down(mul_down(s_up.abs(), if s_up >= 0.0 { n } else { l }), gain_up);
            let (mut m, mut e) = crate::region::middle(below, -above);
            if m.abs() < NEGLIGIBLE {
                (m, e) = (0.0, add_up(e, m.abs()));
            }
            // The functions need not meet at the middle, and no NaN may vanish.
            let e = if e < 0.0 { 0.0 } else { e };
            for (a, b) in lower.iter_mut().zip(&mut *negated) {
                let low = s_lo.abs() * if s_lo >= 0.0 { *a } else { *b };
                let neg = s_up.abs() * if s_up >= 0.0 { *b } else { *a };
                *a = drop_negligible(0.5 * (low - neg));
                *b = drop_negligible(-0.5 * (low + neg));
            }
            let mut size = input.magnitude(arith, lower, &rounding);
            if slot >= from {
                size = add_up(size, input.magnitude(arith, negated, &rounding));
            }
            // What was negligible or underflowed.
            let lost = add_up(2.0 * NEGLIGIBLE, mul_up(8.0 * ETA, add_up(s_lo.abs(), s_up.abs())));
            let mut e = add_up(e, mul_up(lost, sum));
            let unit = s_lo == s_up && (s_lo == 0.0 || s_lo.abs() == 1.0);
            if !(self.same && unit) {
                e = add_up(e, mul_up(2.0 * gamma(3), size));
            }
            let activation = layer.activation_of(*i as usize);
            let ends = lo.get(*i as usize).zip(hi.get(*i as usize));
            let (l, h) = ends.map_or((f32::NAN, f32::NAN), |(l, h)| (*l, *h));
            self.exact &= !is_unstable(activation, l, h);
            if semantics == Semantics::Deployed && matches!(activation, Activation::LeakyRelu(_)) {
                // The leaky product of the forward pass rounds once.
                let (z, s) = (larger(-l, h), larger(s_lo.abs(), s_up.abs()));
                e = add_up(e, mul_up(s, mul_up(U, mul_up(1.000_001, z))));
            }
            let size = add_up(size, m.abs());
            *shift = m;
            *loss = add_up(e, mul_up(g, size));
            total = add_up(total, add_up(size, *loss));
            for (c, (a, b)) in lower.iter().zip(&*negated).enumerate() {
                put(columns.mid, c * live.len() + slot, *a);
                if slot >= from {
                    put(columns.rad, c * wide + (slot - from), *b);
                }
            }
        }
        // Each product and sum may lose ETA on a coefficient; a weight that is flushed loses as much
        // of what it meets.
        let flushed = mul_up(4.0 * ETA, add_up(total, 1.0));
        columns.under = add_up(mul_up(underflow(2 * live.len() + 8), add_up(sum, 1.0)), flushed);
        // Slopes and halves for either side, and its magnitude.
        let passes = 4 + 2 * input.region.passes();
        work.row_macs += passes * live.len() as u64 * inputs as u64;
    }

    /// Lower bounds of the block's rows, which are functions of the activations last relaxed.
    pub(super) fn bound<A: Arithmetic>(
        &mut self,
        arith: &A,
        input: Input<'_>,
        block: &Block<'_>,
        work: &mut Work,
    ) -> &[f32] {
        self.count_work(block.rows, input.region, work);
        let pre = part_mut(self.pre, 0, block.rows * stride(self.inputs));
        let found = part_mut(self.found, 0, block.rows);
        self.columns.bound(arith, input, block.cur, false, pre, found, |r| {
            let centre = block.floor.get(r).copied().unwrap_or(f32::NAN);
            Constant { centre, error: 0.0 }
        });
        found
    }
}

impl Columns<'_> {
    /// How many of the activations have R.
    fn wide(&self) -> usize {
        self.live - self.from
    }

    /// Functions and ends of the rows of weights in `rows`, one for each entry of `found`.
    ///
    /// With `a` a row, `c` its constant: `a (x - mid) + c` is at least `L.d + l` for all x of the
    /// region, `L = fl(fl(a M) - fl(|a| R))`, whose rounding is at most
    /// `gamma(depth + 1) sum |a_j| (|M_j| + |R_j|)` on each coefficient (`soundness.md` 2), charged
    /// with e in one sum, [`Linear::loss`]; from above alike if `both`.
    fn bound<A: Arithmetic>(
        &self,
        arith: &A,
        input: Input<'_>,
        rows: &[f32],
        both: bool,
        pre: &mut [f32],
        found: &mut [f32],
        constant: impl Fn(usize) -> Constant + Sync,
    ) {
        let (inputs, live, wide) = (input.rad.len(), self.live, self.wide());
        let rounding = Rounding::new(arith.row_depth(live), live);
        let reads = (live + wide) * inputs;
        arith.each_row(reads, pre, stride(inputs), found, |r, out, found| {
            let row = part(rows, r * live, live);
            let (all, tail_of_row) = (Row::F32(row), Row::F32(part(row, self.from, wide)));
            let (lower, negated, tail) = split(out, inputs);
            for (c, (l, n)) in lower.iter_mut().zip(&mut *negated).enumerate() {
                let middle = arith.dot(all, part(self.mid, c * live, live));
                if wide == 0 {
                    (*l, *n) = (middle, -middle);
                } else {
                    let half = arith.reach(tail_of_row, part(self.rad, c * wide, wide));
                    (*l, *n) = (middle - half, -(middle + half));
                }
            }
            let Constant { centre, error } = constant(r);
            let shift = arith.dot(all, part(self.shift, 0, live));
            let lost = rounding.inflate(arith.reach(all, part(self.loss, 0, live)));
            let lost = add_up(add_up(lost, self.under), error);
            let (below, above) = (sub_down(shift, lost), sub_down(-shift, lost));
            let reach = |row: &[f32], both| {
                input.region.reach(arith, Row::F32(row), input.mid, input.rad, both)
            };
            let Reach { below: down, above: up } = reach(lower, both && wide == 0);
            *found = sub_down(add_down(centre, below), down);
            let up = match (both, wide) {
                (false, _) => f32::INFINITY,
                (true, 0) => up,
                _ => reach(negated, false).below,
            };
            let end = -sub_down(add_down(-centre, above), up);
            write(tail, [below, above, end]);
        });
    }
}

/// Fills a slice.
fn write<T>(to: &mut [T], from: impl IntoIterator<Item = T>) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// The larger of two numbers.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The parts of a row of [`Linear::pre`]: L, N, and the three numbers after them.
fn split(row: &mut [f32], inputs: usize) -> (&mut [f32], &mut [f32], &mut [f32]) {
    let none = || (Default::default(), Default::default(), Default::default());
    let Some((lower, rest)) = row.split_at_mut_checked(inputs) else { return none() };
    match rest.split_at_mut_checked(inputs) {
        Some((negated, tail)) => (lower, negated, tail),
        None => none(),
    }
}

/// What a neuron's row starts from.
fn constant(disturbance: &Disturbance, masses: &Masses<'_>, i: u32) -> Constant {
    let Mass { mass, centre, error, .. } = masses.of(i as usize);
    Constant { centre, error: add_up(error, disturbance.of(mass)) }
}
