//! ONNX models.
//!
//! The graph is walked once, from the input to the output, and every node either computes a
//! constant or makes a value that depends on the input of those before. Such values may be used
//! more than once, and added, subtracted and concatenated; any other joining of two, and an
//! operator, attribute or element type that is not known here, is refused by name.
//!
//! A leading dimension that is symbolic counts as 1, the batch of one input that a claim is about;
//! every other dimension is part of the input, which is the flattened tensor. Element types of
//! values are not looked at beyond the input's: in real arithmetic they mean nothing.

mod activations;
mod call;
mod constant;
mod conv;
mod elementwise;
mod graph;
mod join;
mod linear;
mod max_pool;
mod ops;
mod patterns;
mod pool;
mod proto;
mod shape;
mod tensor;

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::chain::{Chain, Checked};
use super::limits::Limits;
use crate::error::{Error, Result};
use crate::network::Network;
use call::{Call, MAX_RANK, Rule, Takes, Value, quoted};
use graph::{Place, Plan};
use proto::{Dim, Graph, ValueInfo};
use tensor::{Data, Tensor, count};

/// The newest operator set whose definitions these rules were written against.
const NEWEST_OPSET: i64 = 26;

/// Reads an ONNX model; `file` is only named in errors.
///
/// Errors: [`Error::Input`] for anything that is not a feed-forward network of the supported
/// operators (README) within [`Limits::default`].
pub fn onnx(bytes: &[u8], file: &Path) -> Result<Network> {
    onnx_within(bytes, file, Limits::default())
}

/// [`onnx`] with other limits.
pub fn onnx_within(bytes: &[u8], file: &Path, limits: Limits) -> Result<Network> {
    let model = proto::model(bytes).map_err(|malformed| {
        Error::input(
            file,
            format!("byte {}", malformed.offset),
            format!("{}; expected an ONNX model", malformed.what),
        )
    })?;
    let refuse = |place: &str, message: String| Error::input(file, place, message);
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| refuse("model", "no graph; expected an ONNX model".into()))?;
    let opset = opset(&model).map_err(|message| refuse("model", message))?;
    let plan = graph::plan(graph).map_err(|(place, message)| refuse(&place, message))?;
    let shape = input_shape(plan.input)
        .map_err(|message| refuse(&format!("input {}", quoted(plan.input.name)), message))?;
    let mut walk = Walk::new(graph, &plan, shape, opset, limits)
        .map_err(|message| refuse(&format!("input {}", quoted(plan.input.name)), message))?;
    for &node in &plan.order {
        walk.step(node).map_err(|(place, message)| refuse(&place, message))?;
    }
    walk.finish(plan.output)
        .map_err(|message| refuse(&format!("output {}", quoted(plan.output.name)), message))
}

/// The version of the default operator set.
fn opset(model: &proto::Model<'_>) -> Checked<i64> {
    if let Some((_, name)) = model.functions.iter().find(|(domain, _)| is_default_domain(domain)) {
        return Err(format!(
            "the model brings its own definition of {}: not supported",
            quoted(name)
        ));
    }
    let mut versions =
        model.opsets.iter().filter(|(domain, _)| is_default_domain(domain)).map(|&(_, v)| v);
    match (versions.next(), versions.next()) {
        (Some(version), None) if (1..=NEWEST_OPSET).contains(&version) => Ok(version),
        (Some(version), None) => {
            Err(format!("operator set {version}; versions 1 to {NEWEST_OPSET} are known here"))
        }
        (None, _) => Err("no version of the operator set is stated".into()),
        (Some(_), Some(_)) => Err("two versions of the operator set are stated".into()),
    }
}

fn is_default_domain(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// The declared shape of the input, with 1 for a symbolic batch.
fn input_shape(input: &ValueInfo<'_>) -> Checked<Vec<usize>> {
    // FLOAT, FLOAT16, DOUBLE, BFLOAT16.
    if !matches!(input.element_type, 1 | 10 | 11 | 16) {
        return Err(format!(
            "elements of type {}; expected floats",
            tensor::type_name(input.element_type)
        ));
    }
    let dims = input.dims.as_deref().ok_or("no declared shape")?;
    let mut shape = Vec::with_capacity(dims.len());
    for (axis, dim) in dims.iter().enumerate() {
        shape.push(match *dim {
            Dim::Size(size) => usize::try_from(size)
                .ok()
                .filter(|&size| size > 0)
                .ok_or_else(|| format!("dimension {axis} is {size}; expected at least 1"))?,
            Dim::Symbol(_) | Dim::Unknown if axis == 0 && dims.len() > 1 => 1,
            Dim::Symbol(name) => {
                return Err(format!(
                    "dimension {axis} is the symbol {}; only the batch may be one",
                    quoted(name)
                ));
            }
            Dim::Unknown => {
                return Err(format!("dimension {axis} is not stated; only the batch may be open"));
            }
        });
    }
    Ok(shape)
}

/// What a name stands for during the walk.
enum Slot {
    Constant(Rc<Tensor>),
    /// A value that depends on the input.
    Signal {
        shape: Vec<usize>,
        /// Its number among those that wait in the chain.
        number: usize,
        /// How often it is still needed.
        uses: usize,
    },
}

struct Walk<'g> {
    graph: &'g Graph<'g>,
    plan: &'g Plan<'g>,
    opset: i64,
    slots: HashMap<&'g str, Slot>,
    /// How often each value is taken.
    uses: HashMap<&'g str, usize>,
    chain: Chain,
    constants: usize,
}

impl<'g> Walk<'g> {
    fn new(
        graph: &'g Graph<'g>,
        plan: &'g Plan<'g>,
        shape: Vec<usize>,
        opset: i64,
        limits: Limits,
    ) -> Checked<Self> {
        let inputs = count(&shape).ok_or_else(|| format!("shape {shape:?} is too large"))?;
        let chain = Chain::new(inputs, limits)?;
        let mut walk = Walk {
            graph,
            plan,
            opset,
            slots: HashMap::new(),
            uses: uses(graph, plan),
            chain,
            constants: 0,
        };
        walk.keep(plan.input.name, shape)?;
        Ok(walk)
    }

    /// Keeps the chain's current value as `name`, if anything needs it.
    fn keep(&mut self, name: &'g str, shape: Vec<usize>) -> Checked<()> {
        let uses = self.uses.get(name).copied().unwrap_or(0);
        if uses > 0 {
            let number = self.chain.store()?;
            self.slots.insert(name, Slot::Signal { shape, number, uses });
        }
        Ok(())
    }

    /// Evaluates one node.
    fn step(&mut self, index: usize) -> std::result::Result<(), (Place, String)> {
        let Some(node) = self.graph.nodes.get(index) else { return Ok(()) };
        let place = |message| (graph::node_place(index, node), message);
        let value = self.evaluate(index).map_err(place)?;
        if let Some(&name) = node.outputs.first() {
            match value {
                Value::Constant(tensor) => {
                    self.slots.insert(name, Slot::Constant(tensor));
                }
                Value::Signal(shape) => self.keep(name, shape).map_err(place)?,
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, index: usize) -> Checked<Value> {
        let node = self.graph.nodes.get(index).ok_or("no such node")?;
        if !is_default_domain(node.domain) {
            return Err(format!(
                "operators of the domain {} are not supported",
                quoted(node.domain)
            ));
        }
        let rule = match self.plan.fused.get(&index) {
            Some(fused) => Rule { attributes: &[], takes: Takes::Value, apply: fused.apply },
            None => ops::rule(node.op)?,
        };
        call::check_attributes(node, rule.attributes)?;
        let inputs = self.plan.inputs(index, node).to_vec();
        let mut operands = Vec::with_capacity(inputs.len());
        for &name in &inputs {
            operands.push(if name.is_empty() { None } else { Some(self.operand(name)?) });
        }
        if rule.takes != Takes::Shape {
            self.load(&inputs, rule.takes)?;
        }
        let call = Call { node, inputs, opset: self.opset, operands };
        let value = (rule.apply)(&call, &mut self.chain)?;
        if value.shape().len() > MAX_RANK {
            return Err(format!("{} dimensions; at most {MAX_RANK} are read", value.shape().len()));
        }
        match &value {
            Value::Constant(tensor) => self.charge_constants(tensor)?,
            Value::Signal(shape) => {
                if count(shape) != Some(self.chain.len()) {
                    return Err(format!("gives shape {shape:?} for {} elements", self.chain.len()));
                }
            }
        }
        Ok(value)
    }

    /// Loads the operands that depend on the input into the chain.
    fn load(&mut self, inputs: &[&'g str], takes: Takes) -> Checked<()> {
        let mut first = None;
        for &name in inputs {
            let Some(Slot::Signal { number, uses, .. }) = self.slots.get_mut(name) else {
                continue;
            };
            *uses = uses.saturating_sub(1);
            let (number, last) = (*number, *uses == 0);
            match first {
                None => self.chain.load(number, last)?,
                Some(_) if takes == Takes::Values => self.chain.load_operand(number, last)?,
                Some(first) => {
                    return Err(format!(
                        "joins two values that depend on the input, {} and {}; only Add, Sub and \
                         Concat may",
                        quoted(first),
                        quoted(name)
                    ));
                }
            }
            first = first.or(Some(name));
        }
        Ok(())
    }

    /// The value of `name`.
    fn operand(&mut self, name: &'g str) -> Checked<Value> {
        match self.slots.get(name) {
            Some(Slot::Constant(tensor)) => return Ok(Value::Constant(Rc::clone(tensor))),
            Some(Slot::Signal { shape, .. }) => return Ok(Value::Signal(shape.clone())),
            None => {}
        }
        let proto = self
            .plan
            .initializers
            .get(name)
            .and_then(|&i| self.graph.initializers.get(i))
            .ok_or_else(|| format!("{} is used before it is computed", quoted(name)))?;
        let left = self.chain.limits().constants.saturating_sub(self.constants);
        let tensor = Tensor::decode(proto, left)
            .map_err(|message| format!("initializer {}: {message}", quoted(name)))?;
        self.charge_constants(&tensor)?;
        let tensor = Rc::new(tensor);
        self.slots.insert(name, Slot::Constant(Rc::clone(&tensor)));
        Ok(Value::Constant(tensor))
    }

    fn charge_constants(&mut self, tensor: &Tensor) -> Checked<()> {
        let Limits { constants, elements, .. } = *self.chain.limits();
        if matches!(tensor.data, Data::Int(_)) && tensor.len() > elements {
            return Err(format!("{} integers; at most {elements} are read", tensor.len()));
        }
        self.constants = self.constants.saturating_add(tensor.len());
        if self.constants > constants {
            return Err(format!("more than {constants} elements in all constants together"));
        }
        Ok(())
    }

    fn finish(mut self, output: &ValueInfo<'_>) -> Checked<Network> {
        let Some(Slot::Signal { shape, number, .. }) = self.slots.get(output.name) else {
            return Err("does not depend on the input".into());
        };
        self.chain.load(*number, true)?;
        let size = |dim: &Dim<'_>| match dim {
            Dim::Size(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        let declared: Option<Vec<usize>> =
            output.dims.as_ref().and_then(|dims| dims.iter().map(size).collect());
        if let Some(declared) = declared.filter(|declared| count(declared) != count(shape)) {
            return Err(format!("declared with shape {declared:?}, computed with shape {shape:?}"));
        }
        self.chain.finish()
    }
}

/// How often each value is taken by the nodes that are evaluated, and as the output.
fn uses<'g>(graph: &'g Graph<'g>, plan: &Plan<'g>) -> HashMap<&'g str, usize> {
    let mut uses = HashMap::from([(plan.output.name, 1)]);
    for &index in &plan.order {
        let Some(node) = graph.nodes.get(index) else { continue };
        let fused = plan.fused.contains_key(&index);
        if !fused && ops::rule(node.op).is_ok_and(|rule| rule.takes == Takes::Shape) {
            continue;
        }
        for &name in plan.inputs(index, node) {
            *uses.entry(name).or_insert(0) += 1;
        }
    }
    uses
}
