//! What can go wrong, each told as: what was found, where, and what was expected.

use std::path::{Path, PathBuf};

/// An error of the host. The command line prints it as one line and leaves with code 4.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file's content is not what it must be.
    #[error("{}: {place}: {message}", file.display())]
    Input {
        /// The file.
        file: PathBuf,
        /// Where in it: a node's name, a row, an array's key, a byte offset.
        place: String,
        /// What was found and what was expected.
        message: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// An option's value, or two inputs that do not fit together.
    #[error("{0}")]
    Usage(String),
}

/// The host's results.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Input`] for `file` at `place`.
    pub fn input(file: &Path, place: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Input { file: file.to_owned(), place: place.into(), message: message.into() }
    }

    /// An [`Error::Io`] for `file`.
    pub fn io(file: &Path, source: std::io::Error) -> Self {
        Error::Io { file: file.to_owned(), source }
    }
}
