//! The `certus` command, one file a subcommand.

mod attack;
mod bounds;
mod certify;
mod describe;
#[cfg(feature = "gpu")]
mod devices;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(not(feature = "gpu"))]
#[path = "no_gpu.rs"]
mod gpu;
mod inputs;
mod inspect;
mod merge;
mod message;
mod numbers;
mod on_device;
mod options;
mod pack;
mod plot;
#[cfg(feature = "gpu")]
mod profile;
mod radius;
mod regions;
mod samples;
mod stream;
mod verbose;
mod witness;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::error::Result;

/// Prove facts about small neural networks, soundly in floating point.
#[derive(Parser, Debug)]
#[command(name = "certus", version, about, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
Results go to standard output, progress and messages to standard error.
Exit codes: 0 all proved; 1 something falsified or misclassified; 2 something unknown; 3 timeout;
4 bad input, told in one line.

Example: certus radius digits.onnx --data digits.npz";

#[derive(Subcommand, Debug)]
enum Command {
    Certify(certify::Args),
    Radius(radius::Args),
    Attack(attack::Args),
    Bounds(bounds::Args),
    Inspect(inspect::Args),
    Pack(pack::Args),
    Plot(plot::Args),
    Merge(merge::Args),
    #[cfg(feature = "gpu")]
    Devices(devices::Args),
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
        Err(error) => return explain(&error),
    };
    match cli.command.run() {
        Ok(Outcome::Proved) => ExitCode::SUCCESS,
        Ok(Outcome::Falsified) => ExitCode::from(1),
        Ok(Outcome::Unknown) => ExitCode::from(2),
        Err(error) => {
            message::say(error);
            ExitCode::from(4)
        }
    }
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn explain(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is no reason to complain about the help not arriving.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(4)
        }
        _ => {
            let first = std::env::args().nth(1);
            let command = Cli::command();
            let subcommand = first.as_deref().and_then(|name| command.find_subcommand(name));
            message::say(message::usage(error, subcommand.map(clap::Command::get_name)));
            ExitCode::from(4)
        }
    }
}

impl Command {
    fn run(&self) -> Result<Outcome> {
        match self {
            Command::Certify(args) => certify::run(args),
            Command::Radius(args) => radius::run(args),
            Command::Attack(args) => attack::run(args),
            Command::Bounds(args) => bounds::run(args),
            Command::Inspect(args) => inspect::run(args),
            Command::Pack(args) => pack::run(args),
            Command::Plot(args) => plot::run(args),
            Command::Merge(args) => merge::run(args),
            #[cfg(feature = "gpu")]
            Command::Devices(args) => devices::run(args),
        }
    }
}
