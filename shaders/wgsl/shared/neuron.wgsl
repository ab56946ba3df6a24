// The interval step's bindings, and what it makes of a neuron's three sums (twin of the engine's
// `interval::step`): ends, masses, spreads and centres.

@group(0) @binding(1) var<storage, read> w: array<f32>;
// [rows] biases, [rows] dual norms of the rows of W, a last word 0.
@group(0) @binding(2) var<storage, read> bias: array<f32>;
// [samples][cols] middles, then radii.
@group(0) @binding(3) var<storage, read> feed: array<f32>;
@group(0) @binding(4) var<storage, read> scalars: array<f32>;
// [samples][4][width]: mass, spread, centre, and how far that is off.
@group(0) @binding(5) var<storage, read_write> known: array<f32>;
// [samples][2][width].
@group(0) @binding(6) var<storage, read_write> ends: array<f32>;

fn write(sample: u32, neuron: u32, sums: vec3<f32>) {
    if sample >= p.samples || neuron >= p.rows {
        return;
    }
    let radius = inflate(sums.y);
    let size = inflate(sums.z);
    let b = bias[neuron];
    let flushed = mul_up(2.0 * ETA, add_up(scalars[scalar(sample, 0u)], 1.0));
    let mass = add_up(add_up(radius, size), add_up(abs(b), flushed));
    let centre = bitcast<f32>(bitcast<u32>(sums.x + b) ^ bitcast<u32>(bias[2u * p.rows]));
    let rounding = add_up(mul_up(p.share, size), p.under);
    let error = add_up(add_up(rounding, mul_up(U, mul_up(1.000001, abs(centre)))), flushed);
    var reach = radius;
    if p.norm != 0u {
        let ball = mul_up(scalars[scalar(sample, 1u)], bias[p.rows + neuron]);
        reach = select(radius, ball, ball < radius);
    }
    let off = add_up(error, disturbance(mass));
    let at = sample * 4u * p.width + neuron;
    known[at] = mass;
    known[at + p.width] = reach;
    known[at + 2u * p.width] = centre;
    known[at + 3u * p.width] = error;
    let end = sample * 2u * p.width + neuron;
    ends[end] = sub_down(sub_down(centre, reach), off);
    ends[end + p.width] = add_up(add_up(centre, reach), off);
}
