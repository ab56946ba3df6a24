//! What a table of certified regions holds.

use std::io::{self, Write};

use certus_engine::monitor::Rule;
use certus_engine::regions::{Branch, Node, Regions};

/// A leaf of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Least value of each input.
    pub lo: Vec<f32>,
    /// Largest value of each input; but for the range's own ends it belongs to another leaf.
    pub hi: Vec<f32>,
    /// The class that is certified there, 0 under limits.
    pub answer: Option<usize>,
    /// Its part of the range.
    pub share: f64,
}

/// The leaves of a table, from low inputs to high ones.
pub fn leaves(regions: &Regions<'_>) -> Vec<Leaf> {
    let mut found = Vec::new();
    let (lo, hi) = regions.range();
    let whole = Leaf { lo: lo.to_vec(), hi: hi.to_vec(), answer: None, share: 1.0 };
    let mut stack = vec![(regions.root(), whole)];
    while let Some((branch, place)) = stack.pop() {
        match branch {
            Branch::Leaf(answer) => found.push(Leaf { answer, ..place }),
            Branch::Node(index) => {
                let Some(Node { input, value, below, above }) = regions.node(index) else {
                    continue;
                };
                let [lo, hi, at] = [place.lo[input], place.hi[input], value].map(f64::from);
                let part = (at - lo) / (hi - lo);
                let (mut left, mut right) = (place.clone(), place);
                (left.hi[input], left.share) = (value, left.share * part);
                (right.lo[input], right.share) = (value, right.share * (1.0 - part));
                stack.push((above, right));
                stack.push((below, left));
            }
        }
    }
    found
}

/// Numbers of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Leaves.
    pub leaves: usize,
    /// Leaves that are certified.
    pub certified: usize,
    /// Their part of the range.
    pub share: f64,
}

impl Summary {
    /// Of a table.
    pub fn of(regions: &Regions<'_>) -> Self {
        let leaves = leaves(regions);
        let certified = leaves.iter().filter(|leaf| leaf.answer.is_some());
        let share = certified.clone().map(|leaf| leaf.share).sum();
        Self { leaves: leaves.len(), certified: certified.count(), share }
    }
}

/// A table in a few lines.
pub fn print(regions: &Regions<'_>, out: &mut dyn Write) -> io::Result<()> {
    let list = |numbers: &[f32]| {
        let limit = |x: &f32| match *x {
            f32::MAX => "inf".to_owned(),
            f32::MIN => "-inf".to_owned(),
            x => x.to_string(),
        };
        numbers.iter().map(limit).collect::<Vec<_>>().join(",")
    };
    let Summary { leaves, certified, share } = Summary::of(regions);
    let (lo, hi) = regions.range();
    writeln!(
        out,
        "\n  certified regions: {certified} of {leaves} boxes, {:.2} % of the range, {} bytes, at \
         most {} comparisons",
        100.0 * share,
        4 * regions.words().len(),
        regions.depth() + 2 * regions.inputs()
    )?;
    match regions.rule() {
        Rule::Limits { lo, hi } => writeln!(out, "    outputs from {} to {}", list(lo), list(hi))?,
        Rule::Class { margin } => writeln!(out, "    one class, ahead by more than {margin}")?,
    }
    writeln!(out, "    inputs from {} to {}", list(lo), list(hi))?;
    writeln!(out, "    sensor error {}", list(regions.error()))
}
