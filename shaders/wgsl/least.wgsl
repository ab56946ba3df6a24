// Where rows over the inputs are least, as deviations from the middles of their boxes, filled up with 0 to
// a multiple of 16; a workgroup a row. No bound rests on it.

// Sample, and where the row's slopes lie.
@group(0) @binding(1) var<storage, read> places: array<vec2<u32>>;
// [samples][cols] middles, then radii.
@group(0) @binding(2) var<storage, read> feed: array<f32>;
@group(0) @binding(3) var<storage, read> scalars: array<f32>;
@group(0) @binding(4) var<storage, read> a: array<f32>;
@group(0) @binding(5) var<storage, read_write> points: array<f32>;

// `max |a|`, and `sum a^2` or how often there is the largest.
var<workgroup> sums: array<vec2<f32>, 64>;

fn reduce(t: u32) -> vec2<f32> {
    for (var step = 32u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if t < step {
            let other = sums[t + step];
            sums[t] = vec2<f32>(max(sums[t].x, other.x), sums[t].y + other.y);
        }
    }
    workgroupBarrier();
    return sums[0];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let slot = group.y * 32768u + group.x;
    if slot >= arrayLength(&places) {
        return;
    }
    let sample = places[slot].x;
    let row = slot * 4u * p.stride;
    var sum = vec2<f32>();
    for (var k = t; k < p.cols; k += 64u) {
        let x = a[row + k];
        sum = vec2<f32>(max(sum.x, abs(x)), sum.y + x * x);
    }
    sums[t] = sum;
    let whole = reduce(t);
    workgroupBarrier();
    var often = 0.0;
    for (var k = t; k < p.cols; k += 64u) {
        often += select(0.0, 1.0, abs(a[row + k]) == whole.x);
    }
    sums[t] = vec2<f32>(0.0, often);
    let steepest = reduce(t).y;
    let radius = scalars[scalar(sample, 1u)];
    for (var k = t; k < (p.cols + 15u) / 16u * 16u; k += 64u) {
        var x = 0.0;
        if k < p.cols {
            x = a[row + k];
        }
        var way = 0.0;
        if p.norm == 2u {
            way = select(0.0, radius * x / sqrt(whole.y), whole.y > 0.0);
        } else if p.norm == 1u {
            way = select(0.0, radius * sign(x) / steepest, abs(x) == whole.x);
        } else if k < p.cols {
            way = sign(x) * feed[(p.samples + sample) * p.cols + k];
        }
        points[row + k] = -way;
    }
}
