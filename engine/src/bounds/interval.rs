//! The interval step: pre-activation ends of one layer from what its inputs may be.

use super::arithmetic::Arithmetic;
use super::budget::Disturbance;
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

/// What is known of a layer's neurons beside their ends: [`Masses::EACH`] floats for each neuron.
pub(super) struct Masses<'w>(pub &'w mut [f32]);

/// What is known of one neuron.
#[derive(Clone, Copy)]
pub(super) struct Mass {
    /// Upper bound of `|W_i| m + |b_i|`, m the largest magnitudes of the inputs.
    pub mass: f32,
    /// Upper bound of `|W_i| rad`.
    pub spread: f32,
    /// `zc_i`, close to `W_i mid + b_i`.
    pub centre: f32,
    /// Upper bound of how far it is off.
    pub error: f32,
}

impl Masses<'_> {
    /// The four of [`Mass`], and the upper end on its way to the [`super::state::State`].
    pub(super) const EACH: usize = 5;

    /// What is known of neuron `i`.
    pub(super) fn of(&self, i: usize) -> Mass {
        match self.0.get(Self::EACH * i..) {
            Some([mass, spread, centre, error, ..]) => {
                Mass { mass: *mass, spread: *spread, centre: *centre, error: *error }
            }
            _ => {
                let none = f32::INFINITY;
                Mass { mass: none, spread: none, centre: none, error: none }
            }
        }
    }
}

/// Writes ends and masses of layer `k`.
///
/// `lo_i <= W_i x + b_i <= hi_i` for all x that feed the layer, widened by the layer's
/// [`Disturbance`]: the centre minus or plus the reach, each with its rounding (`soundness.md` 5).
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
    let disturbance = Disturbance::new(semantics, layer);
    let mut total = 0.0f32;
    for (m, r) in mid.iter().zip(rad) {
        total = add_up(total, add_up(m.abs(), *r));
    }
    // An FPU that flushes reads a subnormal weight as 0.
    let flushed = mul_up(2.0 * ETA, add_up(total, 1.0));
    let known = masses.0.get_mut(..Masses::EACH * layer.rows).ok_or(Error::Workspace)?;
    arith.each_row(n, known, Masses::EACH, lo, |i, known, lo| {
        let row = layer.row(i);
        let bias = layer.bias.get(i).copied().unwrap_or(f32::NAN);
        let sums = arith.over_box(row, mid, rad, &rounding);
        let mass = add_up(add_up(sums.radius, sums.size), add_up(bias.abs(), flushed));
        let centre = sums.centre + bias;
        // The addition of the bias rounds once.
        let error = add_up(add_up(sums.error, mul_up(U, mul_up(1.000_001, centre.abs()))), flushed);
        let reach = match region {
            Some(region) if !region.is_box() => region.reach(arith, row, mid, rad, true),
            _ => Reach { below: sums.radius, above: sums.radius },
        };
        // Over a ball, `sum |W_ij| |x_j - mid_j|` obeys Hoelder too.
        let spread = match region {
            Some(Region::Ball(_)) if reach.below < sums.radius => reach.below,
            _ => sums.radius,
        };
        let off = add_up(error, disturbance.of(mass));
        *lo = sub_down(sub_down(centre, reach.below), off);
        let hi = -sub_down(sub_down(-centre, reach.above), off);
        for (slot, value) in known.iter_mut().zip([mass, spread, centre, error, hi]) {
            *slot = value;
        }
    });
    for (hi, known) in hi.iter_mut().zip(known.chunks_exact(Masses::EACH)) {
        let [mass, .., end] = known else { return Err(Error::Workspace) };
        // Written so that a NaN is refused.
        if !(*mass < MAGNITUDE_LIMIT) {
            return Err(Error::Magnitude { layer: k });
        }
        *hi = *end;
    }
    let passes = 3 + region.map_or(1, Region::passes);
    Ok((total, passes * layer.rows as u64 * n as u64))
}
