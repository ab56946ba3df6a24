// Lower slopes that a search moves: where they lie, and which a row takes.

// Arrays of `anchors`, for each sample: centre of the pre-activation, middle of the activation, budget
// for any slope, least slope; that is 1 where the lines stay.
const ANCHORS = 4u;
// Arrays of `search`, for each row: slopes, both moments of their gradients, coefficients last met.
const SEARCH = 4u;

// A slope from `least` to 1, whatever is proposed, even what is no number; by its bits, so that no compiler
// may believe that it is one. None is so small that a device might flush it.
fn slope_within(proposed: f32, least: f32) -> f32 {
    let bits = bitcast<u32>(proposed);
    let low = bits >= 0x80000000u || bits < bitcast<u32>(NEGLIGIBLE);
    return bitcast<f32>(clamp(select(bits, 0u, low), bitcast<u32>(least), 0x3f800000u));
}
