// Centres of a layer in whole numbers, for many samples: 32 neurons and 32 samples a workgroup, 4 by 4 a
// thread. Weights and middles are three digits of 2^10 each; sums of their products are exact, but for the
// product of the last digits, which is left out. Where this is nearer than the interval step's centre, it
// takes its place, and ends are made of it.
//
// No sum overflows: a product of digits is at most 2^18, so three for each of 2048 columns, and what was
// carried, stay below 2^31, as does one for each of 4096, the most there are, with all that is carried
// there. Integers are exact so in any order; so are `>>`, which keeps the sign, `&`, and conversions to
// floats of parts below 2^24. With scales from 2^-90 to 2^90 no product of a sum is subnormal or infinite;
// other scales, as that of what is no number, leave the interval step's centre.

// [rows][cols] multiples of a unit for each row, at most 2^29 in size and off by 1/2.
@group(0) @binding(1) var<storage, read> digits: array<i32>;
// [rows] exponents of the units, [rows] upper bounds of the sums of a row's magnitudes.
@group(0) @binding(2) var<storage, read> units: array<u32>;
@group(0) @binding(3) var<storage, read> fixed: array<i32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> scalars: array<f32>;
@group(0) @binding(6) var<storage, read_write> known: array<f32>;
@group(0) @binding(7) var<storage, read_write> ends: array<f32>;

const DEPTH = 16u;
// Columns after which sums are carried: 3 products of 2^18 for each stay below 2^31.
const CARRY = 2048u;

// Digits, the last one first.
var<workgroup> weights: array<array<array<vec4<i32>, 8>, 16>, 3>;
var<workgroup> middles: array<array<array<vec4<i32>, 8>, 16>, 3>;

fn power(exponent: i32) -> f32 {
    return bitcast<f32>(u32(exponent + 127) << 23u);
}

fn write(sample: u32, neuron: u32, s: vec4<i32>) {
    let unit_x = fixed[min(sample, p.samples - 1u)];
    let unit_w = bitcast<i32>(units[min(neuron, p.rows - 1u)]);
    let scale = 40 + unit_x + unit_w;
    if sample >= p.samples || neuron >= p.rows || scale < -90 || scale > 90 {
        return;
    }
    // Each part is exact.
    let high = f32(s.w >> 12u) * 4096.0;
    let low = f32(s.w & 4095);
    let after = f32(s.z * 1024 + s.y) * 0x1p-20;
    let zero = bitcast<u32>(bias[2u * p.rows]);
    let sum = fence((high + low) + (after + f32(s.x) * 0x1p-30), zero);
    let centre = sum * power(scale) + bias[neuron];
    // Of the sum: four roundings of parts that are at most its size and twice 2^12.
    let parts = mul_up(4.0 * U, mul_up(add_up(mul_up(1.000001, abs(sum)), 8200.0), power(scale)));
    // Of the units: of a middle for each weight; of a weight for each middle, twice what is needed; and the
    // last digits.
    let of_x = mul_up(power(unit_x), bitcast<f32>(units[p.rows + neuron]));
    let of_w = mul_up(power(unit_w), scalars[scalar(sample, 0u)]);
    let last = mul_up(mul_up(262146.0, f32(p.cols)), mul_up(power(unit_x), power(unit_w)));
    let flushed = mul_up(2.0 * ETA, add_up(scalars[scalar(sample, 0u)], 1.0));
    let kept = add_up(parts, add_up(mul_up(U, mul_up(1.000001, abs(centre))), flushed));
    let error = mul_up(p.gamma, add_up(kept, add_up(of_x, add_up(of_w, last))));
    let at = sample * 4u * p.width + neuron;
    if !(error < known[at + 3u * p.width]) {
        return;
    }
    known[at + 2u * p.width] = centre;
    known[at + 3u * p.width] = error;
    let off = add_up(error, disturbance(known[at]));
    let reach = known[at + p.width];
    let end = sample * 2u * p.width + neuron;
    ends[end] = sub_down(sub_down(centre, reach), off);
    ends[end + p.width] = add_up(add_up(centre, reach), off);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let neuron = 32u * group.x + 4u * (t % 8u);
    let sample = 32u * group.y + 4u * (t / 8u);
    // Of each sample, four neurons.
    var s0 = Sums();
    var s1 = Sums();
    var s2 = Sums();
    var s3 = Sums();
    for (var k = 0u; k < p.cols; k += DEPTH) {
        workgroupBarrier();
        // Whole vectors: threads that write parts of one would race.
        for (var i = t; i < 8u * DEPTH; i += 64u) {
            let column = min(k + i % DEPTH, p.cols - 1u);
            let inside = k + i % DEPTH < p.cols;
            let four = 4u * (i / DEPTH) + vec4<u32>(0u, 1u, 2u, 3u);
            let row = min(32u * group.x + four, vec4<u32>(p.rows - 1u)) * p.cols + column;
            let w = vec4<i32>(digits[row.x], digits[row.y], digits[row.z], digits[row.w]);
            let place = min(32u * group.y + four, vec4<u32>(p.samples - 1u)) * p.cols + column + p.samples;
            let x = vec4<i32>(fixed[place.x], fixed[place.y], fixed[place.z], fixed[place.w]);
            let w_digits = split(select(vec4<i32>(), w, inside));
            let x_digits = split(x);
            weights[0][i % DEPTH][i / DEPTH] = w_digits[0];
            weights[1][i % DEPTH][i / DEPTH] = w_digits[1];
            weights[2][i % DEPTH][i / DEPTH] = w_digits[2];
            middles[0][i % DEPTH][i / DEPTH] = x_digits[0];
            middles[1][i % DEPTH][i / DEPTH] = x_digits[1];
            middles[2][i % DEPTH][i / DEPTH] = x_digits[2];
        }
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let w0 = weights[0][i][t % 8u];
            let w1 = weights[1][i][t % 8u];
            let w2 = weights[2][i][t % 8u];
            let x0 = middles[0][i][t / 8u];
            let x1 = middles[1][i][t / 8u];
            let x2 = middles[2][i][t / 8u];
            s0 = add(s0, w0, w1, w2, vec3<i32>(x0.x, x1.x, x2.x));
            s1 = add(s1, w0, w1, w2, vec3<i32>(x0.y, x1.y, x2.y));
            s2 = add(s2, w0, w1, w2, vec3<i32>(x0.z, x1.z, x2.z));
            s3 = add(s3, w0, w1, w2, vec3<i32>(x0.w, x1.w, x2.w));
        }
        if (k + DEPTH) % CARRY == 0u {
            s0 = carry(s0);
            s1 = carry(s1);
            s2 = carry(s2);
            s3 = carry(s3);
        }
    }
    s0 = carry(s0);
    s1 = carry(s1);
    s2 = carry(s2);
    s3 = carry(s3);
    for (var n = 0u; n < 4u; n++) {
        write(sample, neuron + n, vec4<i32>(s0.a[n], s0.b[n], s0.c[n], s0.d[n]));
        write(sample + 1u, neuron + n, vec4<i32>(s1.a[n], s1.b[n], s1.c[n], s1.d[n]));
        write(sample + 2u, neuron + n, vec4<i32>(s2.a[n], s2.b[n], s2.c[n], s2.d[n]));
        write(sample + 3u, neuron + n, vec4<i32>(s3.a[n], s3.b[n], s3.c[n], s3.d[n]));
    }
}
