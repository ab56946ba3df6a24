//! A run's files: its output, its manifest, its journal.

use std::path::{Path, PathBuf};

use super::journal::Journal;
use super::manifest::Manifest;
use crate::error::{Error, Result};
use crate::report::{Record, file};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// A JSON object a line.
    Jsonl,
    /// Comma-separated values.
    Csv,
}

/// A run with an output file, new or gone on with.
pub struct Batch {
    out: PathBuf,
    /// None where the journal is the output.
    beside: Option<PathBuf>,
    journal: Journal,
    todo: Vec<usize>,
}

impl Batch {
    /// Begins the run that `manifest` describes, or goes on with it where `resume` is set.
    ///
    /// # Errors
    /// Without `resume`, an output or journal that is there and not empty. With it, a manifest that
    /// is missing or another run's, and a journal with rows that the run does not have.
    pub fn begin(out: &Path, format: Format, manifest: &Manifest, resume: bool) -> Result<Self> {
        let beside = (format != Format::Jsonl).then(|| file::beside(out, ".journal.jsonl"));
        if file::is_special(out) && !out.is_dir() {
            // Nothing is left beside a device.
            let journal = Journal::passing(out, beside.is_none())?;
            return Ok(Batch { out: out.to_owned(), beside, journal, todo: manifest.indices() });
        }
        file::probe(out)?;
        let found = Manifest::read(out)?;
        let filled = [Some(out), beside.as_deref()].into_iter().flatten().find(|p| is_filled(p));
        match (&found, filled) {
            (Some(found), _) if resume => manifest
                .check(found)
                .map_err(|e| Error::Usage(format!("cannot resume {}: {e}", out.display())))?,
            (None, Some(path)) => {
                let message =
                    "is there and has no manifest, so it is no run's output; take another name";
                return Err(Error::Usage(format!("{} {message}", path.display())));
            }
            (Some(_), Some(path)) => {
                let message = "is there from an earlier run; use --resume or another name";
                return Err(Error::Usage(format!("{} {message}", path.display())));
            }
            (_, None) => {}
        }
        // The journal first: its lock keeps a second run from writing the manifest of the first.
        let journal = Journal::open(beside.as_deref().unwrap_or(out))?;
        if let Some(stray) = journal.done().into_iter().find(|&i| !manifest.has(i)) {
            let path = beside.as_deref().unwrap_or(out);
            return Err(Error::input(
                path,
                format!("index {stray}"),
                "not one of this run's instances",
            ));
        }
        if found.as_ref() != Some(manifest) {
            manifest.write(out)?;
        }
        let todo = manifest.indices().into_iter().filter(|&i| !journal.has(i)).collect();
        Ok(Batch { out: out.to_owned(), beside, journal, todo })
    }

    /// The rows that are left to run, in order.
    pub fn todo(&self) -> &[usize] {
        &self.todo
    }

    /// The number of rows that were finished when the run began.
    pub fn resumed(&self) -> usize {
        self.journal.done().len()
    }

    /// Writes one finished instance; from any thread, in any order.
    ///
    /// # Errors
    /// The system's, naming the file.
    pub fn append(&self, record: &Record) -> Result<()> {
        self.journal.append(record)
    }

    /// The results so far, by index.
    pub fn records(&self) -> Vec<Record> {
        self.journal.records()
    }

    /// Ends the run and hands back all results by index: the journal is sorted, and an output that is
    /// not the journal is written by `writer`, whole or not at all. The journal stays, so that a
    /// finished run can be told from one that was never begun.
    pub fn finish(
        self,
        writer: impl FnOnce(&[Record], &mut dyn std::io::Write) -> std::io::Result<()>,
    ) -> Result<Vec<Record>> {
        let records = self.journal.finish()?;
        if self.beside.is_some() {
            file::replace(&self.out, |out| writer(&records, out))?;
        }
        Ok(records)
    }
}

fn is_filled(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > 0)
}
