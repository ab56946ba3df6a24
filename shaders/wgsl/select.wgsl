// The neurons of a layer that the interval step leaves open, in order, a workgroup a sample.

// [samples][2][width].
@group(0) @binding(1) var<storage, read> ends: array<f32>;
// [samples] how many, then [samples][width] which.
@group(0) @binding(2) var<storage, read_write> chosen: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let sample = group.x;
    let at = sample * 2u * p.width;
    var count = 0u;
    for (var from_neuron = 0u; from_neuron < p.rows; from_neuron += 256u) {
        let i = from_neuron + t;
        var open = false;
        if i < p.rows && i >= p.through && p.leak != 1.0 {
            open = is_open(ends[at + i], ends[at + p.width + i]);
        }
        let place = before(t, open);
        if open {
            chosen[p.samples + sample * p.width + count + place.x] = i;
        }
        count += place.y;
    }
    if t == 0u {
        chosen[sample] = count;
    }
}
