// The middles of what feeds a layer as whole multiples of a power of two, which a sample has for itself: at
// most 2^29 in size, off by less than 1; a workgroup a sample.
//
// Exact: a product by a power of two, while it is normal, and the cut to a whole number below 2^30. What is
// flushed, subnormal inputs too, is below 2^-126, and the unit at least 2^-91. A unit is found of bits, so
// that what is no number is seen by integers; what is converted of it is anything, and used by nobody.

// [samples][cols] middles, then radii.
@group(0) @binding(1) var<storage, read> feed: array<f32>;
// [samples] exponents of the units, then [samples][cols].
@group(0) @binding(2) var<storage, read_write> fixed: array<i32>;

var<workgroup> largest: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let sample = group.x;
    // The bits of magnitudes are ordered as they are.
    var most = 0u;
    for (var k = t; k < p.cols; k += 256u) {
        most = max(most, bitcast<u32>(feed[sample * p.cols + k]) & 0x7fffffffu);
    }
    largest[t] = most;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            largest[t] = max(largest[t], largest[t + step]);
        }
    }
    workgroupBarrier();
    // Of what is smaller than 2^-62 a part of that is enough.
    let exponent = max(largest[0] >> 23u, 64u);
    let factor = bitcast<f32>((282u - min(exponent, 254u)) << 23u);
    for (var k = t; k < p.cols; k += 256u) {
        // A power of two: exact, but for what is flushed.
        let x = feed[sample * p.cols + k] * factor;
        fixed[p.samples + sample * p.cols + k] = select(0, i32(x), abs(x) < 0x1p30);
    }
    if t == 0u {
        // Of what is no number no unit.
        fixed[sample] = select(1000, i32(exponent) - 155, largest[0] < INFINITE);
    }
}
