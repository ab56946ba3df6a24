//! Boxes of the input space over which a rule is proved, as a table behind a model's blob.
//!
//! The range is bisected level by level. A box is certified if the engine's bounds over it, enlarged by
//! the sensor error, prove the rule under deployed semantics; what is open is split by the input that
//! helps most, unless nothing in it can be certified. Then branches that certify least for their leaves
//! are cut off, until the table is small enough. Only [`certus_engine::certificate::verdict`]
//! on the engine's bounds certifies; all else here chooses what to ask.
//!
//! * [`cover`]: the table for a model and a rule.
//! * [`Summary`], [`leaves`]: what a table holds.

mod judge;
mod summary;
mod tree;

pub use summary::{Leaf, Summary, leaves, print};

use certus_engine::model::Model;
use certus_engine::monitor::Rule;
use certus_engine::regions::{MAX_DEPTH, MAX_NODES, Regions};
use rayon::prelude::*;

use crate::error::{Error, Result};
use judge::{Halves, Judge, Spot};
use tree::Tree;

/// What a table shall prove, and over what.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Least and largest value of each input.
    pub range: (&'a [f32], &'a [f32]),
    /// How far the truth may be from each input, each way.
    pub error: &'a [f32],
    /// What the outputs shall keep.
    pub rule: Rule<'a>,
}

/// How much of a table there shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most leaves.
    pub leaves: usize,
    /// Most comparisons of a lookup.
    pub depth: usize,
}

impl Settings {
    /// Most leaves that a table can have.
    pub const MOST_LEAVES: usize = MAX_NODES;
    /// Largest depth that a table can have.
    pub const MOST_DEPTH: usize = MAX_DEPTH;
    /// Boxes that are split for each leaf of the table: what is cut off afterwards has been searched too.
    const SPLITS: usize = 4;
}

impl Default for Settings {
    fn default() -> Self {
        Self { leaves: 512, depth: 24 }
    }
}

/// A table, and what it took.
#[derive(Clone, Debug)]
pub struct Cover {
    /// The table's words, to be put behind the model's.
    pub words: Vec<u32>,
    /// Boxes that were bounded.
    pub boxes: u64,
    /// Multiply-adds of that.
    pub macs: u64,
}

/// The table of certified regions of a model.
///
/// For every input in a certified leaf, and every state within the sensor error of it, the rule is kept
/// as [`Regions`] says. `device`: bounds by the portable arithmetic, the same table on every machine;
/// else by the fast one. The table does not depend on the number of threads.
///
/// # Errors
/// [`Error::Usage`]: what does not fit the model, or the format.
/// Memory: a box for each leaf and a few times as many as are searched. Work: two bounds for each half
/// of up to four bisections of at most four times as many boxes as leaves.
pub fn cover(model: Model<'_>, ask: &Ask<'_>, settings: &Settings, device: bool) -> Result<Cover> {
    check(&model, ask)?;
    let mut judge = Judge::new(model, ask, device);
    let root = judge.spot(ask.range.0.to_vec(), ask.range.1.to_vec());
    let mut tree = Tree::new(root.answer);
    let mut open: Vec<(usize, Spot)> = Vec::from_iter(root.is_open().then_some((0, root)));
    let (mut boxes, mut macs) = (1, judge.macs);
    let mut left = Settings::SPLITS * settings.leaves;
    for _ in 0..settings.depth {
        // Boxes of a level are of one size: those first that are closest to a proof.
        open.sort_by(|(a, one), (b, other)| other.slack.total_cmp(&one.slack).then(a.cmp(b)));
        open.truncate(left);
        left -= open.len();
        let split = |judge: &mut Judge<'_>, (_, spot): &(usize, Spot)| judge.halve(spot);
        let halves: Vec<Option<Halves>> =
            open.par_iter().map_init(|| Judge::new(model, ask, device), split).collect();
        let parents = std::mem::take(&mut open);
        for ((cell, parent), halves) in parents.into_iter().zip(halves) {
            let Some(Halves { input, value, spots, boxes: bounded, macs: taken }) = halves else {
                continue;
            };
            (boxes, macs) = (boxes + bounded, macs + taken);
            let answers = [spots[0].answer, spots[1].answer];
            let part = parent.part(input, value);
            let children = tree.split(cell, (input, value), part, answers);
            let both = children.into_iter().zip(spots);
            open.extend(both.filter(|(_, spot)| spot.is_open()));
        }
    }
    tree.merge();
    tree.prune(settings.leaves);
    tree.merge();
    let words = tree.table(&model, ask)?;
    debug_assert!(Regions::from_words(&words).is_ok());
    Ok(Cover { words, boxes, macs })
}

/// Whether what is asked fits the model.
fn check(model: &Model<'_>, ask: &Ask<'_>) -> Result<()> {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    let wrong = |message: String| Err(Error::Usage(message));
    let (lo, hi) = ask.range;
    if [lo.len(), hi.len(), ask.error.len()] != [inputs; 3] {
        return wrong(format!("a range or a sensor error not of the model's {inputs} inputs"));
    }
    match ask.rule {
        Rule::Limits { lo, hi } if [lo.len(), hi.len()] != [outputs; 2] => {
            wrong(format!("limits not of the model's {outputs} outputs"))
        }
        Rule::Class { .. } if outputs < 2 => {
            wrong("a margin between classes, the model has 1 output; expected limits".to_owned())
        }
        Rule::Limits { .. } | Rule::Class { .. } => Ok(()),
    }
}
