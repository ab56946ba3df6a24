//! A blob in RAM in which a bit flips while the network flies.

use certus_engine::model::Model;
use certus_engine::model::blob::{self, BlobError, ENTRY_WORDS, HEADER_WORDS};
use certus_engine::monitor::Report;

use super::control::Judge;
use super::policy::{MODEL, Mine, SETUP};

/// Words of the blob.
pub const WORDS: usize = MODEL.words().len();
/// A bit of a word of a blob.
pub type Bit = (usize, u32);
/// The sign of a weight of the second layer, which a verdict does not betray.
pub const SIGN: Bit = (weights(1) + 1234, 31);

/// The word at which the weights of layer `k` begin.
pub const fn weights(k: usize) -> usize {
    match MODEL.words().split_at_checked(HEADER_WORDS + k * ENTRY_WORDS + 4) {
        Some((_, [at, ..])) => *at as usize,
        _ => 0,
    }
}

/// A copy of the blob, before and after.
///
/// Rust lends a monitor its blob for as long as it flies, so that no safe program can change it in
/// between. So the flip is simulated: the network that it leaves flies from a third copy, whose
/// checksum was made anew and is never checked again.
#[derive(Clone, Copy, Debug)]
pub struct Ram {
    before: [u32; WORDS],
    after: [u32; WORDS],
    flown: [u32; WORDS],
}

impl Ram {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { before: [0; WORDS], after: [0; WORDS], flown: [0; WORDS] }
    }

    /// Copies the blob, and flips a bit of a weight. `None` if the blob has no such word.
    pub fn load(&mut self, (word, bit): Bit) -> Option<()> {
        for copy in [&mut self.before, &mut self.after, &mut self.flown] {
            copy.copy_from_slice(MODEL.words());
        }
        for copy in [&mut self.after, &mut self.flown] {
            *copy.get_mut(word)? ^= 1 << bit;
        }
        *self.flown.get_mut(blob::CRC_WORD)? = blob::crc(&self.flown);
        Some(())
    }

    /// What the blob's check says of the copy with a bit of `word` flipped.
    ///
    /// # Errors
    /// That of [`Model::from_words`].
    pub fn check_flipped(&mut self, (word, bit): Bit) -> Result<(), BlobError> {
        let flip = |words: &mut [u32]| {
            if let Some(word) = words.get_mut(word) {
                *word ^= 1 << bit;
            }
        };
        flip(&mut self.before);
        let found = Model::from_words(&self.before).map(|_| ());
        flip(&mut self.before);
        found
    }

    /// Its monitor; the bit flips before tick `at`. `None` if no network is left then.
    pub fn twin(&self, at: u32) -> Option<Twin<'_>> {
        let before = Model::from_words(&self.before).ok()?;
        let after = Model::from_words(&self.flown).ok()?;
        Some(Twin {
            models: [before, after],
            monitors: [Mine::new(before, SETUP).ok()?, Mine::new(after, SETUP).ok()?],
            held: [&self.before, &self.after],
            at,
            ticks: 0,
            apart: false,
        })
    }
}

impl Default for Ram {
    fn default() -> Self {
        Self::new()
    }
}

/// Two monitors that see the same inputs, one of the network before the flip, which is heard until
/// then, and one of the network after it.
#[derive(Debug)]
pub struct Twin<'a> {
    models: [Model<'a>; 2],
    monitors: [Mine<'a>; 2],
    /// What the memory holds.
    held: [&'a [u32]; 2],
    at: u32,
    ticks: u32,
    apart: bool,
}

impl Twin<'_> {
    /// Whether the two have judged an input before the flip otherwise: then what is heard from the
    /// second is not what one monitor would say, whose network changes between two ticks.
    pub const fn is_apart(&self) -> bool {
        self.apart
    }

    fn flipped(&self) -> bool {
        self.ticks > self.at
    }
}

impl Judge for Twin<'_> {
    fn check(&mut self, x: &[f32], now: u32) -> Report<'_> {
        self.ticks = self.ticks.saturating_add(1);
        let flipped = self.flipped();
        let [before, after] = &mut self.monitors;
        let (before, after) = (before.check(x, now), after.check(x, now));
        self.apart |= !flipped && before.verdict != after.verdict;
        if flipped { after } else { before }
    }

    fn model(&self) -> Model<'_> {
        let [before, after] = self.models;
        if self.flipped() { after } else { before }
    }

    fn recheck(&self) -> Result<(), BlobError> {
        // Before the tick's own check, which counts.
        let [before, after] = self.held;
        Model::from_words(if self.ticks >= self.at { after } else { before }).map(|_| ())
    }
}
