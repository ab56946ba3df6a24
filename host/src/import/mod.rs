//! Model files to [`Network`]: ONNX, `.nnet` and `.npz`.
//!
//! What is certified is the network in the file, in real arithmetic. Copying weights (also the
//! lowering of a convolution to a dense layer, a transposition, a permutation) is exact. Where a
//! constant has to be multiplied into a layer, the product is rounded to f32 and the loss is
//! bounded by [`Affine::weight_error`](crate::network::Affine::weight_error) and
//! [`Affine::bias_error`](crate::network::Affine::bias_error); `exact` has the arithmetic,
//! `chain` the foldings. What cannot be carried over is refused with an error that names the
//! place; a file is never read as something that it only resembles.
//!
//! Every reader takes any bytes: none panics, recurses or allocates beyond [`Limits`].

mod activation;
mod chain;

mod exact;
mod limits;
mod nnet;
mod normalise;
mod npz;
mod onnx;

use std::io::Read;
use std::path::Path;

pub use limits::{Limits, MAX_FILE};
pub use nnet::nnet;
pub use normalise::normalise;
pub use npz::npz;
pub use onnx::{onnx, onnx_within};

use crate::error::{Error, Result};
use crate::network::Network;

/// Reads a model file by its extension: `.onnx`, `.nnet` or `.npz`.
///
/// Errors: [`Error::Usage`] for another extension, [`Error::Io`], [`Error::Input`]. Memory: the
/// file and the network, within [`MAX_FILE`] and [`Limits::default`].
pub fn read(path: &Path) -> Result<Network> {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let parse = match extension.as_deref() {
        Some("onnx") => onnx,
        Some("nnet") => nnet,
        Some("npz") => npz,
        _ => {
            return Err(Error::Usage(format!(
                "{}: not a model file by its name: expected .onnx, .nnet, .npz or .certus",
                path.display()
            )));
        }
    };
    parse(&contents(path)?, path)
}

/// The whole file, if it is not longer than [`MAX_FILE`].
fn contents(path: &Path) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one beyond it.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::input(
            path,
            "file",
            format!("longer than {MAX_FILE} bytes, the most that is read"),
        ));
    }
    Ok(bytes)
}
