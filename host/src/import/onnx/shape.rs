//! Operators that only move elements, on constants and on the value alike.

use super::call::{Call, MAX_RANK, Value, axis};
use super::tensor::{Tensor, count, strides, unravel, walk};
use crate::import::chain::{Chain, Checked, Pick};

pub(super) fn flatten(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    let shape = call.operand(0)?.shape();
    let at = call.int("axis", 1)?;
    // Unlike elsewhere the rank itself is an axis here.
    let rank = shape.len() as i64;
    let at = usize::try_from(if at < 0 { at.saturating_add(rank) } else { at })
        .ok()
        .filter(|&at| at <= shape.len())
        .ok_or_else(|| format!("axis {at} of shape {shape:?}"))?;
    let (outer, inner) = shape.split_at(at);
    let size = |dims| count(dims).ok_or("a shape beyond memory");
    reshaped(call, vec![size(outer)?, size(inner)?])
}

pub(super) fn reshape(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    let from = call.operand(0)?.shape();
    let wanted = match call.ints("shape")? {
        Some(shape) if call.opset < 5 => shape,
        Some(_) => return Err("attribute 'shape' is not supported".into()),
        None => call.integers(1)?,
    };
    if wanted.len() > MAX_RANK {
        return Err(format!(
            "to a shape of {} dimensions; at most {MAX_RANK} are read",
            wanted.len()
        ));
    }
    let keep_zero = call.flag("allowzero")?;
    let mut shape = Vec::new();
    let mut open = None;
    for (i, &dim) in wanted.iter().enumerate() {
        shape.push(match dim {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if !keep_zero => {
                *from.get(i).ok_or_else(|| format!("dimension {i} of shape {from:?} to copy"))?
            }
            _ => usize::try_from(dim).map_err(|_| format!("to shape {wanted:?}"))?,
        });
    }
    let total = count(from).ok_or("a shape beyond memory")?;
    if let Some(i) = open {
        let rest = count(&shape).filter(|&rest| rest > 0 && total % rest == 0);
        let rest = rest.ok_or_else(|| format!("shape {from:?} to {wanted:?}: not a multiple"))?;
        if let Some(dim) = shape.get_mut(i) {
            *dim = total / rest;
        }
    }
    reshaped(call, shape)
}

pub(super) fn squeeze(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    let shape = call.operand(0)?.shape();
    let mut drop: Vec<bool> = shape.iter().map(|&dim| dim == 1).collect();
    if let Some(axes) = axes(call)? {
        let mut chosen = vec![false; shape.len()];
        for &a in axes {
            let a = axis(a, shape.len())?;
            match (chosen.get_mut(a), drop.get(a)) {
                (Some(chosen), Some(true)) => *chosen = true,
                _ => return Err(format!("axis {a} of shape {shape:?} is not of size 1")),
            }
        }
        drop = chosen;
    }
    let kept = shape.iter().zip(drop).filter(|(_, drop)| !drop).map(|(&dim, _)| dim).collect();
    reshaped(call, kept)
}

pub(super) fn unsqueeze(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    let shape = call.operand(0)?.shape();
    let axes = axes(call)?.ok_or("no axes")?;
    let rank = shape.len() + axes.len();
    let mut added = vec![false; rank];
    for &a in axes {
        match added.get_mut(axis(a, rank)?) {
            Some(added) if !*added => *added = true,
            _ => return Err(format!("axis {a} is given twice")),
        }
    }
    let mut old = shape.iter();
    let new = added
        .iter()
        .filter_map(|&added| if added { Some(1) } else { old.next().copied() })
        .collect();
    reshaped(call, new)
}

/// The axes: an attribute before operator set 13, an input since.
fn axes<'c>(call: &'c Call<'_>) -> Checked<Option<&'c [i64]>> {
    let attribute = call.ints("axes")?;
    match (attribute, call.optional(1)) {
        (Some(axes), None) if call.opset < 13 => Ok(Some(axes)),
        (None, None) => Ok(None),
        (None, Some(_)) if call.opset >= 13 => call.integers(1).map(Some),
        _ => Err(format!("axes not given as operator set {} has them", call.opset)),
    }
}

pub(super) fn transpose(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let operand = call.operand(0)?;
    let shape = operand.shape();
    let reversed: Vec<i64> = (0..shape.len() as i64).rev().collect();
    let order = call.ints("perm")?.unwrap_or(&reversed);
    let misfit = || {
        let shown = order.get(..MAX_RANK).unwrap_or(order);
        format!("permutation {shown:?} of shape {shape:?}")
    };
    let from_strides = strides(shape);
    let (mut out, mut out_strides) = (Vec::new(), Vec::new());
    let mut free = vec![true; shape.len()];
    for &a in order {
        let a = usize::try_from(a).unwrap_or(usize::MAX);
        let unused = free.get_mut(a).is_some_and(std::mem::take);
        match (unused, shape.get(a), from_strides.get(a)) {
            (true, Some(&dim), Some(&stride)) => {
                out.push(dim);
                out_strides.push(stride);
            }
            _ => return Err(misfit()),
        }
    }
    if out.len() != shape.len() {
        return Err(misfit());
    }
    let indices = walk(&out, &out_strides);
    match operand {
        Value::Constant(tensor) => tensor.select(out, &indices).map(Value::constant),
        Value::Signal(_) => {
            let picks: Vec<_> = indices.into_iter().map(|i| Pick::From(0, i)).collect();
            chain.pick(&picks)?;
            Ok(Value::Signal(out))
        }
    }
}

/// Padding with a constant.
pub(super) fn pad(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let shape = call.signal(0)?;
    let mode = call.text("mode", "constant")?;
    if mode != "constant" {
        return Err("a mode other than 'constant': not supported".into());
    }
    if call.optional(3).is_some() {
        return Err("axes: not supported".into());
    }
    let (pads, filler) = match call.opset {
        ..11 => {
            let pads = call.ints("pads")?.or(call.ints("paddings")?).ok_or("no pads")?;
            (pads, f64::from(call.float("value", 0.0)?))
        }
        _ => {
            let filler = if call.optional(2).is_some() { call.numbers(2)?.number(0) } else { 0.0 };
            (call.integers(1)?, filler)
        }
    };
    if !filler.is_finite() || pads.len() != 2 * shape.len() {
        return Err(format!("{} pads with the value {filler} for shape {shape:?}", pads.len()));
    }
    let (before, after) = pads.split_at(shape.len());
    let mut out = Vec::with_capacity(shape.len());
    let mut offsets = Vec::with_capacity(shape.len());
    for ((&dim, &before), &after) in shape.iter().zip(before).zip(after) {
        let sizes = usize::try_from(before).ok().zip(usize::try_from(after).ok());
        let (before, after) =
            sizes.ok_or_else(|| format!("pads {pads:?}: negative ones are not supported"))?;
        out.push(dim.saturating_add(before).saturating_add(after));
        offsets.push(before);
    }
    let most = chain.limits().elements;
    let total = count(&out)
        .filter(|&count| count <= most)
        .ok_or_else(|| format!("to shape {out:?}; at most {most} elements are read"))?;
    let from_strides = strides(shape);
    let source = |i: usize| {
        let mut source = 0;
        for (((at, &before), &dim), &stride) in
            unravel(i, &out).into_iter().zip(&offsets).zip(shape).zip(&from_strides)
        {
            source += at.checked_sub(before).filter(|&at| at < dim)? * stride;
        }
        Some(source)
    };
    let picks: Vec<Pick> = (0..total)
        .map(|i| source(i).map_or(Pick::Constant(filler), |i| Pick::From(0, i)))
        .collect();
    chain.pick(&picks)?;
    Ok(Value::Signal(out))
}

/// Operand 0 in another shape of as many elements.
fn reshaped(call: &Call<'_>, shape: Vec<usize>) -> Checked<Value> {
    let operand = call.operand(0)?;
    if count(&shape) != count(operand.shape()) {
        return Err(format!(
            "shape {:?} to {shape:?}: the number of elements differs",
            operand.shape()
        ));
    }
    Ok(match operand {
        Value::Constant(tensor) => Value::constant(Tensor { shape, data: tensor.data.clone() }),
        Value::Signal(_) => Value::Signal(shape),
    })
}
