//! `certus merge`: the parts of a sharded run as one.

use std::path::PathBuf;

use super::Outcome;
use super::message::note;
use super::samples::outcome;
use crate::error::Result;
use crate::run::merge;

/// Put the parts of a sharded run together
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Read these parts: outputs of --format jsonl, each with its manifest beside it
    #[arg(required = true)]
    parts: Vec<PathBuf>,
    /// Write the whole run to this file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Accept that rows are missing
    #[arg(long)]
    partial: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let records = merge(&args.parts, &args.out, args.partial)?;
    let (rows, parts) = (records.len(), args.parts.len());
    note(format_args!("{}: {rows} rows of {parts} parts", args.out.display()));
    Ok(outcome(&records))
}
