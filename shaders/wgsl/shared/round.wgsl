// Directed rounding, as the engine's `num` has it. Each result passes through its bits, so that no
// compiler takes an operation across it, and is one float up, which covers either neighbour. What is tiny
// becomes one number: the result of a sum, which a compiler might add to another in another order.

// Relative error of one operation.
const U = 0x1p-23;
const TINY = 0x1p-122;
const ETA = 0x1p-126;
const NEGLIGIBLE = 0x1p-63;
const LEAST = 0x02800000u;
const INFINITE = 0x7f800000u;

fn up(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let size = bits & 0x7fffffffu;
    if size < LEAST {
        return 2.0 * TINY;
    }
    if size < INFINITE {
        return bitcast<f32>(select(bits - 1u, bits + 1u, bits < 0x80000000u));
    }
    return x;
}

fn down(x: f32) -> f32 {
    return -up(-x);
}

fn add_up(a: f32, b: f32) -> f32 {
    return up(a + b);
}

fn sub_up(a: f32, b: f32) -> f32 {
    return up(a - b);
}

fn mul_up(a: f32, b: f32) -> f32 {
    return up(a * b);
}

fn add_down(a: f32, b: f32) -> f32 {
    return -up(-a - b);
}

fn sub_down(a: f32, b: f32) -> f32 {
    return -up(b - a);
}

fn mul_down(a: f32, b: f32) -> f32 {
    return -up(-a * b);
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & INFINITE) != INFINITE;
}

// The larger of two lower bounds; b counts only if it is finite.
fn better_lower(a: f32, b: f32) -> f32 {
    return select(a, b, is_finite(b) && (!is_finite(a) || b > a));
}

// Bits that `zero`, a word of memory, leaves as they are; what no compiler knows.
fn fence(x: f32, zero: u32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ zero);
}

fn fence4(x: vec4<f32>, zero: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) ^ vec4<u32>(zero));
}
