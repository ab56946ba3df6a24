//! One instance's result, as it is written and read back.

use serde::{Deserialize, Serialize};

/// What became of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Proved for the whole region.
    Certified,
    /// A replayed input of the region violates it.
    Falsified,
    /// Neither.
    Unknown,
    /// The network's own answer at the centre is not the label.
    Misclassified,
}

impl Verdict {
    /// The word that stands in every output.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Certified => "certified",
            Verdict::Falsified => "falsified",
            Verdict::Unknown => "unknown",
            Verdict::Misclassified => "misclassified",
        }
    }
}

/// One JSON line; what does not apply is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Row in the data file, from 0.
    pub index: usize,
    /// The label, where the data has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<usize>,
    /// The class that the network answers at the centre.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub predicted: Option<usize>,
    /// The verdict.
    pub verdict: Verdict,
    /// The method that settled it, or the last one tried.
    pub method: String,
    /// Smallest lower bound of the specification over the region; under `attack`, the least upper
    /// bound of it at a point of the region, at most 0 where that falsifies.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub margin: Option<f64>,
    /// Largest certified radius (`radius` only).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub radius: Option<f64>,
    /// Smallest distance of a replayed input with another answer, never below the true one: the
    /// true radius is at most this (`radius` that attacks, or finds exact distances).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attacked: Option<f64>,
    /// Whether the distance of the nearest input with another answer is proved to lie from `radius`
    /// to `attacked`, equal up to rounding (`radius --exact` and region search).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exact: Option<bool>,
    /// Radius asked for (`certify` and `attack`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub epsilon: Option<f64>,
    /// `linf`, `l2` or `l1`.
    pub norm: String,
    /// `real` or `deployed`.
    pub semantics: String,
    /// `cpu`, or the adapter's name.
    pub backend: String,
    /// Wall-clock seconds spent on this instance.
    pub seconds: f64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A certified radius of 0.1 for sample `index`.
    pub(crate) fn record(index: usize) -> Record {
        Record {
            index,
            label: Some(1),
            predicted: Some(1),
            verdict: Verdict::Certified,
            method: "crown".into(),
            margin: None,
            radius: Some(0.1),
            attacked: None,
            exact: None,
            epsilon: None,
            norm: "linf".into(),
            semantics: "real".into(),
            backend: "cpu".into(),
            seconds: 0.25,
        }
    }

    #[test]
    fn names_are_those_of_the_json() {
        for v in [Verdict::Certified, Verdict::Falsified, Verdict::Unknown, Verdict::Misclassified]
        {
            assert_eq!(serde_json::to_string(&v).unwrap(), format!("\"{}\"", v.name()));
        }
    }
}
