//! `certus plot`: pictures of a network.

use std::path::{Path, PathBuf};

use certus_engine::region::Norm;
use certus_engine::simplex::{Query, Simplex, Violation};

use super::Outcome;
use super::inputs::{check_output, checked, read_network};
use super::numbers::{LARGEST_END, parse_epsilon, parse_norm};
use crate::blob::{self, WeightKind};
use crate::cpu::Runner;
use crate::dataset::{self, CsvLabels};
use crate::error::{Error, Result};
use crate::geometry::{Plane, ROUNDING, Window, check_two_lines, regions};
use crate::network::Network;
use crate::report::{Overlay, RegionPlot, Sink};

/// Draw pictures of a network
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    Regions(RegionsArgs),
}

/// Draw the linear regions around a point, what is decided in each, and the simplex certificate
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER)]
struct RegionsArgs {
    /// Read the network from this .onnx, .nnet, .npz or .certus file
    model: PathBuf,
    /// Draw around this point: all its coordinates, or a file that has it in a row
    #[arg(long, value_name = "X,Y|FILE", allow_hyphen_values = true)]
    center: String,
    /// Take this row of the file
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    row: usize,
    /// Vary these two inputs; the others stay as at the centre [default of 2 inputs: 0,1]
    #[arg(long, value_name = "I,J", allow_hyphen_values = true)]
    axes: Option<String>,
    /// Measure distances in this norm: linf, l2, l1, or lP for a number P of at least 1 (l1.5, l3)
    #[arg(long, value_parser = parse_norm, default_value = "linf", allow_hyphen_values = true)]
    norm: Norm,
    /// Show so much on each side of the centre [default: the ball and what limits it]
    #[arg(long, value_name = "E", value_parser = parse_epsilon, allow_hyphen_values = true)]
    extent: Option<f64>,
    /// Write the SVG to this file instead of standard output
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
}

const AFTER: &str = "\
dB is the distance from the centre to the nearest border of its linear region, dD to the nearest
decision boundary of the functions that hold there; the ball's radius is the smaller of the two. If
that is dD, the nearest input of another decision is known exactly, and marked. Distances are those
of certus radius --method simplex --exact; regions are drawn in f64.

Exit codes: 0 drawn; 4 bad input, told in one line.

Example: certus plot regions plane.onnx --center 0.4,0.6 --norm l2 --out regions.svg";

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let What::Regions(args) = &args.what;
    let inputs = [("MODEL", args.model.as_path()), ("--center", Path::new(&args.center))];
    if let Some(out) = &args.out {
        check_output("--out", out, &inputs.map(|(name, path)| (name, Some(path))))?;
    }
    let network = read_network(&args.model)?;
    if network.outputs() < 2 {
        let message = "1 output, expected a classifier with at least 2";
        return Err(Error::input(&args.model, "output", message));
    }
    let layers = network.layers.iter().map(|layer| (layer.activation, layer.through));
    check_two_lines("plot regions", layers)?;
    let axes = axes(args, network.inputs)?;
    let x = center(args, network.inputs)?;
    let (class, overlay) = overlay(args, &network, &x)?;
    let plane = Plane { origin: x.iter().map(|x| f64::from(*x)).collect(), axes };
    let at = axes.map(|axis| plane.origin[axis]);
    let window = Window::around(at, args.extent.unwrap_or_else(|| extent(&overlay)));
    let pieces = regions(&network, &plane, &window)?;
    let name = args.model.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let plot = RegionPlot { title: name, plane, window, pieces, class, overlay };
    match &args.out {
        Some(out) => plot.write(out)?,
        None => {
            let svg = plot.svg()?;
            let mut sink = Sink::stdout();
            sink.write(|out| out.write_all(svg.as_bytes()))?;
            sink.finish()?;
        }
    }
    Ok(Outcome::Proved)
}

/// What the network decides at the centre, and how far that is certain to hold.
fn overlay(args: &RegionsArgs, network: &Network, x: &[f32]) -> Result<(usize, Overlay)> {
    let norm = args.norm;
    let words = blob::pack(network, WeightKind::F32)?;
    let mut runner = Runner::new(checked(&words), false);
    let refused =
        |message: String| Error::input(&args.model, format!("the centre {}", args.center), message);
    let class = runner.predict(x).ok_or_else(|| refused("an output there is NaN".into()))?;
    let query = Query::margins(x, norm, class);
    let found: Simplex<1> = runner.simplex(&query).map_err(|error| refused(error.to_string()))?;
    let nearest = if found.is_exact() {
        runner.nearest_violation(&query, &found).map_err(|error| refused(error.to_string()))?
    } else {
        None
    };
    let is_at = |violation: &Violation| {
        f64::from(violation.distance) <= f64::from(found.decision()) * (1.0 + ROUNDING)
    };
    let overlay = Overlay {
        norm,
        radius: found.radius(),
        boundary: found.boundary(),
        decision: found.decision(),
        minimiser: nearest.filter(|(violation, _)| is_at(violation)).map(|(_, x)| x),
    };
    Ok((class, overlay))
}

/// Half the window's width where none is asked for: the decision boundary is in sight, and the ball
/// large enough to be seen.
fn extent(overlay: &Overlay) -> f64 {
    let (radius, decision) = (f64::from(overlay.radius), f64::from(overlay.decision));
    match (radius > 0.0 && radius.is_finite(), decision > 0.0 && decision.is_finite()) {
        (true, true) => (1.6 * decision).clamp(2.5 * radius, 25.0 * radius),
        (true, false) => 10.0 * radius,
        (false, true) => 1.6 * decision,
        (false, false) => 1.0,
    }
}

/// The two inputs that vary.
fn axes(args: &RegionsArgs, inputs: usize) -> Result<[usize; 2]> {
    let Some(text) = &args.axes else {
        if inputs == 2 {
            return Ok([0, 1]);
        }
        let expected = "expected 2, or two of them chosen by --axes I,J";
        return Err(Error::input(&args.model, "input", format!("{inputs} inputs, {expected}")));
    };
    let parse = |part: &str| part.trim().parse().ok().filter(|i: &usize| *i < inputs);
    match text.split(',').map(parse).collect::<Option<Vec<_>>>().as_deref() {
        Some(&[i, j]) if i != j => Ok([i, j]),
        _ => {
            let expected =
                format!("expected I,J: two different ones of the {inputs} inputs, from 0");
            Err(Error::Usage(format!("--axes '{text}': {expected}")))
        }
    }
}

/// The centre, from the command line or from a file.
fn center(args: &RegionsArgs, inputs: usize) -> Result<Vec<f32>> {
    let text = &args.center;
    let file = Path::new(text);
    let numbers = text.split(',').map(|part| part.trim().parse::<f32>().ok());
    let Some(x) = numbers.collect::<Option<Vec<_>>>() else {
        if !file.exists() && text.contains(',') {
            let message = format!("--center '{text}': not all numbers, and no such file");
            return Err(Error::Usage(format!("{message}, expected {inputs} finite numbers")));
        }
        let set = dataset::read_with(file, None, CsvLabels::None)?;
        if set.cols != inputs {
            let message =
                format!("{} numbers a row, expected the model's {inputs} inputs", set.cols);
            return Err(Error::input(file, "shape", message));
        }
        if args.row >= set.rows {
            let message = format!("--row {}, expected one of the {} rows", args.row, set.rows);
            return Err(Error::input(file, "shape", message));
        }
        return Ok(set.row(args.row).to_vec());
    };
    if x.len() != inputs || x.iter().any(|x| !(x.abs() < LARGEST_END)) {
        let message = format!("--center '{text}': {} numbers", x.len());
        let expected = format!("expected the model's {inputs} inputs, all finite");
        return Err(Error::Usage(format!("{message}, {expected}")));
    }
    Ok(x)
}
