//! `cargo xtask fuzz`: coverage-guided fuzzing of whatever reads bytes from outside.
//!
//! libFuzzer on the stable toolchain: `tests/fuzz` is a workspace of its own, built with LLVM's
//! coverage pass over it and everything it uses. Naming the target triple keeps build scripts out
//! of that. Corpora and inputs that crashed lie under the build folder, in `fuzz/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::context::Context;
use crate::process::{capture, run};
use crate::report::{Outcome, Report};
use crate::setup::{self, Ready};
use crate::sources;

/// A fuzz target.
struct Target {
    /// Its name: a file in `tests/fuzz/fuzz_targets`.
    name: &'static str,
    /// Files of the repository with this extension are its first inputs.
    seeds: &'static str,
    /// The longest input, in bytes.
    longest: u64,
}

const TARGETS: [Target; 2] = [
    Target { name: "onnx", seeds: "onnx", longest: 1 << 16 },
    Target { name: "blob", seeds: "certus", longest: 1 << 14 },
];

/// LLVM's coverage, as libFuzzer wants it; short comparisons as calls of `memcmp`, where it sees
/// them (a four-byte magic: 46 million executions without finding it, 156 with); assertions on, so
/// that an overflow is a crash.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-max-loads-per-memcmp=0 \
    -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks --cfg fuzzing";

/// Runs it.
pub fn command(context: &Context, arguments: &[String]) -> Result<bool, String> {
    let mut seconds = 60;
    let mut names: Vec<&str> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--seconds" => {
                let value = rest.next().and_then(|v| v.parse().ok());
                seconds = value.ok_or("fuzz: --seconds wants a whole number")?;
            }
            name if TARGETS.iter().any(|t| t.name == name) => names.push(name),
            other => return Err(format!("fuzz: no option or target {other:?}")),
        }
    }
    let chosen = TARGETS.iter().filter(|t| names.is_empty() || names.contains(&t.name));

    let ready = Ready::make(context, &[setup::CXX], true);
    let mut report = Report::default();
    let mut built = Err(String::new());
    report.step("fuzz targets: build", || {
        if let Err(reason) = ready.has(setup::CXX) {
            built = Err(reason.clone());
            return Outcome::Skipped(reason);
        }
        built = build(context);
        built.as_ref().map(|_| ()).map_err(Clone::clone).into()
    });
    for target in chosen {
        report.step(&format!("fuzz {}", target.name), || match &built {
            Ok(programs) => fuzz(context, target, programs, seconds).into(),
            Err(_) => Outcome::Skipped("not built".into()),
        });
    }
    Ok(report.close(context.ci))
}

/// Builds all targets; the folder with the programs.
fn build(context: &Context) -> Result<PathBuf, String> {
    let version = capture(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("no host")?;
    let folder = context.target.join("fuzz");
    let manifest = "tests/fuzz/Cargo.toml";
    let mut cargo = context.cargo(&["build", "--release", "--manifest-path", manifest]);
    cargo.args(["--target", host, "--target-dir"]).arg(&folder).env("RUSTFLAGS", FLAGS);
    run(cargo.env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    Ok(folder.join(host).join("release"))
}

fn fuzz(
    context: &Context,
    target: &Target,
    programs: &Path,
    seconds: u32,
) -> Result<String, String> {
    let folder = context.target.join("fuzz");
    let make = |kind: &str| {
        let path = folder.join(kind).join(target.name);
        fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display())).map(|()| path)
    };
    let (corpus, artifacts, logs) = (make("corpus")?, make("artifacts")?, make("logs")?);
    let seeds = plant_seeds(context, target, &corpus)?;

    let log = logs.join("last.txt");
    let output = fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let mut command = Command::new(programs.join(target.name));
    command
        .arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-max_len={}", target.longest))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output);
    println!("$ {} for {seconds} s from {seeds} seeds, log in {}", target.name, log.display());
    let status = command.status().map_err(|e| format!("{}: {e}", target.name))?;
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    if !status.success() {
        let start = text.lines().count().saturating_sub(60);
        text.lines().skip(start).for_each(|line| println!("{line}"));
        let input = text.lines().find_map(|line| line.split_once("Test unit written to "));
        let input = input.map_or("no input was written", |(_, path)| path);
        return Err(format!("{status}; the input: {input}"));
    }
    summary(&text).ok_or_else(|| "ran, but reported nothing".into())
}

/// Copies the repository's examples into the corpus; how many there were.
fn plant_seeds(context: &Context, target: &Target, corpus: &Path) -> Result<usize, String> {
    let mut seeds = 0;
    for file in sources::under(&context.root)? {
        let small = file.metadata().is_ok_and(|m| m.len() <= target.longest);
        if small && sources::extension(&file) == target.seeds {
            seeds += 1;
            let name = format!("seed-{seeds}");
            fs::copy(&file, corpus.join(&name)).map_err(|e| format!("{name}: {e}"))?;
        }
    }
    Ok(seeds)
}

/// `1234 executions (567 a second), coverage 89, corpus 10`, from what libFuzzer printed last.
fn summary(log: &str) -> Option<String> {
    let stat = |name: &str| {
        let line = log.lines().rev().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    let executions = stat("stat::number_of_executed_units:")?;
    let rate = stat("stat::average_exec_per_sec:")?;
    // "#4242 DONE cov: 12 ft: 34 corp: 5/67b lim: .."
    let last = log.lines().rev().find(|line| line.contains(" cov: "))?;
    let mut words = last.split_whitespace();
    words.find(|w| *w == "cov:")?;
    let coverage = words.next()?;
    words.find(|w| *w == "corp:")?;
    let corpus = words.next()?.split('/').next()?;
    Some(format!("{executions} executions ({rate} a second), coverage {coverage}, corpus {corpus}"))
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn reads_what_libfuzzer_prints() {
        let log = "#2\tINITED cov: 3 ft: 4 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                   #4242\tDONE   cov: 12 ft: 34 corp: 5/67b lim: 4 exec/s: 2121 rss: 40Mb\n\
                   Done 4242 runs in 2 second(s)\n\
                   stat::number_of_executed_units: 4242\n\
                   stat::average_exec_per_sec:     2121\n";
        let expected = "4242 executions (2121 a second), coverage 12, corpus 5";
        assert_eq!(summary(log).as_deref(), Some(expected));
    }
}
