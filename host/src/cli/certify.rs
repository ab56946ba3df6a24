//! `certus certify`: one radius for every sample.

use super::Outcome;
use super::options::parse_epsilon;
use super::samples::{RunArgs, Setup};
use crate::error::Result;

/// Certify samples: does the class stay the same in a ball around each?
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Radius of the ball, in units of the data (after --scale, before --mean and --std)
    #[arg(long, value_name = "E", value_parser = parse_epsilon, allow_hyphen_values = true)]
    epsilon: f64,
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
