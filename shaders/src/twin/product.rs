//! Twin of `product`, whatever the tile.

use super::step::{list, shared};
use crate::layout::{JOINED, PAIRED, Step, WHOLE};
use crate::tile::{FOLD, Tile};

/// Relaxed rows times weights.
///
/// `groups`: tiles across and rows of `tiles`.
pub fn product(
    tile: &Tile,
    p: &Step,
    groups: [u32; 2],
    tiles: &[[u32; 2]],
    rows: &[u32],
    live: &[u32],
    w: &[f32],
    a: &[f32],
    out: &mut [f32],
) {
    let (samples, stride) = (p.samples as usize, 4 * p.stride as usize);
    let mut before = vec![0.0; stride];
    // Of pairs, the first row of each.
    let every = if p.flags & PAIRED != 0 { 2 } else { 1 };
    for [sample, first] in &tiles[p.tile as usize..][..groups[1] as usize] {
        let sample = *sample as usize;
        let (inner, both) = (list(p, live, sample, p.layer, p.first), shared(p, live, sample));
        let terms = match p.flags & (PAIRED | JOINED) {
            PAIRED => 0..both,
            JOINED => both..inner.len(),
            _ => 0..inner.len(),
        };
        let columns: Vec<u32> = match p.flags & WHOLE {
            0 => list(p, live, sample, p.layer - 1, p.below).to_vec(),
            _ => (0..p.cols).collect(),
        };
        let across = columns.len().min((groups[0] * tile.cols) as usize);
        let end = (first + tile.rows).min(rows[samples + sample] / every);
        for row in *first..end {
            let slot = (rows[sample] + every * row) as usize;
            if row % 2 == 0 {
                before.copy_from_slice(&out[slot * stride..][..stride]);
            }
            let left = &a[rows[2 * samples + slot] as usize * stride..][terms.clone()];
            for (c, column) in columns[..across].iter().enumerate() {
                let column = *column as usize;
                // Both rows of a pair begin with what the first has of the shared neurons.
                let begun = match p.flags & JOINED {
                    0 => 0.0,
                    _ if row % 2 == 0 => out[slot * stride + c],
                    _ => -before[c],
                };
                let weights = inner[terms.clone()].iter();
                let weights = weights.map(|i| w[*i as usize * p.cols as usize + column]);
                out[slot * stride + c] = blocks(begun, left, &weights.collect::<Vec<_>>());
            }
        }
    }
}

/// `begun` and a sum of products, in blocks.
fn blocks(begun: f32, a: &[f32], w: &[f32]) -> f32 {
    let blocks = a.chunks(FOLD as usize).zip(w.chunks(FOLD as usize));
    blocks.fold(begun, |sum, (a, w)| sum + a.iter().zip(w).fold(0.0, |part, (a, w)| part + a * w))
}
