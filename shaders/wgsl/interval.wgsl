// The interval step of a layer for many samples: 32 neurons and 32 samples a workgroup, 4 by 4 a thread;
// sums in fenced blocks of 64 terms.

const DEPTH = 16u;
const FOLD = 4u;

var<workgroup> weights: array<array<vec4<f32>, 8>, 16>;
var<workgroup> middles: array<array<vec4<f32>, 8>, 16>;
var<workgroup> radii: array<array<vec4<f32>, 8>, 16>;

fn outer(w: vec4<f32>, x: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(w * x.x, w * x.y, w * x.z, w * x.w);
}

fn fences(x: mat4x4<f32>, zero: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        fence(x[0], zero), fence(x[1], zero), fence(x[2], zero), fence(x[3], zero)
    );
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let neuron = 32u * group.x + 4u * (t % 8u);
    let sample = 32u * group.y + 4u * (t / 8u);
    let zero = bitcast<u32>(bias[2u * p.rows]);
    // Centre, radius, size of 4 neurons in a column for each sample: whole, and of a block.
    var centre = mat4x4<f32>();
    var radius = mat4x4<f32>();
    var size = mat4x4<f32>();
    var centres = mat4x4<f32>();
    var reach = mat4x4<f32>();
    var sizes = mat4x4<f32>();
    var blocks = 0u;
    for (var k = 0u; k < p.cols; k += DEPTH) {
        workgroupBarrier();
        for (var i = t; i < 512u; i += 64u) {
            let at = k + i % DEPTH;
            let n = i / DEPTH;
            let inside = at < p.cols;
            let row = min(32u * group.x + n, p.rows - 1u);
            let place = (min(32u * group.y + n, p.samples - 1u)) * p.cols + min(at, p.cols - 1u);
            weights[i % DEPTH][n / 4u][n % 4u] =
                select(0.0, w[row * p.cols + min(at, p.cols - 1u)], inside);
            middles[i % DEPTH][n / 4u][n % 4u] = feed[place];
            radii[i % DEPTH][n / 4u][n % 4u] = feed[p.samples * p.cols + place];
        }
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let wi = weights[i][t % 8u];
            let m = middles[i][t / 8u];
            centres += outer(wi, m);
            reach += outer(abs(wi), radii[i][t / 8u]);
            sizes += outer(abs(wi), abs(m));
        }
        blocks++;
        if blocks == FOLD || k + DEPTH >= p.cols {
            blocks = 0u;
            centre += fences(centres, zero);
            radius += fences(reach, zero);
            size += fences(sizes, zero);
            centres = mat4x4<f32>();
            reach = mat4x4<f32>();
            sizes = mat4x4<f32>();
        }
    }
    for (var i = 0u; i < 4u; i++) {
        for (var n = 0u; n < 4u; n++) {
            write(sample + i, neuron + n, vec3<f32>(centre[i][n], radius[i][n], size[i][n]));
        }
    }
}
