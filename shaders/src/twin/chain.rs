//! Twin of `chain`.

use certus_engine::num::{MAGNITUDE_LIMIT, NEGLIGIBLE, add_up, mul_up};

use super::step::{disturbance, inflate, lists, row_sums, scalar, shared_count};
use crate::layout::{GRAIN, Step};

/// What a weight that is as good as 0 may move, where a share of the rate is charged.
const DROPPED: f32 = NEGLIGIBLE * (1 << 24) as f32;

/// Neurons at points, and how fast they move.
pub fn chain(
    p: &Step,
    rates: &[f32],
    errors: &[f32],
    scalars: &mut [f32],
    live: &mut [u32],
    points: &mut [f32],
    totals: &mut [f32],
    rated: &mut [f32],
    erring: &mut [f32],
) {
    let (samples, rows) = (p.samples as usize, p.rows as usize);
    let (neurons, width) = (p.neurons as usize, p.width as usize);
    for sample in 0..samples {
        let [met_rate, met_error] = met(p, totals, sample);
        let dropped = mul_up(NEGLIGIBLE, met_error);
        let dropped_rate = mul_up(DROPPED, met_rate);
        let list = lists(p, sample) + p.first as usize;
        let point = 4 * sample * neurons + p.first as usize;
        let mut count = 0;
        let sums = row_sums::<256, 4>(rows, |i| {
            let of = |known: &[f32], array: usize| known[(4 * sample + array) * width + i];
            let (mass, z, fast) = (of(errors, 0), of(errors, 2), of(rates, 1));
            let own = add_up(add_up(of(errors, 3), disturbance(p, mass)), dropped);
            let error = add_up(of(errors, 1), own);
            let rate = add_up(add_up(fast, mul_up(p.share, fast)), dropped_rate);
            for (array, x) in [z, error, rate, own].into_iter().enumerate() {
                points[point + array * neurons + i] = x;
            }
            let alive = p.leak == 1.0 || z > 0.0;
            let [x, r, e] = if alive { [z, rate, error] } else { [0.0; 3] };
            for (feed, radius) in [(&mut *rated, r), (&mut *erring, e)] {
                feed[sample * rows + i] = x;
                feed[(samples + sample) * rows + i] = radius;
            }
            if alive {
                live[list + count] = i as u32;
                count += 1;
            }
            let fine = mass < MAGNITUDE_LIMIT && rate < MAGNITUDE_LIMIT;
            [x.abs(), r, e, if fine { 0.0 } else { 1.0 }]
        });
        let filled = count.next_multiple_of(GRAIN);
        live[list + count..list + filled].fill(0);
        live[sample * p.layers as usize + p.layer as usize] = filled as u32;
        live[shared_count(p, sample)] = count as u32;
        let (rate, error) = (inflate(p, sums[1]), inflate(p, sums[2]));
        let at = total(p, sample);
        (totals[at], totals[at + 1]) = (rate, error);
        scalars[scalar(p, sample, 0)] = add_up(inflate(p, sums[0]), error);
        if !(sums[3] == 0.0) {
            scalars[scalar(p, sample, 2)] = 1.0;
        }
    }
}

/// Where the layer's totals lie.
pub(super) fn total(p: &Step, sample: usize) -> usize {
    2 * (sample * p.layers as usize + p.layer as usize)
}

/// Sums of the rates and of the errors of what feeds the layer.
pub(super) fn met(p: &Step, totals: &[f32], sample: usize) -> [f32; 2] {
    match p.layer {
        0 => [p.cols as f32, 0.0],
        _ => [totals[total(p, sample) - 2], totals[total(p, sample) - 1]],
    }
}
