// What a step of a search is about: points of a batch, each a row of arrays. See `layout.rs`.
struct Climb {
    rows: u32,
    inputs: u32,
    neurons: u32,
    cols: u32,
    through: u32,
    norm: u32,
    leak: f32,
    length: f32,
    momentum: f32,
    lo: f32,
    hi: f32,
    none: u32,
}

@group(0) @binding(0) var<uniform> p: Climb;

const INFINITE = 0x7f800000u;

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & INFINITE) != INFINITE;
}

// A column of weights times a row of what meets them, of four rows each.
fn outer(w: vec4<f32>, x: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(w * x.x, w * x.y, w * x.z, w * x.w);
}
