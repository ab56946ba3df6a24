//! Runs with an output file: split, stopped, gone on with, refused.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Folder, certus, command, digits, example, lines, refusal, refused, stdout};

#[test]
fn the_parts_of_a_run_make_the_whole() {
    let folder = Folder::new();
    let run = |name: &str, more: &[&str]| {
        let out = folder.path(name);
        let base = ["--epsilon", "0.05", "--range", "5..95", "--format", "jsonl", "--out", &out];
        let output = digits("certify", &[&base, more].concat());
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        out
    };
    run("whole.jsonl", &[]);
    let parts =
        ["1/3", "2/3", "3/3"].map(|shard| run(&shard.replace('/', "-"), &["--shard", shard]));
    let out = folder.path("merged.jsonl");
    let missing = ["merge", &parts[0], &parts[2], "--out", &out];
    refused(&missing, &["30 of 90 instances are missing: 7, 10"]);
    assert!(!std::path::Path::new(&out).exists());
    let merged = certus(&["merge", &parts[2], &parts[0], &parts[1], "--out", &out]);
    assert_eq!(merged.status.code(), Some(1), "{merged:?}");
    assert_eq!(lines(&folder.read("merged.jsonl")), lines(&folder.read("whole.jsonl")));
    assert_eq!(folder.read("merged.jsonl.manifest.json"), folder.read("whole.jsonl.manifest.json"));
    let partial = folder.path("partial.jsonl");
    let merged = certus(&["merge", &parts[0], &parts[2], "--out", &partial, "--partial"]);
    assert_eq!(merged.status.code(), Some(1), "{merged:?}");
    assert_eq!(lines(&folder.read("partial.jsonl")).len(), 60);
    // A part of another run is not one of this.
    let other = folder.path("other.jsonl");
    let base = ["--epsilon", "0.06", "--range", "5..95", "--shard", "2/3", "--format", "jsonl"];
    digits("certify", &[&base[..], &["--out", &other]].concat());
    let mixed = ["merge", &parts[0], &other, &parts[2], "--out", &partial];
    refused(&mixed, &["option epsilon is 0.05 here and 0.06 there"]);
    refused(&["merge", &parts[0], "--out", &parts[0]], &["both read and written"]);
    refused(&["merge", "absent.jsonl", "--out", &partial], &["absent.jsonl.manifest.json"]);
}

#[test]
fn a_killed_run_goes_on_where_it_stopped() {
    for format in ["jsonl", "csv"] {
        let folder = Folder::new();
        let base =
            ["--method", "crown", "--tolerance", "1e-8", "--format", format, "--threads", "2"];
        let whole = folder.path("whole");
        stdout(&digits("radius", &[&base[..], &["--out", &whole]].concat()), 1);
        let journal = if format == "csv" { "out.journal.jsonl" } else { "out" };
        let out = folder.path("out");
        let (model, data) = (example("digits.onnx"), example("digits.npz"));
        let args = [&["radius", &model, "--data", &data, "--out", &out], &base[..]].concat();
        let kill_after = |rows: usize| {
            let mut child =
                command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let begun = Instant::now();
            loop {
                let text = std::fs::read(folder.path(journal)).unwrap_or_default();
                let done = text.iter().filter(|b| **b == b'\n').count();
                if done >= rows || begun.elapsed() > Duration::from_secs(120) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            let text = std::fs::read(folder.path(journal)).unwrap();
            text.iter().filter(|b| **b == b'\n').count()
        };
        let done = kill_after(20);
        assert!((20..300).contains(&done), "{done} rows when it was killed");
        let again = digits("radius", &[&base[..], &["--out", &out]].concat());
        assert!(refusal(&again).contains("is there from an earlier run; use --resume"));
        let resumed = digits("radius", &[&base[..], &["--out", &out, "--resume"]].concat());
        assert_eq!(stdout(&resumed, 1), "");
        let plain = |name: &str| -> Vec<String> {
            let text = folder.read(name);
            if format == "jsonl" {
                return lines(&text).iter().map(|value| value.to_string()).collect();
            }
            text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
        };
        assert_eq!(plain("out"), plain("whole"));
        // What is finished stays finished.
        let before = folder.read("out");
        stdout(&digits("radius", &[&base[..], &["--out", &out, "--resume"]].concat()), 1);
        assert_eq!(folder.read("out"), before);
    }
}

#[test]
fn another_run_is_not_gone_on_with() {
    let folder = Folder::new();
    let model = folder.file("m.onnx", std::fs::read(example("digits.onnx")).unwrap());
    let data = folder.file("d.npz", std::fs::read(example("digits.npz")).unwrap());
    let labels = folder.file("l.csv", "3\n".repeat(300));
    let out = folder.path("out.jsonl");
    let base = ["--out", &out, "--format", "jsonl", "--range", "0..6"];
    let args = [&["certify", &model, "--data", &data, "--epsilon", "0.05"], &base[..]].concat();
    stdout(&certus(&args), 1);
    let before = folder.read("out.jsonl");
    let resumed = |more: &[&str], field: &str| {
        refused(&[&args[..], &["--resume"], more].concat(), &["cannot resume", "out.jsonl", field]);
    };
    resumed(&["--norm", "l2"], "option norm is l2 here and linf there");
    resumed(&["--method", "ibp"], "option method is ibp here and auto there");
    resumed(&["--semantics", "deployed"], "option semantics");
    resumed(&["--clip", "0", "1"], "option clip is 0 1 here and none there");
    resumed(&["--scale", "2"], "option scale");
    resumed(&["--mean", "0.5"], "option mean");
    resumed(&["--unlabelled"], "option unlabelled");
    resumed(&["--labels", &labels], "labels_sha256");
    resumed(&["--shard", "1/2"], "shard is 1/2 here and none there");
    let mut other = args.clone();
    other[5] = "0.06";
    refused(&[&other[..], &["--resume"]].concat(), &["option epsilon is 0.06 here and 0.05 there"]);
    other = args.clone();
    other[11] = "0..7";
    refused(&[&other[..], &["--resume"]].concat(), &["instances is 7 from row 0 here and 6"]);
    stdout(&certus(&["pack", &example("digits.onnx"), "-o", &folder.path("m.certus")]), 0);
    let packed = folder.path("m.certus");
    other = args.clone();
    other[1] = &packed;
    refused(&[&other[..], &["--resume"]].concat(), &["model_sha256"]);
    folder.file("d.npz", super::npy("(300, 64)", &[0.5; 300 * 64]));
    refused(&[&args[..], &["--resume"]].concat(), &["data_sha256"]);
    assert_eq!(folder.read("out.jsonl"), before);
}

#[test]
fn what_is_there_is_not_lost() {
    let folder = Folder::new();
    let out = folder.file("notes.txt", "of importance\n");
    for format in ["table", "jsonl", "csv"] {
        let more = ["--epsilon", "0.1", "--range", "0..2", "--out", &out, "--format", format];
        assert!(
            refusal(&digits("certify", &more)).contains("notes.txt is there and has no manifest")
        );
        let resumed = refusal(&digits("certify", &[&more[..], &["--resume"]].concat()));
        assert!(resumed.contains("notes.txt is there and has no manifest"), "{resumed}");
    }
    // Nor by what is wrong with the input.
    let absent =
        ["certify", "absent.onnx", "--data", "absent.npz", "--epsilon", "1", "--out", &out];
    refused(&absent, &["absent.onnx: "]);
    assert_eq!(folder.read("notes.txt"), "of importance\n");
    let model = folder.file("m.onnx", std::fs::read(example("digits.onnx")).unwrap());
    let data = folder.file("d.npz", std::fs::read(example("digits.npz")).unwrap());
    let base = ["certify", &model, "--data", &data, "--epsilon", "0.1"];
    let new = folder.path("new.svg");
    for (more, words) in [
        (vec!["--out", model.as_str()], ["--out", "is also MODEL"]),
        (vec!["--out", data.as_str()], ["--out", "is also --data"]),
        (vec!["--plot", data.as_str()], ["--plot", "is also --data"]),
        (vec!["--plot", new.as_str(), "--out", new.as_str()], ["--plot", "is also --out"]),
    ] {
        refused(&[&base[..], &more].concat(), &words);
    }
    refused(&["pack", &model, "-o", &model], &["--out", "is also MODEL"]);
    certus::import::read(model.as_ref()).unwrap();
    certus::dataset::read(data.as_ref(), None).unwrap();
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 3);
}

#[test]
fn a_table_in_a_file_is_that_on_the_screen() {
    let folder = Folder::new();
    let out = folder.path("table.txt");
    let more = ["--range", "0..5"];
    let screen = stdout(&digits("radius", &more), 1);
    assert_eq!(stdout(&digits("radius", &[&more[..], &["--out", &out]].concat()), 1), "");
    let words = |text: &str| -> Vec<String> {
        // All but the last two columns, the times.
        text.lines().map(|line| line.chars().take(60).collect()).take(12).collect()
    };
    assert_eq!(words(&folder.read("table.txt")), words(&screen));
}
