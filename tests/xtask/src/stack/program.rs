//! What the file of a program says: functions, machine code, relocations, and the frame sizes that
//! the compiler wrote beside it.

use std::collections::BTreeMap;
use std::path::Path;

use object::elf::{
    EM_ARM, R_ARM_ABS32, R_ARM_THM_JUMP19, R_ARM_THM_JUMP24, R_ARM_THM_PC22, R_RISCV_32,
    R_RISCV_CALL, R_RISCV_CALL_PLT, R_RISCV_HI20, R_RISCV_JAL, R_RISCV_PCREL_HI20,
};
use object::read::elf::{ElfFile32, FileHeader};
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionKind, SymbolKind,
};

use super::graph::Graph;
use crate::elf;

/// The section with the compiler's frame sizes.
const SIZES: &str = ".stack_sizes";

/// Reads the call graph of a program that was linked with its relocations.
pub fn graph(path: &Path) -> Result<Graph, String> {
    let bytes = elf::read(path)?;
    let file = elf::parse(path, &bytes)?;
    Program::read(&file).map(Program::graph).map_err(|e| format!("{}: {e}", path.display()))
}

/// What the file says.
#[derive(Default)]
pub struct Program<'a> {
    /// Whether it is Thumb rather than RISC-V.
    pub thumb: bool,
    /// Sections with code, by their addresses.
    pub sections: Vec<(u32, &'a [u8])>,
    /// Where code begins (true) and where data among it does.
    pub marks: BTreeMap<u32, bool>,
    /// Functions: the symbol and the end, where it is told.
    pub functions: BTreeMap<u32, (&'a str, Option<u32>)>,
    /// The compiler's frame sizes.
    pub frames: BTreeMap<u32, u64>,
    /// Relocations of calls and jumps, and where they lead.
    pub calls: BTreeMap<u32, u32>,
    /// Pointers in memory that the linker filled in.
    pub words: BTreeMap<u32, u32>,
    /// Addresses that code puts together, by where it does.
    pub uses: BTreeMap<u32, u32>,
}

impl<'a> Program<'a> {
    fn read(file: &ElfFile32<'a>) -> Result<Self, String> {
        let show = |e: object::Error| e.to_string();
        let machine = file.elf_header().e_machine(file.endian());
        let mut program = Self { thumb: machine == EM_ARM, ..Self::default() };
        for symbol in file.symbols() {
            let (Ok(name), address) = (symbol.name(), symbol.address() as u32) else { continue };
            if name.starts_with("$t") || name.starts_with("$x") {
                program.marks.insert(address, true);
            } else if name.starts_with("$d") {
                // Data marked where code begins too is of another section, discarded.
                program.marks.entry(address).or_insert(false);
            } else if symbol.kind() == SymbolKind::Text {
                let at = program.even(address);
                let end = (symbol.size() > 0).then_some(at + symbol.size() as u32);
                let known = program.functions.entry(at).or_insert((name, end));
                known.1 = known.1.max(end);
            }
        }
        for section in file.sections() {
            if section.kind() == SectionKind::Text {
                program.sections.push((section.address() as u32, section.data().map_err(show)?));
            }
            if section.name() == Ok(SIZES) {
                let sizes = sizes(section.data().map_err(show)?).ok_or("bad frame sizes")?;
                program.frames = sizes.into_iter().map(|(a, f)| (program.even(a), f)).collect();
            }
            program.relocations(file, &section)?;
        }
        if program.frames.is_empty() || program.calls.is_empty() {
            return Err("no frame sizes or no relocations".to_owned());
        }
        Ok(program)
    }

    /// The relocations of a section that the program loads.
    fn relocations<'b>(
        &mut self,
        file: &ElfFile32<'a>,
        section: &impl ObjectSection<'b>,
    ) -> Result<(), String> {
        if matches!(section.kind(), SectionKind::Other | SectionKind::Debug | SectionKind::Metadata)
            || section.name() == Ok(SIZES)
        {
            return Ok(());
        }
        for (at, relocation) in section.relocations() {
            let (RelocationTarget::Symbol(symbol), RelocationFlags::Elf { r_type }) =
                (relocation.target(), relocation.flags())
            else {
                continue;
            };
            let symbol = file.symbol_by_index(symbol).map_err(|e| e.to_string())?;
            let at = at as u32;
            let to = (symbol.address() as u32).wrapping_add(relocation.addend() as u32);
            match (self.thumb, r_type) {
                (true, R_ARM_THM_PC22 | R_ARM_THM_JUMP24 | R_ARM_THM_JUMP19)
                | (false, R_RISCV_CALL | R_RISCV_CALL_PLT | R_RISCV_JAL) => {
                    self.calls.insert(at, self.even(to));
                }
                (true, R_ARM_ABS32) | (false, R_RISCV_32) => {
                    let start = section.address() as u32;
                    let data = section.data().map_err(|e| e.to_string())?;
                    let word = data.get((at - start) as usize..).and_then(|d| d.first_chunk());
                    let word = word.ok_or("a relocation of what is not there")?;
                    self.words.insert(at, self.even(u32::from_le_bytes(*word)));
                }
                (false, R_RISCV_HI20 | R_RISCV_PCREL_HI20) => {
                    self.uses.insert(at, to);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An address of code without the bit that says Thumb.
    fn even(&self, address: u32) -> u32 {
        if self.thumb { address & !1 } else { address }
    }
}

/// The frame sizes: an address and an unsigned LEB128 each.
fn sizes(mut bytes: &[u8]) -> Option<Vec<(u32, u64)>> {
    let mut sizes = Vec::new();
    while !bytes.is_empty() {
        let (address, rest) = bytes.split_first_chunk()?;
        let (size, rest) = leb128(rest)?;
        sizes.push((u32::from_le_bytes(*address), size));
        bytes = rest;
    }
    Some(sizes)
}

/// An unsigned LEB128, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_sizes_are_read() {
        assert_eq!(leb128(&[0xe5, 0x8e, 0x26, 7]), Some((624_485, &[7][..])));
        assert_eq!(leb128(&[0]), Some((0, &[][..])));
        assert_eq!(leb128(&[0x80]), None);
        assert_eq!(leb128(&[]), None);
        let bytes = [1, 2, 0, 0, 0x80, 0x01, 5, 0, 0, 0x80, 0x10];
        assert_eq!(sizes(&bytes), Some(vec![(0x201, 128), (0x8000_0005, 16)]));
        assert_eq!(sizes(&bytes[..10]), None);
        assert_eq!(sizes(&bytes[..8]), None);
    }
}
