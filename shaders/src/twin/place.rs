//! Twin of `place`.

use super::step::{lists, shared_count};
use crate::layout::{GIVEN, LINES, Step};

/// Lines of a layer that the host has chosen.
pub fn place(p: &Step, given: &[u32], live: &mut [u32], lines: &mut [u32]) {
    let (samples, neurons, first) = (p.samples as usize, p.neurons as usize, p.first as usize);
    for (sample, given) in given.chunks_exact(given.len() / samples).enumerate() {
        let (counts, lists_of) = given.split_at(GIVEN);
        let count = counts[0] as usize;
        live[sample * p.layers as usize + p.layer as usize] = counts[0];
        live[shared_count(p, sample)] = counts[1];
        let room = lists_of.len() / (1 + LINES);
        let at = lists(p, sample) + first;
        live[at..at + count].copy_from_slice(&lists_of[..count]);
        for (k, of) in lists_of.chunks_exact(room).skip(1).enumerate() {
            let at = (LINES * sample + k) * neurons + first;
            lines[at..at + count].copy_from_slice(&of[..count]);
        }
    }
}
