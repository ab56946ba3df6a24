//! Strings in a `.npy`.

use std::path::Path;

use super::array::Kind;
use super::npy;
use crate::error::{Error, Result};

/// Reads a `.npy` of strings (dtypes `S` and little-endian `U`) or of integers, one or a row of
/// them; integers are handed back as text.
///
/// # Errors
/// As [`npy::parse`], and characters that are none.
pub(super) fn parse(bytes: Vec<u8>, file: &Path, place: &str) -> Result<Vec<String>> {
    let (header, _, end) = npy::header(&bytes, file, place)?;
    let count = match header.shape[..] {
        [] => 1,
        [count] => count,
        _ => return Err(Error::input(file, place, "expected one word, or a row of them")),
    };
    let length =
        |width: usize, sizes: &str| -> Option<usize> { width.checked_mul(sizes.parse().ok()?) };
    let (width, length) = match header.descr.split_at_checked(2) {
        Some(("<U", size)) => (4, length(4, size)),
        Some(("|S", size)) => (1, length(1, size)),
        _ => {
            let array = npy::parse(bytes, file, place)?;
            if matches!(array.kind(), Kind::F32 | Kind::F64) {
                return Err(Error::input(file, place, "numbers, expected strings or integers"));
            }
            return Ok(array.f64s().iter().map(f64::to_string).collect());
        }
    };
    let stored = &bytes[end..];
    let length = length.filter(|length| {
        *length > 0
            && count > 0
            && length.checked_mul(count).is_some_and(|total| total == stored.len())
    });
    let Some(length) = length else {
        let message = format!("{} bytes follow, expected {count} strings", stored.len());
        return Err(Error::input(file, format!("{place}, byte offset {end}"), message));
    };
    let word = |bytes: &[u8]| {
        let characters = bytes.chunks_exact(width).map(|c| {
            let mut code = [0; 4];
            code[..width].copy_from_slice(c);
            char::from_u32(u32::from_le_bytes(code))
        });
        let word: Option<String> = characters.collect();
        // NumPy fills up with zeros.
        word.map(|word| word.trim_end_matches('\0').to_owned())
            .ok_or_else(|| Error::input(file, place, "a string that is not Unicode"))
    };
    stored.chunks_exact(length).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::npy::tests::file;

    #[test]
    fn words_of_both_kinds_and_codes() {
        let read = |descr: &str, shape: &str, data: &[u8]| {
            let header =
                format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
            parse(file(&header, data), Path::new("x.npy"), "array 'a'")
        };
        assert_eq!(read("|S3", "(2,)", b"ab\0abc").unwrap(), ["ab", "abc"]);
        let unicode: Vec<u8> = "hé\0".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        assert_eq!(read("<U3", "()", &unicode).unwrap(), ["hé"]);
        assert_eq!(read("<i8", "(1,)", &2i64.to_le_bytes()).unwrap(), ["2"]);
        for (descr, shape, data) in [
            ("<U1", "(1,)", &[0, 0, 0x11, 0xff][..]),
            ("<U1", "(2,)", &[0; 4]),
            ("<U0", "(1,)", &[]),
            ("<U99999999999999999999", "(1,)", &[]),
            ("<U9999999999999999", "(9999999999999999,)", &[]),
            ("|S2", "(1, 1)", b"ab"),
            ("<f4", "(1,)", &[0; 4]),
            ("|O", "(1,)", &[0; 8]),
        ] {
            let told = read(descr, shape, data).unwrap_err().to_string();
            assert!(told.starts_with("x.npy: array 'a'"), "{told}");
        }
    }
}
