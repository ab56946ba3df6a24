//! Steps, their outcomes, and the closing line.

use std::time::{Duration, Instant};

/// What a step came to.
pub enum Outcome {
    /// All well; a detail worth a few words, or nothing.
    Passed(String),
    /// Not well, and why.
    Failed(String),
    /// Could not run, and why.
    Skipped(String),
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        Self::from(result.map(|()| String::new()))
    }
}

impl From<Result<String, String>> for Outcome {
    fn from(result: Result<String, String>) -> Self {
        match result {
            Ok(detail) => Self::Passed(detail),
            Err(reason) => Self::Failed(reason),
        }
    }
}

/// The steps of one command, in order.
#[derive(Default)]
pub struct Report {
    steps: Vec<(String, Duration, Outcome)>,
    notes: Vec<String>,
}

impl Report {
    /// Runs a step.
    pub fn step<T: Into<Outcome>>(&mut self, name: &str, body: impl FnOnce() -> T) {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = body().into();
        match &outcome {
            Outcome::Failed(reason) => println!("FAILED: {reason}"),
            Outcome::Skipped(reason) => println!("SKIPPED: {reason}"),
            Outcome::Passed(_) => {}
        }
        self.steps.push((name.to_owned(), start.elapsed(), outcome));
    }

    /// Lines by which single tests said that they could not run.
    pub fn note_skipped(&mut self, lines: impl IntoIterator<Item = String>) {
        self.notes.extend(lines);
    }

    /// Prints a line per step and the closing line. True if the command may leave with status 0:
    /// nothing failed, and nothing was skipped where `strict`.
    pub fn close(self, strict: bool) -> bool {
        let (mut passed, mut failed, mut skipped) = (0, 0, self.notes.len());
        println!("\n== summary");
        for (name, time, outcome) in &self.steps {
            let (word, detail) = match outcome {
                Outcome::Passed(detail) => ("passed", detail),
                Outcome::Failed(reason) => ("FAILED", reason),
                Outcome::Skipped(reason) => ("SKIPPED", reason),
            };
            match outcome {
                Outcome::Passed(_) => passed += 1,
                Outcome::Failed(_) => failed += 1,
                Outcome::Skipped(_) => skipped += 1,
            }
            let colon = if detail.is_empty() { "" } else { ": " };
            println!("{word:<7} {:>7.1} s  {name}{colon}{detail}", time.as_secs_f64());
        }
        for line in &self.notes {
            println!("{line}");
        }
        if strict && skipped > 0 {
            println!("with CI=true, what was skipped counts as failed");
        }
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        failed == 0 && !(strict && skipped > 0)
    }
}
