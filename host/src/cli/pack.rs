//! `certus pack`: the blob for firmware.

use std::path::PathBuf;

use certus_engine::model::Model;
use clap::ValueEnum;

use super::Outcome;
use super::inspect::print_sizes;
use crate::blob::{self, WeightKind};
use crate::error::{Error, Result};
use crate::import;
use crate::report::{Sink, file};

/// Write a model as a blob for firmware; print flash, RAM and work per method
#[derive(clap::Args, Debug)]
pub struct Args {
    /// .onnx, .nnet or .npz
    model: PathBuf,
    /// The blob
    #[arg(short, long, value_name = "NAME.certus")]
    out: PathBuf,
    /// How weights are stored; f16 rounds them, and the rounded network is what is certified
    #[arg(long, value_enum, default_value = "f32")]
    weights: WeightsArg,
}

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WeightsArg {
    /// Single precision, as they are
    F32,
    /// Half precision
    F16,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let network = import::read(&args.model)?;
    let kind = match args.weights {
        WeightsArg::F32 => WeightKind::F32,
        WeightsArg::F16 => WeightKind::F16,
    };
    let words = blob::pack(&network, kind)
        .map_err(|error| Error::input(&args.model, "model", error.to_string()))?;
    file::replace(&args.out, |out| {
        words.iter().try_for_each(|word| out.write_all(&word.to_le_bytes()))
    })?;
    let model = Model::from_words(&words).expect("pack checks what it makes");
    let mut sink = Sink::stdout();
    sink.write(|out| {
        writeln!(out, "{}", args.out.display())?;
        print_sizes(&model, out)
    })?;
    sink.finish()?;
    Ok(Outcome::Proved)
}
