//! Hands the linker its scripts: `link.x` of the startup crate, and the memory of the board that
//! stands for the target, or of the one that a feature chooses.

use std::path::Path;
use std::{env, fs};

/// For each target, its board: a file in `memory/`, and what `cfg(board)` says.
const BOARDS: [(&str, &str); 3] =
    [("thumbv6m", "microbit"), ("thumbv7em", "mps2"), ("riscv32", "virt")];

fn main() {
    println!("cargo::rerun-if-changed=memory");
    let target = env::var("TARGET").expect("cargo sets it");
    let board = BOARDS.iter().find(|(start, _)| target.starts_with(start));
    let &(_, mut board) = board.unwrap_or_else(|| panic!("no board for {target}"));
    if env::var_os("CARGO_FEATURE_STM32H7").is_some() {
        board = "stm32h7";
    }
    let values = r#"values("microbit", "mps2", "virt", "stm32h7")"#;
    println!("cargo::rustc-check-cfg=cfg(board, {values})");
    println!("cargo::rustc-cfg=board=\"{board}\"");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let from = Path::new(&here).join(format!("memory/{board}.x"));
    fs::copy(from, Path::new(&out).join("memory.x")).expect("a copy of the memory map");
    println!("cargo::rustc-link-search={out}");
    if target.starts_with("riscv") {
        // The Cortex-M script includes it by itself.
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
