//! Two methods of paper 003 beside CROWN, for comparison: in f64 with its rounding bounded, on the
//! engine's pre-activation bounds.
//!
//! * [`quad`]: CROWN-Quad, a convex program of networks with one hidden layer.
//! * [`fast_lip`]: Fast-Lip, by a bound of the local Lipschitz constants.

pub mod fast_lip;
pub mod quad;
mod spread;

use certus_engine::model::{Activation, Layer, Model};
use certus_engine::num::from_f64_up;
use certus_engine::spec::Spec;
use ndarray::Array2;

use crate::geometry::interval::Interval;
use spread::Spread;

/// The slope of a layer's activation below zero, where it is 1 above; NaN of any other activation.
fn leak(layer: &Layer<'_>) -> f32 {
    layer.leak().filter(|slope| (0.0..=1.0).contains(slope)).unwrap_or(f32::NAN)
}

/// What of a network is not affine layers with ReLU or leaky ReLU between them, in words.
fn unfit(model: &Model<'_>) -> Option<String> {
    let last = model.depth() - 1;
    model.layers().enumerate().find_map(|(k, layer)| {
        let name = layer.activation.name();
        match leak(&layer) {
            _ if k == last && layer.activation != Activation::Identity => {
                Some(format!("{name} after the last layer"))
            }
            leak if !leak.is_nan() => None,
            _ if layer.through > 0 => {
                Some(format!("{name} after layer {k} beside rows that pass by it"))
            }
            _ => Some(format!("{name} after layer {k}")),
        }
    })
}

/// The specification's rows `[rows][outputs]`, exact.
fn rows(spec: &Spec<'_>, outputs: usize) -> Spread {
    let shape = (spec.count(outputs), outputs);
    let coefficient = |(r, j)| f64::from(spec.coefficient(r, j, outputs));
    Spread::exact(Array2::from_shape_fn(shape, coefficient))
}

const ZERO: Interval = Interval { lo: 0.0, hi: 0.0 };

/// The largest f32 that is not above `x`; NaN bounds nothing.
fn narrow_down(x: f64) -> f32 {
    if x.is_nan() { f32::NEG_INFINITY } else { -from_f64_up(-x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_is_downward() {
        assert_eq!((narrow_down(0.5), narrow_down(f64::NAN)), (0.5, f32::NEG_INFINITY));
        for x in [0.1, -0.1, 1e-60, -1e-60, 1e60] {
            assert!(f64::from(narrow_down(x)) <= x && f64::from(narrow_down(x).next_up()) > x);
        }
        assert!(f64::from(narrow_down(-1e60)) <= -1e60);
    }
}
