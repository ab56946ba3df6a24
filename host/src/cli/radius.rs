//! `certus radius`: the largest certified radius of every sample.

use certus_engine::region::Norm;

use super::Outcome;
use super::numbers::parse_epsilon;
use super::options::{Ask, MethodArg, MethodArgs};
use super::samples::{RunArgs, Setup};
use super::witness::{AttackArgs, Witnesses};
use crate::attack::Nearest;
use crate::error::{Error, Result};
use crate::geometry::exact;
use crate::radius::Search;

/// Find the largest radius around each sample that certifies
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Find the radius to within this, in units of the data [default: l1 1e-3, up to l2 1e-4, beyond
    /// 1e-6]
    #[arg(long, value_name = "T", value_parser = parse_epsilon, allow_hyphen_values = true,
        help_heading = "Question")]
    tolerance: Option<f64>,
    /// Try so many radii for a sample at most
    #[arg(long, value_name = "N", default_value_t = 60, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..), help_heading = "Question")]
    budget: u32,
    /// Prove the exact distance of the nearest other answer where it lies in the sample's linear
    /// region, and say for how many it does
    #[arg(long, conflicts_with = "attack", help_heading = "Question")]
    exact: bool,
    #[command(flatten)]
    method: MethodArgs,
    #[command(flatten)]
    attack: AttackArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Args {
    /// The method, the simplex certificate where the exact distance is asked for.
    fn method(&self, exact: bool) -> Result<MethodArgs> {
        let method = match self.method.method {
            MethodArg::Auto if exact => MethodArg::Simplex,
            method => method,
        };
        if exact && method != MethodArg::Simplex {
            let message = "--exact needs --method simplex, whose distances can be exact";
            return Err(Error::Usage(message.to_owned()));
        }
        Ok(MethodArgs { method, ..self.method.clone() })
    }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let (tolerance, start) = match args.run.norm {
        Norm::L1 => (1e-3, 1.0),
        norm if norm.wider() == Norm::L2 => (1e-4, 0.2),
        _ => (1e-6, 0.01),
    };
    let tolerance = args.tolerance.unwrap_or(tolerance);
    let search = Search { tolerance, budget: args.budget as usize, start };
    let mut options =
        vec![("tolerance", tolerance.to_string()), ("budget", args.budget.to_string())];
    let mut plan = args.method(args.exact)?.plan(args.run.ask(Ask::Radius))?;
    args.attack.check(args.exact)?;
    if args.exact && args.run.compute.is_gpu() {
        let message = "--exact: expected --backend cpu, no GPU knows exact distances";
        return Err(Error::Usage(message.to_owned()));
    }
    let witnesses = Witnesses::new(args.attack.witness.as_deref(), &args.run)?;
    if args.exact {
        options.push(("exact", "true".to_owned()));
    }
    if args.attack.attack {
        options.push(("attack", "nearest".to_owned()));
        plan.method = format!("{} and attack", plan.method);
    }
    let setup = Setup::new(&args.run, plan)?;
    let nearest = Nearest::default();
    let done =
        setup.run("radius", None, Some(&search), &options, |question, worker, index, x, label| {
            let mut answer = question.radius(worker, index, x, label, &search).0;
            if args.exact {
                let witness = exact(question, worker, x, &mut answer);
                witnesses.put(&answer.record, witness);
            } else if args.attack.attack {
                let witness = nearest.bracket(question, worker, x, &mut answer);
                witnesses.put(&answer.record, witness);
            }
            answer
        });
    witnesses.end(setup.shape(), done)
}
