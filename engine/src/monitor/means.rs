//! The certificates that a monitor can use, and what each costs at most.

use super::setup::Rule;
use crate::bounds::{Method, Options, Size, most_macs};
use crate::features::SIMPLEX;
use crate::model::Model;
use crate::simplex;

/// What certifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The table of regions that were certified beforehand ([`crate::regions`]): comparisons, and no
    /// multiply-adds.
    Regions,
    /// Intervals.
    Ibp,
    /// Intervals, and one walk back of the rule's rows.
    CrownIbp,
    /// The simplex certificate, for networks of ReLU and the like.
    Simplex,
    /// CROWN.
    Crown,
}

impl Means {
    /// All that compute bounds, in a tick of their own.
    pub const ALL: [Means; 4] = [Means::Ibp, Means::CrownIbp, Means::Simplex, Means::Crown];

    /// The largest counted work of one certificate; `None` where it does not apply to the model, or is
    /// the same as a cheaper one.
    pub const fn most_macs(self, model: &Model<'_>, rule: &Rule<'_>) -> Option<u64> {
        let spec = &rule.spec(0);
        let most = match (self, self.method()) {
            (Means::Regions, _) => return Some(0),
            (_, Some(method)) => most_macs(model, &Options::new(method), spec),
            (_, None) if SIMPLEX && simplex::applies(model) => simplex::most_macs(model, spec),
            (_, None) => return None,
        };
        // Where no neuron is walked back, or nothing follows the first layer.
        let other = match self {
            Means::CrownIbp => most_macs(model, &Options::new(Method::Ibp), spec),
            Means::Crown => most_macs(model, &Options::new(Method::CrownIbp), spec),
            Means::Ibp | Means::Simplex | Means::Regions => 0,
        };
        if most == other { None } else { Some(most) }
    }

    /// The method of bounds; `None` for the simplex certificate and for the table.
    pub(super) const fn method(self) -> Option<Method> {
        match self {
            Means::Ibp => Some(Method::Ibp),
            Means::CrownIbp => Some(Method::CrownIbp),
            Means::Regions | Means::Simplex => None,
            Means::Crown => Some(Method::Crown),
        }
    }

    /// Memory with blocks of up to `block` rows.
    pub(super) const fn size(self, model: &Model<'_>, block: usize) -> Size {
        match self.method() {
            Some(method) => Size::of_options(model, &Options::new(method).without_ends(), block),
            None => simplex::size(model, block),
        }
    }
}

/// The means from the cheapest on, each with its largest work; `u64::MAX` where it does not apply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan(pub [(Means, u64); 4]);

impl Plan {
    /// For a model and a rule, once for all ticks.
    pub(super) const fn new(model: &Model<'_>, rule: &Rule<'_>) -> Self {
        let [a, b, c, d] = Means::ALL;
        let (a, b) = sorted(a.priced(model, rule), b.priced(model, rule));
        let (c, d) = sorted(c.priced(model, rule), d.priced(model, rule));
        let (a, c) = sorted(a, c);
        let (b, d) = sorted(b, d);
        let (b, c) = sorted(b, c);
        Self([a, b, c, d])
    }
}

impl Means {
    const fn priced(self, model: &Model<'_>, rule: &Rule<'_>) -> (Self, u64) {
        match self.most_macs(model, rule) {
            Some(most) => (self, most),
            None => (self, u64::MAX),
        }
    }
}

/// The cheaper one first.
const fn sorted(a: (Means, u64), b: (Means, u64)) -> ((Means, u64), (Means, u64)) {
    if b.1 < a.1 { (b, a) } else { (a, b) }
}
