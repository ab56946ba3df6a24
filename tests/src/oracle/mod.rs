//! Exact optima of small piecewise linear networks over a region.
//!
//! The region is a polytope, or a Euclidean ball inside one. It is cut by the hyperplanes of the
//! hidden units, layer by layer, so that the network is affine on each cell; an affine function
//! has its extremes at a cell's vertices, or on the ball at points with a closed form. All of it
//! is done in integers: nothing rounds, except the square roots of a Euclidean ball, which are
//! enclosed.
//!
//! The weights are those stored; `weight_error` and `bias_error` of a layer are not looked at.

pub(crate) mod best;
pub(crate) mod cell;
mod eval;
pub(crate) mod forms;
pub(crate) mod sphere;
pub(crate) mod start;
mod walk;

use certus::network::{Affine, Network};
use certus_engine::model::Activation;

pub(crate) use forms::negative_slope;

pub use eval::{forward, pre_activations, specification};

use crate::rational::{Rational, compare};
use crate::region::Region;

/// A minimum or maximum over a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Extreme {
    /// The value that is reached at `at`: the extreme itself, except over a Euclidean ball, where
    /// an irrational extreme is missed by at most `2^-190` of radius times gradient.
    pub inner: Rational,
    /// A bound of the extreme from the far side: below a minimum, above a maximum. Equals `inner`
    /// where the extreme is rational.
    pub outer: Rational,
    /// A point of the region where the function is `inner`.
    pub at: Vec<Rational>,
}

impl Extreme {
    /// The extreme, if it is known exactly.
    pub fn exact(&self) -> Option<&Rational> {
        (self.inner == self.outer).then_some(&self.inner)
    }

    /// Whether `claimed <= minimum` is certainly false. A NaN claims nothing, plus infinity is
    /// always wrong.
    pub fn refutes_lower(&self, claimed: impl Into<f64>) -> bool {
        let claimed = claimed.into();
        !claimed.is_nan() && compare(claimed, &self.inner).is_gt()
    }

    /// Whether `claimed >= maximum` is certainly false.
    pub fn refutes_upper(&self, claimed: impl Into<f64>) -> bool {
        let claimed = claimed.into();
        !claimed.is_nan() && compare(claimed, &self.inner).is_lt()
    }
}

/// The range of a function over a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The minimum.
    pub min: Extreme,
    /// The maximum.
    pub max: Extreme,
}

/// What [`analyse`] finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The range of each specification row `c . f(x)`.
    pub spec: Vec<Range>,
    /// The range of each pre-activation, `[layer][unit]`, the output layer's included.
    pub pre: Vec<Vec<Range>>,
    /// Cells on which the network is affine.
    pub cells: usize,
}

/// The exact ranges of `spec` rows and of every pre-activation over `region`; `None` if the
/// region is empty.
///
/// For 1 to 3 inputs and some ten units that bend; units of one sign cost next to nothing.
///
/// # Panics
/// If shapes do not fit, a number is not finite, an activation is not piecewise linear, or there
/// are more than 6 inputs.
pub fn analyse(network: &Network, region: &Region, spec: &[Vec<f32>]) -> Option<Analysis> {
    walk::walk(network, region, spec, true)
}

/// The exact minimum of `row . f(x)` over `region`; `None` if the region is empty.
///
/// # Panics
/// As [`analyse`].
pub fn minimum(network: &Network, region: &Region, row: &[f32]) -> Option<Extreme> {
    let analysis = walk::walk(network, region, &[row.to_vec()], false)?;
    analysis.spec.into_iter().next().map(|range| range.min)
}

/// The specification as one more layer without a bias.
fn spec_layer(outputs: usize, spec: &[Vec<f32>]) -> Affine {
    Affine {
        rows: spec.len(),
        cols: outputs,
        weights: spec.concat(),
        bias: vec![0.0; spec.len()],
        activation: Activation::Identity,
        through: 0,
        weight_error: 0.0,
        bias_error: 0.0,
    }
}
