//! Rules on the project's text that no other tool checks.

use std::fs;
use std::path::Path;

use crate::context::Context;
use crate::sources;

/// What no line may hold, in which kind of file, and why. Split, or this file would break it.
const FORBIDDEN: [(&str, &str, &str); 8] = [
    ("rs", concat!("#[", "ignore"), "a test that is never run"),
    ("rs", concat!("todo", "!("), "unfinished"),
    ("rs", concat!("unimplemented", "!("), "unfinished"),
    ("rs", concat!("dbg", "!("), "left over"),
    ("", concat!("/ho", "me/"), "a path of one machine"),
    ("", concat!("/ro", "ot/"), "a path of one machine"),
    ("", concat!("/Us", "ers/"), "a path of one machine"),
    ("", concat!("/wo", "rk/"), "a path of one machine"),
];

/// What files below the first folder may name only below the second, and why.
const CONFINED: [(&str, &str, &str, &str); 1] =
    [("wgpu", "host/src", "host/src/gpu", "the module `gpu` alone knows it")];

/// Kinds of file that are read; others may be binary.
const KINDS: [&str; 13] =
    ["rs", "wgsl", "toml", "md", "sh", "yml", "c", "h", "x", "py", "lock", "csv", "json"];

/// Longest files, in lines.
const CEILINGS: [(&str, usize); 2] = [("rs", 600), ("wgsl", 150)];

/// Every file against every rule; all offences are printed.
pub fn check(context: &Context) -> Result<String, String> {
    let (mut files, mut offences) = (0, 0);
    for file in sources::under(&context.root)? {
        let kind = sources::extension(&file);
        if !KINDS.contains(&kind) && !file.ends_with(".ci/run") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&file) else { continue };
        files += 1;
        let inside = file.strip_prefix(&context.root).unwrap_or(&file);
        for offence in offences_in(inside, &text) {
            offences += 1;
            println!("{}{offence}", context.show(&file));
        }
    }
    if offences == 0 { Ok(format!("{files} files")) } else { Err(format!("{offences} offences")) }
}

/// `file` as it is named from the workspace's folder.
fn offences_in(file: &Path, text: &str) -> Vec<String> {
    let kind = sources::extension(file);
    let mut found = Vec::new();
    for (of, ceiling) in CEILINGS {
        let lines = text.lines().count();
        if kind == of && lines > ceiling {
            found.push(format!(": {lines} lines, the ceiling is {ceiling}"));
        }
    }
    for (number, line) in text.lines().enumerate() {
        for (of, word, why) in FORBIDDEN {
            if (of.is_empty() || of == kind) && line.contains(word) {
                found.push(format!(":{}: {word}: {why}", number + 1));
            }
        }
        for (word, below, only, why) in CONFINED {
            if file.starts_with(below) && !file.starts_with(only) && line.contains(word) {
                found.push(format!(":{}: {word}: {why}", number + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::offences_in;
    use std::path::Path;

    #[test]
    fn each_rule_bites() {
        let rust = Path::new("a.rs");
        assert!(offences_in(rust, "fn main() {}\n").is_empty());
        assert_eq!(offences_in(rust, concat!("#[", "ignore]\n")).len(), 1);
        assert_eq!(offences_in(rust, &"\n".repeat(601)).len(), 1);
        assert_eq!(offences_in(Path::new("a.md"), concat!("see /ho", "me/me\n")).len(), 1);
        assert!(offences_in(Path::new("a.md"), concat!("todo", "!()\n")).is_empty());
    }

    #[test]
    fn wgpu_is_named_in_one_module() {
        let found = |file: &str| offences_in(Path::new(file), "\nuse wgpu::Device;\n");
        let offence = ":2: wgpu: the module `gpu` alone knows it";
        for outside in ["host/src/run/mod.rs", "host/src/gpu.rs", "host/src/gpus/mod.rs"] {
            assert_eq!(found(outside), [offence], "{outside}");
        }
        for allowed in ["host/src/gpu/device.rs", "tests/src/lib.rs", "host/Cargo.toml"] {
            assert!(found(allowed).is_empty(), "{allowed}");
        }
    }
}
