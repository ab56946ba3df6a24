//! Twin of `relax`.

use certus_engine::num::sub_down;
use certus_engine::num::sums::drop_negligible;

use super::step::{better_end, inflate, list, row_sums, sample, scalar, settle};
use crate::layout::{BOUNDED, NEURONS, SCALARS, Step};

/// Lines in place of activations.
pub fn relax(
    p: &Step,
    slots: &[[u32; 2]],
    rows: &[u32],
    live: &[u32],
    lines: &[f32],
    scalars: &[f32],
    ends: &mut [f32],
    floors: &mut [f32],
    a: &mut [f32],
) {
    let neurons = p.neurons as usize;
    for slot in 0..slots.len() {
        let Some(sample) = sample(p, rows, slots, slot) else { continue };
        let count = list(p, live, sample, p.layer, p.first).len();
        let line = crate::layout::LINES * sample * neurons + p.first as usize;
        let row = &mut a[slot * 4 * p.stride as usize..][..count];
        let [gain, size, budget, reach] = row_sums::<64, 4>(count, |k| {
            let x = row[k];
            let of = |i: usize| lines[line + i * neurons + k];
            let old = drop_negligible(x);
            let (slope, gain) = if old > 0.0 { (of(0), of(2)) } else { (of(1), of(3)) };
            let gain = old * gain;
            row[k] = drop_negligible(old * slope);
            [gain, gain.abs(), row[k].abs() * of(4), x.abs() * of(5)]
        });
        let before = floors[slot];
        if p.flags & (BOUNDED | NEURONS) == BOUNDED | NEURONS {
            let bound = sub_down(before, inflate(p, reach));
            better_end(p, ends, sample, slots[slot][1], bound);
        }
        let under = scalars[scalar(p, sample, SCALARS + p.layer as usize)];
        floors[slot] = settle(p, before, [gain, size, budget], under);
    }
}
