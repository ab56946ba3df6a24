//! Arithmetic with constants, element by element: kept in f64 until it reaches a layer.

use super::call::{Call, Value};
use super::tensor::{Data, Tensor, count, strides, unravel, walk};
use crate::import::chain::{Chain, Checked};
use crate::import::exact::Approx;

pub(super) fn add(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    binary(call, chain, Operation::Add)
}

pub(super) fn sub(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    binary(call, chain, Operation::Sub)
}

pub(super) fn mul(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    binary(call, chain, Operation::Mul)
}

pub(super) fn div(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    binary(call, chain, Operation::Div)
}

pub(super) fn neg(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    chain.scale_and_shift(|_| (Approx::exact(-1.0), Approx::ZERO))?;
    Ok(Value::Signal(shape.to_vec()))
}

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Add,
    Sub,
    Mul,
    Div,
}

fn binary(call: &Call<'_>, chain: &mut Chain, operation: Operation) -> Checked<Value> {
    match (call.operand(0)?, call.operand(1)?) {
        (Value::Signal(shape), Value::Constant(_)) => {
            let constant = call.numbers(1)?;
            let (out, index) = broadcast(shape, constant)?;
            let zero = (0..constant.len()).find(|&i| constant.number(i) == 0.0);
            if let Some(i) = zero.filter(|_| operation == Operation::Div) {
                return Err(format!(
                    "{} is 0 at {:?}: a division by it",
                    call.name(1),
                    unravel(i, &constant.shape)
                ));
            }
            let number =
                |i: usize| index.get(i).map_or(Approx::exact(f64::NAN), |&at| constant.exact(at));
            chain.scale_and_shift(|i| match operation {
                Operation::Add => (Approx::ONE, number(i)),
                Operation::Sub => (Approx::ONE, number(i).neg()),
                Operation::Mul => (number(i), Approx::ZERO),
                Operation::Div => (Approx::ONE.div(number(i)), Approx::ZERO),
            })?;
            Ok(Value::Signal(out))
        }
        (Value::Constant(_), Value::Signal(shape)) => {
            let constant = call.numbers(0)?;
            let (out, index) = broadcast(shape, constant)?;
            let number =
                |i: usize| index.get(i).map_or(Approx::exact(f64::NAN), |&at| constant.exact(at));
            match operation {
                Operation::Add => chain.scale_and_shift(|i| (Approx::ONE, number(i)))?,
                Operation::Sub => chain.scale_and_shift(|i| (Approx::exact(-1.0), number(i)))?,
                Operation::Mul => chain.scale_and_shift(|i| (number(i), Approx::ZERO))?,
                Operation::Div => {
                    return Err(
                        "a division by a value that depends on the input: not supported".into()
                    );
                }
            }
            Ok(Value::Signal(out))
        }
        (Value::Constant(a), Value::Constant(b)) => fold(a, b, operation, chain.limits().elements),
        (Value::Signal(_), Value::Signal(_)) => {
            Err("joins two values that depend on the input".into())
        }
    }
}

/// The shape that `constant` gives a value of shape `shape`, and its element for each of the value's.
fn broadcast(shape: &[usize], constant: &Tensor) -> Checked<(Vec<usize>, Vec<usize>)> {
    let out = broadcast_shape(shape, &constant.shape)?;
    if count(&out) != count(shape) {
        return Err(format!(
            "shapes {shape:?} and {:?} give {out:?}: the value would be repeated, which is not supported",
            constant.shape
        ));
    }
    let index = walk(&out, &broadcast_strides(&constant.shape, out.len()));
    Ok((out, index))
}

/// Shapes are aligned at their ends; a size of 1 stretches.
pub(super) fn broadcast_shape(a: &[usize], b: &[usize]) -> Checked<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).and_then(|i| shape.get(i).copied()).unwrap_or(1)
    };
    (0..rank)
        .map(|axis| match (dim(a, axis), dim(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, x) | (x, 1) => Ok(x),
            _ => Err(format!("shapes {a:?} and {b:?} do not fit")),
        })
        .collect()
}

pub(super) fn broadcast_strides(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut padded = vec![0; rank.saturating_sub(shape.len())];
    padded.extend(
        strides(shape).iter().zip(shape).map(|(&stride, &dim)| if dim == 1 { 0 } else { stride }),
    );
    padded
}

/// Arithmetic on two constants, where it is exact.
fn fold(a: &Tensor, b: &Tensor, operation: Operation, most: usize) -> Checked<Value> {
    let shape = broadcast_shape(&a.shape, &b.shape)?;
    if count(&shape).is_none_or(|count| count > most) {
        return Err(format!("a constant of shape {shape:?}; at most {most} elements are computed"));
    }
    let pairs = walk(&shape, &broadcast_strides(&a.shape, shape.len()))
        .into_iter()
        .zip(walk(&shape, &broadcast_strides(&b.shape, shape.len())));
    let data = match (&a.data, &b.data) {
        (Data::Int(a), Data::Int(b)) => Data::Int(
            pairs
                .map(|(i, j)| {
                    let (&a, &b) = (a.get(i)?, b.get(j)?);
                    match operation {
                        Operation::Add => a.checked_add(b),
                        Operation::Sub => a.checked_sub(b),
                        Operation::Mul => a.checked_mul(b),
                        Operation::Div => a.checked_div(b),
                    }
                })
                .collect::<Option<_>>()
                .ok_or("integer overflow or a division by 0")?,
        ),
        (Data::Int(_), _) | (_, Data::Int(_)) => return Err("integers and floats mixed".into()),
        _ => Data::F64(
            pairs
                .map(|(i, j)| {
                    let (a, b) = (a.exact(i), b.exact(j));
                    let result = match operation {
                        Operation::Add => a.add(b),
                        Operation::Sub => a.add(b.neg()),
                        Operation::Mul => a.mul(b),
                        Operation::Div => a.div(b),
                    };
                    (result.error == 0.0 && result.value.is_finite()).then_some(result.value)
                })
                .collect::<Option<_>>()
                .ok_or("arithmetic on two constants that is not exact; fold the constants before the export")?,
        ),
    };
    Ok(Value::constant(Tensor { shape, data }))
}

/// `y = scale (x - mean) / sqrt(var + epsilon) + bias`, each per channel (axis 1).
pub(super) fn batch_normalization(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    if call.flag("training_mode")? || (call.opset < 7 && !call.flag("is_test")?) {
        return Err(
            "in training mode it depends on the batch; export the network for inference".into()
        );
    }
    if call.int("spatial", 1)? != 1 {
        return Err("attribute 'spatial' is 0: not supported".into());
    }
    let &[_, channels, ref spatial @ ..] = shape else {
        return Err(format!("a value of shape {shape:?}; expected a batch and channels"));
    };
    let inner = count(spatial).ok_or("a shape beyond memory")?;
    let (scale, bias, mean, variance) =
        (call.numbers(1)?, call.numbers(2)?, call.numbers(3)?, call.numbers(4)?);
    for (i, tensor) in (1..).zip([scale, bias, mean, variance]) {
        if tensor.shape != [channels] {
            return Err(format!(
                "{} has shape {:?} for {channels} channels",
                call.name(i),
                tensor.shape
            ));
        }
    }
    let epsilon = Approx::exact(f64::from(call.float("epsilon", 1e-5)?));
    let mut factors = Vec::with_capacity(channels);
    for c in 0..channels {
        let deviation = variance.exact(c).add(epsilon).sqrt();
        if !deviation.error.is_finite() {
            return Err(format!(
                "the variance of channel {c} is {}; expected a positive one",
                variance.number(c)
            ));
        }
        let factor = scale.exact(c).div(deviation);
        factors.push((factor, bias.exact(c).add(factor.mul(mean.exact(c)).neg())));
    }
    chain.scale_and_shift(|i| {
        let nothing = (Approx::exact(f64::NAN), Approx::ZERO);
        factors.get(i / inner.max(1) % channels.max(1)).copied().unwrap_or(nothing)
    })?;
    Ok(Value::Signal(shape.to_vec()))
}
