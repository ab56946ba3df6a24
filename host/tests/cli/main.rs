//! The `certus` command from outside: what it prints, where, and how it leaves.

mod attack;
mod bounds;
mod data;
mod decision_boundary;
#[cfg(feature = "gpu")]
mod gpu;
mod models;
mod networks;
mod options;
mod plot;
mod regions;
mod relaxed;
mod results;
mod runs;
mod simplex;
mod streams;
#[path = "../import/writer.rs"]
#[allow(dead_code)]
mod writer;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use certus::blob::{self, WeightKind};
use certus::network::{Affine, Network};
use certus_engine::model::Activation;

/// A folder of its own for a test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("certus-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// The name of a file in it.
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file into it.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file of the shipped example.
fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("example").join(name).to_str().unwrap().to_owned()
}

/// The methods that bound outputs.
const METHODS: [&str; 7] =
    ["auto", "ibp", "crown-ibp", "fast-lin", "crown", "forward", "forward-backward"];

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certus"));
    command.args(args).stdin(Stdio::null());
    command
}

fn certus(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// `certus WHAT` on the digits with more arguments.
fn digits(what: &str, more: &[&str]) -> Output {
    let (model, data) = (example("digits.onnx"), example("digits.npz"));
    certus(&[&[what, &model, "--data", &data], more].concat())
}

/// Standard output of a run that ended with `code` and had nothing to say.
fn stdout(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts code 4, nothing on standard output and one line on standard error; hands it back.
fn refusal(output: &Output) -> String {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(4), "{line}");
    assert!(output.stdout.is_empty(), "{line}");
    assert!(line.starts_with("certus: ") && !line.contains("panicked"), "{line}");
    assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
    line
}

/// As [`refusal`], of a line that holds all of `words`.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let line = refusal(&certus(args));
    for word in words {
        assert!(line.contains(word), "{args:?}: '{word}' is not in: {line}");
    }
}

/// JSON lines as values, without the time that each took.
fn lines(text: &str) -> Vec<serde_json::Value> {
    let mut lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("seconds");
    }
    lines
}

/// A layer of weights given by row and column.
fn layer(rows: usize, cols: usize, weight: impl Fn(usize, usize) -> f32, last: bool) -> Affine {
    Affine {
        rows,
        cols,
        weights: (0..rows * cols).map(|i| weight(i / cols, i % cols)).collect(),
        bias: vec![0.0; rows],
        activation: if last { Activation::Identity } else { Activation::Relu },
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    }
}

/// The bytes of a network's blob.
fn blob(layers: Vec<Affine>) -> Vec<u8> {
    let network = Network { inputs: layers[0].cols, layers };
    let words = blob::pack(&network, WeightKind::F32).unwrap();
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A classifier of two inputs: the larger one wins.
fn larger() -> Vec<u8> {
    let unit = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
    blob(vec![layer(2, 2, unit, false), layer(2, 2, unit, true)])
}

/// The bytes of a `.npy` with any header and numbers.
fn npy_raw(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

/// The bytes of a `.npy` of f32.
fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    npy_raw(&header, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}
