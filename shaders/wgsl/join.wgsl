// The first step of both rows of a neuron, which begin with the same coefficients: puts lines in place of
// activations (twin of the engine's `sums::relax`), once for the row and once for its negative; a
// workgroup a pair. On neurons whose lines have one slope the second row's coefficient is the first's
// negative, so that one product serves both. Sums as in `relax`.

@group(0) @binding(1) var<storage, read> slots: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> live: array<u32>;
// [samples][6][neurons].
@group(0) @binding(3) var<storage, read> lines: array<f32>;
@group(0) @binding(4) var<storage, read> scalars: array<f32>;
@group(0) @binding(5) var<storage, read_write> floors: array<f32>;
@group(0) @binding(6) var<storage, read_write> a: array<f32>;

// Gain, its size and budget of either row.
var<workgroup> sums: array<array<vec3<f32>, 2>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = 2u * (group.y * 32768u + group.x);
    if slot >= arrayLength(&slots) {
        return;
    }
    let sample = slots[slot].x;
    let count = live[live_count(sample, p.layer)];
    let both = live[shared_count(sample, p.layer)];
    let line = sample * LINES * p.neurons + p.first;
    let row = slot * 4u * p.stride;
    let other = row + 4u * p.stride;
    var first = vec3<f32>();
    var second = vec3<f32>();
    for (var k = t; k < count; k += 64u) {
        let x = drop_negligible(a[row + k]);
        let at = line + k;
        let lower = x > 0.0;
        let slopes = vec2<f32>(lines[at], lines[at + p.neurons]);
        let gains = vec2<f32>(lines[at + 2u * p.neurons], lines[at + 3u * p.neurons]);
        let budget = lines[at + 4u * p.neurons];
        let mine = drop_negligible(x * select(slopes.y, slopes.x, lower));
        var its = drop_negligible(-x * select(slopes.x, slopes.y, lower));
        if k < both {
            its = -mine;
        }
        let gain = x * select(gains.y, gains.x, lower);
        let opposite = -x * select(gains.x, gains.y, lower);
        first += vec3<f32>(gain, abs(gain), abs(mine) * budget);
        second += vec3<f32>(opposite, abs(opposite), abs(its) * budget);
        a[row + k] = mine;
        a[other + k] = its;
    }
    sums[t][0] = first;
    sums[t][1] = second;
    for (var step = 32u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            sums[t][0] += sums[t + step][0];
            sums[t][1] += sums[t + step][1];
        }
    }
    // Behind a barrier: no part of a sum is added to anything else.
    workgroupBarrier();
    if t == 0u {
        settle(slot, sample, sums[0][0]);
        settle(slot + 1u, sample, sums[0][1]);
    }
}
