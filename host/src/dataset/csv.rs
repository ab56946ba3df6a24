//! Numbers as text, one sample a line, with a comma, semicolon or tab between them.

use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};

use super::array::label;
use super::source::MAX_VALUES;
use super::{CsvLabels, Dataset};
use crate::error::{Error, Result};

/// Reads samples; a header line, empty lines and lines that begin with `#` are passed over.
///
/// # Errors
/// A line with more or fewer fields than the first, a field that is no finite number, a label that
/// is no integer of at least 0; each with its row (from 0), line and field (both from 1).
pub(super) fn parse(bytes: &[u8], file: &Path, labelled: CsvLabels) -> Result<Dataset> {
    let mut inputs = Vec::new();
    let mut labels = Vec::new();
    let (mut rows, mut fields) = (0, 0);
    each_row(bytes, file, |row, place, record| {
        if row == 0 {
            fields = record.len();
        }
        if record.len() != fields {
            let message = format!("{} fields, expected {fields} as in row 0", record.len());
            return Err(Error::input(file, place, message));
        }
        let at = match labelled {
            CsvLabels::First => Some(0),
            CsvLabels::Last => Some(fields - 1),
            CsvLabels::None => None,
        };
        for (i, field) in record.iter().enumerate() {
            if at == Some(i) {
                labels.push(read_label(field, file, place)?);
            } else {
                inputs.push(read_number(field, file, place, i)?);
            }
        }
        rows = row + 1;
        if inputs.len() > MAX_VALUES {
            let message = format!("expected at most {MAX_VALUES} numbers in the file");
            return Err(Error::input(file, place, message));
        }
        Ok(())
    })?;
    let has_labels = labelled != CsvLabels::None;
    let cols = fields.saturating_sub(usize::from(has_labels));
    if rows > 0 && cols == 0 {
        let message = "one field a line, expected a label and inputs; is this the labels file?";
        return Err(Error::input(file, "row 0", message));
    }
    Ok(Dataset { inputs, rows, cols, labels: has_labels.then_some(labels), shape: vec![cols] })
}

/// Reads a file of one label a line.
pub(super) fn parse_labels(bytes: &[u8], file: &Path) -> Result<Vec<usize>> {
    let mut labels = Vec::new();
    each_row(bytes, file, |_, place, record| {
        if record.len() != 1 {
            let message = format!("{} fields, expected one label a line", record.len());
            return Err(Error::input(file, place, message));
        }
        labels.push(read_label(&record[0], file, place)?);
        Ok(())
    })?;
    Ok(labels)
}

/// Hands on every line that holds a sample, with its row from 0 and its place in words.
fn each_row(
    bytes: &[u8],
    file: &Path,
    mut take: impl FnMut(usize, &str, &ByteRecord) -> Result<()>,
) -> Result<()> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = reader(bytes);
    let mut record = ByteRecord::new();
    let (mut row, mut first) = (0, true);
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(e) => return Err(Error::input(file, format!("row {row}"), e.to_string())),
        }
        if record.len() == 1 && record[0].is_empty() {
            continue;
        }
        if !(first && is_header(&record)) {
            let line = record.position().map_or(0, csv::Position::line);
            take(row, &format!("row {row} (line {line})"), &record)?;
            row += 1;
        }
        first = false;
    }
}

fn reader(bytes: &[u8]) -> Reader<&[u8]> {
    let line = bytes
        .split(|&b| b == b'\n')
        .find(|l| !l.starts_with(b"#") && !l.trim_ascii().is_empty())
        .unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().find(|d| line.contains(d)).unwrap_or(b',');
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(Trim::All)
        .delimiter(delimiter)
        .from_reader(bytes)
}

/// A header has a word first, or no number at all; a damaged first row has neither.
fn is_header(record: &ByteRecord) -> bool {
    let word = |f: &[u8]| f.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    match record.get(0) {
        Some(f) if number(f).is_some() => false,
        Some(f) if word(f) => true,
        _ => record.iter().all(|f| number(f).is_none()) && record.iter().any(word),
    }
}

/// The nearest f32 of a decimal; read as f32 at once, since by way of f64 it would be rounded twice.
fn number(field: &[u8]) -> Option<f32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn read_number(field: &[u8], file: &Path, place: &str, at: usize) -> Result<f32> {
    number(field).filter(|v| v.is_finite()).ok_or_else(|| {
        let message = format!("found '{}', expected a finite number", shown(field));
        Error::input(file, format!("{place}, field {}", at + 1), message)
    })
}

fn read_label(field: &[u8], file: &Path, place: &str) -> Result<usize> {
    let value = std::str::from_utf8(field).ok().and_then(|t| t.parse().ok());
    value.and_then(label).ok_or_else(|| {
        let message = format!("label '{}', expected an integer of at least 0", shown(field));
        Error::input(file, place, message)
    })
}

/// A field for a message: printable, and short whatever it was.
fn shown(field: &[u8]) -> String {
    let cut = &field[..field.len().min(32)];
    let more = if cut.len() < field.len() { "..." } else { "" };
    format!("{}{more}", cut.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, labelled: CsvLabels) -> Result<Dataset> {
        parse(text.as_bytes(), Path::new("x.csv"), labelled)
    }

    #[test]
    fn labels_first_last_or_none() {
        let d = read("7,0.5,1\n2,3,-4e-1\n", CsvLabels::First).unwrap();
        assert_eq!((d.rows, d.cols, d.labels), (2, 2, Some(vec![7, 2])));
        assert_eq!(d.inputs, [0.5, 1.0, 3.0, -0.4]);
        let d = read("0.5,1,7\n3,4,2", CsvLabels::Last).unwrap();
        assert_eq!((d.inputs, d.labels), (vec![0.5, 1.0, 3.0, 4.0], Some(vec![7, 2])));
        let d = read("0.5;1\r\n\r\n3;4\r\n", CsvLabels::None).unwrap();
        assert_eq!((d.inputs, d.labels, d.shape), (vec![0.5, 1.0, 3.0, 4.0], None, vec![2]));
    }

    #[test]
    fn header_comments_and_marks_are_passed_over() {
        for head in ["label,p0,p1\n", "label,0,1\n", "# a comment\n", "\u{feff}"] {
            let d = read(&format!("{head}1.0, 2 ,3\n"), CsvLabels::First).unwrap();
            assert_eq!((d.rows, d.labels, d.inputs), (1, Some(vec![1]), vec![2.0, 3.0]), "{head}");
        }
    }

    #[test]
    fn refusals_name_row_line_and_field() {
        let cases = [
            ("y,a,b\n1,2,3\n1,2\n", "row 1 (line 3): 2 fields, expected 3"),
            ("1,2,3\n1,2,nan\n", "row 1 (line 2), field 3: found 'nan'"),
            ("1,2,1e39\n", "row 0 (line 1), field 3: found '1e39'"),
            ("1x,2,3\n", "row 0 (line 1): label '1x'"),
            ("-1,2,3\n", "label '-1'"),
            ("1.5,2,3\n", "label '1.5'"),
            ("1\n2\n", "labels file?"),
            ("1,,3\n", "field 2: found ''"),
        ];
        for (text, expected) in cases {
            let told = read(text, CsvLabels::First).unwrap_err().to_string();
            assert!(told.contains(expected), "{text:?}: {told}");
        }
    }

    #[test]
    fn decimals_are_rounded_once() {
        // Halfway between two f32 but for its last digit, which f64 cannot hold.
        let text = "1.00000005960464477540,0\n";
        let d = read(text, CsvLabels::None).unwrap();
        assert_eq!(d.inputs[0], 1.0 + f32::EPSILON);
        assert_eq!("1.00000005960464477540".parse::<f64>().unwrap() as f32, 1.0);
    }

    #[test]
    fn labels_one_a_line() {
        let file = Path::new("y.csv");
        assert_eq!(parse_labels(b"label\n3\n0\n", file).unwrap(), [3, 0]);
        assert!(parse_labels(b"3,1\n", file).is_err());
    }
}
