// Which row each slot holds: two for every neuron chosen, sample after sample; a slot an invocation.

// [samples] how many neurons, then [samples][width] which.
@group(0) @binding(1) var<storage, read> chosen: array<u32>;
// Sample, and twice the neuron plus 1 for the negative.
@group(0) @binding(2) var<storage, read_write> slots: array<vec2<u32>>;
// [samples] first slot, rising, [samples] rows, [slots] sources.
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let slot = id.x;
    if slot >= arrayLength(&slots) {
        return;
    }
    // The last sample whose rows begin at or before it: those without rows begin where the next do.
    var sample = 0u;
    var end = p.samples;
    while end - sample > 1u {
        let middle = (sample + end) / 2u;
        if rows[middle] <= slot {
            sample = middle;
        } else {
            end = middle;
        }
    }
    let row = slot - rows[sample];
    let neuron = chosen[p.samples + sample * p.width + row / 2u];
    slots[slot] = vec2<u32>(sample, 2u * neuron + (row & 1u));
    rows[2u * p.samples + slot] = slot;
}
