//! Twin of `margins`.

use certus_engine::num::sub_down;

use super::step::list;
use crate::layout::Step;

/// Rows of margins.
pub fn margins(
    p: &Step,
    slots: &[[u32; 2]],
    classes: &[u32],
    feed: &[f32],
    live: &[u32],
    floors: &mut [f32],
    a: &mut [f32],
) {
    for (slot, [sample, row]) in slots.iter().enumerate() {
        let class = classes[*sample as usize];
        // The class itself has no row; its place is taken by the others above it.
        let other = if row + 1 == p.rows {
            None
        } else if *row < class {
            Some(*row)
        } else {
            Some(row + 1)
        };
        let middles = &feed[(sample * p.rows) as usize..][..p.rows as usize];
        let to = &mut a[slot * 4 * p.stride as usize..];
        let live = list(p, live, *sample as usize, p.layer, p.first);
        for (i, to) in live.iter().zip(to) {
            *to = match i {
                _ if *i == class => 1.0,
                _ if Some(*i) == other => -1.0,
                _ => 0.0,
            };
        }
        let own = middles[class as usize];
        floors[slot] = other.map_or(own, |other| sub_down(own, middles[other as usize]));
    }
}
