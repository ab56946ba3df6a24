//! `certus radius`: the largest certified radius of every sample.

use super::Outcome;
use super::options::{NormArg, parse_epsilon};
use super::samples::{RunArgs, Setup};
use crate::error::Result;
use crate::radius::Search;

/// Find the largest radius around each sample that certifies
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Find the radius to within this, in units of the data [default: linf 1e-6, l2 1e-4, l1 1e-3]
    #[arg(long, value_name = "T", value_parser = parse_epsilon, allow_hyphen_values = true,
        help_heading = "Question")]
    tolerance: Option<f64>,
    /// Try so many radii for a sample at most
    #[arg(long, value_name = "N", default_value_t = 60, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..), help_heading = "Question")]
    budget: u32,
    #[command(flatten)]
    run: RunArgs,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let (tolerance, start) = match args.run.norm {
        NormArg::Linf => (1e-6, 0.01),
        NormArg::L2 => (1e-4, 0.2),
        NormArg::L1 => (1e-3, 1.0),
    };
    let tolerance = args.tolerance.unwrap_or(tolerance);
    let search = Search { tolerance, budget: args.budget as usize, start };
    let options = [("tolerance", tolerance.to_string()), ("budget", args.budget.to_string())];
    let setup = Setup::new(&args.run)?;
    setup.run("radius", None, &options, |question, runner, index, x, label| {
        question.radius(runner, index, x, label, &search).0
    })
}
