// The neurons of a layer at points, and how fast each can move away from there; a workgroup a sample (twin
// of the engine's `simplex::chain`). Within a distance r, a pre-activation moves from z by at most
// rate*r + error.

// Of the interval step over the activations with their rates as radii: [samples][4][width].
@group(0) @binding(1) var<storage, read> rates: array<f32>;
// Of the same with their errors.
@group(0) @binding(2) var<storage, read> errors: array<f32>;
@group(0) @binding(3) var<storage, read_write> scalars: array<f32>;
// In place of the shared neurons: how many there are, before the list is filled up.
@group(0) @binding(4) var<storage, read_write> live: array<u32>;
// [samples][4][neurons]: z, error, rate, and the error of computing this very neuron.
@group(0) @binding(5) var<storage, read_write> points: array<f32>;
// [samples][layers][2]: sums of the rates and of the errors of live neurons.
@group(0) @binding(6) var<storage, read_write> totals: array<f32>;
// [samples][rows] activations, then their rates: what feeds the next layer.
@group(0) @binding(7) var<storage, read_write> rated: array<f32>;
// The same with their errors.
@group(0) @binding(8) var<storage, read_write> erring: array<f32>;

// Sums of activations, rates and errors, and whether a magnitude is out of range.
var<workgroup> sums: array<vec4<f32>, 256>;

const LIMIT = 0x1p100;
// What a weight that is as good as 0 may move, where a share of the rate is charged: NEGLIGIBLE by 2^24.
const DROPPED = 0x1p-39;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let sample = group.x;
    let total = (sample * p.layers + p.layer) * 2u;
    // Of the inputs, or of the layer below: over the inputs `sum |x_j - u_j| <= n*r`.
    var met = vec2<f32>(f32(p.cols), 0.0);
    if p.layer > 0u {
        met = vec2<f32>(totals[total - 2u], totals[total - 1u]);
    }
    let dropped = mul_up(NEGLIGIBLE, met.y);
    let dropped_rate = mul_up(DROPPED, met.x);
    let list = live_list(sample) + p.first;
    let point = sample * 4u * p.neurons + p.first;
    var count = 0u;
    var sum = vec4<f32>();
    for (var begin = 0u; begin < p.rows; begin += 256u) {
        let i = begin + t;
        var alive = false;
        if i < p.rows {
            let at = sample * 4u * p.width + i;
            let mass = errors[at];
            let z = errors[at + 2u * p.width];
            let fast = rates[at + p.width];
            let own = add_up(add_up(errors[at + 3u * p.width], disturbance(mass)), dropped);
            let error = add_up(errors[at + p.width], own);
            let rate = add_up(add_up(fast, mul_up(p.share, fast)), dropped_rate);
            alive = p.leak == 1.0 || z > 0.0;
            points[point + i] = z;
            points[point + p.neurons + i] = error;
            points[point + 2u * p.neurons + i] = rate;
            points[point + 3u * p.neurons + i] = own;
            let kept = select(vec3<f32>(), vec3<f32>(z, rate, error), alive);
            rated[sample * p.rows + i] = kept.x;
            rated[(p.samples + sample) * p.rows + i] = kept.y;
            erring[sample * p.rows + i] = kept.x;
            erring[(p.samples + sample) * p.rows + i] = kept.z;
            // Written so that a NaN is refused.
            let fine = mass < LIMIT && rate < LIMIT;
            sum += vec4<f32>(abs(kept.x), kept.yz, select(1.0, 0.0, fine));
        }
        let place = before(t, alive);
        if alive {
            live[list + count + place.x] = i;
        }
        count += place.y;
    }
    let filled = (count + 15u) / 16u * 16u;
    if t < filled - count {
        live[list + count + t] = 0u;
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
        live[live_count(sample, p.layer)] = filled;
        live[shared_count(sample, p.layer)] = count;
        let rate = inflate(sums[0].y);
        let error = inflate(sums[0].z);
        totals[total] = rate;
        totals[total + 1u] = error;
        scalars[scalar(sample, 0u)] = add_up(inflate(sums[0].x), error);
        if !(sums[0].w == 0.0) {
            scalars[scalar(sample, 2u)] = 1.0;
        }
    }
}
