// The interval step of a layer for few samples: a neuron and a sample a workgroup. A thread takes every
// 256th entry, the threads' sums are added as a tree.

// Centre, radius, size.
var<workgroup> sums: array<vec3<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let row = group.x * p.cols;
    let box = group.y * p.cols;
    var sum = vec3<f32>();
    for (var k = t; k < p.cols; k += 256u) {
        let x = w[row + k];
        let middle = feed[box + k];
        let radius = feed[p.samples * p.cols + box + k];
        sum += vec3<f32>(x * middle, abs(x) * radius, abs(x) * abs(middle));
    }
    sums[t] = sum;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            sums[t] += sums[t + step];
        }
    }
    // Behind a barrier: no part of a sum is added to anything else.
    workgroupBarrier();
    if t == 0u {
        write(group.y, group.x, sums[0]);
    }
}
