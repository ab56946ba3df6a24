//! `certus bounds`: ranges of the outputs over a region.

use std::io::{self, Write};
use std::path::PathBuf;

use certus_engine::model::Model;
use certus_engine::region::Region;
use certus_engine::spec::Spec;
use serde::Serialize;

use super::Outcome;
use super::inputs::read_blob;
use super::options::{FormatArg, MethodArgs, NormArg, name, parse_epsilon};
use crate::cpu::{Report, Runner};
use crate::dataset::{self, CsvLabels};
use crate::error::{Error, Result};
use crate::report::Sink;

/// Bound the outputs over a box or over balls
#[derive(clap::Args, Debug)]
pub struct Args {
    /// .onnx, .nnet, .npz or .certus
    model: PathBuf,
    /// A box: lower ends, then upper ends, comma-separated; one value stands for all coordinates
    #[arg(long, num_args = 2, value_names = ["LO", "HI"], allow_hyphen_values = true,
        required_unless_present = "center", conflicts_with_all = ["center", "epsilon"])]
    r#box: Option<Vec<String>>,
    /// Centres of balls: a data file without labels
    #[arg(long, value_name = "FILE", requires = "epsilon")]
    center: Option<PathBuf>,
    /// Radius of the balls
    #[arg(long, value_name = "E", value_parser = parse_epsilon, allow_hyphen_values = true)]
    epsilon: Option<f64>,
    /// Norm of the balls
    #[arg(long, value_enum, default_value = "linf")]
    norm: NormArg,
    #[command(flatten)]
    method: MethodArgs,
    /// Show the pre-activation bounds of every layer too, every neuron back-substituted
    #[arg(long)]
    layers: bool,
    /// How results are written
    #[arg(long, value_enum, default_value = "table")]
    format: FormatArg,
    /// Write results here instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// One line of output: a range, and what it is of.
#[derive(Serialize)]
struct Line<'a> {
    index: usize,
    layer: Option<usize>,
    output: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    method: &'a str,
    semantics: &'a str,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let words = read_blob(&args.model, Ok)?;
    let model = Model::from_words(&words)
        .map_err(|error| Error::input(&args.model, "blob", error.to_string()))?;
    let mut runner = args.method.pool()?.install(|| Runner::new(model, true));
    let mut sink = args.out.as_deref().map_or_else(|| Ok(Sink::stdout()), Sink::create)?;
    let mut all_bounded = true;
    let mut each = |index: usize, region: &Region<'_>, place: &str| -> Result<()> {
        let report = bound(args, &mut runner, region)
            .map_err(|error| Error::Usage(format!("{place}: {error}")))?;
        all_bounded &= report.lower.iter().all(|x| x.is_finite());
        sink.write(|out| match args.format {
            FormatArg::Table => table(index, place, &report, out),
            _ => lines(args, index, &report, out),
        })
    };
    if let Some(ends) = &args.r#box {
        let (lo, hi) = (ends_of(&ends[0], model.inputs())?, ends_of(&ends[1], model.inputs())?);
        each(0, &Region::Box { lo: &lo, hi: &hi }, "--box")?;
    }
    if let (Some(center), Some(epsilon)) = (&args.center, args.epsilon) {
        let set = dataset::read_with(center, None, CsvLabels::None)?;
        if set.cols != model.inputs() {
            let message =
                format!("{} numbers a row, the model has {} inputs", set.cols, model.inputs());
            return Err(Error::input(center, "shape", message));
        }
        for row in 0..set.rows {
            let region = Region::ball(set.row(row), epsilon, args.norm.norm());
            each(row, &region, &format!("{} row {row}", center.display()))?;
        }
    }
    sink.finish()?;
    Ok(if all_bounded { Outcome::Proved } else { Outcome::Unknown })
}

/// The best bounds of all the method's stages.
fn bound(
    args: &Args,
    runner: &mut Runner<'_>,
    region: &Region<'_>,
) -> std::result::Result<Report, certus_engine::bounds::Error> {
    let mut best: Option<Report> = None;
    for stage in args.method.stages() {
        let options = certus_engine::bounds::Options { every_neuron: args.layers, ..stage.options };
        let found = runner.report(region, &Spec::Outputs, &options)?;
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
    best.ok_or(certus_engine::bounds::Error::Spec)
}

/// `1,2,3`, or one value for all coordinates.
fn ends_of(text: &str, inputs: usize) -> Result<Vec<f32>> {
    let values = text
        .split(',')
        .map(|part| part.trim().parse::<f32>().ok().filter(|x| x.is_finite()))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::Usage(format!("--box '{text}', expected finite numbers a,b,c")))?;
    match values.len() {
        1 => Ok(vec![values[0]; inputs]),
        n if n == inputs => Ok(values),
        n => Err(Error::Usage(format!("--box has {n} coordinates, the model has {inputs} inputs"))),
    }
}

fn table(index: usize, place: &str, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let outputs = report.lower.len() / 2;
    if index > 0 {
        writeln!(out)?;
    }
    writeln!(out, "{place}")?;
    writeln!(out, "  {:>6}  {:>14}  {:>14}", "output", "lower", "upper")?;
    for i in 0..outputs {
        writeln!(out, "  {i:>6}  {:>14.6}  {:>14.6}", report.lower[i], -report.lower[i + outputs])?;
    }
    if report.layers.is_empty() {
        return Ok(());
    }
    writeln!(out, "  pre-activations: neurons inactive, active, unstable; widest range")?;
    for (k, ends) in report.layers.iter().enumerate() {
        let inactive = ends.iter().filter(|(_, hi)| *hi <= 0.0).count();
        let active = ends.iter().filter(|(lo, _)| *lo >= 0.0).count();
        let width = ends.iter().fold(0.0f32, |w, (lo, hi)| w.max(hi - lo));
        let unstable = ends.len() - inactive - active;
        writeln!(out, "  layer {k:>3}  {inactive:>7} {active:>7} {unstable:>7}  {width:>14.6}")?;
    }
    Ok(())
}

fn lines(args: &Args, index: usize, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let outputs = report.lower.len() / 2;
    let method = name(args.method.method);
    let finite = |x: f32| x.is_finite().then_some(x);
    let mut put = |layer: Option<usize>, output: usize, lower: f32, upper: f32| {
        let semantics = args.method.semantics_name();
        let (lower, upper) = (finite(lower), finite(upper));
        let line = Line { index, layer, output, lower, upper, method: &method, semantics };
        if args.format == FormatArg::Csv {
            let text = |x: Option<f32>| x.map_or(String::new(), |x| x.to_string());
            let layer = layer.map_or(String::new(), |k| k.to_string());
            let (lower, upper) = (text(lower), text(upper));
            writeln!(out, "{index},{layer},{output},{lower},{upper},{method},{semantics}")
        } else {
            writeln!(out, "{}", serde_json::to_string(&line).map_err(io::Error::from)?)
        }
    };
    for i in 0..outputs {
        put(None, i, report.lower[i], -report.lower[i + outputs])?;
    }
    if args.layers {
        for (k, ends) in report.layers.iter().enumerate() {
            for (i, (lo, hi)) in ends.iter().enumerate() {
                put(Some(k), i, *lo, *hi)?;
            }
        }
    }
    Ok(())
}
