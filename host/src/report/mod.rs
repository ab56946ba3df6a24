//! What users look at: tables, JSON lines, CSV, plots.
//!
//! The writers take any [`std::io::Write`] and hand its errors back; [`mod@file`] opens what they write
//! to and names it in the error.

pub mod csv;
mod curve;
pub mod file;
pub mod jsonl;
mod number;
pub mod plot;
pub mod ranges;
pub mod record;
pub mod regions;
pub mod stages;
mod summary;
pub mod table;
pub mod witnesses;

pub use curve::Curve;
pub use file::Sink;
pub use number::{count, time};
pub use plot::Plot;
pub use record::{Record, Verdict};
pub use regions::{Overlay, RegionPlot};
pub use summary::Summary;

/// What a run was: the head of its table and the title of its plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Heading {
    /// The model file's name.
    pub model: String,
    /// The data file's name.
    pub data: String,
    /// `certify`, `radius`, `attack` or `bounds`.
    pub what: String,
    /// `linf`, `l2` or `l1`, with the box that cuts the ball if there is one; empty for boxes.
    pub norm: String,
    /// The radius asked for, where one is.
    pub epsilon: Option<f64>,
    /// The method asked for.
    pub method: String,
    /// `real` or `deployed`.
    pub semantics: String,
    /// `cpu`, or the adapter's name.
    pub backend: String,
}

impl Heading {
    /// With what has computed the records, a device's name before the cores; misclassified ones, which
    /// nothing has, do not count.
    #[must_use]
    pub fn on(self, records: &[Record]) -> Self {
        let computed = records.iter().filter(|record| record.verdict != Verdict::Misclassified);
        let mut all: Vec<&str> = computed.map(|record| &*record.backend).collect();
        all.sort_unstable();
        all.dedup();
        // Names of devices begin with a later letter.
        all.reverse();
        if all.is_empty() { self } else { Self { backend: all.join(", "), ..self } }
    }
}
