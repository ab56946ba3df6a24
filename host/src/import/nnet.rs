//! `.nnet`, the text format of Stanford's ACAS Xu networks.
//!
//! Comment lines begin with `//`. Then, one a line: the number of layers, inputs, outputs and the
//! largest layer; the sizes of all layers from the input on; a flag without meaning; the inputs'
//! minima; their maxima; the means of the inputs and of the outputs; their ranges; and for each
//! layer its weights row by row and its biases one by one. Numbers are separated by commas, which
//! may trail; blank lines are skipped. Relu follows each layer but the last.
//!
//! * A decimal is read as the nearest float: f32 for weights and biases, f64 for means and ranges.
//!   Those floats are the network.
//! * Inputs are normalised to `(x - mean) / range` and outputs scaled back with the last mean and
//!   range; both are folded into the first and the last layer, the loss bounded.
//! * Clipping inputs to the minima and maxima is not part of the network here: a claim's region says
//!   which inputs are meant. The two lines are only checked to be numbers.
//! * Where both the means and the ranges are the single number 0, nothing is normalised, and the
//!   number of outputs may stand twice at the end of the sizes: the ARCH-COMP benchmarks have both.

use std::path::Path;

use certus_engine::model::Activation;

use super::chain::{Chain, Checked};
use super::exact::Approx;
use super::limits::Limits;
use crate::error::{Error, Result};
use crate::network::Network;

/// The most layers, far above any that were written.
const MAX_LAYERS: usize = 1 << 12;

/// Reads a `.nnet` model; `file` is only named in errors.
///
/// Errors: [`Error::Input`] with the line.
pub fn nnet(bytes: &[u8], file: &Path) -> Result<Network> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        Error::input(file, format!("byte {}", e.valid_up_to()), "not text; expected a .nnet file")
    })?;
    let mut lines = Lines { lines: text.lines(), number: 0 };
    parse(&mut lines)
        .map_err(|message| Error::input(file, format!("line {}", lines.number), message))
}

/// The lines that hold numbers.
struct Lines<'a> {
    lines: std::str::Lines<'a>,
    /// Of the last line read, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    /// The fields of the next line that is neither blank nor a comment.
    fn fields(&mut self, what: &str) -> Checked<Vec<&'a str>> {
        for line in self.lines.by_ref() {
            self.number += 1;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with("//") {
                let mut fields: Vec<&str> = line.split(',').map(str::trim).collect();
                if fields.last() == Some(&"") {
                    fields.pop();
                }
                return Ok(fields);
            }
        }
        Err(format!("the file ends; expected {what}"))
    }

    /// The next line, which must hold `count` numbers, or any if there is no `count`.
    fn numbers<T: std::str::FromStr>(
        &mut self,
        what: &str,
        count: Option<usize>,
        valid: impl Fn(&T) -> bool,
    ) -> Checked<Vec<T>> {
        let fields = self.fields(what)?;
        if let Some(count) = count.filter(|&count| count != fields.len()) {
            return Err(format!("{} numbers; expected {count}: {what}", fields.len()));
        }
        fields
            .iter()
            .map(|field| {
                field.parse().ok().filter(&valid).ok_or_else(|| {
                    let shown: String =
                        field.chars().take(40).flat_map(char::escape_debug).collect();
                    format!("'{shown}' is not a finite number of its kind; expected {what}")
                })
            })
            .collect()
    }
}

/// Mean and range of every input and, last, of the outputs.
struct Normalisation {
    means: Vec<f64>,
    ranges: Vec<f64>,
}

fn parse(lines: &mut Lines<'_>) -> Checked<Network> {
    let limits = Limits::default();
    let header: Vec<usize> = lines.numbers(
        "the number of layers, inputs, outputs and the largest layer",
        Some(4),
        |_| true,
    )?;
    let &[layers, inputs, outputs, _] = header.as_slice() else { return Err("no header".into()) };
    if !(1..=MAX_LAYERS).contains(&layers) {
        return Err(format!("{layers} layers; expected 1 to {MAX_LAYERS}"));
    }
    let mut sizes: Vec<usize> = lines.numbers("the sizes of the layers", None, |&size| size > 0)?;
    let surplus = sizes.get(layers + 1..).unwrap_or_default();
    if sizes.len() <= layers || surplus.iter().any(|&size| size != outputs) {
        return Err(format!(
            "{} layer sizes; expected {} for {layers} layers",
            sizes.len(),
            layers + 1
        ));
    }
    sizes.truncate(layers + 1);
    if sizes.first() != Some(&inputs) || sizes.last() != Some(&outputs) {
        return Err(format!("layer sizes {sizes:?} for {inputs} inputs and {outputs} outputs"));
    }
    lines.fields("a flag")?;
    lines.numbers("the inputs' minima", None, |x: &f64| x.is_finite())?;
    lines.numbers("the inputs' maxima", None, |x: &f64| x.is_finite())?;
    let normalisation = normalisation(lines, inputs)?;

    let mut chain = Chain::new(inputs, limits)?;
    if let Some(Normalisation { means, ranges }) = &normalisation {
        chain.scale_and_shift(|i| {
            let get = |list: &[f64]| Approx::exact(list.get(i).copied().unwrap_or(f64::NAN));
            (Approx::ONE, get(means).neg())
        })?;
        chain.scale_and_shift(|i| {
            let range = ranges.get(i).copied().unwrap_or(f64::NAN);
            (Approx::ONE.div(Approx::exact(range)), Approx::ZERO)
        })?;
    }
    for (k, pair) in (1..).zip(sizes.windows(2)) {
        let &[cols, rows] = pair else { continue };
        if k > 1 {
            chain.activate(Activation::Relu)?;
        }
        layer(lines, &mut chain, k, rows, cols)?;
    }
    if let Some((mean, range)) =
        normalisation.as_ref().and_then(|n| n.means.last().zip(n.ranges.last()))
    {
        chain.scale_and_shift(|_| (Approx::exact(*range), Approx::exact(*mean)))?;
    }
    if lines.fields("").is_ok() {
        return Err("numbers after the last bias; expected the end of the file".into());
    }
    chain.finish()
}

/// The lines of means and ranges; `None` if they say that there are none.
fn normalisation(lines: &mut Lines<'_>, inputs: usize) -> Checked<Option<Normalisation>> {
    let means: Vec<f64> = lines.numbers("the means", None, |x: &f64| x.is_finite())?;
    let means_line = lines.number;
    let ranges: Vec<f64> = lines.numbers("the ranges", None, |x: &f64| x.is_finite())?;
    if means == [0.0] && ranges == [0.0] {
        return Ok(None);
    }
    let expected = inputs + 1;
    if means.len() != expected {
        return Err(format!("{} means on line {means_line}; expected {expected}", means.len()));
    }
    if ranges.len() != expected {
        return Err(format!("{} ranges; expected {expected}", ranges.len()));
    }
    if let Some(range) = ranges.iter().find(|&&range| range <= 0.0) {
        return Err(format!("a range of {range}; expected positive ones"));
    }
    Ok(Some(Normalisation { means, ranges }))
}

/// Reads layer `k` and appends it.
fn layer(
    lines: &mut Lines<'_>,
    chain: &mut Chain,
    k: usize,
    rows: usize,
    cols: usize,
) -> Checked<()> {
    let most = chain.limits().layer_weights;
    if rows.checked_mul(cols).is_none_or(|count| count > most) {
        return Err(format!("layer {k} of {rows} x {cols} weights; at most {most} are read"));
    }
    // Rows are read before the layer is made, so a short file never allocates what it only claims.
    let mut weights: Vec<Vec<f32>> = Vec::new();
    for r in 1..=rows {
        let what = format!("{cols} weights, row {r} of layer {k}");
        weights.push(lines.numbers(&what, Some(cols), |x: &f32| x.is_finite())?);
    }
    let mut bias = Vec::new();
    for r in 1..=rows {
        let what = format!("bias {r} of layer {k}");
        bias.extend(lines.numbers(&what, Some(1), |x: &f32| x.is_finite())?);
    }
    chain.dense(rows, 0.0, |r, row| {
        if let Some(weights) = weights.get(r).filter(|weights| weights.len() == row.len()) {
            row.copy_from_slice(weights);
        }
    })?;
    chain.scale_and_shift(|r| {
        (Approx::ONE, Approx::exact(bias.get(r).copied().map_or(f64::NAN, f64::from)))
    })
}
