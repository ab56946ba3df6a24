//! Models and data from the command line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use certus_engine::model::Model;

use crate::blob::{self, WeightKind};
use crate::dataset::{self, CsvLabels, Dataset};
use crate::error::{Error, Result};
use crate::import::{self, MAX_FILE};
use crate::network::Network;
use crate::report::file;

/// Which samples, and how they are read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Read samples from this .npy, .npz (X, y), IDX, CSV (label first) or CIFAR file, or its .gz
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Read labels from a file of their own
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Take no labels: each column of a CSV is an input, the predicted class is what is certified
    #[arg(long, conflicts_with = "labels")]
    pub unlabelled: bool,
    /// Divide the data by this first (255 for images in bytes)
    #[arg(long, value_name = "S", default_value_t = 1.0, allow_hyphen_values = true)]
    pub scale: f64,
    /// Give the network (x - MEAN) / STD: one value, or one a channel; radii stay in units of x
    #[arg(long, value_name = "MEAN", value_delimiter = ',', allow_hyphen_values = true)]
    pub mean: Vec<f64>,
    /// Divide by this after --mean: one value, or one a channel
    #[arg(long, value_name = "STD", value_delimiter = ',', allow_hyphen_values = true)]
    pub std: Vec<f64>,
    /// Take the rows from A up to but not including B
    #[arg(
        long,
        value_name = "A..B",
        default_value = "..",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub range: String,
}

/// A model's words, from any of the formats.
///
/// # Errors
/// What cannot be read, with file and place.
pub fn read_blob(
    path: &Path,
    normalise: impl FnOnce(Network) -> Result<Network>,
) -> Result<Vec<u32>> {
    let network = if is_blob(path) {
        let words = read_words(path)?;
        let network = blob::unpack(&checked_words(path, &words)?);
        let normalised = normalise(network.clone())?;
        if normalised == network {
            return Ok(words);
        }
        normalised
    } else {
        normalise(import::read(path)?)?
    };
    blob::pack(&network, WeightKind::F32)
        .map_err(|error| Error::input(path, "model", error.to_string()))
}

/// A network from any of the formats.
///
/// # Errors
/// What cannot be read, with file and place.
pub fn read_network(path: &Path) -> Result<Network> {
    Ok(read_with_words(path)?.0)
}

/// A network as [`read_network`] gives it, with its words if they are a blob's.
///
/// # Errors
/// What cannot be read, with file and place.
pub fn read_with_words(path: &Path) -> Result<(Network, Option<Vec<u32>>)> {
    if !is_blob(path) {
        return Ok((import::read(path)?, None));
    }
    let words = read_words(path)?;
    Ok((blob::unpack(&checked_words(path, &words)?), Some(words)))
}

/// The model of words that [`read_blob`] gave.
pub fn checked(words: &[u32]) -> Model<'_> {
    Model::from_words(words).expect("read_blob gives checked words")
}

/// Refuses an output that is one of the inputs, and one that cannot be written, before any work.
///
/// # Errors
/// Both options by name.
pub fn check_output(option: &str, out: &Path, others: &[(&str, Option<&Path>)]) -> Result<()> {
    let clash = others.iter().find(|(_, path)| path.is_some_and(|path| file::same(path, out)));
    if let Some((other, _)) = clash {
        let message = format!("{option} {}: is also {other}", out.display());
        return Err(Error::Usage(format!("{message}, expected a file of its own")));
    }
    file::probe(out)
}

fn is_blob(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("certus"))
}

fn checked_words<'a>(path: &Path, words: &'a [u32]) -> Result<Model<'a>> {
    Model::from_words(words).map_err(|error| Error::input(path, "blob", error.to_string()))
}

/// A blob file's words.
fn read_words(path: &Path) -> Result<Vec<u32>> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| Error::io(path, error))?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("longer than {MAX_FILE} bytes, the most that is read");
        return Err(Error::input(path, "file", message));
    }
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        let place = format!("byte {}", bytes.len());
        return Err(Error::input(path, place, "the blob ends within a word of 4 bytes"));
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

impl DataArgs {
    /// Reads and scales the samples, and checks them against the model's inputs and outputs.
    ///
    /// # Errors
    /// What does not fit, with file, row and what was expected.
    pub fn read(&self, inputs: usize, outputs: usize) -> Result<Dataset> {
        let csv = match (self.unlabelled || self.labels.is_some(), &self.labels) {
            (true, _) => CsvLabels::None,
            _ => CsvLabels::First,
        };
        let mut set = dataset::read_with(&self.data, self.labels.as_deref(), csv)?;
        if self.unlabelled {
            set.labels = None;
        }
        if set.cols != inputs {
            let message = format!("{} numbers a sample, the model has {inputs} inputs", set.cols);
            return Err(Error::input(&self.data, "shape", message));
        }
        if let Some(labels) = &set.labels
            && let Some(row) = labels.iter().position(|label| *label >= outputs)
        {
            let file = self.labels.as_deref().unwrap_or(&self.data);
            let message = format!("label {}, the model has {outputs} outputs", labels[row]);
            return Err(Error::input(file, format!("row {row}"), message));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            let message = format!("--scale {}, expected a finite number above 0", self.scale);
            return Err(Error::Usage(message));
        }
        if self.scale != 1.0 {
            for (i, x) in set.inputs.iter_mut().enumerate() {
                *x = (f64::from(*x) / self.scale) as f32;
                if !x.is_finite() {
                    let place = format!("row {}, column {}", i / set.cols, i % set.cols);
                    return Err(Error::input(&self.data, place, "not finite after --scale"));
                }
            }
        }
        Ok(set)
    }

    /// The network with the normalisation that `--mean` and `--std` ask for before its first layer.
    ///
    /// # Errors
    /// Values that do not fit the shape, or are no numbers.
    pub fn normalise(&self, network: Network) -> Result<Network> {
        if self.mean.is_empty() && self.std.is_empty() {
            return Ok(network);
        }
        import::normalise(network, &self.mean, &self.std)
    }
}
