//! Twins of the probes.

use crate::layout::{MOST_BLOCKS, OPS, Sums};

/// `probe_ops`: what it writes for a pair of bits.
pub fn ops([a, b]: [u32; 2]) -> [u32; OPS] {
    let (a, b) = (f32::from_bits(a), f32::from_bits(b));
    let flags = u32::from(a < b) | u32::from(a > b) << 1 | u32::from(a > 0.0) << 2;
    let least = if b < a { b } else { a };
    let most = if a < b { b } else { a };
    let floats = [a + b, a - b, a * b, least, most, a.abs()].map(f32::to_bits);
    let [sum, difference, product, least, most, size] = floats;
    [sum, difference, product, least, most, size, flags]
}

/// `probe_sums`: each row's sum in one loop, and in blocks, twice.
///
/// `a`, `b`: `[rows][n]`.
pub fn sums(what: &Sums, a: &[f32], b: &[f32]) -> Vec<[f32; 3]> {
    let (n, block) = (what.n as usize, what.block as usize);
    let rows = a.chunks_exact(n).zip(b.chunks_exact(n)).take(what.rows as usize);
    rows.map(|(a, b)| {
        let part = |from: usize, to: usize| {
            a[from..to].iter().zip(&b[from..to]).fold(0.0f32, |sum, (a, b)| sum + a * b)
        };
        let parts = (0..MOST_BLOCKS).map(|k| ((k * block).min(n), ((k + 1) * block).min(n)));
        let blocks = parts.fold(0.0, |sum, (from, to)| sum + part(from, to));
        [part(0, n), blocks, blocks]
    })
    .collect()
}
