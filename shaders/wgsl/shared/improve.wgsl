// Takes a bound of a neuron's row for one of its ends, if it is better: for the lower one, or of the
// negative row for the upper one. Each end has one row.
fn improve(slot: vec2<u32>, bound: f32) {
    let at = slot.x * 2u * p.width + slot.y / 2u;
    if (slot.y & 1u) == 0u {
        ends[at] = better_lower(ends[at], bound);
    } else {
        ends[at + p.width] = -better_lower(-ends[at + p.width], bound);
    }
}
