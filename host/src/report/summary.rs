//! Counts and averages over a run.

use super::record::{Record, Verdict};

/// What a run's records amount to.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// All samples.
    pub samples: usize,
    /// Proved.
    pub certified: usize,
    /// Violated by a replayed input.
    pub falsified: usize,
    /// Neither.
    pub unknown: usize,
    /// Wrong already at the centre.
    pub misclassified: usize,
    /// Whether any sample has a label: without one, nothing can be misclassified.
    pub labelled: bool,
    /// Mean and median radius over the samples that have one; a misclassified one has 0.
    pub radius: Option<(f64, f64)>,
    /// Mean and median distance of the nearest replayed input with another answer, over the samples
    /// that have one; a misclassified one has 0 where any other was attacked.
    pub attacked: Option<(f64, f64)>,
    /// Samples whose exact distance is proved, where that was asked for.
    pub exact: Option<usize>,
    /// Mean and median seconds per instance, and the sum.
    pub seconds: Option<(f64, f64, f64)>,
}

impl Summary {
    /// Sums up `records`.
    pub fn of(records: &[Record]) -> Self {
        let count = |v| records.iter().filter(|r| r.verdict == v).count();
        let radii: Vec<f64> = records.iter().filter_map(|r| r.radius).collect();
        let mut attacked: Vec<f64> = records.iter().filter_map(|r| r.attacked).collect();
        if !attacked.is_empty() {
            attacked.resize(attacked.len() + count(Verdict::Misclassified), 0.0);
        }
        let seconds: Vec<f64> = records.iter().map(|r| r.seconds).collect();
        Summary {
            samples: records.len(),
            certified: count(Verdict::Certified),
            falsified: count(Verdict::Falsified),
            unknown: count(Verdict::Unknown),
            misclassified: count(Verdict::Misclassified),
            labelled: records.iter().any(|r| r.label.is_some()),
            radius: average(&radii).map(|(mean, median, _)| (mean, median)),
            attacked: average(&attacked).map(|(mean, median, _)| (mean, median)),
            exact: records
                .iter()
                .any(|r| r.exact.is_some())
                .then(|| records.iter().filter(|r| r.exact == Some(true)).count()),
            seconds: average(&seconds),
        }
    }
}

/// Mean, median and sum.
fn average(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    let median = if sorted.len() % 2 == 1 { upper } else { (sorted[half - 1] + upper) / 2.0 };
    let sum: f64 = sorted.iter().sum();
    Some((sum / sorted.len() as f64, median, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::tests::record;

    #[test]
    fn counts_and_averages() {
        let with = |verdict, radius| Record { verdict, radius, ..record(0) };
        let records = [
            with(Verdict::Certified, Some(0.1)),
            with(Verdict::Certified, Some(0.2)),
            with(Verdict::Certified, Some(0.6)),
            with(Verdict::Unknown, Some(0.0)),
            with(Verdict::Misclassified, None),
        ];
        let s = Summary::of(&records);
        assert_eq!(
            (s.samples, s.certified, s.falsified, s.unknown, s.misclassified),
            (5, 3, 0, 1, 1)
        );
        let (mean, median) = s.radius.unwrap();
        assert!((mean - 0.225).abs() < 1e-15 && (median - 0.15).abs() < 1e-15);
        assert_eq!(s.seconds, Some((0.25, 0.25, 1.25)));
        assert!(s.labelled && s.attacked.is_none());
    }

    #[test]
    fn attacked_distances_count_the_misclassified_as_0() {
        let with = |verdict, attacked| Record { verdict, attacked, ..record(0) };
        let records = [
            with(Verdict::Certified, Some(0.3)),
            with(Verdict::Certified, None),
            with(Verdict::Misclassified, None),
        ];
        assert_eq!(Summary::of(&records).attacked, Some((0.15, 0.15)));
    }

    #[test]
    fn nothing_has_no_average() {
        let s = Summary::of(&[]);
        assert_eq!((s.radius, s.seconds, s.labelled), (None, None, false));
    }
}
