//! A hand-made table: lookups, and every field damaged.

extern crate std;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::model::blob::{CRC_WORD, align, crc};

/// A table's words.
pub(crate) fn table(
    model_crc: u32,
    (lo, hi): (&[f32], &[f32]),
    error: &[f32],
    outputs: usize,
    kept: &Rule<'_>,
    nodes: &[Node],
    (root, depth): (Branch, usize),
) -> Vec<u32> {
    let (rule, margin, limits): (u32, f32, [&[f32]; 2]) = match kept {
        Rule::Limits { lo, hi } => (LIMITS, 0.0, [lo, hi]),
        Rule::Class { margin } => (CLASS, *margin, [&[], &[]]),
    };
    let mut words = vec![MAGIC, VERSION, 0, 0, model_crc, lo.len() as u32, outputs as u32, rule];
    words.extend([margin.to_bits(), nodes.len() as u32, root.code().unwrap(), depth as u32]);
    let numbers = [lo, hi, error, limits[0], limits[1]];
    words.extend(numbers.iter().flat_map(|part| part.iter().map(|x| x.to_bits())));
    for node in nodes {
        let halves = node.below.code().unwrap() | node.above.code().unwrap() << 16;
        words.extend([node.input as u32, node.value.to_bits(), halves]);
    }
    words.resize(align(words.len()), 0);
    words[2] = words.len() as u32;
    words[CRC_WORD] = crc(&words);
    words
}

pub(crate) const OPEN: Branch = Branch::Leaf(None);

/// The branch to a leaf where class `class` is certified.
pub(crate) const fn leaf(class: usize) -> Branch {
    Branch::Leaf(Some(class))
}

const RANGE: (&[f32], &[f32]) = (&[-1.0, -2.0], &[1.0, 2.0]);
const CLASSES: Rule<'static> = Rule::Class { margin: 0.5 };

/// Below 0 in the first input: class 1 up to 1 in the second, then open. From 0 on: class 0 from 0.5 on.
fn three_levels() -> Vec<u32> {
    let node = |input, value, below, above| Node { input, value, below, above };
    let nodes = [
        node(0, 0.0, Branch::Node(1), Branch::Node(2)),
        node(1, 1.0, leaf(1), OPEN),
        node(0, 0.5, Branch::Node(3), leaf(0)),
        node(1, -1.0, OPEN, leaf(2)),
    ];
    let words = table(77, RANGE, &[0.125, 0.0], 3, &CLASSES, &nodes, (Branch::Node(0), 3));
    assert_eq!(words.len(), 12 + 6 + 12 + 2);
    words
}

#[test]
fn lookups_by_hand() {
    let words = three_levels();
    let regions = Regions::from_words(&words).unwrap();
    assert_eq!((regions.inputs(), regions.outputs(), regions.model_crc()), (2, 3, 77));
    assert_eq!((regions.nodes(), regions.depth(), regions.rule()), (4, 3, CLASSES));
    assert_eq!((regions.range(), regions.error()), (RANGE, &[0.125, 0.0][..]));
    assert_eq!(regions.node(3).unwrap().above, leaf(2));
    assert_eq!(regions.node(4), None);
    let tiny = f32::from_bits(1);
    let below_half = 0.5f32.next_down();
    for (x, class) in [
        ([-0.5, 0.0], Some(1)),
        ([-0.5, 1.0], None),
        ([-0.5, 1.0f32.next_down()], Some(1)),
        // Both zeros are 0, and lie above; the least negative number does not, flushed or not.
        ([0.0, 0.0], Some(2)),
        ([-0.0, 0.0], Some(2)),
        ([-tiny, 0.0], Some(1)),
        ([tiny, -0.0], Some(2)),
        ([below_half, -1.0], Some(2)),
        ([below_half, (-1.0f32).next_down()], None),
        ([0.5, -2.0], Some(0)),
        // The range's ends belong to it.
        ([1.0, 2.0], Some(0)),
        ([-1.0, -2.0], Some(1)),
        ([1.0f32.next_up(), 0.0], None),
        ([-0.5, (-2.0f32).next_down()], None),
        ([f32::INFINITY, 0.0], None),
        ([-0.5, f32::NEG_INFINITY], None),
        ([f32::NAN, 0.0], None),
        ([-f32::NAN, 0.0], None),
        ([-0.5, f32::NAN], None),
        ([-0.5, -f32::NAN], None),
    ] {
        assert_eq!(regions.find(&x), class, "{x:?}");
    }
    assert_eq!(regions.find(&[-0.5]), None);
    assert_eq!(regions.find(&[-0.5, 0.0, 0.0]), None);
    assert_eq!(regions.find(&[]), None);
}

#[test]
fn tables_of_one_leaf() {
    let limits = Rule::Limits { lo: &[-1.0], hi: &[f32::MAX] };
    for (root, found) in [(leaf(0), Some(0)), (OPEN, None)] {
        let words = table(5, (&[0.0], &[0.0]), &[0.0], 1, &limits, &[], (root, 0));
        let regions = Regions::from_words(&words).unwrap();
        assert_eq!((regions.rule(), regions.root()), (limits, root));
        assert_eq!(regions.find(&[-0.0]), found);
        assert_eq!(regions.find(&[f32::from_bits(1)]), None);
    }
}

#[test]
fn numbers_are_ordered() {
    let all = [f32::NEG_INFINITY, -1.0, -f32::from_bits(1), 0.0, f32::from_bits(1), 2.0, f32::MAX];
    for (a, b) in all.iter().zip(&all[1..]) {
        assert!(order(*a) < order(*b), "{a} {b}");
    }
    assert_eq!(order(-0.0), order(0.0));
    assert!(order(f32::NAN) > order(f32::INFINITY));
    assert!(order(-f32::NAN) < order(f32::NEG_INFINITY));
}

#[test]
fn each_damaged_field_is_named_though_the_checksum_fits() {
    use RegionsError as E;
    let float = |x: f32| x.to_bits();
    let halves = |below: u32, above: u32| below | above << 16;
    let (open, node) = (LEAF, 18);
    let cases: &[(usize, u32, E)] = &[
        (0, 1, E::Magic),
        (1, 0, E::Version(0)),
        (1, 2, E::Version(2)),
        (2, 31, E::Length),
        (2, 33, E::Length),
        (5, 0, E::Width),
        (5, 1, E::Length),
        (5, u32::MAX, E::Width),
        (6, 0, E::Width),
        (6, 1, E::Rule),
        // No leaf may be of the third class.
        (6, 2, E::Node(3)),
        (7, 2, E::Rule),
        (7, LIMITS, E::Rule),
        (8, float(-1.0), E::Rule),
        (8, float(-0.0), E::Rule),
        (8, float(f32::NAN), E::Rule),
        (8, float(f32::INFINITY), E::Rule),
        (9, 3, E::Length),
        (9, u32::MAX, E::Nodes),
        (10, 1, E::Nodes),
        (10, open, E::Nodes),
        (10, 2 * LEAF, E::Nodes),
        (11, 2, E::Depth),
        (11, 4, E::Depth),
        (12, float(1.5), E::Range),
        (12, float(f32::NAN), E::Range),
        (13, float(-1e30), E::Range),
        (14, float(-0.0), E::Range),
        (16, float(-1.0), E::Error),
        (16, float(f32::INFINITY), E::Error),
        (17, float(f32::NAN), E::Error),
        (17, float(-0.0), E::Error),
        // The root's input, value and branches.
        (node, 2, E::Node(0)),
        (node + 1, float(-1.0), E::Node(0)),
        (node + 1, float(1.0f32.next_up()), E::Node(0)),
        (node + 1, float(f32::NAN), E::Node(0)),
        (node + 1, float(-0.0), E::Node(0)),
        (node + 2, halves(0, 1), E::Node(0)),
        (node + 2, halves(2, 1), E::Node(0)),
        (node + 2, halves(1, 1), E::Node(0)),
        (node + 2, halves(1, 3), E::Node(0)),
        (node + 2, halves(open, open | 1), E::Nodes),
        // A cycle, a node with two ways to it, two equal leaves, a node that there is not.
        (node + 8, halves(0, open | 1), E::Node(2)),
        (node + 8, halves(1, open | 1), E::Node(2)),
        (node + 8, halves(open, open), E::Node(2)),
        (node + 11, halves(4, open | 1), E::Node(3)),
        (node + 11, halves(open, open | 4), E::Node(3)),
        (30, 1, E::Padding),
        (31, 1 << 31, E::Padding),
    ];
    for &(at, value, expected) in cases {
        let mut words = three_levels();
        words[at] = value;
        words[CRC_WORD] = crc(&words);
        assert_eq!(Regions::from_words(&words).unwrap_err(), expected, "word {at} = {value:#x}");
    }
    let words = three_levels();
    for length in 0..words.len() {
        let error = Regions::from_words(&words[..length]).unwrap_err();
        assert_eq!(error, if length < 12 { E::Truncated } else { E::Length });
    }
    for at in 0..words.len() {
        for bit in 0..32 {
            let mut words = three_levels();
            words[at] ^= 1 << bit;
            assert!(Regions::from_words(&words).is_err(), "word {at} bit {bit}");
        }
    }
    let limits = |lo, hi| {
        let kept = Rule::Limits { lo: &[lo], hi: &[hi] };
        Regions::from_words(&table(5, (&[0.0], &[1.0]), &[0.0], 1, &kept, &[], (OPEN, 0))).err()
    };
    assert_eq!(limits(0.0, 1.0), None);
    for (lo, hi) in [(1.0, 1.0), (f32::NEG_INFINITY, 1.0), (0.0, f32::NAN), (-0.0, 1.0)] {
        assert_eq!(limits(lo, hi), Some(E::Rule), "{lo} {hi}");
    }
}

#[test]
fn no_tree_is_deeper_than_a_lookup_goes() {
    let chain = |depth: usize| {
        let node = |i: usize| Node {
            input: 0,
            value: 1.0 + i as f32,
            below: leaf(i % 2),
            above: if i + 1 < depth { Branch::Node(i + 1) } else { OPEN },
        };
        let nodes: Vec<Node> = (0..depth).map(node).collect();
        table(5, (&[0.0], &[99.0]), &[0.0], 2, &CLASSES, &nodes, (Branch::Node(0), depth))
    };
    let words = chain(MAX_DEPTH);
    let regions = Regions::from_words(&words).unwrap();
    let last = MAX_DEPTH as f32 - 0.5;
    assert_eq!((regions.find(&[last]), regions.find(&[last + 1.0])), (Some(1), None));
    assert_eq!(Regions::from_words(&chain(MAX_DEPTH + 1)).unwrap_err(), RegionsError::Depth);
}

#[test]
fn branches_and_half_words() {
    for branch in [Branch::Node(0), Branch::Node(MAX_NODES - 1), OPEN, leaf(0), leaf(32_765)] {
        assert_eq!(Branch::of(branch.code().unwrap()), branch);
    }
    assert_eq!(leaf(32_767).code(), None);
    assert_eq!(Branch::Node(MAX_NODES).code(), None);
}
