//! Twin of `start`.

use certus_engine::num::{add_up, sub_down};

use super::step::{disturbance, list};
use crate::layout::Step;

/// Rows of neurons; the coefficients, once for both rows of one.
pub fn start(
    p: &Step,
    slots: &[[u32; 2]],
    live: &[u32],
    w: &[f32],
    known: &[f32],
    floors: &mut [f32],
    a: &mut [f32],
) {
    let width = p.width as usize;
    for (slot, [sample, row]) in slots.iter().enumerate() {
        let (sample, neuron) = (*sample as usize, (row / 2) as usize);
        let sign = if row.is_multiple_of(2) { 1.0 } else { -1.0 };
        if row.is_multiple_of(2) {
            let to = &mut a[slot * 4 * p.stride as usize..];
            for (to, j) in to.iter_mut().zip(list(p, live, sample, p.layer - 1, p.below)) {
                *to = w[neuron * p.cols as usize + *j as usize];
            }
        }
        let at = 4 * sample * width + neuron;
        let off = add_up(known[at + 3 * width], disturbance(p, known[at]));
        floors[slot] = sub_down(sign * known[at + 2 * width], off);
    }
}
