//! Long batches: which instances to run, how a run survives being killed, how its parts are put together.
//!
//! A run with `--out FILE` leaves, beside FILE, `FILE.manifest.json`: what was run, by hashes. Results
//! go to a [`Journal`] line by line, each flushed as soon as it is there: FILE itself for JSON lines,
//! `FILE.journal.jsonl` for the other formats, whose FILE is written whole at the end. A run that was
//! killed loses the instances in flight; `--resume` runs those and what was not begun.

mod batch;
mod journal;
mod manifest;
mod merge;
mod progress;
mod select;

pub use batch::{Batch, Format};
pub use journal::Journal;
pub use manifest::{Manifest, sha256};
pub use merge::merge;
pub use progress::Progress;
pub use select::{Range, Shard, select};
