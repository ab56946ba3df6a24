// The interval step of a layer for many samples: 32 neurons and 32 samples a workgroup, 4 by 4 a thread;
// sums in fenced blocks.

const DEPTH = 16u;

var<workgroup> weights: array<array<vec4<f32>, 8>, 16>;
var<workgroup> middles: array<array<vec4<f32>, 8>, 16>;
var<workgroup> radii: array<array<vec4<f32>, 8>, 16>;

fn outer(w: vec4<f32>, x: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(w * x.x, w * x.y, w * x.z, w * x.w);
}

fn fences(x: mat4x4<f32>, zero: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        fence4(x[0], zero), fence4(x[1], zero), fence4(x[2], zero), fence4(x[3], zero)
    );
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let neuron = 32u * group.x + 4u * (t % 8u);
    let sample = 32u * group.y + 4u * (t / 8u);
    let zero = bitcast<u32>(bias[2u * p.rows]);
    // Centre, radius, size of 4 neurons in a column for each sample: whole, and of blocks. What the
    // centre is off is nearly all that a bound loses to rounding: its blocks are of 4, 16, 64 and 256.
    var centre = mat4x4<f32>();
    var radius = mat4x4<f32>();
    var size = mat4x4<f32>();
    var centres = mat4x4<f32>();
    var of_64 = mat4x4<f32>();
    var reach = mat4x4<f32>();
    var sizes = mat4x4<f32>();
    var tiles = 0u;
    for (var k = 0u; k < p.cols; k += DEPTH) {
        workgroupBarrier();
        // Whole vectors: threads that write parts of one would race.
        for (var i = t; i < 8u * DEPTH; i += 64u) {
            let at = k + i % DEPTH;
            let column = min(at, p.cols - 1u);
            let four = 4u * (i / DEPTH) + vec4<u32>(0u, 1u, 2u, 3u);
            let row = min(32u * group.x + four, vec4<u32>(p.rows - 1u)) * p.cols + column;
            let place = min(32u * group.y + four, vec4<u32>(p.samples - 1u)) * p.cols + column;
            let radius = p.samples * p.cols + place;
            weights[i % DEPTH][i / DEPTH] =
                select(vec4<f32>(), vec4<f32>(w[row.x], w[row.y], w[row.z], w[row.w]), at < p.cols);
            middles[i % DEPTH][i / DEPTH] =
                vec4<f32>(feed[place.x], feed[place.y], feed[place.z], feed[place.w]);
            radii[i % DEPTH][i / DEPTH] =
                vec4<f32>(feed[radius.x], feed[radius.y], feed[radius.z], feed[radius.w]);
        }
        workgroupBarrier();
        var of_16 = mat4x4<f32>();
        for (var i = 0u; i < DEPTH; i += 4u) {
            var of_4 = mat4x4<f32>();
            for (var j = i; j < i + 4u; j++) {
                let wi = weights[j][t % 8u];
                let m = middles[j][t / 8u];
                of_4 += outer(wi, m);
                reach += outer(abs(wi), radii[j][t / 8u]);
                sizes += outer(abs(wi), abs(m));
            }
            of_16 += fences(of_4, zero);
        }
        of_64 += fences(of_16, zero);
        tiles++;
        let last = k + DEPTH >= p.cols;
        if tiles % 4u == 0u || last {
            centres += fences(of_64, zero);
            radius += fences(reach, zero);
            size += fences(sizes, zero);
            of_64 = mat4x4<f32>();
            reach = mat4x4<f32>();
            sizes = mat4x4<f32>();
        }
        if tiles % 16u == 0u || last {
            centre += fences(centres, zero);
            centres = mat4x4<f32>();
        }
    }
    // What is added from here on is rounded once.
    centre = fences(centre, zero);
    radius = fences(radius, zero);
    size = fences(size, zero);
    for (var i = 0u; i < 4u; i++) {
        for (var n = 0u; n < 4u; n++) {
            write(sample + i, neuron + n, vec3<f32>(centre[i][n], radius[i][n], size[i][n]));
        }
    }
}
