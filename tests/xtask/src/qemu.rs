//! Programs for the microcontrollers, run on QEMU's boards.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::boards::Board;
use crate::context::Context;
use crate::process::capture_within;

/// Most time that a program may take: one that faults spins for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// What a program printed by semihosting; it must end by itself, and well.
pub fn run(board: &Board, arguments: &[&str], program: &Path) -> Result<String, String> {
    let mut command = Command::new(board.emulator);
    command
        .args(board.machine)
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .args(arguments)
        .arg("-kernel")
        .arg(program);
    capture_within(&mut command, LIMIT)
}

/// Runs a program whose output must be that of a file, line by line.
pub fn matches_golden(
    context: &Context,
    board: &Board,
    program: &Path,
    golden: &str,
) -> Result<String, String> {
    let expected =
        fs::read_to_string(context.root.join(golden)).map_err(|e| format!("{golden}: {e}"))?;
    let found = run(board, &[], program)?;
    print!("{found}");
    match difference(found.lines(), expected.lines()) {
        Some(difference) => Err(format!("{golden}: {difference}")),
        None => Ok(format!("{} lines as in {golden}", expected.lines().count())),
    }
}

/// Makes what a program prints the file that it must print.
pub fn write_golden(
    context: &Context,
    board: &Board,
    program: &Path,
    golden: &str,
) -> Result<(), String> {
    let found = run(board, &[], program)?;
    fs::write(context.root.join(golden), found).map_err(|e| format!("{golden}: {e}"))
}

/// The first line that is not the same in both.
fn difference<'a>(
    mut found: impl Iterator<Item = &'a str>,
    mut expected: impl Iterator<Item = &'a str>,
) -> Option<String> {
    loop {
        match (found.next(), expected.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => {
                let say = |line: Option<&str>| line.unwrap_or("nothing").to_owned();
                return Some(format!("found {:?}, expected {:?}", say(a), say(b)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_difference_is_found() {
        let difference =
            |found: &str, expected: &str| super::difference(found.lines(), expected.lines());
        assert_eq!(difference("a\r\nb\n", "a\nb\n"), None);
        let changed = difference("a\nc\n", "a\nb\n").unwrap();
        assert_eq!(changed, "found \"c\", expected \"b\"");
        assert!(difference("a\n", "a\nb\n").is_some());
        assert!(difference("a\nb\n", "a\n").is_some());
        assert!(difference("", "a\n").is_some());
    }
}
