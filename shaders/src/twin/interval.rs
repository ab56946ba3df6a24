//! Twins of `interval` and `interval_few`.

use certus_engine::num::{add_up, mul_up, sub_down};

use super::step::{ETA, U, disturbance, inflate, row_sums, scalar};
use crate::layout::Step;

/// Ends and masses of a layer's neurons; sums in blocks.
pub fn interval(
    p: &Step,
    w: &[f32],
    bias: &[f32],
    feed: &[f32],
    scalars: &[f32],
    known: &mut [f32],
    ends: &mut [f32],
) {
    neurons(p, w, bias, feed, scalars, known, ends, |terms| {
        let of = |k: usize| terms.iter().map(|term| term[k]).collect::<Vec<f32>>();
        let whole = |sums: Vec<f32>| sums.into_iter().fold(0.0, |sum, x| sum + x);
        // What the centre is off counts most: blocks of 4, 16, 64 and 256.
        let centre = (0..4).fold(of(0), |sums, _| blocks(&sums, 4));
        [whole(centre), whole(blocks(&of(1), 64)), whole(blocks(&of(2), 64))]
    });
}

/// The same for few samples; sums by threads.
pub fn interval_few(
    p: &Step,
    w: &[f32],
    bias: &[f32],
    feed: &[f32],
    scalars: &[f32],
    known: &mut [f32],
    ends: &mut [f32],
) {
    neurons(p, w, bias, feed, scalars, known, ends, |terms| {
        row_sums::<256, 3>(terms.len(), |k| terms[k])
    });
}

/// Sums of so many terms each.
fn blocks(terms: &[f32], block: usize) -> Vec<f32> {
    terms.chunks(block).map(|terms| terms.iter().fold(0.0, |sum, x| sum + x)).collect()
}

/// What neurons come to by `sums` of their `w*mid`, `|w|*rad` and `|w*mid|`.
fn neurons(
    p: &Step,
    w: &[f32],
    bias: &[f32],
    feed: &[f32],
    scalars: &[f32],
    known: &mut [f32],
    ends: &mut [f32],
    sums: impl Fn(&[[f32; 3]]) -> [f32; 3],
) {
    let (cols, rows, width) = (p.cols as usize, p.rows as usize, p.width as usize);
    let (middles, radii) = feed.split_at(p.samples as usize * cols);
    for sample in 0..p.samples as usize {
        let boxes = || middles[sample * cols..][..cols].iter().zip(&radii[sample * cols..]);
        let flushed = mul_up(2.0 * ETA, add_up(scalars[scalar(p, sample, 0)], 1.0));
        for neuron in 0..rows {
            let terms = w[neuron * cols..].iter().zip(boxes());
            let terms = terms.map(|(w, (m, r))| [w * m, w.abs() * r, w.abs() * m.abs()]);
            let [sum, radius, size] = sums(&terms.collect::<Vec<_>>());
            let (radius, size) = (inflate(p, radius), inflate(p, size));
            let b = bias[neuron];
            let mass = add_up(add_up(radius, size), add_up(b.abs(), flushed));
            let centre = sum + b;
            let rounding = add_up(mul_up(p.share, size), p.under);
            // The addition of the bias rounds once.
            let own = mul_up(U, mul_up(1.000_001, centre.abs()));
            let error = add_up(add_up(rounding, own), flushed);
            let mut reach = radius;
            if p.norm != 0 {
                let ball = mul_up(scalars[scalar(p, sample, 1)], bias[rows + neuron]);
                if ball < radius {
                    reach = ball;
                }
            }
            let off = add_up(error, disturbance(p, mass));
            let at = 4 * sample * width + neuron;
            known[at] = mass;
            known[at + width] = reach;
            known[at + 2 * width] = centre;
            known[at + 3 * width] = error;
            let end = 2 * sample * width + neuron;
            ends[end] = sub_down(sub_down(centre, reach), off);
            ends[end + width] = add_up(add_up(centre, reach), off);
        }
    }
}
