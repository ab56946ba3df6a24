//! Two methods of paper 003 beside CROWN, for comparison: in f64 with its rounding bounded, on the
//! engine's pre-activation bounds.
//!
//! * [`quad`]: CROWN-Quad, a convex program of networks with one hidden layer.
//! * [`fast_lip`]: Fast-Lip, by a bound of the local Lipschitz constants.

pub mod fast_lip;
pub mod quad;
mod spread;

use certus_engine::model::{Activation, Model};
use certus_engine::num::from_f64_up;
use certus_engine::spec::Spec;
use ndarray::Array2;

use crate::geometry::interval::Interval;
use spread::Spread;

/// The slope of an activation below zero, where it is 1 above; `None` of any other activation.
fn leak(activation: Activation) -> Option<f32> {
    match activation {
        Activation::Relu => Some(0.0),
        Activation::LeakyRelu(slope) => (0.0..=1.0).contains(&slope).then_some(slope),
        other => (other == Activation::Identity).then_some(1.0),
    }
}

/// What of a network is not affine layers with ReLU or leaky ReLU between them, in words.
fn unfit(model: &Model<'_>) -> Option<String> {
    let last = model.depth() - 1;
    model.layers().enumerate().find_map(|(k, layer)| match layer.activation {
        activation if k == last && activation != Activation::Identity => {
            Some(format!("{activation:?} after the last layer"))
        }
        activation if leak(activation).is_none() => Some(format!("{activation:?} after layer {k}")),
        _ => None,
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
    fn slopes_below_zero() {
        assert_eq!(leak(Activation::Relu), Some(0.0));
        assert_eq!(leak(Activation::LeakyRelu(0.25)), Some(0.25));
        assert_eq!(leak(Activation::Identity), Some(1.0));
        for slope in [-0.5, 1.5, f32::NAN] {
            assert_eq!(leak(Activation::LeakyRelu(slope)), None);
        }
    }

    #[test]
    fn narrowing_is_downward() {
        assert_eq!((narrow_down(0.5), narrow_down(f64::NAN)), (0.5, f32::NEG_INFINITY));
        for x in [0.1, -0.1, 1e-60, -1e-60, 1e60] {
            assert!(f64::from(narrow_down(x)) <= x && f64::from(narrow_down(x).next_up()) > x);
        }
        assert!(f64::from(narrow_down(-1e60)) <= -1e60);
    }
}
