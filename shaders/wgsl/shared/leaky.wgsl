// The two lines of `max(z, leak*z)` (twin of the engine's `piecewise::relax`), and their gains.

struct Lines {
    slope_lo: f32,
    slope_up: f32,
    icpt_up: f32,
}

fn choose(leak: f32, lo: f32, hi: f32, chord: f32) -> Lines {
    if lo >= 0.0 || leak == 1.0 {
        return Lines(1.0, 1.0, 0.0);
    }
    if hi <= 0.0 {
        return Lines(leak, leak, 0.0);
    }
    var lines: Lines;
    lines.slope_up = leak;
    if chord >= 1.0 {
        lines.slope_up = 1.0;
    } else if chord > leak && chord >= NEGLIGIBLE {
        // A slope that may be flushed would not be one slope wherever it is met.
        lines.slope_up = chord;
    }
    let at_lo = mul_up(sub_up(lines.slope_up, leak), -lo);
    let at_hi = mul_up(sub_up(1.0, lines.slope_up), hi);
    lines.icpt_up = select(at_hi, at_lo, at_lo > at_hi);
    // Adaptive, zero, one, the upper line's.
    lines.slope_lo = leak;
    if p.slope == 2u || (p.slope == 0u && hi >= -lo) {
        lines.slope_lo = 1.0;
    } else if p.slope == 3u {
        lines.slope_lo = lines.slope_up;
    }
    return lines;
}

// `slope*z + icpt - mid` rounded up; for the lower line, -z and -mid give the negative.
fn gain_up(slope: f32, icpt: f32, z: f32, mid: f32) -> f32 {
    var gain = 0.0;
    if slope == 0.0 && icpt == 0.0 {
        gain = -mid;
    } else if slope != 1.0 || icpt != 0.0 {
        gain = sub_up(add_up(mul_up(slope, z), icpt), mid);
    } else if z != mid {
        gain = sub_up(z, mid);
    }
    return select(gain, NEGLIGIBLE, gain != 0.0 && abs(gain) < NEGLIGIBLE);
}
