// How far the best other output is ahead of a class's own at each point, a workgroup a point: the point is
// kept where that is the most so far. Writes the derivative of the lead that the point is to raise.

// Sample, class, and the output to raise: past the last one the best.
@group(0) @binding(1) var<storage, read> tasks: array<vec4<u32>>;
// [rows][neurons] outputs.
@group(0) @binding(2) var<storage, read> out: array<f32>;
// [rows][inputs].
@group(0) @binding(3) var<storage, read> points: array<f32>;
// [rows][neurons].
@group(0) @binding(4) var<storage, read_write> seeds: array<f32>;
// [rows] leads of the points that are kept.
@group(0) @binding(5) var<storage, read_write> leads: array<f32>;
// [rows][inputs].
@group(0) @binding(6) var<storage, read_write> kept: array<f32>;

// The largest lead of other outputs, and the first of these.
var<workgroup> bests: array<f32, 64>;
var<workgroup> firsts: array<u32, 64>;
// Whether all of the outputs are numbers.
var<workgroup> wrong: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let row = group.y * 32768u + group.x;
    if row >= p.rows {
        return;
    }
    let task = tasks[row];
    let at = row * p.neurons;
    let own = out[at + task.y];
    let before = leads[row];
    var best = 0.0;
    var first = p.neurons;
    var bad = 0u;
    for (var j = t; j < p.neurons; j += 64u) {
        let lead = out[at + j] - own;
        bad |= select(1u, 0u, is_finite(lead));
        if j != task.y && (first == p.neurons || lead > best) {
            best = lead;
            first = j;
        }
    }
    bests[t] = best;
    firsts[t] = first;
    wrong[t] = bad;
    for (var step = 32u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            let its = firsts[t + step];
            let more = firsts[t] == p.neurons || bests[t + step] > bests[t]
                || (bests[t + step] == bests[t] && its < firsts[t]);
            if its < p.neurons && more {
                bests[t] = bests[t + step];
                firsts[t] = its;
            }
            wrong[t] |= wrong[t + step];
        }
    }
    // The lead before has been read by all before it is replaced.
    storageBarrier();
    workgroupBarrier();
    let raised = select(task.z, firsts[0], task.z >= p.neurons);
    let known = wrong[0] == 0u && firsts[0] < p.neurons;
    for (var j = t; j < p.neurons; j += 64u) {
        let less = select(0.0, -1.0, j == task.y);
        seeds[at + j] = select(0.0, select(less, 1.0, j == raised), known);
    }
    if known && bests[0] > before {
        for (var k = t; k < p.inputs; k += 64u) {
            kept[row * p.inputs + k] = points[row * p.inputs + k];
        }
        if t == 0u {
            leads[row] = bests[0];
        }
    }
}
