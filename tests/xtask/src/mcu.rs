//! A compiler, and a `core` for each microcontroller.
//!
//! In this order: a target that rustup already installed; `rustup target add`, when not in CI; a
//! compiler unpacked from Debian's packages into the build folder (never installed over the main
//! one), whose `core` is then built once from the packaged sources.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use crate::apt;
use crate::boards::Target;
use crate::context::Context;
use crate::process::{capture, run};

/// Names a folder for the unpacked compiler; it is then used, and made, whatever rustup has.
const OVERRIDE: &str = "CERTUS_MCU_TOOLCHAIN";

/// A cargo that can build for a target.
pub struct Toolchain {
    /// The target.
    pub target: &'static Target,
    source: Source,
}

enum Source {
    /// The one that started us.
    Main,
    /// The one unpacked into this folder.
    Unpacked(PathBuf),
}

impl Toolchain {
    /// Its cargo, in the workspace's folder, writing to its own build folder.
    pub fn cargo(&self, context: &Context, arguments: &[&str]) -> Command {
        let mut command = match &self.source {
            Source::Main => context.cargo(arguments),
            Source::Unpacked(prefix) => {
                let mut command = context.command(prefix.join("usr/bin/cargo"), arguments);
                unpacked_environment(&mut command, prefix);
                // What there is to download, the main cargo has downloaded.
                command.env("CARGO_NET_OFFLINE", "true");
                command
            }
        };
        command.arg("--target-dir").arg(self.folder(context));
        command
    }

    /// Where what it built with `profile` lies.
    pub fn programs(&self, context: &Context, profile: &str) -> PathBuf {
        self.folder(context).join(self.target.triple).join(profile)
    }

    /// Whether what there is to download must be there before it builds.
    pub fn is_offline(&self) -> bool {
        matches!(self.source, Source::Unpacked(_))
    }

    fn folder(&self, context: &Context) -> PathBuf {
        match &self.source {
            Source::Main => context.target.join("mcu"),
            Source::Unpacked(prefix) => {
                // A folder for each build of `core`: cargo cannot tell one from another.
                let built = fs::metadata(library(&prefix.join("usr/lib/rustlib"), self.target));
                let age = built.and_then(|m| m.modified()).ok();
                let age = age.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
                context.target.join(format!("mcu-{:x}", age.as_millis()))
            }
        }
    }

    /// For the summary.
    pub fn describe(&self) -> String {
        let version = match &self.source {
            Source::Main => capture(Command::new("rustc").arg("--version")),
            Source::Unpacked(prefix) => {
                let mut rustc = Command::new(prefix.join("usr/bin/rustc"));
                unpacked_environment(&mut rustc, prefix);
                capture(rustc.arg("--version"))
            }
        };
        version.unwrap_or_default().split(' ').take(2).collect::<Vec<_>>().join(" ")
    }
}

/// What is here already for `target`.
pub fn find(context: &Context, target: &'static Target) -> Option<Toolchain> {
    let main = main_sysroot()?.join("lib/rustlib");
    if env::var_os(OVERRIDE).is_none() && library(&main, target).is_dir() {
        return Some(Toolchain { target, source: Source::Main });
    }
    let prefix = prefix(context);
    let rustlib = prefix.join("usr/lib/rustlib");
    let linker = rustlib.join(host()).join("bin/rust-lld");
    let whole = library(&rustlib, target).is_dir() && linker.exists();
    whole.then_some(Toolchain { target, source: Source::Unpacked(prefix) })
}

/// Gets it by whichever way works.
pub fn install(context: &Context, target: &'static Target) -> Result<(), String> {
    let rustup = !context.ci && env::var_os(OVERRIDE).is_none();
    if rustup && run(Command::new("rustup").args(["target", "add", target.triple])).is_ok() {
        return Ok(());
    }
    if !apt::present() {
        return Err(format!("run `rustup target add {}`", target.triple));
    }
    let prefix = prefix(context);
    if !prefix.join("usr/bin/cargo").is_file() {
        unpack(context, &prefix)?;
    }
    borrow_linker(&prefix)?;
    build_core(context, &prefix, target)
}

fn prefix(context: &Context) -> PathBuf {
    env::var_os(OVERRIDE).map_or_else(|| context.target.join("mcu-toolchain"), PathBuf::from)
}

fn library(rustlib: &Path, target: &Target) -> PathBuf {
    rustlib.join(target.triple).join("lib")
}

fn main_sysroot() -> Option<PathBuf> {
    let sysroot = capture(Command::new("rustc").args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(sysroot.trim()))
}

fn unpacked_environment(command: &mut Command, prefix: &Path) {
    command
        .env("LD_LIBRARY_PATH", prefix.join("usr/lib").join(multiarch()))
        .env("RUSTC", prefix.join("usr/bin/rustc"))
        .env("RUSTDOC", prefix.join("usr/bin/rustdoc"))
        .env_remove("CARGO")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC_BOOTSTRAP");
}

fn multiarch() -> String {
    format!("{}-linux-gnu", env::consts::ARCH)
}

fn host() -> String {
    format!("{}-unknown-linux-gnu", env::consts::ARCH)
}

/// The compiler, cargo and the library's sources, as packaged under names that differ by release.
const PACKAGED: [[&str; 3]; 2] =
    [["rustc-web", "cargo-web", "rust-web-src"], ["rustc", "cargo", "rust-src"]];

fn unpack(context: &Context, prefix: &Path) -> Result<(), String> {
    let needed = rust_version(context)?;
    let names = match packaged(needed) {
        Some(names) => names,
        None => {
            apt::refresh()?;
            packaged(needed)
                .ok_or_else(|| format!("no packaged rustc is {}.{} or newer", needed.0, needed.1))?
        }
    };
    let part = prefix.with_extension("part");
    let _ = fs::remove_dir_all(&part);
    apt::unpack(&apt::missing(names)?, &part).or_else(|_| {
        // The lists may be older than the archive.
        apt::refresh()?;
        apt::unpack(&apt::missing(names)?, &part)
    })?;
    slim(&part);
    fs::rename(&part, prefix).map_err(|e| format!("{}: {e}", prefix.display()))
}

fn packaged(needed: (u32, u32)) -> Option<&'static [&'static str; 3]> {
    PACKAGED.iter().find(|[rustc, ..]| {
        apt::candidate(rustc).and_then(|v| major_minor(&v)).is_some_and(|v| v >= needed)
    })
}

/// `core` needs `library/` alone; the rest of the sources is most of the disk space.
fn slim(prefix: &Path) {
    for entry in fs::read_dir(prefix.join("usr/src")).into_iter().flatten().flatten() {
        for part in ["compiler", "src"] {
            let _ = fs::remove_dir_all(entry.path().join(part));
        }
    }
}

/// Debian's compiler comes without rust-lld, the linker of bare-metal targets: use the main one's.
fn borrow_linker(prefix: &Path) -> Result<(), String> {
    let bin = Path::new("lib/rustlib").join(host()).join("bin");
    let theirs = prefix.join("usr").join(&bin);
    let ours = main_sysroot().ok_or("no rustc")?.join(&bin).join("rust-lld");
    if theirs.join("rust-lld").exists() {
        return Ok(()); // and not a link that leads nowhere any more
    }
    if !ours.is_file() {
        return Err("the main toolchain has no rust-lld".into());
    }
    fs::create_dir_all(&theirs).map_err(|e| format!("{}: {e}", theirs.display()))?;
    // A link, not a copy: it finds its own libraries beside itself.
    capture(Command::new("ln").arg("-sf").arg(&ours).arg(theirs.join("rust-lld"))).map(|_| ())
}

/// Builds `core` and puts it where the unpacked compiler looks: afterwards a plain
/// `cargo build --target` works.
fn build_core(context: &Context, prefix: &Path, target: &Target) -> Result<(), String> {
    let triple = target.triple;
    let work = context.target.join("mcu-core");
    let _ = fs::remove_dir_all(&work);
    let write = |name: &str, text: &str| {
        let path = work.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&work))
            .and_then(|()| fs::write(&path, text))
            .map_err(|e| format!("{}: {e}", path.display()))
    };
    write("src/lib.rs", "#![no_std]\n")?;
    write(
        "Cargo.toml",
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [profile.release]\npanic = \"abort\"\n",
    )?;
    let mut cargo = Command::new(prefix.join("usr/bin/cargo"));
    unpacked_environment(&mut cargo, prefix);
    cargo
        .args(["build", "--quiet", "--release", "-Z", "build-std=core", "--target", triple])
        .args(["--target-dir", "out"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .current_dir(&work);
    run(&mut cargo)?;

    let rustlib = prefix.join("usr/lib/rustlib");
    let part = rustlib.join(triple).join("part");
    let _ = fs::remove_dir_all(&part);
    fs::create_dir_all(&part).map_err(|e| format!("{}: {e}", part.display()))?;
    let built = work.join("out").join(triple).join("release/deps");
    let mut found = false;
    for entry in fs::read_dir(&built).map_err(|e| format!("{}: {e}", built.display()))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libempty") {
            found |= name.starts_with("libcore-");
            fs::copy(entry.path(), part.join(&name)).map_err(|e| format!("{name}: {e}"))?;
        }
    }
    if !found {
        return Err("built, but no libcore came out".into());
    }
    let _ = fs::remove_dir_all(library(&rustlib, target));
    fs::rename(&part, library(&rustlib, target)).map_err(|e| e.to_string())?;
    let _ = fs::remove_dir_all(&work);
    Ok(())
}

/// The workspace's `rust-version`.
fn rust_version(context: &Context) -> Result<(u32, u32), String> {
    let manifest =
        fs::read_to_string(context.root.join("Cargo.toml")).map_err(|e| e.to_string())?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""));
    line.and_then(major_minor).ok_or_else(|| "Cargo.toml: no rust-version".into())
}

/// The first two numbers of `1.96.0+dfsg1-1` or `1.89"`.
fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::major_minor;

    #[test]
    fn reads_versions() {
        assert_eq!(major_minor("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(major_minor("1.89\""), Some((1, 89)));
        assert_eq!(major_minor("new"), None);
    }
}
