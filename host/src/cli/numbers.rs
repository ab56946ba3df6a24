//! Numbers on the command line.

use certus_engine::region::Norm;

use crate::error::{Error, Result};

/// The largest f32 that is not above `x`.
pub fn down(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) > x { nearest.next_down() } else { nearest }
}

/// The smallest f32 that is not below `x`.
pub fn up(x: f64) -> f32 {
    -down(-x)
}

/// `1,2,3`, or one value for all of `count`, which are called so; all of a magnitude below `most`,
/// or any, infinite ones too.
///
/// # Errors
/// The option, what it says and what was expected.
pub fn numbers(
    option: &str,
    text: &str,
    (count, called): (usize, &str),
    most: Option<f32>,
) -> Result<Vec<f64>> {
    let fits = |x: &f64| most.map_or(!x.is_nan(), |most| up(x.abs()) < most);
    let parse = |part: &str| part.trim().parse().ok().filter(fits);
    let values = text.split(',').map(parse).collect::<Option<Vec<_>>>();
    let wrong = |found: &str| {
        let kind = if most.is_some() { "finite numbers" } else { "numbers" };
        let expected = format!("expected {kind}, one or as many as the {count} {called}");
        Err(Error::Usage(format!("{option} '{text}': {found}, {expected}")))
    };
    match values {
        None => wrong("not all numbers"),
        Some(values) if values.len() == 1 => Ok(vec![values[0]; count]),
        Some(values) if values.len() == count => Ok(values),
        Some(values) => wrong(&format!("{} numbers", values.len())),
    }
}

/// Largest radius accepted: far above any input's scale, far below where f32 bounds overflow.
pub const LARGEST_EPSILON: f64 = 1e12;

/// Ends of a box are below this, which the engine asks of coordinates.
pub const LARGEST_END: f32 = (1u128 << 100) as f32;

/// Parses a radius: finite, positive, not huge.
///
/// # Errors
/// A text that says so, for the argument parser.
pub fn parse_epsilon(text: &str) -> std::result::Result<f64, String> {
    parse_length("radius", text)
}

/// Parses the length of a step, in the same range.
///
/// # Errors
/// A text that says so, for the argument parser.
pub fn parse_step(text: &str) -> std::result::Result<f64, String> {
    parse_length("step", text)
}

fn parse_length(what: &str, text: &str) -> std::result::Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if value > 0.0 && value <= LARGEST_EPSILON {
        Ok(value)
    } else {
        Err(format!("expected a {what} above 0 and at most {LARGEST_EPSILON:e}"))
    }
}

/// Parses a norm: `linf`, `l2`, `l1`, or `lP` for a number P of at least 1; the `l` may be left out.
///
/// P is a number of single precision, which the decimal number given shall be as it is printed: so
/// the norm that is named is the one that is measured.
///
/// # Errors
/// A text that says what was expected, for the argument parser.
pub fn parse_norm(text: &str) -> std::result::Result<Norm, String> {
    let expected = "expected linf, l2, l1, or lP for a number P of at least 1";
    let wide: f64 = text.strip_prefix('l').unwrap_or(text).parse().map_err(|_| expected)?;
    if wide < 1.0 {
        return Err(format!("{wide} is below 1, where lP is no norm: {expected}"));
    }
    let p = wide as f32;
    let norm = Norm::new(p).ok_or(expected)?;
    if p.to_string().parse() == Ok(wide) {
        Ok(norm)
    } else {
        Err(format!("{wide} is not kept in single precision: the nearest is {norm}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_are_named_as_they_are_measured() {
        for (text, name) in [
            ("linf", "linf"),
            ("inf", "linf"),
            ("l2", "l2"),
            ("2", "l2"),
            ("2.0", "l2"),
            ("l1", "l1"),
            ("l1.5", "l1.5"),
            ("1.1", "l1.1"),
            ("l1e3", "l1000"),
            ("l1.3333334", "l1.3333334"),
        ] {
            assert_eq!(parse_norm(text).map(|norm| norm.to_string()).as_deref(), Ok(name));
        }
        for (text, told) in [
            ("l0.5", "0.5 is below 1, where lP is no norm"),
            ("0.99999999999", "is below 1"),
            ("-1", "-1 is below 1"),
            ("l0", "0 is below 1"),
            ("-inf", "-inf is below 1"),
            ("1.00000001", "not kept in single precision: the nearest is l1"),
            ("l1.3333333333", "the nearest is l1.3333334"),
            ("1e39", "not kept in single precision"),
            ("nan", "expected linf, l2, l1, or lP"),
            ("l", "expected linf, l2, l1, or lP"),
            ("", "expected linf, l2, l1, or lP"),
            ("ll2", "expected linf, l2, l1, or lP"),
            ("L2", "expected linf, l2, l1, or lP"),
        ] {
            let error = parse_norm(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn boxes_are_rounded_outward() {
        for x in [0.1, -0.1, 0.5, 0.0, 1e-46, -1e-46, 1e30] {
            assert!(f64::from(down(x)) <= x && x <= f64::from(up(x)), "{x}");
            assert!(up(x) == down(x) || up(x) == down(x).next_up(), "{x}");
        }
        assert_eq!((down(0.5), up(0.5)), (0.5, 0.5));
    }

    #[test]
    fn radii_are_positive_and_not_huge() {
        assert_eq!(parse_epsilon("1e-3"), Ok(1e-3));
        for wrong in ["0", "-1", "nan", "inf", "1e13", "", "x", "1e-400"] {
            assert!(parse_epsilon(wrong).is_err(), "{wrong}");
        }
    }
}
