// `relax` with lower slopes of each row's own (twin of the engine's `own`); a workgroup a row. Any slope of
// the activation's range makes a line below it: what is proposed is cut to the range, and the gain is
// rounded after it. Sums as in `relax`.

// Sample, and where the row's slopes lie.
@group(0) @binding(1) var<storage, read> places: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> live: array<u32>;
// [samples][6][neurons].
@group(0) @binding(3) var<storage, read> lines: array<f32>;
// [samples][4][neurons].
@group(0) @binding(4) var<storage, read> anchors: array<f32>;
@group(0) @binding(5) var<storage, read> scalars: array<f32>;
// [rows][4][neurons].
@group(0) @binding(6) var<storage, read_write> search: array<f32>;
@group(0) @binding(7) var<storage, read_write> floors: array<f32>;
@group(0) @binding(8) var<storage, read_write> a: array<f32>;

// Gain, its size, budget.
var<workgroup> sums: array<vec3<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&places) {
        return;
    }
    let sample = places[slot].x;
    let count = live[live_count(sample, p.layer)];
    let line = sample * LINES * p.neurons + p.first;
    let anchor = sample * ANCHORS * p.neurons + p.first;
    let own = places[slot].y * SEARCH * p.neurons + p.first;
    var sum = vec3<f32>();
    for (var k = t; k < count; k += 64u) {
        let old = drop_negligible(a[slot * 4u * p.stride + k]);
        let at = line + k;
        let lower = old > 0.0;
        var slope = select(lines[at + p.neurons], lines[at], lower);
        var gain = select(lines[at + 3u * p.neurons], lines[at + 2u * p.neurons], lower);
        var budget = lines[at + 4u * p.neurons];
        let least = anchors[anchor + 3u * p.neurons + k];
        if least < 1.0 {
            budget = anchors[anchor + 2u * p.neurons + k];
            if lower {
                slope = slope_within(search[own + k], least);
                gain = -gain_up(slope, 0.0, -anchors[anchor + k], -anchors[anchor + p.neurons + k]);
                if (p.flags & DEPLOYED) != 0u && least != 0.0 {
                    // The leaky product of the forward pass may underflow.
                    gain = sub_down(gain, 4.0 * ETA);
                }
            }
        }
        let gained = old * gain;
        let replaced = drop_negligible(old * slope);
        sum += vec3<f32>(gained, abs(gained), abs(replaced) * budget);
        a[slot * 4u * p.stride + k] = replaced;
        search[own + 3u * p.neurons + k] = old;
    }
    sums[t] = sum;
    for (var step = 32u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            sums[t] += sums[t + step];
        }
    }
    // Behind a barrier: no part of a sum is added to anything else.
    workgroupBarrier();
    if t == 0u {
        settle(slot, sample, sums[0]);
    }
}
