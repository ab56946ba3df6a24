//! What a device is asked before it is believed.

use certus_shaders::layout::{MOST_BLOCKS, Sums};
use fastrand::Rng;

/// Pairs of bits of floats below `2^100`, no NaN: where rounding goes either way, where results cancel
/// or vanish, and random ones.
pub fn pairs() -> Vec<[u32; 2]> {
    let one_up = f32::from_bits(1.0f32.to_bits() + 1);
    let least = f32::MIN_POSITIVE;
    let special = [
        0.0,
        -0.0,
        1.0,
        one_up,
        -one_up,
        1.5,
        -1.0 / 3.0,
        16_777_216.0,
        16_777_217.0,
        2f32.powi(-24),
        2f32.powi(-25),
        3.0 * 2f32.powi(-25),
        2f32.powi(-70),
        -(2f32.powi(-63)),
        2f32.powi(49) * one_up,
        2f32.powi(99),
        least,
        -least,
        least / 2.0,
        -least / 3.0,
        f32::from_bits(1),
        one_up * least,
    ];
    let all = special.iter().flat_map(|a| special.map(|b| [*a, b]));
    let within = all.filter(|[a, b]| (a * b).is_finite());
    let mut pairs: Vec<[u32; 2]> = within.map(|pair| pair.map(f32::to_bits)).collect();
    let mut rng = Rng::with_seed(1);
    let mut draw = |exponents: std::ops::Range<i32>| {
        let size = 2f32.powi(rng.i32(exponents)) * (1.0 + rng.f32());
        if rng.bool() { size } else { -size }
    };
    for _ in 0..2048 {
        let (a, b) = (draw(-40..40), draw(-40..40));
        // Two of like size, and a little apart: sums that cancel are exact.
        let near = f32::from_bits(a.to_bits() ^ (b.to_bits() & 0xff));
        pairs.extend(
            [[a, b], [a, -near], [draw(-80..-60), draw(-70..-50)]]
                .map(|pair| pair.map(f32::to_bits)),
        );
    }
    pairs
}

/// Pairs whose sum, difference and product are beyond all floats.
pub fn beyond() -> [[u32; 2]; 2] {
    let big = f32::MAX;
    [[big.to_bits(), (-big).to_bits()], [big.to_bits(), big.to_bits()]]
}

/// Rows of products to be summed.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Their number, length and blocks.
    pub what: Sums,
    /// One factor, `[rows][n]`.
    pub a: Vec<f32>,
    /// The other.
    pub b: Vec<f32>,
}

/// Long sums: of one sign, cancelling, with one large term that swallows the small ones, alternating
/// large and small.
pub fn rows() -> Vec<Rows> {
    let mut rng = Rng::with_seed(2);
    [(1usize, 1usize), (31, 8), (33, 8), (1000, 32), (1025, 32), (4096, 64)]
        .into_iter()
        .map(|(n, block)| {
            let kinds: u32 = 6;
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for kind in 0..kinds {
                for i in 0..n {
                    let (x, y) = (rng.f32() + 0.1, rng.f32() + 0.1);
                    let sign = if rng.bool() { 1.0 } else { -1.0 };
                    let (x, y) = match kind {
                        0 => (x, y),
                        1 => (sign * x, y),
                        2 => (if i == 0 { 2f32.powi(24) } else { x }, 1.0),
                        3 => (if i + 1 == n { -(2f32.powi(24)) } else { x }, y),
                        4 => (if i % 2 == 0 { 2f32.powi(20) } else { x }, sign * y),
                        _ => (x * 2f32.powi(rng.i32(-40..20)), sign * y),
                    };
                    a.push(x);
                    b.push(y);
                }
            }
            assert!(n.div_ceil(block) <= MOST_BLOCKS);
            let what = Sums { rows: kinds, n: n as u32, block: block as u32, none: 0 };
            Rows { what, a, b }
        })
        .collect()
}
