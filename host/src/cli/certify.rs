//! `certus certify`: one radius for every sample.

use super::Outcome;
use super::numbers::parse_epsilon;
use super::options::{Ask, MethodArgs};
use super::samples::{RunArgs, Setup};
use super::witness::{AttackArgs, Witnesses};
use crate::attack::{Attack, Method};
use crate::error::Result;

/// Certify that the class stays the same in a ball of one radius around each sample
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Certify this radius, in units of the data (after --scale, before --mean and --std)
    #[arg(long, value_name = "E", value_parser = parse_epsilon, allow_hyphen_values = true,
        help_heading = "Question")]
    epsilon: f64,
    #[command(flatten)]
    method: MethodArgs,
    #[command(flatten)]
    attack: AttackArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let epsilon = args.epsilon;
    let mut options = vec![("epsilon", epsilon.to_string())];
    let mut plan = args.method.plan(args.run.ask(Ask::Ball))?;
    args.attack.check(false)?;
    let witnesses = Witnesses::new(args.attack.witness.as_deref(), &args.run)?;
    if args.attack.attack {
        options.push(("attack", Method::Pgd.name().to_owned()));
        plan.method = format!("{}, then {}", plan.method, Method::Pgd.name());
        plan.attacks.push(Attack::new(Method::Pgd));
    }
    let setup = Setup::new(&args.run, plan)?;
    let attack = Attack { clip: setup.question.inner, ..Attack::new(Method::Pgd) };
    let done =
        setup.run("certify", Some(epsilon), None, &options, |question, worker, index, x, label| {
            let mut answer = question.certify(worker, index, x, label, epsilon);
            let mut witness = answer.witness.take();
            if args.attack.attack && witness.is_none() {
                witness = attack.escalate(question, worker, x, epsilon, &mut answer);
            }
            witnesses.put(&answer.record, witness);
            answer
        });
    witnesses.end(setup.shape(), done)
}
