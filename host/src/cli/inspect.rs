//! `certus inspect`: what a model is, and what bounding it takes.

use std::io::{self, Write};
use std::path::PathBuf;

use certus_engine::bounds::{Method, Size, Work};
use certus_engine::model::{Activation, Model, Weights};

use super::Outcome;
use super::inputs::read_blob;
use crate::error::{Error, Result};
use crate::report::Sink;

/// Show a model's layers, sizes and the work that bounding takes
#[derive(clap::Args, Debug)]
pub struct Args {
    /// .onnx, .nnet, .npz or .certus
    model: PathBuf,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Result<Outcome> {
    let words = read_blob(&args.model, Ok)?;
    let model = Model::from_words(&words)
        .map_err(|error| Error::input(&args.model, "blob", error.to_string()))?;
    let mut sink = Sink::stdout();
    sink.write(|out| {
        writeln!(out, "{}", args.model.display())?;
        print_layers(&model, out)?;
        print_sizes(&model, out)
    })?;
    sink.finish()?;
    Ok(Outcome::Proved)
}

/// One line a layer.
fn print_layers(model: &Model<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "  {} inputs, {} outputs, {} layers",
        model.inputs(),
        model.outputs(),
        model.depth()
    )?;
    writeln!(
        out,
        "  {:>5} {:>7} {:>7}  {:<16} {:>7}  {:>9}  {:>10}",
        "layer", "inputs", "outputs", "activation", "weights", "non-zero", "|w| max"
    )?;
    for (k, layer) in model.layers().enumerate() {
        let activation = match layer.activation {
            Activation::Identity => "-".to_owned(),
            Activation::Relu => "ReLU".to_owned(),
            Activation::LeakyRelu(slope) => format!("leaky ReLU {slope}"),
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
        if layer.weight_error > 0.0 || layer.bias_error > 0.0 {
            writeln!(
                out,
                "        folded: weights within {:.1e} relative, biases within {:.1e} of the original",
                layer.weight_error, layer.bias_error
            )?;
        }
    }
    Ok(())
}

/// Flash, RAM and work per method, as [`Size::of`] and the dense count give them.
pub fn print_sizes(model: &Model<'_>, out: &mut dyn Write) -> io::Result<()> {
    let weights: u64 = model.layers().map(|l| l.rows as u64 * l.cols as u64).sum();
    writeln!(
        out,
        "  flash {} bytes, forward pass {weights} multiply-adds",
        4 * model.words().len()
    )?;
    writeln!(
        out,
        "  {:<10} {:>16} {:>16} {:>22}",
        "method", "RAM, block 1", "RAM, block 64", "dense multiply-adds"
    )?;
    let methods = [
        ("ibp", Method::Ibp),
        ("crown-ibp", Method::CrownIbp),
        ("fast-lin", Method::FastLin),
        ("crown", Method::Crown),
    ];
    for (name, method) in methods {
        let bytes = |block| Size::of(model, method, block).bytes();
        let dense =
            certus_engine::bounds::dense_macs(model, method, model.outputs().saturating_sub(1));
        writeln!(out, "  {name:<10} {:>10} bytes {:>10} bytes {dense:>22}", bytes(1), bytes(64))?;
    }
    Ok(())
}

/// The counters of a run, on standard error.
pub fn print_work(work: &Work, samples: usize, seconds: f64) {
    let per = |n: u64| n as f64 / samples.max(1) as f64;
    eprintln!(
        "work: {:.4e} multiply-adds ({:.4e} in products), {:.4e} a sample; densely {:.4e}, {:.1} times as many",
        work.macs() as f64,
        work.product_macs as f64,
        per(work.macs()),
        work.dense_macs as f64,
        work.dense_macs as f64 / work.macs().max(1) as f64,
    );
    eprintln!(
        "      {:.1} neurons back-substituted a sample, {:.1} of them dropped on the way; {seconds:.3} s in all",
        per(work.neurons),
        per(work.dropped),
    );
}
