//! Exact optima as the floats that decide whether a claimed bound is wrong.

use certus::network::Network;
use certus_engine::bounds::Error;

use crate::oracle::{Analysis, analyse};
use crate::rational::{ceil_f32, floor_f32};
use crate::region::Region;

/// What is true of a case.
#[derive(Clone, Debug)]
pub struct Truth {
    /// For each row asked, the largest f32 that is a lower bound: a claim above it is wrong.
    pub least: Vec<f32>,
    /// As `least`, for the negated rows.
    pub least_negated: Vec<f32>,
    /// For each pre-activation the largest valid lower end and the smallest valid upper one.
    pub pre: Vec<(f32, f32)>,
    /// The exact ranges.
    pub exact: Analysis,
}

impl Truth {
    /// Of `rows` over the region; `None` if that is empty.
    pub fn find(net: &Network, region: &Region, rows: &[Vec<f32>]) -> Option<Self> {
        let exact = analyse(net, region, rows)?;
        Some(Truth {
            least: exact.spec.iter().map(|range| floor_f32(&range.min.inner)).collect(),
            least_negated: exact.spec.iter().map(|range| -ceil_f32(&range.max.inner)).collect(),
            pre: exact
                .pre
                .iter()
                .flatten()
                .map(|range| (floor_f32(&range.min.inner), ceil_f32(&range.max.inner)))
                .collect(),
            exact,
        })
    }
}

/// Magnitudes that layers may have over a region: of the inputs, then of each layer's
/// pre-activations, `M_k = |W_k| M_{k-1} + |b_k|` in f64.
pub fn magnitudes(net: &Network, region: &Region) -> Vec<Vec<f64>> {
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x).abs()).collect::<Vec<f64>>();
    let inputs = match (region.as_ball(), region.as_box()) {
        (_, Some((lo, hi))) => wide(lo).into_iter().zip(wide(hi)).map(|(a, b)| a.max(b)).collect(),
        (Some((center, eps, _)), None) => wide(center).iter().map(|c| c + eps).collect(),
        (None, None) => Vec::new(),
    };
    let mut all = vec![inputs];
    for layer in &net.layers {
        let before = &all[all.len() - 1];
        let rows = layer.weights.chunks(layer.cols).zip(&layer.bias);
        let next = rows.map(|(w, b)| {
            let sum: f64 = w.iter().zip(before).map(|(w, m)| f64::from(w.abs()) * m).sum();
            sum + f64::from(b.abs())
        });
        all.push(next.collect());
    }
    all
}

/// Whether the engine may refuse a case with this error: only what is too large for f32.
pub fn justified(error: &Error, net: &Network, region: &Region) -> bool {
    // Back-substituted intervals may be wider than the plain magnitudes, hence the room.
    let large = |x: f64| x >= 2f64.powi(90);
    match error {
        Error::Magnitude { .. } => magnitudes(net, region).iter().flatten().any(|m| large(*m)),
        Error::Region(_) => {
            let (ball, sides) = (region.as_ball(), region.as_box());
            let corners = sides.map(|(lo, hi)| [lo, hi].concat()).unwrap_or_default();
            ball.is_some_and(|(c, eps, _)| large(eps) || c.iter().any(|c| large(c.abs().into())))
                || corners.iter().any(|c| large(c.abs().into()))
        }
        Error::Spec | Error::Workspace | Error::Activation { .. } => false,
    }
}
