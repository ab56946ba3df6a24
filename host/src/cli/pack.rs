//! `certus pack`: the blob for firmware.

use std::path::PathBuf;

use certus_engine::model::Model;
use certus_engine::model::blob::CRC_WORD;
use clap::ValueEnum;

use super::Outcome;
use super::inputs::{check_output, checked, read_with_words};
use super::inspect::print_sizes;
use super::message::say;
use super::options::ComputeArgs;
use super::regions::RegionArgs;
use crate::blob::{self, WeightKind};
use crate::cover::{self, Cover};
use crate::error::{Error, Result};
use crate::report::{Sink, file};

/// Write a network as a blob for firmware, and print the flash, RAM and work it takes
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Read the network from this .onnx, .nnet, .npz or .certus file
    model: PathBuf,
    /// Write the blob to this file, and replace what is there
    #[arg(short, long, value_name = "NAME.certus")]
    out: PathBuf,
    /// Store weights like this; f16 rounds them, and the rounded network is what is certified
    #[arg(long, value_enum, default_value = "f32")]
    weights: WeightsArg,
    #[command(flatten)]
    regions: RegionArgs,
    #[command(flatten)]
    compute: ComputeArgs,
}

const AFTER: &str = "\
--regions proves the rule for every state within the sensor error of every input in a box, under deployed
semantics, and writes the boxes behind the model: the run-time monitor certifies there without bounds. A
.certus file that has them keeps them if it is packed again with the same weights.

Example: certus pack pendulum.onnx -o pendulum.certus --regions --range -0.5,-1 0.5,1
  --sensor-error 0.002,0.01 --limits -1.9 1.9";

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
    let (network, old) = read_with_words(&args.model)?;
    args.compute.without_gpu()?;
    let asked = args.regions.read(network.inputs, network.outputs())?;
    if asked.is_none() && (args.compute.threads.is_some() || args.compute.is_portable()) {
        let message = "--threads or --backend: expected also --regions, nothing else is computed";
        return Err(Error::Usage(message.to_owned()));
    }
    let kind = match args.weights {
        WeightsArg::F32 => WeightKind::F32,
        WeightsArg::F16 => WeightKind::F16,
    };
    let mut words = blob::pack(&network, kind)
        .map_err(|error| Error::input(&args.model, "model", error.to_string()))?;
    let mut spent = None;
    let kept = old.as_deref().and_then(|old| checked(old).regions());
    if let Some(asked) = asked {
        let found = asked.cover(checked(&words), &args.compute)?;
        words.extend(&found.words);
        spent = Some(found);
    } else if let Some(table) = kept {
        if table.model_crc() == words[CRC_WORD] {
            words.extend(table.words());
        } else {
            say(format_args!(
                "{}: certified regions are left out: they are not of the weights that are written",
                args.model.display()
            ));
        }
    }
    file::replace(&args.out, |out| {
        words.iter().try_for_each(|word| out.write_all(&word.to_le_bytes()))
    })?;
    let model = Model::from_words(&words).expect("pack checks what it makes");
    let mut sink = Sink::stdout();
    sink.write(|out| {
        writeln!(out, "{}", args.out.display())?;
        print_sizes(&model, out)?;
        if let Some(regions) = model.regions() {
            cover::print(&regions, out)?;
        }
        match &spent {
            Some(Cover { boxes, macs, .. }) => {
                writeln!(out, "    found by bounds over {boxes} boxes, {macs} multiply-adds")
            }
            None => Ok(()),
        }
    })?;
    sink.finish()?;
    Ok(Outcome::Proved)
}
