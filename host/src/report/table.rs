//! The table that `certify` and `radius` print, within 80 columns.

use std::io::{self, Write};

use super::record::Record;
use super::{Heading, Summary};

/// Rows shown before the rest is only counted.
pub const ROWS: usize = 40;

/// Writes the head, the first `limit` rows and the summary.
pub fn write(
    records: &[Record],
    heading: &Heading,
    limit: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    head(heading, out)?;
    rows(records, heading, limit, out)?;
    summary(&Summary::of(records), heading, out)
}

fn is_radius(heading: &Heading) -> bool {
    heading.what == "radius"
}

fn head(h: &Heading, out: &mut dyn Write) -> io::Result<()> {
    let radius = h.epsilon.map(|e| format!(" epsilon {e}")).unwrap_or_default();
    let what = format!("{} {}{radius}", h.what, h.norm);
    let lines = [
        ("model", &h.model),
        ("data", &h.data),
        ("query", &what),
        ("method", &format!("{}, {} semantics, on {}", h.method, h.semantics, h.backend)),
    ];
    for (name, value) in lines {
        writeln!(out, "{name:<8}{}", cut(value, 72))?;
    }
    writeln!(out)
}

fn rows(records: &[Record], h: &Heading, limit: usize, out: &mut dyn Write) -> io::Result<()> {
    let measure = if is_radius(h) { "radius" } else { "margin" };
    let shown = &records[..limit.min(records.len())];
    if !shown.is_empty() {
        writeln!(
            out,
            "{:>8} {:>6} {:>6}  {:<13}  {:<12} {measure:>11} {:>10}",
            "index", "label", "class", "verdict", "method", "seconds"
        )?;
    }
    let class = |c: Option<usize>| c.map_or("-".to_owned(), |c| c.to_string());
    for r in shown {
        let value = if is_radius(h) { r.radius } else { r.margin };
        writeln!(
            out,
            "{:>8} {:>6} {:>6}  {:<13}  {:<12} {:>11} {:>10}",
            r.index,
            class(r.label),
            class(r.predicted),
            r.verdict.name(),
            cut(&r.method, 12),
            value.map_or("-".to_owned(), lower),
            digits(r.seconds),
        )?;
    }
    if records.len() > shown.len() {
        let rest = records.len() - shown.len();
        let more = if shown.is_empty() { "" } else { "more " };
        writeln!(out, "     ... {rest} {more}not shown; --format jsonl or csv lists all")?;
    }
    if records.is_empty() { Ok(()) } else { writeln!(out) }
}

fn summary(s: &Summary, h: &Heading, out: &mut dyn Write) -> io::Result<()> {
    let mut share =
        |name: &str, n: usize| writeln!(out, "{name:<20}{n:>9} {:>8.2} %", s.percent(n));
    share("certified", s.certified)?;
    share("falsified", s.falsified)?;
    share("unknown", s.unknown)?;
    share("misclassified", s.misclassified)?;
    share("samples", s.samples)?;
    writeln!(out)?;
    if is_radius(h) {
        if let Some((mean, median, of)) = s.radius {
            writeln!(
                out,
                "{:<20}mean {}, median {} (of {of} samples)",
                "radius",
                lower(mean),
                lower(median)
            )?;
        }
    } else {
        // A sample counts where it is both answered as labelled and proved.
        writeln!(out, "{:<20}{:.2} %", "certified accuracy", s.percent(s.certified))?;
    }
    if let Some((mean, median, sum)) = s.seconds {
        let (mean, median) = (digits(mean), digits(median));
        writeln!(
            out,
            "{:<20}mean {mean} s, median {median} s, sum {} s",
            "time per instance",
            digits(sum)
        )?;
    }
    Ok(())
}

/// Five significant digits of a lower bound, rounded down: the table must not claim more than was proved.
fn lower(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..=6).contains(&exponent) {
        return down(value, |v| format!("{v:.4e}"), 10f64.powi(exponent - 4));
    }
    let places = (4 - exponent).max(0) as usize;
    down(value, |v| format!("{v:.places$}"), 10f64.powi(-(places as i32)))
}

/// `value` as text that reads back as no more than `value`.
fn down(value: f64, text: impl Fn(f64) -> String, unit: f64) -> String {
    let nearest = text(value);
    match nearest.parse::<f64>() {
        Ok(read) if read > value => text(read - unit),
        _ => nearest,
    }
}

/// Three or four significant digits of a time.
fn digits(seconds: f64) -> String {
    match seconds.abs() {
        0.0 => "0".to_owned(),
        s if s < 1e-4 => format!("{seconds:.2e}"),
        s if s < 1.0 => format!("{seconds:.5}"),
        s if s < 100.0 => format!("{seconds:.3}"),
        _ => format!("{seconds:.1}"),
    }
}

/// The last `width` characters at most: of a path, its end tells more than its beginning.
fn cut(text: &str, width: usize) -> String {
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
    use crate::report::Verdict;
    use crate::report::record::tests::record;

    fn heading(what: &str) -> Heading {
        Heading {
            model: "mnist_3x1024.onnx".into(),
            data: "t10k-images-idx3-ubyte.gz".into(),
            what: what.into(),
            norm: "linf".into(),
            epsilon: (what == "certify").then_some(0.02),
            method: "auto".into(),
            semantics: "real".into(),
            backend: "cpu".into(),
        }
    }

    fn text(records: &[Record], what: &str, limit: usize) -> String {
        let mut out = Vec::new();
        write(records, &heading(what), limit, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn certify() {
        let at = |index, verdict, margin| Record { verdict, margin, radius: None, ..record(index) };
        let records = [
            at(0, Verdict::Certified, Some(1.23456)),
            at(1, Verdict::Unknown, Some(-12.34567)),
            at(2, Verdict::Misclassified, None),
            at(3, Verdict::Certified, Some(2.0)),
        ];
        let expected = "\
model   mnist_3x1024.onnx
data    t10k-images-idx3-ubyte.gz
query   certify linf epsilon 0.02
method  auto, real semantics, on cpu

   index  label  class  verdict        method            margin    seconds
       0      1      1  certified      crown             1.2345    0.25000
       1      1      1  unknown        crown            -12.346    0.25000
     ... 2 more not shown; --format jsonl or csv lists all

certified                   2    50.00 %
falsified                   0     0.00 %
unknown                     1    25.00 %
misclassified               1    25.00 %
samples                     4   100.00 %

certified accuracy  50.00 %
time per instance   mean 0.25000 s, median 0.25000 s, sum 1.000 s
";
        assert_eq!(text(&records, "certify", 2), expected);
    }

    #[test]
    fn radius() {
        let told = text(&[record(0), Record { radius: Some(0.3), ..record(1) }], "radius", ROWS);
        assert!(
            told.contains("radius              mean 0.20000, median 0.20000 (of 2 samples)"),
            "{told}"
        );
        assert!(!told.contains("not shown"), "{told}");
    }

    #[test]
    fn eighty_columns_whatever_the_names() {
        let long = "a".repeat(300);
        let records = [Record {
            index: 12_345_678,
            label: Some(100_000),
            predicted: Some(100_000),
            verdict: Verdict::Misclassified,
            method: long.clone(),
            radius: Some(-1.2345e-300),
            seconds: 123_456.7,
            ..record(0)
        }];
        let heading = Heading { model: long.clone(), backend: long, ..heading("radius") };
        let mut out = Vec::new();
        write(&records, &heading, ROWS, &mut out).unwrap();
        for line in String::from_utf8(out).unwrap().lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn bounds_are_shown_rounded_down() {
        for (value, shown) in [
            (0.199999, "0.19999"),
            (0.1, "0.10000"),
            (-12.34567, "-12.346"),
            (1.00009, "1.0000"),
            (9.99999e-9, "9.9999e-9"),
            (123_456.0, "123456"),
            (0.0, "0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(lower(value), shown);
        }
        for i in 1..5000 {
            let value = (i as f64).sqrt() * 1e-3;
            assert!(lower(value).parse::<f64>().unwrap() <= value);
        }
    }

    #[test]
    fn nothing_to_show_is_still_a_table() {
        assert!(text(&[], "certify", ROWS).contains("samples                     0     0.00 %"));
    }
}
