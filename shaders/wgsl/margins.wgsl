// Rows of margins, a workgroup a row: the class's output less another one, or the class's own; on the
// outputs' deviations from the middle of their box.

// Sample, and the row: of the other outputs in order, then the class's own.
@group(0) @binding(1) var<storage, read> slots: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> classes: array<u32>;
// [samples][rows] middles of the outputs.
@group(0) @binding(3) var<storage, read> feed: array<f32>;
@group(0) @binding(4) var<storage, read> live: array<u32>;
@group(0) @binding(5) var<storage, read_write> floors: array<f32>;
@group(0) @binding(6) var<storage, read_write> a: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&slots) {
        return;
    }
    let sample = slots[slot].x;
    let row = slots[slot].y;
    let class_of = classes[sample];
    let other = select(row + 1u, row, row < class_of);
    let own = row + 1u == p.rows;
    let count = live[live_count(sample, p.layer)];
    for (var k = t; k < count; k += 64u) {
        let i = live[live_list(sample) + p.first + k];
        let less = select(0.0, -1.0, i == other && !own);
        a[slot * 4u * p.stride + k] = select(less, 1.0, i == class_of);
    }
    if t == 0u {
        let mine = feed[sample * p.rows + class_of];
        floors[slot] = mine;
        if !own {
            floors[slot] = sub_down(mine, feed[sample * p.rows + other]);
        }
    }
}
