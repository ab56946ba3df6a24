//! Operators that join values which depend on the input: sums and concatenations.

use super::call::{Call, Value, axis};
use super::elementwise::{broadcast_shape, broadcast_strides};
use super::tensor::{count, strides, walk};
use super::{constant, elementwise};
use crate::import::chain::{Chain, Checked, Pick};

pub(super) fn add(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    if joins(call) { sum(call, chain, 1.0) } else { elementwise::add(call, chain) }
}

pub(super) fn sub(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    if joins(call) { sum(call, chain, -1.0) } else { elementwise::sub(call, chain) }
}

/// Do both operands depend on the input?
fn joins(call: &Call<'_>) -> bool {
    let signal = |i| matches!(call.optional(i), Some(Value::Signal(_)));
    signal(0) && signal(1)
}

fn sum(call: &Call<'_>, chain: &mut Chain, sign: f64) -> Checked<Value> {
    let (a, b) = (call.signal(0)?, call.signal(1)?);
    let out = broadcast_shape(a, b)?;
    let most = chain.limits().elements;
    if count(&out).is_none_or(|count| count > most) {
        return Err(format!("shape {out:?}; at most {most} elements are read"));
    }
    let left = walk(&out, &broadcast_strides(a, out.len()));
    let right = walk(&out, &broadcast_strides(b, out.len()));
    chain.add(sign, &left, &right)?;
    Ok(Value::Signal(out))
}

pub(super) fn concat(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    if !call.operands.iter().flatten().any(|o| matches!(o, Value::Signal(_))) {
        return constant::concat(call, chain);
    }
    if call.opset >= 4 && call.node.attributes.is_empty() {
        return Err("no axis".into());
    }
    let first = call.operand(0)?.shape();
    let at = axis(call.int("axis", 1)?, first.len())?;
    let mut out = first.to_vec();
    let mut along = 0usize;
    for i in 0..call.operands.len() {
        let part = call.operand(i)?.shape();
        let fits = part.len() == out.len()
            && part.iter().zip(&out).enumerate().all(|(a, (x, y))| a == at || x == y);
        if !fits {
            return Err(format!("shapes {first:?} and {part:?} do not fit"));
        }
        if let Value::Constant(_) = call.operand(i)? {
            call.numbers(i)?;
        }
        along = along.saturating_add(part.get(at).copied().unwrap_or(0));
    }
    if let Some(dim) = out.get_mut(at) {
        *dim = along;
    }
    let most = chain.limits().elements;
    let total = count(&out)
        .filter(|&count| count <= most)
        .ok_or_else(|| format!("shape {out:?}; at most {most} elements are read"))?;
    let outer = count(out.get(..at).unwrap_or_default()).unwrap_or(0);
    let mut picks = Vec::with_capacity(total);
    for o in 0..outer {
        let mut part = 0;
        for operand in call.operands.iter().flatten() {
            let block = strides(operand.shape()).get(at).copied().unwrap_or(1);
            let block = block * operand.shape().get(at).copied().unwrap_or(0);
            let elements = o * block..(o + 1) * block;
            match operand {
                Value::Constant(tensor) => {
                    picks.extend(elements.map(|i| Pick::Constant(tensor.number(i))));
                }
                Value::Signal(_) => {
                    picks.extend(elements.map(|i| Pick::From(part, i)));
                    part += 1;
                }
            }
        }
    }
    chain.pick(&picks)?;
    Ok(Value::Signal(out))
}
