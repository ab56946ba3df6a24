// Puts lines that the host has chosen where the kernels of rows look for them, a workgroup a sample; they
// pass as bits.

// Of each sample how many neurons are live, how many of them are shared, which, and arrays of their lines;
// with room for all neurons in each.
@group(0) @binding(1) var<storage, read> given: array<u32>;
@group(0) @binding(2) var<storage, read_write> live: array<u32>;
// [samples][6][neurons].
@group(0) @binding(3) var<storage, read_write> lines: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let sample = group.x;
    let room = (p.rows + 15u) / 16u * 16u + 16u;
    let begin = sample * (2u + (1u + LINES) * room);
    let count = given[begin];
    let list = live_list(sample) + p.first;
    let line = sample * LINES * p.neurons + p.first;
    for (var k = t; k < count; k += 256u) {
        let at = begin + 2u + k;
        live[list + k] = given[at];
        for (var i = 0u; i < LINES; i++) {
            lines[line + k + i * p.neurons] = given[at + (1u + i) * room];
        }
    }
    if t == 0u {
        live[live_count(sample, p.layer)] = count;
        live[shared_count(sample, p.layer)] = given[begin + 1u];
    }
}
