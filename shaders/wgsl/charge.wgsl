// What a row is charged for the step through a layer whose neurons keep their sides, and its coefficients
// of what is no neuron taken out; a workgroup a row (twin of the engine's `simplex::rows::step`). A thread
// takes every 64th entry, the threads' sums are added as a tree: 7 + rows/64 roundings of a term.

@group(0) @binding(1) var<storage, read> slots: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> live: array<u32>;
// Of `chain`.
@group(0) @binding(3) var<storage, read> points: array<f32>;
@group(0) @binding(4) var<storage, read> totals: array<f32>;
// [slots] how far the row's value may be off, and what it may move by a unit of distance beside its
// coefficients.
@group(0) @binding(5) var<storage, read_write> marks: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> a: array<f32>;

// Rates, errors, own errors.
var<workgroup> sums: array<vec3<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&slots) {
        return;
    }
    let sample = slots[slot].x;
    let filled = live[live_count(sample, p.layer)];
    let count = live[shared_count(sample, p.layer)];
    let list = live_list(sample) + p.first;
    let point = sample * 4u * p.neurons + p.first;
    var sum = vec3<f32>();
    for (var k = t; k < filled; k += 64u) {
        let at = slot * 4u * p.stride + k;
        if k < count {
            let x = abs(a[at]);
            let i = point + live[list + k];
            sum += vec3<f32>(
                x * points[i + 2u * p.neurons], x * points[i + p.neurons], x * points[i + 3u * p.neurons]
            );
        } else {
            a[at] = 0.0;
        }
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
        let total = (sample * p.layers + p.layer) * 2u;
        var met = vec2<f32>(f32(p.cols), 0.0);
        if p.layer > 0u {
            met = vec2<f32>(totals[total - 2u], totals[total - 1u]);
        }
        let under_slope = mul_up(p.under, add_up(met.x, totals[total]));
        let under_off = mul_up(p.under, add_up(met.y, totals[total + 1u]));
        let slope = add_up(mul_up(p.share, inflate(sums[0].x)), under_slope);
        let off = add_up(mul_up(p.share, inflate(sums[0].y)), under_off);
        let own = inflate(sums[0].z);
        marks[slot] = vec2<f32>(add_up(add_up(marks[slot].x, own), off), add_up(marks[slot].y, slope));
    }
}
