//! RISC-V instructions (The RISC-V Instruction Set Manual, volume I: RV32I and C).

use super::code::{Effect, Effects, bit, half, signed};

/// The return address, the stack pointer and the frame pointer.
const RA: u32 = 1;
const SP: u32 = 2;
const FP: u32 = 8;

/// The effects of the instructions of `code`, which lies at `start`; `None` if its last is cut off.
pub fn effects(start: u32, code: &[u8]) -> Option<Effects> {
    let mut effects = Effects::new();
    let mut at = 0;
    // What AUIPC just put into a register.
    let mut above = None;
    while at < code.len() {
        let low = half(code, at)?;
        let address = start + at as u32;
        if low & 3 != 3 {
            effects.push((address, short(address, low)));
            above = None;
            at += 2;
            continue;
        }
        let word = half(code, at + 2)? << 16 | low;
        match (word & 0x7f, above) {
            (JALR, Some((register, value))) if register == source(word) => {
                let to = u32::wrapping_add_signed(value, word as i32 >> 20);
                let effect = match into(word) {
                    0 => Effect::Jump(to),
                    RA => Effect::Call(to),
                    _ => Effect::Indirect,
                };
                // A pair is where its first instruction is.
                effects.push((address - 4, effect));
            }
            _ => effects.push((address, long(address, word))),
        }
        above =
            (word & 0x7f == AUIPC).then(|| (into(word), address.wrapping_add(word & 0xffff_f000)));
        at += 4;
    }
    Some(effects)
}

const AUIPC: u32 = 0x17;
const JALR: u32 = 0x67;

fn into(word: u32) -> u32 {
    word >> 7 & 31
}

fn source(word: u32) -> u32 {
    word >> 15 & 31
}

/// ADDI to the stack pointer.
fn add(from: u32, by: i32) -> Effect {
    match from {
        SP if by < 0 => Effect::Takes(by.unsigned_abs()),
        SP => Effect::Plain,
        // What frees a frame.
        FP => Effect::Moves,
        _ => Effect::Sets,
    }
}

/// JALR: a return, a call or a jump of a register.
fn register(link: u32, from: u32) -> Effect {
    match (link, from) {
        (0, RA) => Effect::Returns,
        (0, _) => Effect::Table,
        _ => Effect::Indirect,
    }
}

/// A compressed instruction.
fn short(at: u32, word: u32) -> Effect {
    let to = |offset: i32| at.wrapping_add_signed(offset);
    let rd = into(word);
    let imm6 = signed(bit(word, 12, 5) | word >> 2 & 31, 6);
    match (word & 3, word >> 13) {
        (1, 0) if rd == SP => add(SP, imm6),
        (1, 1 | 5) => {
            let offset = bit(word, 12, 11)
                | bit(word, 11, 4)
                | (word >> 9 & 3) << 8
                | bit(word, 8, 10)
                | bit(word, 7, 6)
                | bit(word, 6, 7)
                | (word >> 3 & 7) << 1
                | bit(word, 2, 5);
            let to = to(signed(offset, 12));
            if word >> 13 == 1 { Effect::Call(to) } else { Effect::Jump(to) }
        }
        // C.ADDI16SP
        (1, 3) if rd == SP => {
            let by = bit(word, 12, 9)
                | bit(word, 6, 4)
                | bit(word, 5, 6)
                | (word >> 3 & 3) << 7
                | bit(word, 2, 5);
            add(SP, signed(by, 10))
        }
        (1, 6 | 7) => {
            let offset = bit(word, 12, 8)
                | (word >> 10 & 3) << 3
                | (word >> 5 & 3) << 6
                | (word >> 3 & 3) << 1
                | bit(word, 2, 5);
            Effect::May(to(signed(offset, 9)))
        }
        // C.JR and C.JALR; C.MV and C.ADD; C.LI; C.SLLI and C.LWSP
        (2, 4) if word >> 2 & 31 == 0 && rd != 0 => register(bit(word, 12, 0), rd),
        (2, 4) if rd == SP && word >> 12 & 1 == 1 => Effect::Moves,
        (2, 4) | (1, 2) | (2, 0 | 2) if rd == SP => Effect::Sets,
        _ => Effect::Plain,
    }
}

/// An instruction of 32 bits, alone.
fn long(at: u32, word: u32) -> Effect {
    let to = |offset: i32| at.wrapping_add_signed(offset);
    let (rd, function) = (into(word), word >> 12 & 7);
    match word & 0x7f {
        0x6f => {
            let offset = bit(word, 31, 20)
                | word & 0x000f_f000
                | bit(word, 20, 11)
                | (word >> 21 & 0x3ff) << 1;
            let to = to(signed(offset, 21));
            match rd {
                0 => Effect::Jump(to),
                RA => Effect::Call(to),
                // A routine that saves registers, and returns with its frame.
                _ => Effect::Indirect,
            }
        }
        JALR => register(rd, source(word)),
        0x63 => {
            let offset = bit(word, 31, 12)
                | bit(word, 7, 11)
                | (word >> 25 & 63) << 5
                | (word >> 8 & 15) << 1;
            Effect::May(to(signed(offset, 13)))
        }
        // ADDI
        0x13 if rd == SP && function == 0 => add(source(word), word as i32 >> 20),
        // ADD, SUB
        0x33 if rd == SP && function == 0 && source(word) == SP => Effect::Moves,
        // Whatever else writes a register: loads, LUI, AUIPC, arithmetic, CSRs, atomics
        0x03 | 0x13 | AUIPC | 0x33 | 0x37 | 0x2f | 0x73 if rd == SP => Effect::Sets,
        _ => Effect::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the code of each test lies.
    const AT: u32 = 0x8000_0000;

    /// What an instruction does, of 32 bits if its low two say so, or a pair of these.
    fn effect(code: u64) -> Effect {
        let long = if code & 3 == 3 { 4 } else { 2 };
        let length = if code >> 32 != 0 { 8 } else { long };
        effects(AT, &code.to_le_bytes()[..length]).and_then(|e| e.last().copied()).unwrap().1
    }

    #[test]
    fn what_takes_stack_is_counted() {
        assert_eq!(effect(0xc001_0113), Effect::Takes(1024)); // addi sp, sp, -1024
        assert_eq!(effect(0x1101), Effect::Takes(32)); // c.addi sp, -32
        assert_eq!(effect(0x7141), Effect::Takes(496)); // c.addi16sp sp, -496
        assert_eq!(effect(0x617d), Effect::Plain); // c.addi16sp sp, 496
        assert_eq!(effect(0x4001_0113), Effect::Plain); // addi sp, sp, 1024
        assert_eq!(effect(0x4512), Effect::Plain); // c.lwsp a0, 4(sp)
        assert_eq!(effect(0x0808), Effect::Plain); // c.addi4spn a0, sp, 16
    }

    #[test]
    fn a_stack_pointer_set_anew_is_seen() {
        assert_eq!(effect(0xfc04_0113), Effect::Moves); // addi sp, s0, -64
        assert_eq!(effect(0x4051_0133), Effect::Moves); // sub sp, sp, t0
        assert_eq!(effect(0x9116), Effect::Moves); // c.add sp, t0
        assert_eq!(effect(0xff03_7113), Effect::Sets); // andi sp, t1, -16
        assert_eq!(effect(0x812a), Effect::Sets); // c.mv sp, a0
        assert_eq!(effect(0x0005_2103), Effect::Sets); // lw sp, 0(a0)
        assert_eq!(effect(0x4112), Effect::Sets); // c.lwsp sp, 4(sp)
        assert_eq!(effect(0x0000_1137), Effect::Sets); // lui sp, 1
    }

    #[test]
    fn calls_and_jumps_are_followed() {
        let to = |offset: i32| AT.wrapping_add_signed(offset);
        for (code, expected) in [
            (0x8082, Effect::Returns),                         // ret
            (0x8502, Effect::Table),                           // c.jr a0
            (0x0085_0067, Effect::Table),                      // jr 8(a0)
            (0x9782, Effect::Indirect),                        // c.jalr a5
            (0x0005_80e7, Effect::Indirect),                   // jalr ra, 0(a1)
            (0xa801, Effect::Jump(to(16))),                    // c.j
            (0x37c5, Effect::Call(to(-32))),                   // c.jal
            (0xdd6d, Effect::May(to(-6))),                     // c.beqz a0
            (0xe1c9, Effect::May(to(130))),                    // c.bnez a1
            (0x80b5_60e3, Effect::May(to(-2048))),             // bltu a0, a1
            (0x3441_20ef, Effect::Call(to(0x1_2344))),         // jal ra
            (0x0080_02ef, Effect::Indirect),                   // jal t0
            (0xffc0_80e7_0000_1097, Effect::Call(to(0xffc))),  // auipc ra, 1; jalr ra, -4(ra)
            (0x0083_0067_ffff_f317, Effect::Jump(to(-0xff8))), // auipc t1, -1; jr 8(t1)
            (0x0005_80e7_0000_1517, Effect::Indirect),         // auipc a0, 1; jalr ra, 0(a1)
        ] {
            assert_eq!(effect(code), expected, "{code:x}");
        }
        // A pair stands where it begins.
        let pair = effects(AT, &0xffc0_80e7_0000_1097_u64.to_le_bytes()).unwrap();
        assert_eq!(pair.last(), Some(&(AT, Effect::Call(AT + 0xffc))));
        assert_eq!(effects(AT, &[0x13]), None);
        assert_eq!(effects(AT, &[0x13, 0x01]), None);
    }
}
