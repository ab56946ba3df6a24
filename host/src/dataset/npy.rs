//! NumPy's `.npy`: magic, version, a Python dict literal, the numbers.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::path::Path;

use super::array::{Array, Kind};
use crate::error::{Error, Result};

/// The first bytes of every `.npy`.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads a whole `.npy`; `place` names it in errors (an array's key, or the header).
///
/// # Errors
/// Anything but one plain array of integers, booleans, f32 or f64, ended where its shape says.
pub fn parse(bytes: Vec<u8>, file: &Path, place: &str) -> Result<Array> {
    let (header, start, end) = header(&bytes, file, place)?;
    let (kind, big_endian) = kind(&header.descr).ok_or_else(|| {
        let message = format!("dtype '{}', expected bool, an integer, f4 or f8", header.descr);
        Error::input(file, format!("{place}, byte offset {start}"), message)
    })?;
    Array::new(file, place, header.shape, kind, big_endian, header.fortran, bytes, end)
}

/// The header, where its text begins and where the numbers do.
pub(super) fn header(bytes: &[u8], file: &Path, place: &str) -> Result<(Header, usize, usize)> {
    let wrong = |at: usize, message: String| {
        Error::input(file, format!("{place}, byte offset {at}"), message)
    };
    if !bytes.starts_with(MAGIC) {
        return Err(wrong(0, "no .npy magic, expected the bytes 93 'NUMPY'".into()));
    }
    let (start, length) = match bytes.get(6..12) {
        Some(&[1, _, a, b, ..]) => (10, u16::from_le_bytes([a, b]) as usize),
        Some(&[2 | 3, _, a, b, c, d]) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        Some(&[v, ..]) => return Err(wrong(6, format!("version {v}, expected 1, 2 or 3"))),
        _ => return Err(wrong(bytes.len(), "the file ends in its header".into())),
    };
    let end = start + length;
    let Some(text) = bytes.get(start..end) else {
        let message = format!("a header of {length} bytes, but the file ends at {}", bytes.len());
        return Err(wrong(start, message));
    };
    let header =
        Literal { text, at: 0 }.header().map_err(|(at, message)| wrong(start + at, message))?;
    Ok((header, start, end))
}

/// The number type and whether it is big-endian.
fn kind(descr: &str) -> Option<(Kind, bool)> {
    let (order, name) = descr.split_at_checked(1)?;
    let big = match order {
        "<" | "|" | "=" => false,
        ">" => true,
        _ => return None,
    };
    let kind = match name {
        "b1" => Kind::Bool,
        "u1" => Kind::U8,
        "i1" => Kind::I8,
        "u2" => Kind::U16,
        "i2" => Kind::I16,
        "u4" => Kind::U32,
        "i4" => Kind::I32,
        "u8" => Kind::U64,
        "i8" => Kind::I64,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        _ => return None,
    };
    Some((kind, big))
}

/// What a header says.
pub(super) struct Header {
    pub descr: String,
    fortran: bool,
    pub shape: Vec<usize>,
}

/// A reader of the one dict literal that NumPy writes; it does not nest, so neither does the reader.
struct Literal<'a> {
    text: &'a [u8],
    at: usize,
}

type Parsed<T> = std::result::Result<T, (usize, String)>;

impl Literal<'_> {
    fn header(&mut self) -> Parsed<Header> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while self.peek() != Some(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            match key.as_str() {
                "descr" => descr = Some(self.string()?),
                "fortran_order" => fortran = Some(self.boolean()?),
                "shape" => shape = Some(self.tuple()?),
                _ => {
                    return self
                        .fail(format!("key '{key}', expected descr, fortran_order or shape"));
                }
            }
            if self.peek() == Some(b',') {
                self.at += 1;
            }
        }
        match (descr, fortran, shape) {
            (Some(descr), Some(fortran), Some(shape)) => Ok(Header { descr, fortran, shape }),
            _ => self.fail("the header lacks one of descr, fortran_order, shape".into()),
        }
    }

    fn fail<T>(&self, message: String) -> Parsed<T> {
        Err((self.at, message))
    }

    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8) -> Parsed<()> {
        match self.peek() {
            Some(b) if b == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(b) => self.fail(format!(
                "'{}' in the header, expected '{}'",
                b.escape_ascii(),
                wanted.escape_ascii()
            )),
            None => self.fail(format!("the header ends, expected '{}'", wanted.escape_ascii())),
        }
    }

    fn string(&mut self) -> Parsed<String> {
        let quote = match self.peek() {
            Some(q @ (b'\'' | b'"')) => q,
            _ => {
                return self
                    .fail("expected a quoted string (structured dtypes are not read)".into());
            }
        };
        let rest = &self.text[self.at + 1..];
        match rest.iter().position(|&b| b == quote) {
            Some(n) => {
                self.at += n + 2;
                Ok(rest[..n].escape_ascii().to_string())
            }
            None => self.fail("a string without its closing quote".into()),
        }
    }

    fn boolean(&mut self) -> Parsed<bool> {
        self.peek();
        let rest = &self.text[self.at..];
        for (word, value) in [("True", true), ("False", false)] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.fail("expected True or False".into())
    }

    fn tuple(&mut self) -> Parsed<Vec<usize>> {
        self.expect(b'(')?;
        let mut dims = Vec::new();
        while self.peek() != Some(b')') {
            let rest = &self.text[self.at..];
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let number = std::str::from_utf8(&rest[..digits]).ok().and_then(|t| t.parse().ok());
            let Some(dim) = number else {
                return self.fail("expected a length that fits in 64 bits".into());
            };
            // NumPy's own limit; without one a header of a megabyte could name as many axes.
            if dims.len() == 64 {
                return self.fail("more than 64 axes".into());
            }
            dims.push(dim);
            self.at += digits;
            // Python 2 wrote long integers with an L.
            if self.peek() == Some(b'L') {
                self.at += 1;
            }
            if self.peek() != Some(b')') {
                self.expect(b',')?;
            }
        }
        self.at += 1;
        Ok(dims)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A version-1 file with the given header text.
    pub(in crate::dataset) fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn read(header: &str, data: &[u8]) -> Result<Array> {
        parse(file(header, data), Path::new("x.npy"), "header")
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        let a = read("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }   \n", &[0; 6])
            .unwrap();
        assert_eq!((a.shape(), a.kind()), (&[2, 3][..], Kind::U8));
        let a =
            read("{'shape': (2L,), 'fortran_order': True, 'descr': \">f8\"}", &[0; 16]).unwrap();
        assert_eq!((a.shape(), a.kind()), (&[2][..], Kind::F64));
        let a = read("{'descr': '<i4', 'fortran_order': False, 'shape': (), }", &[0; 4]).unwrap();
        assert!(a.shape().is_empty());
    }

    #[test]
    fn version_two_has_a_four_byte_length() {
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }";
        let mut bytes = MAGIC.to_vec();
        bytes.extend([2, 0]);
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.push(5);
        let a = parse(bytes, Path::new("x.npy"), "header").unwrap();
        assert_eq!(a.f32s(Path::new("x.npy"), "header").unwrap(), [5.0]);
    }

    #[test]
    fn wrong_headers_say_where() {
        let cases = [
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "dtype '<c8'"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "structured"),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "True or False"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "expected a length"),
            ("{'descr': '<f4', 'fortran_order': False}", "lacks one of"),
            ("{'descr': '<f4", "closing quote"),
            ("{", "quoted string"),
            ("[]", "expected '{'"),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,9999999999)}",
                "at most",
            ),
        ];
        for (header, expected) in cases {
            let told = read(header, &[0; 4]).unwrap_err().to_string();
            assert!(told.contains(expected), "{header}: {told}");
        }
    }
}
