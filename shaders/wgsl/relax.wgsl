// Bounds a row over the box of activations that it is a function of, if asked for, and replaces them
// by their lines (twin of the engine's `sums::relax`); a workgroup a row. A thread takes every 64th
// entry, the threads' sums are added as a tree: 7 + rows/64 roundings of a term.

@group(0) @binding(1) var<storage, read> slots: array<vec2<u32>>;
// [samples] first slot, [samples] rows.
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
// [samples][6][neurons].
@group(0) @binding(4) var<storage, read> lines: array<f32>;
@group(0) @binding(5) var<storage, read> scalars: array<f32>;
// [samples][2][width] of the neurons whose rows these are.
@group(0) @binding(6) var<storage, read_write> ends: array<f32>;
@group(0) @binding(7) var<storage, read_write> floors: array<f32>;
@group(0) @binding(8) var<storage, read_write> a: array<f32>;

// Gain, its size, budget, reach.
var<workgroup> sums: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&slots) {
        return;
    }
    let sample = slots[slot].x;
    if slot >= rows[sample] + rows[p.samples + sample] {
        return;
    }
    let count = live[live_count(sample, p.layer)];
    let line = sample * LINES * p.neurons + p.first;
    var sum = vec4<f32>();
    for (var k = t; k < count; k += 64u) {
        let x = a[slot * 4u * p.stride + k];
        let at = line + k;
        let old = drop_negligible(x);
        let lower = old > 0.0;
        let slope = select(lines[at + p.neurons], lines[at], lower);
        let gain = old * select(lines[at + 3u * p.neurons], lines[at + 2u * p.neurons], lower);
        let replaced = drop_negligible(old * slope);
        let budget = abs(replaced) * lines[at + 4u * p.neurons];
        sum += vec4<f32>(gain, abs(gain), budget, abs(x) * lines[at + 5u * p.neurons]);
        a[slot * 4u * p.stride + k] = replaced;
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
        let total = sums[0];
        if (p.flags & (BOUNDED | NEURONS)) == (BOUNDED | NEURONS) {
            improve(slots[slot], sub_down(floors[slot], inflate(total.w)));
        }
        settle(slot, sample, total.xyz);
    }
}
