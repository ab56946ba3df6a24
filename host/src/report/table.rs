//! The table that `certify`, `radius` and `attack` print, within 80 columns.

use std::io::{self, Write};

use super::number::{cut, lower, percent, percent_up, time, upper};
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

/// The lines that every table begins with: what was asked, of what, and how it was answered.
pub(super) fn head(h: &Heading, out: &mut dyn Write) -> io::Result<()> {
    let epsilon = h.epsilon.map(|e| format!(", epsilon {e}")).unwrap_or_default();
    let norm = if h.norm.is_empty() { String::new() } else { format!(" {}", h.norm) };
    let lines = [
        ("model", h.model.clone()),
        ("data", h.data.clone()),
        ("query", format!("{}{norm}{epsilon}", h.what)),
        ("method", format!("{}, {} semantics, on {}", h.method, h.semantics, h.backend)),
    ];
    for (name, value) in lines {
        writeln!(out, "{name:<8}{}", cut(&value, 72))?;
    }
    writeln!(out)
}

fn rows(records: &[Record], h: &Heading, limit: usize, out: &mut dyn Write) -> io::Result<()> {
    let shown = &records[..limit.min(records.len())];
    // The bracket takes the method's place: the head has told it.
    let bracket = is_radius(h) && records.iter().any(|r| r.attacked.is_some());
    if !shown.is_empty() {
        let (third, fourth) = match (bracket, is_radius(h)) {
            (true, _) => ("radius", "attacked"),
            (_, true) => ("method", "radius"),
            _ => ("method", "margin"),
        };
        let third = if bracket { format!("{third:>12}") } else { format!("{third:<12}") };
        writeln!(
            out,
            "{:>8} {:>6} {:>6}  {:<13}  {third} {fourth:>11} {:>10}",
            "index", "label", "class", "verdict", "time"
        )?;
    }
    let class = |c: Option<usize>| c.map_or("-".to_owned(), |c| c.to_string());
    let or_dash = |text: Option<String>| text.unwrap_or("-".to_owned());
    for r in shown {
        let (third, fourth) = match (bracket, is_radius(h)) {
            (true, _) => (format!("{:>12}", or_dash(r.radius.map(lower))), r.attacked.map(upper)),
            (_, true) => (format!("{:<12}", cut(&r.method, 12)), r.radius.map(lower)),
            // Under attack, a margin is an upper bound.
            _ if h.what == "attack" => (format!("{:<12}", cut(&r.method, 12)), r.margin.map(upper)),
            _ => (format!("{:<12}", cut(&r.method, 12)), r.margin.map(lower)),
        };
        writeln!(
            out,
            "{:>8} {:>6} {:>6}  {:<13}  {third} {:>11} {:>10}",
            r.index,
            class(r.label),
            class(r.predicted),
            r.verdict.name(),
            or_dash(fourth),
            time(r.seconds),
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
        |name: &str, n: usize| writeln!(out, "{name:<20}{n:>9} {:>10}", percent(n, s.samples));
    share("certified", s.certified)?;
    share("falsified", s.falsified)?;
    share("unknown", s.unknown)?;
    share("misclassified", s.misclassified)?;
    if let Some(exact) = s.exact {
        share("exact distance", exact)?;
    }
    share("samples", s.samples)?;
    writeln!(out)?;
    if let (true, Some((mean, median))) = (is_radius(h), s.radius) {
        let note = if s.misclassified > 0 { " (misclassified as 0)" } else { "" };
        let (mean, median) = (lower(mean), lower(median));
        writeln!(out, "{:<20}mean {mean}, median {median}{note}", "radius")?;
    }
    // Where it is known for exact distances only, its mean says nothing beside all radii.
    if let (true, Some((mean, median)), None) = (is_radius(h), s.attacked, s.exact) {
        let (mean, median) = (upper(mean), upper(median));
        writeln!(out, "{:<20}mean {mean}, median {median}, where one is found", "attacked")?;
    }
    if h.what == "certify" && s.labelled {
        // A sample counts where it is both answered as labelled and proved.
        writeln!(out, "{:<20}{}", "certified accuracy", percent(s.certified, s.samples))?;
    }
    if !is_radius(h) && s.labelled {
        let least = percent(s.falsified + s.misclassified, s.samples);
        let most = match h.what.as_str() {
            "attack" => "or more".to_owned(),
            _ => format!("to {}", percent_up(s.samples - s.certified, s.samples)),
        };
        writeln!(out, "{:<20}{least} {most}", "robust error")?;
    }
    if let Some((mean, median, sum)) = s.seconds {
        let (mean, median, sum) = (time(mean), time(median), time(sum));
        writeln!(out, "{:<20}mean {mean}, median {median}, sum {sum}", "time per sample")?;
    }
    Ok(())
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
query   certify linf, epsilon 0.02
method  auto, real semantics, on cpu

   index  label  class  verdict        method            margin       time
       0      1      1  certified      crown             1.2345     250 ms
       1      1      1  unknown        crown            -12.346     250 ms
     ... 2 more not shown; --format jsonl or csv lists all

certified                   2    50.00 %
falsified                   0     0.00 %
unknown                     1    25.00 %
misclassified               1    25.00 %
samples                     4   100.00 %

certified accuracy  50.00 %
robust error        25.00 % to 50.00 %
time per sample     mean 250 ms, median 250 ms, sum 1.00 s
";
        assert_eq!(text(&records, "certify", 2), expected);
    }

    #[test]
    fn radius() {
        let told = text(&[record(0), Record { radius: Some(0.3), ..record(1) }], "radius", ROWS);
        assert!(told.contains("radius              mean 0.20000, median 0.20000"), "{told}");
        assert!(!told.contains("not shown"), "{told}");
    }

    #[test]
    fn attacks() {
        let at = |index, verdict, margin| Record {
            verdict,
            margin,
            radius: None,
            method: "pgd".into(),
            ..record(index)
        };
        let records = [
            at(0, Verdict::Falsified, Some(-0.123456)),
            at(1, Verdict::Unknown, Some(1.23456)),
            at(2, Verdict::Misclassified, None),
        ];
        let told = text(&records, "attack", ROWS);
        assert!(told.contains("falsified      pgd             -0.12345 "), "{told}");
        assert!(told.contains("unknown        pgd               1.2346 "), "{told}");
        assert!(told.contains("robust error        66.66 % or more\n"), "{told}");
        assert!(!told.contains("certified accuracy"), "{told}");
    }

    #[test]
    fn brackets() {
        let attacked = Record { attacked: Some(0.123451), ..record(0) };
        let told = text(&[attacked, record(1)], "radius", ROWS);
        assert!(told.contains("      radius    attacked       time\n"), "{told}");
        assert!(told.contains("     0.10000     0.12346     250 ms\n"), "{told}");
        assert!(told.contains("     0.10000           -     250 ms\n"), "{told}");
        assert!(told.contains("attacked            mean 0.12346, median 0.12346"), "{told}");
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
            attacked: Some(-1.2345e-300),
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
    fn nothing_to_show_is_still_a_table() {
        assert!(text(&[], "certify", ROWS).contains("samples                     0     0.00 %"));
    }
}
