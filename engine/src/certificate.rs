//! What a bound proves.

/// The answer to "does the specification hold on the whole region?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proved.
    Certified,
    /// A concrete input violates it.
    Falsified,
    /// Neither is proved.
    Unknown,
}

/// The verdict of lower bounds of the rows of a specification that asks each row to be positive.
///
/// `Certified` if every bound is a number above 0; a NaN, an infinity of either sign or an empty
/// list proves nothing.
pub fn verdict(bounds: &[f32]) -> Verdict {
    if !bounds.is_empty() && bounds.iter().all(|b| *b > 0.0 && b.is_finite()) {
        Verdict::Certified
    } else {
        Verdict::Unknown
    }
}

/// The smallest lower bound, `None` if any is not finite or there is none.
pub fn margin(bounds: &[f32]) -> Option<f32> {
    let mut least = None;
    for b in bounds {
        if !b.is_finite() {
            return None;
        }
        if least.is_none_or(|least| *b < least) {
            least = Some(*b);
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_odd_certifies() {
        assert_eq!(verdict(&[0.5, 1e-30]), Verdict::Certified);
        for bad in [f32::NAN, 0.0, -0.0, -1.0, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(verdict(&[1.0, bad]), Verdict::Unknown, "{bad}");
        }
        assert_eq!(verdict(&[]), Verdict::Unknown);
        assert_eq!(margin(&[2.0, 1.0]), Some(1.0));
        assert_eq!(margin(&[2.0, f32::NAN]), None);
    }
}
