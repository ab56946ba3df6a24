//! The tree of boxes: grown, cut to its size, and written as a table.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use certus_engine::model::{Model, blob};
use certus_engine::monitor::Rule;
use certus_engine::regions::{
    Branch, CLASS, HEADER_WORDS, LIMITS, MAGIC, Node, Regions, RegionsError, VERSION,
};

use super::Ask;
use crate::error::{Error, Result};

/// What becomes of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The class that is certified there, if any.
    Leaf(Option<usize>),
    /// Where it is split, and its halves, which come after it.
    Inner { input: usize, value: f32, children: [usize; 2] },
}

/// A box.
#[derive(Clone, Copy, Debug)]
struct Cell {
    kind: Kind,
    parent: Option<usize>,
    /// Its part of the range.
    share: f64,
}

/// Boxes in a tree, the range first.
#[derive(Debug)]
pub struct Tree {
    cells: Vec<Cell>,
}

impl Tree {
    /// Of one leaf.
    pub fn new(answer: Option<usize>) -> Self {
        Self { cells: vec![Cell { kind: Kind::Leaf(answer), parent: None, share: 1.0 }] }
    }

    /// Splits a leaf, of which `part` lies below the value; gives its halves.
    pub fn split(
        &mut self,
        cell: usize,
        (input, value): (usize, f32),
        part: f64,
        answers: [Option<usize>; 2],
    ) -> [usize; 2] {
        let first = self.cells.len();
        let children = [first, first + 1];
        let whole = self.cells[cell].share;
        let parts = [part, 1.0 - part].into_iter().zip(answers);
        self.cells.extend(parts.map(|(part, answer)| Cell {
            kind: Kind::Leaf(answer),
            parent: Some(cell),
            share: whole * part,
        }));
        self.cells[cell].kind = Kind::Inner { input, value, children };
        children
    }

    /// Makes one leaf of two halves that say the same.
    pub fn merge(&mut self) {
        for i in (0..self.cells.len()).rev() {
            if let Kind::Inner { children: [a, b], .. } = self.cells[i].kind
                && let (Kind::Leaf(one), Kind::Leaf(other)) =
                    (self.cells[a].kind, self.cells[b].kind)
                && one == other
            {
                self.cells[i].kind = Kind::Leaf(one);
            }
        }
    }

    /// Makes an open leaf of the branch that certifies least of the range for each leaf that it takes,
    /// until there are no more than so many leaves.
    pub fn prune(&mut self, most: usize) {
        // Of each cell: the part of the range that is certified in it, its leaves, and how often that
        // has changed.
        let mut sums: Vec<(f64, usize, usize)> = vec![(0.0, 0, 0); self.cells.len()];
        let mut heap = BinaryHeap::new();
        let order = |i: usize, (share, leaves, version): (f64, usize, usize)| {
            // Numbers that are not negative are ordered as their bits.
            let price = (share.max(0.0) / leaves.saturating_sub(1).max(1) as f64).to_bits();
            Reverse((price, Reverse(i), version))
        };
        for i in (0..self.cells.len()).rev() {
            let Cell { kind, share, .. } = self.cells[i];
            match kind {
                Kind::Leaf(answer) => sums[i] = (answer.map_or(0.0, |_| share), 1, 0),
                Kind::Inner { children: [a, b], .. } => {
                    sums[i] = (sums[a].0 + sums[b].0, sums[a].1 + sums[b].1, 0);
                    heap.push(order(i, sums[i]));
                }
            }
        }
        while sums[0].1 > most.max(1) {
            let Some(Reverse((_, Reverse(i), version))) = heap.pop() else { return };
            if sums[i].2 != version {
                continue;
            }
            let (lost, leaves, _) = sums[i];
            let mut below = vec![i];
            while let Some(j) = below.pop() {
                sums[j].2 += 1;
                if let Kind::Inner { children, .. } = self.cells[j].kind {
                    below.extend(children);
                }
            }
            self.cells[i].kind = Kind::Leaf(None);
            (sums[i].0, sums[i].1) = (0.0, 1);
            let mut above = self.cells[i].parent;
            while let Some(j) = above {
                sums[j] = (sums[j].0 - lost, sums[j].1 - (leaves - 1), sums[j].2 + 1);
                heap.push(order(j, sums[j]));
                above = self.cells[j].parent;
            }
        }
    }

    /// The table's words (`engine/docs/blob.md`).
    ///
    /// # Errors
    /// [`Error::Usage`]: what the format cannot hold.
    pub fn table(&self, model: &Model<'_>, ask: &Ask<'_>) -> Result<Vec<u32>> {
        let refused = |error| Error::Usage(format!("no table of regions: {error}"));
        let (rule, margin, limits): (u32, f32, [&[f32]; 2]) = match ask.rule {
            Rule::Limits { lo, hi } => (LIMITS, 0.0, [lo, hi]),
            Rule::Class { margin } => (CLASS, margin, [&[], &[]]),
        };
        let (nodes, root, depth) = self.nodes();
        let code = |branch: Branch| branch.code().ok_or_else(|| refused(RegionsError::Nodes));
        let mut words = vec![MAGIC, VERSION, 0, 0, model.words()[blob::CRC_WORD]];
        words.extend([model.inputs() as u32, model.outputs() as u32, rule, bits(margin)]);
        words.extend([nodes.len() as u32, code(root)?, depth as u32]);
        debug_assert_eq!(words.len(), HEADER_WORDS);
        let (lo, hi) = ask.range;
        let numbers = [lo, hi, ask.error, limits[0], limits[1]];
        words.extend(numbers.iter().flat_map(|part| part.iter().map(|x| bits(*x))));
        for Node { input, value, below, above } in nodes {
            words.extend([input as u32, bits(value), code(below)? | code(above)? << 16]);
        }
        words.resize(blob::align(words.len()), 0);
        words[2] = u32::try_from(words.len()).map_err(|_| refused(RegionsError::Length))?;
        words[blob::CRC_WORD] = blob::crc(&words);
        Regions::from_words(&words).map_err(refused)?;
        Ok(words)
    }

    /// The inner nodes level by level, the root, and the depth.
    fn nodes(&self) -> (Vec<Node>, Branch, usize) {
        let (mut nodes, mut next, mut deepest) = (Vec::new(), 0, 0);
        let mut queue = VecDeque::new();
        let mut lead = |cell: usize, depth: usize, queue: &mut VecDeque<(usize, usize)>| match self
            .cells[cell]
            .kind
        {
            Kind::Leaf(answer) => Branch::Leaf(answer),
            Kind::Inner { .. } => {
                queue.push_back((cell, depth));
                next += 1;
                Branch::Node(next - 1)
            }
        };
        let root = lead(0, 1, &mut queue);
        while let Some((cell, depth)) = queue.pop_front() {
            let Kind::Inner { input, value, children } = self.cells[cell].kind else { continue };
            deepest = depth;
            let [below, above] = children.map(|child| lead(child, depth + 1, &mut queue));
            nodes.push(Node { input, value, below, above });
        }
        (nodes, root, deepest)
    }
}

/// A number's bits; 0 has no sign.
fn bits(x: f32) -> u32 {
    (x + 0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight leaves: `answers` of 1/2, 1/4, ... of the range, then what is left.
    fn chain(answers: &[Option<usize>]) -> Tree {
        let mut tree = Tree::new(None);
        let mut cell = 0;
        for (i, answer) in answers.iter().enumerate() {
            [_, cell] = tree.split(cell, (0, 1.0 + i as f32), 0.5, [*answer, None]);
        }
        tree
    }

    fn leaves(tree: &Tree) -> usize {
        tree.nodes().0.len() + 1
    }

    #[test]
    fn halves_that_say_the_same_are_merged() {
        let mut tree = chain(&[Some(0), Some(0), None, None]);
        tree.merge();
        // 1/2, 1/4 and the rest, open.
        assert_eq!((leaves(&tree), tree.nodes().2), (3, 2));
        let mut tree = Tree::new(None);
        let halves = tree.split(0, (0, 1.0), 0.5, [Some(3), None]);
        tree.split(halves[1], (0, 2.0), 0.5, [Some(3), Some(3)]);
        tree.merge();
        assert_eq!(tree.nodes().1, Branch::Leaf(Some(3)));
    }

    #[test]
    fn what_certifies_least_goes_first() {
        for most in 1..=9 {
            let mut tree = chain(&[Some(0), Some(1), Some(0), Some(1), Some(0), Some(1), Some(0)]);
            tree.prune(most);
            tree.merge();
            let expected = most.min(8);
            assert_eq!(leaves(&tree), expected);
            // The largest leaves are left.
            let (nodes, _, depth) = tree.nodes();
            assert_eq!(depth, expected - 1);
            for (i, node) in nodes.iter().enumerate() {
                let leaf = Branch::Leaf(Some(i % 2));
                assert_eq!((node.value, node.below), (1.0 + i as f32, leaf));
            }
        }
    }
}
