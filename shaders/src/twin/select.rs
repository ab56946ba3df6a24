//! Twin of `select`.

use super::step::is_open;
use crate::layout::Step;

/// The neurons to walk back.
pub fn select(p: &Step, ends: &[f32], chosen: &mut [u32]) {
    let (samples, width) = (p.samples as usize, p.width as usize);
    for sample in 0..samples {
        let at = 2 * sample * width;
        let mut count = 0;
        for i in p.through..p.rows {
            let (lo, hi) = (ends[at + i as usize], ends[at + width + i as usize]);
            if p.leak != 1.0 && is_open(p, lo, hi) {
                chosen[samples + sample * width + count] = i;
                count += 1;
            }
        }
        chosen[sample] = count as u32;
    }
}
