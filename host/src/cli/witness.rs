//! Witnesses of a run, kept for a file of them.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Outcome;
use super::inputs::check_output;
use super::samples::RunArgs;
use crate::attack::Witness;
use crate::error::{Error, Result};
use crate::report::{Record, witnesses};

/// An attack beside the proofs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Attack")]
pub struct AttackArgs {
    /// Attack too, for the other side of the bracket
    #[arg(long)]
    pub attack: bool,
    /// Write the inputs that prove another answer to this .npz (X, y, index, answer)
    #[arg(long, value_name = "FILE.npz", conflicts_with = "resume")]
    pub witness: Option<PathBuf>,
}

impl AttackArgs {
    /// # Errors
    /// A file for witnesses where nothing looks for any.
    pub fn check(&self, exact: bool) -> Result<()> {
        if self.witness.is_some() && !self.attack && !exact {
            let message = "--witness needs --attack, which looks for witnesses";
            return Err(Error::Usage(message.to_owned()));
        }
        Ok(())
    }
}

/// Takes witnesses from all threads.
pub struct Witnesses {
    path: Option<PathBuf>,
    rows: Mutex<Vec<witnesses::Row>>,
}

impl Witnesses {
    /// For the file at `path`, if one is asked for.
    ///
    /// # Errors
    /// A file that is another of the run's, or that cannot be written.
    pub fn new(path: Option<&Path>, run: &RunArgs) -> Result<Self> {
        if let Some(path) = path {
            let others = [
                ("MODEL", Some(run.model.as_path())),
                ("--data", Some(run.data.data.as_path())),
                ("--labels", run.data.labels.as_deref()),
                ("--out", run.out.out.as_deref()),
                ("--plot", run.plot.as_deref()),
            ];
            check_output("--witness", path, &others)?;
        }
        Ok(Self { path: path.map(Path::to_owned), rows: Mutex::default() })
    }

    /// Keeps the witness of a finished sample, if there is one.
    pub fn put(&self, record: &Record, witness: Option<Witness>) {
        let (Some(_), Some(witness), Some(class)) = (&self.path, witness, record.predicted) else {
            return;
        };
        let row = witnesses::Row {
            index: record.index,
            class,
            answer: witness.class(),
            point: witness.point().to_vec(),
        };
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// Writes the file after a run, also where the run could not be finished.
    ///
    /// # Errors
    /// The run's, else the system's, naming the file.
    pub fn end(self, shape: &[usize], run: Result<Outcome>) -> Result<Outcome> {
        let written = self.write(shape);
        let outcome = run?;
        written.map(|()| outcome)
    }

    /// The witnesses by index.
    fn write(self, shape: &[usize]) -> Result<()> {
        let Some(path) = self.path else { return Ok(()) };
        let mut rows = self.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        rows.sort_by_key(|row| row.index);
        witnesses::write(&rows, shape, &path)
    }
}
