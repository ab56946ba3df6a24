//! The interval step: pre-activation ends of one layer from what its inputs may be.

use super::arithmetic::Arithmetic;
use super::state::{disturbance, mass};
use super::{Error, Semantics};
use crate::model::Layer;
use crate::num::{ETA, MAGNITUDE_LIMIT, Rounding, add_down, add_up, mul_up, sub_down};
use crate::region::{Region, over_box_with};

/// What feeds a layer: the region itself, or a box of activations.
#[derive(Clone, Copy)]
pub(super) enum Feed<'a> {
    /// The region, with the box around it.
    Region(&'a Region<'a>),
    /// The box alone.
    Box,
}

/// Writes ends and masses of layer `k`.
///
/// `lo_i <= W_i x + b_i <= hi_i` for all x that feed the layer, widened by the layer's
/// [`disturbance`]; `mass_i >= |W_i| m + |b_i|`, m the largest magnitudes of x. Each end is the
/// centre minus or plus the radius with their rounding errors (`soundness.md` 5). Gives the sum of
/// the m and the multiply-adds done.
///
/// # Errors
/// [`Error::Magnitude`] if a mass reaches `2^100`.
pub(super) fn step<A: Arithmetic>(
    arith: &A,
    feed: Feed<'_>,
    semantics: Semantics,
    k: usize,
    layer: &Layer<'_>,
    mid: &[f32],
    rad: &[f32],
    (lo, hi): (&mut [f32], &mut [f32]),
    masses: &mut [f32],
) -> Result<(f32, u64), Error> {
    let n = layer.cols;
    let rounding = Rounding::new(arith.row_depth(n), n);
    let mut reach = 0.0f32;
    for (m, r) in mid.iter().zip(rad) {
        reach = add_up(reach, add_up(m.abs(), *r));
    }
    let flushed = mul_up(ETA, add_up(reach, 1.0));
    let ends = lo.iter_mut().zip(hi).zip(masses);
    for (i, (((lo, hi), mass_i), bias)) in ends.zip(layer.bias).enumerate() {
        let row = layer.row(i);
        let span = match feed {
            Feed::Region(region) => region.span(arith, row, mid, rad, true),
            Feed::Box => over_box_with(&rounding, arith, row, mid, rad),
        };
        *mass_i = add_up(mass(&rounding, span.sums.radius, span.sums.size, *bias), flushed);
        // Written so that a NaN is refused.
        if !(*mass_i < MAGNITUDE_LIMIT) {
            return Err(Error::Magnitude { layer: k });
        }
        let d = add_up(disturbance(semantics, layer, *mass_i), flushed);
        *lo = sub_down(add_down(span.lo, *bias), d);
        *hi = add_up(add_up(span.hi, *bias), d);
    }
    Ok((reach, 3 * layer.rows as u64 * n as u64))
}
