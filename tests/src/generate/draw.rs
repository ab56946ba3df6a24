//! Random numbers, regions and shapes.
//!
//! Only operations that round the same everywhere are used (no logarithm, no cosine), so that a
//! seed gives the same case on every machine.

use fastrand::Rng;

use crate::rational::exact;
use crate::region::{Norm, Region};

/// Nearly normal, of mean 0 and variance 1: a sum of twelve uniform numbers.
pub(super) fn gaussian(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

/// An integer in `-most..=most`.
pub(super) fn integer(rng: &mut Rng, most: i32) -> f32 {
    rng.i32(-most..=most) as f32
}

/// Magnitudes spread over 1e-20..1e20, with zeros and subnormals between.
pub(super) fn wide(rng: &mut Rng) -> f32 {
    match rng.u8(0..10) {
        0 => 0.0,
        1 => f32::from_bits(rng.u32(1..1 << 23)) * sign(rng),
        _ => ((1.0 + rng.f64()) * power(rng.i32(-66..66))) as f32 * sign(rng),
    }
}

/// `2^e`.
pub(super) fn power(e: i32) -> f64 {
    2f64.powi(e)
}

/// 1 or -1.
pub(super) fn sign(rng: &mut Rng) -> f32 {
    if rng.bool() { 1.0 } else { -1.0 }
}

/// The next f32 in the direction of `steps`, that many times.
pub(super) fn step(x: f32, steps: i32) -> f32 {
    let next = |x: f32, _| if steps > 0 { x.next_up() } else { x.next_down() };
    (0..steps.abs()).fold(x, next)
}

/// Numbers of inputs, of units in each hidden layer (ten at most together), and of outputs.
pub(super) struct Shape {
    pub inputs: usize,
    pub hidden: Vec<usize>,
    pub outputs: usize,
}

impl Shape {
    pub fn draw(rng: &mut Rng) -> Self {
        let hidden = match rng.u8(0..6) {
            0 => vec![rng.usize(1..=10)],
            1 => vec![rng.usize(1..=5), rng.usize(1..=5)],
            2 => vec![rng.usize(7..=10)],
            3 | 4 => vec![rng.usize(3..=5), rng.usize(3..=5)],
            _ => vec![rng.usize(2..=4), rng.usize(2..=3), rng.usize(1..=3)],
        };
        Shape { inputs: rng.usize(1..=3), hidden, outputs: rng.usize(1..=3) }
    }
}

/// A class against another, one output, or any combination.
pub(super) fn spec_row(rng: &mut Rng, outputs: usize) -> Vec<f32> {
    let mut row = vec![0.0; outputs];
    let class = rng.usize(0..outputs);
    row[class] = sign(rng);
    if outputs > 1 {
        let other = (class + rng.usize(1..outputs)) % outputs;
        row[other] = -row[class];
        if rng.u8(0..4) == 0 {
            row[other] = gaussian(rng) as f32;
        }
    }
    row
}

/// A region of any kind around a point of magnitude `scale`; never empty.
pub(super) fn region(rng: &mut Rng, inputs: usize, scale: f64) -> Region {
    let center: Vec<f32> = (0..inputs).map(|_| (gaussian(rng) * scale) as f32).collect();
    // Mostly wide enough that several units bend.
    let eps = match rng.u8(0..30) {
        0 => 0.0,
        1..=6 => scale * (0.5 + rng.f64()) * power(rng.i32(-24..-4)),
        _ => scale * (0.5 + rng.f64()) * power(rng.i32(-3..2)),
    };
    around(rng, center, eps)
}

/// As [`region`], of small integers and halves: corners on which units are exactly zero.
pub(super) fn integer_region(rng: &mut Rng, inputs: usize) -> Region {
    let center = (0..inputs).map(|_| integer(rng, 2)).collect();
    let eps = f64::from(rng.u8(0..5)) / 2.0;
    around(rng, center, eps)
}

fn around(rng: &mut Rng, center: Vec<f32>, eps: f64) -> Region {
    let norm = [Norm::L1, Norm::L2, Norm::Linf][rng.usize(0..3)];
    match rng.u8(0..8) {
        0..=3 => Region::Ball { center, eps, norm },
        4 => {
            let side =
                |share: f64| center.iter().map(|&c| (f64::from(c) + share * eps) as f32).collect();
            Region::Box { lo: side(-1.0), hi: side(1.0) }
        }
        _ => cut(rng, center, eps, norm),
    }
}

/// A ball cut by a box that usually has its centre, and always a point of the ball.
fn cut(rng: &mut Rng, center: Vec<f32>, eps: f64, norm: Norm) -> Region {
    let mut lo = Vec::new();
    let mut hi = Vec::new();
    for &c in &center {
        let c64 = f64::from(c);
        lo.push(((c64 - eps * rng.f64() * 1.2) as f32).min(c));
        hi.push(((c64 + eps * rng.f64() * 1.2) as f32).max(c));
    }
    let i = rng.usize(0..center.len());
    let moved = (f64::from(center[i]) + eps * 0.3) as f32;
    // The centre falls out, if f32 has a number between it and the border.
    if rng.u8(0..6) == 0 && moved > center[i] && exact(moved) - exact(center[i]) < exact(eps) {
        lo[i] = moved;
        hi[i] = hi[i].max(moved);
    }
    Region::BallInBox { center, eps, norm, lo, hi }
}
