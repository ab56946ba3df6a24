//! The blob's format and its check, all `const`. A table of [`regions`] may follow the model.
//!
//! Little-endian words. Header of 8 words, one entry a layer, then the sections in the
//! order of the layers, weights before biases, each on a 16-byte boundary. The layout is canonical:
//! offsets can take one value only, so that every damaged field is found.

use crate::features::CURVED;
use crate::regions::{self, Regions, RegionsError};

/// `CRTS`, little-endian.
pub const MAGIC: u32 = u32::from_le_bytes(*b"CRTS");
/// The format's version, the one that is written.
pub const VERSION: u32 = 2;
/// The oldest version that is read.
pub const OLDEST: u32 = 1;
/// Words of the header: magic, version, length in words, CRC-32, layers, inputs, outputs, 0.
pub const HEADER_WORDS: usize = 8;
/// Words of a layer's entry: rows, columns, activation and weight kind, activation's parameter,
/// weight offset, bias offset (in words), relative weight error, absolute bias error; from version 2
/// on also the activation's second parameter, the rows that pass by it, 0, 0.
pub const ENTRY_WORDS: usize = 12;
/// Words of a layer's entry in version 1.
const ENTRY_WORDS_1: usize = 8;
/// Sections begin on multiples of this many words.
pub const ALIGN_WORDS: usize = 4;
/// Most layers.
pub const MAX_LAYERS: usize = 1024;
/// Largest width of a layer or of the input.
pub const MAX_WIDTH: usize = 1 << 20;
/// Word of the header that holds the CRC.
pub const CRC_WORD: usize = 3;

/// Weights are f32.
pub const WEIGHTS_F32: u32 = 0;
/// Weights are f16, two a word, a row after the other without gaps.
pub const WEIGHTS_F16: u32 = 1;
/// Activation code of the identity.
pub const IDENTITY: u32 = 0;
/// Activation code of the ReLU.
pub const RELU: u32 = 1;
/// Activation code of the leaky ReLU; the parameter is its slope.
pub const LEAKY_RELU: u32 = 2;
/// Activation code of the absolute value.
pub const ABS: u32 = 3;
/// Activation code of the sign.
pub const SIGN: u32 = 4;
/// Activation code of the unit step.
pub const STEP: u32 = 5;
/// Activation code of the clip; the parameters are its ends.
pub const CLIP: u32 = 6;
/// Activation code of the ELU; the parameter is its scale.
pub const ELU: u32 = 7;
/// Activation code of the softplus.
pub const SOFTPLUS: u32 = 8;
/// Activation code of the logistic sigmoid.
pub const SIGMOID: u32 = 9;
/// Activation code of the hyperbolic tangent.
pub const TANH: u32 = 10;
/// Activation code of the arc tangent.
pub const ATAN: u32 = 11;
/// Activation code of the SiLU.
pub const SILU: u32 = 12;
/// Activation code of the GELU.
pub const GELU: u32 = 13;
/// Largest magnitude of an activation's parameter, `2^60`: no product with it overflows early.
pub const MAX_PARAMETER: f32 = (1u64 << 60) as f32;

/// A field of a layer's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Rows: 1..=[`MAX_WIDTH`].
    Rows,
    /// Columns: the rows of the layer before.
    Columns,
    /// Activation code, or a parameter of it.
    Activation,
    /// Rows that pass by the activation: at most all.
    Through,
    /// A word that must be 0.
    Reserved,
    /// Weight kind.
    WeightKind,
    /// Where the weights lie.
    WeightOffset,
    /// Where the biases lie.
    BiasOffset,
    /// Relative weight error: in [0, 1].
    WeightError,
    /// Absolute bias error: finite, not negative.
    BiasError,
    /// A weight that is NaN or infinite.
    Weight,
    /// A bias that is NaN or infinite.
    Bias,
}

/// Why a blob is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobError {
    /// Not whole words on a 4-byte boundary.
    Misaligned,
    /// Shorter than its header or its layers say.
    Truncated,
    /// Does not begin with `CRTS`.
    Magic,
    /// Another version of the format.
    Version(u32),
    /// The length field is not the blob's length, and no table of regions follows the model.
    Length,
    /// The checksum does not match: the blob is damaged.
    Crc,
    /// Layer count is 0 or over [`MAX_LAYERS`].
    LayerCount,
    /// Input width is 0, over [`MAX_WIDTH`], or not the first layer's columns.
    Inputs,
    /// Output width is not the last layer's rows.
    Outputs,
    /// The reserved word is not 0.
    Reserved,
    /// A field of a layer's entry, or what it points at.
    Layer {
        /// The layer, from 0.
        layer: usize,
        /// The field.
        field: Field,
    },
    /// It needs this feature of the crate, which is left out of the build.
    Feature(&'static str),
    /// The table of certified regions behind the model.
    Regions(RegionsError),
}

impl core::fmt::Display for BlobError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BlobError::Misaligned => f.write_str("expected whole words on a 4-byte boundary"),
            BlobError::Truncated => f.write_str("shorter than its header says"),
            BlobError::Magic => f.write_str("not a model blob: expected it to begin with CRTS"),
            BlobError::Version(found) => {
                write!(f, "format version {found}, expected {OLDEST} to {VERSION}")
            }
            BlobError::Length => f.write_str("the length field is not the length of the blob"),
            BlobError::Crc => f.write_str("checksum does not match: the blob is damaged"),
            BlobError::LayerCount => write!(f, "layer count is not in 1..={MAX_LAYERS}"),
            BlobError::Inputs => {
                f.write_str("input width is not the first layer's number of columns")
            }
            BlobError::Outputs => {
                f.write_str("output width is not the last layer's number of rows")
            }
            BlobError::Reserved => f.write_str("a reserved header word is not 0"),
            BlobError::Layer { layer, field } => {
                write!(f, "layer {layer}: bad {field:?}")
            }
            BlobError::Feature(name) => {
                write!(f, "it needs the feature `{name}` of certus-engine, which is left out")
            }
            BlobError::Regions(error) => {
                f.write_str("table of regions: ")?;
                error.fmt(f)
            }
        }
    }
}

impl core::error::Error for BlobError {}

/// What the header says.
pub(super) struct Header {
    pub layers: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// A blob's words on a 16-byte boundary, for a `static`.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Words<const N: usize>(pub [u32; N]);

impl<const N: usize> Words<N> {
    /// The first `4*N` bytes as words; missing bytes are 0 (and then the check fails).
    pub const fn from_bytes(bytes: &[u8]) -> Self {
        let mut words = [0u32; N];
        let mut rest = bytes;
        let mut out: &mut [u32] = &mut words;
        while let Some((quad, tail)) = rest.split_first_chunk::<4>()
            && let Some((word, next)) = out.split_first_mut()
        {
            *word = u32::from_le_bytes(*quad);
            rest = tail;
            out = next;
        }
        Self(words)
    }
}

/// Word `i`, 0 past the end.
// `get` is not const.
#[allow(clippy::indexing_slicing)]
pub(crate) const fn word(words: &[u32], i: usize) -> u32 {
    if i < words.len() { words[i] } else { 0 }
}

/// Where the entry of layer `k` begins: entries grew with version 2.
pub(super) const fn entry(words: &[u32], k: usize) -> usize {
    let size = if word(words, 1) == 1 { ENTRY_WORDS_1 } else { ENTRY_WORDS };
    HEADER_WORDS + k * size
}

/// Word `i` of the entry of layer `k`; 0 for those that its version does not have.
pub(super) const fn field(words: &[u32], k: usize, i: usize) -> u32 {
    if word(words, 1) == 1 && i >= ENTRY_WORDS_1 { 0 } else { word(words, entry(words, k) + i) }
}

/// CRC-32 (IEEE 802.3) of the blob with its CRC word taken as 0.
// The table's index is a byte.
#[allow(clippy::indexing_slicing)]
pub const fn crc(words: &[u32]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0u32; 256];
        let mut i = 0;
        while i < 256 {
            let mut c = i as u32;
            let mut bit = 0;
            while bit < 8 {
                c = if c & 1 != 0 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
                bit += 1;
            }
            table[i] = c;
            i += 1;
        }
        table
    };
    let mut crc = !0u32;
    let mut i = 0;
    while i < words.len() {
        let mut word = if i == CRC_WORD { 0 } else { word(words, i) };
        let mut byte = 0;
        while byte < 4 {
            crc = TABLE[((crc ^ word) & 0xFF) as usize] ^ (crc >> 8);
            word >>= 8;
            byte += 1;
        }
        i += 1;
    }
    !crc
}

/// Words that `rows x cols` weights of `kind` take.
pub const fn weight_words(rows: usize, cols: usize, kind: u32) -> usize {
    if kind == WEIGHTS_F16 { (rows * cols).div_ceil(2) } else { rows * cols }
}

/// The next section's offset at or after `at`.
pub const fn align(at: usize) -> usize {
    at.next_multiple_of(ALIGN_WORDS)
}

/// Whether every f32 in `words[from..to]` is finite.
const fn finite_f32(words: &[u32], from: usize, to: usize) -> bool {
    let mut i = from;
    while i < to {
        if !f32::from_bits(word(words, i)).is_finite() {
            return false;
        }
        i += 1;
    }
    true
}

/// Whether every f16 in `words[from..to]` is finite.
const fn finite_f16(words: &[u32], from: usize, to: usize) -> bool {
    let mut i = from;
    while i < to {
        let pair = word(words, i);
        if pair & 0x7C00 == 0x7C00 || pair & 0x7C00_0000 == 0x7C00_0000 {
            return false;
        }
        i += 1;
    }
    true
}

/// A blob's words as the model's and those behind it; all are the model's where it claims more.
pub(super) const fn divide(words: &[u32]) -> (&[u32], &[u32]) {
    match words.split_at_checked(word(words, 2) as usize) {
        Some(parts) => parts,
        None => (words, &[]),
    }
}

/// Checks everything that the accessors rely on, and the table behind the model if there is one.
pub(super) const fn check(words: &[u32]) -> Result<Header, BlobError> {
    let (model, rest) = divide(words);
    if !rest.is_empty() && word(rest, 0) != regions::MAGIC {
        // What is no model at all is told so first.
        return match check_model(words) {
            Err(error) => Err(error),
            Ok(_) => Err(BlobError::Length),
        };
    }
    let header = match check_model(model) {
        Ok(header) => header,
        Err(error) => return Err(error),
    };
    if rest.is_empty() {
        return Ok(header);
    }
    match Regions::from_words(rest) {
        Err(error) => Err(BlobError::Regions(error)),
        Ok(table) if table.model_crc() != word(model, CRC_WORD) => {
            Err(BlobError::Regions(RegionsError::Model))
        }
        Ok(table) if table.inputs() != header.inputs || table.outputs() != header.outputs => {
            Err(BlobError::Regions(RegionsError::Width))
        }
        Ok(_) => Ok(header),
    }
}

/// Checks a model without anything behind it.
const fn check_model(words: &[u32]) -> Result<Header, BlobError> {
    if words.len() < HEADER_WORDS {
        return Err(BlobError::Truncated);
    }
    if word(words, 0) != MAGIC {
        return Err(BlobError::Magic);
    }
    if word(words, 1) < OLDEST || word(words, 1) > VERSION {
        return Err(BlobError::Version(word(words, 1)));
    }
    if word(words, 2) as usize != words.len() {
        return Err(BlobError::Length);
    }
    if word(words, CRC_WORD) != crc(words) {
        return Err(BlobError::Crc);
    }
    let layers = word(words, 4) as usize;
    if layers == 0 || layers > MAX_LAYERS {
        return Err(BlobError::LayerCount);
    }
    let inputs = word(words, 5) as usize;
    if inputs == 0 || inputs > MAX_WIDTH {
        return Err(BlobError::Inputs);
    }
    if word(words, 7) != 0 {
        return Err(BlobError::Reserved);
    }
    let mut at = align(entry(words, layers));
    if at > words.len() {
        return Err(BlobError::Truncated);
    }
    let mut cols = inputs;
    let mut k = 0;
    while k < layers {
        match check_layer(words, k, cols, at) {
            Ok((rows, end)) => {
                cols = rows;
                at = end;
            }
            Err(error) => return Err(error),
        }
        k += 1;
    }
    if at != words.len() {
        return Err(BlobError::Length);
    }
    let outputs = word(words, 6) as usize;
    if outputs != cols {
        return Err(BlobError::Outputs);
    }
    Ok(Header { layers, inputs, outputs })
}

/// Whether layer `k`'s activation is one of the version's, with parameters that it can have.
const fn known(words: &[u32], k: usize, activation: u32) -> bool {
    let (first, second) = (field(words, k, 3), field(words, k, 8));
    let (a, b) = (f32::from_bits(first), f32::from_bits(second));
    // Subnormal parameters would read as 0 where the FPU flushes; a zero has no sign.
    const fn plain(x: f32) -> bool {
        x.to_bits() == 0 || (x.is_normal() && x.abs() <= MAX_PARAMETER)
    }
    match activation {
        IDENTITY | RELU => first == 0 && second == 0,
        LEAKY_RELU => plain(a) && a >= 0.0 && a <= 1.0 && second == 0,
        _ if word(words, 1) == 1 => false,
        CLIP => plain(a) && plain(b) && a < b,
        ELU => plain(a) && a > 0.0 && second == 0,
        ABS | SIGN | STEP | SOFTPLUS | SIGMOID | TANH | ATAN | SILU | GELU => {
            first == 0 && second == 0
        }
        _ => false,
    }
}

/// Checks layer `k`, whose columns must be `cols` and whose sections begin at `at`; gives its rows
/// and where its sections end.
const fn check_layer(
    words: &[u32],
    k: usize,
    cols: usize,
    at: usize,
) -> Result<(usize, usize), BlobError> {
    const fn bad<T>(layer: usize, field: Field) -> Result<T, BlobError> {
        Err(BlobError::Layer { layer, field })
    }
    let rows = field(words, k, 0) as usize;
    if rows == 0 || rows > MAX_WIDTH {
        return bad(k, Field::Rows);
    }
    if field(words, k, 1) as usize != cols {
        // A first layer that does not fit the header is the header's fault as much.
        return if k == 0 { Err(BlobError::Inputs) } else { bad(k, Field::Columns) };
    }
    let kinds = field(words, k, 2);
    let (activation, kind) = (kinds & 0xFFFF, kinds >> 16);
    if !known(words, k, activation) {
        return bad(k, Field::Activation);
    }
    if !CURVED && !matches!(activation, IDENTITY | RELU | LEAKY_RELU) {
        return Err(BlobError::Feature("curved"));
    }
    if field(words, k, 9) as usize > rows {
        return bad(k, Field::Through);
    }
    if field(words, k, 10) != 0 || field(words, k, 11) != 0 {
        return bad(k, Field::Reserved);
    }
    if kind != WEIGHTS_F32 && kind != WEIGHTS_F16 {
        return bad(k, Field::WeightKind);
    }
    if field(words, k, 4) as usize != at {
        return bad(k, Field::WeightOffset);
    }
    // Neither product overflows a 64-bit usize; on a 32-bit target the saturated size is too large.
    let end = match rows.checked_mul(cols) {
        Some(_) => at.saturating_add(weight_words(rows, cols, kind)),
        None => return Err(BlobError::Truncated),
    };
    if end > words.len() {
        return Err(BlobError::Truncated);
    }
    let finite =
        if kind == WEIGHTS_F16 { finite_f16(words, at, end) } else { finite_f32(words, at, end) };
    if !finite {
        return bad(k, Field::Weight);
    }
    let bias = align(end);
    if field(words, k, 5) as usize != bias {
        return bad(k, Field::BiasOffset);
    }
    let end = bias.saturating_add(rows);
    if end > words.len() {
        return Err(BlobError::Truncated);
    }
    if !finite_f32(words, bias, end) {
        return bad(k, Field::Bias);
    }
    let weight_error = f32::from_bits(field(words, k, 6));
    if !(weight_error >= 0.0 && weight_error <= 1.0) {
        return bad(k, Field::WeightError);
    }
    let bias_error = f32::from_bits(field(words, k, 7));
    if !(bias_error >= 0.0 && bias_error.is_finite()) {
        return bad(k, Field::BiasError);
    }
    let end = align(end);
    if end > words.len() {
        return Err(BlobError::Truncated);
    }
    Ok((rows, end))
}
