// The lines of a layer's neurons from their ends, for ReLU and its kin, and what rounding may take
// from a row that steps through them; a workgroup a sample (twins of the engine's `piecewise::relax`,
// `Entry::new` and `State::choose_lines`). Any slope will do; what is chosen after it is rounded.

@group(0) @binding(1) var<storage, read> known: array<f32>;
@group(0) @binding(2) var<storage, read> ends: array<f32>;
@group(0) @binding(3) var<storage, read_write> scalars: array<f32>;
@group(0) @binding(4) var<storage, read_write> live: array<u32>;
@group(0) @binding(5) var<storage, read_write> lines: array<f32>;
// [samples][rows] middles of the activations, then radii: what feeds the next layer.
@group(0) @binding(6) var<storage, read_write> feed: array<f32>;

var<workgroup> chords: array<f32, 256>;
var<workgroup> middles: array<f32, 256>;
// The largest magnitude that an error of a coefficient may meet, the sum of the outputs' magnitudes,
// and whether a mass is out of range.
var<workgroup> sums: array<vec3<f32>, 256>;

const LIMIT = 0x1p100;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let sample = group.x;
    let deployed = (p.flags & DEPLOYED) != 0u;
    let dropped = mul_up(NEGLIGIBLE, scalars[scalar(sample, 0u)]);
    let list = live_list(sample) + p.first;
    let line = sample * LINES * p.neurons + p.first;
    var count = 0u;
    var largest = 0.0;
    var magnitudes = 0.0;
    var refused = 0.0;
    // Those first whose lines have one slope: both walks share their coefficients.
    for (var part = 0u; part < 2u; part++) {
        for (var begin = 0u; begin < p.rows; begin += 256u) {
            let i = min(begin + t, p.rows - 1u);
            let inside = begin + t < p.rows;
            let leak = select(p.leak, 1.0, i < p.through);
            let lo = ends[sample * 2u * p.width + i];
            let hi = ends[(sample * 2u + 1u) * p.width + i];
            let at = sample * 4u * p.width + i;
            let mass = known[at];
            let centre = known[at + 2u * p.width];
            // Through memory: whatever it is, it is one number from here on.
            chords[t] = (hi - leak * lo) / (hi - lo);
            workgroupBarrier();
            let chosen = choose(leak, lo, hi, chords[t]);
            // By what no two passes can see differently, which they might a quotient.
            let stable = lo >= 0.0 || leak == 1.0 || hi <= 0.0;
            let dead = hi <= 0.0 && leak == 0.0 && lo < 0.0;
            let both = stable || p.slope == 3u;
            let alive = inside && !dead && both == (part == 0u);
            let below = select(lo, mul_down(leak, lo), lo < 0.0 && leak != 1.0);
            let above = select(hi, mul_up(leak, hi), hi < 0.0 && leak != 1.0);
            let bottom = select(below, 0.0, lo < 0.0 && leak == 0.0);
            let top = select(above, 0.0, hi < 0.0 && leak == 0.0);
            let half = 0.5 * bottom + 0.5 * top;
            // Where it is flushed the next layer's weights meet what is lost.
            let normal = select(half, 0.0, abs(half) < ETA);
            middles[t] = select(normal, bottom, bottom == top);
            // Behind its barriers the middle is one number, as the chord is.
            let place = before(t, alive);
            var mid = 0.0;
            var radius = 0.0;
            if alive {
                mid = middles[t];
                radius = max(sub_up(mid, bottom), sub_up(top, mid));
                radius = select(radius, 0.0, bottom == top);
                var gain_lo = -gain_up(chosen.slope_lo, 0.0, -centre, -mid);
                var gain_hi = gain_up(chosen.slope_up, chosen.icpt_up, centre, mid);
                let off = max(sub_up(hi, centre), sub_up(centre, lo));
                let size = max(-lo, hi);
                var budget = add_up(known[at + 3u * p.width], disturbance(mass));
                let exact = (chosen.slope_lo == 0.0 || chosen.slope_lo == 1.0)
                    && (chosen.slope_up == 0.0 || chosen.slope_up == 1.0);
                if !exact {
                    budget = add_up(budget, mul_up(U, mul_up(1.000001, off)));
                }
                if deployed && leak != 0.0 && leak != 1.0 {
                    // The leaky product of the forward pass rounds once, and may underflow.
                    gain_lo = sub_down(gain_lo, 4.0 * ETA);
                    gain_hi = add_up(gain_hi, 4.0 * ETA);
                    budget = add_up(budget, mul_up(U, mul_up(1.000001, size)));
                }
                budget = add_up(budget, add_up(mul_up(p.share, known[at + p.width]), dropped));
                let to = count + place.x;
                live[list + to] = i;
                lines[line + to] = chosen.slope_lo;
                lines[line + to + p.neurons] = chosen.slope_up;
                lines[line + to + 2u * p.neurons] = gain_lo;
                lines[line + to + 3u * p.neurons] = gain_hi;
                lines[line + to + 4u * p.neurons] = budget;
                lines[line + to + 5u * p.neurons] = radius;
                largest = max(largest, max(max(off, size), radius));
            }
            if inside && (alive || (dead && part == 0u)) {
                feed[sample * p.rows + i] = mid;
                feed[(p.samples + sample) * p.rows + i] = radius;
                magnitudes = magnitudes + (abs(mid) + radius);
                refused = select(1.0, refused, is_finite(mass) && mass < LIMIT);
            }
            count += place.y;
        }
        // Up to a whole multiple of 16: lines of 0, on any neuron.
        let end = (count + 15u) / 16u * 16u;
        if count + t < end {
            live[list + count + t] = 0u;
            for (var i = 0u; i < LINES; i++) {
                lines[line + count + t + i * p.neurons] = 0.0;
            }
        }
        count = end;
        if part == 0u && t == 0u {
            live[shared_count(sample, p.layer)] = count;
        }
    }
    sums[t] = vec3<f32>(largest, magnitudes, refused);
    // The sum of the inputs has been read by all before it is replaced.
    storageBarrier();
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            let other = sums[t + step];
            let mine = sums[t];
            sums[t] = vec3<f32>(max(mine.x, other.x), mine.y + other.y, max(mine.z, other.z));
        }
    }
    // Behind a barrier: no part of a sum is added to anything else.
    workgroupBarrier();
    if t == 0u {
        live[live_count(sample, p.layer)] = count;
        // A coefficient's underflow meets an input, a gain, or a deviation from a centre.
        let met = mul_up(4.0 * f32(p.rows), sums[0].x);
        let each = add_up(add_up(scalars[scalar(sample, 0u)], met), 2.0);
        let under = add_up(mul_up(p.under, each), mul_up(NEGLIGIBLE, met));
        scalars[scalar(sample, SCALARS + p.layer)] = under;
        scalars[scalar(sample, 0u)] = inflate(sums[0].y);
        if sums[0].z != 0.0 {
            scalars[scalar(sample, 2u)] = 1.0;
        }
    }
}
