//! Floats that are hard on rounding.

use fastrand::Rng;

/// Every special value that is finite.
pub const SPECIAL: [f32; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1.0 + f32::EPSILON,
    1.0 - f32::EPSILON / 2.0,
    0.1,
    -0.3,
    16_777_216.0,
    16_777_215.0,
    -33_554_434.0,
    f32::EPSILON,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    1.175_494_2e-38,
    1e-20,
    1.844_674_4e19,
    f32::MAX,
    f32::MIN,
    1e30,
];

/// Any finite float: special, of random bits, ordinary, or a neighbour of a power of two.
pub fn any(rng: &mut Rng) -> f32 {
    match rng.u8(0..8) {
        0 | 1 => SPECIAL[rng.usize(0..SPECIAL.len())],
        2 => loop {
            let x = f32::from_bits(rng.u32(..));
            if x.is_finite() {
                break x;
            }
        },
        3 => f32::from_bits(rng.u32(0..1 << 23)) * if rng.bool() { 1.0 } else { -1.0 },
        4 => 2f32.powi(rng.i32(-140..127)).next_up(),
        5 => -(2f32.powi(rng.i32(-125..127)).next_down()),
        _ => rng.f32() * 4.0 - 2.0,
    }
}

/// As [`any`], of magnitude below `2^limit`.
pub fn below(rng: &mut Rng, limit: i32) -> f32 {
    loop {
        let x = any(rng);
        if f64::from(x.abs()) < 2f64.powi(limit) {
            break x;
        }
    }
}

/// A partner for `x` in a sum: often one that cancels it, ties with it or drowns beside it.
pub fn partner(rng: &mut Rng, x: f32) -> f32 {
    let y = match rng.u8(0..6) {
        0 => -x,
        1 => -x.next_up(),
        2 => x * 2f32.powi(-24),
        3 => -x * 2f32.powi(-24),
        4 => x * 2f32.powi(-25) * (1.0 + rng.f32()),
        _ => any(rng),
    };
    if y.is_finite() { y } else { 1.0 }
}

/// Sums of such vectors are hard in one way each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Of magnitude 1.
    Even,
    /// Magnitudes from `2^-40` to `2^40`.
    Wide,
    /// Pairs that cancel but for an ulp.
    Cancelling,
    /// Ones first, then terms of half an ulp of them: each is rounded away.
    Absorbed,
    /// As `Absorbed` within the first 64 terms; of each 64 that follow only the whole is absorbed.
    Slices,
    /// Products that underflow.
    Tiny,
    /// Whole numbers, most of them 0.
    Sparse,
    /// `2^60`, ones that drown in it even in f64, and `2^60` taken back.
    Vanishing,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: [Pattern; 8] = [
        Pattern::Even,
        Pattern::Wide,
        Pattern::Cancelling,
        Pattern::Absorbed,
        Pattern::Slices,
        Pattern::Tiny,
        Pattern::Sparse,
        Pattern::Vanishing,
    ];

    /// A vector of `n` entries; those of [`Pattern::Absorbed`] begin with `lanes` ones.
    pub fn draw(self, rng: &mut Rng, n: usize, lanes: usize) -> Vec<f32> {
        let mut last = 1.0f32;
        // The last entry that meets the first one for any number of lanes up to 32.
        let back = n.saturating_sub(1) / 32 * 32;
        let entry = |i: usize| match self {
            Pattern::Vanishing => match i {
                _ if back == 0 => 1.0,
                0 => 2f32.powi(60),
                _ if i == back => -(2f32.powi(60)),
                _ => 1.0,
            },
            Pattern::Even => rng.f32() * 2.0 - 1.0,
            Pattern::Wide => (rng.f32() - 0.5) * 2f32.powi(rng.i32(-40..40)),
            Pattern::Cancelling => {
                last = if i % 2 == 1 { -last.next_up() } else { rng.f32() * 1e6 + 1.0 };
                last
            }
            Pattern::Absorbed => {
                if i < lanes {
                    1.0
                } else {
                    2f32.powi(-24)
                }
            }
            Pattern::Slices => match i {
                0 => 1.0,
                _ if i < 64 || i.is_multiple_of(64) => 2f32.powi(-24),
                _ => 0.0,
            },
            Pattern::Tiny => (rng.f32() - 0.5) * 2f32.powi(rng.i32(-80..-60)),
            Pattern::Sparse => {
                if rng.u8(0..4) == 0 {
                    rng.i32(-9..=9) as f32
                } else {
                    0.0
                }
            }
        };
        (0..n).map(entry).collect()
    }
}
