//! Options that several subcommands share, and what they mean to the engine.

use std::path::PathBuf;
use std::sync::Arc;

use certus_engine::bounds::{Method, Options, Semantics, Tighten};
use certus_engine::relax::LowerSlope;
use clap::ValueEnum;

use super::on_device::OnDevice;
use crate::alpha::Settings;
use crate::attack::Attack;
use crate::error::{Error, Result};
use crate::offline::{dual, lp, sdp};
use crate::plan::{
    self, AlphaCrown, CrownQuad, FastLip, GradCert, LinearProgram, RegionSearch, Semidefinite,
    SharedStage, Sieve, Simplex, propagation,
};

/// How bounds are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MethodArg {
    /// The cheapest first: crown, ended early where less proves enough; certify leaves what stays open
    /// to a short pgd, then alpha-crown
    Auto,
    /// Interval bound propagation
    Ibp,
    /// Intervals inside, one back-substitution of the margins
    CrownIbp,
    /// Back-substitution with the same slope on both sides
    FastLin,
    /// Back-substitution with the tighter lower slope of each neuron
    Crown,
    /// CROWN, then its slopes optimised while a margin is open
    AlphaCrown,
    /// The dual of the margins' linear program, climbed: CROWN's slopes optimised, its bounds inside
    Dual,
    /// The layer-wise relaxation solved as a linear program, see --lp
    Lp,
    /// The semidefinite relaxation, which ties neurons to one another, see --inside
    Sdp,
    /// Linear functions of the input carried forward
    Forward,
    /// Linear functions carried forward inside, one back-substitution of the margins
    ForwardBackward,
    /// CROWN with the slopes that a convex quadratic program finds, of networks with one hidden layer
    CrownQuad,
    /// Bounds of the local Lipschitz constants, for comparison
    FastLip,
    /// A bound of the gradient at all inputs, by a semidefinite program, of networks with one hidden layer, for
    /// comparison
    GradCert,
    /// Distance to the nearest face of the sample's linear region
    Simplex,
    /// Distance over neighbouring linear regions, up to --regions of them
    RegionSearch,
    /// Distance by all activation patterns within it, of networks with one hidden layer
    DecisionBoundary,
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

/// What linear programs are solved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LpArg {
    /// The margins alone, from CROWN's bounds inside (LP-LAST)
    Last,
    /// Where that leaves one open, also both ends of each unstable neuron (LP-ALL)
    All,
}

/// Where a semidefinite program has its pre-activation bounds from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InsideArg {
    /// Interval bound propagation
    Ibp,
    /// CROWN
    Crown,
    /// CROWN with its slopes optimised, which also settles what it can
    AlphaCrown,
}

/// What the proof covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SemanticsArg {
    /// The network in real arithmetic, on every real input
    Real,
    /// Also its f32 forward pass, which rounds, on every f32 input
    Deployed,
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendArg {
    /// The cores of this machine
    Cpu,
    /// The same bits as on every device: plain loops, a row at a time
    Portable,
    /// The first GPU of certus devices, for intervals, CROWN and its kin, simplex and pgd; the cores take what
    /// that leaves open
    Gpu,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// A summary for people
    Table,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values under a header
    Csv,
}

/// What computes, and on how much of it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Method")]
pub struct ComputeArgs {
    /// Compute on this
    #[arg(long, value_enum, default_value = "cpu")]
    pub backend: BackendArg,
    /// Use so many threads [default: one a core]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024),
        allow_negative_numbers = true)]
    pub threads: Option<u16>,
}

/// Method, slope and semantics.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Method")]
pub struct MethodArgs {
    /// Find bounds by this method
    #[arg(long, value_enum, default_value = "auto")]
    pub method: MethodArg,
    /// Take this lower slope for an unstable neuron (all with linear functions but fast-lin)
    #[arg(long, value_name = "SLOPE", value_enum, default_value = "adaptive")]
    pub lower_slope: SlopeArg,
    /// Solve linear programs for these (lp)
    #[arg(long, value_name = "WHICH", value_enum, default_value = "all")]
    pub lp: LpArg,
    /// Take pre-activation bounds of this method (sdp)
    #[arg(long, value_name = "METHOD", value_enum, default_value = "alpha-crown")]
    pub inside: InsideArg,
    /// Search so many linear regions for a sample at most (region-search)
    #[arg(long, value_name = "N", default_value_t = 1000, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub regions: u32,
    /// Prove facts about this reading of the network
    #[arg(long, value_enum, default_value = "real")]
    pub semantics: SemanticsArg,
}

/// Where results go, and how they are written.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutArgs {
    /// Write results in this form
    #[arg(long, value_enum, default_value = "table")]
    pub format: FormatArg,
    /// Write results to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
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

    /// The engine's semantics.
    pub fn semantics(&self) -> Semantics {
        match self.semantics {
            SemanticsArg::Real => Semantics::Real,
            SemanticsArg::Deployed => Semantics::Deployed,
        }
    }

    /// The engine's options for one of its methods.
    pub fn options(&self, method: Method) -> Options {
        let semantics = self.semantics();
        let lower = match self.lower_slope {
            SlopeArg::Adaptive => LowerSlope::Adaptive,
            SlopeArg::Zero => LowerSlope::Zero,
            SlopeArg::One => LowerSlope::One,
            SlopeArg::Same => LowerSlope::SameAsUpper,
        };
        Options { semantics, lower, ..Options::new(method) }
    }

    /// The engine's options for `certus bounds`, whose best bounds count; none for a method that does
    /// not bound outputs.
    pub fn engine(&self) -> Vec<Options> {
        let tighten = Tighten::Cheapest;
        let method = match self.method {
            MethodArg::Auto => {
                let crown = Options { tighten, ..self.options(Method::Crown) };
                return vec![self.options(Method::Ibp), crown];
            }
            MethodArg::Ibp => Method::Ibp,
            MethodArg::CrownIbp => Method::CrownIbp,
            MethodArg::FastLin => Method::FastLin,
            MethodArg::Crown => Method::Crown,
            MethodArg::Forward => Method::Forward,
            MethodArg::ForwardBackward => Method::ForwardBackward,
            _ => return Vec::new(),
        };
        vec![self.options(method)]
    }

    /// The methods to try, in order; but for the one that needs the network, which comes with the
    /// samples.
    fn stages(&self, ask: Ask) -> Vec<SharedStage> {
        let crown = self.options(Method::Crown);
        let bounds = |name, method| vec![propagation(name, self.options(method))];
        match self.method {
            MethodArg::Auto if ask == Ask::Ball => plan::auto(crown),
            MethodArg::Auto => vec![plan::early(crown)],
            MethodArg::Ibp => bounds("ibp", Method::Ibp),
            MethodArg::CrownIbp => bounds("crown-ibp", Method::CrownIbp),
            MethodArg::FastLin => bounds("fast-lin", Method::FastLin),
            MethodArg::Crown => bounds("crown", Method::Crown),
            MethodArg::AlphaCrown => {
                vec![Arc::new(AlphaCrown { crown, settings: Settings::default() })]
            }
            MethodArg::Dual => {
                let settings = Settings { give_up: ask == Ask::Radius, ..dual::settings() };
                vec![Arc::new(AlphaCrown { crown, settings })]
            }
            MethodArg::Lp => {
                let settings = lp::Settings { all: self.lp == LpArg::All };
                let program = LinearProgram { crown, settings, start: lp::clarabel };
                let mut stages = bounds("crown", Method::Crown);
                if ask == Ask::Ball {
                    stages.push(Arc::new(Sieve::default()));
                }
                stages.push(Arc::new(program));
                stages
            }
            MethodArg::Sdp => self.semidefinite(ask),
            MethodArg::Forward => bounds("forward", Method::Forward),
            MethodArg::ForwardBackward => bounds("forward-backward", Method::ForwardBackward),
            MethodArg::CrownQuad => vec![Arc::new(CrownQuad)],
            MethodArg::FastLip => vec![Arc::new(FastLip)],
            MethodArg::GradCert => vec![Arc::new(GradCert)],
            MethodArg::Simplex => vec![Arc::new(Simplex { semantics: self.semantics() })],
            MethodArg::RegionSearch => {
                vec![Arc::new(RegionSearch { regions: self.regions as usize })]
            }
            MethodArg::DecisionBoundary => Vec::new(),
        }
    }

    /// The stages that end in a semidefinite program.
    fn semidefinite(&self, ask: Ask) -> Vec<SharedStage> {
        let (name, method) = match self.inside {
            InsideArg::Ibp => ("ibp", Method::Ibp),
            InsideArg::Crown | InsideArg::AlphaCrown => ("crown", Method::Crown),
        };
        let inside = self.options(method);
        let mut stages = vec![propagation(name, inside)];
        if ask == Ask::Ball {
            stages.push(Arc::new(Sieve::default()));
        }
        if self.inside == InsideArg::AlphaCrown {
            stages.push(Arc::new(AlphaCrown { crown: inside, settings: Settings::default() }));
        }
        stages.push(Arc::new(Semidefinite { inside, start: sdp::interior }));
        stages
    }

    /// What a GPU can take over.
    fn on_device(&self, ask: Ask) -> Option<OnDevice> {
        let only = |name, options| Some(OnDevice::only((name, options)));
        let method = |name, method| only(name, self.options(method));
        let search = |name, options, apart| {
            // As `plan::auto`, where that is one stage of several.
            let slopes = Some(Settings { give_up: apart, ..Settings::default() });
            Some(OnDevice { method: (name, options), slopes, apart })
        };
        let crown = self.options(Method::Crown);
        // As the cores do it where they take over.
        let early = Options { early: true, ..crown };
        match self.method {
            MethodArg::Auto if ask == Ask::Ball => search("crown", early, true),
            MethodArg::Auto => only("crown", early),
            MethodArg::AlphaCrown => search("alpha-crown", crown, false),
            MethodArg::Dual => {
                let (method, slopes) = (("dual", crown), Some(dual::settings()));
                Some(OnDevice { method, slopes, apart: false })
            }
            // The largest radius that CROWN certifies is not the program's.
            MethodArg::Lp if ask == Ask::Ball => method("crown", Method::Crown),
            MethodArg::Sdp if ask == Ask::Ball && self.inside == InsideArg::Ibp => {
                method("ibp", Method::Ibp)
            }
            MethodArg::Sdp if ask == Ask::Ball => method("crown", Method::Crown),
            MethodArg::Crown => method("crown", Method::Crown),
            MethodArg::CrownIbp => method("crown-ibp", Method::CrownIbp),
            MethodArg::FastLin => method("fast-lin", Method::FastLin),
            MethodArg::Ibp => method("ibp", Method::Ibp),
            // Of its options the semantics count.
            MethodArg::Simplex => method("simplex", Method::Crown),
            _ => None,
        }
    }

    /// These as a run's plan.
    ///
    /// # Errors
    /// A method that does not know the semantics asked for.
    pub fn plan(&self, ask: Ask) -> Result<Plan> {
        let real_only = [
            MethodArg::CrownQuad,
            MethodArg::FastLip,
            MethodArg::GradCert,
            MethodArg::RegionSearch,
            MethodArg::DecisionBoundary,
        ];
        if real_only.contains(&self.method) && self.semantics == SemanticsArg::Deployed {
            let method = name(self.method);
            let message = format!("--method {method} proves facts about real semantics only");
            return Err(Error::Usage(message));
        }
        let mut options = vec![("semantics", self.semantics_name().to_owned())];
        if self.lower_slope != SlopeArg::Adaptive {
            options.push(("lower-slope", name(self.lower_slope)));
        }
        if self.method == MethodArg::Lp {
            options.push(("lp", name(self.lp)));
        }
        if self.method == MethodArg::Sdp {
            options.push(("inside", name(self.inside)));
        }
        if self.method == MethodArg::RegionSearch {
            options.push(("regions", self.regions.to_string()));
        }
        Ok(Plan {
            method: name(self.method),
            stages: self.stages(ask),
            on_device: self.on_device(ask),
            attacks: match self.method {
                MethodArg::Auto | MethodArg::Lp | MethodArg::Sdp if ask == Ask::Ball => {
                    vec![Sieve::default().attack]
                }
                _ => Vec::new(),
            },
            local_boundary: self.method == MethodArg::DecisionBoundary,
            semantics: self.semantics_name(),
            options,
        })
    }
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// One radius.
    Ball,
    /// The largest radius.
    Radius,
    /// Either, as on a device.
    Device,
}

/// How a run over samples answers.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The method asked for, by its name.
    pub method: String,
    /// The methods that prove, in order.
    pub stages: Vec<SharedStage>,
    /// What a GPU can take over of them.
    pub on_device: Option<OnDevice>,
    /// Attacks on what that leaves open, which a GPU can take over too.
    pub attacks: Vec<Attack>,
    /// Whether the decision-boundary certificate is one of them.
    pub local_boundary: bool,
    /// `real` or `deployed`.
    pub semantics: &'static str,
    /// What else changes a result, for the manifest.
    pub options: Vec<(&'static str, String)>,
}

impl Plan {
    /// Whether nothing is proved, but only attacked.
    pub fn is_attack(&self) -> bool {
        self.stages.is_empty() && !self.local_boundary
    }
}

impl ComputeArgs {
    /// Whether a device's bits are asked for.
    pub fn is_portable(&self) -> bool {
        self.backend == BackendArg::Portable
    }

    /// Whether a GPU is asked for.
    pub fn is_gpu(&self) -> bool {
        self.backend == BackendArg::Gpu
    }

    /// The backend's name in records.
    pub fn backend_name(&self) -> &'static str {
        match self.backend {
            BackendArg::Cpu => "cpu",
            BackendArg::Portable => "portable",
            // What a GPU computes is told in its name.
            BackendArg::Gpu => "cpu",
        }
    }

    /// Refuses a GPU, for what none computes.
    ///
    /// # Errors
    /// Where one is asked for.
    pub fn without_gpu(&self) -> Result<()> {
        if self.is_gpu() {
            let message = "--backend gpu: expected certus certify, radius or attack";
            return Err(Error::Usage(message.to_owned()));
        }
        Ok(())
    }

    /// A pool of as many threads as asked for.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn pool(&self) -> Result<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.map_or(0, usize::from))
            .build()
            .map_err(|error| Error::Usage(format!("cannot start threads: {error}")))
    }
}
