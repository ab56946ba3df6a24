//! Where reports go: standard output, a file, or a file that is replaced whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Standard output or a file, buffered. [`finish`](Self::finish) must be called: only it can say that
/// the last bytes were written.
///
/// A reader of standard output that has gone away (`certus ... | head`) is no error: what follows is
/// dropped, and [`closed`](Self::closed) tells the caller that it can stop.
pub struct Sink {
    name: PathBuf,
    to: Option<BufWriter<Box<dyn Write + Send>>>,
    stdout: bool,
}

impl Sink {
    /// Standard output.
    pub fn stdout() -> Self {
        Self::over("stdout".into(), Box::new(io::stdout()), true)
    }

    /// A file, made new; what was there is lost.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|e| Error::io(path, e))?;
        Ok(Self::over(path.to_owned(), Box::new(file), false))
    }

    fn over(name: PathBuf, to: Box<dyn Write + Send>, stdout: bool) -> Self {
        Sink { name, to: Some(BufWriter::new(to)), stdout }
    }

    /// Runs a writer on this sink and names the sink in its error.
    pub fn write(&mut self, writer: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        writer(self).map_err(|e| Error::io(&self.name, e))
    }

    /// Whether the reader has gone away.
    pub fn closed(&self) -> bool {
        self.to.is_none()
    }

    /// Writes out what is buffered.
    pub fn finish(mut self) -> Result<()> {
        self.write(|out| out.flush())
    }

    fn guard<T>(&mut self, outcome: io::Result<T>, dropped: T) -> io::Result<T> {
        match outcome {
            Err(e) if self.stdout && e.kind() == ErrorKind::BrokenPipe => {
                if let Some(buffered) = self.to.take() {
                    // Dropped as it is, it would try to write once more.
                    let _ = buffered.into_parts();
                }
                Ok(dropped)
            }
            outcome => outcome,
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(to) = &mut self.to else { return Ok(bytes.len()) };
        let outcome = to.write(bytes);
        self.guard(outcome, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(to) = &mut self.to else { return Ok(()) };
        let outcome = to.flush();
        self.guard(outcome, ())
    }
}

/// `path` with `suffix` after its whole name: `out.csv` and `.manifest.json` give `out.csv.manifest.json`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Whether `path` is there and is not a plain file: a device or a pipe, which cannot be replaced.
pub fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| !m.is_file())
}

/// Finds out, before any work is done, whether `path` can be written; leaves it as it is.
///
/// # Errors
/// The system's, naming `path`.
pub fn probe(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Error::io(path, ErrorKind::IsADirectory.into())),
        // Opening a pipe would wait for its reader.
        Ok(found) if !found.is_file() => Ok(()),
        _ => {
            let (_, temporary) = temporary(path);
            File::create(&temporary)
                .and_then(|_| fs::remove_file(&temporary))
                .map_err(|e| Error::io(path, e))
        }
    }
}

/// Whether both name the same file.
pub fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// The file that `path` leads to, and one beside it that will take its place.
fn temporary(path: &Path) -> (PathBuf, PathBuf) {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = beside(&target, &format!(".tmp-{}", std::process::id()));
    (target, temporary)
}

/// Writes `path` as a whole: a reader finds the old content or the new, never a part of it.
///
/// A device or a pipe is written directly, a link's target in its place.
pub fn replace(path: &Path, writer: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    if is_special(path) {
        let opened = OpenOptions::new().write(true).open(path);
        let written = opened.and_then(|file| filled(file, writer).map(drop));
        return written.map_err(|e| Error::io(path, e));
    }
    let (target, temporary) = temporary(path);
    let written = File::create(&temporary)
        .and_then(|file| filled(file, writer))
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&temporary, &target));
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        Error::io(path, e)
    })
}

fn filled(file: File, writer: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<File> {
    let mut buffered = BufWriter::new(file);
    writer(&mut buffered)?;
    buffered.into_inner().map_err(io::IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_closed_pipe_on_stdout_ends_quietly() {
        let mut sink = Sink::over("stdout".into(), Box::new(Gone), true);
        for _ in 0..3 {
            sink.write(|out| out.write_all(&[b'x'; 20_000])).unwrap();
        }
        assert!(sink.closed());
        sink.finish().unwrap();
    }

    #[test]
    fn a_closed_pipe_elsewhere_is_an_error() {
        let mut sink = Sink::over("fifo".into(), Box::new(Gone), false);
        sink.write(|out| out.write_all(b"x")).unwrap();
        assert!(sink.finish().unwrap_err().to_string().starts_with("fifo: "));
    }

    #[test]
    fn names_beside() {
        assert_eq!(
            beside(Path::new("a/out.csv"), ".manifest.json"),
            Path::new("a/out.csv.manifest.json")
        );
    }
}
