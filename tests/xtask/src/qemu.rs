//! Programs for the microcontroller, run in QEMU: an MPS2 board with the AN386 image, a Cortex-M4F.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::context::Context;
use crate::process::capture_within;
use crate::setup;

/// Most time that a program may take: one that faults spins for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// What a program printed by semihosting; it must end by itself, and well.
pub fn run(program: &Path) -> Result<String, String> {
    let mut command = Command::new(setup::QEMU);
    command
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(program);
    capture_within(&mut command, LIMIT)
}

/// Runs a program whose output must be that of a file, line by line.
pub fn matches_golden(context: &Context, program: &Path, golden: &str) -> Result<String, String> {
    let expected =
        fs::read_to_string(context.root.join(golden)).map_err(|e| format!("{golden}: {e}"))?;
    let found = run(program)?;
    print!("{found}");
    match difference(&found, &expected) {
        Some(difference) => Err(format!("{golden}: {difference}")),
        None => Ok(format!("{} lines as in {golden}", expected.lines().count())),
    }
}

/// The first line that is not the same in both.
fn difference(found: &str, expected: &str) -> Option<String> {
    let (mut found, mut expected) = (found.lines(), expected.lines());
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
    use super::difference;

    #[test]
    fn each_difference_is_found() {
        assert_eq!(difference("a\r\nb\n", "a\nb\n"), None);
        let changed = difference("a\nc\n", "a\nb\n").unwrap();
        assert_eq!(changed, "found \"c\", expected \"b\"");
        assert!(difference("a\n", "a\nb\n").is_some());
        assert!(difference("a\nb\n", "a\n").is_some());
        assert!(difference("", "a\n").is_some());
    }
}
