//! What `certus-engine` promises: few dependencies, no std, no heap, no unsafe code, no panic.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::context::Context;
use crate::process::{capture, run};
use crate::sources;

/// What the engine may name in its manifest.
const DIRECT: [&str; 4] = ["bytemuck", "half", "heapless", "libm"];
/// What comes with those and runs on the device.
const INDIRECT: [&str; 5] = ["byteorder", "cfg-if", "hash32", "stable_deref_trait", "zerocopy"];
/// What a line of the engine may not say outside its tests.
const FORBIDDEN: [&str; 5] =
    ["extern crate alloc", "extern crate std", "std::", "alloc::", "unsafe "];

/// The one crate with `unsafe` in it.
const C_INTERFACE: &str = "engine/ffi";

/// What machine code calls to panic.
const PANICS: [&str; 5] = ["panicking", "index_fail", "len_fail", "mismatch_fail", "unwrap_failed"];

/// No panic is left in the machine code of `library` (the engine, or its C interface) as `command`
/// builds it; `folder` is where that goes. What is generic is in it where the monitor uses it.
pub fn no_panic(command: &mut Command, library: &str, folder: &Path) -> Result<String, String> {
    command
        .env("RUSTFLAGS", "--emit=asm")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    run(command)?;
    let show = |e| format!("{}: {e}", folder.display());
    let mut newest = None;
    for entry in fs::read_dir(folder).map_err(show)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(library) && name.ends_with(".s") {
            let age = entry.metadata().and_then(|m| m.modified()).map_err(show)?;
            newest = newest.max(Some((age, entry.path())));
        }
    }
    let (_, path) = newest.ok_or("no machine code was written")?;
    let text = fs::read_to_string(&path).map_err(show)?;
    match panic_in(&text) {
        Some(found) => Err(format!("a panic is left: {found}")),
        None if text.contains("monitor") => Ok(format!("{} lines", text.lines().count())),
        None => Err("the machine code lacks the monitor".into()),
    }
}

/// The first function that calls a panic, and the call.
fn panic_in(text: &str) -> Option<String> {
    let mut function = "";
    for line in text.lines() {
        let starts = |c: char| c == '.' || c.is_whitespace();
        if let Some((label, _)) = line.split_once(':')
            && !label.starts_with(starts)
        {
            function = label;
        }
        let call = line.trim();
        if line.starts_with(char::is_whitespace)
            && !call.starts_with('.')
            && PANICS.iter().any(|word| call.contains(word))
        {
            return Some(format!("{call} in {function}"));
        }
    }
    None
}

/// Only the crates above, none of them with `std` or `alloc` switched on.
pub fn dependencies(context: &Context) -> Result<String, String> {
    let direct = tree(context, &["--depth", "1"])?;
    if let Some(name) = direct.iter().find(|name| !DIRECT.contains(&name.as_str())) {
        return Err(format!("{name}: not one of {DIRECT:?}"));
    }
    let all = tree(context, &[])?;
    if let Some(name) = all.iter().find(|n| !DIRECT.contains(&&***n) && !INDIRECT.contains(&&***n))
    {
        return Err(format!(
            "{name}: came in with another crate; is it light, and without a heap?"
        ));
    }
    let features = capture(&mut context.cargo(&[
        "tree",
        "--quiet",
        "--package",
        "certus-engine",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p} [{f}]",
    ]))?;
    for line in features.lines() {
        let list = line.rsplit_once('[').map_or("", |(_, list)| list);
        if list
            .trim_end_matches([']', '(', '*', ')', ' '])
            .split(',')
            .any(|f| f == "std" || f == "alloc")
        {
            return Err(format!("a heap or std: {line}"));
        }
    }
    Ok(direct.join(", "))
}

/// `unsafe` is the C interface's alone: every other member takes the workspace's lints, which forbid it.
pub fn unsafe_in_one_crate(context: &Context) -> Result<String, String> {
    let read = |name: &str| {
        fs::read_to_string(context.root.join(name)).map_err(|e| format!("{name}: {e}"))
    };
    let workspace = read("Cargo.toml")?;
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = ["));
    let members =
        members.and_then(|line| line.strip_suffix(']')).ok_or("Cargo.toml: no members")?;
    let mut forbidden = 0;
    for member in members.split(", ").map(|member| member.trim_matches('"')) {
        let manifest = format!("{member}/Cargo.toml");
        if read(&manifest)?.contains("[lints]\nworkspace = true") {
            forbidden += 1;
        } else if member != C_INTERFACE {
            return Err(format!("{manifest}: does not take the workspace's lints"));
        }
    }
    if !workspace.contains("unsafe_code = \"forbid\"") {
        return Err("Cargo.toml: unsafe code is not forbidden".into());
    }
    let own = format!("{C_INTERFACE}/Cargo.toml");
    if !read(&own)?.contains("undocumented_unsafe_blocks = \"deny\"") {
        return Err(format!("{own}: unsafe blocks need not say why"));
    }
    Ok(format!("forbidden in {forbidden} crates"))
}

fn tree(context: &Context, more: &[&str]) -> Result<Vec<String>, String> {
    let mut command = context.cargo(&[
        "tree",
        "--quiet",
        "--package",
        "certus-engine",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
    ]);
    let lines = capture(command.args(more))?;
    let mut names: Vec<String> =
        lines.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect();
    names.retain(|name| name != "certus-engine");
    names.sort();
    names.dedup();
    Ok(names)
}

/// `no_std` at the top, `unsafe_code` forbidden, and no mention of std, alloc or unsafe.
pub fn sources(context: &Context) -> Result<String, String> {
    let read = |name: &str| {
        fs::read_to_string(context.root.join(name)).map_err(|e| format!("{name}: {e}"))
    };
    let top = read("engine/src/lib.rs")?;
    if !top.lines().any(|l| l == "#![no_std]" || l == "#![cfg_attr(not(test), no_std)]") {
        return Err("engine/src/lib.rs: no #![no_std]".into());
    }
    let inherits = read("engine/Cargo.toml")?.contains("[lints]\nworkspace = true")
        && read("Cargo.toml")?.contains("unsafe_code = \"forbid\"");
    if !inherits && !top.contains("#![forbid(unsafe_code)]") {
        return Err("engine: unsafe code is not forbidden".into());
    }
    let mut files = 0;
    for file in sources::under(&context.root.join("engine/src"))? {
        if file.file_name().is_some_and(|name| name == "tests.rs") {
            continue; // compiled for tests only
        }
        files += 1;
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        if let Some((number, line)) = offence(&text) {
            return Err(format!("{}:{number}: {}", context.show(&file), line.trim()));
        }
    }
    Ok(format!("{files} files"))
}

/// The first line, outside comments and up to the tests, with something forbidden.
fn offence(text: &str) -> Option<(usize, &str)> {
    let code = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    let mut code = code.map(|(at, line)| (at + 1, line));
    code.find(|(_, line)| {
        let line = line.split("//").next().unwrap_or(line);
        FORBIDDEN.iter().any(|word| {
            line.match_indices(word)
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{offence, panic_in};

    #[test]
    fn finds_a_panic_where_it_is_called() {
        let text = "_f:\n\tcallq\t_g\n.L4:\n\tbl\t_R4core9panicking5panic\n_g:\n\tret\n";
        assert_eq!(panic_in(text).as_deref(), Some("bl\t_R4core9panicking5panic in _f"));
        assert_eq!(panic_in("_f:\n\tcallq\t_g\n\t.asciz \"panicking\"\n"), None);
    }

    #[test]
    fn finds_std_in_code_only() {
        assert_eq!(offence("//! std::vec\nuse std::vec;\n"), Some((2, "use std::vec;")));
        assert_eq!(offence("use heapless::Vec; // not alloc::vec\nmod not_std::x;"), None);
        assert_eq!(offence("fn f() {}\n#[cfg(test)]\nmod tests { use std::vec; }"), None);
        assert!(offence("let x = unsafe { y };").is_some());
    }
}
