//! Twin of `reach`.

use certus_engine::num::{mul_up, sqrt_up, sub_down};

use super::step::{better_end, inflate, row_sums, sample, scalar};
use crate::layout::{NEURONS, Step};

/// Bounds of rows.
pub fn reach(
    p: &Step,
    slots: &[[u32; 2]],
    rows: &[u32],
    feed: &[f32],
    scalars: &[f32],
    floors: &[f32],
    a: &[f32],
    ends: &mut [f32],
    found: &mut [f32],
) {
    let cols = p.cols as usize;
    for slot in 0..slots.len() {
        let Some(sample) = sample(p, rows, slots, slot) else { continue };
        let radii = &feed[(p.samples as usize + sample) * cols..][..cols];
        let row = &a[slot * 4 * p.stride as usize..][..cols];
        let [reach, squares, sum] = row_sums::<64, 3>(cols, |k| {
            let x = row[k].abs();
            [x * radii[k], x * x, x]
        });
        let mut reach = inflate(p, reach);
        if p.norm != 0 {
            let largest = row.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let norm = match p.norm {
                2 => sqrt_up(inflate(p, squares)),
                _ if sum.is_finite() => largest,
                _ => f32::INFINITY,
            };
            let ball = mul_up(scalars[scalar(p, sample, 1)], norm);
            if ball < reach {
                reach = ball;
            }
        }
        let bound = sub_down(floors[slot], reach);
        let row = slots[slot][1];
        if p.flags & NEURONS == 0 {
            found[sample * p.outputs as usize + row as usize] = bound;
        } else {
            better_end(p, ends, sample, row, bound);
        }
    }
}
