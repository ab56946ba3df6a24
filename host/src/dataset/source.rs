//! A data file's bytes, unpacked, with every size limited before memory is taken.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

/// Largest file, packed or unpacked: CIFAR-10's training set in f64 fits, a decompression bomb does not.
pub(super) const MAX_BYTES: u64 = 1 << 31;

/// Most numbers in one array (2 GiB as f32).
pub(super) const MAX_VALUES: usize = 1 << 29;

/// Reads `file` as it is stored.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    let io = |e| Error::io(file, e);
    let handle = File::open(file).map_err(io)?;
    let length = handle.metadata().map_err(io)?.len();
    limited(handle.take(MAX_BYTES + 1), length, MAX_BYTES)
        .map_err(io)?
        .ok_or_else(|| too_large(file))
}

/// Unpacks a gzip stream, known by its first bytes; others are handed back as they are.
pub(super) fn unpack(bytes: Vec<u8>, file: &Path) -> Result<Vec<u8>> {
    if bytes.starts_with(&[0x1f, 0x8b]) { gunzip(&bytes, file) } else { Ok(bytes) }
}

/// All of `from`, or nothing where it is longer than `most`.
pub(super) fn limited(
    mut from: impl Read,
    expected: u64,
    most: u64,
) -> std::io::Result<Option<Vec<u8>>> {
    if expected > most {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

fn gunzip(packed: &[u8], file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let outcome = MultiGzDecoder::new(packed).take(MAX_BYTES + 1).read_to_end(&mut bytes);
    match outcome {
        Err(e) => Err(Error::input(
            file,
            format!("gzip stream, after {} unpacked bytes", bytes.len()),
            format!("damaged or cut off ({e}), expected a whole gzip stream"),
        )),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => Err(too_large(file)),
        Ok(_) => Ok(bytes),
    }
}

/// The refusal of a file over [`MAX_BYTES`].
pub(super) fn too_large(file: &Path) -> Error {
    Error::input(file, "size", format!("over {MAX_BYTES} bytes, expected at most that many"))
}

/// The file's name in lower case without `.gz`: what its format is told by where its content leaves it open.
pub(super) fn plain_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.strip_suffix(".gz").map(str::to_owned).unwrap_or(name)
}
