// The lengths of rows over the inputs, in the norm that is dual to the distances': upper bounds of the sum of
// magnitudes, of the largest of them (1), or of the sum of squares (2); a workgroup a row.

@group(0) @binding(1) var<storage, read> slots: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
// [slots].
@group(0) @binding(3) var<storage, read_write> lengths: array<f32>;

// `sum |a|`, `max |a|`, `sum a^2`.
var<workgroup> sums: array<vec3<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&slots) {
        return;
    }
    var sum = vec3<f32>();
    for (var k = t; k < p.cols; k += 64u) {
        let x = abs(a[slot * 4u * p.stride + k]);
        sum = vec3<f32>(sum.x + x, max(sum.y, x), sum.z + x * x);
    }
    sums[t] = sum;
    for (var step = 32u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            let other = sums[t + step];
            let mine = sums[t];
            sums[t] = vec3<f32>(mine.x + other.x, max(mine.y, other.y), mine.z + other.z);
        }
    }
    // Behind a barrier: no part of a sum is added to anything else.
    workgroupBarrier();
    if t == 0u {
        var length = inflate(sums[0].x);
        if p.norm == 1u {
            // A NaN may vanish in a maximum, but not in a sum; what is flushed is at most ETA.
            length = select(bitcast<f32>(INFINITE), max(sums[0].y, ETA), is_finite(sums[0].x));
        } else if p.norm == 2u {
            length = inflate(sums[0].z);
        }
        lengths[slot] = length;
    }
}
