//! `cargo xtask firmware`: the programs of `firmware-example`, on every board that QEMU has.

use std::path::PathBuf;

use crate::boards::{BOARDS, Board, FLY, M4F, TARGETS, Target};
use crate::context::Context;
use crate::elf;
use crate::engine_rules;
use crate::figures::{self, Figures};
use crate::mcu::{self, Toolchain};
use crate::measure::{self, LEAN, LEAN_ARGUMENTS, PROFILES, STM32H7};
use crate::process::run;
use crate::qemu;
use crate::report::{Outcome, Report};
use crate::setup::{self, Ready};
use crate::stack;

const MANIFEST: &str = "firmware-example/Cargo.toml";
/// What `fly` prints.
const FLIGHTS: &str = "tests/golden/fly.txt";

/// Runs it.
pub fn command(context: &Context, arguments: &[String]) -> Result<bool, String> {
    let (mut install, mut bless) = (true, false);
    for argument in arguments {
        match argument.as_str() {
            "--no-install" => install = false,
            "--bless" => bless = true,
            other => return Err(format!("firmware: no option {other:?}")),
        }
    }
    let ready = Ready::make(context, &setup::FIRMWARE, install);
    println!("set up: {}", ready.line());
    let mut report = Report::default();
    steps(context, &ready, &mut report, bless);
    Ok(report.close(context.ci))
}

/// Its steps, for `cargo xtask test` too.
pub fn steps(context: &Context, ready: &Ready, report: &mut Report, bless: bool) {
    report.step(&format!("engine on {}", M4F.core), || {
        on_toolchain(context, ready, &M4F, |toolchain| {
            build(context, toolchain, "Cargo.toml", &["--release", "--package", "certus-engine"])
        })
    });
    report.step(&format!("C interface on {}: no panic", M4F.core), || {
        on_toolchain(context, ready, &M4F, |toolchain| c_interface(context, toolchain))
    });
    for target in TARGETS {
        report.step(&format!("programs for {}", target.core), || {
            on_toolchain(context, ready, target, |toolchain| programs(context, toolchain))
        });
        report.step(&format!("programs for {}, with frame sizes", target.core), || {
            on_toolchain(context, ready, target, |toolchain| {
                stack::build(context, toolchain, MANIFEST)
            })
        });
        report.step(&format!("no panic, heap or formatting for {}", target.core), || {
            on_toolchain(context, ready, target, |toolchain| nothing_forbidden(context, toolchain))
        });
    }
    report.step("a planted panic is found", || {
        on_toolchain(context, ready, &M4F, |toolchain| planted(context, toolchain))
    });
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
        if board.target.features.contains(&FLY) {
            report.step(&format!("fly on {} in QEMU", board.core), || {
                on_board(context, ready, board, "fly", |program| {
                    // One board writes it, with the others it is compared.
                    if bless && board.core == M4F.core {
                        qemu::write_golden(context, board, &program, FLIGHTS)?;
                    }
                    qemu::matches_golden(context, board, &program, FLIGHTS)
                })
            });
        }
        for program in ["whole", "hover", LEAN] {
            report.step(&format!("{program} on {} in QEMU", board.core), || {
                on_board(context, ready, board, program, |program| qemu::run(board, &[], &program))
            });
        }
    }
    report.step("figures", || figures(context, ready, bless));
}

/// Builds the C interface as C firmware links it, and looks for panics in its machine code.
fn c_interface(context: &Context, toolchain: &Toolchain) -> Result<String, String> {
    fetch(context, toolchain, "Cargo.toml")?;
    let arguments = ["build", "--release", "--package", "certus-ffi", "--features", "bare-metal"];
    let mut command = toolchain.cargo(context, &arguments);
    command.args(["--target", toolchain.target.triple]);
    let folder = toolchain.programs(context, "release").join("deps");
    engine_rules::no_panic(&mut command, "certus_ffi", &folder)
}

/// Builds the programs of a target in both profiles.
fn programs(context: &Context, toolchain: &Toolchain) -> Result<String, String> {
    let features = toolchain.target.features.join(",");
    for (profile, _) in PROFILES {
        let mut arguments = vec!["--profile", profile];
        if profile == "release" {
            arguments.extend(["--features", &features]);
        } else {
            let sized = measure::sized(toolchain.target);
            let ours = sized.into_iter().filter(|program| ![STM32H7, LEAN].contains(program));
            arguments.extend(ours.flat_map(|program| ["--bin", program]));
        }
        build(context, toolchain, MANIFEST, &arguments)?;
        let mut arguments = vec!["--profile", profile];
        arguments.extend(LEAN_ARGUMENTS);
        build(context, toolchain, MANIFEST, &arguments)?;
        if measure::sized(toolchain.target).contains(&STM32H7) {
            let arguments = ["--profile", profile, "--features", STM32H7, "--bin", STM32H7];
            build(context, toolchain, MANIFEST, &arguments)?;
        }
    }
    Ok(toolchain.describe())
}

/// That programs hold nothing which the engine does without.
fn nothing_forbidden(context: &Context, toolchain: &Toolchain) -> Result<String, String> {
    let sized = measure::sized(toolchain.target);
    for (profile, _) in PROFILES {
        for program in &sized {
            let found = elf::forbidden(&toolchain.programs(context, profile).join(program))?;
            if !found.is_empty() {
                return Err(format!("{program}, {profile}: {}", found.join(", ")));
            }
        }
    }
    Ok(format!("{} in {} profiles", sized.join(", "), PROFILES.len()))
}

/// That the check bites: a program with an index out of bounds does not pass it.
fn planted(context: &Context, toolchain: &Toolchain) -> Result<String, String> {
    let arguments = ["--release", "--features", "planted", "--bin", "planted"];
    build(context, toolchain, MANIFEST, &arguments)?;
    let found = elf::forbidden(&toolchain.programs(context, "release").join("planted"))?;
    let panic = found.into_iter().find(|name| name.contains("panic_bounds_check"));
    panic.ok_or_else(|| "the check for panics finds none".to_owned())
}

/// The figures of all targets, against the golden file.
fn figures(context: &Context, ready: &Ready, bless: bool) -> Outcome {
    let mut figures = Figures::default();
    let mut compiler = String::new();
    for target in TARGETS {
        let Some(board) = target.board() else { continue };
        if let Err(reason) = ready.has(target.triple).and(ready.has(board.emulator)) {
            return Outcome::Skipped(reason);
        }
        let Some(toolchain) = mcu::find(context, target) else {
            return Outcome::Failed(format!("{}: gone", target.triple));
        };
        compiler = toolchain.describe();
        if let Err(reason) = measure::take(context, &toolchain, board, &mut figures) {
            return Outcome::Failed(reason);
        }
    }
    measure::print(&figures, &TARGETS);
    figures::check(context, &compiler, &figures, bless).into()
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
    fetch(context, toolchain, manifest)?;
    let mut all = vec!["build", "--manifest-path", manifest, "--target", toolchain.target.triple];
    all.extend(arguments);
    run(&mut toolchain.cargo(context, &all))?;
    Ok(toolchain.describe())
}

/// Downloads what the unpacked cargo cannot.
fn fetch(context: &Context, toolchain: &Toolchain, manifest: &str) -> Result<(), String> {
    if toolchain.is_offline() {
        run(&mut context.cargo(&["fetch", "--quiet", "--manifest-path", manifest]))?;
    }
    Ok(())
}
