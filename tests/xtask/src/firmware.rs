//! `cargo xtask firmware`: the programs of `firmware-example`, on every board that QEMU has.

use std::path::PathBuf;

use crate::boards::{BOARDS, Board, M4F, TARGETS, Target};
use crate::context::Context;
use crate::mcu::{self, Toolchain};
use crate::process::run;
use crate::qemu;
use crate::report::{Outcome, Report};
use crate::setup::{self, Ready};

const MANIFEST: &str = "firmware-example/Cargo.toml";

/// Runs it.
pub fn command(context: &Context, arguments: &[String]) -> Result<bool, String> {
    let mut install = true;
    for argument in arguments {
        match argument.as_str() {
            "--no-install" => install = false,
            other => return Err(format!("firmware: no option {other:?}")),
        }
    }
    let ready = Ready::make(context, &setup::FIRMWARE, install);
    println!("set up: {}", ready.line());
    let mut report = Report::default();
    steps(context, &ready, &mut report);
    Ok(report.close(context.ci))
}

/// Its steps, for `cargo xtask test` too.
pub fn steps(context: &Context, ready: &Ready, report: &mut Report) {
    report.step(&format!("engine on {}", M4F.core), || {
        on_toolchain(context, ready, &M4F, |toolchain| {
            build(context, toolchain, "Cargo.toml", &["--release", "--package", "certus-engine"])
        })
    });
    for target in TARGETS {
        report.step(&format!("programs for {}", target.core), || {
            on_toolchain(context, ready, target, |toolchain| {
                build(context, toolchain, MANIFEST, &["--release"])
            })
        });
    }
    for board in &BOARDS {
        // The host's tests compare themselves with the same files.
        for (program, golden) in
            [("functions", "tests/golden/functions.txt"), ("bits", "tests/golden/bits.txt")]
        {
            report.step(&format!("{program} on {} in QEMU", board.core), || {
                on_board(context, ready, board, program, |program| {
                    qemu::matches_golden(context, board, &program, golden)
                })
            });
        }
    }
}

/// What needs a target.
fn on_toolchain(
    context: &Context,
    ready: &Ready,
    target: &'static Target,
    body: impl FnOnce(&Toolchain) -> Result<String, String>,
) -> Outcome {
    match (ready.has(target.triple), mcu::find(context, target)) {
        (Err(reason), _) => Outcome::Skipped(reason),
        (Ok(()), None) => Outcome::Failed(format!("{}: gone", target.triple)),
        (Ok(()), Some(toolchain)) => body(&toolchain).into(),
    }
}

/// What needs a program of the release build, and a board to run it on.
fn on_board(
    context: &Context,
    ready: &Ready,
    board: &Board,
    program: &str,
    body: impl FnOnce(PathBuf) -> Result<String, String>,
) -> Outcome {
    if let Err(reason) = ready.has(board.emulator) {
        return Outcome::Skipped(reason);
    }
    on_toolchain(context, ready, board.target, |toolchain| {
        body(toolchain.programs(context, "release").join(program))
    })
}

/// Builds a workspace for the toolchain's target.
fn build(
    context: &Context,
    toolchain: &Toolchain,
    manifest: &str,
    arguments: &[&str],
) -> Result<String, String> {
    if toolchain.is_offline() {
        run(&mut context.cargo(&["fetch", "--quiet", "--manifest-path", manifest]))?;
    }
    let mut all = vec!["build", "--manifest-path", manifest, "--target", toolchain.target.triple];
    all.extend(arguments);
    run(&mut toolchain.cargo(context, &all))?;
    Ok(toolchain.describe())
}
