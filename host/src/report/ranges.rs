//! Output ranges as `bounds` writes them: a table, JSON lines, CSV.

use std::io::{self, Write};

use serde::Serialize;

use super::csv::real;
use super::number::{lower, upper};
use super::{Heading, table};

/// The range of one output, or of one neuron before its activation, over one region: one JSON line;
/// what does not apply is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The region: the row of its centre in the data file, from 0; 0 for a box.
    pub index: usize,
    /// The layer, from 0, of a neuron; absent for an output of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// The output or neuron, from 0.
    pub output: usize,
    /// It is never below this; absent where nothing is proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// It is never above this; absent where nothing is proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// The method asked for.
    pub method: String,
    /// The radius of the ball; absent for a box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// `linf`, `l2` or `l1`; absent for a box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<String>,
    /// `real` or `deployed`.
    pub semantics: String,
    /// `cpu`, or the adapter's name.
    pub backend: String,
}

/// The columns of the CSV, the fields of the JSON lines by the same names.
pub const COLUMNS: &str = "index,layer,output,lower,upper,method,epsilon,norm,semantics,backend";

/// Writes one JSON line.
pub fn jsonl(range: &Range, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(range)?)
}

/// Writes one row of the CSV; [`COLUMNS`] is its header.
pub fn csv(r: &Range, out: &mut dyn Write) -> io::Result<()> {
    let layer = r.layer.map_or(String::new(), |k| k.to_string());
    let norm = r.norm.as_deref().unwrap_or_default();
    let (low, high, epsilon) = (real(r.lower), real(r.upper), real(r.epsilon));
    writeln!(
        out,
        "{},{layer},{},{low},{high},{},{epsilon},{norm},{},{}",
        r.index, r.output, r.method, r.semantics, r.backend
    )
}

/// Writes the table: outputs one a line, layers summed up. At most `limit` lines of each kind are
/// listed.
pub fn table(
    ranges: &[Range],
    heading: &Heading,
    limit: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    table::head(heading, out)?;
    let outputs: Vec<&Range> = ranges.iter().filter(|r| r.layer.is_none()).collect();
    writeln!(out, "{:>8} {:>7} {:>14} {:>14}", "index", "output", "lower", "upper")?;
    for r in outputs.iter().take(limit) {
        let (low, high) = (lower(ends(r).0), upper(ends(r).1));
        writeln!(out, "{:>8} {:>7} {low:>14} {high:>14}", r.index, r.output)?;
    }
    more(outputs.len(), limit, out)?;
    if outputs.len() > 1 && outputs.last().is_some_and(|r| r.index > 0) {
        overall(&outputs, limit, out)?;
    }
    let neurons: Vec<&Range> = ranges.iter().filter(|r| r.layer.is_some()).collect();
    if neurons.is_empty() { Ok(()) } else { layers(&neurons, limit, out) }
}

/// The range of each output over all regions together.
fn overall(outputs: &[&Range], limit: usize, out: &mut dyn Write) -> io::Result<()> {
    let count = outputs.iter().map(|r| r.output + 1).max().unwrap_or(0);
    for output in 0..count.min(limit) {
        let of = outputs.iter().filter(|r| r.output == output).map(|r| ends(r));
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = of.fold(start, |all, r| (all.0.min(r.0), all.1.max(r.1)));
        writeln!(out, "{:>8} {output:>7} {:>14} {:>14}", "all", lower(low), upper(high))?;
    }
    more(count, limit, out)
}

/// How many neurons of each layer are settled, before their activation.
fn layers(neurons: &[&Range], limit: usize, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nneurons before their activation")?;
    writeln!(
        out,
        "{:>8} {:>7} {:>8} {:>9} {:>9} {:>9} {:>14}",
        "index", "layer", "neurons", "never > 0", "never < 0", "both", "widest range"
    )?;
    let groups: Vec<&[&Range]> =
        neurons.chunk_by(|a, b| (a.index, a.layer) == (b.index, b.layer)).collect();
    for group in groups.iter().take(limit) {
        let (index, layer) = (group[0].index, group[0].layer.unwrap_or(0));
        let inactive = group.iter().filter(|r| ends(r).1 <= 0.0).count();
        let active = group.iter().filter(|r| ends(r).1 > 0.0 && ends(r).0 >= 0.0).count();
        let widest = group.iter().map(|r| ends(r).1 - ends(r).0).fold(0.0, f64::max);
        writeln!(
            out,
            "{index:>8} {layer:>7} {:>8} {inactive:>9} {active:>9} {:>9} {:>14}",
            group.len(),
            group.len() - inactive - active,
            upper(widest)
        )?;
    }
    more(groups.len(), limit, out)
}

fn more(count: usize, limit: usize, out: &mut dyn Write) -> io::Result<()> {
    match count.saturating_sub(limit) {
        0 => Ok(()),
        rest => writeln!(out, "     ... {rest} more not shown; --format jsonl or csv lists all"),
    }
}

/// The ends, infinite where nothing is proved.
fn ends(r: &Range) -> (f64, f64) {
    (r.lower.unwrap_or(f64::NEG_INFINITY), r.upper.unwrap_or(f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(index: usize, layer: Option<usize>, output: usize, ends: (f64, f64)) -> Range {
        Range {
            index,
            layer,
            output,
            lower: Some(ends.0),
            upper: Some(ends.1).filter(|x| x.is_finite()),
            method: "auto".into(),
            epsilon: None,
            norm: None,
            semantics: "real".into(),
            backend: "cpu".into(),
        }
    }

    fn text(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_hold_what_applies() {
        let r = range(0, None, 1, (-0.1, f64::INFINITY));
        assert_eq!(
            text(|out| jsonl(&r, out)),
            "{\"index\":0,\"output\":1,\"lower\":-0.1,\"method\":\"auto\",\
             \"semantics\":\"real\",\"backend\":\"cpu\"}\n"
        );
        assert_eq!(text(|out| csv(&r, out)), "0,,1,-0.1,,auto,,,real,cpu\n");
        let r = Range {
            epsilon: Some(0.5),
            norm: Some("l2".into()),
            ..range(7, Some(2), 1, (0.0, 1e-9))
        };
        assert_eq!(text(|out| csv(&r, out)), "7,2,1,0,1e-9,auto,0.5,l2,real,cpu\n");
        let fields = COLUMNS.split(',').count();
        assert_eq!(text(|out| csv(&r, out)).split(',').count(), fields);
    }

    #[test]
    fn the_table_rounds_outward_and_sums_up() {
        let ranges = [
            range(0, None, 0, (-0.199999, 0.199991)),
            range(0, Some(0), 0, (-1.0, 0.0)),
            range(0, Some(0), 1, (-1.0, 2.0)),
            range(1, None, 0, (-3.0, -2.0)),
        ];
        let heading = Heading {
            model: "pendulum.onnx".into(),
            data: "pendulum.npy".into(),
            what: "bounds".into(),
            norm: "linf".into(),
            epsilon: Some(0.01),
            method: "auto".into(),
            semantics: "real".into(),
            backend: "cpu".into(),
        };
        let expected = "\
model   pendulum.onnx
data    pendulum.npy
query   bounds linf, epsilon 0.01
method  auto, real semantics, on cpu

   index  output          lower          upper
       0       0       -0.20000        0.20000
       1       0        -3.0000        -2.0000
     all       0        -3.0000        0.20000

neurons before their activation
   index   layer  neurons never > 0 never < 0      both   widest range
       0       0        2         1         0         1         3.0000
";
        assert_eq!(text(|out| table(&ranges, &heading, 40, out)), expected);
        let told = text(|out| table(&ranges, &heading, 1, out));
        assert!(told.contains("... 1 more not shown"), "{told}");
    }
}
