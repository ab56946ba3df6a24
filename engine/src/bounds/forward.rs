//! The forward pass, as it rounds and as an enclosure.

use super::Error;
use super::arithmetic::Arithmetic;
use super::{Method, Options, Semantics, Work, Workspace, lower_bounds};
use crate::model::Model;
use crate::region::{Norm, Region};
use crate::spec::Spec;

/// The network's outputs at `x` in f32.
///
/// `scratch` holds at least twice the model's width, `out` the outputs. Each pre-activation is
/// `fl(fl(W_i x) + b_i)` with the row sum of `arith`: at most `n + 2` roundings a term, which is
/// what [`Semantics::Deployed`] covers. Gives the multiply-adds done, `None` if a slice is too
/// short.
pub fn forward<A: Arithmetic>(
    arith: &A,
    model: &Model<'_>,
    x: &[f32],
    scratch: &mut [f32],
    out: &mut [f32],
) -> Option<u64> {
    let width = model.width();
    let (mut cur, rest) = scratch.split_at_mut_checked(width)?;
    let (mut next, _) = rest.split_at_mut_checked(width)?;
    if x.len() != model.inputs() {
        return None;
    }
    cur.get_mut(..x.len())?.copy_from_slice(x);
    let mut work = 0;
    for layer in model.layers() {
        let fed = cur.get(..layer.cols)?;
        for (i, (z, bias)) in next.iter_mut().zip(layer.bias).enumerate() {
            *z = arith.dot(layer.row(i), fed) + bias;
        }
        // Apart: the loop above has registers for nothing else.
        let rows = next.get_mut(layer.through..layer.rows).unwrap_or(&mut []);
        rows.iter_mut().for_each(|z| *z = layer.activation.apply(*z));
        work += layer.rows as u64 * layer.cols as u64;
        core::mem::swap(&mut cur, &mut next);
    }
    out.get_mut(..model.outputs())?.copy_from_slice(cur.get(..model.outputs())?);
    Some(work)
}

/// Enclosures of the outputs at the one point `x` in real arithmetic: the forward pass with its
/// error bound. The first `outputs` entries of `out` are lower ends, the next `outputs` are the
/// upper ends negated.
///
/// # Errors
/// As [`lower_bounds`].
pub fn forward_enclosed<A: Arithmetic>(
    arith: &mut A,
    model: &Model<'_>,
    x: &[f32],
    semantics: Semantics,
    workspace: Workspace<'_>,
    out: &mut [f32],
) -> Result<Work, Error> {
    let region = Region::ball(x, 0.0, Norm::Linf);
    let options = Options { semantics, ..Options::new(Method::Ibp) };
    Ok(lower_bounds(arith, model, &region, &Spec::Outputs, &options, workspace, out)?.work)
}

/// Index of the largest output, the first among equals; `None` if there is none or any is NaN.
pub fn argmax(outputs: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (i, y) in outputs.iter().enumerate() {
        if y.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, top)| *y > top) {
            best = Some((i, *y));
        }
    }
    best.map(|(i, _)| i)
}
