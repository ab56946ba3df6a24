// Rows to walk back, a workgroup a row: of a neuron `W_i x` and its negative. The coefficients, on the
// live neurons below, are written once for both; a floor is the value at the middle of their box, less
// what that may be off.

// Sample, and twice the neuron plus 1 for the negative.
@group(0) @binding(1) var<storage, read> slots: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> live: array<u32>;
@group(0) @binding(3) var<storage, read> w: array<f32>;
@group(0) @binding(4) var<storage, read> known: array<f32>;
@group(0) @binding(5) var<storage, read_write> floors: array<f32>;
@group(0) @binding(6) var<storage, read_write> a: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&slots) {
        return;
    }
    let sample = slots[slot].x;
    let neuron = slots[slot].y / 2u;
    let negative = (slots[slot].y & 1u) != 0u;
    let count = select(live[live_count(sample, p.layer - 1u)], 0u, negative);
    let list = live_list(sample) + p.below;
    for (var k = t; k < count; k += 64u) {
        a[slot * 4u * p.stride + k] = w[neuron * p.cols + live[list + k]];
    }
    if t == 0u {
        let at = sample * 4u * p.width + neuron;
        let centre = known[at + 2u * p.width];
        let off = add_up(known[at + 3u * p.width], disturbance(known[at]));
        floors[slot] = sub_down(select(centre, -centre, negative), off);
    }
}
