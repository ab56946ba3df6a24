// What rows come to over the region, or over the box of activations that they have reached, a
// workgroup a row: the better ends of neurons, or the bounds of specification rows.

@group(0) @binding(1) var<storage, read> slots: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
// [samples][cols] middles, then radii.
@group(0) @binding(3) var<storage, read> feed: array<f32>;
@group(0) @binding(4) var<storage, read> scalars: array<f32>;
@group(0) @binding(5) var<storage, read> floors: array<f32>;
@group(0) @binding(6) var<storage, read> a: array<f32>;
@group(0) @binding(7) var<storage, read_write> ends: array<f32>;
// [samples][outputs].
@group(0) @binding(8) var<storage, read_write> found: array<f32>;

// `sum |a| rad`, `sum a^2`, `max |a|`.
var<workgroup> sums: array<vec4<f32>, 64>;

// Upper bound of a root; the device's is a guess, accepted because its square reaches x.
fn root_up(x: f32) -> f32 {
    var scaled = x;
    var back = 1.0;
    if x < 0x1p-30 {
        scaled = max(mul_up(x, 0x1p60), 0x1p-60);
        back = 0x1p-30;
    }
    var root = up(sqrt(scaled));
    for (var i = 0u; i < 8u; i++) {
        if mul_down(root, root) >= scaled {
            return mul_up(root, back);
        }
        root = mul_up(root, 1.0 + 0x1p-22);
    }
    return bitcast<f32>(INFINITE);
}

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
    var sum = vec4<f32>();
    for (var k = t; k < p.cols; k += 64u) {
        let x = abs(a[slot * 4u * p.stride + k]);
        let radius = feed[(p.samples + sample) * p.cols + k];
        sum = vec4<f32>(sum.x + x * radius, sum.y + x * x, max(sum.z, x), sum.w + x);
    }
    sums[t] = sum;
    for (var step = 32u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            let other = sums[t + step];
            let mine = sums[t];
            sums[t] = vec4<f32>(mine.xy + other.xy, max(mine.z, other.z), mine.w + other.w);
        }
    }
    // Behind a barrier: no part of a sum is added to anything else.
    workgroupBarrier();
    if t == 0u {
        let total = sums[0];
        var reach = inflate(total.x);
        if p.norm != 0u {
            // Of l1 the largest; a NaN may vanish in a maximum, but not in a sum.
            var norm = select(bitcast<f32>(INFINITE), total.z, is_finite(total.w));
            if p.norm == 2u {
                norm = root_up(inflate(total.y));
            }
            let ball = mul_up(scalars[scalar(sample, 1u)], norm);
            reach = select(reach, ball, ball < reach);
        }
        let bound = sub_down(floors[slot], reach);
        if (p.flags & NEURONS) == 0u {
            found[sample * p.outputs + slots[slot].y] = bound;
        } else {
            improve(slots[slot], bound);
        }
    }
}
