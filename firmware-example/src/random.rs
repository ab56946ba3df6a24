//! Numbers that look random, the same everywhere.

/// Numerical Recipes' generator; its high bits are the random ones.
#[derive(Clone, Copy, Debug)]
pub struct Random(pub u32);

impl Random {
    /// Uniform on a grid of `2^-15` in [-1, 1), exactly.
    pub const fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 as i32 >> 16) as f32 / (1 << 15) as f32
    }
}
