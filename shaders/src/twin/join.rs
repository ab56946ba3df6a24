//! Twin of `join`.

use certus_engine::num::sums::drop_negligible;

use super::step::{list, row_sums, scalar, settle, shared};
use crate::layout::{LINES, SCALARS, Step};

/// Lines in place of activations, in the first step of both rows of a neuron.
pub fn join(
    p: &Step,
    slots: &[[u32; 2]],
    live: &[u32],
    lines: &[f32],
    scalars: &[f32],
    floors: &mut [f32],
    a: &mut [f32],
) {
    let (neurons, stride) = (p.neurons as usize, 4 * p.stride as usize);
    for slot in (0..slots.len()).step_by(2) {
        let sample = slots[slot][0] as usize;
        let count = list(p, live, sample, p.layer, p.first).len();
        let both = shared(p, live, sample);
        let line = LINES * sample * neurons + p.first as usize;
        let under = scalars[scalar(p, sample, SCALARS + p.layer as usize)];
        let (row, other) = a[slot * stride..].split_at_mut(stride);
        let [gain, size, budget, gain_other, size_other, budget_other] =
            row_sums::<64, 6>(count, |k| {
                let of = |i: usize| lines[line + i * neurons + k];
                // The line of a coefficient, by its sign.
                let relaxed = |x: f32| {
                    let (slope, gain) = if x > 0.0 { (of(0), of(2)) } else { (of(1), of(3)) };
                    (drop_negligible(x * slope), x * gain)
                };
                let x = drop_negligible(row[k]);
                let (mine, gain) = relaxed(x);
                let (its, opposite) = relaxed(-x);
                row[k] = mine;
                other[k] = if k < both { -mine } else { its };
                let budget = |new: f32| new.abs() * of(4);
                [gain, gain.abs(), budget(mine), opposite, opposite.abs(), budget(other[k])]
            });
        floors[slot] = settle(p, floors[slot], [gain, size, budget], under);
        floors[slot + 1] =
            settle(p, floors[slot + 1], [gain_other, size_other, budget_other], under);
    }
}
