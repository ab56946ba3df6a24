//! Options that make no sense, each told in a line that names it.

use super::{Folder, certus, digits, example, larger, npy, refusal, refused, stdout};

#[track_caller]
fn certify(more: &[&str], words: &[&str]) {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    refused(&[&["certify", &model, "--data", &data, "--epsilon", "0.1"], more].concat(), words);
}

#[test]
fn radii_are_positive_finite_and_not_huge() {
    for wrong in ["-0.1", "0", "-0", "NaN", "inf", "-inf", "1e13", "1e400", "x", "", "0.1x", "1,5"]
    {
        let line = refusal(&digits("certify", &["--epsilon", wrong]));
        assert!(line.contains("--epsilon") && line.contains("expected a "), "{line}");
        assert!(line.contains("(see certus certify --help)"), "{line}");
        let line = refusal(&digits("radius", &["--tolerance", wrong]));
        assert!(line.contains("--tolerance") && line.contains("expected a "), "{line}");
    }
    // What is large but not huge is an honest question.
    let output = digits("certify", &["--epsilon", "1e12", "--range", "0..2"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn parts_and_ranges_exist() {
    for wrong in ["0/3", "4/3", "a/b", "1", "1/0", "-1/3", "1/3/5", ""] {
        certify(&["--shard", wrong], &[&format!("shard '{wrong}', expected i/n")]);
    }
    for wrong in ["5..2", "3..3", "x..y", "7", "-1..4", "1..=4", "1...4"] {
        certify(&["--range", wrong], &[&format!("range '{wrong}', expected A..B")]);
    }
    certify(&["--range", "0..301"], &["range 0..301 of 300 rows"]);
    certify(&["--range", "300.."], &["range 300.. of 300 rows"]);
    // A part may well be empty.
    let empty = digits("certify", &["--epsilon", "1", "--range", "0..2", "--shard", "7/9"]);
    assert!(stdout(&empty, 0).contains("samples                     0"));
}

#[test]
fn boxes_have_an_inside_and_hold_the_data() {
    for (lo, hi) in [("1", "0"), ("0.5", "0.5"), ("nan", "1"), ("0", "nan"), ("-inf", "inf")] {
        certify(&["--clip", lo, hi], &["--clip", "expected finite LO below HI"]);
    }
    certify(&["--clip", "0", "x"], &["--clip", "invalid"]);
    certify(&["--clip", "0"], &["--clip"]);
    certify(
        &["--clip", "0", "0.9"],
        &["digits.npz: row 0, column ", "expected within --clip 0 0.9"],
    );
    // The rows that are not asked about need not lie in it.
    let folder = Folder::new();
    let model = folder.file("m.certus", larger());
    let data = folder.file("d.npy", npy("(2, 2)", &[0.1, 0.9, 5.0, 0.0]));
    let args = ["certify", &model, "--data", &data, "--epsilon", "0.1", "--clip", "0.1", "0.9"];
    stdout(&certus(&[&args[..], &["--range", "0..1"]].concat()), 0);
    refused(&args, &["d.npy: row 1, column 0: 5, expected"]);
}

#[test]
fn scales_and_means_fit() {
    for wrong in ["0", "-1", "NaN", "inf"] {
        certify(&["--scale", wrong], &["--scale", "expected a finite number above 0"]);
    }
    certify(&["--scale", "x"], &["--scale", "invalid"]);
    certify(&["--scale", "1e-44"], &["digits.npz: row 0, column ", "not finite after --scale"]);
    certify(&["--mean", "0,0,0"], &["--mean has 3 values", "64 inputs"]);
    certify(&["--std", "1,1,1"], &["--std has 3 values", "64 inputs"]);
    certify(&["--mean", "nan"], &["--mean NaN", "expected finite"]);
    for wrong in ["0", "-1", "inf", "nan"] {
        certify(&["--std", wrong], &["--std", "expected finite numbers, std above 0"]);
    }
    certify(&["--std", "1e-300"], &["normalisation"]);
}

#[test]
fn counts_are_counts() {
    for wrong in ["0", "-1", "1025", "x", "1.5", ""] {
        certify(&["--threads", wrong], &["--threads"]);
    }
    for wrong in ["0", "-1", "x"] {
        let line = refusal(&digits("radius", &["--budget", wrong]));
        assert!(line.contains("--budget"), "{line}");
    }
}

#[test]
fn norms_that_are_none_or_do_not_fit_are_refused() {
    certify(
        &["--norm", "l0.5"],
        &["'l0.5' for '--norm <NORM>'", "0.5 is below 1, where lP is no norm", "at least 1"],
    );
    certify(&["--norm", "0"], &["0 is below 1"]);
    certify(&["--norm", "-2"], &["-2 is below 1"]);
    certify(&["--norm", "nan"], &["expected linf, l2, l1, or lP"]);
    certify(&["--norm", "l1.33333333333"], &["single precision: the nearest is l1.3333334"]);
    certify(
        &["--norm", "l3", "--method", "region-search"],
        &["region search in l3, expected l1, l2 or linf"],
    );
}

#[test]
fn usage_errors_are_one_line_with_a_hint() {
    refused(&["certfiy"], &["unrecognized subcommand 'certfiy'", "'certify'", "certus --help"]);
    certify(&["--nrom", "l2"], &["unexpected argument '--nrom'", "'--norm'", "certify --help"]);
    certify(&["--norm", "x7"], &["invalid value 'x7' for '--norm <NORM>'", "linf, l2, l1, or lP"]);
    certify(&["--method", "magic"], &["'--method <METHOD>'", "possible values: auto"]);
    certify(&["--resume"], &["expected also --out <FILE>"]);
    certify(&["--unlabelled", "--labels", "x"], &["--unlabelled", "--labels"]);
    certify(&["--epsilon", "1"], &["--epsilon"]);
    refused(&["certify"], &["expected also --epsilon <E> --data <FILE> <MODEL>"]);
    refused(&["merge", "--out", "x"], &["<PARTS>..."]);
    refused(&["pack", "x.onnx"], &["--out <NAME.certus>"]);
    // Nothing that is typed breaks the line or reaches the terminal as it is.
    certify(&["--norm", "a\nb\u{1b}[31m"], &["--norm"]);
    refused(&["inspect", "a\nb\u{1b}.onnx"], &["a\\nb\\u{1b}.onnx: "]);
}
