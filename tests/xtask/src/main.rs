//! `cargo xtask`: the project's own commands.
//!
//! One file per command (`test`, `firmware`, `bench`, `lint`, `ci`, `fuzz`); beneath them `setup` with what
//! the tests need and how to get it, `report` with the steps and the closing line, `process` with
//! the running of other programs. Little but the standard library, so that it builds in seconds.

mod apt;
mod bench;
mod boards;
mod ci;
mod context;
mod elf;
mod engine_rules;
mod figures;
mod firmware;
mod fuzz;
mod lint;
mod mcu;
mod measure;
mod process;
mod qemu;
mod report;
mod setup;
mod sources;
mod stack;
mod test;
mod text_rules;
mod vulkan;

use std::process::ExitCode;

use context::Context;

const HELP: &str = "\
cargo xtask COMMAND

  test  [--long | --hours] [--no-install]
                                  set up what is missing, then every test
  firmware [--no-install] [--bless]
                                  the programs for microcontrollers: bits, sizes, panics, figures
  bench [ARGUMENTS..]             the benchmarks; arguments go to `cargo bench -p certus`
  lint                            formatting, clippy, docs, and the project's rules on its text
  fuzz  [--seconds N] [TARGET..]  coverage-guided fuzzing, N seconds a target (60)
  ci                              what continuous integration runs (.ci/run)
  help                            this text

  --long         also what takes minutes: whole data sets, more random networks
  --hours        also what takes a quarter of an hour each: published figures of linear programs
  --bless        write what is found to tests/golden/figures.txt and fly.txt
  --no-install   install nothing; a step that lacks something is skipped, with the reason

Each step ends in one line, passed, FAILED or SKIPPED; the last line counts them. The exit status
is 0 if nothing failed, and, with CI=true, nothing was skipped that CI has the means to run.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return ExitCode::from(2);
    };
    let done = match command.as_str() {
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => Context::find().and_then(|context| match command.as_str() {
            "test" => test::command(&context, rest),
            "firmware" => firmware::command(&context, rest),
            "bench" => bench::command(&context, rest),
            "lint" => lint::command(&context, rest),
            "fuzz" => fuzz::command(&context, rest),
            "ci" => ci::command(&context, rest),
            other => Err(format!("no command {other:?}; see cargo xtask help")),
        }),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(2)
        }
    }
}
