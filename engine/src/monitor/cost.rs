//! What a tick costs at most, in multiply-adds and in memory: constants where model and setup are.

use super::means::Means;
use super::setup::Setup;
use crate::bounds::{Size, add, forward_macs};
use crate::model::Model;

impl Setup<'_> {
    /// Multiply-adds of inference and intervals at most: the smallest budget. Asking a table of regions
    /// takes none.
    pub const fn least_budget(&self, model: &Model<'_>) -> u64 {
        let ibp = Means::Ibp.most_macs(model, &self.rule);
        match ibp {
            Some(ibp) => add(forward_macs(model), ibp),
            None => u64::MAX,
        }
    }

    /// Multiply-adds of inference and one certificate by each of [`Means`] at most: the smallest budget
    /// with which none is ever left out.
    pub const fn full_budget(&self, model: &Model<'_>) -> u64 {
        let mut sum = forward_macs(model);
        let mut rest: &[Means] = &Means::ALL;
        while let Some((means, tail)) = rest.split_first() {
            if let Some(most) = means.most_macs(model, &self.rule) {
                sum = add(sum, most);
            }
            rest = tail;
        }
        sum
    }

    /// No tick takes more multiply-adds: the budget or, if that is less, [`Setup::full_budget`] and one
    /// certificate more for each of the scales.
    pub const fn worst_case(&self, model: &Model<'_>) -> u64 {
        let mut dearest = 0;
        let mut rest: &[Means] = &Means::ALL;
        while let Some((means, tail)) = rest.split_first() {
            if let Some(most) = means.most_macs(model, &self.rule)
                && most > dearest
            {
                dearest = most;
            }
            rest = tail;
        }
        let more = dearest.saturating_mul(self.scales.len() as u64);
        let all = add(self.full_budget(model), more);
        if self.budget < all { self.budget } else { all }
    }

    /// Memory of a monitor, with blocks of up to `block` rows (at least 1).
    pub const fn size(&self, model: &Model<'_>, block: usize) -> Size {
        // The forward pass.
        let mut size = Size { floats: 2 * model.width(), indices: 0 };
        let mut rest: &[Means] = &Means::ALL;
        while let Some((means, tail)) = rest.split_first() {
            if self.can_use(*means, model) {
                let one = means.size(model, block);
                if one.floats > size.floats {
                    size.floats = one.floats;
                }
                if one.indices > size.indices {
                    size.indices = one.indices;
                }
            }
            rest = tail;
        }
        // Outputs, rows and what is added to them, and the ends of a box.
        let rows = self.rule.spec(0).count(model.outputs());
        size.floats += model.outputs() + 2 * rows + 2 * model.inputs();
        size
    }

    /// Whether a certificate by these means fits the budget beside inference.
    const fn can_use(&self, means: Means, model: &Model<'_>) -> bool {
        match means.most_macs(model, &self.rule) {
            Some(most) => add(forward_macs(model), most) <= self.budget,
            None => false,
        }
    }
}
