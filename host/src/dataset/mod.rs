//! Data files to inputs and labels.
//!
//! Read are NumPy `.npy` and `.npz`, IDX (MNIST), CIFAR-10's binary records and CSV, each also
//! gzipped. The format is told by content where that is unmistakable (`.npy`, `.npz`), then by
//! extension, then by content again. Nothing is scaled here: the numbers are the stored ones. What
//! is not an f32 is rounded to the nearest one, and the centre that is certified is that f32.

use std::path::Path;

use crate::error::{Error, Result};

pub mod array;
mod cifar;
mod csv;
mod idx;
pub mod npy;
pub mod npz;
mod source;
mod words;

/// Samples, row-major, with their labels if the data has any.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// `[rows][cols]`, all finite, as stored.
    pub inputs: Vec<f32>,
    /// Number of samples, at least 1.
    pub rows: usize,
    /// Numbers per sample, at least 1.
    pub cols: usize,
    /// One per sample.
    pub labels: Option<Vec<usize>>,
    /// One sample's shape; its product is `cols`.
    pub shape: Vec<usize>,
}

impl Dataset {
    /// Sample `i`.
    ///
    /// # Panics
    /// If `i` is not below [`rows`](Self::rows).
    pub fn row(&self, i: usize) -> &[f32] {
        &self.inputs[i * self.cols..][..self.cols]
    }

    /// Label of sample `i`, if there is one.
    pub fn label(&self, i: usize) -> Option<usize> {
        self.labels.as_ref()?.get(i).copied()
    }

    fn count_labels(&self, file: &Path) -> Result<()> {
        match &self.labels {
            Some(labels) if labels.len() != self.rows => {
                let message =
                    format!("{} labels, expected {}, one per sample", labels.len(), self.rows);
                Err(Error::input(file, "labels", message))
            }
            _ => Ok(()),
        }
    }
}

/// Where a CSV file has its labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsvLabels {
    /// In the first column.
    #[default]
    First,
    /// In the last column.
    Last,
    /// Nowhere: every column is an input.
    None,
}

/// Reads samples from `data`, and their labels from `labels` if that is given.
///
/// A CSV file has its labels first, or none where `labels` is given.
///
/// # Errors
/// See [`read_with`].
pub fn read(data: &Path, labels: Option<&Path>) -> Result<Dataset> {
    let csv = if labels.is_some() { CsvLabels::None } else { CsvLabels::First };
    read_with(data, labels, csv)
}

/// As [`read`], with the place of a CSV file's labels. Labels from a file of their own replace those in `data`.
///
/// # Errors
/// What cannot be read, is damaged, holds no sample or a number that is not finite, and labels that
/// are not one integer of at least 0 per sample: with the row and column, key or byte offset.
pub fn read_with(data: &Path, labels: Option<&Path>, csv: CsvLabels) -> Result<Dataset> {
    let mut set = parse(source::read(data)?, data, csv)?;
    if let Some(file) = labels {
        set.labels = Some(parse_labels(source::read(file)?, file)?);
        set.count_labels(file)?;
    }
    Ok(set)
}

/// As [`read_with`], from a file's bytes; `file` tells the format where the bytes do not, and is named in errors.
///
/// # Errors
/// See [`read_with`].
pub fn parse(bytes: Vec<u8>, file: &Path, csv: CsvLabels) -> Result<Dataset> {
    let set = inputs(source::unpack(bytes, file)?, file, csv)?;
    if set.rows == 0 || set.cols == 0 {
        let message =
            format!("{} samples of {} numbers, expected at least 1 of 1", set.rows, set.cols);
        return Err(Error::input(file, "shape", message));
    }
    set.count_labels(file)?;
    Ok(set)
}

enum Format {
    Npy,
    Npz,
    Idx,
    Cifar,
    Csv,
}

fn format(bytes: &[u8], file: &Path) -> Result<Format> {
    let name = source::plain_name(file);
    let ends = |suffixes: &[&str]| suffixes.iter().any(|s| name.ends_with(s));
    if bytes.starts_with(npy::MAGIC) || ends(&[".npy"]) {
        Ok(Format::Npy)
    } else if bytes.starts_with(b"PK\x03\x04") || ends(&[".npz"]) {
        Ok(Format::Npz)
    } else if ends(&[".bin"]) {
        Ok(Format::Cifar)
    } else if ends(&[".csv", ".txt", ".tsv"]) {
        Ok(Format::Csv)
    } else if idx::is_idx(bytes) || ends(&["ubyte", ".idx"]) {
        Ok(Format::Idx)
    } else if bytes.iter().take(4096).all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) {
        Ok(Format::Csv)
    } else {
        let message =
            "unknown format, expected .npy, .npz, IDX, CIFAR-10 .bin or CSV, plain or .gz";
        Err(Error::input(file, "byte offset 0", message))
    }
}

fn inputs(bytes: Vec<u8>, file: &Path, csv: CsvLabels) -> Result<Dataset> {
    match format(&bytes, file)? {
        Format::Npy => from_array(&npy::parse(bytes, file, "header")?, file, "array"),
        Format::Npz => {
            let mut archive = npz::Archive::new(bytes, file)?;
            let key =
                archive.find(npz::INPUTS, true).ok_or_else(|| archive.missing(npz::INPUTS))?;
            let mut set = from_array(&archive.array(&key)?, file, &format!("array '{key}'"))?;
            if let Some(key) = archive.find(npz::LABELS, false).filter(|k| *k != key) {
                set.labels = Some(archive.array(&key)?.labels(file, &format!("array '{key}'"))?);
            }
            Ok(set)
        }
        Format::Idx => {
            let array = idx::parse(bytes, file)?;
            if array.shape().len() < 2 {
                let message =
                    "an IDX file of rank 1 holds labels, expected images of rank 2 or more";
                return Err(Error::input(file, "byte offset 3", message));
            }
            from_array(&array, file, "IDX data")
        }
        Format::Cifar => cifar::parse(&bytes, file),
        Format::Csv => csv::parse(&bytes, file, csv),
    }
}

fn from_array(array: &array::Array, file: &Path, place: &str) -> Result<Dataset> {
    let Some((&rows, shape)) = array.shape().split_first() else {
        let message = "a single number, expected at least one axis, the samples'";
        return Err(Error::input(file, place, message));
    };
    let cols = shape.iter().product();
    let shape = if shape.is_empty() { vec![1] } else { shape.to_vec() };
    Ok(Dataset { inputs: array.f32s(file, place)?, rows, cols, labels: None, shape })
}

/// Labels from the bytes of a file of their own; see [`read_with`].
///
/// # Errors
/// See [`read_with`].
pub fn parse_labels(bytes: Vec<u8>, file: &Path) -> Result<Vec<usize>> {
    let bytes = source::unpack(bytes, file)?;
    match format(&bytes, file)? {
        Format::Npy => npy::parse(bytes, file, "header")?.labels(file, "array"),
        Format::Npz => {
            let mut archive = npz::Archive::new(bytes, file)?;
            let key =
                archive.find(npz::LABELS, true).ok_or_else(|| archive.missing(npz::LABELS))?;
            archive.array(&key)?.labels(file, &format!("array '{key}'"))
        }
        Format::Idx => idx::parse(bytes, file)?.labels(file, "IDX data"),
        Format::Csv => csv::parse_labels(&bytes, file),
        Format::Cifar => {
            let message = "CIFAR-10 records, expected labels as .npy, .npz, IDX or CSV";
            Err(Error::input(file, "format", message))
        }
    }
}
