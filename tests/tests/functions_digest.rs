//! The functions' bits, hashed: the same on each target.
//!
//! `cargo xtask test` compares the same file with what a Cortex-M4F prints in QEMU.

use std::fmt::Write;
use std::path::Path;

use certus_engine::num::functions::Function;
use digest::Line;

#[path = "../../firmware-example/src/digest.rs"]
mod digest;
#[path = "../../firmware-example/src/hash.rs"]
mod hash;

#[test]
fn functions_return_the_bits_of_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/functions.txt");
    // Without the file: the lines that it lacks are printed.
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let mut found = String::new();
    for function in Function::ALL {
        writeln!(found, "{}", Line(function)).expect("a string");
    }
    println!("{found}");
    let golden: Vec<&str> = golden.lines().collect();
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        golden,
        "if bits are meant to change, the file is the above"
    );
}
