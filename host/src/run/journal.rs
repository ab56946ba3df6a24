//! The append-only file of a run's results.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::report::{Record, file, jsonl};

/// A run's results so far, on disk.
///
/// [`append`](Self::append) may be called from many threads. The file is locked while it is open, so
/// that two runs never write to one.
pub struct Journal {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// None where nothing is kept on disk.
    file: Option<File>,
    /// Whole lines in the file, in bytes.
    length: u64,
    lines: BTreeMap<usize, (Record, String)>,
    /// Whether a write failed: what stands after the last whole line is then unknown.
    broken: bool,
}

impl Journal {
    /// Opens or makes the journal at `path`; a last line that was cut off is cut away.
    ///
    /// # Errors
    /// A line that is no record, an index with two verdicts, a file that another run has open.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |e| Error::io(path, e);
        // Read and write, since the end may have to be cut; nothing of what is there is lost by opening.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        lock(&file, path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(io)?;
        let parsed = jsonl::parse(&text, path)?;
        let mut lines = BTreeMap::new();
        for (record, line) in parsed.lines {
            insert(&mut lines, record, line.to_owned(), path)?;
        }
        let length = parsed.whole as u64;
        if length < text.len() as u64 {
            file.set_len(length).map_err(io)?;
        }
        file.seek(SeekFrom::Start(length)).map_err(io)?;
        let state = Mutex::new(State { file: Some(file), length, lines, broken: false });
        Ok(Journal { path: path.to_owned(), state })
    }

    /// A journal for an output that is a device or a pipe, which cannot be gone on with: lines are
    /// written to it as they come if it is `journaled`, else kept in memory alone.
    pub(super) fn passing(path: &Path, journaled: bool) -> Result<Self> {
        let open = || OpenOptions::new().write(true).open(path).map_err(|e| Error::io(path, e));
        let file = if journaled { Some(open()?) } else { None };
        let state = Mutex::new(State { file, length: 0, lines: BTreeMap::new(), broken: false });
        Ok(Journal { path: path.to_owned(), state })
    }

    /// Writes one result; when this returns, the system has all of it.
    ///
    /// # Errors
    /// The system's, naming the file; nothing can be appended after one.
    pub fn append(&self, record: &Record) -> Result<()> {
        let io = |e| Error::io(&self.path, e);
        let line = jsonl::line(record).map_err(io)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return Err(io(std::io::Error::other("an earlier write failed")));
        }
        let length = state.length;
        if let Some(file) = &mut state.file
            && let Err(e) = file.write_all(line.as_bytes())
        {
            // Half a line would run into the next one.
            let _ = file.set_len(length);
            state.broken = true;
            return Err(io(e));
        }
        state.length += line.len() as u64;
        insert(&mut state.lines, record.clone(), line.trim_end().to_owned(), &self.path)
    }

    /// Whether row `index` is finished.
    pub fn has(&self, index: usize) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lines.contains_key(&index)
    }

    /// The finished rows, in order.
    pub fn done(&self) -> Vec<usize> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lines.keys().copied().collect()
    }

    /// The results so far, by index.
    pub fn records(&self) -> Vec<Record> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lines.values().map(|(record, _)| record.clone()).collect()
    }

    /// Ends the run: the file is put in the order of the indices, unless it is in order already.
    pub fn finish(self) -> Result<Vec<Record>> {
        let io = |e| Error::io(&self.path, e);
        let State { file, lines, .. } =
            self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = file.filter(|_| !file::is_special(&self.path)) {
            file.sync_all().map_err(io)?;
            // Where locks are binding, a file that is locked can be neither read nor replaced.
            drop(file);
            let sorted: String = lines.values().flat_map(|(_, line)| [line, "\n"]).collect();
            if std::fs::read(&self.path).map_err(io)? != sorted.as_bytes() {
                file::replace(&self.path, |out| out.write_all(sorted.as_bytes()))?;
            }
        }
        Ok(lines.into_values().map(|(record, _)| record).collect())
    }
}

/// Keeps the first of two results for one row, unless they contradict each other.
pub(super) fn insert(
    lines: &mut BTreeMap<usize, (Record, String)>,
    record: Record,
    line: String,
    path: &Path,
) -> Result<()> {
    match lines.get(&record.index) {
        Some((old, _)) if old.verdict != record.verdict => {
            let message = format!("{} and {}", old.verdict.name(), record.verdict.name());
            let place = format!("index {} is there twice", record.index);
            Err(Error::input(path, place, format!("{message}, expected one verdict")))
        }
        Some(_) => Ok(()),
        None => {
            lines.insert(record.index, (record, line));
            Ok(())
        }
    }
}

fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Error::Usage(format!("{}: another run is writing to it", path.display())))
        }
        // A file system without locks is no reason not to run.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}
