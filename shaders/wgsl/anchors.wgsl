// What lines of any lower slope need to know of a layer's live neurons, a workgroup a sample: where the
// line is held, the least slope of the activation, and a budget that takes in the rounding of a
// coefficient by a slope that is neither 0 nor 1.

@group(0) @binding(1) var<storage, read> known: array<f32>;
@group(0) @binding(2) var<storage, read> ends: array<f32>;
// [samples][rows] middles of the activations.
@group(0) @binding(3) var<storage, read> feed: array<f32>;
@group(0) @binding(4) var<storage, read> live: array<u32>;
@group(0) @binding(5) var<storage, read> lines: array<f32>;
// [samples][4][neurons].
@group(0) @binding(6) var<storage, read_write> anchors: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let sample = group.x;
    let count = live[live_count(sample, p.layer)];
    let list = live_list(sample) + p.first;
    let line = sample * LINES * p.neurons + p.first;
    let anchor = sample * ANCHORS * p.neurons + p.first;
    for (var k = t; k < count; k += 64u) {
        let i = live[list + k];
        let leak = select(p.leak, 1.0, i < p.through);
        let lo = ends[sample * 2u * p.width + i];
        let hi = ends[(sample * 2u + 1u) * p.width + i];
        let centre = known[sample * 4u * p.width + 2u * p.width + i];
        let lower = lines[line + k];
        let upper = lines[line + p.neurons + k];
        var budget = lines[line + 4u * p.neurons + k];
        // What fills a list has no budget.
        let moves = lo < 0.0 && hi > 0.0 && leak < 1.0 && budget > 0.0;
        // Of other slopes the lines' own budget takes that in.
        if moves && (lower == 0.0 || lower == 1.0) && (upper == 0.0 || upper == 1.0) {
            let off = max(sub_up(hi, centre), sub_up(centre, lo));
            budget = add_up(budget, mul_up(U, mul_up(1.000001, off)));
        }
        anchors[anchor + k] = centre;
        anchors[anchor + p.neurons + k] = feed[sample * p.rows + i];
        anchors[anchor + 2u * p.neurons + k] = budget;
        anchors[anchor + 3u * p.neurons + k] = select(1.0, leak, moves);
    }
}
