//! Matrix products with a constant, as dense layers. Their weights are copied.

use super::call::{Call, Value};
use super::tensor::{Tensor, Weights, count};
use crate::import::chain::{Chain, Checked};
use crate::import::exact::Approx;

/// `left [m, k]` times `right [k, n]`, once for each of `batch` blocks of the value.
struct Product {
    batch: usize,
    m: usize,
    k: usize,
    n: usize,
    /// Whether the value is the left factor.
    value_left: bool,
    /// Strides of the left and of the right factor within a block.
    left: [usize; 2],
    right: [usize; 2],
}

impl Product {
    /// Appends the layer for it.
    fn append(&self, chain: &mut Chain, weights: &Weights) -> Checked<()> {
        let &Product { batch, m, k, n, value_left, left, right } = self;
        let per_block = m.checked_mul(n).ok_or("a product beyond memory")?;
        let rows = per_block.checked_mul(batch).ok_or("a product beyond memory")?;
        let block = if value_left { m * k } else { k * n };
        chain.dense(rows, weights.error, |r, row| {
            let (b, i, j) = (r / per_block, r % per_block / n, r % n);
            let (at_left, at_right) = (i * left[0], j * right[1]);
            let (value, constant) = if value_left {
                ((b * block + at_left, left[1]), (at_right, right[0]))
            } else {
                ((b * block + at_right, right[0]), (at_left, left[1]))
            };
            for l in 0..k {
                let weight = weights.values.get(constant.0 + l * constant.1);
                if let (Some(to), Some(&weight)) = (row.get_mut(value.0 + l * value.1), weight) {
                    *to = weight;
                }
            }
        })
    }
}

fn weights(call: &Call<'_>, i: usize) -> Checked<Weights> {
    call.constant(i)?.weights().map_err(|message| format!("{} {message}", call.name(i)))
}

/// `alpha A' B' + beta C`.
pub(super) fn gemm(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let matrix = |i: usize, transpose: bool| -> Checked<([usize; 2], [usize; 2])> {
        match *call.operand(i)?.shape() {
            [rows, cols] if transpose => Ok(([cols, rows], [1, cols])),
            [rows, cols] => Ok(([rows, cols], [cols, 1])),
            ref other => Err(format!("{} has shape {other:?}; expected a matrix", call.name(i))),
        }
    };
    let ([m, k], left) = matrix(0, call.flag("transA")?)?;
    let ([inner, n], right) = matrix(1, call.flag("transB")?)?;
    if k != inner {
        return Err(format!(
            "a product of shapes {:?} and {:?} (after transposition)",
            [m, k],
            [inner, n]
        ));
    }
    let (value_left, factor) = match (call.operand(0)?, call.operand(1)?) {
        (Value::Signal(_), _) => (true, weights(call, 1)?),
        (_, Value::Signal(_)) => (false, weights(call, 0)?),
        _ => return Err("a product of two constants: not supported".into()),
    };
    let addend = if call.optional(2).is_some() { Some(call.numbers(2)?) } else { None };
    let at = addend.map(|c| addend_index(c, m, n)).transpose()?;
    let alpha = Approx::exact(f64::from(call.float("alpha", 1.0)?));
    let beta = Approx::exact(f64::from(call.float("beta", 1.0)?));
    Product { batch: 1, m, k, n, value_left, left, right }.append(chain, &factor)?;
    chain.scale_and_shift(|i| {
        let shift = match (addend, &at) {
            (Some(c), Some([rows, cols])) => {
                beta.mul(c.exact(i / n.max(1) * rows + i % n.max(1) * cols))
            }
            _ => Approx::ZERO,
        };
        (alpha, shift)
    })?;
    Ok(Value::Signal(vec![m, n]))
}

/// The strides along rows and columns of an addend that is stretched to `[m, n]`.
fn addend_index(c: &Tensor, m: usize, n: usize) -> Checked<[usize; 2]> {
    let misfit = || format!("addend of shape {:?} for a product of shape {:?}", c.shape, [m, n]);
    let (rows, cols) = match *c.shape {
        [] => (1, 1),
        [cols] => (1, cols),
        [rows, cols] => (rows, cols),
        _ => return Err(misfit()),
    };
    if (rows != m && rows != 1) || (cols != n && cols != 1) {
        return Err(misfit());
    }
    Ok([if rows == 1 { 0 } else { cols }, usize::from(cols != 1)])
}

/// The product of the last two dimensions, in the value's leading ones.
pub(super) fn matmul(call: &Call<'_>, chain: &mut Chain) -> Checked<Value> {
    let (a, b) = (call.operand(0)?.shape(), call.operand(1)?.shape());
    let misfit = || format!("a product of shapes {a:?} and {b:?}");
    let value_left = match (call.operand(0)?, call.operand(1)?) {
        (Value::Signal(_), _) => true,
        (_, Value::Signal(_)) => false,
        _ => return Err("a product of two constants: not supported".into()),
    };
    // A vector is a row on the left, a column on the right, and its new dimension is dropped again.
    let (a_outer, [m, k]) = match a {
        [] => return Err(misfit()),
        &[k] => (&[][..], [1, k]),
        &[ref outer @ .., m, k] => (outer, [m, k]),
    };
    let (b_outer, [inner, n]) = match b {
        [] => return Err(misfit()),
        &[k] => (&[][..], [k, 1]),
        &[ref outer @ .., k, n] => (outer, [k, n]),
    };
    if k != inner {
        return Err(misfit());
    }
    let (value_outer, constant_outer) =
        if value_left { (a_outer, b_outer) } else { (b_outer, a_outer) };
    if constant_outer.iter().any(|&dim| dim != 1) {
        return Err(format!(
            "{}: a different constant for each of a batch is not supported",
            misfit()
        ));
    }
    let batch = count(value_outer).ok_or("a shape beyond memory")?;
    let mut out = vec![1; constant_outer.len().saturating_sub(value_outer.len())];
    out.extend(value_outer);
    if a.len() > 1 {
        out.push(m);
    }
    if b.len() > 1 {
        out.push(n);
    }
    let factor = weights(call, usize::from(value_left))?;
    Product { batch, m, k, n, value_left, left: [k, 1], right: [n, 1] }.append(chain, &factor)?;
    Ok(Value::Signal(out))
}
