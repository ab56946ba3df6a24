//! One JSON object a line.

use std::io::{self, Write};
use std::path::Path;

use super::record::Record;
use crate::error::{Error, Result};

/// `record` as one line with its end.
///
/// JSON has no infinity: a bound of +inf is written as the largest f64, which it exceeds, and a bound
/// of -inf or NaN, which says nothing, is absent.
pub fn line(record: &Record) -> io::Result<String> {
    let lower = |bound: Option<f64>| bound.map(|b| b.min(f64::MAX)).filter(|b| b.is_finite());
    let stored = Record {
        // `min` would make a number of NaN.
        margin: lower(record.margin.filter(|m| !m.is_nan())),
        radius: lower(record.radius.filter(|r| !r.is_nan())),
        attacked: record.attacked.filter(|a| a.is_finite()),
        epsilon: record.epsilon.filter(|e| e.is_finite()),
        seconds: if record.seconds.is_finite() { record.seconds } else { 0.0 },
        ..record.clone()
    };
    let mut text = serde_json::to_string(&stored)?;
    text.push('\n');
    Ok(text)
}

/// Writes one line and flushes it: whoever reads along sees each result when it is there.
pub fn write(record: &Record, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(line(record)?.as_bytes())?;
    out.flush()
}

/// What [`parse`] finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed<'a> {
    /// Each record with its line as it stands, without the line's end.
    pub lines: Vec<(Record, &'a str)>,
    /// Bytes up to the end of the last whole line; what follows was cut off while it was written.
    pub whole: usize,
}

/// The records of `text`. A last line without its end is left out; empty lines are passed over.
///
/// # Errors
/// A whole line that is no record, with its number.
pub fn parse<'a>(text: &'a [u8], file: &Path) -> Result<Parsed<'a>> {
    let whole = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    let mut lines = Vec::new();
    for (number, raw) in text[..whole].split(|&b| b == b'\n').enumerate() {
        if raw.trim_ascii().is_empty() {
            continue;
        }
        let place = || format!("line {}", number + 1);
        let line =
            std::str::from_utf8(raw).map_err(|e| Error::input(file, place(), e.to_string()))?;
        let record = serde_json::from_str(line).map_err(|e| {
            Error::input(file, place(), format!("{e}, expected one result as JSON"))
        })?;
        lines.push((record, line));
    }
    Ok(Parsed { lines, whole })
}

/// Reads a file of records; a last line that was cut off is left out.
///
/// # Errors
/// See [`parse`].
pub fn read(file: &Path) -> Result<Vec<Record>> {
    let text = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    Ok(parse(&text, file)?.lines.into_iter().map(|(record, _)| record).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::tests::record;

    #[test]
    fn a_line_holds_what_applies_and_nothing_else() {
        let text = line(&record(3)).unwrap();
        assert_eq!(
            text,
            "{\"index\":3,\"label\":1,\"predicted\":1,\"verdict\":\"certified\",\"method\":\"crown\",\
             \"radius\":0.1,\"norm\":\"linf\",\"semantics\":\"real\",\"backend\":\"cpu\",\"seconds\":0.25}\n"
        );
    }

    #[test]
    fn numbers_return_to_the_last_bit() {
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..20_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let value = f64::from_bits(seed);
            if !value.is_finite() {
                continue;
            }
            let sent = Record { radius: Some(value), ..record(0) };
            let text = line(&sent).unwrap();
            let got = parse(text.as_bytes(), Path::new("x")).unwrap().lines.remove(0).0;
            assert_eq!(got.radius.unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn infinite_bounds_stay_lower_bounds() {
        let sent =
            Record { radius: Some(f64::INFINITY), margin: Some(f64::NEG_INFINITY), ..record(0) };
        let text = line(&sent).unwrap();
        let got = parse(text.as_bytes(), Path::new("x")).unwrap().lines.remove(0).0;
        assert_eq!((got.radius, got.margin), (Some(f64::MAX), None));
        let text = line(&Record { radius: Some(f64::NAN), ..record(0) }).unwrap();
        assert!(!text.contains("radius"), "{text}");
    }

    #[test]
    fn a_cut_last_line_is_left_out_and_a_broken_one_refused() {
        let (a, b) = (line(&record(0)).unwrap(), line(&record(1)).unwrap());
        let text = format!("{a}\n{}", &b[..b.len() - 1]);
        let parsed = parse(text.as_bytes(), Path::new("x")).unwrap();
        assert_eq!((parsed.lines.len(), parsed.whole), (1, a.len() + 1));
        let text = format!("{a}{{\"index\":}}\n{b}");
        let told = parse(text.as_bytes(), Path::new("x")).unwrap_err().to_string();
        assert!(told.starts_with("x: line 2: "), "{told}");
    }
}
