//! Data from outside the project: where it lies, and what to say where it does not.

use std::io::Write;
use std::path::{Path, PathBuf};

use certus::network::Network;
use certus::{blob, dataset, import};
use ndarray::{Array, ArrayD, Axis, IxDyn};

/// The path of `name` in `../shared/data`, seen from the workspace; where that is absent, `None`,
/// after a line in the log of skipped tests.
pub fn find(test: &str, name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    skip(test, &format!("no ../shared/data/{name}"));
    None
}

/// Whether tests that take minutes are asked for (`CERTUS_LONG=1`).
pub fn long() -> bool {
    std::env::var("CERTUS_LONG").is_ok_and(|value| value == "1")
}

/// Whether tests that take a quarter of an hour and more are asked for (`CERTUS_HOURS=1`).
pub fn hours() -> bool {
    std::env::var("CERTUS_HOURS").is_ok_and(|value| value == "1")
}

/// Whether `test`, which takes minutes, shall run; says so where it shall not.
///
/// Not being asked for is no lack: it does not go into the log of skipped tests.
pub fn asked_for(test: &str) -> bool {
    let asked = long();
    if !asked {
        println!("{test}: left out, it takes minutes; set CERTUS_LONG=1");
    }
    asked
}

/// Appends `SKIPPED: test: why` to the file that `CERTUS_SKIP_LOG` names, or prints it.
pub fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}");
    let logged = std::env::var_os("CERTUS_SKIP_LOG").is_some_and(|log| {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(log);
        file.and_then(|mut file| writeln!(file, "{line}")).is_ok()
    });
    if !logged {
        println!("{line}");
    }
}

/// Reads a model file.
///
/// # Panics
/// If it cannot be read: it is there, so that is a failure.
pub fn network(path: &Path) -> Network {
    import::read(path).unwrap_or_else(|error| panic!("{error}"))
}

/// Reads an ONNX net without the softmax at its end, which the importer refuses and which keeps the
/// order of the outputs. In its place comes a flatten: a name of as many bytes, which takes the same
/// attribute and changes nothing.
///
/// # Panics
/// If it cannot be read, or has no softmax.
pub fn logits(path: &Path) -> Network {
    let mut bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    // The operator's name is field 4 of a node, behind its length.
    let found = bytes.windows(9).position(|window| window == b"\x22\x07Softmax");
    let at = found.unwrap_or_else(|| panic!("{}: no softmax", path.display())) + 2;
    bytes[at..at + 7].copy_from_slice(b"Flatten");
    import::onnx(&bytes, path).unwrap_or_else(|error| panic!("{error}"))
}

/// The blob of a network, in words.
///
/// # Panics
/// If the network does not fit.
pub fn words(network: &Network) -> Vec<u32> {
    blob::pack(network, blob::WeightKind::F32).unwrap_or_else(|error| panic!("{error}"))
}

/// Reads samples and their labels.
///
/// # Panics
/// If they cannot be read.
pub fn samples(data: &Path, labels: Option<&Path>) -> dataset::Dataset {
    dataset::read(data, labels).unwrap_or_else(|error| panic!("{error}"))
}

/// The first `count` MNIST test images with pixels in [0, 1] (a byte over 255, rounded to f32) and
/// their labels.
pub fn mnist(test: &str, count: usize) -> Option<Vec<(Vec<f32>, usize)>> {
    let images = find(test, "datasets/mnist/t10k-images-idx3-ubyte.gz")?;
    let labels = find(test, "datasets/mnist/t10k-labels-idx1-ubyte.gz")?;
    let set = samples(&images, Some(&labels));
    let image = |i: usize| {
        let x = set.row(i).iter().map(|x| x / 255.0).collect();
        (x, set.label(i).expect("labels were read"))
    };
    Some((0..count.min(set.rows)).map(image).collect())
}

/// An `.npz` of the folder `reference`.
pub struct Reference {
    bytes: Vec<u8>,
    path: PathBuf,
}

impl Reference {
    /// Opens it.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { bytes, path: path.to_owned() }
    }

    /// An array as f64.
    ///
    /// # Panics
    /// If it is not there or damaged.
    pub fn f64s(&self, key: &str) -> ArrayD<f64> {
        let archive = dataset::npz::Archive::new(&self.bytes, &self.path);
        let array = archive.and_then(|mut archive| archive.array(key));
        let array = array.unwrap_or_else(|error| panic!("{error}"));
        Array::from_shape_vec(IxDyn(array.shape()), array.f64s())
            .unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    /// An array of numbers that are f32.
    ///
    /// # Panics
    /// If it is not there or damaged.
    pub fn f32s(&self, key: &str) -> ArrayD<f32> {
        self.f64s(key).mapv(|x| x as f32)
    }

    /// The radius.
    ///
    /// # Panics
    /// If it is not there.
    pub fn eps(&self) -> f64 {
        self.f64s("eps").first().copied().expect("one number")
    }
}

/// Entry `i` along the first axis, row-major.
pub fn entry<T: Copy>(array: &ArrayD<T>, i: usize) -> Vec<T> {
    array.index_axis(Axis(0), i).iter().copied().collect()
}
