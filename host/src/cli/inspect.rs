//! `certus inspect`: what a model is, and what bounding it takes.

use std::io::{self, Write};
use std::path::PathBuf;

use certus_engine::bounds::{self, Method, Options, Size};
use certus_engine::model::{Activation, Model, Weights};
use certus_engine::simplex;

use super::Outcome;
use super::inputs::{checked, read_blob};
use crate::cover;
use crate::error::Result;
use crate::report::Sink;

/// Show a network's layers, its sizes and the work that bounding takes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Read the network from this .onnx, .nnet, .npz or .certus file
    model: PathBuf,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let words = read_blob(&args.model, Ok)?;
    let model = checked(&words);
    let mut sink = Sink::stdout();
    sink.write(|out| {
        writeln!(out, "{}", args.model.display())?;
        print_layers(&model, out)?;
        print_sizes(&model, out)?;
        model.regions().map_or(Ok(()), |regions| cover::print(&regions, out))
    })?;
    sink.finish()?;
    Ok(Outcome::Proved)
}

/// One line a layer.
fn print_layers(model: &Model<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let (inputs, outputs) = (number(inputs, "input"), number(outputs, "output"));
    writeln!(out, "  {inputs}, {outputs}, {}\n", number(model.depth(), "layer"))?;
    writeln!(
        out,
        "  {:>5} {:>7} {:>7}  {:<16} {:>7}  {:>9}  {:>10}",
        "layer", "inputs", "outputs", "activation", "stored", "non-zero", "max |w|"
    )?;
    for (k, layer) in model.layers().enumerate() {
        let activation = match layer.activation {
            Activation::Identity => "-".to_owned(),
            Activation::LeakyRelu(slope) => format!("leaky ReLU {slope}"),
            Activation::Elu(scale) => format!("ELU {scale}"),
            Activation::Clip(lo, hi) => format!("clip {lo} {hi}"),
            other => other.name().to_owned(),
        };
        let (kind, used, largest) = match layer.weights {
            Weights::F32(w) => (
                "f32",
                w.iter().filter(|w| **w != 0.0).count(),
                w.iter().fold(0.0f32, |m, w| m.max(w.abs())),
            ),
            Weights::F16(w) => (
                "f16",
                w.iter().filter(|w| w.to_f32() != 0.0).count(),
                w.iter().fold(0.0f32, |m, w| m.max(w.to_f32().abs())),
            ),
        };
        writeln!(
            out,
            "  {k:>5} {:>7} {:>7}  {activation:<16} {kind:>7}  {used:>9}  {largest:>10.4}",
            layer.cols, layer.rows
        )?;
        if layer.through > 0 {
            writeln!(out, "        {} pass by the activation", number(layer.through, "row"))?;
        }
        if layer.weight_error > 0.0 || layer.bias_error > 0.0 {
            writeln!(
                out,
                "        weights are within {:.1e} (relative), biases within {:.1e} of the file's",
                layer.weight_error, layer.bias_error
            )?;
        }
    }
    Ok(())
}

/// Flash, RAM and work per method, as [`Size::of_options`] for the bounds of rows alone, [`simplex::size`]
/// and the dense counts give them.
pub fn print_sizes(model: &Model<'_>, out: &mut dyn Write) -> io::Result<()> {
    let weights: u64 = model.layers().map(|l| l.rows as u64 * l.cols as u64).sum();
    let flash = 4 * model.words().len();
    writeln!(out, "\n  flash {flash} bytes, forward pass {weights} multiply-adds\n")?;
    // A classifier's margins, or both ends of a single output.
    let rows = if model.outputs() == 1 { 2 } else { model.outputs() - 1 };
    writeln!(out, "  {:<16} {:^33}  {:>20}", "", "RAM (bytes)", "dense multiply-adds")?;
    let head = ["rows at once: 1", "64", "per call"];
    writeln!(out, "  {:<16} {:>16} {:>16}  {:>20}", "method", head[0], head[1], head[2])?;
    let methods = [
        ("ibp", Method::Ibp),
        ("crown-ibp", Method::CrownIbp),
        ("fast-lin", Method::FastLin),
        ("crown", Method::Crown),
        ("forward", Method::Forward),
        ("forward-backward", Method::ForwardBackward),
    ];
    let mut line = |name: &str, size: &dyn Fn(usize) -> Size, dense: u64| {
        let [one, many] = [1, 64].map(|block| size(block).bytes());
        writeln!(out, "  {name:<16} {one:>16} {many:>16}  {dense:>20}")
    };
    for (name, method) in methods {
        let dense = bounds::dense_macs(model, method, rows);
        let options = Options::new(method).without_ends();
        line(name, &|block| Size::of_options(model, &options, block), dense)?;
    }
    line("simplex", &|block| simplex::size(model, block), simplex::dense_macs(model, rows))
}

/// A count with its word.
fn number(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}
