//! Rounding: what one f32 operation may lose, and the outward steps that make up for it.
//!
//! Every constant and every rule of error analysis is here and in [`sums`]; the rest of the engine
//! only combines them. The model of one operation is round to nearest,
//! `fl(a op b) = (a op b)(1 + d) + e` with `|d| <= U` and `|e| <= ETA`, where `ETA` also covers an
//! FPU that flushes subnormal results and operands to zero.

pub mod functions;
pub mod powers;
pub mod sums;

/// Relative error of one f32 operation, `2^-24`.
pub const U: f32 = 1.0 / 16_777_216.0;

/// Absolute error that underflow adds to one operation, `2^-126`: half an ulp of the smallest
/// subnormal would do for gradual underflow, this also covers flushing.
pub const ETA: f32 = f32::MIN_POSITIVE;

/// Coefficients, and weights within a product, below `2^-63` may be taken as 0: two factors above it
/// have no subnormal product, and those cost some processors a hundred cycles each. Trained
/// networks are full of weights that decayed to nothing. What is dropped is charged to the bound,
/// so margins far below `2^-50` (of a network whose numbers are all that small) are not proved.
pub const NEGLIGIBLE: f32 = 1.0 / (1u64 << 63) as f32;

/// Largest magnitude that the f32 paths accept anywhere, `2^100`: beyond it a square, a norm or a
/// sum of products could overflow, and the region is refused instead.
pub const MAGNITUDE_LIMIT: f32 = (1u128 << 100) as f32;

/// Below this magnitude [`up`] and [`down`] step by a fixed amount that also covers flushing.
const TINY: f32 = 16.0 * ETA;

/// Upper bound of `gamma(depth) = depth*U / (1 - depth*U)` (Higham, lemma 3.1); infinite from
/// `depth = 2^22` on, where no useful bound is left.
pub const fn gamma(depth: u32) -> f32 {
    if depth >= 1 << 22 {
        return f32::INFINITY;
    }
    // Exact: depth < 2^22 and U is a power of two. For t <= 1/4, 1/(1-t) <= 1 + 4t/3.
    let t = depth as f32 * U;
    up(up(t * up(t * 1.334)) + t)
}

/// A float at least as large as any real that rounds to `x`.
///
/// What has overflowed stays infinite, so that no later step can take it for a number.
#[inline]
pub const fn up(x: f32) -> f32 {
    const LEAST: u32 = TINY.to_bits();
    const INFINITE: u32 = f32::INFINITY.to_bits();
    let bits = x.to_bits();
    let size = bits & 0x7FFF_FFFF;
    // `next_up` in a third of the instructions, as the ends of the range are known: away from 0 or
    // towards it by the sign.
    if size.wrapping_sub(LEAST) < INFINITE - LEAST {
        f32::from_bits(bits.wrapping_add_signed(1 | bits as i32 >> 31))
    } else if size < LEAST {
        x + 2.0 * TINY
    } else {
        x
    }
}

/// A float at most as large as any real that rounds to `x`; infinities stay.
pub const fn down(x: f32) -> f32 {
    -up(-x)
}

/// `a + b`, rounded up.
pub const fn add_up(a: f32, b: f32) -> f32 {
    up(a + b)
}

/// `a + b`, rounded down.
pub const fn add_down(a: f32, b: f32) -> f32 {
    down(a + b)
}

/// `a - b`, rounded up.
pub const fn sub_up(a: f32, b: f32) -> f32 {
    up(a - b)
}

/// `a - b`, rounded down.
pub const fn sub_down(a: f32, b: f32) -> f32 {
    down(a - b)
}

/// `a * b`, rounded up.
pub const fn mul_up(a: f32, b: f32) -> f32 {
    up(a * b)
}

/// `a * b`, rounded down.
pub const fn mul_down(a: f32, b: f32) -> f32 {
    down(a * b)
}

/// What sums of up to `terms` products may have lost, each product having passed through at most
/// `depth` roundings: computed once, used for many rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding {
    gamma: f32,
    factor: f32,
    under: f32,
}

impl Rounding {
    /// For sums of `terms` products of at most `depth` roundings each.
    pub fn new(depth: u32, terms: usize) -> Self {
        let gamma = gamma(depth);
        // 1/(1 - g) <= 1 + 2g for g <= 1/2; up to depth 2048 its excess g^2 over 1 + g is below the
        // two units that are added to g here.
        let factor = if !(gamma <= 0.25) {
            f32::INFINITY
        } else if depth <= 2048 {
            up(up(1.0 + self::gamma(depth + 2)))
        } else {
            up(1.0 + 2.0 * gamma)
        };
        Self { gamma, factor, under: underflow(terms) }
    }

    /// The three numbers that it is made of, for a device that does the same: gamma, an upper bound of
    /// `1 / (1 - gamma)`, and what underflow takes.
    pub const fn parts(&self) -> [f32; 3] {
        [self.gamma, self.factor, self.under]
    }

    /// Upper bound of the true sum of non-negative products whose computed sum is `sum`:
    /// `true <= (sum + underflow) / (1 - gamma(depth))`.
    #[inline]
    pub fn inflate(&self, sum: f32) -> f32 {
        mul_up(add_up(sum, self.under), self.factor)
    }

    /// Upper bound of `|fl(sum a_i b_i) - sum a_i b_i|` from the computed `sum |a_i b_i|`:
    /// `gamma(depth) * sum |a_i b_i| + underflow`.
    #[inline]
    pub fn error(&self, size: f32) -> f32 {
        add_up(mul_up(self.gamma, self.inflate(size)), self.under)
    }
}

/// [`Rounding::inflate`] for one sum.
pub fn inflate(sum: f32, depth: u32, terms: usize) -> f32 {
    Rounding::new(depth, terms).inflate(sum)
}

/// Upper bound of what underflow and flushing take from a sum of `terms` products: `ETA` for each
/// operand, product and addition, the tree of partial sums included.
pub const fn underflow(terms: usize) -> f32 {
    up(4.0 * ETA * (terms + 64) as f32)
}

/// Upper bound of the square root of `x >= 0`; infinite if it cannot be verified, NaN for NaN.
///
/// The library's root is only a guess: the result is accepted because its square, rounded down,
/// reaches `x`.
pub fn sqrt_up(x: f32) -> f32 {
    const SCALE: f32 = (1u64 << 60) as f32;
    const ROOT: f32 = (1u64 << 30) as f32;
    if x.is_nan() {
        return x;
    }
    // Small arguments are scaled so that no square underflows.
    let (scaled, back) = if x < 1.0 / ROOT { (up(x * SCALE), 1.0 / ROOT) } else { (x, 1.0) };
    let scaled = if scaled < 1.0 / SCALE { 1.0 / SCALE } else { scaled };
    let mut root = up(libm::sqrtf(scaled));
    for _ in 0..4 {
        if mul_down(root, root) >= scaled {
            return mul_up(root, back);
        }
        root = up(root);
    }
    f32::INFINITY
}

/// A lower bound of `a / b`, b being positive; 0 unless a is.
///
/// The quotient is only a guess: it is accepted because its product with b, rounded up, does not
/// exceed a.
pub fn ratio_down(a: f32, b: f32) -> f32 {
    if !(a > 0.0) {
        return 0.0;
    }
    let mut ratio = a / b;
    if ratio == f32::INFINITY {
        ratio = f32::MAX;
    }
    for _ in 0..4 {
        if ratio > 0.0 && mul_up(ratio, b) <= a {
            return ratio;
        }
        ratio = down(ratio);
    }
    // Products that underflow, and whatever is NaN.
    0.0
}

/// The f32 at or above a finite non-negative f64, infinite if there is none.
pub fn from_f64_up(x: f64) -> f32 {
    let y = x as f32;
    if f64::from(y) < x { y.next_up() } else { y }
}

/// The larger of two lower bounds; `b` counts only if it is finite, for NaN and infinity are what
/// overflow leaves and bound nothing.
pub fn better_lower(a: f32, b: f32) -> f32 {
    if b.is_finite() && !(a >= b) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_is_above_its_definition() {
        for depth in (0..4096).chain((1..(1 << 22)).step_by(997)) {
            let t = f64::from(depth) * f64::from(U);
            assert!(f64::from(gamma(depth)) >= t / (1.0 - t), "depth {depth}");
            assert!(f64::from(gamma(depth)) <= t / (1.0 - t) * 1.1 + 1e-6, "depth {depth}");
        }
        assert_eq!(gamma(1 << 22), f32::INFINITY);
    }

    #[test]
    fn inflate_covers_the_reciprocal() {
        for depth in [0, 1, 7, 100, 2048, 2049, 1 << 16, 1 << 20] {
            let t = f64::from(depth) * f64::from(U);
            let g = t / (1.0 - t);
            for x in [1.0f32, 3.7e-3, 1.9e20] {
                assert!(f64::from(inflate(x, depth, 10)) >= f64::from(x) / (1.0 - g));
            }
        }
        assert_eq!(inflate(1.0, 1 << 22, 1), f32::INFINITY);
        assert!(inflate(f32::NAN, 3, 1).is_nan());
    }

    #[test]
    fn steps_move_outward_everywhere() {
        for x in [0.0, 1.0, -1.0, ETA, -ETA, 1e-45, 1e38, -1e38, 2.5e-37] {
            assert!(up(x) > x && down(x) < x, "{x}");
        }
        assert!(up(0.0) >= ETA && down(0.0) <= -ETA);
        assert!(up(f32::NAN).is_nan() && down(f32::NAN).is_nan());
        assert_eq!(down(f32::INFINITY), f32::INFINITY);
        assert_eq!(up(f32::NEG_INFINITY), f32::NEG_INFINITY);
    }

    #[test]
    fn sqrt_up_is_above() {
        let mut x = 1e-37f32;
        while x < 1e37 {
            let root = f64::from(sqrt_up(x));
            assert!(root * root >= f64::from(x));
            assert!(root * root <= f64::from(x) * (1.0 + 1e-6) + 1e-36, "{x}");
            x *= 1.0371;
        }
        assert!(sqrt_up(0.0) >= 0.0 && sqrt_up(0.0) < 1e-17);
        assert_eq!(sqrt_up(f32::INFINITY), f32::INFINITY);
    }

    #[test]
    fn ratio_down_is_below() {
        for (a, b) in [(1.0f32, 3.0f32), (7e-3, 1.9e4), (1e30, 1e-30), (1.0, 1.0), (5e20, 7e-3)] {
            let ratio = ratio_down(a, b);
            assert!(f64::from(ratio) * f64::from(b) <= f64::from(a), "{a} {b}");
            assert!(ratio >= (a / b).min(f32::MAX) * (1.0 - 4.0 * U), "{a} {b}");
        }
        for (a, b) in [(0.0, 1.0), (-1.0, 1.0), (f32::NAN, 1.0), (1.0, f32::NAN), (1e-38, 1.0)] {
            assert_eq!(ratio_down(a, b), 0.0, "{a} {b}");
        }
        assert_eq!(ratio_down(1.0, f32::INFINITY), 0.0);
    }

    #[test]
    fn only_numbers_improve_a_bound() {
        assert_eq!(better_lower(1.0, f32::NAN), 1.0);
        assert_eq!(better_lower(1.0, f32::INFINITY), 1.0);
        assert_eq!(better_lower(f32::NEG_INFINITY, -3.0), -3.0);
        assert_eq!(better_lower(f32::NAN, 1.0), 1.0);
        assert_eq!(better_lower(1.0, 2.0), 2.0);
    }
}
