//! How far a run is, for whoever watches.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A bar with count, rate and time left on standard error, if that is a terminal; else nothing.
///
/// May be shared between threads.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar of `total` instances of which `done` were finished before.
    pub fn new(total: usize, done: usize) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self::on(target, total, done)
    }

    /// A bar that is never shown.
    pub fn hidden() -> Self {
        Self::on(ProgressDrawTarget::hidden(), 0, 0)
    }

    fn on(target: ProgressDrawTarget, total: usize, done: usize) -> Self {
        // Shown only when it is ready: drawn before, it would flash the rate of the earlier run.
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        let rate = |state: &ProgressState, out: &mut dyn Write| {
            // A terminal that takes no text has no use for an error either.
            let _ = write!(out, "{:.1} a second", state.per_sec());
        };
        let template = "[{bar:30}] {pos} of {len}, {rate}, {eta} left {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        }
        bar.set_position(done as u64);
        bar.reset_eta();
        bar.reset_elapsed();
        bar.set_draw_target(target);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Progress { bar }
    }

    /// One more instance is finished.
    pub fn tick(&self) {
        self.bar.inc(1);
    }

    /// A few words after the bar.
    pub fn note(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Runs `print`, which may write to standard error, with the bar out of its way.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_many_threads() {
        let progress = Progress::on(ProgressDrawTarget::hidden(), 1000, 200);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| progress.tick()));
            }
        });
        assert_eq!(progress.bar.position(), 1000);
        progress.note("done".into());
        assert_eq!(progress.suspend(|| 7), 7);
        progress.finish();
    }
}
