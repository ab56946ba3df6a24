//! Twins of `fixed` and `centres`.

use certus_engine::num::{add_up, mul_up, sub_down};

use super::step::{ETA, U, disturbance, scalar};
use crate::layout::Step;

/// What feeds a layer in whole numbers.
///
/// Each is a middle over its sample's unit without its fraction: at most `2^29`, off by less than 1. The unit
/// is `2^1000` where a middle is no number.
pub fn fixed(p: &Step, feed: &[f32], fixed: &mut [i32]) {
    let (samples, cols) = (p.samples as usize, p.cols as usize);
    for sample in 0..samples {
        let middles = &feed[sample * cols..][..cols];
        let most = middles.iter().map(|x| x.to_bits() & 0x7fff_ffff).max().unwrap_or(0);
        let exponent = (most >> 23).max(64);
        let factor = f32::from_bits((282 - exponent.min(254)) << 23);
        for (to, x) in fixed[samples + sample * cols..].iter_mut().zip(middles) {
            let x = x * factor;
            *to = if x.abs() < (1 << 30) as f32 { x as i32 } else { 0 };
        }
        let finite = most < f32::INFINITY.to_bits();
        fixed[sample] = if finite { exponent as i32 - 155 } else { 1000 };
    }
}

/// Centres of a layer in whole numbers, where they are nearer than what is known.
///
/// Sums are exact here in `i128`, in a kernel in digits, which do not overflow for up to
/// [`MOST_DIGITS`](crate::layout::MOST_DIGITS) columns. A centre is off `W mid + b` by at most a unit of a
/// middle for each weight, a unit of a weight for each middle, the products of the last digits, and the
/// roundings of a sum of four parts and the bias. Nothing is written at scales beyond `2^-90` to `2^90`.
pub fn centres(
    p: &Step,
    digits: &[i32],
    units: &[u32],
    fixed: &[i32],
    bias: &[f32],
    scalars: &[f32],
    known: &mut [f32],
    ends: &mut [f32],
) {
    let (samples, cols) = (p.samples as usize, p.cols as usize);
    let (rows, width) = (p.rows as usize, p.width as usize);
    for sample in 0..samples {
        let x = &fixed[samples + sample * cols..][..cols];
        let total = scalars[scalar(p, sample, 0)];
        for neuron in 0..rows {
            let (unit_x, unit_w) = (fixed[sample], units[neuron] as i32);
            let scale = 40 + unit_x + unit_w;
            if !(-90..=90).contains(&scale) {
                continue;
            }
            let products = digits[neuron * cols..].iter().zip(x);
            let whole: i128 =
                products.map(|(w, x)| i128::from(*w) * i128::from(*x) - last(*w) * last(*x)).sum();
            // A multiple of 2^10, as the last digits' product is left out.
            let [high, low] = [whole >> 52 << 12, whole >> 40 & 4095];
            let after = [whole >> 20 & 0xf_ffff, whole >> 10 & 1023];
            let [high, low] = [high, low].map(|x| x as f32);
            let [middle, end] = after.map(|x| x as f32);
            let after = middle * power(-20) + end * power(-30);
            let sum = (high + low) + after;
            let centre = sum * power(scale) + bias[neuron];
            let size = add_up(mul_up(1.000_001, sum.abs()), 8200.0);
            let parts = mul_up(4.0 * U, mul_up(size, power(scale)));
            let of_x = mul_up(power(unit_x), f32::from_bits(units[rows + neuron]));
            let of_w = mul_up(power(unit_w), total);
            let units = mul_up(power(unit_x), power(unit_w));
            let last = mul_up(mul_up(262_146.0, cols as f32), units);
            let flushed = mul_up(2.0 * ETA, add_up(total, 1.0));
            let own = mul_up(U, mul_up(1.000_001, centre.abs()));
            let kept = add_up(parts, add_up(own, flushed));
            let error = mul_up(p.gamma, add_up(kept, add_up(of_x, add_up(of_w, last))));
            let at = 4 * sample * width + neuron;
            if !(error < known[at + 3 * width]) {
                continue;
            }
            known[at + 2 * width] = centre;
            known[at + 3 * width] = error;
            let off = add_up(error, disturbance(p, known[at]));
            let reach = known[at + width];
            let end = 2 * sample * width + neuron;
            ends[end] = sub_down(sub_down(centre, reach), off);
            ends[end + width] = add_up(add_up(centre, reach), off);
        }
    }
}

/// The last of the digits of 2^10, from -512 to 511.
fn last(x: i32) -> i128 {
    i128::from(((x + 512) & 1023) - 512)
}

fn power(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}
