//! One stored array: its shape, its number type and its bytes as the file has them.

use std::path::Path;

use super::source::MAX_VALUES;
use crate::error::{Error, Result};

/// How one number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 1 byte.
    U8,
    /// Signed, 1 byte.
    I8,
    /// Unsigned, 2 bytes.
    U16,
    /// Signed, 2 bytes.
    I16,
    /// Unsigned, 4 bytes.
    U32,
    /// Signed, 4 bytes.
    I32,
    /// Unsigned, 8 bytes.
    U64,
    /// Signed, 8 bytes.
    I64,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
}

impl Kind {
    /// Bytes per number.
    pub fn size(self) -> usize {
        match self {
            Kind::Bool | Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        }
    }
}

/// An array as stored, of as many bytes as its shape says.
#[derive(Clone, Debug)]
pub struct Array {
    shape: Vec<usize>,
    kind: Kind,
    big_endian: bool,
    fortran: bool,
    bytes: Vec<u8>,
    start: usize,
}

/// Runs `$body` with `$read` bound to the decoder of one number of `$array`.
macro_rules! with_decoder {
    ($array:expr, $read:ident => $body:expr) => {{
        macro_rules! decoder {
            ($t:ty) => {{
                let big = $array.big_endian;
                let $read = move |b: &[u8]| {
                    let mut raw = [0; size_of::<$t>()];
                    raw.copy_from_slice(b);
                    if big { <$t>::from_be_bytes(raw) } else { <$t>::from_le_bytes(raw) }
                };
                $body
            }};
        }
        match $array.kind {
            Kind::Bool | Kind::U8 => decoder!(u8),
            Kind::I8 => decoder!(i8),
            Kind::U16 => decoder!(u16),
            Kind::I16 => decoder!(i16),
            Kind::U32 => decoder!(u32),
            Kind::I32 => decoder!(i32),
            Kind::U64 => decoder!(u64),
            Kind::I64 => decoder!(i64),
            Kind::F32 => decoder!(f32),
            Kind::F64 => decoder!(f64),
        }
    }};
}

impl Array {
    /// The array of `shape` whose numbers are `bytes[start..]`, no fewer and no more.
    pub(super) fn new(
        file: &Path,
        place: &str,
        shape: Vec<usize>,
        kind: Kind,
        big_endian: bool,
        fortran: bool,
        bytes: Vec<u8>,
        start: usize,
    ) -> Result<Self> {
        // A zero counts as one, so that no product of some of the lengths can overflow later.
        let bounded = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
        if bounded.is_none_or(|n| n > MAX_VALUES) {
            let message = format!("shape {shape:?}, expected at most {MAX_VALUES} numbers");
            return Err(Error::input(file, place, message));
        }
        let values: usize = shape.iter().product();
        let stored = bytes.len().saturating_sub(start);
        let expected = values * kind.size();
        if stored != expected {
            let message = format!(
                "{stored} bytes follow, expected {expected} for shape {shape:?} of {}-byte numbers",
                kind.size()
            );
            return Err(Error::input(file, format!("{place}, byte offset {start}"), message));
        }
        Ok(Array { shape, kind, big_endian, fortran, bytes, start })
    }

    /// The shape, the sample's axis first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How its numbers are stored.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn stored(&self) -> std::slice::ChunksExact<'_, u8> {
        self.bytes[self.start..].chunks_exact(self.kind.size())
    }

    /// The numbers in C order, rounded to the nearest f32 (ties to even) where they are not f32 already.
    ///
    /// # Errors
    /// A number that is NaN, infinite, or beyond the range of f32, with its row and column.
    pub fn f32s(&self, file: &Path, place: &str) -> Result<Vec<f32>> {
        let values: Vec<f32> =
            with_decoder!(self, read => self.stored().map(|b| read(b) as f32).collect());
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let found = with_decoder!(self, read => self.stored().nth(at).map_or(f64::NAN, |b| read(b) as f64));
            let cols = self.shape.iter().skip(1).product::<usize>().max(1);
            let at = self.c_index(at);
            let place = format!("{place}, row {}, column {}", at / cols, at % cols);
            // Not the three hundred digits that an f64 may have.
            let message = format!("found {found:e}, expected a finite f32");
            return Err(Error::input(file, place, message));
        }
        Ok(self.in_c_order(values))
    }

    /// The numbers in C order as f64: exact but for 64-bit integers beyond 2^53, which are rounded.
    pub fn f64s(&self) -> Vec<f64> {
        self.in_c_order(
            with_decoder!(self, read => self.stored().map(|b| read(b) as f64).collect()),
        )
    }

    /// The numbers in C order as labels.
    ///
    /// # Errors
    /// A number that is not an integer of at least 0, with its row.
    pub fn labels(&self, file: &Path, place: &str) -> Result<Vec<usize>> {
        if self.shape.iter().skip(1).any(|&d| d != 1) || self.shape.is_empty() {
            let message =
                format!("shape {:?}, expected one label per sample: [n] or [n, 1]", self.shape);
            return Err(Error::input(file, place, message));
        }
        // One axis is longer than 1 at most, so C and Fortran order are the same.
        with_decoder!(self, read => self.stored().enumerate().map(|(row, b)| {
            let value = read(b);
            label(value as f64).ok_or_else(|| {
                let message = format!("label {value}, expected an integer of at least 0");
                Error::input(file, format!("{place}, row {row}"), message)
            })
        }).collect())
    }

    /// Where the number stored at position `at` stands in C order.
    fn c_index(&self, mut at: usize) -> usize {
        if !self.fortran {
            return at;
        }
        let mut stride: usize = self.shape.iter().product();
        let mut index = 0;
        let mut strides = Vec::with_capacity(self.shape.len());
        for &d in &self.shape {
            stride /= d.max(1);
            strides.push(stride);
        }
        for (&d, &s) in self.shape.iter().zip(&strides) {
            index += at % d.max(1) * s;
            at /= d.max(1);
        }
        index
    }

    fn in_c_order<T: Copy + Default>(&self, stored: Vec<T>) -> Vec<T> {
        if !self.fortran || self.shape.len() < 2 {
            return stored;
        }
        let mut ordered = vec![T::default(); stored.len()];
        for (at, value) in stored.into_iter().enumerate() {
            ordered[self.c_index(at)] = value;
        }
        ordered
    }
}

/// `value` as a label: an integer of at least 0. Beyond 2^53 an f64 no longer tells integers apart.
pub(super) fn label(value: f64) -> Option<usize> {
    ((0.0..9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0)
        .then_some(value as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(
        shape: &[usize],
        kind: Kind,
        big: bool,
        fortran: bool,
        bytes: Vec<u8>,
    ) -> Result<Array> {
        Array::new(Path::new("a"), "array", shape.to_vec(), kind, big, fortran, bytes, 0)
    }

    #[test]
    fn fortran_order_is_read_as_c_order() {
        // [[0, 1, 2], [3, 4, 5]] stored by columns.
        let a = array(&[2, 3], Kind::U8, false, true, vec![0, 3, 1, 4, 2, 5]).unwrap();
        assert_eq!(a.f32s(Path::new("a"), "array").unwrap(), [0., 1., 2., 3., 4., 5.]);
        assert_eq!(a.f64s(), [0., 1., 2., 3., 4., 5.]);
        // Shape [2, 2, 2], element (i, j, k) = 4 i + 2 j + k, first axis fastest.
        let a = array(&[2, 2, 2], Kind::U8, false, true, vec![0, 4, 2, 6, 1, 5, 3, 7]).unwrap();
        assert_eq!(a.f32s(Path::new("a"), "array").unwrap(), [0., 1., 2., 3., 4., 5., 6., 7.]);
    }

    #[test]
    fn byte_order_and_sign() {
        let a = array(&[1, 2], Kind::I16, true, false, vec![0xff, 0xfe, 0x01, 0x00]).unwrap();
        assert_eq!(a.f32s(Path::new("a"), "array").unwrap(), [-2.0, 256.0]);
    }

    #[test]
    fn f64_rounds_to_the_nearest_f32() {
        let bytes: Vec<u8> = [0.1f64, 16_777_217.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let a = array(&[2, 1], Kind::F64, false, false, bytes).unwrap();
        assert_eq!(a.f32s(Path::new("a"), "array").unwrap(), [0.1f32, 16_777_216.0]);
        assert_eq!(a.f64s(), [0.1, 16_777_217.0]);
    }

    #[test]
    fn non_finite_numbers_are_refused_with_row_and_column() {
        let bytes: Vec<u8> =
            [1.0f64, 2.0, 3.0, 1e300].iter().flat_map(|v| v.to_le_bytes()).collect();
        let a = array(&[2, 2], Kind::F64, false, false, bytes).unwrap();
        let told = a.f32s(Path::new("a"), "array").unwrap_err().to_string();
        assert!(told.contains("row 1, column 1"), "{told}");
        let bytes: Vec<u8> =
            [1.0f32, f32::NAN, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let a = array(&[2, 2], Kind::F32, false, true, bytes).unwrap();
        let told = a.f32s(Path::new("a"), "array").unwrap_err().to_string();
        assert!(told.contains("row 1, column 0: found NaN"), "{told}");
    }

    #[test]
    fn labels_are_integers_of_at_least_zero() {
        let a = array(&[3], Kind::U8, false, false, vec![7, 0, 9]).unwrap();
        assert_eq!(a.labels(Path::new("a"), "y").unwrap(), [7, 0, 9]);
        let a = array(&[2, 1], Kind::I8, false, false, vec![7, 0xff]).unwrap();
        let told = a.labels(Path::new("a"), "y").unwrap_err().to_string();
        assert!(told.contains("row 1: label -1"), "{told}");
        let a = array(&[2, 2], Kind::U8, false, false, vec![0, 1, 1, 0]).unwrap();
        assert!(a.labels(Path::new("a"), "y").unwrap_err().to_string().contains("[n, 1]"));
    }

    #[test]
    fn sizes_are_checked_before_anything_is_taken() {
        assert!(array(&[usize::MAX, 2], Kind::U8, false, false, vec![]).is_err());
        let told = array(&[2, 3], Kind::F32, false, false, vec![0; 23]).unwrap_err().to_string();
        assert!(told.contains("23 bytes follow, expected 24"), "{told}");
    }
}
