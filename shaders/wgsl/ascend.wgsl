// One step of Adam for the lower slopes of rows, up the gradient of their bounds, and the points that the
// rows are least at carried on through the lines that they took; a workgroup a row. A row's bound changes
// with a slope by the coefficient on it times the pre-activation at its point. No bound rests on it.

struct Ascend {
    rate: f32,
    first: f32,
    second: f32,
    none: f32,
}

// The share of its range that a slope may move, and what the moments are divided by.
@group(0) @binding(1) var<uniform> ascend: Ascend;
// Sample, and where the row's slopes lie.
@group(0) @binding(2) var<storage, read> places: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> live: array<u32>;
@group(0) @binding(4) var<storage, read> lines: array<f32>;
@group(0) @binding(5) var<storage, read> anchors: array<f32>;
@group(0) @binding(6) var<storage, read_write> search: array<f32>;
// Deviations of pre-activations from their centres, then of activations from their middles.
@group(0) @binding(7) var<storage, read_write> points: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&places) {
        return;
    }
    let sample = places[slot].x;
    let count = live[live_count(sample, p.layer)];
    let line = sample * LINES * p.neurons + p.first;
    let anchor = sample * ANCHORS * p.neurons + p.first;
    let own = places[slot].y * SEARCH * p.neurons + p.first;
    for (var k = t; k < count; k += 64u) {
        let at = line + k;
        let x = search[own + 3u * p.neurons + k];
        let lower = x > 0.0;
        let off = points[slot * 4u * p.stride + k];
        let least = anchors[anchor + 3u * p.neurons + k];
        var slope = select(lines[at + p.neurons], lines[at], lower);
        var gain = select(lines[at + 3u * p.neurons], lines[at + 2u * p.neurons], lower);
        if least < 1.0 {
            let centre = anchors[anchor + k];
            let before = slope_within(search[own + k], least);
            if lower {
                slope = before;
                gain = slope * centre - anchors[anchor + p.neurons + k];
            }
            let gradient = select(0.0, x * (centre + off), lower);
            let first = 0.9 * search[own + p.neurons + k] + 0.1 * gradient;
            let second = 0.999 * search[own + 2u * p.neurons + k] + 0.001 * gradient * gradient;
            search[own + p.neurons + k] = first;
            search[own + 2u * p.neurons + k] = second;
            let way = first / ascend.first / (sqrt(second / ascend.second) + 1e-8);
            let moved = before + ascend.rate * (1.0 - least) * way;
            search[own + k] = slope_within(select(before, moved, is_finite(moved)), least);
        }
        points[slot * 4u * p.stride + k] = slope * off + gain;
    }
}
