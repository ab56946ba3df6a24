//! What the engine's functions return, in few bits: the same on each target.
//!
//! Also a module of the host's tests, so that both run the same code.

use core::fmt;

use certus_engine::num::functions::Function;

use crate::hash::Hash;

/// Random inputs of each function.
const RANDOM: u32 = 20_000;

/// Inputs beside the random ones, of both signs: 0, subnormal numbers, ends of ranges, limits.
const SPECIAL: [f32; 17] = [
    0.0,
    1e-45,
    f32::MIN_POSITIVE,
    1e-20,
    9.313_226e-10,
    0.346_573_6,
    0.414_213_57,
    0.625,
    1.0,
    2.414_213_7,
    12.9,
    13.1,
    87.336_54,
    88.722_84,
    f32::MAX,
    f32::INFINITY,
    f32::NAN,
];

/// The inputs: the special ones, then one of each random bit pattern for all sizes and one of
/// magnitude below 16, where most of the functions' courses are.
fn inputs() -> impl Iterator<Item = f32> {
    let special = SPECIAL.into_iter().flat_map(|x| [x, -x]);
    let mut state = 1u32;
    let random = (0..RANDOM).map(move |i| {
        // Numerical Recipes' generator; its high bits are the random ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let high = state >> 16;
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let bits = high << 16 | state >> 16;
        if i % 2 == 0 { f32::from_bits(bits) } else { (bits as i32) as f32 / (1 << 27) as f32 }
    });
    special.chain(random)
}

/// Of the bits of each value and both ends of each enclosure.
fn hash(function: Function) -> u64 {
    let mut hash = Hash::new();
    for x in inputs() {
        let (low, high) = function.enclose(x);
        hash.floats(&[function.value(x), low, high]);
    }
    hash.value()
}

/// A function's line: its name and the hash of its results.
#[derive(Clone, Copy, Debug)]
pub struct Line(pub Function);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:016x}", self.0, hash(self.0))
    }
}
