//! Runs that are killed, resumed, split and put together.

use std::fs;
use std::path::{Path, PathBuf};

use certus::report::{Record, Verdict, csv, jsonl};
use certus::run::{Batch, Format, Journal, Manifest, merge, select};

/// A new empty folder.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("certus-run-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn record(index: usize) -> Record {
    Record {
        index,
        label: Some(index % 10),
        predicted: Some(index % 10),
        verdict: if index.is_multiple_of(3) { Verdict::Unknown } else { Verdict::Certified },
        method: "crown".into(),
        margin: None,
        radius: Some(index as f64 / 7.0),
        attacked: None,
        exact: None,
        epsilon: None,
        norm: "linf".into(),
        semantics: "real".into(),
        backend: "cpu".into(),
        seconds: 0.001,
    }
}

fn manifest(instances: usize) -> Manifest {
    Manifest {
        certus_version: "0.1.0".into(),
        command: "radius".into(),
        model_sha256: "aa".into(),
        data_sha256: "bb".into(),
        labels_sha256: None,
        options: [("norm".to_owned(), "linf".to_owned())].into(),
        shard: None,
        first: 0,
        instances,
    }
}

fn all(instances: usize) -> Vec<Record> {
    (0..instances).map(record).collect()
}

fn begin(
    out: &Path,
    format: Format,
    instances: usize,
    resume: bool,
) -> certus::error::Result<Batch> {
    Batch::begin(out, format, &manifest(instances), resume)
}

fn told<T>(outcome: certus::error::Result<T>) -> String {
    outcome.map(drop).unwrap_err().to_string()
}

#[test]
fn a_journal_killed_at_every_byte_is_resumed() {
    let out = folder("kill").join("out.jsonl");
    let batch = begin(&out, Format::Jsonl, 4, false).unwrap();
    // Out of order, as threads finish.
    for i in [2, 0, 3, 1] {
        batch.append(&record(i)).unwrap();
    }
    drop(batch);
    let whole = fs::read(&out).unwrap();
    for length in 0..=whole.len() {
        fs::write(&out, &whole[..length]).unwrap();
        let ends = whole[..length].iter().filter(|&&b| b == b'\n').count();
        let batch = begin(&out, Format::Jsonl, 4, true).unwrap();
        assert_eq!((batch.resumed(), batch.todo().len()), (ends, 4 - ends), "killed at {length}");
        for i in batch.todo() {
            batch.append(&record(*i)).unwrap();
        }
        assert_eq!(batch.finish(|_, _| Ok(())).unwrap(), all(4));
        assert_eq!(jsonl::read(&out).unwrap(), all(4), "killed at {length}");
    }
}

#[test]
fn killed_again_while_resuming() {
    let out = folder("again").join("out.jsonl");
    drop(begin(&out, Format::Jsonl, 6, false).unwrap());
    for _ in 0..6 {
        let batch = begin(&out, Format::Jsonl, 6, true).unwrap();
        batch.append(&record(batch.todo()[0])).unwrap();
        drop(batch);
        let mut text = fs::read(&out).unwrap();
        text.extend(b"{\"index\":5,\"verd");
        fs::write(&out, text).unwrap();
    }
    let batch = begin(&out, Format::Jsonl, 6, true).unwrap();
    assert!(batch.todo().is_empty());
    assert_eq!(batch.finish(|_, _| Ok(())).unwrap(), all(6));
}

#[test]
fn many_threads_leave_a_sorted_file() {
    let out = folder("threads").join("out.jsonl");
    let batch = begin(&out, Format::Jsonl, 400, false).unwrap();
    std::thread::scope(|scope| {
        for t in 0..4 {
            let batch = &batch;
            scope.spawn(move || {
                (0..400).rev().filter(|i| i % 4 == t).try_for_each(|i| batch.append(&record(i)))
            });
        }
    });
    batch.finish(|_, _| Ok(())).unwrap();
    assert_eq!(jsonl::read(&out).unwrap(), all(400));
}

#[test]
fn other_formats_keep_a_journal_beside() {
    let out = folder("csv").join("out.csv");
    let batch = begin(&out, Format::Csv, 3, false).unwrap();
    batch.append(&record(2)).unwrap();
    drop(batch);
    assert!(!out.exists());
    assert!(
        told(begin(&out, Format::Csv, 3, false))
            .contains("out.csv.journal.jsonl is there from an earlier run")
    );
    let batch = begin(&out, Format::Csv, 3, true).unwrap();
    assert_eq!(batch.todo(), [0, 1]);
    batch.todo().iter().for_each(|&i| batch.append(&record(i)).unwrap());
    batch.finish(|records, out| csv::write(records, out)).unwrap();
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.lines().nth(3).unwrap().starts_with("2,2,2,certified"), "{text}");
    // Finished is finished.
    assert!(begin(&out, Format::Csv, 3, true).unwrap().todo().is_empty());
}

#[test]
fn nothing_is_overwritten_unasked() {
    let folder = folder("refuse");
    let out = folder.join("out.jsonl");
    fs::write(&out, "my notes\n").unwrap();
    for resume in [false, true] {
        assert!(told(begin(&out, Format::Jsonl, 3, resume)).contains("has no manifest"));
    }
    assert_eq!(fs::read_to_string(&out).unwrap(), "my notes\n");
    let out = folder.join("other.jsonl");
    let batch = begin(&out, Format::Jsonl, 3, false).unwrap();
    assert!(told(begin(&out, Format::Jsonl, 3, false)).contains("another run is writing"));
    batch.append(&record(0)).unwrap();
    drop(batch);
    assert!(told(begin(&out, Format::Jsonl, 3, false)).contains("use --resume or another name"));
    let text = told(begin(&out, Format::Jsonl, 4, true));
    assert!(text.contains("instances is 4 from row 0 here and 3 from row 0 there"), "{text}");
    // Empty is as good as absent.
    fs::write(&out, "").unwrap();
    assert_eq!(begin(&out, Format::Jsonl, 5, false).unwrap().todo().len(), 5);
}

#[test]
fn damaged_journals_and_manifests_are_told() {
    let out = folder("damage").join("out.jsonl");
    let batch = begin(&out, Format::Jsonl, 3, false).unwrap();
    batch.append(&record(1)).unwrap();
    drop(batch);
    let line = fs::read_to_string(&out).unwrap();
    fs::write(&out, format!("{line}{}", line.replace("certified", "falsified"))).unwrap();
    assert!(
        told(begin(&out, Format::Jsonl, 3, true))
            .contains("index 1 is there twice: certified and falsified")
    );
    fs::write(&out, line.replace("\"index\":1", "\"index\":9")).unwrap();
    assert!(told(begin(&out, Format::Jsonl, 3, true)).contains("index 9: not one of this run's"));
    fs::write(&out, format!("{line}{line}")).unwrap();
    assert_eq!(begin(&out, Format::Jsonl, 3, true).unwrap().todo(), [0, 2]);
    let manifest = Manifest::path(&out);
    let text = fs::read(&manifest).unwrap();
    for length in 0..text.len() - 1 {
        fs::write(&manifest, &text[..length]).unwrap();
        assert!(told(begin(&out, Format::Jsonl, 3, true)).contains("manifest.json: line"));
    }
    for bit in (0..8 * text.len()).step_by(7) {
        let mut bytes = text.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&manifest, &bytes).unwrap();
        let _ = begin(&out, Format::Jsonl, 3, true);
    }
}

/// Runs part `i` of `n` of `manifest` to the end, but for `without`.
fn part(folder: &Path, whole: &Manifest, i: usize, n: usize, without: &[usize]) -> PathBuf {
    let out = folder.join(format!("part{i}.jsonl"));
    let manifest = Manifest { shard: Some((i, n)), ..whole.clone() };
    let batch = Batch::begin(&out, Format::Jsonl, &manifest, false).unwrap();
    let todo = batch.todo().iter().filter(|i| !without.contains(i));
    todo.for_each(|&i| batch.append(&record(i)).unwrap());
    batch.finish(|_, _| Ok(())).unwrap();
    out
}

#[test]
fn parts_make_the_whole() {
    let folder = folder("merge");
    let whole = Manifest { first: 5, ..manifest(20) };
    let parts: Vec<PathBuf> = (1..=3).map(|i| part(&folder, &whole, i, 3, &[])).collect();
    let out = folder.join("all.jsonl");
    let expected: Vec<Record> = (5..25).map(record).collect();
    assert_eq!(merge(&parts, &out, false).unwrap(), expected);
    assert_eq!(jsonl::read(&out).unwrap(), expected);
    assert_eq!(Manifest::read(&out).unwrap().unwrap(), whole);
    // Once more is no harm; a row in two files neither.
    merge(&[&parts[..], &parts[..1]].concat(), &out, false).unwrap();
    assert!(told(merge(&parts, &parts[0], false)).contains("both read and written"));
    let text = told(merge(&parts[1..], &out, false));
    assert!(text.contains("7 of 20 instances are missing: 6, 9, 12, 15, 18, ..."), "{text}");
    assert!(told(merge(&[], &out, false)).contains("nothing to merge"));
    fs::write(folder.join("mine"), "x").unwrap();
    assert!(told(merge(&parts, &folder.join("mine"), false)).contains("take another name"));
}

#[test]
fn a_partial_merge_is_resumed() {
    let folder = folder("partial");
    let whole = manifest(10);
    let parts = [part(&folder, &whole, 1, 2, &[4]), part(&folder, &whole, 2, 2, &[7])];
    let out = folder.join("all.jsonl");
    assert!(told(merge(&parts, &out, false)).contains("2 of 10 instances are missing: 4, 7"));
    assert_eq!(merge(&parts, &out, true).unwrap().len(), 8);
    let batch = Batch::begin(&out, Format::Jsonl, &whole, true).unwrap();
    assert_eq!(batch.todo(), [4, 7]);
}

#[test]
fn parts_of_different_runs_are_refused() {
    let folder = folder("mixed");
    let a = part(&folder, &manifest(10), 1, 2, &[]);
    let b = part(&folder, &Manifest { model_sha256: "ff".into(), ..manifest(10) }, 2, 2, &[]);
    let out = folder.join("all.jsonl");
    let text = told(merge(&[a.clone(), b.clone()], &out, false));
    assert!(
        text.contains("part2.jsonl: not the same run: model_sha256 is aa here and ff there"),
        "{text}"
    );
    fs::remove_file(Manifest::path(&b)).unwrap();
    assert!(
        told(merge(&[a.clone(), b], &out, false))
            .contains("part2.jsonl.manifest.json: manifest: not there")
    );
    // A row of the other part, and a row with another verdict.
    let text = fs::read_to_string(&a).unwrap();
    fs::write(&a, text.replacen("\"index\":0", "\"index\":1", 1)).unwrap();
    assert!(
        told(merge(std::slice::from_ref(&a), &out, true))
            .contains("index 1: not one of the instances")
    );
    assert!(!out.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let full = Path::new("/dev/full");
    let batch = begin(full, Format::Jsonl, 3, false).unwrap();
    for _ in 0..2 {
        assert!(told(batch.append(&record(0))).starts_with("/dev/full: "));
    }
    let batch = begin(full, Format::Csv, 1, false).unwrap();
    batch.append(&record(0)).unwrap();
    assert!(told(batch.finish(|records, out| csv::write(records, out))).starts_with("/dev/full: "));
    for suffix in ["manifest.json", "journal.jsonl"] {
        assert!(!Path::new("/dev").join(format!("full.{suffix}")).exists());
    }
}

#[test]
fn a_journal_can_stand_alone() {
    let path = folder("alone").join("j.jsonl");
    let journal = Journal::open(&path).unwrap();
    select(0..3, None).into_iter().rev().for_each(|i| journal.append(&record(i)).unwrap());
    assert_eq!((journal.done(), journal.records()), (vec![0, 1, 2], all(3)));
    assert!(told(Journal::open(&folder("nowhere").join("no/j.jsonl"))).contains("j.jsonl: "));
}
