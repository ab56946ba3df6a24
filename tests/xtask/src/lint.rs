//! `cargo xtask lint`: formatting, clippy, docs, and the project's rules on its text.

use crate::context::Context;
use crate::process::{capture, run};
use crate::report::Report;
use crate::text_rules;

/// Workspaces of their own, which `--all` does not reach.
const OTHERS: [&str; 2] = ["firmware-example/Cargo.toml", "tests/fuzz/Cargo.toml"];

/// The engine's features, none and each alone.
const ENGINE_FEATURES: [&str; 4] = ["", "curved", "norms", "simplex"];

/// Runs it.
pub fn command(context: &Context, arguments: &[String]) -> Result<bool, String> {
    if let Some(other) = arguments.first() {
        return Err(format!("lint: no option {other:?}"));
    }
    let mut report = Report::default();
    report.step("formatting", || {
        run(&mut context.cargo(&["fmt", "--all", "--check"]))?;
        OTHERS.iter().try_for_each(|manifest| {
            run(&mut context.cargo(&["fmt", "--check", "--manifest-path", manifest]))
        })
    });
    report.step("clippy", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run(&mut context.cargo(&arguments))
    });
    report.step("clippy, host without GPUs", || {
        let arguments = ["clippy", "--package", "certus", "--no-default-features"];
        run(context.cargo(&arguments).args(["--all-targets", "--", "-D", "warnings"]))
    });
    report.step("clippy, engine by its features", || {
        ENGINE_FEATURES.iter().try_for_each(|feature| {
            let arguments = ["clippy", "--package", "certus-engine", "--no-default-features"];
            let features = ["--features", feature, "--", "-D", "warnings"];
            run(context.cargo(&arguments).args(features))
        })
    });
    report.step("docs", || {
        let mut command = context.cargo(&["doc", "--workspace", "--no-deps"]);
        run(command.env("RUSTDOCFLAGS", "-D warnings"))
    });
    report.step("lock files", || {
        ["Cargo.toml"].iter().chain(&OTHERS).try_for_each(|manifest| {
            let arguments =
                ["metadata", "--locked", "--format-version", "1", "--manifest-path", manifest];
            capture(&mut context.cargo(&arguments)).map(|_| ()).map_err(|reason| {
                format!("{manifest}: run `cargo update --workspace` there; {reason}")
            })
        })
    });
    report.step("rules on the text", || text_rules::check(context));
    Ok(report.close(context.ci))
}
