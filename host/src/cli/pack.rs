//! `certus pack`: the blob for firmware.

use std::path::PathBuf;

use certus_engine::model::Model;
use clap::ValueEnum;

use super::Outcome;
use super::inputs::{check_output, read_network};
use super::inspect::print_sizes;
use crate::blob::{self, WeightKind};
use crate::error::{Error, Result};
use crate::report::{Sink, file};

/// Write a network as a blob for firmware, and print the flash, RAM and work it takes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Read the network from this .onnx, .nnet, .npz or .certus file
    model: PathBuf,
    /// Write the blob to this file, and replace what is there
    #[arg(short, long, value_name = "NAME.certus")]
    out: PathBuf,
    /// Store weights like this; f16 rounds them, and the rounded network is what is certified
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
    check_output("--out", &args.out, &[("MODEL", Some(args.model.as_path()))])?;
    let network = read_network(&args.model)?;
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
