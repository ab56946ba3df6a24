// What single operations of the device make of pairs of floats.

// Bits of a and b.
@group(0) @binding(0) var<storage, read> pairs: array<vec2<u32>>;
// For each pair the bits of a + b, a - b, a * b, min, max, |a|, and flags: 1 a < b, 2 a > b, 4 a > 0.
@group(0) @binding(1) var<storage, read_write> found: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&pairs) {
        return;
    }
    let a = bitcast<f32>(pairs[i].x);
    let b = bitcast<f32>(pairs[i].y);
    let at = 7u * i;
    found[at] = bitcast<u32>(a + b);
    found[at + 1u] = bitcast<u32>(a - b);
    found[at + 2u] = bitcast<u32>(a * b);
    found[at + 3u] = bitcast<u32>(min(a, b));
    found[at + 4u] = bitcast<u32>(max(a, b));
    found[at + 5u] = bitcast<u32>(abs(a));
    found[at + 6u] = select(0u, 1u, a < b) | select(0u, 2u, a > b) | select(0u, 4u, a > 0.0);
}
