//! Numbers as people read them: bounds rounded to the safe side, times with a unit.

/// Five significant digits of a lower bound, rounded down: a table must not claim more than was proved.
pub fn lower(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        // No minus before a zero.
        return (value + 0.0).to_string();
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..=6).contains(&exponent) {
        return down(value, |v| format!("{v:.4e}"), 10f64.powi(exponent - 4));
    }
    let places = (4 - exponent).max(0) as usize;
    down(value, |v| format!("{v:.places$}"), 10f64.powi(-(places as i32)))
}

/// Five significant digits of an upper bound, rounded up.
pub fn upper(value: f64) -> String {
    let text = lower(-value);
    match text.strip_prefix('-') {
        Some(text) => text.to_owned(),
        None if text == "0" || text == "NaN" => text,
        None => format!("-{text}"),
    }
}

/// `value` as text that reads back as no more than `value`.
fn down(value: f64, text: impl Fn(f64) -> String, unit: f64) -> String {
    let nearest = text(value);
    match nearest.parse::<f64>() {
        Ok(read) if read > value => text(read - unit),
        _ => nearest,
    }
}

/// Three significant digits of a time in the unit that suits it.
pub fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 999.5e-6 => (s * 1e6, "µs"),
        s if s < 999.5e-3 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{} {unit}", three(value))
}

/// Three significant digits of a count, in thousands, millions, and so on where there are more.
pub fn count(value: f64) -> String {
    let units = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.iter().find(|(unit, _)| value >= 0.9995 * unit) {
        Some((unit, name)) => format!("{} {name}", three(value / unit)),
        None if value.fract() == 0.0 => value.to_string(),
        None => three(value),
    }
}

fn three(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// `part` of `whole` in percent with two places, rounded down; 0 where there is no whole.
pub fn percent(part: usize, whole: usize) -> String {
    hundredths((part as u128 * 10_000).checked_div(whole as u128).unwrap_or(0))
}

/// As [`percent`], rounded up.
pub fn percent_up(part: usize, whole: usize) -> String {
    let parts = part as u128 * 10_000;
    hundredths(if whole == 0 { 0 } else { parts.div_ceil(whole as u128) })
}

fn hundredths(n: u128) -> String {
    format!("{}.{:02} %", n / 100, n % 100)
}

/// The last `width` characters at most: of a path, its end tells more than its beginning.
pub fn cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let tail: String = text.chars().skip(length - (width - 3)).collect();
    format!("...{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_to_the_safe_side() {
        for (value, down, up) in [
            (0.199999, "0.19999", "0.20000"),
            (0.1, "0.10000", "0.10000"),
            (-12.34567, "-12.346", "-12.345"),
            (1.00009, "1.0000", "1.0001"),
            (9.99999e-9, "9.9999e-9", "1.0000e-8"),
            (123_456.0, "123456", "123456"),
            (0.0, "0", "0"),
            (-0.0, "0", "0"),
            (f64::INFINITY, "inf", "inf"),
            (f64::NEG_INFINITY, "-inf", "-inf"),
        ] {
            assert_eq!((lower(value).as_str(), upper(value).as_str()), (down, up));
        }
        for i in 1..5000 {
            let value = (i as f64).sqrt() * 1e-3;
            for value in [value, -value] {
                assert!(lower(value).parse::<f64>().unwrap() <= value);
                assert!(upper(value).parse::<f64>().unwrap() >= value);
            }
        }
    }

    #[test]
    fn times_have_a_unit() {
        for (seconds, text) in [
            (0.0, "0 µs"),
            (1.77e-6, "1.77 µs"),
            (1.1e-4, "110 µs"),
            (0.9996e-3, "1.00 ms"),
            (0.01419, "14.2 ms"),
            (1.0, "1.00 s"),
            (123_456.7, "123457 s"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn counts_and_shares() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(22.83), "22.8");
        assert_eq!(count(300.0), "300");
        assert_eq!(count(6.3307e7), "63.3 M");
        assert_eq!(count(999_900.0), "1.00 M");
        assert_eq!(percent(29, 100), "29.00 %");
        assert_eq!(percent(99_999, 100_000), "99.99 %");
        assert_eq!(percent_up(1, 100_000), "0.01 %");
        assert_eq!((percent_up(29, 100), percent_up(0, 0)), ("29.00 %".into(), "0.00 %".into()));
        assert_eq!(percent(2, 2), "100.00 %");
        assert_eq!(percent(0, 0), "0.00 %");
    }
}
