//! IDX, the format of MNIST: two zero bytes, a type, a rank, big-endian lengths, the numbers.

use std::path::Path;

use super::array::{Array, Kind};
use crate::error::{Error, Result};

/// Whether `bytes` begin as an IDX file of a known type does.
pub(super) fn is_idx(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 8 | 9 | 11..=14, 1..=8, ..])
}

/// Reads a whole IDX file.
///
/// # Errors
/// An unknown type or rank, and a file that does not end where its lengths say.
pub(super) fn parse(bytes: Vec<u8>, file: &Path) -> Result<Array> {
    let wrong = |place: &str, message: String| Err(Error::input(file, place, message));
    let &[0, 0, code, rank, ..] = &bytes[..] else {
        return wrong("byte offset 0", "no IDX magic, expected 00 00 TYPE RANK".into());
    };
    let kind = match code {
        0x08 => Kind::U8,
        0x09 => Kind::I8,
        0x0b => Kind::I16,
        0x0c => Kind::I32,
        0x0d => Kind::F32,
        0x0e => Kind::F64,
        _ => {
            let message = format!("IDX type {code:#04x}, expected 0x08, 0x09 or 0x0b to 0x0e");
            return wrong("byte offset 2", message);
        }
    };
    if !(1..=8).contains(&rank) {
        return wrong("byte offset 3", format!("rank {rank}, expected 1 to 8"));
    }
    let start = 4 + 4 * rank as usize;
    let Some(lengths) = bytes.get(4..start) else {
        let message = format!("the file ends at {}, expected {rank} lengths", bytes.len());
        return wrong("byte offset 4", message);
    };
    let shape = lengths
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
        .collect();
    Array::new(file, "IDX data", shape, kind, true, false, bytes, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_lengths() {
        let file = Path::new("x-idx2");
        let bytes = vec![0, 0, 0x0b, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 1, 0];
        let a = parse(bytes, file).unwrap();
        assert_eq!(a.shape(), [1, 2]);
        assert_eq!(a.f32s(file, "IDX").unwrap(), [-1.0, 256.0]);
        let told = parse(vec![0, 0, 8, 1, 0xff, 0xff, 0xff, 0xff], file).unwrap_err().to_string();
        assert!(told.contains("at most"), "{told}");
        assert!(
            parse(vec![0, 0, 0x0a, 1, 0, 0, 0, 0], file).unwrap_err().to_string().contains("0x0a")
        );
        assert!(parse(vec![0, 0, 8, 3, 0, 0], file).unwrap_err().to_string().contains("3 lengths"));
    }
}
