//! Several nodes that are one activation: SiLU and GELU as exporters write them.
//!
//! `x * Sigmoid(k x)`, and `x * (1 + Erf(k x))` with constant factors of `x` or of the bracket; `k x`
//! is `x`, or `x` times or by a constant. The product node stands for all of them. Only names are
//! looked at here; the constants are checked when the node is evaluated. A node between that another
//! one reads too is evaluated for that one as well.

use std::collections::HashMap;

use super::activations;
use super::call::Apply;
use super::is_default_domain;
use super::proto::{Graph, Node};

/// A product that is read as an activation.
pub(super) struct Fused<'g> {
    /// Its operands, `""` where one is not given.
    pub inputs: Vec<&'g str>,
    pub apply: Apply,
}

/// Finds the products, by the index of their node. `producers` has the node and output of each name.
pub(super) fn find<'g>(
    graph: &'g Graph<'g>,
    initializers: &HashMap<&str, usize>,
    producers: &HashMap<&str, (usize, usize)>,
) -> HashMap<usize, Fused<'g>> {
    let names = Names { graph, initializers, producers };
    let products = graph.nodes.iter().enumerate().filter_map(|(index, node)| {
        let [a, b] = two(node, "Mul")?;
        let fused = [(a, b), (b, a)]
            .into_iter()
            .find_map(|(value, gate)| names.silu(value, gate).or_else(|| names.gelu(value, gate)));
        Some((index, fused?))
    });
    products.collect()
}

/// The operands of a node of this operator that has two, and no attributes.
fn two<'g>(node: &Node<'g>, op: &str) -> Option<[&'g str; 2]> {
    let plain = node.op == op && is_default_domain(node.domain) && node.attributes.is_empty();
    match *node.inputs.as_slice() {
        [a, b] if plain => Some([a, b]),
        _ => None,
    }
}

struct Names<'a, 'g> {
    graph: &'g Graph<'g>,
    initializers: &'a HashMap<&'a str, usize>,
    producers: &'a HashMap<&'a str, (usize, usize)>,
}

impl<'g> Names<'_, 'g> {
    fn producer(&self, name: &str) -> Option<&'g Node<'g>> {
        match self.producers.get(name) {
            Some(&(node, 0)) => self.graph.nodes.get(node),
            _ => None,
        }
    }

    fn is_constant(&self, name: &str) -> bool {
        self.initializers.contains_key(name)
            || self
                .producer(name)
                .is_some_and(|node| node.op == "Constant" && is_default_domain(node.domain))
    }

    /// The operands of the producer of `name`, if that is this operator.
    fn binary(&self, name: &str, op: &str) -> Option<[&'g str; 2]> {
        two(self.producer(name)?, op)
    }

    /// The operand of the producer of `name`, if that is this operator.
    fn unary(&self, name: &str, op: &str) -> Option<&'g str> {
        let node = self.producer(name)?;
        let plain = node.op == op && is_default_domain(node.domain) && node.attributes.is_empty();
        match *node.inputs.as_slice() {
            [input] if plain => Some(input),
            _ => None,
        }
    }

    /// The value and the constant of the product that `name` is.
    fn product(&self, name: &str) -> Option<(&'g str, &'g str)> {
        let [a, b] = self.binary(name, "Mul")?;
        match (self.is_constant(a), self.is_constant(b)) {
            (false, true) => Some((a, b)),
            (true, false) => Some((b, a)),
            _ => None,
        }
    }

    /// The factor and the divisor that make `name` of `value`, `""` for none.
    fn multiple(&self, name: &str, value: &str) -> Option<[&'g str; 2]> {
        if name == value {
            return Some(["", ""]);
        }
        if let Some((_, factor)) = self.product(name).filter(|(of, _)| *of == value) {
            return Some([factor, ""]);
        }
        let [of, divisor] = self.binary(name, "Div")?;
        (of == value && self.is_constant(divisor)).then_some(["", divisor])
    }

    fn silu(&self, value: &'g str, gate: &str) -> Option<Fused<'g>> {
        let [factor, divisor] = self.multiple(self.unary(gate, "Sigmoid")?, value)?;
        let inputs = vec![value, factor, divisor];
        Some(Fused { inputs, apply: activations::gated_by_sigmoid })
    }

    fn gelu(&self, value: &'g str, gate: &'g str) -> Option<Fused<'g>> {
        let (gate, second) = match self.product(gate) {
            Some((gate, factor)) => (gate, factor),
            None => (gate, ""),
        };
        let [a, b] = self.binary(gate, "Add")?;
        let (erf, one) = if self.is_constant(b) { (a, b) } else { (b, a) };
        if !self.is_constant(one) {
            return None;
        }
        let inner = self.unary(erf, "Erf")?;
        // The value itself, or what is multiplied by a constant to make it.
        let itself = self.multiple(inner, value).map(|k| (value, "", k));
        let (value, first, [factor, divisor]) = itself.or_else(|| {
            let (of, first) = self.product(value)?;
            Some((of, first, self.multiple(inner, of)?))
        })?;
        let inputs = vec![value, factor, divisor, one, first, second];
        Some(Fused { inputs, apply: activations::gated_by_erf })
    }
}
