//! The parts of a run, put together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::journal::insert;
use super::manifest::Manifest;
use crate::error::{Error, Result};
use crate::report::{Record, file, jsonl};

/// Writes the results of `inputs` (JSON lines, each with its manifest beside it) to `out`, sorted by
/// index, with the manifest of the whole run. Hands the results back.
///
/// With `allow_partial` rows may be missing; `out` can then be gone on with by `--resume`.
///
/// # Errors
/// Parts of different runs, a row that its part does not have, a row with two verdicts, missing rows
/// (the first are named), and an `out` that is there and is not an earlier merge of the same run.
pub fn merge(inputs: &[PathBuf], out: &Path, allow_partial: bool) -> Result<Vec<Record>> {
    let mut whole: Option<Manifest> = None;
    let mut lines = BTreeMap::new();
    for input in inputs {
        if file::same(input, out) {
            return Err(Error::Usage(format!("{} is both read and written", out.display())));
        }
        let part = Manifest::read(input)?.ok_or_else(|| {
            Error::input(
                &Manifest::path(input),
                "manifest",
                "not there, expected it beside the output",
            )
        })?;
        let whole = whole.get_or_insert_with(|| Manifest { shard: None, ..part.clone() });
        whole.check_but_shard(&part).map_err(|e| {
            Error::Usage(format!("{} and {}: {e}", inputs[0].display(), input.display()))
        })?;
        read(input, &part, &mut lines)?;
    }
    let whole =
        whole.ok_or_else(|| Error::Usage("nothing to merge, expected outputs of shards".into()))?;
    if !allow_partial {
        complete(&whole, &lines)?;
    }
    writable(out, &whole)?;
    whole.write(out)?;
    file::replace(out, |to| {
        lines.values().try_for_each(|(_, line)| {
            to.write_all(line.as_bytes())?;
            to.write_all(b"\n")
        })
    })?;
    Ok(lines.into_values().map(|(record, _)| record).collect())
}

fn read(
    input: &Path,
    part: &Manifest,
    lines: &mut BTreeMap<usize, (Record, String)>,
) -> Result<()> {
    let text = std::fs::read(input).map_err(|e| Error::io(input, e))?;
    for (record, line) in jsonl::parse(&text, input)?.lines {
        if !part.has(record.index) {
            let place = format!("index {}", record.index);
            return Err(Error::input(input, place, "not one of the instances of its manifest"));
        }
        insert(lines, record, line.to_owned(), input)?;
    }
    Ok(())
}

fn complete(whole: &Manifest, lines: &BTreeMap<usize, (Record, String)>) -> Result<()> {
    let count = whole.instances - lines.len();
    if count == 0 {
        return Ok(());
    }
    let rows = whole.first..whole.first + whole.instances;
    let first: Vec<String> =
        rows.filter(|i| !lines.contains_key(i)).take(5).map(|i| i.to_string()).collect();
    let more = if count > first.len() { ", ..." } else { "" };
    Err(Error::Usage(format!(
        "{count} of {} instances are missing: {}{more}",
        whole.instances,
        first.join(", ")
    )))
}

fn writable(out: &Path, whole: &Manifest) -> Result<()> {
    let filled = std::fs::metadata(out).is_ok_and(|m| m.is_file() && m.len() > 0);
    if filled && Manifest::read(out)?.as_ref() != Some(whole) {
        let message = "is there and is not an earlier merge of these; take another name";
        return Err(Error::Usage(format!("{} {message}", out.display())));
    }
    Ok(())
}
