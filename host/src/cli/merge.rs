//! `certus merge`: the parts of a sharded run as one.

use std::path::PathBuf;

use super::Outcome;
use super::samples::outcome;
use crate::error::Result;
use crate::run::merge;

/// Put the parts of a sharded run together
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The parts: outputs of --format jsonl with their manifests beside them
    #[arg(required = true)]
    parts: Vec<PathBuf>,
    /// Where the whole goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Accept that rows are missing
    #[arg(long)]
    partial: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let records = merge(&args.parts, &args.out, args.partial)?;
    eprintln!("{}: {} rows of {} parts", args.out.display(), records.len(), args.parts.len());
    Ok(outcome(&records))
}
