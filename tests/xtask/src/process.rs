//! Running other programs: shown as it runs, or captured.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Says what is run, runs it with its output passed through, and wants status 0.
pub fn run(command: &mut Command) -> Result<(), String> {
    announce(command);
    let status =
        command.stdin(Stdio::null()).status().map_err(|e| format!("{}: {e}", name(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", name(command))) }
}

/// As [`run`], and hands each line of standard output to `see` after printing it.
pub fn run_seeing(command: &mut Command, mut see: impl FnMut(&str)) -> Result<(), String> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", name(command)))?;
    if let Some(output) = child.stdout.take() {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            see(text.trim_end());
            line.clear();
        }
    }
    let status = child.wait().map_err(|e| format!("{}: {e}", name(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", name(command))) }
}

/// Runs quietly; standard output on success, the end of standard error otherwise.
pub fn capture(command: &mut Command) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", name(command)))?;
    let mut errors = child.stderr.take().ok_or("no pipe")?;
    let errors = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = errors.read_to_end(&mut bytes);
        bytes
    });
    let mut output = Vec::new();
    let mut pipe = child.stdout.take().ok_or("no pipe")?;
    pipe.read_to_end(&mut output).map_err(|e| format!("{}: {e}", name(command)))?;
    let errors = errors.join().unwrap_or_default();
    let status = child.wait().map_err(|e| format!("{}: {e}", name(command)))?;
    if status.success() {
        Ok(String::from_utf8_lossy(&output).into_owned())
    } else {
        let errors = String::from_utf8_lossy(&errors);
        let last: Vec<&str> = errors.lines().rev().take(3).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(format!("{}: {status}: {}", name(command), last.join(" / ")))
    }
}

/// As [`capture`], errors passed through; a program that has not ended after `limit` is stopped.
pub fn capture_within(command: &mut Command, limit: Duration) -> Result<String, String> {
    announce(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", name(command)))?;
    let mut pipe = child.stdout.take().ok_or("no pipe")?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    let output = receive.recv_timeout(limit);
    if output.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|e| format!("{}: {e}", name(command)))?;
    match output {
        Ok(bytes) if status.success() => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(_) => Err(format!("{}: {status}", name(command))),
        Err(_) => Err(format!("{}: stopped after {} s", name(command), limit.as_secs())),
    }
}

/// Whether the program can be started and leaves with status 0.
pub fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn announce(command: &Command) {
    let words: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    println!("$ {} {}", name(command), words.join(" "));
}

fn name(command: &Command) -> String {
    let path = std::path::Path::new(command.get_program());
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_stopped_in_time() {
        let limit = Duration::from_millis(100);
        let stopped = capture_within(Command::new("sleep").arg("600"), limit);
        assert_eq!(stopped.unwrap_err(), "sleep: stopped after 0 s");
        let minute = Duration::from_secs(60);
        assert_eq!(capture_within(Command::new("echo").arg("a"), minute).unwrap(), "a\n");
        assert!(capture_within(&mut Command::new("false"), minute).is_err());
    }
}
