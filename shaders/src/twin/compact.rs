//! Twin of `compact`.

use super::step::is_open;
use crate::layout::Step;

/// Rows of neurons that are still open.
pub fn compact(
    p: &Step,
    ends: &[f32],
    slots: &mut [[u32; 2]],
    rows: &mut [u32],
    floors: &mut [f32],
) {
    let (samples, width) = (p.samples as usize, p.width as usize);
    for sample in 0..samples {
        let first = rows[sample] as usize;
        let mut to = first;
        for from in (first..first + rows[samples + sample] as usize).step_by(2) {
            let neuron = (slots[from][1] / 2) as usize;
            let at = 2 * sample * width + neuron;
            if is_open(p, ends[at], ends[at + width]) {
                for side in 0..2 {
                    slots[to + side] = slots[from + side];
                    floors[to + side] = floors[from + side];
                    rows[2 * samples + to + side] = (from + side) as u32;
                }
                to += 2;
            }
        }
        rows[samples + sample] = (to - first) as u32;
    }
}
