// A layer's activations at the points of a search: 32 neurons and 32 points a workgroup, 4 by 4 a thread.
// Nothing here is a bound.

@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
// [rows][cols].
@group(0) @binding(3) var<storage, read> fed: array<f32>;
// [rows][neurons].
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const DEPTH = 16u;

var<workgroup> weights: array<array<vec4<f32>, 8>, 16>;
var<workgroup> values: array<array<vec4<f32>, 8>, 16>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    var sums = mat4x4<f32>();
    for (var k = 0u; k < p.cols; k += DEPTH) {
        workgroupBarrier();
        // Whole vectors: threads that write parts of one would race.
        for (var i = t; i < 8u * DEPTH; i += 64u) {
            let at = k + i % DEPTH;
            let column = min(at, p.cols - 1u);
            let four = 4u * (i / DEPTH) + vec4<u32>(0u, 1u, 2u, 3u);
            let place = min(32u * group.x + four, vec4<u32>(p.neurons - 1u)) * p.cols + column;
            let row = min(32u * group.y + four, vec4<u32>(p.rows - 1u)) * p.cols + column;
            weights[i % DEPTH][i / DEPTH] =
                select(vec4<f32>(), vec4<f32>(w[place.x], w[place.y], w[place.z], w[place.w]), at < p.cols);
            values[i % DEPTH][i / DEPTH] =
                vec4<f32>(fed[row.x], fed[row.y], fed[row.z], fed[row.w]);
        }
        workgroupBarrier();
        for (var j = 0u; j < DEPTH; j++) {
            sums += outer(weights[j][t % 8u], values[j][t / 8u]);
        }
    }
    for (var i = 0u; i < 4u; i++) {
        let row = 32u * group.y + 4u * (t / 8u) + i;
        for (var n = 0u; n < 4u; n++) {
            let neuron = 32u * group.x + 4u * (t % 8u) + n;
            if row < p.rows && neuron < p.neurons {
                let z = sums[i][n] + bias[neuron];
                out[row * p.neurons + neuron] = select(p.leak * z, z, z > 0.0 || neuron < p.through);
            }
        }
    }
}
