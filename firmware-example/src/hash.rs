//! Results in few bits.

/// FNV-1a over bytes.
#[derive(Clone, Copy, Debug)]
pub struct Hash(u64);

impl Hash {
    /// Of nothing.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Of all that was added.
    pub const fn value(&self) -> u64 {
        self.0
    }

    /// Adds words, little-endian.
    pub fn words(&mut self, words: impl IntoIterator<Item = u32>) {
        for byte in words.into_iter().flat_map(u32::to_le_bytes) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Adds the bits of floats.
    pub fn floats(&mut self, floats: &[f32]) {
        self.words(floats.iter().map(|x| x.to_bits()));
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}
