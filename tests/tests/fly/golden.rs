//! The flights that the program `fly` prints, and the blob that it flies.

use std::path::Path;

use certus::blob::{WeightKind, pack};
use certus::import;

use crate::fly::memory::Ram;
use crate::fly::policy::MODEL;
use crate::fly::show;

#[test]
fn flights_are_those_of_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/fly.txt");
    // Without the file: the lines that it lacks are printed.
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let mut found = String::new();
    let well = show::all(&mut Ram::new(), &mut found).expect("a string");
    println!("{found}");
    assert!(well, "a fault was not reported in time, or a promise broken");
    let golden: Vec<&str> = golden.lines().collect();
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        golden,
        "if bits are meant to change, the file is the above"
    );
}

#[test]
fn the_blob_is_that_of_the_example_network() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/example/quadrotor.onnx");
    let network = import::read(&path).expect("the example is there");
    assert_eq!(pack(&network, WeightKind::F32).unwrap(), MODEL.words());
}
