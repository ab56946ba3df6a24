//! What is in a program for a microcontroller: how large it is, and which symbols it has.

use std::fs;
use std::path::Path;

use object::elf::SHF_ALLOC;
use object::read::elf::ElfFile32;
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind};

/// Parts of symbols, mangled as they are, that a panic, `core::fmt` or a heap leaves behind.
const FORBIDDEN: [&str; 7] =
    ["panic", "unwind", "4core3fmt", "5alloc", "__rust_alloc", "__rust_realloc", "__rust_dealloc"];
/// Whole symbols of a heap.
const FORBIDDEN_WHOLE: [&str; 4] = ["malloc", "calloc", "realloc", "free"];
/// What the networks' symbols contain.
const NETWORK: &str = "WORDS";

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Code and constants, the networks left out.
    pub flash: u64,
    /// Variables.
    pub ram: u64,
}

/// The sizes of a program.
pub fn sizes(path: &Path) -> Result<Sizes, String> {
    let bytes = read(path)?;
    let elf = parse(path, &bytes)?;
    let networks: u64 = elf
        .symbols()
        .filter(|symbol| symbol.name().is_ok_and(|name| name.contains(NETWORK)))
        .map(|symbol| symbol.size())
        .sum();
    let (mut flash, mut ram) = (0, 0);
    for section in elf.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        if !sh_flags.contains(SHF_ALLOC) {
            continue;
        }
        if section.kind() != SectionKind::UninitializedData {
            flash += section.size();
        }
        // By name: the scripts have sections for the stack and the heap too.
        if matches!(section.name(), Ok(".data" | ".bss" | ".uninit")) {
            ram += section.size();
        }
    }
    Ok(Sizes { flash: flash - networks, ram })
}

/// The symbols of a program that speak of a panic, of formatting or of a heap.
pub fn forbidden(path: &Path) -> Result<Vec<String>, String> {
    let bytes = read(path)?;
    let elf = parse(path, &bytes)?;
    let mut found = Vec::new();
    let mut count = 0;
    for symbol in elf.symbols() {
        let Ok(name) = symbol.name() else { continue };
        count += usize::from(!name.is_empty());
        if is_forbidden(name) {
            found.push(name.to_owned());
        }
    }
    // A stripped program would pass whatever it holds.
    if count < 10 { Err(format!("{}: {count} symbols", path.display())) } else { Ok(found) }
}

/// Whether a program has a symbol that begins so.
pub fn has_symbol(path: &Path, start: &str) -> Result<bool, String> {
    let bytes = read(path)?;
    let elf = parse(path, &bytes)?;
    Ok(elf.symbols().any(|symbol| symbol.name().is_ok_and(|name| name.starts_with(start))))
}

/// The machine code of a program.
pub fn code(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = read(path)?;
    let elf = parse(path, &bytes)?;
    let mut code = Vec::new();
    for section in elf.sections().filter(|section| section.kind() == SectionKind::Text) {
        let part = section.data().map_err(|e| format!("{}: {e}", path.display()))?;
        code.extend_from_slice(part);
    }
    Ok(code)
}

fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.iter().any(|part| name.contains(part)) || FORBIDDEN_WHOLE.contains(&name)
}

/// The bytes of a program.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The program in them.
pub fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<ElfFile32<'a>, String> {
    ElfFile32::parse(bytes).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::is_forbidden;

    #[test]
    fn symbols_are_told_apart() {
        for name in [
            "_RNvNtCs7ldSeZOOJos_4core9panicking9panic_fmt",
            "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
            "_RNvCsfLfy6EI15iL_7___rustc17rust_begin_unwind",
            "_ZN5alloc7raw_vec12handle_error17h0123456789abcdefE",
            "__rust_alloc_error_handler",
            "malloc",
        ] {
            assert!(is_forbidden(name), "{name}");
        }
        for name in ["_ZN13certus_engine6bounds7forward17h0E", "free_run", "main", "__aeabi_memcpy"]
        {
            assert!(!is_forbidden(name), "{name}");
        }
    }
}
