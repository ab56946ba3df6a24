//! Results as CSV: a header and a row per instance, the fields of the JSON lines by the same names.

use std::io::{self, Write};

use super::record::Record;

/// The columns, in order.
pub const COLUMNS: [&str; 14] = [
    "index",
    "label",
    "predicted",
    "verdict",
    "method",
    "margin",
    "radius",
    "attacked",
    "exact",
    "epsilon",
    "norm",
    "semantics",
    "backend",
    "seconds",
];

/// Writes the header and all of `records`; what does not apply is empty.
pub fn write(records: &[Record], out: &mut dyn Write) -> io::Result<()> {
    header(out)?;
    rows(records, out)
}

/// Writes the header alone.
pub fn header(out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    csv.flush()
}

/// Writes `records` without a header.
pub fn rows(records: &[Record], out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    for record in records {
        csv.write_record(row(record))?;
    }
    csv.flush()
}

fn row(r: &Record) -> [String; 14] {
    let whole = |n: Option<usize>| n.map(|n| n.to_string()).unwrap_or_default();
    [
        r.index.to_string(),
        whole(r.label),
        whole(r.predicted),
        r.verdict.name().to_owned(),
        r.method.clone(),
        real(r.margin),
        real(r.radius),
        real(r.attacked),
        r.exact.map(|exact| exact.to_string()).unwrap_or_default(),
        real(r.epsilon),
        r.norm.clone(),
        r.semantics.clone(),
        r.backend.clone(),
        real(Some(r.seconds)),
    ]
}

/// The shortest text that reads back as the same number, with an exponent where plain digits are many.
pub(super) fn real(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(v) if v == 0.0 || !v.is_finite() || (1e-5..1e16).contains(&v.abs()) => v.to_string(),
        Some(v) => format!("{v:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::tests::record;

    #[test]
    fn a_row_per_record() {
        let records = [
            record(0),
            Record {
                label: None,
                radius: None,
                margin: Some(-1e-9),
                backend: "A, \"B\"".into(),
                ..record(7)
            },
        ];
        let mut out = Vec::new();
        write(&records, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "index,label,predicted,verdict,method,margin,radius,attacked,exact,epsilon,norm,semantics,backend,seconds\n\
             0,1,1,certified,crown,,0.1,,,,linf,real,cpu,0.25\n\
             7,,1,certified,crown,-1e-9,,,,,linf,real,\"A, \"\"B\"\"\",0.25\n"
        );
    }

    #[test]
    fn no_records_leave_the_header() {
        let mut out = Vec::new();
        write(&[], &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 1);
    }
}
