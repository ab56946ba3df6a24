//! Options that several subcommands share, and what they mean to the engine.

use certus_engine::bounds::{Method, Options, Semantics};
use certus_engine::region::Norm;
use certus_engine::relax::LowerSlope;
use clap::ValueEnum;

use crate::error::{Error, Result};
use crate::question::Stage;

/// Norm of the ball.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NormArg {
    /// Largest absolute value
    Linf,
    /// Euclidean
    L2,
    /// Sum of absolute values
    L1,
}

impl NormArg {
    /// The engine's norm.
    pub fn norm(self) -> Norm {
        match self {
            NormArg::Linf => Norm::Linf,
            NormArg::L2 => Norm::L2,
            NormArg::L1 => Norm::L1,
        }
    }
}

/// How bounds are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MethodArg {
    /// Cheapest first: ibp, then crown for what it leaves open
    Auto,
    /// Interval bound propagation
    Ibp,
    /// Intervals inside, one back-substitution of the margins
    CrownIbp,
    /// Back-substitution with the same slope on both sides
    FastLin,
    /// Back-substitution with the tighter lower slope of each neuron
    Crown,
}

/// Lower slope of an unstable neuron in CROWN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SlopeArg {
    /// 1 or 0, whichever line is closer to the neuron
    Adaptive,
    /// Always 0
    Zero,
    /// Always 1
    One,
    /// The upper line's
    Same,
}

/// What the proof covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SemanticsArg {
    /// The network in real arithmetic
    Real,
    /// Also its f32 forward pass as it rounds
    Deployed,
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendArg {
    /// All cores of this machine
    Cpu,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// For people
    Table,
    /// A JSON object a line
    Jsonl,
    /// Comma-separated values
    Csv,
}

/// Method, slope and semantics.
#[derive(Clone, Debug, clap::Args)]
pub struct MethodArgs {
    /// How bounds are found
    #[arg(long, value_enum, default_value = "auto")]
    pub method: MethodArg,
    /// Lower slope of an unstable neuron (crown and crown-ibp)
    #[arg(long, value_enum, default_value = "adaptive")]
    pub lower_slope: SlopeArg,
    /// What the proof covers
    #[arg(long, value_enum, default_value = "real")]
    pub semantics: SemanticsArg,
    /// What computes
    #[arg(long, value_enum, default_value = "cpu")]
    pub backend: BackendArg,
    /// Threads; all cores if absent
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// The name of a value on the command line.
pub fn name<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

impl MethodArgs {
    /// `real` or `deployed`.
    pub fn semantics_name(&self) -> &'static str {
        match self.semantics {
            SemanticsArg::Real => "real",
            SemanticsArg::Deployed => "deployed",
        }
    }

    /// The engine's options for one of its methods.
    pub fn options(&self, method: Method) -> Options {
        let semantics = match self.semantics {
            SemanticsArg::Real => Semantics::Real,
            SemanticsArg::Deployed => Semantics::Deployed,
        };
        let lower = match self.lower_slope {
            SlopeArg::Adaptive => LowerSlope::Adaptive,
            SlopeArg::Zero => LowerSlope::Zero,
            SlopeArg::One => LowerSlope::One,
            SlopeArg::Same => LowerSlope::SameAsUpper,
        };
        Options { semantics, lower, ..Options::new(method) }
    }

    /// The methods to try, in order.
    pub fn stages(&self) -> Vec<Stage> {
        let stage = |name, method| Stage { name, options: self.options(method) };
        match self.method {
            MethodArg::Auto => vec![stage("ibp", Method::Ibp), stage("crown", Method::Crown)],
            MethodArg::Ibp => vec![stage("ibp", Method::Ibp)],
            MethodArg::CrownIbp => vec![stage("crown-ibp", Method::CrownIbp)],
            MethodArg::FastLin => vec![stage("fast-lin", Method::FastLin)],
            MethodArg::Crown => vec![stage("crown", Method::Crown)],
        }
    }

    /// A pool of as many threads as asked for.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn pool(&self) -> Result<rayon::ThreadPool> {
        if self.threads == Some(0) {
            return Err(Error::Usage("--threads 0, expected at least 1".into()));
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.unwrap_or(0))
            .build()
            .map_err(|error| Error::Usage(format!("cannot start threads: {error}")))
    }
}

/// Largest radius accepted: far above any input's scale, far below where f32 bounds overflow.
pub const LARGEST_EPSILON: f64 = 1e12;

/// Parses a radius: finite, positive, not huge.
///
/// # Errors
/// A text that says so, for the argument parser.
pub fn parse_epsilon(text: &str) -> std::result::Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if value > 0.0 && value <= LARGEST_EPSILON {
        Ok(value)
    } else {
        Err(format!("expected a radius above 0 and at most {LARGEST_EPSILON:e}"))
    }
}
