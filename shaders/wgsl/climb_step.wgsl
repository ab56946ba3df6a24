// A step of each point up its gradient, a workgroup a point, and the nearest point in the ball and the box:
// what may round, for the host moves what comes of it into the ball itself.

@group(0) @binding(1) var<storage, read> tasks: array<vec4<u32>>;
// [samples][inputs] centres.
@group(0) @binding(2) var<storage, read> bases: array<f32>;
// [samples].
@group(0) @binding(3) var<storage, read> radii: array<f32>;
// [rows][inputs].
@group(0) @binding(4) var<storage, read> gradients: array<f32>;
// [rows][inputs] directions with their momentum.
@group(0) @binding(5) var<storage, read_write> ahead: array<f32>;
// [rows][inputs].
@group(0) @binding(6) var<storage, read_write> points: array<f32>;

// Rounds in which coordinates meet the box: each fixes some more.
const ROUNDS = 12u;

var<workgroup> sums: array<vec2<f32>, 256>;

fn total(t: u32, x: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    sums[t] = x;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            sums[t] += sums[t + step];
        }
    }
    workgroupBarrier();
    return sums[0];
}

// How far a coordinate may go in the direction of `way`, no further than the radius.
fn room(base: f32, way: f32, radius: f32) -> f32 {
    return min(select(base - p.lo, p.hi - base, way > 0.0), radius);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let row = group.y * 32768u + group.x;
    if row >= p.rows {
        return;
    }
    let at = row * p.inputs;
    let base = tasks[row].x * p.inputs;
    let radius = radii[tasks[row].x];
    var size = 0.0;
    for (var k = t; k < p.inputs; k += 256u) {
        size += abs(gradients[at + k]);
    }
    let whole = total(t, vec2<f32>(size, 0.0)).x;
    let usual = whole > 0.0 && is_finite(whole);
    var squares = 0.0;
    for (var k = t; k < p.inputs; k += 256u) {
        var turned = p.momentum * ahead[at + k];
        if usual {
            turned += gradients[at + k] / whole;
        }
        ahead[at + k] = turned;
        squares += turned * turned;
    }
    var factor = 0.0;
    var scale = 1.0;
    if p.norm == 2u {
        let square = total(t, vec2<f32>(squares, 0.0)).x;
        if square > 0.0 {
            factor = p.length / sqrt(square);
        }
        scale = 0.0;
        for (var round = 0u; round < ROUNDS; round++) {
            // Squares of those that meet the box, and of the others, in radii.
            var parts = vec2<f32>();
            for (var k = t; k < p.inputs; k += 256u) {
                let way = points[at + k] - bases[base + k] + factor * ahead[at + k];
                let most = room(bases[base + k], way, radius);
                let stops = abs(way) * scale > most;
                let share = select(abs(way), most, stops) / radius;
                parts += select(vec2<f32>(0.0, share * share), vec2<f32>(share * share, 0.0), stops);
            }
            let both = total(t, parts);
            let next = sqrt(max(1.0 - both.x, 0.0) / both.y);
            scale = select(1.0, max(scale, next), next < 1.0);
        }
    }
    for (var k = t; k < p.inputs; k += 256u) {
        let middle = bases[base + k];
        var way = points[at + k] - middle + factor * ahead[at + k];
        if p.norm == 0u && ahead[at + k] != 0.0 {
            way += select(-p.length, p.length, ahead[at + k] > 0.0);
        }
        let moved = min(abs(way) * scale, room(middle, way, radius));
        points[at + k] = middle + select(-moved, moved, way > 0.0);
    }
}
