//! `cargo xtask test`: set up, then every test.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::context::Context;
use crate::process::{run, run_seeing};
use crate::report::{Outcome, Report};
use crate::setup::{self, Ready};
use crate::vulkan::{DRIVERS, Driver, LOADER};
use crate::{engine_rules, firmware};

/// Builds the engine alone.
const ENGINE: [&str; 4] = ["build", "--release", "--package", "certus-engine"];

/// Builds its C interface.
const FFI: [&str; 4] = ["build", "--release", "--package", "certus-ffi"];

/// Runs the tests that want a GPU. Of the whole workspace: for single crates cargo would choose other
/// features of what they depend on, and build all that again.
const GPU: [[&str; 4]; 2] =
    [["test", "--workspace", "--test", "gpu"], ["test", "--workspace", "--lib", "gpu"]];

/// Runs it.
pub fn command(context: &Context, arguments: &[String]) -> Result<bool, String> {
    let (mut long, mut hours, mut install) = (false, false, true);
    for argument in arguments {
        match argument.as_str() {
            "--long" => long = true,
            "--hours" => (long, hours) = (true, true),
            "--no-install" => install = false,
            other => return Err(format!("test: no option {other:?}")),
        }
    }

    let needed = [&setup::FIRMWARE[..], &setup::GPU].concat();
    let ready = Ready::make(context, &needed, install);
    println!("set up: {}", ready.line());

    let mut report = Report::default();
    let log = SkipLog::new(context)?;
    let tests = Tests { context, ready: &ready, long, hours, log: &log };
    report.step("tests of the workspace", || tests.workspace());
    for driver in &DRIVERS {
        report.step(&format!("gpu ({})", driver.name), || tests.on_gpu(driver));
    }
    let lines = log.lines();
    // Data from outside is rarely at hand; where it is, in CI, each test must have found it.
    let data_expected = context.ci && context.shared_data().is_some();
    if data_expected && !lines.is_empty() {
        report.step("every test found its data", || -> Result<(), String> {
            Err(format!("{} skipped with ../shared/data at hand", lines.len()))
        });
    }
    report.note_skipped(lines);

    report.step("engine: the same bounds without its features", || {
        let arguments = ["test", "--package", "certus-engine", "--lib", "--no-default-features"];
        run(context.cargo(&arguments).arg("features::"))
    });
    report.step("engine: its dependencies", || engine_rules::dependencies(context));
    report.step("engine: no std, no heap, no unsafe", || engine_rules::sources(context));
    report.step("unsafe code in the C interface alone", || {
        engine_rules::unsafe_in_one_crate(context)
    });
    report.step("engine: no panic in its machine code", || {
        no_panic(context, &ENGINE, "certus_engine")
    });
    report.step("C interface: no panic either", || no_panic(context, &FFI, "certus_ffi"));
    firmware::steps(context, &ready, &mut report, false);
    let strict = context.ci;
    Ok(report.close(strict))
}

/// The file to which tests append a line for what they could not run.
struct SkipLog(PathBuf);

impl SkipLog {
    fn new(context: &Context) -> Result<Self, String> {
        let path = context.target.join("skipped-tests.txt");
        fs::write(&path, "").map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines.dedup();
        lines
    }
}

/// How tests are run.
struct Tests<'a> {
    context: &'a Context,
    ready: &'a Ready,
    long: bool,
    hours: bool,
    log: &'a SkipLog,
}

impl Tests<'_> {
    /// All of them, on this machine's processor.
    fn workspace(&self) -> Result<String, String> {
        let mut command = self.context.cargo(&["test", "--workspace", "--no-fail-fast"]);
        // Where a driver is at hand, those for GPUs have a step of their own.
        if DRIVERS.iter().any(|driver| self.has(driver).is_ok()) {
            command.env("CERTUS_GPU", "off");
        }
        let passed = self.run(&mut command)?;
        Ok(format!("{passed} tests{}", if self.long { ", long ones too" } else { "" }))
    }

    /// Those for GPUs, on one driver.
    fn on_gpu(&self, driver: &Driver) -> Outcome {
        if let Err(reason) = self.has(driver) {
            return Outcome::Skipped(reason);
        }
        let each = GPU.map(|arguments| {
            let mut command = self.context.cargo(&arguments);
            driver.alone(self.context, &mut command)?;
            match self.run(&mut command)? {
                0 => Err(format!("{}: no test was run", arguments.join(" "))),
                passed => Ok(passed),
            }
        });
        let passed = each.into_iter().sum::<Result<usize, String>>();
        passed.map(|passed| format!("{passed} tests")).into()
    }

    /// Whether a driver is here, with what finds it.
    fn has(&self, driver: &Driver) -> Result<(), String> {
        self.ready.has(LOADER).and(self.ready.has(driver.name))
    }

    /// Runs `cargo test`; how many passed.
    fn run(&self, command: &mut Command) -> Result<usize, String> {
        command.env("CERTUS_SKIP_LOG", &self.log.0);
        if self.long {
            command.env("CERTUS_LONG", "1");
        }
        if self.hours {
            command.env("CERTUS_HOURS", "1");
        }
        let (mut passed, mut failed) = (0, 0);
        let outcome = run_seeing(command, |line| {
            let [p, f] = counts(line).unwrap_or_default();
            passed += p;
            failed += f;
        });
        match outcome {
            Ok(()) => Ok(passed),
            Err(reason) => Err(format!("{failed} of {} tests; {reason}", passed + failed)),
        }
    }
}

/// Passed and failed, from `test result: ok. 3 passed; 0 failed; 0 ignored; ..`.
fn counts(line: &str) -> Option<[usize; 2]> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut numbers = rest.split("; ").map(|part| part.split(' ').next()?.parse().ok());
    Some([numbers.next()??, numbers.next()??])
}

/// No panic in the machine code that `arguments` build for the host.
fn no_panic(context: &Context, arguments: &[&str], library: &str) -> Result<String, String> {
    let folder = context.target.join("assembly");
    let mut command = context.cargo(arguments);
    command.env("CARGO_TARGET_DIR", &folder);
    engine_rules::no_panic(&mut command, library, &folder.join("release/deps"))
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn reads_what_cargo_prints() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered";
        assert_eq!(counts(line), Some([12, 3]));
        assert_eq!(counts("test result: ok. 0 passed; 0 failed; 0 ignored"), Some([0, 0]));
        assert_eq!(counts("running 3 tests"), None);
    }
}
