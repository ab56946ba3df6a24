//! The check of a table, all `const`.

use super::{
    Branch, CLASS, HEADER_WORDS, LEAF, LIMITS, MAGIC, MAX_DEPTH, MAX_NODES, NODE_WORDS,
    RegionsError, VERSION, order,
};
use crate::model::blob::{CRC_WORD, MAX_WIDTH, align, crc, word};
use crate::num::MAGNITUDE_LIMIT;

/// Below this, an input and its error add up to less than the engine's limit.
const LARGEST: f32 = MAGNITUDE_LIMIT / 2.0;

/// Where the inner nodes begin.
pub(super) const fn first_node(words: &[u32]) -> usize {
    let outputs = if word(words, 7) == LIMITS { word(words, 6) as usize } else { 0 };
    // Widths are at most 2^20.
    HEADER_WORDS + 3 * word(words, 5) as usize + 2 * outputs
}

/// Checks everything that the accessors rely on.
pub(super) const fn check(words: &[u32]) -> Result<(), RegionsError> {
    if words.len() < HEADER_WORDS {
        return Err(RegionsError::Truncated);
    }
    if word(words, 0) != MAGIC {
        return Err(RegionsError::Magic);
    }
    if word(words, 1) != VERSION {
        return Err(RegionsError::Version(word(words, 1)));
    }
    if word(words, 2) as usize != words.len() {
        return Err(RegionsError::Length);
    }
    if word(words, CRC_WORD) != crc(words) {
        return Err(RegionsError::Crc);
    }
    let (inputs, outputs) = (word(words, 5) as usize, word(words, 6) as usize);
    if inputs == 0 || inputs > MAX_WIDTH || outputs == 0 || outputs > MAX_WIDTH {
        return Err(RegionsError::Width);
    }
    let nodes = word(words, 9) as usize;
    if nodes > MAX_NODES {
        return Err(RegionsError::Nodes);
    }
    if !known_rule(words, outputs) {
        return Err(RegionsError::Rule);
    }
    let first = first_node(words);
    let end = first + NODE_WORDS * nodes;
    if words.len() != align(end) {
        return Err(RegionsError::Length);
    }
    let (range, error) = (HEADER_WORDS, HEADER_WORDS + 2 * inputs);
    if !ordered(words, range, inputs, LARGEST, true) {
        return Err(RegionsError::Range);
    }
    let mut i = 0;
    while i < inputs {
        let radius = number(words, error + i);
        if !(radius >= 0.0 && radius < LARGEST) {
            return Err(RegionsError::Error);
        }
        i += 1;
    }
    let limits = word(words, 7) == LIMITS;
    if limits && !ordered(words, error + inputs, outputs, f32::INFINITY, false) {
        return Err(RegionsError::Rule);
    }
    let mut i = end;
    while i < words.len() {
        if word(words, i) != 0 {
            return Err(RegionsError::Padding);
        }
        i += 1;
    }
    check_tree(words, first, nodes, if limits { 1 } else { outputs })
}

/// Whether the rule is of a kind that is known, with a margin that it can have.
const fn known_rule(words: &[u32], outputs: usize) -> bool {
    let margin = number(words, 8);
    match word(words, 7) {
        LIMITS => word(words, 8) == 0,
        CLASS => outputs > 1 && margin >= 0.0 && margin < LARGEST,
        _ => false,
    }
}

/// Checks the tree: nodes level by level, so that each branch to an inner one leads to the next that
/// none has led to yet. So there is no cycle, no node is left out, and none has two ways to it.
const fn check_tree(
    words: &[u32],
    first: usize,
    nodes: usize,
    classes: usize,
) -> Result<(), RegionsError> {
    // Nodes that a branch has led to.
    let mut next = 0;
    match follow(word(words, 10), classes, next, nodes) {
        Some(then) => next = then,
        None => return Err(RegionsError::Nodes),
    }
    if nodes > 0 && next == 0 {
        return Err(RegionsError::Nodes);
    }
    let (mut depth, mut level) = (0, 0);
    let mut i = 0;
    while i < nodes {
        if i >= next {
            return Err(RegionsError::Nodes);
        }
        if i == level {
            // The levels above have led to all of this one.
            (depth, level) = (depth + 1, next);
        }
        let at = first + NODE_WORDS * i;
        let input = word(words, at) as usize;
        let inputs = word(words, 5) as usize;
        if input >= inputs {
            return Err(RegionsError::Node(i));
        }
        let value = number(words, at + 1);
        let (lo, hi) =
            (number(words, HEADER_WORDS + input), number(words, HEADER_WORDS + inputs + input));
        // Either side has a point of the range.
        if !(order(lo) < order(value) && order(value) <= order(hi)) {
            return Err(RegionsError::Node(i));
        }
        let halves = word(words, at + 2);
        let (below, above) = (halves & 0xFFFF, halves >> 16);
        if below == above {
            return Err(RegionsError::Node(i));
        }
        let mut branch = below;
        let mut sides = 2;
        while sides > 0 {
            match follow(branch, classes, next, nodes) {
                Some(then) => next = then,
                None => return Err(RegionsError::Node(i)),
            }
            branch = above;
            sides -= 1;
        }
        i += 1;
    }
    if next != nodes {
        return Err(RegionsError::Nodes);
    }
    if depth > MAX_DEPTH || word(words, 11) as usize != depth {
        return Err(RegionsError::Depth);
    }
    Ok(())
}

/// Nodes led to after this branch; `None` for a leaf that cannot be, and for a node that is not the
/// next one.
const fn follow(half: u32, classes: usize, next: usize, nodes: usize) -> Option<usize> {
    if half >= 2 * LEAF {
        return None;
    }
    match Branch::of(half) {
        Branch::Node(index) if index == next && index < nodes => Some(next + 1),
        Branch::Leaf(None) => Some(next),
        Branch::Leaf(Some(class)) if class < classes => Some(next),
        Branch::Node(_) | Branch::Leaf(_) => None,
    }
}

/// Word `at` as a number; NaN for -0, which no table holds.
const fn number(words: &[u32], at: usize) -> f32 {
    let bits = word(words, at);
    if bits == (-0.0f32).to_bits() { f32::NAN } else { f32::from_bits(bits) }
}

/// Whether `n` numbers from `at` on are below, or `equal` to, as many behind them, all of a magnitude
/// below `most`.
const fn ordered(words: &[u32], at: usize, n: usize, most: f32, equal: bool) -> bool {
    let mut i = at;
    while i < at + n {
        let (lo, hi) = (number(words, i), number(words, i + n));
        let small = lo.abs() < most && hi.abs() < most;
        if !(small && (lo < hi || (equal && lo == hi))) {
            return false;
        }
        i += 1;
    }
    true
}
