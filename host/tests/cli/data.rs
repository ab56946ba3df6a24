//! Data that is damaged or does not fit the model.

use super::{Folder, certus, example, larger, npy, npy_raw, refused, stdout};

/// A folder with the classifier of two inputs, and a check of a data file for it.
struct Check(Folder, String);

impl Check {
    fn new() -> Self {
        let folder = Folder::new();
        let model = folder.file("m.certus", larger());
        Check(folder, model)
    }

    #[track_caller]
    fn refuses(&self, name: &str, bytes: impl AsRef<[u8]>, words: &[&str]) {
        let data = self.0.file(name, bytes);
        let out = self.0.path("out.csv");
        let args = ["certify", &self.1, "--data", &data, "--epsilon", "0.1", "--out", &out];
        refused(&args, &[words, &[name]].concat());
        assert!(!std::path::Path::new(&out).exists());
    }
}

#[test]
fn numbers_are_finite() {
    let check = Check::new();
    for (wrong, word) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let bytes = npy("(2, 2)", &[1.0, 2.0, wrong, 4.0]);
        check.refuses("d.npy", bytes, &["row 1, column 0", word, "expected a finite"]);
    }
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }";
    let huge = [0.0f64, -2.5e300].map(f64::to_le_bytes).concat();
    check.refuses("d.npy", npy_raw(header, &huge), &["row 0, column 1: found -2.5e300, expected"]);
    check.refuses("d.csv", "0,1,2\n1,nan,4\n", &["row 1 (line 2), field 2", "'nan'"]);
    check.refuses("d.csv", "0,1,2\n1,1e39,4\n", &["row 1 (line 2), field 2", "'1e39'"]);
    check.refuses("d.csv", "0,1,2\n1,,4\n", &["row 1 (line 2), field 2"]);
}

#[test]
fn shapes_are_the_model_s() {
    let check = Check::new();
    check.refuses("d.npy", npy("(1, 3)", &[1.0; 3]), &["shape: 3 numbers a sample", "2 inputs"]);
    check.refuses("d.npy", npy("(2,)", &[1.0; 2]), &["shape: 1 numbers a sample", "2 inputs"]);
    check.refuses("d.npy", npy("()", &[1.0]), &["single number"]);
    check.refuses("d.npy", npy("(0, 2)", &[]), &["0 samples"]);
    check.refuses("d.npy", npy("(2, 2)", &[1.0; 3]), &["12 bytes follow, expected 16"]);
    check.refuses("d.csv", "0,1,2\n1,3\n", &["row 1 (line 2): 2 fields, expected 3"]);
    check.refuses("d.csv", "0,1\n1,3\n", &["1 numbers a sample", "2 inputs"]);
}

#[test]
fn sizes_that_are_claimed_take_no_memory() {
    let check = Check::new();
    for shape in ["(99999999999, 2)", "(4294967296, 4294967296)", "(1000000000, 2)"] {
        check.refuses("d.npy", npy(shape, &[1.0; 2]), &["shape"]);
    }
    let header = |text: &str| npy_raw(text, &[0; 16]);
    check.refuses(
        "d.npy",
        header("{'descr': '<c8', 'fortran_order': False, 'shape': (1, 2), }"),
        &["dtype '<c8'"],
    );
    check.refuses("d.npy", header("{{{{"), &["byte offset"]);
    check.refuses("d.npy", b"\x93NUMPY\x01\x00\xff\xff{ and no more", &["header of 65535 bytes"]);
    // An IDX file of 2^31 images of 28 x 28.
    let idx = [0, 0, 8, 3, 0x80, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28, 1, 2, 3];
    check.refuses("images.idx", idx, &["images.idx"]);
}

#[test]
fn files_that_are_none() {
    let check = Check::new();
    std::fs::create_dir(check.0.path("folder.npz")).unwrap();
    for name in ["absent.npz", "folder.npz"] {
        let data = check.0.path(name);
        refused(&["radius", &check.1, "--data", &data], &[name]);
    }
    for name in ["empty.npy", "empty.npz", "empty.csv", "empty.idx", "empty"] {
        check.refuses(name, b"", &[]);
    }
    check.refuses("noise", [0xfe, 0xdc, 0xba, 0x98], &["unknown format, expected .npy"]);
    check.refuses("d.csv.gz", [0x1f, 0x8b, 8, 0, 0, 0], &["gzip"]);
}

#[test]
fn cut_off_and_damaged_archives() {
    let check = Check::new();
    let whole = std::fs::read(example("digits.npz")).unwrap();
    for i in 0..24 {
        check.refuses("cut.npz", &whole[..i * whole.len() / 24], &[]);
    }
    let digits = example("digits.onnx");
    for i in 0..40 {
        let mut bytes = whole.clone();
        let at = i * 104_729 % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let data = check.0.file("flip.npz", &bytes);
        let output = certus(&["certify", &digits, "--data", &data, "--epsilon", "0.1"]);
        let told = String::from_utf8(output.stderr).unwrap();
        // A bit in a field that nobody reads does no harm.
        let harmless = output.status.code() == Some(1) && told.is_empty();
        let refused = output.status.code() == Some(4) && told.lines().count() == 1;
        assert!(harmless || refused && told.contains("flip.npz: "), "{told}");
    }
}

#[test]
fn labels_are_the_model_s() {
    let check = Check::new();
    check.refuses("d.csv", "0,1,2\n2,3,4\n", &["row 1: label 2", "2 outputs"]);
    check.refuses("d.csv", "-1,1,2\n", &["label '-1'", "expected an integer"]);
    check.refuses("d.csv", "0.5,1,2\n", &["label '0.5'", "expected an integer"]);
    let data = check.0.file("d.npy", npy("(2, 2)", &[1.0, 2.0, 4.0, 3.0]));
    let labels = |name: &str, bytes: &[u8], words: &[&str]| {
        let labels = check.0.file(name, bytes);
        let args = ["radius", &check.1, "--data", &data, "--labels", &labels];
        refused(&args, &[words, &[name]].concat());
    };
    labels("y.csv", b"0\n", &["1 labels, expected 2"]);
    labels("y.csv", b"0\n1\n0\n", &["3 labels, expected 2"]);
    labels("y.csv", b"0\n9\n", &["row 1: label 9", "2 outputs"]);
    labels("y.csv", b"0\n1.5\n", &["label '1.5'"]);
    labels("y.csv", b"0,1\n1,0\n", &["one label a line"]);
    labels("y.npy", &npy("(2,)", &[0.0, 0.5]), &["row 1: label 0.5"]);
    labels("y.npy", &npy("(2,)", &[0.0, f32::NAN]), &["row 1: label NaN"]);
    labels("y.npy", &npy("(2, 2)", &[0.0; 4]), &["[n] or [n, 1]"]);
    let right = check.0.file("right.csv", "1\n0\n");
    stdout(&certus(&["radius", &check.1, "--data", &data, "--labels", &right]), 0);
}

#[test]
fn without_labels_the_predicted_class_is_certified() {
    let check = Check::new();
    let data = check.0.file("d.csv", "1,2\n4,3\n");
    let args = ["radius", &check.1, "--data", &data, "--unlabelled"];
    let found = super::lines(&stdout(&certus(&[&args[..], &["--format", "jsonl"]].concat()), 0));
    for (value, class) in found.iter().zip([1, 0]) {
        assert_eq!((value.get("label"), &value["predicted"]), (None, &class.into()));
        assert_eq!(value["verdict"], "certified");
        assert!((value["radius"].as_f64().unwrap() - 0.5).abs() < 1e-4);
    }
    let table = stdout(&certus(&args), 0);
    assert!(!table.contains("accuracy"), "{table}");
}
