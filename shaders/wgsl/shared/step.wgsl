// What a stage is about: one layer, a batch of samples. See `layout.rs`.
struct Step {
    samples: u32,
    neurons: u32,
    layers: u32,
    width: u32,
    layer: u32,
    first: u32,
    below: u32,
    rows: u32,
    cols: u32,
    stride: u32,
    tile: u32,
    through: u32,
    norm: u32,
    slope: u32,
    flags: u32,
    outputs: u32,
    leak: f32,
    gamma: f32,
    factor: f32,
    under: f32,
    share: f32,
    weight_error: f32,
    bias_error: f32,
    relative: f32,
    absolute: f32,
    none: f32,
    spare: f32,
    free: f32,
    bends: vec4<f32>,
}

// Flags: under deployed semantics; all columns count; rows belong to neurons; rows are bounded.
const DEPLOYED = 1u;
const WHOLE = 2u;
const NEURONS = 4u;
const BOUNDED = 8u;
// Of a product: one row of each pair, times the shared neurons; both, times the others, added to that.
const PAIRED = 16u;
const JOINED = 32u;

@group(0) @binding(0) var<uniform> p: Step;

// Floats of a sample in `scalars`: the sum of its inputs' magnitudes, its radius, whether it is
// refused, one that is free, then what underflow takes in each layer.
const SCALARS = 4u;
// Arrays of `lines`: both slopes, both gains, budgets, radii.
const LINES = 6u;

// In `live`: entries of a sample's list in layer `k`; those of them that are shared, which come first;
// where the lists of a sample begin. Both are filled up to whole multiples of 16 with lines of 0.
fn live_count(sample: u32, k: u32) -> u32 {
    return sample * p.layers + k;
}

fn shared_count(sample: u32, k: u32) -> u32 {
    return (p.samples + sample) * p.layers + k;
}

fn live_list(sample: u32) -> u32 {
    return 2u * p.samples * p.layers + sample * p.neurons;
}

fn scalar(sample: u32, i: u32) -> u32 {
    return sample * (SCALARS + p.layers) + i;
}

// Whether tighter ends would help a neuron with these: its activation is not one line between them.
fn is_open(lo: f32, hi: f32) -> bool {
    return (lo < p.bends.x && hi > p.bends.y) || (lo < p.bends.z && hi > p.bends.w);
}

// Upper bound of a true sum of non-negative products from the computed one.
fn inflate(sum: f32) -> f32 {
    return mul_up(add_up(sum, p.under), p.factor);
}

// What separates computed or original pre-activations of this mass from the stored network's.
fn disturbance(mass: f32) -> f32 {
    var d = 0.0;
    if p.weight_error != 0.0 || p.bias_error != 0.0 {
        d = add_up(mul_up(p.weight_error, mass), p.bias_error);
    }
    if (p.flags & DEPLOYED) != 0u {
        d = add_up(d, add_up(mul_up(p.relative, mass), p.absolute));
    }
    return d;
}
