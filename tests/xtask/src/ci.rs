//! `cargo xtask ci`: what continuous integration runs, which is `.ci/run`.

use crate::context::Context;
use crate::process::run;

/// Runs it.
pub fn command(context: &Context, arguments: &[String]) -> Result<bool, String> {
    if let Some(other) = arguments.first() {
        return Err(format!("ci: no option {other:?}"));
    }
    run(context.command("bash", &[".ci/run"]).env("CI", "true")).map(|()| true)
}
