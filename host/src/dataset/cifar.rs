//! CIFAR-10's binary version: records of one label byte and 3 x 32 x 32 pixel bytes.

use std::path::Path;

use super::Dataset;
use crate::error::{Error, Result};

const RECORD: usize = 1 + 3 * 32 * 32;

/// Reads whole records; the label comes first, the pixels by channel, row, column.
///
/// # Errors
/// A length that is not a multiple of a record's, and a label above 9: the file is then another.
pub(super) fn parse(bytes: &[u8], file: &Path) -> Result<Dataset> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
        let message =
            format!("{} bytes, expected CIFAR-10 records of {RECORD} bytes each", bytes.len());
        return Err(Error::input(file, "size", message));
    }
    let rows = bytes.len() / RECORD;
    let mut inputs = Vec::with_capacity(rows * (RECORD - 1));
    let mut labels = Vec::with_capacity(rows);
    for (row, record) in bytes.chunks_exact(RECORD).enumerate() {
        if record[0] > 9 {
            let place = format!("row {row}, byte offset {}", row * RECORD);
            return Err(Error::input(file, place, format!("label {}, expected 0 to 9", record[0])));
        }
        labels.push(record[0] as usize);
        inputs.extend(record[1..].iter().map(|&b| f32::from(b)));
    }
    Ok(Dataset { inputs, rows, cols: RECORD - 1, labels: Some(labels), shape: vec![3, 32, 32] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let mut bytes = vec![0; 2 * RECORD];
        bytes[0] = 3;
        bytes[1] = 255;
        bytes[RECORD] = 9;
        bytes[2 * RECORD - 1] = 1;
        let data = parse(&bytes, Path::new("x.bin")).unwrap();
        assert_eq!(data.labels, Some(vec![3, 9]));
        assert_eq!((data.row(0)[0], data.row(0)[1], data.row(1)[3071]), (255.0, 0.0, 1.0));
        assert!(parse(&bytes[1..], Path::new("x.bin")).is_err());
        bytes[RECORD] = 10;
        let told = parse(&bytes, Path::new("x.bin")).unwrap_err().to_string();
        assert!(told.contains("row 1, byte offset 3073: label 10"), "{told}");
    }
}
