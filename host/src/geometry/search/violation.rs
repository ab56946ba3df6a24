//! Violations, settled by an enclosing forward pass.

use certus_engine::region::Norm;

use super::network::Network;
use super::round::{U, norm_up};

/// A point at which the class is not the only largest output, in real arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// Upper bound of its distance: no certified radius is larger.
    pub distance: f64,
    /// The point, within the box.
    pub point: Vec<f32>,
}

/// How far beyond the point found others are tried, relative to its distance.
const BEYOND: [f64; 6] = [0.0, 1e-8, 1e-7, 4e-7, 1.6e-6, 1e-5];

/// A point, and the box that it lies in.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub x: &'a [f32],
    pub clip: Option<(&'a [f32], &'a [f32])>,
    pub norm: Norm,
}

impl Place<'_> {
    /// The point itself, if the class is not the largest output there.
    pub(super) fn violated(&self, net: &Network) -> Option<Violation> {
        is_violated(net, self.x).then(|| Violation { distance: 0.0, point: self.x.to_vec() })
    }

    /// A violation at `x + step`, or little beyond.
    pub(super) fn replay(&self, net: &Network, step: &[f64]) -> Option<Violation> {
        BEYOND.into_iter().find_map(|beyond| {
            let point = self.float(step, 1.0 + beyond);
            let finite = point.iter().all(|x| x.is_finite());
            (finite && is_violated(net, &point))
                .then(|| Violation { distance: self.distance(&point), point })
        })
    }

    /// Whether a violation lies little beyond `x + step`, by one pass.
    pub(super) fn is_promising(&self, net: &Network, step: &[f64]) -> bool {
        is_violated(net, &self.float(step, 1.0 + BEYOND[BEYOND.len() - 1]))
    }

    /// `x + factor*step` in f32, within the box.
    fn float(&self, step: &[f64], factor: f64) -> Vec<f32> {
        let to = |(x, step): (&f32, &f64)| (f64::from(*x) + factor * step) as f32;
        let mut point: Vec<f32> = self.x.iter().zip(step).map(to).collect();
        if let Some((lo, hi)) = self.clip {
            for (x, (lo, hi)) in point.iter_mut().zip(lo.iter().zip(hi)) {
                *x = if *x < *lo { *lo } else { *x };
                *x = if *x > *hi { *hi } else { *x };
            }
        }
        point
    }

    /// Upper bound of the distance to `point`; a difference of two floats rounds once.
    fn distance(&self, point: &[f32]) -> f64 {
        let way = point.iter().zip(self.x).map(|(a, b)| f64::from(*a) - f64::from(*b));
        let way: Vec<f64> = way.map(|x| x.abs() * (1.0 + 4.0 * U)).collect();
        norm_up(way.iter(), self.norm)
    }
}

/// Whether some margin is at most 0 for certain.
fn is_violated(net: &Network, point: &[f32]) -> bool {
    let point: Vec<f64> = point.iter().map(|x| f64::from(*x)).collect();
    let all = net.enclose(&point);
    all.last().is_some_and(|margins| {
        margins.value.iter().zip(&margins.error).any(|(m, e)| e.is_finite() && *m <= -e)
    })
}
