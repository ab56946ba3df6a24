//! The nodes of the call graph: what each function takes and calls, or why that cannot be told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::code::{Effect, Effects};
use super::graph::{Graph, Node};
use super::program::Program;
use super::{riscv, thumb};

impl Program<'_> {
    /// The call graph.
    pub fn graph(self) -> Graph {
        let starts: Vec<u32> = self.functions.keys().copied().collect();
        let mut graph = Graph::default();
        for (i, (&start, &(name, end))) in self.functions.iter().enumerate() {
            let Some(&(base, code)) = self
                .sections
                .iter()
                .find(|(base, code)| (*base..base + code.len() as u32).contains(&start))
            else {
                continue; // a symbol of the linker's script
            };
            let last = base + code.len() as u32;
            let end = end.or(starts.get(i + 1).copied()).unwrap_or(last).min(last);
            let code = &code[(start - base) as usize..(end - base) as usize];
            let mut node = Node { name: name.to_owned(), ..Node::default() };
            let own = start..end;
            match self.effects(&own, code) {
                Some(effects) => self.judge(&own, &effects, &mut node),
                None => node.refused = Some("cannot be decoded".to_owned()),
            }
            graph.0.insert(start, node);
        }
        graph
    }

    /// The effects of a function's code, the data in it left out.
    fn effects(&self, own: &Range<u32>, code: &[u8]) -> Option<Effects> {
        let mut effects = Effects::new();
        let mut at = own.start;
        let mut is_code = true;
        let marks = self.marks.range(own.clone()).map(|(at, mark)| (*at, *mark));
        for (next, mark) in marks.chain([(own.end, true)]) {
            let part = &code[(at - own.start) as usize..(next - own.start) as usize];
            if is_code {
                let of = if self.thumb { thumb::effects } else { riscv::effects };
                effects.extend(of(at, part)?);
            }
            (at, is_code) = (next, mark);
        }
        Some(effects)
    }

    /// What a function takes and calls, or why that cannot be told.
    fn judge(&self, own: &Range<u32>, effects: &Effects, node: &mut Node) {
        let told = self.frames.get(&own.start).copied();
        let takes = |effect: &Effect| matches!(effect, Effect::Takes(_) | Effect::Moves);
        let frameless = !effects.iter().any(|(_, effect)| takes(effect));
        let mut calls = BTreeSet::new();
        let mut counted = 0;
        let mut refuse = |reason: String| {
            node.refused.get_or_insert(reason);
        };
        for &(at, effect) in effects {
            match effect {
                Effect::Takes(bytes) => counted += u64::from(bytes),
                Effect::Moves if told.is_none() => {
                    refuse("a frame of unknown size".to_owned());
                }
                Effect::Sets => refuse(format!("sets the stack pointer anew at {at:#x}")),
                Effect::Indirect => refuse(format!("an indirect call at {at:#x}")),
                Effect::Table if !self.has_tables(own, effects) => {
                    refuse(format!("an indirect jump at {at:#x}"));
                }
                _ => {}
            }
            let Some(to) = effect.target() else { continue };
            // Inside itself, a function calls as a far jump: Thumb-1 has no other. A jump to its own
            // start is a loop if it takes no stack.
            let again = to == own.start && (!frameless || matches!(effect, Effect::Call(_)));
            if !own.contains(&to) || again {
                calls.insert(to);
            }
        }
        // What was decoded must hold every call that the linker knows of.
        let targets: BTreeMap<u32, u32> =
            effects.iter().filter_map(|(at, effect)| Some((*at, effect.target()?))).collect();
        for (at, to) in self.calls.range(own.clone()) {
            if targets.get(at) != Some(to) {
                refuse(format!("decoded without its call of {to:#x} at {at:#x}"));
            }
        }
        // The compiler's functions do not run on into the next; assembly may.
        if told.is_none() && effects.last().is_none_or(|(_, effect)| effect.runs_on()) {
            calls.insert(own.end);
        }
        node.frame = counted.max(told.unwrap_or(0));
        node.calls = calls.into_iter().collect();
    }

    /// Whether a function has a table of its own places for each jump of what a register holds, and
    /// no pointer to a function beside.
    fn has_tables(&self, own: &Range<u32>, effects: &Effects) -> bool {
        let jumps = effects.iter().filter(|(_, effect)| *effect == Effect::Table).count();
        let used: BTreeSet<u32> = self.uses.range(own.clone()).map(|(_, to)| *to).collect();
        let held = self.words.range(own.clone());
        let words = used.iter().filter_map(|at| self.words.get(at)).chain(held.map(|(_, to)| to));
        let mut tables = 0;
        for to in words {
            if own.contains(to) && *to != own.start {
                tables += 1;
            } else if self.functions.contains_key(to) {
                return false;
            }
        }
        // A table that lies in the code is seen with all its words.
        if self.thumb { tables >= jumps } else { tables == jumps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The node of a function at 16, of a program in which another lies at 256.
    fn judged(code: &[u16], change: impl FnOnce(&mut Program<'_>)) -> Node {
        let bytes: Vec<u8> = code.iter().flat_map(|half| half.to_le_bytes()).collect();
        let end = 16 + bytes.len() as u32;
        let functions = BTreeMap::from([(16, ("f", Some(end))), (256, ("g", None))]);
        let sections = vec![(16, &*bytes)];
        let mut program = Program { thumb: true, functions, sections, ..Program::default() };
        change(&mut program);
        program.graph().0.remove(&16).unwrap()
    }

    /// PUSH {r7, lr}; BL from 18 to 256; POP {r7, pc}.
    const CALLS: [u16; 4] = [0xb580, 0xf000, 0xf875, 0xbd80];

    #[test]
    fn a_frame_is_the_larger_of_what_is_told_and_what_is_taken() {
        let node = judged(&CALLS, |_| {});
        assert_eq!((node.frame, &*node.calls, node.refused), (8, &[256][..], None));
        for (told, frame) in [(0, 8), (40, 40)] {
            let node = judged(&CALLS, |program| _ = program.frames.insert(16, told));
            assert_eq!(node.frame, frame);
        }
        // ADD sp, r4
        let moves = [0x44a5, 0x4770];
        let node = judged(&moves, |_| {});
        assert_eq!(node.refused.unwrap(), "a frame of unknown size");
        let node = judged(&moves, |program| _ = program.frames.insert(16, 2000));
        assert_eq!((node.frame, node.refused), (2000, None));
        // MOV sp, r4
        let node = judged(&[0x46a5, 0x4770], |program| _ = program.frames.insert(16, 8));
        assert_eq!(node.refused.unwrap(), "sets the stack pointer anew at 0x10");
    }

    #[test]
    fn calls_that_cannot_be_told_are_refused() {
        // BLX r3
        let node = judged(&[0xb580, 0x4798, 0xbd80], |_| {});
        assert_eq!(node.refused.unwrap(), "an indirect call at 0x12");
        // The linker knows of a call that is not decoded, or of another.
        for (at, to) in [(20, 256), (18, 300)] {
            let node = judged(&CALLS, |program| _ = program.calls.insert(at, to));
            assert!(node.refused.unwrap().starts_with("decoded without its call"));
        }
        let node = judged(&CALLS, |program| _ = program.calls.insert(18, 256));
        assert_eq!(node.refused, None);
        // Assembly that ends with MOVS r0, #0 runs on; the compiler's functions do not.
        assert_eq!(judged(&[0x2000], |_| {}).calls, [18]);
        let node = judged(&[0x2000], |program| _ = program.frames.insert(16, 0));
        assert_eq!(node.calls, []);
    }

    #[test]
    fn a_loop_is_told_from_recursion() {
        // B to 16: alone, after PUSH {r7, lr}; BL to 16.
        assert_eq!(judged(&[0xe7fe], |_| {}).calls, []);
        assert_eq!(judged(&[0xb580, 0xe7fd], |_| {}).calls, [16]);
        assert_eq!(judged(&[0xf7ff, 0xfffe], |_| {}).calls, [16]);
        // BL to 20, past its start: a far jump.
        assert_eq!(judged(&[0xf000, 0xf800, 0x4770], |_| {}).calls, []);
    }

    #[test]
    fn a_jump_of_a_register_needs_a_table() {
        // MOV pc, r2, and a word behind it.
        let jumps = [0xb580, 0x4697, 0x0012, 0x0000];
        let words = |words: &'static [(u32, u32)]| {
            judged(&jumps, |program| {
                program.frames.insert(16, 8);
                program.marks.insert(20, false);
                program.words.extend(words.iter().copied());
            })
        };
        assert_eq!(words(&[]).refused.unwrap(), "an indirect jump at 0x12");
        assert_eq!(words(&[(20, 18)]).refused, None);
        assert_eq!(words(&[(20, 256)]).refused.unwrap(), "an indirect jump at 0x12");
        assert!(words(&[(20, 18), (22, 256)]).refused.is_some());
        // A table elsewhere counts where the code uses it.
        let used = judged(&jumps, |program| {
            program.marks.insert(20, false);
            program.words.insert(400, 18);
            program.uses.insert(16, 400);
        });
        assert_eq!(used.refused, None);
    }
}
