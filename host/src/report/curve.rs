//! The steps of a share over a threshold.

/// Larger values stand for infinity.
const BEYOND: f64 = 1e300;

/// A share in percent over a threshold, as steps: at each point it falls to the point's share.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Threshold and percent, by increasing threshold.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// The share of `samples` whose value is at least `t`, over `t`.
    ///
    /// It holds the value just before and the value just after every step.
    pub fn at_least(name: impl Into<String>, values: &[f64], samples: usize) -> Self {
        // What no radius violates has no step on any axis.
        let beyond = values.iter().filter(|v| **v > BEYOND).count();
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.abs() <= BEYOND).collect();
        sorted.sort_by(f64::total_cmp);
        let percent = |n: usize| 100.0 * (n + beyond) as f64 / samples.max(1) as f64;
        if sorted.is_empty() && beyond > 0 {
            return Curve { name: name.into(), points: vec![(0.0, percent(0)), (1.0, percent(0))] };
        }
        let mut points = Vec::with_capacity(2 * sorted.len());
        let mut at = 0;
        while at < sorted.len() {
            let value = sorted[at];
            let next = at + sorted[at..].iter().take_while(|v| **v == value).count();
            points.push((value, percent(sorted.len() - at)));
            points.push((value, percent(sorted.len() - next)));
            at = next;
        }
        Curve { name: name.into(), points }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_fall_at_each_value() {
        let curve = Curve::at_least("crown", &[0.2, 0.1, 0.2], 4);
        assert_eq!(curve.points, [(0.1, 75.0), (0.1, 50.0), (0.2, 50.0), (0.2, 0.0)]);
        let curve = Curve::at_least("crown", &[f64::MAX, f64::INFINITY, 0.1, f64::NAN], 4);
        assert_eq!(curve.points, [(0.1, 75.0), (0.1, 50.0)]);
    }
}
