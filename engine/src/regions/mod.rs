//! A table of certified regions: boxes of the input space over which a rule was proved beforehand.
//!
//! `certus pack --regions` proves it and puts it behind the model in the blob; the
//! [`monitor`](crate::monitor) asks it before it bounds anything. A k-d tree: inner nodes split one
//! input at a value, leaves say what is proved. [`Regions::from_words`] checks it once, at compile time
//! where it is known there; after that no accessor fails or panics. The format is
//! `engine/docs/blob.md`.

mod check;

use crate::model::blob::word;
use crate::monitor::Rule;

/// `CRTR`, little-endian.
pub const MAGIC: u32 = u32::from_le_bytes(*b"CRTR");
/// The table's version.
pub const VERSION: u32 = 1;
/// Words of the header: magic, version, length in words, CRC-32 (where and as a model's), the model's
/// CRC-32, inputs, outputs, kind of the rule, margin, inner nodes, root, depth.
pub const HEADER_WORDS: usize = 12;
/// Words of an inner node: input, value, what lies below and from the value on.
pub const NODE_WORDS: usize = 3;
/// Most comparisons from the root to a leaf.
pub const MAX_DEPTH: usize = 64;
/// Most inner nodes.
pub const MAX_NODES: usize = 1 << 15;
/// The rule is that outputs keep limits.
pub const LIMITS: u32 = 0;
/// The rule is that a class is ahead by more than a margin.
pub const CLASS: u32 = 1;
/// Half a word with this bit is a leaf, else the index of an inner node.
pub const LEAF: u32 = 1 << 15;

/// Why a table is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionsError {
    /// Shorter than its header.
    Truncated,
    /// Does not begin with `CRTR`.
    Magic,
    /// Another version of the format.
    Version(u32),
    /// The length field is not the table's length, or not what its fields come to.
    Length,
    /// The checksum does not match: the table is damaged.
    Crc,
    /// It was made for another model.
    Model,
    /// Input or output width is 0, too large, or not the model's.
    Width,
    /// Unknown kind of rule, limits in the wrong order, a margin that is negative, a class of one output.
    Rule,
    /// The range's ends are not finite, too large, or in the wrong order.
    Range,
    /// A sensor error that is negative, not finite or too large.
    Error,
    /// The depth is not the tree's, or over [`MAX_DEPTH`].
    Depth,
    /// Too many inner nodes, or not as many as branches lead to; a root that is none.
    Nodes,
    /// An inner node that splits no input within its range, or whose branches are not where they
    /// must be.
    Node(usize),
    /// Padding that is not 0.
    Padding,
}

impl core::fmt::Display for RegionsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            RegionsError::Truncated => f.write_str("shorter than its header"),
            RegionsError::Magic => f.write_str("expected it to begin with CRTR"),
            RegionsError::Version(found) => write!(f, "version {found}, expected {VERSION}"),
            RegionsError::Length => f.write_str("the length field is not its length"),
            RegionsError::Crc => f.write_str("checksum does not match: it is damaged"),
            RegionsError::Model => f.write_str("made for another model"),
            RegionsError::Width => f.write_str("its inputs and outputs are not the model's"),
            RegionsError::Rule => f.write_str("bad rule"),
            RegionsError::Range => f.write_str("bad range"),
            RegionsError::Error => f.write_str("bad sensor error"),
            RegionsError::Depth => write!(f, "the depth is not the tree's, at most {MAX_DEPTH}"),
            RegionsError::Nodes => {
                write!(f, "not as many inner nodes as branches lead to, at most {MAX_NODES}")
            }
            RegionsError::Node(node) => write!(f, "bad inner node {node}"),
            RegionsError::Padding => f.write_str("padding that is not 0"),
        }
    }
}

impl core::error::Error for RegionsError {}

/// Where a branch leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// To this inner node.
    Node(usize),
    /// To a leaf: the class that is certified there, 0 under limits; `None` where nothing is.
    Leaf(Option<usize>),
}

impl Branch {
    /// As half a word says.
    const fn of(half: u32) -> Self {
        let low = (half & (LEAF - 1)) as usize;
        if half & LEAF == 0 { Branch::Node(low) } else { Branch::Leaf(low.checked_sub(1)) }
    }

    /// As half a word; `None` where it does not fit.
    pub const fn code(self) -> Option<u32> {
        match self {
            Branch::Node(index) if index < MAX_NODES => Some(index as u32),
            Branch::Leaf(None) => Some(LEAF),
            Branch::Leaf(Some(class)) if class < LEAF as usize - 1 => {
                Some(LEAF | (class as u32 + 1))
            }
            Branch::Node(_) | Branch::Leaf(_) => None,
        }
    }
}

/// An inner node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// The input that it splits.
    pub input: usize,
    /// Where.
    pub value: f32,
    /// Where inputs below the value go.
    pub below: Branch,
    /// Where the others go.
    pub above: Branch,
}

/// A checked table of certified regions.
///
/// What it says: for every input in a certified leaf, and every state within the sensor error of it, the
/// network in real arithmetic keeps the rule, and so does [`crate::bounds::forward`] as it rounds, at
/// every f32 point there. Copying it copies a reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regions<'a> {
    words: &'a [u32],
}

impl<'a> Regions<'a> {
    /// Checks a table by itself.
    ///
    /// # Errors
    /// [`RegionsError`], the first found.
    /// Work: one pass over the words, and one over the nodes.
    pub const fn from_words(words: &'a [u32]) -> Result<Self, RegionsError> {
        match check::check(words) {
            Ok(()) => Ok(Self { words }),
            Err(error) => Err(error),
        }
    }

    /// The table in words that passed the check.
    pub(crate) const fn checked(words: &'a [u32]) -> Self {
        Self { words }
    }

    /// The table itself, whole.
    pub const fn words(&self) -> &'a [u32] {
        self.words
    }

    /// The checksum of the model that it was made for.
    pub const fn model_crc(&self) -> u32 {
        word(self.words, 4)
    }

    /// Number of inputs.
    pub const fn inputs(&self) -> usize {
        word(self.words, 5) as usize
    }

    /// Number of outputs.
    pub const fn outputs(&self) -> usize {
        word(self.words, 6) as usize
    }

    /// Number of inner nodes; there is one leaf more.
    pub const fn nodes(&self) -> usize {
        word(self.words, 9) as usize
    }

    /// Most comparisons from the root to a leaf.
    pub const fn depth(&self) -> usize {
        word(self.words, 11) as usize
    }

    /// Sensor error of input `i`, each way.
    pub(crate) const fn radius(&self, i: usize) -> f32 {
        self.float(HEADER_WORDS + 2 * self.inputs() + i)
    }

    /// Limits of output `i`; or, as an error, the margin of a class.
    pub(crate) const fn limits(&self, i: usize) -> Result<(f32, f32), f32> {
        if word(self.words, 7) == CLASS {
            return Err(self.float(8));
        }
        let at = HEADER_WORDS + 3 * self.inputs() + i;
        Ok((self.float(at), self.float(at + self.outputs())))
    }

    /// The box of inputs that the tree divides: least and largest values.
    pub fn range(&self) -> (&'a [f32], &'a [f32]) {
        let n = self.inputs();
        (self.floats(HEADER_WORDS, n), self.floats(HEADER_WORDS + n, n))
    }

    /// The sensor error, how far the truth may be from each input, each way.
    pub fn error(&self) -> &'a [f32] {
        self.floats(HEADER_WORDS + 2 * self.inputs(), self.inputs())
    }

    /// What the outputs keep; for a class, each certified leaf its own.
    pub fn rule(&self) -> Rule<'a> {
        match self.limits(0) {
            Err(margin) => Rule::Class { margin },
            Ok(_) => {
                let (at, m) = (HEADER_WORDS + 3 * self.inputs(), self.outputs());
                Rule::Limits { lo: self.floats(at, m), hi: self.floats(at + m, m) }
            }
        }
    }

    /// Where the tree begins.
    pub const fn root(&self) -> Branch {
        Branch::of(word(self.words, 10))
    }

    /// Inner node `i`, from 0; `None` past the end.
    pub const fn node(&self, i: usize) -> Option<Node> {
        if i >= self.nodes() {
            return None;
        }
        let at = check::first_node(self.words) + i * NODE_WORDS;
        let halves = word(self.words, at + 2);
        Some(Node {
            input: word(self.words, at) as usize,
            value: self.float(at + 1),
            below: Branch::of(halves & 0xFFFF),
            above: Branch::of(halves >> 16),
        })
    }

    /// The class that is certified at `x`, 0 under limits; `None` where nothing is, outside the range,
    /// and for an input that is NaN or of another width.
    ///
    /// Numbers are compared by their bits, as integers: an FPU that flushes subnormal numbers would take
    /// one for 0, and so a state for one beyond a leaf's border. Work: two comparisons for each input
    /// and [`Regions::depth`] at most; no multiply-add.
    pub fn find(&self, x: &[f32]) -> Option<usize> {
        let (lo, hi) = self.range();
        if x.len() != lo.len() {
            return None;
        }
        let mut ends = x.iter().zip(lo.iter().zip(hi));
        if !ends.all(|(x, (lo, hi))| order(*lo) <= order(*x) && order(*x) <= order(*hi)) {
            return None;
        }
        let mut branch = self.root();
        for _ in 0..=self.depth() {
            let node = match branch {
                Branch::Leaf(found) => return found,
                Branch::Node(index) => self.node(index)?,
            };
            let below = order(*x.get(node.input)?) < order(node.value);
            branch = if below { node.below } else { node.above };
        }
        None
    }

    const fn float(&self, at: usize) -> f32 {
        f32::from_bits(word(self.words, at))
    }

    fn floats(&self, at: usize, n: usize) -> &'a [f32] {
        let words = self.words.get(at..).and_then(|words| words.get(..n)).unwrap_or(&[]);
        bytemuck::must_cast_slice(words)
    }
}

/// An integer in the order of the numbers, one for both zeros; a NaN is beyond both infinities.
pub(crate) const fn order(x: f32) -> i32 {
    let bits = x.to_bits().cast_signed();
    if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
}

#[cfg(test)]
pub(crate) mod tests;
