// Slopes that a search begins with, the lines' own, and nothing known of their gradients; a workgroup a
// row.

// Sample, and where the row's slopes lie.
@group(0) @binding(1) var<storage, read> places: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> lines: array<f32>;
// [rows][4][neurons].
@group(0) @binding(3) var<storage, read_write> search: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&places) {
        return;
    }
    let line = places[slot].x * LINES * p.neurons;
    let own = places[slot].y * SEARCH * p.neurons;
    for (var k = t; k < p.neurons; k += 64u) {
        search[own + k] = lines[line + k];
        for (var array = 1u; array < SEARCH; array++) {
            search[own + array * p.neurons + k] = 0.0;
        }
    }
}
