// Whole numbers of at most 2^29 as three digits of 2^10, from -512 to 512, the last one first.

// The digits of four numbers.
fn split(x: vec4<i32>) -> array<vec4<i32>, 3> {
    let high = (x + vec4<i32>(524288)) >> vec4<u32>(20u);
    let rest = x - (high << vec4<u32>(20u));
    let middle = (rest + vec4<i32>(512)) >> vec4<u32>(10u);
    return array<vec4<i32>, 3>(rest - (middle << vec4<u32>(10u)), middle, high);
}

// Sums of products of digits, by the sum of their places less 1.
struct Sums {
    a: vec4<i32>,
    b: vec4<i32>,
    c: vec4<i32>,
    d: vec4<i32>,
}

fn add(s: Sums, w0: vec4<i32>, w1: vec4<i32>, w2: vec4<i32>, x: vec3<i32>) -> Sums {
    return Sums(
        s.a + w0 * x.y + w1 * x.x,
        s.b + w0 * x.z + w1 * x.y + w2 * x.x,
        s.c + w1 * x.z + w2 * x.y,
        s.d + w2 * x.z
    );
}

// All but the last are left as digits.
fn carry(s: Sums) -> Sums {
    let mask = vec4<i32>(1023);
    let shift = vec4<u32>(10u);
    let b = s.b + (s.a >> shift);
    let c = s.c + (b >> shift);
    return Sums(s.a & mask, b & mask, c & mask, s.d + (c >> shift));
}
