//! Twin of `lines`.

use certus_engine::num::{MAGNITUDE_LIMIT, NEGLIGIBLE, add_up, mul_down, mul_up, sub_down, sub_up};

use super::step::{ETA, U, disturbance, inflate, lists, scalar, shared_count};
use crate::layout::{DEPLOYED, GRAIN, LINES, SCALARS, Step};

/// Both slopes and the upper intercept.
struct Chosen {
    lower: f32,
    upper: f32,
    icpt: f32,
}

/// Lines of a layer.
pub fn lines(
    p: &Step,
    known: &[f32],
    ends: &[f32],
    scalars: &mut [f32],
    live: &mut [u32],
    lines: &mut [f32],
    feed: &mut [f32],
) {
    let (samples, rows) = (p.samples as usize, p.rows as usize);
    let (neurons, width, first) = (p.neurons as usize, p.width as usize, p.first as usize);
    for sample in 0..samples {
        let total = scalars[scalar(p, sample, 0)];
        let dropped = mul_up(NEGLIGIBLE, total);
        let list = lists(p, sample) + first;
        let line = LINES * sample * neurons + first;
        let (mut count, mut largest, mut magnitudes, mut refused) = (0, 0.0f32, 0.0, false);
        // Those first whose lines have one slope.
        for part in [true, false] {
            for i in 0..rows {
                let leak = if i < p.through as usize { 1.0 } else { p.leak };
                let (lo, hi) = (ends[2 * sample * width + i], ends[(2 * sample + 1) * width + i]);
                let chosen = choose(p, leak, lo, hi);
                let [mass, spread, centre, error] =
                    [0, 1, 2, 3].map(|k| known[(4 * sample + k) * width + i]);
                let dead = hi <= 0.0 && leak == 0.0 && lo < 0.0;
                let stable = lo >= 0.0 || leak == 1.0 || hi <= 0.0;
                if (stable || p.slope == 3) != part {
                    continue;
                }
                let (mut mid, mut radius) = (0.0, 0.0);
                if !dead {
                    (mid, radius) = middle(leak, lo, hi);
                    let off = sub_up(hi, centre).max(sub_up(centre, lo));
                    let size = hi.max(-lo);
                    let kept = (error, mass, spread, dropped);
                    let budget = budget(p, leak, &chosen, (off, size), kept);
                    let [gain_lo, gain_up] = gains(p, leak, &chosen, centre, mid);
                    live[list + count] = i as u32;
                    let of = [chosen.lower, chosen.upper, gain_lo, gain_up, budget, radius];
                    for (k, value) in of.into_iter().enumerate() {
                        lines[line + count + k * neurons] = value;
                    }
                    largest = largest.max(off).max(size).max(radius);
                    count += 1;
                }
                feed[sample * rows + i] = mid;
                feed[(samples + sample) * rows + i] = radius;
                magnitudes += mid.abs() + radius;
                refused |= !(mass < MAGNITUDE_LIMIT);
            }
            while !count.is_multiple_of(GRAIN) {
                live[list + count] = 0;
                for k in 0..LINES {
                    lines[line + count + k * neurons] = 0.0;
                }
                count += 1;
            }
            if part {
                live[shared_count(p, sample)] = count as u32;
            }
        }
        live[sample * p.layers as usize + p.layer as usize] = count as u32;
        // A coefficient's underflow meets an input, a gain, or a deviation from a centre.
        let met = mul_up(4.0 * rows as f32, largest);
        let each = add_up(add_up(total, met), 2.0);
        scalars[scalar(p, sample, SCALARS + p.layer as usize)] =
            add_up(mul_up(p.under, each), mul_up(NEGLIGIBLE, met));
        scalars[scalar(p, sample, 0)] = inflate(p, magnitudes);
        if refused {
            scalars[scalar(p, sample, 2)] = 1.0;
        }
    }
}

fn unit(slope: f32) -> bool {
    slope == 0.0 || slope == 1.0
}

/// Whether the forward pass's own product by the leak rounds.
fn rounds(p: &Step, leak: f32) -> bool {
    p.flags & DEPLOYED != 0 && !unit(leak)
}

/// What a coefficient of size 1 may lose; `off`, `size`: of the pre-activation's deviation from its
/// centre, and of itself.
fn budget(
    p: &Step,
    leak: f32,
    chosen: &Chosen,
    (off, size): (f32, f32),
    (error, mass, spread, dropped): (f32, f32, f32, f32),
) -> f32 {
    let mut budget = add_up(error, disturbance(p, mass));
    if !(unit(chosen.lower) && unit(chosen.upper)) {
        budget = add_up(budget, mul_up(U, mul_up(1.000_001, off)));
    }
    if rounds(p, leak) {
        budget = add_up(budget, mul_up(U, mul_up(1.000_001, size)));
    }
    add_up(budget, add_up(mul_up(p.share, spread), dropped))
}

/// Gains of the lower and the upper line.
fn gains(p: &Step, leak: f32, chosen: &Chosen, centre: f32, mid: f32) -> [f32; 2] {
    let lower = -gain_up(chosen.lower, 0.0, -centre, -mid);
    let upper = gain_up(chosen.upper, chosen.icpt, centre, mid);
    if rounds(p, leak) {
        return [sub_down(lower, 4.0 * ETA), add_up(upper, 4.0 * ETA)];
    }
    [lower, upper]
}

/// The lines of `max(z, leak*z)` over `[lo, hi]`.
fn choose(p: &Step, leak: f32, lo: f32, hi: f32) -> Chosen {
    if lo >= 0.0 || leak == 1.0 {
        return Chosen { lower: 1.0, upper: 1.0, icpt: 0.0 };
    }
    if hi <= 0.0 {
        return Chosen { lower: leak, upper: leak, icpt: 0.0 };
    }
    let chord = (hi - leak * lo) / (hi - lo);
    let upper = match chord {
        _ if chord >= 1.0 => 1.0,
        _ if chord > leak && chord >= NEGLIGIBLE => chord,
        _ => leak,
    };
    let at_lo = mul_up(sub_up(upper, leak), -lo);
    let at_hi = mul_up(sub_up(1.0, upper), hi);
    let lower = match p.slope {
        0 if hi >= -lo => 1.0,
        2 => 1.0,
        3 => upper,
        _ => leak,
    };
    Chosen { lower, upper, icpt: if at_lo > at_hi { at_lo } else { at_hi } }
}

/// Middle of the activation's range and the radius around it.
fn middle(leak: f32, lo: f32, hi: f32) -> (f32, f32) {
    let end = |z: f32, scaled: fn(f32, f32) -> f32| match leak {
        _ if z >= 0.0 || leak == 1.0 => z,
        0.0 => 0.0,
        _ => scaled(leak, z),
    };
    let (bottom, top) = (end(lo, mul_down), end(hi, mul_up));
    if bottom == top {
        return (bottom, 0.0);
    }
    let mid = 0.5 * bottom + 0.5 * top;
    let mid = if mid.abs() < ETA { 0.0 } else { mid };
    (mid, sub_up(mid, bottom).max(sub_up(top, mid)))
}

/// `slope*z + icpt - mid` rounded up.
pub(super) fn gain_up(slope: f32, icpt: f32, z: f32, mid: f32) -> f32 {
    let gain = if slope == 0.0 && icpt == 0.0 {
        -mid
    } else if slope != 1.0 || icpt != 0.0 {
        sub_up(add_up(mul_up(slope, z), icpt), mid)
    } else if z != mid {
        sub_up(z, mid)
    } else {
        0.0
    };
    if gain != 0.0 && gain.abs() < NEGLIGIBLE { NEGLIGIBLE } else { gain }
}
