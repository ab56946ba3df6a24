//! The interval step: pre-activation ends of one layer from what its inputs may be.

use super::arithmetic::Arithmetic;
use super::state::disturbance;
use super::{Error, Semantics};
use crate::model::Layer;
use crate::num::{ETA, MAGNITUDE_LIMIT, Rounding, U, add_up, mul_up, sub_down};
use crate::region::{Reach, Region};

/// What feeds a layer: the region itself or activations, and the box around it.
#[derive(Clone, Copy)]
pub(super) struct Feed<'a> {
    /// The region, for the first layer.
    pub region: Option<&'a Region<'a>>,
    /// Middle of the box.
    pub mid: &'a [f32],
    /// Its radii.
    pub rad: &'a [f32],
}

/// What is known of a layer's neurons beside their ends; an entry each.
pub(super) struct Masses<'w> {
    /// Upper bounds of `|W_i| m + |b_i|`, m the largest magnitudes of the inputs.
    pub mass: &'w mut [f32],
    /// Upper bounds of `|W_i| rad`.
    pub spread: &'w mut [f32],
    /// `zc_i`, close to `W_i mid + b_i`.
    pub centre: &'w mut [f32],
    /// Upper bounds of how far it is off.
    pub error: &'w mut [f32],
}

impl Masses<'_> {
    /// Mass, spread, centre and error of neuron `i`.
    pub(super) fn of(&self, i: usize) -> [f32; 4] {
        let at = |x: &[f32]| x.get(i).copied().unwrap_or(f32::INFINITY);
        [at(self.mass), at(self.spread), at(self.centre), at(self.error)]
    }
}

/// Writes ends and masses of layer `k`.
///
/// `lo_i <= W_i x + b_i <= hi_i` for all x that feed the layer, widened by the layer's
/// [`disturbance`]: the centre minus or plus the reach, each with its rounding (`soundness.md` 5).
/// Gives the sum of the inputs' magnitudes and the multiply-adds done.
///
/// # Errors
/// [`Error::Magnitude`] if a mass reaches `2^100`.
pub(super) fn step<A: Arithmetic>(
    arith: &A,
    feed: Feed<'_>,
    semantics: Semantics,
    k: usize,
    layer: &Layer<'_>,
    (lo, hi): (&mut [f32], &mut [f32]),
    masses: &mut Masses<'_>,
) -> Result<(f32, u64), Error> {
    let n = layer.cols;
    let Feed { region, mid, rad } = feed;
    let rounding = Rounding::new(arith.row_depth(n), n);
    let mut total = 0.0f32;
    for (m, r) in mid.iter().zip(rad) {
        total = add_up(total, add_up(m.abs(), *r));
    }
    // An FPU that flushes reads a subnormal weight as 0.
    let flushed = mul_up(2.0 * ETA, add_up(total, 1.0));
    let out = masses.mass.iter_mut().zip(masses.spread.iter_mut());
    let out = out.zip(masses.centre.iter_mut()).zip(masses.error.iter_mut());
    let ends = lo.iter_mut().zip(hi).zip(out);
    for (i, (((lo, hi), (((mass, spread), centre), error)), bias)) in
        ends.zip(layer.bias).enumerate()
    {
        let row = layer.row(i);
        let sums = arith.box_sums(row, mid, rad);
        let size = rounding.inflate(sums.size);
        *spread = rounding.inflate(sums.radius);
        *mass = add_up(add_up(*spread, size), add_up(bias.abs(), flushed));
        // Written so that a NaN is refused.
        if !(*mass < MAGNITUDE_LIMIT) {
            return Err(Error::Magnitude { layer: k });
        }
        let (sum, lost) = arith.centre(row, mid, size);
        *centre = sum + bias;
        // The addition of the bias rounds once.
        *error = add_up(add_up(lost, mul_up(U, mul_up(1.000_001, centre.abs()))), flushed);
        let reach = match region {
            Some(region) if !region.is_box() => region.reach(arith, row, mid, rad, true),
            _ => Reach { below: *spread, above: *spread },
        };
        // Over a ball, `sum |W_ij| |x_j - mid_j|` obeys Hoelder too.
        if let Some(Region::Ball(_)) = region
            && reach.below < *spread
        {
            *spread = reach.below;
        }
        let off = add_up(*error, disturbance(semantics, layer, *mass));
        *lo = sub_down(sub_down(*centre, reach.below), off);
        *hi = -sub_down(sub_down(-*centre, reach.above), off);
    }
    Ok((total, 4 * layer.rows as u64 * n as u64))
}
