// Points through a layer's weights, as deviations: out[r][c] = sum_k points[r][k] * w[columns[c]][inner[k]],
// with the live neurons of a sample on both sides. 16 rows of a sample and 64 neurons a workgroup, 4 by 4
// a thread. No bound rests on it.

// Sample and first row within it.
@group(0) @binding(1) var<storage, read> tiles: array<vec2<u32>>;
// [samples] first slot, [samples] rows.
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> w: array<f32>;
@group(0) @binding(5) var<storage, read> points: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const DEPTH = 16u;

var<workgroup> left: array<array<vec4<f32>, 4>, 16>;
var<workgroup> right: array<array<vec4<f32>, 16>, 16>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let tile = tiles[p.tile + group.y];
    let sample = tile.x;
    let count = rows[p.samples + sample];
    let lists = live_list(sample);
    let whole = (p.flags & WHOLE) != 0u;
    let across = live[live_count(sample, p.layer)];
    var inner = (p.cols + DEPTH - 1u) / DEPTH * DEPTH;
    if !whole {
        inner = live[live_count(sample, p.layer - 1u)];
    }
    let first = group.x * 64u;
    if tile.y >= count || first >= across {
        return;
    }
    let slot = rows[sample] + tile.y;
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    var sum = mat4x4<f32>();
    for (var k = 0u; k < inner; k += DEPTH) {
        workgroupBarrier();
        // Whole vectors: threads that write parts of one would race.
        let r = (slot + min(4u * (t / 16u) + four, vec4<u32>(count - 1u - tile.y))) * 4u * p.stride
            + k + t % 16u;
        left[t % 16u][t / 16u] = vec4<f32>(points[r.x], points[r.y], points[r.z], points[r.w]);
        var from_input = min(k + t % 16u, p.cols - 1u);
        if !whole {
            from_input = live[lists + p.below + k + t % 16u];
        }
        for (var i = t / 16u; i < 16u; i += 4u) {
            let c = lists + p.first + min(first + 4u * i + four, vec4<u32>(across - 1u));
            let at = vec4<u32>(live[c.x], live[c.y], live[c.z], live[c.w]) * p.cols + from_input;
            right[t % 16u][i] = vec4<f32>(w[at.x], w[at.y], w[at.z], w[at.w]);
        }
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let a = left[i][t / 16u];
            let b = right[i][t % 16u];
            sum += mat4x4<f32>(a.x * b, a.y * b, a.z * b, a.w * b);
        }
    }
    for (var i = 0u; i < 4u; i++) {
        let row = 4u * (t / 16u) + i;
        for (var j = 0u; j < 4u; j++) {
            let column = first + 4u * (t % 16u) + j;
            if tile.y + row < count && column < across {
                out[(slot + row) * 4u * p.stride + column] = sum[i][j];
            }
        }
    }
}
