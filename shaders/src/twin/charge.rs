//! Twins of `charge` and `length`.

use certus_engine::num::{add_up, mul_up};

use super::chain::{met, total};
use super::step::{ETA, inflate, list, row_sums, shared};
use crate::layout::Step;

/// What rows are charged for a step through a layer whose neurons keep their sides.
pub fn charge(
    p: &Step,
    slots: &[[u32; 2]],
    live: &[u32],
    points: &[f32],
    totals: &[f32],
    marks: &mut [[f32; 2]],
    a: &mut [f32],
) {
    let neurons = p.neurons as usize;
    for (slot, [sample, _]) in slots.iter().enumerate() {
        let sample = *sample as usize;
        let list = list(p, live, sample, p.layer, p.first);
        let count = shared(p, live, sample);
        let point = 4 * sample * neurons + p.first as usize;
        let row = &mut a[slot * 4 * p.stride as usize..][..list.len()];
        let [rate, error, own] = row_sums::<64, 3>(count, |k| {
            let of = |array: usize| points[point + array * neurons + list[k] as usize];
            let x = row[k].abs();
            [x * of(2), x * of(1), x * of(3)]
        });
        row[count..].fill(0.0);
        let [met_rate, met_error] = met(p, totals, sample);
        let at = total(p, sample);
        let under_slope = mul_up(p.under, add_up(met_rate, totals[at]));
        let under_off = mul_up(p.under, add_up(met_error, totals[at + 1]));
        let slope = add_up(mul_up(p.share, inflate(p, rate)), under_slope);
        let off = add_up(mul_up(p.share, inflate(p, error)), under_off);
        let [before, moved] = marks[slot];
        marks[slot] = [add_up(add_up(before, inflate(p, own)), off), add_up(moved, slope)];
    }
}

/// Lengths of rows over the inputs.
pub fn length(p: &Step, slots: &[[u32; 2]], a: &[f32], lengths: &mut [f32]) {
    for slot in 0..slots.len() {
        let row = &a[slot * 4 * p.stride as usize..][..p.cols as usize];
        let [sum, squares] = row_sums::<64, 2>(row.len(), |k| [row[k].abs(), row[k] * row[k]]);
        lengths[slot] = match p.norm {
            1 if !sum.is_finite() => f32::INFINITY,
            1 => row.iter().fold(ETA, |most, x| most.max(x.abs())),
            2 => inflate(p, squares),
            _ => inflate(p, sum),
        };
    }
}
