//! The order in which a graph's nodes are evaluated.

use std::collections::HashMap;

use super::call::quoted;
use super::patterns::{self, Fused};
use super::proto::{Graph, Node, ValueInfo};

/// A place in the graph, as errors name it.
pub(super) type Place = String;

/// What is evaluated, and from what to what.
pub(super) struct Plan<'g> {
    pub input: &'g ValueInfo<'g>,
    pub output: &'g ValueInfo<'g>,
    /// The nodes that the output depends on, each after those that it depends on.
    pub order: Vec<usize>,
    /// Index of each initializer by name.
    pub initializers: HashMap<&'g str, usize>,
    /// Nodes that stand for several.
    pub fused: HashMap<usize, Fused<'g>>,
}

impl<'g> Plan<'g> {
    /// The operands of node `index`.
    pub fn inputs<'p>(&'p self, index: usize, node: &'p Node<'g>) -> &'p [&'g str] {
        self.fused.get(&index).map_or(&node.inputs, |fused| &fused.inputs)
    }
}

/// `node 'name' (Op)`, or the node's number if it has no name.
pub(super) fn node_place(index: usize, node: &Node<'_>) -> Place {
    let op = quoted(node.op);
    let op = op.trim_matches('\'');
    if node.name.is_empty() {
        format!("node {index} ({op})")
    } else {
        format!("node {} ({op})", quoted(node.name))
    }
}

/// Checks the graph's names and orders its nodes.
///
/// Errors: not one input or not one output, a name defined twice or not at all, a cycle.
pub(super) fn plan<'g>(graph: &'g Graph<'g>) -> Result<Plan<'g>, (Place, String)> {
    let mut initializers = HashMap::new();
    for (i, tensor) in graph.initializers.iter().enumerate() {
        if initializers.insert(tensor.name, i).is_some() {
            return Err((format!("initializer {}", quoted(tensor.name)), "defined twice".into()));
        }
    }
    let input = single(
        graph.inputs.iter().filter(|input| !initializers.contains_key(input.name)),
        "input",
    )?;
    let output = single(graph.outputs.iter(), "output")?;

    let mut producers: HashMap<&str, (usize, usize)> = HashMap::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        for (o, &name) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let taken = name == input.name || initializers.contains_key(name);
            if taken || producers.insert(name, (n, o)).is_some() {
                return Err((
                    node_place(n, node),
                    format!("its output {} is defined twice", quoted(name)),
                ));
            }
        }
    }
    let fused = patterns::find(graph, &initializers, &producers);
    let finder = Finder { input, initializers: &initializers, producers: &producers };
    let mut plan = Plan { input, output, order: Vec::new(), initializers: HashMap::new(), fused };
    plan.order = order(graph, &finder, &plan)?;
    plan.initializers = initializers;
    Ok(plan)
}

/// The only item, or an error that names what there is.
fn single<'g>(
    mut items: impl Iterator<Item = &'g ValueInfo<'g>>,
    what: &str,
) -> Result<&'g ValueInfo<'g>, (Place, String)> {
    let place = || "graph".to_owned();
    let Some(first) = items.next() else {
        return Err((place(), format!("no {what}; expected one")));
    };
    if let Some(second) = items.next() {
        let count = 2 + items.count();
        let names = format!("{}, {}", quoted(first.name), quoted(second.name));
        return Err((
            place(),
            format!(
                "{count} {what}s ({names}{}); expected one",
                if count > 2 { ", ..." } else { "" }
            ),
        ));
    }
    if first.name.is_empty() {
        return Err((place(), format!("an {what} without a name")));
    }
    Ok(first)
}

/// Where a name comes from.
struct Finder<'a, 'g> {
    input: &'g ValueInfo<'g>,
    initializers: &'a HashMap<&'g str, usize>,
    producers: &'a HashMap<&'g str, (usize, usize)>,
}

impl Finder<'_, '_> {
    /// The node that computes `name`; `None` if it is given.
    fn producer(&self, name: &str) -> Result<Option<usize>, String> {
        if name == self.input.name || self.initializers.contains_key(name) {
            return Ok(None);
        }
        match self.producers.get(name) {
            Some(&(node, 0)) => Ok(Some(node)),
            Some(&(_, output)) => Err(format!(
                "{} is output {output} of its node; only output 0 is supported",
                quoted(name)
            )),
            None => Err(format!("{} is not defined", quoted(name))),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

/// Depth-first from the output, without recursion.
fn order<'g>(
    graph: &'g Graph<'g>,
    finder: &Finder<'_, 'g>,
    plan: &Plan<'g>,
) -> Result<Vec<usize>, (Place, String)> {
    let output = plan.output;
    let mut order = Vec::new();
    let mut marks = vec![Mark::New; graph.nodes.len()];
    let place = || format!("output {}", quoted(output.name));
    let Some(last) = finder.producer(output.name).map_err(|message| (place(), message))? else {
        return Ok(order);
    };
    // Each node with the number of its inputs that have been looked at.
    let mut stack = vec![(last, 0)];
    while let Some(top) = stack.last_mut() {
        let (index, next) = *top;
        let (Some(node), Some(mark)) = (graph.nodes.get(index), marks.get_mut(index)) else {
            break;
        };
        *mark = Mark::Open;
        let Some(&name) = plan.inputs(index, node).get(next) else {
            *mark = Mark::Done;
            order.push(index);
            stack.pop();
            continue;
        };
        top.1 += 1;
        if name.is_empty() {
            continue;
        }
        let producer =
            finder.producer(name).map_err(|message| (node_place(index, node), message))?;
        match producer.map(|p| (p, marks.get(p).copied())) {
            Some((p, Some(Mark::New))) => stack.push((p, 0)),
            Some((_, Some(Mark::Open))) => {
                return Err((
                    node_place(index, node),
                    format!("depends on itself through {}", quoted(name)),
                ));
            }
            _ => {}
        }
    }
    Ok(order)
}
