// Of each sample the point with the largest lead, a workgroup a sample.

// [samples + 1] first rows of the samples, the last one past all.
@group(0) @binding(1) var<storage, read> firsts: array<u32>;
// [rows].
@group(0) @binding(2) var<storage, read> leads: array<f32>;
// [rows][inputs].
@group(0) @binding(3) var<storage, read> kept: array<f32>;
// [samples][inputs + 1] points, each with its lead behind it.
@group(0) @binding(4) var<storage, read_write> found: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let sample = group.x;
    var best = firsts[sample];
    for (var row = best + 1u; row < firsts[sample + 1u]; row++) {
        if leads[row] > leads[best] {
            best = row;
        }
    }
    let to = sample * (p.inputs + 1u);
    for (var k = t; k < p.inputs; k += 64u) {
        found[to + k] = kept[best * p.inputs + k];
    }
    if t == 0u {
        found[to + p.inputs] = leads[best];
    }
}
