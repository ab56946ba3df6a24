//! The largest certified radius, by bisection on a grid.

/// How fine, and how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Radii tried are whole multiples of this; the result is within one of the largest that
    /// certifies (where certifying is monotone in the radius).
    pub tolerance: f64,
    /// Most radii tried.
    pub budget: usize,
    /// Where to begin; changes how many radii are tried, not the result.
    pub start: f64,
}

/// What a search found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// Largest radius that was certified, 0 if none was.
    pub radius: f64,
    /// Radii tried.
    pub tried: usize,
    /// Whether the budget ended the search before the tolerance was reached.
    pub cut: bool,
}

/// Largest multiple of the tolerance, up to 2^40 of them.
const LARGEST: u64 = 1 << 40;

impl Search {
    /// `k` times the tolerance. A tolerance such as 1e-5 is the inverse of a whole number, and the
    /// quotient by that is a radius that reads well, 0.09926 and not 0.09926000000000001.
    fn multiple(&self, k: u64) -> f64 {
        let inverse = (1.0 / self.tolerance).round();
        if 1.0 / inverse == self.tolerance { k as f64 / inverse } else { k as f64 * self.tolerance }
    }

    /// Finds the largest radius for which `certified` says so: gallops from the start until the
    /// answer changes, then bisects.
    pub fn run(&self, mut certified: impl FnMut(f64) -> bool) -> Found {
        let mut steps = self.begin();
        while let Some(radius) = steps.next() {
            steps.answer(certified(radius));
        }
        steps.found()
    }

    /// The same step by step, for those who search for many at a time.
    pub fn begin(&self) -> Steps {
        let next = ((self.start / self.tolerance) as u64).clamp(1, LARGEST);
        Steps { search: *self, low: 0, high: None, next, stride: 2, tried: 0 }
    }
}

/// A search under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    search: Search,
    /// This multiple certifies (0 is not tried).
    low: u64,
    /// This one does not.
    high: Option<u64>,
    next: u64,
    stride: u64,
    tried: usize,
}

impl Steps {
    /// The radius to be tried, if the search goes on.
    pub fn next(&self) -> Option<f64> {
        let goes_on = self.is_open() && self.tried < self.search.budget;
        goes_on.then(|| self.search.multiple(self.next))
    }

    fn is_open(&self) -> bool {
        self.low < LARGEST && self.high.is_none_or(|high| high - self.low > 1)
    }

    /// Takes whether that radius certifies.
    pub fn answer(&mut self, certified: bool) {
        self.tried += 1;
        if certified {
            self.low = self.next;
        } else {
            self.high = Some(self.next);
        }
        self.next = match (self.low, self.high) {
            (0, Some(high)) => (high / self.stride).max(1),
            (low, None) => low.saturating_mul(self.stride).min(LARGEST),
            (low, Some(high)) => low + (high - low) / 2,
        };
        // Gallop faster the further off the start was.
        self.stride = (self.stride * 2).min(1 << 20);
    }

    /// What has been found so far.
    pub fn found(&self) -> Found {
        Found { radius: self.search.multiple(self.low), tried: self.tried, cut: self.is_open() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_threshold_from_any_start() {
        for threshold in [0.0, 0.4, 1.0, 3.0, 17.5, 1000.0, 123_456.7] {
            for start in [0.0, 1.0, 30.0, 1e5] {
                let search = Search { tolerance: 0.25, budget: 100, start };
                let found = search.run(|radius| radius <= threshold);
                assert_eq!(found.radius, (threshold / 0.25f64).floor() * 0.25, "{start}");
                assert!(!found.cut && found.tried < 60);
            }
        }
    }

    #[test]
    fn radii_read_well_and_are_those_that_were_tried() {
        let mut tried = Vec::new();
        let search = Search { tolerance: 1e-5, budget: 60, start: 0.01 };
        let found = search.run(|radius| {
            tried.push(radius);
            radius <= 0.099265
        });
        assert_eq!(found.radius.to_string(), "0.09926");
        assert!(tried.contains(&found.radius));
        let search = Search { tolerance: 3.0, ..search };
        assert_eq!(search.run(|radius| radius < 10.0).radius, 9.0);
    }

    #[test]
    fn a_budget_ends_it_below_the_threshold() {
        let search = Search { tolerance: 1e-9, budget: 5, start: 1.0 };
        let found = search.run(|radius| radius <= 100.0);
        assert!(found.cut && found.tried == 5 && found.radius <= 100.0 && found.radius > 0.0);
        let found = Search { budget: 0, ..search }.run(|_| true);
        assert!(found.cut && found.radius == 0.0);
    }

    #[test]
    fn without_end_it_stops() {
        let search = Search { tolerance: 1.0, budget: 1000, start: 1.0 };
        assert_eq!(search.run(|_| true).radius, LARGEST as f64);
    }
}
