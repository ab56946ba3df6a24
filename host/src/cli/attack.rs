//! `certus attack`: inputs of a ball around each sample with another answer.

use std::path::PathBuf;

use certus_engine::bounds::{self as engine, Options};
use clap::ValueEnum;

use super::Outcome;
use super::numbers::{parse_epsilon, parse_step};
use super::on_device::OnDevice;
use super::options::{Plan, name};
use super::samples::{RunArgs, Setup};
use super::witness::Witnesses;
use crate::attack::{Aim, Attack, DeepFool, Descent, Method};
use crate::error::{Error, Result};

/// Search the ball around each sample for an input with another answer
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Search up to this distance, in units of the data (after --scale, before --mean and --std)
    #[arg(long, value_name = "E", value_parser = parse_epsilon, allow_hyphen_values = true,
        help_heading = "Question")]
    epsilon: f64,
    /// Search by this method
    #[arg(long, value_enum, default_value = "pgd", help_heading = "Attack")]
    method: MethodArg,
    /// Take so many steps from each start [default: ifgsm 10, pgd 40, deepfool 50 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        allow_negative_numbers = true, help_heading = "Attack")]
    steps: Option<u32>,
    /// Start so often, first at the sample, then at random (pgd) [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        allow_negative_numbers = true, help_heading = "Attack")]
    restarts: Option<u32>,
    /// Make steps so long (ifgsm, and pgd at first) [default: 1.25 or 10 times E over the steps]
    #[arg(long, value_name = "S", value_parser = parse_step, allow_hyphen_values = true,
        help_heading = "Attack")]
    step: Option<f64>,
    /// Keep this share of the direction before, from 0 to below 1 [default: pgd 0.75, ifgsm 0]
    #[arg(long, value_name = "M", value_parser = parse_momentum, allow_hyphen_values = true,
        help_heading = "Attack")]
    momentum: Option<f32>,
    /// Aim at each other class in turn, with all starts (fgsm, ifgsm, pgd)
    #[arg(long, help_heading = "Attack")]
    targeted: bool,
    /// Draw random starts from this seed; a sample's do not depend on the others
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        help_heading = "Attack"
    )]
    seed: u64,
    /// Write the inputs found to this .npz (X, y, index, answer)
    #[arg(long, value_name = "FILE.npz", conflicts_with = "resume", help_heading = "Output")]
    witness: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

/// How inputs are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    /// One gradient step
    Fgsm,
    /// Gradient steps from the sample
    Ifgsm,
    /// Gradient steps from the sample and from random starts
    Pgd,
    /// Steps to the nearest boundary of the linearised network
    Deepfool,
}

/// Parses a momentum.
fn parse_momentum(text: &str) -> std::result::Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..1.0).contains(&value) { Ok(value) } else { Err("expected from 0 to below 1".into()) }
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let epsilon = args.epsilon;
    let attack = args.attack()?;
    let witnesses = Witnesses::new(args.witness.as_deref(), &args.run)?;
    let plan = Plan {
        method: name(args.method),
        stages: Vec::new(),
        on_device: (attack.method == Method::Pgd)
            .then_some(OnDevice::only(("pgd", Options::new(engine::Method::Ibp)))),
        attacks: vec![attack],
        local_boundary: false,
        semantics: "real",
        options: options(&attack),
    };
    let setup = Setup::new(&args.run, plan)?;
    let attack = Attack { clip: setup.question.inner, ..attack };
    let epsilons = [("epsilon", epsilon.to_string())];
    let done =
        setup.run("attack", Some(epsilon), None, &epsilons, |question, worker, index, x, label| {
            let (answer, witness) = attack.answer(question, worker, index, x, label, epsilon);
            witnesses.put(&answer.record, witness);
            answer
        });
    witnesses.end(setup.shape(), done)
}

/// What changes a result, for the manifest.
fn options(attack: &Attack) -> Vec<(&'static str, String)> {
    let descent = &attack.descent;
    if attack.method == Method::DeepFool {
        return vec![("steps", attack.deepfool.steps.to_string())];
    }
    let step = descent.step.map_or("default".to_owned(), |step| step.to_string());
    vec![
        ("steps", descent.steps.to_string()),
        ("restarts", descent.restarts.to_string()),
        ("step", step),
        ("momentum", descent.momentum.to_string()),
        ("targeted", (descent.aim == Aim::Each).to_string()),
        ("seed", descent.seed.to_string()),
    ]
}

impl Args {
    fn attack(&self) -> Result<Attack> {
        let (method, unused) = match self.method {
            MethodArg::Fgsm => (Method::Fgsm, &["steps", "restarts", "step", "momentum"][..]),
            MethodArg::Ifgsm => (Method::Ifgsm, &["restarts"][..]),
            MethodArg::Pgd => (Method::Pgd, &[][..]),
            MethodArg::Deepfool => {
                (Method::DeepFool, &["restarts", "step", "momentum", "targeted"][..])
            }
        };
        let given = [
            ("steps", self.steps.is_some()),
            ("restarts", self.restarts.is_some()),
            ("step", self.step.is_some()),
            ("momentum", self.momentum.is_some()),
            ("targeted", self.targeted),
        ];
        if let Some((option, _)) = given.iter().find(|(o, given)| *given && unused.contains(o)) {
            let message = format!("--{option} means nothing to --method {}", method.name());
            return Err(Error::Usage(message));
        }
        let usual = Attack::new(method);
        let steps = self.steps.map(|n| n as usize);
        let descent = Descent {
            steps: steps.unwrap_or(usual.descent.steps),
            step: self.step,
            momentum: self.momentum.unwrap_or(usual.descent.momentum),
            restarts: self.restarts.map_or(usual.descent.restarts, |n| n as usize),
            aim: if self.targeted { Aim::Each } else { usual.descent.aim },
            seed: self.seed,
            ..usual.descent
        };
        let steps = steps.unwrap_or(usual.deepfool.steps);
        Ok(Attack { descent, deepfool: DeepFool { steps, ..usual.deepfool }, ..usual })
    }
}
