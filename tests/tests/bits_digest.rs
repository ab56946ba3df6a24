//! The engine's bits on shared networks, hashed: the same on each target.
//!
//! `cargo xtask firmware` compares the same file with what each board prints in QEMU.

use std::fmt::Write;
use std::path::Path;

use bits::{Step, line};
use certus_engine::bounds::Workspace;

#[path = "../../firmware-example/src/bits.rs"]
mod bits;
#[path = "../../firmware-example/src/hash.rs"]
mod hash;
#[path = "../../firmware-example/src/nets.rs"]
mod nets;
#[path = "../../firmware-example/src/random.rs"]
mod random;

#[test]
fn the_engine_gives_the_bits_of_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/bits.txt");
    // Without the file: the lines that it lacks are printed.
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let mut found = String::new();
    for net in &nets::ALL {
        for step in Step::ALL.into_iter().filter(|step| step.knows(net)) {
            let size = step.size(net, net.ends);
            let (mut floats, mut indices) = (vec![0.0; size.floats], vec![0; size.indices]);
            let workspace = Workspace { floats: &mut floats, indices: &mut indices };
            writeln!(found, "{}", line(net, step, workspace).expect("fits")).expect("a string");
        }
    }
    println!("{found}");
    let golden: Vec<&str> = golden.lines().collect();
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        golden,
        "if bits are meant to change, the file is the above"
    );
}
