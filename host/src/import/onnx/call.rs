//! One node with its operands, as the operators' rules see it.

use std::rc::Rc;

use super::proto::{Attribute, Node};
use super::tensor::Tensor;
use crate::import::chain::{Chain, Checked};

/// The most dimensions of a value.
pub(super) const MAX_RANK: usize = 64;

/// An operand or a result.
#[derive(Clone)]
pub(super) enum Value {
    /// Does not depend on the input.
    Constant(Rc<Tensor>),
    /// A value that depends on the input, in this shape; as a result, the chain's current one.
    Signal(Vec<usize>),
}

impl Value {
    pub fn constant(tensor: Tensor) -> Self {
        Value::Constant(Rc::new(tensor))
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            Value::Constant(tensor) => &tensor.shape,
            Value::Signal(shape) => shape,
        }
    }
}

/// How an operator is evaluated.
pub(super) struct Rule {
    /// The attributes that the rule knows; any other is refused.
    pub attributes: &'static [&'static str],
    /// What it does with operands that depend on the input.
    pub takes: Takes,
    pub apply: Apply,
}

/// What a rule takes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Takes {
    /// The shape of its operand.
    Shape,
    /// One value: it is the chain's current one.
    Value,
    /// Any number of them: the first is the current one, the others are operands beside it.
    Values,
}

/// Evaluates a node: a constant, or a change of the chain and the new value's shape.
pub(super) type Apply = fn(&Call<'_>, &mut Chain) -> Checked<Value>;

/// A node, and what its inputs stand for.
pub(super) struct Call<'g> {
    pub node: &'g Node<'g>,
    /// The names of the operands, `""` where one is not given.
    pub inputs: Vec<&'g str>,
    pub opset: i64,
    pub operands: Vec<Option<Value>>,
}

impl Call<'_> {
    /// Operand `i`, if it is given.
    pub fn optional(&self, i: usize) -> Option<&Value> {
        self.operands.get(i).and_then(Option::as_ref)
    }

    /// Operand `i`.
    pub fn operand(&self, i: usize) -> Checked<&Value> {
        self.optional(i).ok_or_else(|| format!("input {i} is missing"))
    }

    /// The shape of operand `i`, which must be the value that depends on the input.
    pub fn signal(&self, i: usize) -> Checked<&[usize]> {
        match self.operand(i)? {
            Value::Signal(shape) => Ok(shape),
            Value::Constant(_) => {
                Err(format!("{} is a constant: this operator is not folded", self.name(i)))
            }
        }
    }

    /// Operand `i`, which must be a constant.
    pub fn constant(&self, i: usize) -> Checked<&Tensor> {
        match self.operand(i)? {
            Value::Constant(tensor) => Ok(tensor),
            Value::Signal(_) => {
                Err(format!("{} depends on the input where a constant is expected", self.name(i)))
            }
        }
    }

    /// Operand `i`, which must be a constant if it is given.
    pub fn optional_constant(&self, i: usize) -> Checked<Option<&Tensor>> {
        if self.optional(i).is_none() { Ok(None) } else { self.constant(i).map(Some) }
    }

    /// Operand `i`: a constant of finite numbers.
    pub fn numbers(&self, i: usize) -> Checked<&Tensor> {
        let tensor = self.constant(i)?;
        tensor.check_finite().map_err(|message| format!("{} {message}", self.name(i)))?;
        Ok(tensor)
    }

    /// Operand `i`: a constant list of integers.
    pub fn integers(&self, i: usize) -> Checked<&[i64]> {
        self.constant(i)?.ints().map_err(|message| format!("{} {message}", self.name(i)))
    }

    /// The name of input `i`, quoted.
    pub fn name(&self, i: usize) -> String {
        self.inputs.get(i).map_or_else(|| format!("input {i}"), |name| quoted(name))
    }

    pub fn int(&self, name: &str, default: i64) -> Checked<i64> {
        match attribute(self.node, name) {
            None => Ok(default),
            // A message of proto3 leaves out a number that is 0.
            Some(a) => match (a.kind, a.int) {
                (0 | 2, Some(value)) => Ok(value),
                (2, None) => Ok(0),
                _ => Err(format!("attribute '{name}' is not an integer")),
            },
        }
    }

    /// An attribute that is 0 or 1.
    pub fn flag(&self, name: &str) -> Checked<bool> {
        match self.int(name, 0)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("attribute '{name}' is {other}; expected 0 or 1")),
        }
    }

    /// A finite number.
    pub fn float(&self, name: &str, default: f32) -> Checked<f32> {
        let value = match attribute(self.node, name) {
            None => default,
            Some(a) => match (a.kind, a.float) {
                (0 | 1, Some(value)) => value,
                (1, None) => 0.0,
                _ => return Err(format!("attribute '{name}' is not a number")),
            },
        };
        if value.is_finite() { Ok(value) } else { Err(format!("attribute '{name}' is {value}")) }
    }

    pub fn ints(&self, name: &str) -> Checked<Option<&[i64]>> {
        match attribute(self.node, name) {
            None => Ok(None),
            Some(a) if matches!(a.kind, 0 | 7) => Ok(Some(&a.ints)),
            Some(_) => Err(format!("attribute '{name}' is not a list of integers")),
        }
    }

    pub fn text(&self, name: &str, default: &'static str) -> Checked<&str> {
        match attribute(self.node, name) {
            None => Ok(default),
            Some(a) => match (a.kind, a.string) {
                (0 | 3, Some(text)) => std::str::from_utf8(text)
                    .map_err(|_| format!("attribute '{name}' is not UTF-8")),
                (3, None) => Ok(""),
                _ => Err(format!("attribute '{name}' is not a string")),
            },
        }
    }
}

fn attribute<'g>(node: &'g Node<'g>, name: &str) -> Option<&'g Attribute<'g>> {
    node.attributes.iter().find(|a| a.name == name)
}

/// Refuses attributes that are not known, or given twice: either could change the meaning.
pub(super) fn check_attributes(node: &Node<'_>, known: &[&str]) -> Checked<()> {
    for (i, attribute) in node.attributes.iter().enumerate() {
        let name = attribute.name;
        if !known.contains(&name) {
            return Err(format!("attribute {} is not supported", quoted(name)));
        }
        if node.attributes.iter().take(i).any(|other| other.name == name) {
            return Err(format!("attribute {} is given twice", quoted(name)));
        }
    }
    Ok(())
}

/// A name from the file in quotes: control characters escaped, cut after 80 characters.
pub(super) fn quoted(name: &str) -> String {
    let cut = if name.chars().nth(80).is_some() { "..." } else { "" };
    let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    format!("'{shown}{cut}'")
}

/// An axis in `-rank..rank` as an index.
pub(super) fn axis(axis: i64, rank: usize) -> Checked<usize> {
    let signed = i64::try_from(rank).map_err(|_| "a rank beyond i64")?;
    let index = if axis < 0 { axis.saturating_add(signed) } else { axis };
    usize::try_from(index)
        .ok()
        .filter(|&index| index < rank)
        .ok_or_else(|| format!("axis {axis} of a tensor of rank {rank}"))
}
