//! Thumb instructions (Arm Architecture Reference Manual, ARMv7-M, chapter A7).

use super::code::{Effect, Effects, bit, half, signed};

/// The stack pointer, the link register and the program counter.
const SP: u32 = 13;
const LR: u32 = 14;
const PC: u32 = 15;

/// The effects of the instructions of `code`, which lies at `start`; `None` if its last is cut off.
pub fn effects(start: u32, code: &[u8]) -> Option<Effects> {
    let mut effects = Effects::new();
    let (mut at, mut before) = (0, [0; 2]);
    while at < code.len() {
        let first = half(code, at)?;
        let address = start + at as u32;
        let wide = first >> 11 >= 0b11101;
        let (word, effect) = if wide {
            let second = half(code, at + 2)?;
            (first << 16 | second, long(address, first, second))
        } else {
            (first, short(address, first, before))
        };
        effects.push((address, effect));
        before = [word, before[0]];
        at += if wide { 4 } else { 2 };
    }
    Some(effects)
}

/// An instruction of one halfword, after those of `before`, the last first.
fn short(at: u32, word: u32, before: [u32; 2]) -> Effect {
    let to = |offset: i32| at.wrapping_add(4).wrapping_add_signed(offset);
    match word >> 8 {
        // PUSH
        0xb4 | 0xb5 => Effect::Takes(4 * (word & 0x1ff).count_ones()),
        // SUB sp, sp, #imm7 (ADD has bit 7 clear)
        0xb0 if word & 0x80 != 0 => Effect::Takes(4 * (word & 0x7f)),
        // CBZ, CBNZ
        0xb1 | 0xb3 | 0xb9 | 0xbb => {
            Effect::May(to((bit(word, 9, 6) | (word >> 3 & 0x1f) << 1) as i32))
        }
        // B<c>
        0xd0..=0xdd => Effect::May(to(signed(word << 1, 9))),
        // B
        0xe0..=0xe7 => Effect::Jump(to(signed(word << 1, 12))),
        // ADD, MOV with high registers
        0x44 | 0x46 => {
            let (into, from) = (bit(word, 7, 3) | word & 7, word >> 3 & 15);
            match (into, from, word >> 8) {
                (PC, LR, 0x46) => Effect::Returns,
                (PC, _, 0x44) => Effect::Ahead,
                (PC, ..) if steps_ahead(at, before, from) => Effect::Ahead,
                (PC, ..) => Effect::Table,
                (SP, _, 0x44) => Effect::Moves,
                (SP, ..) if subtracts(before[0], from) => Effect::Moves,
                (SP, ..) => Effect::Sets,
                _ => Effect::Plain,
            }
        }
        // BX, BLX
        0x47 if word & 0x80 != 0 => Effect::Indirect,
        0x47 if word >> 3 & 15 == LR => Effect::Returns,
        0x47 => Effect::Indirect,
        // POP with the program counter
        0xbd => Effect::Returns,
        _ => Effect::Plain,
    }
}

/// Whether a jump at `at` leads into a table of branches of four bytes right behind it: ADR.W rd,
/// #imm12; ADD.W rd, rd, rm, LSL #2.
fn steps_ahead(at: u32, [last, first]: [u32; 2], register: u32) -> bool {
    let imm12 = bit(first, 26, 11) | first >> 4 & 0x700 | first & 0xff;
    // Both are of four bytes; ADR counts from the word that it would read as the program counter.
    let base = (at.wrapping_sub(8).wrapping_add(4) & !3).wrapping_add(imm12);
    first & 0xfbff_8f00 == 0xf20f_0000 | register << 8
        && last & 0xffff_fff0 == 0xeb00_0080 | register << 16 | register << 8
        && base == at.wrapping_add(2)
}

/// Whether an instruction takes a constant off a register, as what frees a frame does before the
/// stack pointer is set: SUBS rdn, #imm8; SUBS rd, r7, #imm3; SUB.W rd, r7, #const.
fn subtracts(word: u32, register: u32) -> bool {
    word == word & 0xff | 0x3800 | register << 8
        || word == word & 0x1c0 | 0x1e00 | 7 << 3 | register
        || word & 0xfbff_8f00 == 0xf1a7_0000 | register << 8
}

/// An instruction of two halfwords.
fn long(at: u32, first: u32, second: u32) -> Effect {
    let to = |offset: i32| at.wrapping_add(4).wrapping_add_signed(offset);
    let into = second >> 8 & 15;
    if first & 0xf800 == 0xf000 && second & 0x8000 != 0 {
        let s = bit(first, 10, 0);
        // Bits 23 and 22 of an offset, stored as J = not (I xor S).
        let (i1, i2) = (bit(second, 13, 0) ^ s ^ 1, bit(second, 11, 0) ^ s ^ 1);
        let far = s << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
        let far = to(signed(far, 25));
        return match second >> 12 & 0b101 {
            0b101 => Effect::Call(far),
            0b001 => Effect::Jump(far),
            // BLX to what is not Thumb
            0b100 => Effect::Indirect,
            // MSR, barriers and the like
            _ if first >> 7 & 7 == 7 => Effect::Plain,
            _ => {
                let (j1, j2) = (bit(second, 13, 18), bit(second, 11, 19));
                let near = s << 20 | j2 | j1 | (first & 0x3f) << 12 | (second & 0x7ff) << 1;
                Effect::May(to(signed(near, 21)))
            }
        };
    }
    let plain = match first {
        // STMDB sp!
        0xe92d => Effect::Takes(4 * second.count_ones()),
        // STRD rt, rt2, [sp, #-imm8]!
        0xe96d => Effect::Takes(4 * (second & 0xff)),
        // STR rt, [sp, #-imm8]!
        0xf84d if second & 0xf00 == 0xd00 => Effect::Takes(second & 0xff),
        // VSTMDB sp!
        0xed2d | 0xed6d if second & 0xe00 == 0xa00 => Effect::Takes(4 * (second & 0xff)),
        // TBB, TBH
        _ if first & 0xfff0 == 0xe8d0 && second & 0xffe0 == 0xf000 => Effect::Ahead,
        // LDMIA sp! with the program counter
        0xe8bd if second >> PC & 1 != 0 => Effect::Returns,
        // LDR pc, [sp], #4
        0xf85d if second == 0xfb04 => Effect::Returns,
        // LDR pc; LDM with it
        _ if first & 0xff70 == 0xf850 && second >> 12 == PC => Effect::Indirect,
        _ if first & 0xfe50 == 0xe810 && second >> PC & 1 != 0 => Effect::Indirect,
        // Whatever else counts sp down: LDRD and STRD, LDR and STR, LDM
        _ if first & 0xfeef == 0xe86d || first == 0xe93d => Effect::Sets,
        _ if first & 0xfe0f == 0xf80d && second & 0xb00 == 0x900 => Effect::Sets,
        _ => Effect::Plain,
    };
    if plain != Effect::Plain {
        return plain;
    }
    // Data processing: constants, then registers.
    match first & 0xfbf0 {
        // SUB.W sp, sp, #const
        0xf1a0 | 0xf1b0 if into == SP && first & 15 == SP => {
            Effect::Takes(expanded(bit(first, 10, 11) | second >> 4 & 0x700 | second & 0xff))
        }
        // SUBW sp, sp, #imm12
        0xf2a0 if into == SP && first & 15 == SP => {
            Effect::Takes(bit(first, 10, 11) | second >> 4 & 0x700 | second & 0xff)
        }
        // ADD.W, ADDW sp, sp, #const
        0xf100 | 0xf110 | 0xf200 if into == SP && first & 15 == SP => Effect::Plain,
        // ADD.W, SUB.W sp, sp, rm
        _ if matches!(first, 0xeb0d | 0xebad | 0xebbd) && into == SP => Effect::Moves,
        _ if first & 0xf800 == 0xf000 && into == SP => Effect::Sets,
        _ if first & 0xfe00 == 0xea00 && into == SP => Effect::Sets,
        // LDR sp
        _ if first & 0xff70 == 0xf850 && second >> 12 == SP => Effect::Sets,
        _ => Effect::Plain,
    }
}

/// ThumbExpandImm: a byte, repeated or rotated.
fn expanded(imm12: u32) -> u32 {
    let byte = imm12 & 0xff;
    match imm12 >> 8 {
        0 => byte,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        3 => byte << 24 | byte << 16 | byte << 8 | byte,
        _ => (imm12 & 0x7f | 0x80).rotate_right(imm12 >> 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the code of each test lies.
    const AT: u32 = 0x1000_0000;

    /// The effect of the last instruction.
    fn last(halves: &[u16]) -> Effect {
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        effects(AT, &bytes).and_then(|effects| effects.last().copied()).unwrap().1
    }

    #[test]
    fn what_takes_stack_is_counted() {
        for (halves, bytes) in [
            (&[0xb5f0][..], 20),       // push {r4-r7, lr}
            (&[0xe92d, 0x4910], 16),   // push.w {r4, r8, r11, lr}
            (&[0xf84d, 0xbd04], 4),    // str r11, [sp, #-4]!
            (&[0xe96d, 0x0104], 16),   // strd r0, r1, [sp, #-16]!
            (&[0xed2d, 0x8b04], 16),   // vpush {d8, d9}
            (&[0xed2d, 0x8a01], 4),    // vpush {s16}
            (&[0xb0ff], 508),          // sub sp, #508
            (&[0xf5ad, 0x6dcb], 1624), // sub.w sp, sp, #1624
            (&[0xf2ad, 0x3de9], 1001), // subw sp, sp, #1001
        ] {
            assert_eq!(last(halves), Effect::Takes(bytes), "{halves:x?}");
        }
    }

    #[test]
    fn what_gives_it_back_is_not() {
        for halves in [
            &[0xb07f][..],     // add sp, #508
            &[0xf50d, 0x6dcb], // add.w sp, sp, #1624
            &[0xe8fd, 0x0102], // ldrd r0, r1, [sp], #8
            &[0xbc10],         // pop {r4}
            &[0xf36f, 0x0403], // bfc r4, #0, #4
            &[0xf240, 0x0005], // movw r0, #5
            &[0xf380, 0x8810], // msr primask, r0
            &[0xf3bf, 0x8f4f], // dsb sy
            &[0xbeab],         // bkpt #0xab
        ] {
            assert_eq!(last(halves), Effect::Plain, "{halves:x?}");
        }
    }

    #[test]
    fn a_stack_pointer_set_anew_is_seen() {
        assert_eq!(last(&[0x44a5]), Effect::Moves); // add sp, r4
        assert_eq!(last(&[0x3e05, 0x46b5]), Effect::Moves); // subs r6, #5; mov sp, r6
        assert_eq!(last(&[0x1ffe, 0x46b5]), Effect::Moves); // subs r6, r7, #7; mov sp, r6
        assert_eq!(last(&[0xf1a7, 0x0418, 0x46a5]), Effect::Moves); // sub.w r4, r7, #24; mov sp, r4
        assert_eq!(last(&[0x3e05, 0x46a5]), Effect::Sets); // subs r6, #5; mov sp, r4
        assert_eq!(last(&[0xf36f, 0x0403, 0x46a5]), Effect::Sets); // bfc r4, #0, #4; mov sp, r4
        assert_eq!(last(&[0xf85d, 0x1d04]), Effect::Sets); // ldr r1, [sp, #-4]!
    }

    #[test]
    fn calls_and_jumps_are_followed() {
        let to = |offset: i32| AT.wrapping_add(4).wrapping_add_signed(offset);
        for (halves, effect) in [
            (&[0xf123, 0xfa2b][..], Effect::Call(to(0x0012_3456))),
            (&[0xf7ff, 0xff80], Effect::Call(to(-0x100))),
            (&[0xf000, 0xba00], Effect::Jump(to(0x400))), // b.w
            (&[0xe3ff], Effect::Jump(to(0x7fe))),         // b
            (&[0xf47f, 0xa800], Effect::May(to(-0x1000))), // bne.w
            (&[0xd1fe], Effect::May(to(-4))),             // bne
            (&[0xb318], Effect::May(to(0x46))),           // cbz r0
            (&[0x4770], Effect::Returns),                 // bx lr
            (&[0xbd10], Effect::Returns),                 // pop {r4, pc}
            (&[0xe8bd, 0x8110], Effect::Returns),         // pop.w {r4, r8, pc}
            (&[0xf85d, 0xfb04], Effect::Returns),         // ldr pc, [sp], #4
            (&[0x4718], Effect::Indirect),                // bx r3
            (&[0x4798], Effect::Indirect),                // blx r3
            (&[0xf8d0, 0xf000], Effect::Indirect),        // ldr.w pc, [r0]
            (&[0x4697], Effect::Table),                   // mov pc, r2
            (&[0x448f], Effect::Ahead),                   // add pc, r1
            // nop; adr.w r4, #8; add.w r4, r4, r1, lsl #2; mov pc, r4
            (&[0xbf00, 0xf20f, 0x0408, 0xeb04, 0x0481, 0x46a7], Effect::Ahead),
            // To another place than right behind.
            (&[0xbf00, 0xf20f, 0x040c, 0xeb04, 0x0481, 0x46a7], Effect::Table),
            (&[0xf20f, 0x0408, 0xeb04, 0x0481, 0x46a7], Effect::Table),
            // Of another register, and from no address.
            (&[0xbf00, 0xf20f, 0x0308, 0xeb04, 0x0481, 0x46a7], Effect::Table),
            (&[0xeb04, 0x0481, 0x46a7], Effect::Table),
            (&[0xe8df, 0xf000], Effect::Ahead), // tbb [pc, r0]
        ] {
            assert_eq!(last(halves), effect, "{halves:x?}");
        }
        assert_eq!(effects(AT, &[0x2d, 0xe9]), None);
        assert_eq!(effects(AT, &[0x2d]), None);
    }
}
