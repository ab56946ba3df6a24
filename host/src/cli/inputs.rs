//! Models and data from the command line.

use std::path::{Path, PathBuf};

use certus_engine::model::Model;

use crate::blob::{self, WeightKind};
use crate::dataset::{self, CsvLabels, Dataset};
use crate::error::{Error, Result};
use crate::import;
use crate::network::Network;

/// Which samples, and how they are read.
#[derive(Clone, Debug, clap::Args)]
pub struct DataArgs {
    /// Samples: .npy, .npz (X, y), IDX, CSV (label first) or CIFAR binary; .gz too
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Labels in a file of their own
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// The CSV file has no labels: every column is an input
    #[arg(long)]
    pub unlabelled: bool,
    /// Divide the data by this before anything else (255 for byte images)
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub scale: f64,
    /// The network expects (x - MEAN) / STD: one value, or one a channel. Radii stay in units of x
    #[arg(long, value_name = "MEAN", value_delimiter = ',', allow_hyphen_values = true)]
    pub mean: Vec<f64>,
    /// See --mean
    #[arg(long, value_name = "STD", value_delimiter = ',')]
    pub std: Vec<f64>,
    /// Rows A up to but not including B
    #[arg(long, value_name = "A..B", default_value = "..")]
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
    let network = if path.extension().is_some_and(|e| e == "certus") {
        let words = read_words(path)?;
        let model = Model::from_words(&words)
            .map_err(|error| Error::input(path, "blob", error.to_string()))?;
        let network = blob::unpack(&model);
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

/// A blob file's words.
fn read_words(path: &Path) -> Result<Vec<u32>> {
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
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
            let message = format!("--scale {}, expected a number above 0", self.scale);
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
