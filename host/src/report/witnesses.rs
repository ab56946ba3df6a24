//! Inputs that prove another answer, as NumPy's `.npz`, which can be read as data again.

use std::io::{self, Cursor, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::file;
use crate::error::{Error, Result};

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The sample's row in the data file.
    pub index: usize,
    /// The class attacked, the label where there is one.
    pub class: usize,
    /// The class that is ahead of it at the point, or level with it.
    pub answer: usize,
    /// The point, in units of the data (after scaling).
    pub point: Vec<f32>,
}

/// Writes `X` (f32, `[rows][shape..]`), `y` (the classes attacked), `index` and `answer` (int64) to
/// `path`, whole or not at all.
///
/// # Errors
/// The system's, naming `path`.
pub fn write(rows: &[Row], shape: &[usize], path: &Path) -> Result<()> {
    let bytes = archive(rows, shape).map_err(|error| Error::io(path, error))?;
    file::replace(path, |out| out.write_all(&bytes))
}

fn archive(rows: &[Row], shape: &[usize]) -> io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut entry = |name: &str, descr: &str, shape: &[usize], data: Vec<u8>| {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default())?;
        zip.write_all(&header(descr, shape))?;
        zip.write_all(&data)
    };
    let whole = [&[rows.len()], shape].concat();
    let points = rows.iter().flat_map(|row| &row.point).flat_map(|x| x.to_le_bytes());
    entry("X", "<f4", &whole, points.collect())?;
    let integers = |value: fn(&Row) -> usize| -> Vec<u8> {
        rows.iter().flat_map(|row| (value(row) as i64).to_le_bytes()).collect()
    };
    entry("y", "<i8", &whole[..1], integers(|row| row.class))?;
    entry("index", "<i8", &whole[..1], integers(|row| row.index))?;
    entry("answer", "<i8", &whole[..1], integers(|row| row.answer))?;
    Ok(zip.finish()?.into_inner())
}

/// The header of a `.npy` of version 1, padded to whole 64 bytes.
fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let shape: String = shape.iter().map(|n| format!("{n},")).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version and length take 10 bytes, the line's end one.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
    bytes.extend_from_slice(format!("{text:<width$}\n", width = length - 1).as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::npz::Archive;

    #[test]
    fn what_is_written_reads_back() {
        let row = |index: usize, point: &[f32]| Row {
            index,
            class: index + 1,
            answer: 7,
            point: point.to_vec(),
        };
        let rows = [row(3, &[0.1, -2.0, 3.5, 4.0]), row(8, &[f32::MIN_POSITIVE, 0.0, 1.0, 2.0])];
        let bytes = archive(&rows, &[2, 2]).unwrap();
        let file = Path::new("w.npz");
        let mut read = Archive::new(&bytes[..], file).unwrap();
        let x = read.array("X").unwrap();
        assert_eq!(x.shape(), [2, 2, 2]);
        assert_eq!(x.f32s(file, "X").unwrap()[..5], [0.1, -2.0, 3.5, 4.0, f32::MIN_POSITIVE]);
        for (key, values) in [("y", [4, 9]), ("index", [3, 8]), ("answer", [7, 7])] {
            assert_eq!(read.array(key).unwrap().labels(file, key).unwrap(), values);
        }
    }

    #[test]
    fn none_is_an_empty_archive() {
        let bytes = archive(&[], &[3]).unwrap();
        let mut read = Archive::new(&bytes[..], Path::new("w.npz")).unwrap();
        assert_eq!(read.array("X").unwrap().shape(), [0, 3]);
    }
}
