//! The `certus` command, one file a subcommand.

mod bounds;
mod certify;
mod inputs;
mod inspect;
mod merge;
mod options;
mod pack;
mod radius;
mod samples;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;

/// Proves facts about small neural networks, soundly in floating point.
#[derive(Parser, Debug)]
#[command(name = "certus", version, about, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
Results go to standard output, progress and messages to standard error.
Exit codes: 0 all proved, 1 something falsified, 2 something unknown, 3 timeout, 4 bad input.";

#[derive(Subcommand, Debug)]
enum Command {
    Certify(certify::Args),
    Radius(radius::Args),
    Bounds(bounds::Args),
    Inspect(inspect::Args),
    Pack(pack::Args),
    Merge(merge::Args),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything asked was proved, or there was nothing to prove.
    Proved,
    /// A concrete input violates what was asked, or the answer at a sample is wrong.
    Falsified,
    /// Something is neither.
    Unknown,
}

/// Runs the command line; gives the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            // A closed pipe is no reason to complain about the message not arriving.
            let _ = error.print();
            return ExitCode::from(if usage { 4 } else { 0 });
        }
    };
    match cli.command.run() {
        Ok(Outcome::Proved) => ExitCode::SUCCESS,
        Ok(Outcome::Falsified) => ExitCode::from(1),
        Ok(Outcome::Unknown) => ExitCode::from(2),
        Err(error) => {
            eprintln!("certus: {error}");
            ExitCode::from(4)
        }
    }
}

impl Command {
    fn run(&self) -> Result<Outcome> {
        match self {
            Command::Certify(args) => certify::run(args),
            Command::Radius(args) => radius::run(args),
            Command::Bounds(args) => bounds::run(args),
            Command::Inspect(args) => inspect::run(args),
            Command::Pack(args) => pack::run(args),
            Command::Merge(args) => merge::run(args),
        }
    }
}
