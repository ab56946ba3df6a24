// What a step takes from the floor of a row.

// Coefficients below this are dropped; that is charged to the layer.
fn drop_negligible(x: f32) -> f32 {
    return select(x, 0.0, abs(x) < NEGLIGIBLE);
}

// The floor plus `total.x`, the sum of gains, less their rounding by `total.y`, the sum of their sizes, the
// budget `total.z` and what underflow takes; rounded down.
fn settle(slot: u32, sample: u32, total: vec3<f32>) {
    let gains = add_up(mul_up(p.gamma, inflate(total.y)), p.under);
    let loss = add_up(add_up(inflate(total.z), gains), scalars[scalar(sample, SCALARS + p.layer)]);
    floors[slot] = sub_down(add_down(floors[slot], total.x), loss);
}
