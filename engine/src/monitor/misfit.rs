//! Whether a table of certified regions proves what a setup asks.

use super::setup::{Misfit, Rule, SensorError, Setup};
use crate::model::Model;
use crate::regions::{Regions, order};

impl Setup<'_> {
    /// Why the table does not prove what is asked, if so: it must be the model's own, its limits within
    /// those asked for or its margin at least that, and its sensor error at least the setup's. A ball of
    /// any lp norm lies within the cube of its radius.
    ///
    /// The other parts of the setup have been checked: none is NaN. Numbers are compared as integers, so
    /// that no subnormal one is taken for 0. What the table proves, it proves under deployed
    /// semantics, which covers the real ones.
    pub(super) const fn misfit(&self, regions: &Regions<'_>, model: &Model<'_>) -> Option<Misfit> {
        match model.crc() {
            Some(crc) if crc == regions.model_crc() => {}
            _ => return Some(Misfit::Model),
        }
        if regions.inputs() != model.inputs() || regions.outputs() != model.outputs() {
            return Some(Misfit::Model);
        }
        if !self.is_implied(regions) {
            return Some(Misfit::Rule);
        }
        let mut i = 0;
        let mut radii: &[f32] = match self.error {
            SensorError::Box(radii) => radii,
            SensorError::Ball { .. } => &[],
        };
        while i < regions.inputs() {
            let radius = match (self.error, radii.split_first()) {
                (SensorError::Ball { radius, .. }, _) => radius,
                (SensorError::Box(_), Some((radius, rest))) => {
                    radii = rest;
                    *radius
                }
                (SensorError::Box(_), None) => return Some(Misfit::Error),
            };
            if order(radius) > order(regions.radius(i)) {
                return Some(Misfit::Error);
            }
            i += 1;
        }
        None
    }

    /// Whether the table's rule implies the setup's.
    const fn is_implied(&self, regions: &Regions<'_>) -> bool {
        let (mut low, mut high) = match self.rule {
            Rule::Limits { lo, hi } => (lo, hi),
            Rule::Class { margin } => {
                return matches!(regions.limits(0), Err(proved) if order(proved) >= order(margin));
            }
        };
        let mut i = 0;
        while let (Some((lo, lows)), Some((hi, highs))) = (low.split_first(), high.split_first()) {
            match regions.limits(i) {
                Ok((least, most)) if order(*lo) <= order(least) && order(most) <= order(*hi) => {}
                Ok(_) | Err(_) => return false,
            }
            (low, high, i) = (lows, highs, i + 1);
        }
        low.is_empty() && high.is_empty() && i == regions.outputs()
    }
}

#[cfg(test)]
mod tests;
