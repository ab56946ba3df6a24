//! `certus bounds`: ranges of the outputs over a region.

use std::path::{Path, PathBuf};

use certus_engine::bounds;
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;

use super::Outcome;
use super::inputs::{check_output, checked, read_blob};
use super::message::say;
use super::numbers::{LARGEST_END, down, numbers, parse_epsilon, parse_norm, up};
use super::options::{ComputeArgs, FormatArg, MethodArg, MethodArgs, OutArgs, name};
use crate::cpu::{Report, Runner};
use crate::dataset::{self, CsvLabels, Dataset};
use crate::error::{Error, Result};
use crate::report::ranges::{self, Range};
use crate::report::{Heading, Sink, file};
use crate::run::Progress;

/// Lines of a table that are listed one by one.
const TABLE_LINES: usize = 40;

/// Bound the outputs over a box, or over a ball around each row of a file
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER)]
#[command(override_usage = "certus bounds [OPTIONS] <MODEL> --box <LO> <HI>\n       \
    certus bounds [OPTIONS] <MODEL> --center <FILE> --epsilon <E>")]
pub struct Args {
    /// Read the network from this .onnx, .nnet, .npz or .certus file
    model: PathBuf,
    /// Bound over this box: lower ends and upper ends, each a,b,c or one value for all coordinates
    #[arg(long, num_args = 2, value_names = ["LO", "HI"], allow_hyphen_values = true,
        conflicts_with_all = ["center", "epsilon", "norm"], help_heading = "Region")]
    r#box: Option<Vec<String>>,
    /// Bound over a ball around each row of this file, which has no labels
    #[arg(long, value_name = "FILE", requires = "epsilon", help_heading = "Region")]
    center: Option<PathBuf>,
    /// Take this radius for the balls of --center
    #[arg(long, value_name = "E", value_parser = parse_epsilon, allow_hyphen_values = true,
        requires = "center", help_heading = "Region")]
    epsilon: Option<f64>,
    /// Measure distances in this norm: linf, l2, l1, or lP for a number P of at least 1 (l1.5, l3)
    #[arg(long, value_parser = parse_norm, default_value = "linf", allow_hyphen_values = true,
        help_heading = "Region")]
    norm: Norm,
    #[command(flatten)]
    method: MethodArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Bound every neuron before its activation too, each by the method itself
    #[arg(long)]
    layers: bool,
}

const AFTER: &str = "\
A JSON line or a row of the CSV is one range: index (the row of the centre), layer (absent for an
output of the network), output (or neuron), lower, upper (absent where nothing is proved), method,
epsilon and norm (absent for a box), semantics, backend.

Exit codes: 0 every output is bounded; 2 one is not; 4 bad input, told in one line.

Example: certus bounds pendulum.onnx --box -0.1,-0.5 0.1,0.5";

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    args.compute.without_gpu()?;
    if let Some(out) = &args.out.out {
        let inputs = [("MODEL", Some(args.model.as_path())), ("--center", args.center.as_deref())];
        check_output("--out", out, &inputs)?;
    }
    let distances = [MethodArg::Simplex, MethodArg::RegionSearch, MethodArg::DecisionBoundary];
    if distances.contains(&args.method.method) {
        let method = name(args.method.method);
        let message = format!("--method {method} is a distance, not bounds");
        return Err(Error::Usage(format!("{message}; expected another method")));
    }
    if args.method.engine().is_empty() {
        let method = name(args.method.method);
        let message = format!("--method {method} bounds margins of a classifier, not outputs");
        return Err(Error::Usage(format!("{message}; expected another method")));
    }
    let words = read_blob(&args.model, Ok)?;
    let model = checked(&words);
    let regions = Regions::read(args, &model)?;
    let ranges = args.compute.pool()?.install(|| all(args, model, &regions));
    let write = |out: &mut dyn std::io::Write| match args.out.format {
        FormatArg::Table => ranges::table(&ranges, &heading(args), TABLE_LINES, out),
        FormatArg::Jsonl => ranges.iter().try_for_each(|range| ranges::jsonl(range, out)),
        FormatArg::Csv => {
            writeln!(out, "{}", ranges::COLUMNS)?;
            ranges.iter().try_for_each(|range| ranges::csv(range, out))
        }
    };
    match &args.out.out {
        Some(out) => file::replace(out, write)?,
        None => {
            let mut sink = Sink::stdout();
            sink.write(write)?;
            sink.finish()?;
        }
    }
    let bounded = |r: &Range| r.layer.is_some() || (r.lower.is_some() && r.upper.is_some());
    Ok(if ranges.iter().all(bounded) { Outcome::Proved } else { Outcome::Unknown })
}

/// What is bounded over.
enum Regions<'a> {
    Box(Vec<f32>, Vec<f32>),
    Balls(&'a Path, Dataset, f64),
}

impl<'a> Regions<'a> {
    fn read(args: &'a Args, model: &Model<'_>) -> Result<Self> {
        if let Some(ends) = &args.r#box {
            let count = (model.inputs(), "inputs");
            let lo = numbers("--box", &ends[0], count, Some(LARGEST_END))?;
            let hi = numbers("--box", &ends[1], count, Some(LARGEST_END))?;
            if let Some(i) = (0..lo.len()).find(|&i| lo[i] > hi[i]) {
                let message = format!("--box from {} to {} in coordinate {i}", lo[i], hi[i]);
                return Err(Error::Usage(format!("{message}, expected LO not above HI")));
            }
            // Rounded outward, the box holds all that was asked for.
            let (lo, hi) = (lo.into_iter().map(down), hi.into_iter().map(up));
            return Ok(Regions::Box(lo.collect(), hi.collect()));
        }
        let (Some(center), Some(epsilon)) = (&args.center, args.epsilon) else {
            return Err(Error::Usage("expected --box LO HI, or --center FILE --epsilon E".into()));
        };
        let set = dataset::read_with(center, None, CsvLabels::None)?;
        if set.cols != model.inputs() {
            let (cols, inputs) = (set.cols, model.inputs());
            let message = format!("{cols} numbers a row, expected the model's {inputs} inputs");
            return Err(Error::input(center, "shape", message));
        }
        Ok(Regions::Balls(center, set, epsilon))
    }
}

/// The ranges over all regions.
fn all(args: &Args, model: Model<'_>, regions: &Regions<'_>) -> Vec<Range> {
    let portable = args.compute.is_portable();
    let mut runner = if portable { Runner::device(model) } else { Runner::new(model, true) };
    let mut each = |index: usize, place: &str, region: &Region<'_>| {
        let report = bound(args, &mut runner, region).unwrap_or_else(|error| {
            say(format_args!("{place}: no bounds: {error}"));
            nothing(&model)
        });
        ranges_of(args, index, &report)
    };
    match regions {
        Regions::Box(lo, hi) => each(0, "--box", &Region::Box { lo, hi }),
        Regions::Balls(file, set, epsilon) => {
            let progress = Progress::new(set.rows, 0);
            let rows = (0..set.rows).flat_map(|row| {
                let region = Region::ball(set.row(row), *epsilon, args.norm);
                let found = each(row, &format!("{}: row {row}", file.display()), &region);
                progress.tick();
                found
            });
            let found = rows.collect();
            progress.finish();
            found
        }
    }
}

/// What is known of a region where the engine refuses: nothing.
fn nothing(model: &Model<'_>) -> Report {
    let unbounded = |n: usize| vec![(f32::NEG_INFINITY, f32::INFINITY); n];
    Report {
        lower: vec![f32::NEG_INFINITY; 2 * model.outputs()],
        layers: model.layers().map(|layer| unbounded(layer.rows)).collect(),
        work: bounds::Work::default(),
    }
}

/// The best bounds that the method gives; those of a later one where an earlier is refused, for
/// tighter bounds may stay within range.
fn bound(
    args: &Args,
    runner: &mut Runner<'_>,
    region: &Region<'_>,
) -> std::result::Result<Report, bounds::Error> {
    let mut best: Option<Report> = None;
    let mut refused = bounds::Error::Spec;
    for options in args.method.engine() {
        let options = bounds::Options { every_neuron: args.layers, ..options };
        let found = match runner.report(region, &Spec::Outputs, &options) {
            Ok(found) => found,
            Err(error) => {
                refused = error;
                continue;
            }
        };
        best = Some(match best {
            None => found,
            Some(mut best) => {
                for (best, found) in best.lower.iter_mut().zip(&found.lower) {
                    *best = best.max(*found);
                }
                best.layers = found.layers;
                best
            }
        });
    }
    best.ok_or(refused)
}

/// A report's ranges, outputs first.
fn ranges_of(args: &Args, index: usize, report: &Report) -> Vec<Range> {
    // Adding zero takes the sign from a zero.
    let finite = |x: f32| x.is_finite().then_some(f64::from(x) + 0.0);
    let range = |layer: Option<usize>, output: usize, (lower, upper): (f32, f32)| Range {
        index,
        layer,
        output,
        lower: finite(lower),
        upper: finite(upper),
        method: name(args.method.method),
        epsilon: args.epsilon,
        norm: args.center.as_ref().map(|_| args.norm.to_string()),
        semantics: args.method.semantics_name().to_owned(),
        backend: name(args.compute.backend),
    };
    let outputs = report.lower.len() / 2;
    let ends = |i: usize| (report.lower[i], -report.lower[i + outputs]);
    let mut all: Vec<Range> = (0..outputs).map(|i| range(None, i, ends(i))).collect();
    if args.layers {
        for (k, neurons) in report.layers.iter().enumerate() {
            all.extend(neurons.iter().enumerate().map(|(i, ends)| range(Some(k), i, *ends)));
        }
    }
    all
}

fn heading(args: &Args) -> Heading {
    let file = |path: &Path| {
        path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
    };
    let data = match (&args.r#box, &args.center) {
        (Some(ends), _) => format!("box from {} to {}", ends[0], ends[1]),
        (None, center) => center.as_deref().map_or(String::new(), file),
    };
    Heading {
        model: file(&args.model),
        data,
        what: "bounds".to_owned(),
        norm: if args.center.is_some() { args.norm.to_string() } else { String::new() },
        epsilon: args.epsilon,
        method: name(args.method.method),
        semantics: args.method.semantics_name().to_owned(),
        backend: name(args.compute.backend),
    }
}
