//! Full disks, closed pipes, places that cannot be written.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use super::{Folder, command, digits, example, refusal, refused};

#[test]
fn a_place_that_cannot_be_written_is_told_before_any_work() {
    let folder = Folder::new();
    let file = folder.file("file", "");
    let (absent, within) = (folder.path("no/such/place"), format!("{file}/place"));
    let here = folder.path("");
    let pendulum = example("pendulum.onnx");
    for place in [absent.as_str(), &within, &here] {
        let name = place.trim_end_matches('/');
        for option in ["--out", "--plot"] {
            let line = refusal(&digits("certify", &["--epsilon", "0.1", option, place]));
            assert!(line.contains(name), "{line}");
        }
        refused(&["bounds", &pendulum, "--box", "0", "1", "--out", place], &[name]);
        refused(&["pack", &pendulum, "-o", place], &[name]);
    }
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    for format in ["table", "jsonl", "csv"] {
        let more = ["--epsilon", "0.1", "--format", format, "--out", "/dev/full"];
        let line = refusal(&digits("certify", &more));
        assert!(line.starts_with("certus: /dev/full: "), "{line}");
    }
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    let runs: [&[&str]; 5] = [
        &["certify", &model, "--data", &data, "--epsilon", "0.1"],
        &["certify", &model, "--data", &data, "--epsilon", "0.1", "--format", "jsonl"],
        &["radius", &model, "--data", &data, "--format", "csv"],
        &["bounds", &example("pendulum.onnx"), "--box", "0", "1"],
        &["inspect", &model],
    ];
    for args in runs {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command(args).stdout(full).output().unwrap();
        let line = refusal(&output);
        assert!(line.starts_with("certus: stdout: "), "{line}");
    }
    let plot = digits("certify", &["--epsilon", "0.1", "--range", "0..3", "--plot", "/dev/full"]);
    let told = String::from_utf8(plot.stderr).unwrap();
    assert!(plot.status.code() == Some(4) && told.starts_with("certus: /dev/full: "), "{told}");
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    for format in ["table", "jsonl", "csv"] {
        let args = ["radius", &model, "--data", &data, "--tolerance", "1e-9", "--format", format];
        let mut child =
            command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if format != "table" {
            let mut first = String::new();
            BufReader::with_capacity(1, child.stdout.take().unwrap())
                .read_line(&mut first)
                .unwrap();
            assert!(first.contains("index"), "{first}");
        }
        drop(child.stdout.take());
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(told, "", "{format}");
        assert!(child.wait().unwrap().code().is_some_and(|code| code < 4));
    }
}

#[test]
fn a_standard_error_that_is_closed_is_no_reason_to_fail() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = command(&["inspect", "absent.onnx"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(4));
}
