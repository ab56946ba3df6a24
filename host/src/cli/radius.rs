//! `certus radius`: the largest certified radius of every sample.

use super::Outcome;
use super::options::{NormArg, parse_epsilon};
use super::samples::{RunArgs, Setup};
use crate::error::Result;
use crate::radius::Search;

/// Find the largest radius around each sample that certifies
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Bisect on multiples of this, in units of the data [default: 1e-5 linf, 1e-4 l2, 1e-3 l1]
    #[arg(long, value_name = "T", value_parser = parse_epsilon, allow_hyphen_values = true)]
    tolerance: Option<f64>,
    /// Most radii tried for a sample
    #[arg(long, value_name = "N", default_value_t = 60)]
    budget: usize,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let (tolerance, start) = match args.run.norm {
        NormArg::Linf => (1e-5, 0.01),
        NormArg::L2 => (1e-4, 0.2),
        NormArg::L1 => (1e-3, 1.0),
    };
    let tolerance = args.tolerance.unwrap_or(tolerance);
    let search = Search { tolerance, budget: args.budget, start };
    let options = [("tolerance", tolerance.to_string()), ("budget", args.budget.to_string())];
    let setup = Setup::new(&args.run)?;
    setup.run("radius", None, &options, |question, runner, index, x, label| {
        question.radius(runner, index, x, label, &search).0
    })
}
