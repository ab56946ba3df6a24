//! `certus certify`: one radius for every sample.

use super::Outcome;
use super::options::parse_epsilon;
use super::samples::{RunArgs, Setup};
use crate::error::Result;

/// Certify that the class stays the same in a ball of one radius around each sample
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Certify this radius, in units of the data (after --scale, before --mean and --std)
    #[arg(long, value_name = "E", value_parser = parse_epsilon, allow_hyphen_values = true,
        help_heading = "Question")]
    epsilon: f64,
    #[command(flatten)]
    run: RunArgs,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let epsilon = args.epsilon;
    let options = [("epsilon", epsilon.to_string())];
    let setup = Setup::new(&args.run)?;
    setup.run("certify", Some(epsilon), &options, |question, runner, index, x, label| {
        question.certify(runner, index, x, label, epsilon)
    })
}
