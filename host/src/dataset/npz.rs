//! NumPy's `.npz`: a zip archive of `.npy` files, each under its key.

use std::io::{Cursor, Read};
use std::path::Path;

use zip::ZipArchive;

use super::array::Array;
use super::source::{self, MAX_BYTES};
use super::{npy, words};
use crate::error::{Error, Result};

/// Keys under which inputs are looked for, in this order.
pub(super) const INPUTS: &[&str] = &["X", "x", "images", "data", "inputs", "x_test"];
/// Keys under which labels are looked for, in this order.
pub(super) const LABELS: &[&str] = &["y", "Y", "labels", "targets", "y_test"];

/// An archive's directory over its bytes.
pub struct Archive<'a, B> {
    file: &'a Path,
    zip: ZipArchive<Cursor<B>>,
    keys: Vec<String>,
}

impl<'a, B: AsRef<[u8]>> Archive<'a, B> {
    /// Reads the directory.
    pub fn new(bytes: B, file: &'a Path) -> Result<Self> {
        let zip =
            ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(file, "zip directory", e))?;
        let mut keys: Vec<String> = zip
            .file_names()
            .filter_map(|name| name.ok()?.strip_suffix(".npy").map(str::to_owned))
            .collect();
        keys.sort();
        Ok(Archive { file, zip, keys })
    }

    /// The keys, sorted.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The array under `key`.
    pub fn array(&mut self, key: &str) -> Result<Array> {
        let bytes = self.bytes(key, MAX_BYTES)?;
        npy::parse(bytes, self.file, &format!("array '{key}'"))
    }

    /// The strings, or integers as text, under `key`, a file of at most `most` bytes.
    pub fn words(&mut self, key: &str, most: u64) -> Result<Vec<String>> {
        let bytes = self.bytes(key, most)?;
        words::parse(bytes, self.file, &format!("array '{key}'"))
    }

    /// The unpacked `.npy` file under `key`, of at most `most` bytes.
    pub fn bytes(&mut self, key: &str, most: u64) -> Result<Vec<u8>> {
        let place = format!("array '{key}'");
        let mut entry =
            self.zip.by_name(&format!("{key}.npy")).map_err(|e| damaged(self.file, &place, e))?;
        let size = entry.size();
        source::limited((&mut entry).take(most.saturating_add(1)), size, most)
            .map_err(|e| damaged(self.file, &place, e))?
            .ok_or_else(|| {
                let message = format!("over {most} bytes, expected at most that many");
                Error::input(self.file, place, message)
            })
    }

    /// The first of `wanted` that is there, else the only key, if `sole` allows it.
    pub(super) fn find(&self, wanted: &[&str], sole: bool) -> Option<String> {
        let named = wanted.iter().find(|w| self.keys.iter().any(|k| k == *w));
        match (named, &self.keys[..]) {
            (Some(key), _) => Some((*key).to_owned()),
            (None, [only]) if sole => Some(only.clone()),
            _ => None,
        }
    }

    /// The refusal where none of `wanted` is there.
    pub(super) fn missing(&self, wanted: &[&str]) -> Error {
        let found = if self.keys.is_empty() { "none".to_owned() } else { self.keys.join(", ") };
        let message =
            format!("found {found}; expected one of {}, or a single array", wanted.join(", "));
        Error::input(self.file, "keys", message)
    }
}

fn damaged(file: &Path, place: &str, e: impl std::fmt::Display) -> Error {
    Error::input(file, place, format!("damaged ({e}), expected a zip archive of .npy arrays"))
}
