// Gradients by what feeds a layer from those by its activations, whose slopes their signs tell: 32 inputs of
// the layer and 32 points a workgroup, 4 by 4 a thread. Nothing here is a bound.

@group(0) @binding(1) var<storage, read> w: array<f32>;
// [rows][neurons] activations.
@group(0) @binding(2) var<storage, read> out: array<f32>;
// [rows][neurons].
@group(0) @binding(3) var<storage, read> above: array<f32>;
// [rows][cols].
@group(0) @binding(4) var<storage, read_write> below: array<f32>;

const DEPTH = 16u;

var<workgroup> weights: array<array<vec4<f32>, 8>, 16>;
var<workgroup> values: array<array<vec4<f32>, 8>, 16>;

fn steep(at: u32, neuron: u32) -> f32 {
    return above[at] * select(p.leak, 1.0, out[at] > 0.0 || neuron < p.through);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    var sums = mat4x4<f32>();
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    for (var k = 0u; k < p.neurons; k += DEPTH) {
        workgroupBarrier();
        // Whole vectors: threads that write parts of one would race.
        for (var i = t; i < 8u * DEPTH; i += 64u) {
            // Side by side: the columns of a neuron's weights, the neurons of a point.
            let lane = k + i / 8u;
            let of_layer = min(lane, p.neurons - 1u);
            let place = of_layer * p.cols
                + min(32u * group.x + 4u * (i % 8u) + four, vec4<u32>(p.cols - 1u));
            let four_weights = vec4<f32>(w[place.x], w[place.y], w[place.z], w[place.w]);
            weights[i / 8u][i % 8u] = select(vec4<f32>(), four_weights, lane < p.neurons);
            let of_point = min(k + i % DEPTH, p.neurons - 1u);
            let row = min(32u * group.y + 4u * (i / DEPTH) + four, vec4<u32>(p.rows - 1u))
                * p.neurons + of_point;
            values[i % DEPTH][i / DEPTH] = vec4<f32>(
                steep(row.x, of_point), steep(row.y, of_point),
                steep(row.z, of_point), steep(row.w, of_point)
            );
        }
        workgroupBarrier();
        for (var j = 0u; j < DEPTH; j++) {
            sums += outer(weights[j][t % 8u], values[j][t / 8u]);
        }
    }
    for (var i = 0u; i < 4u; i++) {
        let row = 32u * group.y + 4u * (t / 8u) + i;
        for (var n = 0u; n < 4u; n++) {
            let column = 32u * group.x + 4u * (t % 8u) + n;
            if row < p.rows && column < p.cols {
                below[row * p.cols + column] = sums[i][n];
            }
        }
    }
}
