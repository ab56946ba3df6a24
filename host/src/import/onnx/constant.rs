//! Operators that give constants, and those that are only folded.

use super::call::{Call, Value, axis};
use super::tensor::{Data, Tensor, count, strides, type_name, walk};
use crate::import::chain::{Chain, Checked};

pub(super) fn constant(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let [attribute] = call.node.attributes.as_slice() else {
        return Err("expected one attribute with the value".into());
    };
    let tensor = match (attribute.name, &attribute.tensor) {
        ("value", Some(tensor)) => Tensor::decode(tensor, chain.limits().constants)?,
        ("value", None) => return Err("attribute 'value' is not a tensor".into()),
        ("value_float", _) => {
            Tensor { shape: vec![], data: Data::F32(vec![call.float("value_float", 0.0)?]) }
        }
        ("value_int", _) => {
            Tensor { shape: vec![], data: Data::Int(vec![call.int("value_int", 0)?]) }
        }
        ("value_floats", _) => Tensor {
            shape: vec![attribute.floats.len()],
            data: Data::F32(attribute.floats.clone()),
        },
        _ => Tensor { shape: vec![attribute.ints.len()], data: Data::Int(attribute.ints.clone()) },
    };
    Ok(Value::constant(tensor))
}

pub(super) fn constant_of_shape(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let wanted = call.integers(0)?;
    let shape: Vec<usize> = wanted
        .iter()
        .map(|&dim| usize::try_from(dim))
        .collect::<Result<_, _>>()
        .map_err(|_| format!("shape {wanted:?}"))?;
    let most = chain.limits().elements;
    let count = count(&shape)
        .filter(|&count| count <= most)
        .ok_or_else(|| format!("shape {shape:?}; at most {most} elements are computed"))?;
    let value = match call.node.attributes.first().map(|a| &a.tensor) {
        None => Data::F32(vec![0.0]),
        Some(Some(tensor)) => Tensor::decode(tensor, 1)?.data,
        Some(None) => return Err("attribute 'value' is not a tensor".into()),
    };
    let data = match value {
        Data::F32(v) => v.first().map(|&x| Data::F32(vec![x; count])),
        Data::F64(v) => v.first().map(|&x| Data::F64(vec![x; count])),
        Data::Int(v) => v.first().map(|&x| Data::Int(vec![x; count])),
    };
    Ok(Value::constant(Tensor { shape, data: data.ok_or("attribute 'value' is empty")? }))
}

/// The shape of the operand; the batch of an input counts as 1.
pub(super) fn shape(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    let shape = call.operand(0)?.shape();
    let rank = shape.len() as i64;
    let clamp =
        |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
    let (start, end) = (clamp(call.int("start", 0)?), clamp(call.int("end", rank)?));
    let dims: Vec<i64> = shape
        .get(start..end.max(start))
        .unwrap_or_default()
        .iter()
        .map(|&dim| i64::try_from(dim))
        .collect::<Result<_, _>>()
        .map_err(|_| "a dimension beyond i64")?;
    Ok(Value::constant(Tensor { shape: vec![dims.len()], data: Data::Int(dims) }))
}

pub(super) fn concat(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let first = call.constant(0)?;
    if call.opset >= 4 && call.node.attributes.is_empty() {
        return Err("no axis".into());
    }
    let at = axis(call.int("axis", 1)?, first.shape.len())?;
    let (outer, _) = first.shape.split_at(at);
    let outer = count(outer).ok_or("a shape beyond memory")?;
    let mut parts = Vec::new();
    let mut shape = first.shape.clone();
    let mut along = 0usize;
    for i in 0..call.operands.len() {
        let part = call.constant(i)?;
        let fits = part.shape.len() == shape.len()
            && part.shape.iter().zip(&shape).enumerate().all(|(a, (x, y))| a == at || x == y);
        if !fits {
            return Err(format!("shapes {:?} and {:?} do not fit", first.shape, part.shape));
        }
        along = along.saturating_add(part.shape.get(at).copied().unwrap_or(0));
        parts.push(part);
    }
    if let Some(dim) = shape.get_mut(at) {
        *dim = along;
    }
    let most = chain.limits().constants;
    let total = count(&shape)
        .filter(|&count| count <= most)
        .ok_or_else(|| format!("shape {shape:?}; at most {most} elements are computed"))?;

    /// Interleaves the parts: `outer` times a block of each.
    fn join<T: Copy>(parts: &[&[T]], outer: usize, total: usize) -> Vec<T> {
        let mut joined = Vec::with_capacity(total);
        for o in 0..outer {
            for part in parts {
                let block = part.len() / outer.max(1);
                joined.extend_from_slice(part.get(o * block..(o + 1) * block).unwrap_or_default());
            }
        }
        joined
    }
    fn all<'t, T>(
        parts: &[&'t Tensor],
        view: impl Fn(&'t Data) -> Option<&'t [T]>,
    ) -> Checked<Vec<&'t [T]>> {
        parts
            .iter()
            .map(|part| view(&part.data))
            .collect::<Option<_>>()
            .ok_or_else(|| "element types that differ".into())
    }
    // A product with 0 loops over nothing.
    let outer = if total == 0 { 0 } else { outer };
    let data = match &first.data {
        Data::F32(_) => Data::F32(join(
            &all(&parts, |d| if let Data::F32(v) = d { Some(v) } else { None })?,
            outer,
            total,
        )),
        Data::F64(_) => Data::F64(join(
            &all(&parts, |d| if let Data::F64(v) = d { Some(v) } else { None })?,
            outer,
            total,
        )),
        Data::Int(_) => Data::Int(join(
            &all(&parts, |d| if let Data::Int(v) = d { Some(v) } else { None })?,
            outer,
            total,
        )),
    };
    Ok(Value::constant(Tensor { shape, data }))
}

pub(super) fn slice(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    let tensor = call.constant(0)?;
    if tensor.len() == 0 {
        return Err("an empty constant".into());
    }
    let rank = tensor.shape.len();
    let all: Vec<i64> = (0..rank as i64).collect();
    let list = |attribute, input: usize| match call.opset {
        ..10 => call.ints(attribute),
        _ => call.optional(input).map(|_| call.integers(input)).transpose(),
    };
    let starts = list("starts", 1)?.ok_or("no starts")?;
    let ends = list("ends", 2)?.ok_or("no ends")?;
    let axes = list("axes", 3)?.unwrap_or(all.get(..starts.len()).ok_or("more starts than axes")?);
    let ones = vec![1; starts.len()];
    let steps = if call.optional(4).is_some() { call.integers(4)? } else { &ones };
    if [ends.len(), axes.len(), steps.len()].iter().any(|&n| n != starts.len()) {
        return Err("starts, ends, axes and steps of different lengths".into());
    }
    let mut picked: Vec<Vec<usize>> = tensor.shape.iter().map(|&dim| (0..dim).collect()).collect();
    for (((&start, &end), &a), &step) in starts.iter().zip(ends).zip(axes).zip(steps) {
        let a = axis(a, rank)?;
        let Some(chosen) = picked.get_mut(a) else { continue };
        *chosen = range(start, end, step, tensor.shape.get(a).copied().unwrap_or(0))?;
    }
    let shape: Vec<usize> = picked.iter().map(Vec::len).collect();
    let mut indices = vec![0];
    for (chosen, stride) in picked.iter().zip(strides(&tensor.shape)) {
        indices = indices
            .iter()
            .flat_map(|&base| chosen.iter().map(move |&i| base + i * stride))
            .collect();
    }
    tensor.select(shape, &indices).map(Value::constant)
}

/// The indices `start, start + step, ...` before `end`, with ONNX's clamping.
fn range(start: i64, end: i64, step: i64, dim: usize) -> Checked<Vec<usize>> {
    let dim = i64::try_from(dim).map_err(|_| "a dimension beyond i64")?;
    let from_end = |at: i64| if at < 0 { at.saturating_add(dim) } else { at };
    let (mut at, end) = match step {
        1.. => (from_end(start).clamp(0, dim), from_end(end).clamp(0, dim)),
        0 => return Err("a step of 0".into()),
        _ => (from_end(start).clamp(0, dim - 1), from_end(end).clamp(-1, dim - 1)),
    };
    let mut indices = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        indices.push(usize::try_from(at).map_err(|_| "a negative index")?);
        at = at.saturating_add(step);
    }
    Ok(indices)
}

pub(super) fn gather(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let tensor = call.constant(0)?;
    let wanted = call.constant(1)?;
    let at = axis(call.int("axis", 0)?, tensor.shape.len())?;
    let dim = tensor.shape.get(at).copied().unwrap_or(0);
    let chosen: Vec<usize> =
        wanted.ints()?.iter().map(|&i| axis(i, dim)).collect::<Checked<_>>()?;
    let (outer, inner) = (
        tensor.shape.get(..at).unwrap_or_default(),
        tensor.shape.get(at + 1..).unwrap_or_default(),
    );
    let shape = [outer, &wanted.shape, inner].concat();
    let most = chain.limits().constants;
    if count(&shape).is_none_or(|count| count > most) {
        return Err(format!("shape {shape:?}; at most {most} elements are computed"));
    }
    let (block, stride) =
        (count(inner).unwrap_or(0), count(tensor.shape.get(at..).unwrap_or_default()).unwrap_or(0));
    let mut indices = Vec::new();
    if count(&shape) != Some(0) {
        for base in walk(&[count(outer).unwrap_or(0)], &[stride]) {
            for &i in &chosen {
                indices.extend((0..block).map(|j| base + i * block + j));
            }
        }
    }
    tensor.select(shape, &indices).map(Value::constant)
}

/// On a constant the conversion that the graph asks for; on the value nothing, as it is a real
/// number in any floating-point type.
pub(super) fn cast(call: &Call<'_>, _: &mut Chain) -> Checked<Value> {
    let to = match call.node.attributes.iter().find(|a| a.name == "to").and_then(|a| a.string) {
        // Before operator set 6 the type was named.
        Some(b"FLOAT") => 1,
        Some(b"DOUBLE") => 11,
        Some(b"INT32") => 6,
        Some(b"INT64") => 7,
        Some(_) => return Err("to a type that is not supported".into()),
        None => call.int("to", 0)?,
    };
    let tensor = match call.operand(0)? {
        Value::Signal(shape) if matches!(to, 1 | 11) => return Ok(Value::Signal(shape.clone())),
        Value::Signal(_) => return Err(format!("to {}: not supported", type_name(to))),
        Value::Constant(tensor) => tensor,
    };
    let data = match (to, &tensor.data) {
        (1, Data::F32(_)) | (11, Data::F64(_)) | (7, Data::Int(_)) => tensor.data.clone(),
        (1, Data::F64(v)) => Data::F32(v.iter().map(|&x| x as f32).collect()),
        (1, Data::Int(v)) => Data::F32(v.iter().map(|&x| x as f32).collect()),
        (11, Data::F32(v)) => Data::F64(v.iter().map(|&x| f64::from(x)).collect()),
        (11, Data::Int(v)) => Data::F64(v.iter().map(|&x| x as f64).collect()),
        (6, Data::Int(v)) if v.iter().all(|&x| i32::try_from(x).is_ok()) => tensor.data.clone(),
        _ => return Err(format!("a constant to {}: not supported", type_name(to))),
    };
    Ok(Value::constant(Tensor { shape: tensor.shape.clone(), data }))
}
