//! What several twins share: places in the buffers, sums of rows, rounding of sums.

use certus_engine::num::{add_down, add_up, better_lower, mul_up, sub_down};

use crate::layout::{DEPLOYED, SCALARS, Step};

/// Relative error of one operation on a device.
pub(super) const U: f32 = crate::U as f32;
/// What flushing may take.
pub(super) const ETA: f32 = crate::ETA as f32;

/// Where scalar `i` of a sample lies.
pub(super) fn scalar(p: &Step, sample: usize, i: usize) -> usize {
    sample * (SCALARS + p.layers as usize) + i
}

/// Where in `live` the lists of a sample begin.
pub(super) fn lists(p: &Step, sample: usize) -> usize {
    (2 * p.samples * p.layers) as usize + sample * p.neurons as usize
}

/// The live neurons of a layer that begins at `first`, filled up.
pub(super) fn list<'a>(
    p: &Step,
    live: &'a [u32],
    sample: usize,
    layer: u32,
    first: u32,
) -> &'a [u32] {
    let count = live[sample * p.layers as usize + layer as usize] as usize;
    &live[lists(p, sample) + first as usize..][..count]
}

/// How many of the layer's live neurons are shared.
pub(super) fn shared(p: &Step, live: &[u32], sample: usize) -> usize {
    live[shared_count(p, sample)] as usize
}

/// Where in `live` that is written.
pub(super) fn shared_count(p: &Step, sample: usize) -> usize {
    (p.samples as usize + sample) * p.layers as usize + p.layer as usize
}

/// The sample of a slot that holds a row, `None` where it holds none any more.
pub(super) fn sample(p: &Step, rows: &[u32], slots: &[[u32; 2]], slot: usize) -> Option<usize> {
    let sample = slots[slot][0] as usize;
    let end = rows[sample] + rows[p.samples as usize + sample];
    ((slot as u32) < end).then_some(sample)
}

/// Whether tighter ends would help a neuron with these: its activation is not one line between them.
pub(super) fn is_open(p: &Step, lo: f32, hi: f32) -> bool {
    let [a, b, c, d] = p.bends;
    (lo < a && hi > b) || (lo < c && hi > d)
}

/// Upper bound of a true sum of non-negative products from the computed one.
pub(super) fn inflate(p: &Step, sum: f32) -> f32 {
    mul_up(add_up(sum, p.under), p.factor)
}

/// What separates computed or original pre-activations of this mass from the stored network's.
pub(super) fn disturbance(p: &Step, mass: f32) -> f32 {
    let mut d = 0.0;
    if p.weight_error != 0.0 || p.bias_error != 0.0 {
        d = add_up(mul_up(p.weight_error, mass), p.bias_error);
    }
    if p.flags & DEPLOYED != 0 {
        d = add_up(d, add_up(mul_up(p.relative, mass), p.absolute));
    }
    d
}

/// Sums of a row's terms as a workgroup of so many threads adds them: a thread's own, then a tree.
pub(super) fn row_sums<const THREADS: usize, const N: usize>(
    n: usize,
    term: impl FnMut(usize) -> [f32; N],
) -> [f32; N] {
    let mut parts = [[0.0; N]; THREADS];
    for (k, term) in (0..n).map(term).enumerate() {
        add(&mut parts[k % THREADS], term);
    }
    let mut step = THREADS / 2;
    while step > 0 {
        for t in 0..step {
            let other = parts[t + step];
            add(&mut parts[t], other);
        }
        step /= 2;
    }
    parts[0]
}

/// `floor + sum a g` less what a step loses; `sums` of gains, of their sizes, and of budgets.
pub(super) fn settle(p: &Step, floor: f32, [gain, size, budget]: [f32; 3], under: f32) -> f32 {
    let gains = add_up(mul_up(p.gamma, inflate(p, size)), p.under);
    let loss = add_up(add_up(inflate(p, budget), gains), under);
    sub_down(add_down(floor, gain), loss)
}

fn add<const N: usize>(sums: &mut [f32; N], terms: [f32; N]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}

/// Improves the end of a neuron by a bound of its row, `row` twice the neuron plus 1 for the upper end.
pub(super) fn better_end(p: &Step, ends: &mut [f32], sample: usize, row: u32, bound: f32) {
    let (width, neuron) = (p.width as usize, (row / 2) as usize);
    if row.is_multiple_of(2) {
        let end = &mut ends[2 * sample * width + neuron];
        *end = better_lower(*end, bound);
    } else {
        let end = &mut ends[(2 * sample + 1) * width + neuron];
        *end = -better_lower(-*end, bound);
    }
}
