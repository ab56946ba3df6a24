//! The header is what cbindgen makes of the sources.

use std::path::Path;

/// In the order in which a reader meets them.
const SOURCES: [&str; 6] = ["status", "model", "question", "bounds", "setup", "monitor"];

#[test]
fn the_header_is_that_of_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("the settings");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(root.join(format!("src/{name}.rs")));
    }
    let mut made = Vec::new();
    builder.generate().expect("sources that it reads").write(&mut made);
    let made = String::from_utf8(made).expect("text");
    let path = root.join("include/certus.h");
    if std::env::var_os("CERTUS_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("a folder to write to");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let first = made.lines().zip(found.lines()).position(|(made, found)| made != found);
    assert!(
        made == found,
        "include/certus.h differs from line {}; CERTUS_WRITE_HEADER=1 makes this test write it",
        first.unwrap_or(made.lines().count().min(found.lines().count())) + 1
    );
}
