//! Which instances of a data file a run takes.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Part `i` of `n`, written `i/n`, `i` from 1.
///
/// The parts are strided: row `r` is in part `r mod n + 1`. Hard instances often stand together
/// (data sorted by class), and strides spread them; and a row's part does not depend on the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The part, from 1 to `n`.
    pub i: usize,
    /// Number of parts.
    pub n: usize,
}

impl Shard {
    /// Whether row `index` is in this part.
    pub fn has(self, index: usize) -> bool {
        self.n > 0 && index % self.n + 1 == self.i
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.split_once('/')
            .and_then(|(i, n)| Some(Shard { i: number(i)?, n: number(n)? }))
            .filter(|s| (1..=s.n).contains(&s.i))
            .ok_or_else(|| {
                Error::Usage(format!("shard '{text}', expected i/n with 1 <= i <= n, such as 2/8"))
            })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.i, self.n)
    }
}

/// Rows from `start` up to and without `end`, written `A..B`, `A..`, `..B` or `..`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first row.
    pub start: usize,
    /// The row after the last; the data's end if absent.
    pub end: Option<usize>,
}

impl Range {
    /// The rows of a file that has `rows` of them.
    ///
    /// # Errors
    /// A range that is empty or goes past the end.
    pub fn of(self, rows: usize) -> Result<std::ops::Range<usize>> {
        let end = self.end.unwrap_or(rows);
        if self.start >= end || end > rows {
            let message =
                format!("range {self} of {rows} rows, expected A..B with A < B <= {rows}");
            return Err(Error::Usage(message));
        }
        Ok(self.start..end)
    }
}

impl FromStr for Range {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let side = |t: &str| if t.is_empty() { Some(None) } else { number(t).map(Some) };
        text.split_once("..")
            .and_then(|(a, b)| Some(Range { start: side(a)?.unwrap_or(0), end: side(b)? }))
            .filter(|r| r.end.is_none_or(|end| r.start < end))
            .ok_or_else(|| {
                Error::Usage(format!(
                    "range '{text}', expected A..B (B not included) with A < B, such as 0..100"
                ))
            })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            Some(end) => write!(f, "{}..{end}", self.start),
            None => write!(f, "{}..", self.start),
        }
    }
}

/// Digits only: no sign, no blanks.
fn number(text: &str) -> Option<usize> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The rows of `range` that are in `shard`, in order.
pub fn select(range: std::ops::Range<usize>, shard: Option<Shard>) -> Vec<usize> {
    range.filter(|&i| shard.is_none_or(|s| s.has(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards() {
        let parse = |t: &str| t.parse::<Shard>();
        assert_eq!(parse("2/3").unwrap(), Shard { i: 2, n: 3 });
        for wrong in [
            "",
            "1",
            "0/3",
            "4/3",
            "1/0",
            "0/0",
            "-1/3",
            "+1/3",
            "1/3/4",
            " 1/3",
            "1/99999999999999999999",
        ] {
            assert!(parse(wrong).unwrap_err().to_string().contains("i/n"), "{wrong}");
        }
        assert_eq!(select(2..9, Some(Shard { i: 2, n: 3 })), [4, 7]);
        let mut all: Vec<usize> =
            (1..=3).flat_map(|i| select(2..9, Some(Shard { i, n: 3 }))).collect();
        all.sort();
        assert_eq!(all, select(2..9, None));
    }

    #[test]
    fn ranges() {
        let rows = |t: &str| t.parse::<Range>().and_then(|r| r.of(10));
        assert_eq!(rows("2..5").unwrap(), 2..5);
        assert_eq!(rows("2..").unwrap(), 2..10);
        assert_eq!(rows("..5").unwrap(), 0..5);
        assert_eq!(rows("..").unwrap(), 0..10);
        for wrong in ["", "5", "5..5", "6..5", "..11", "10..", "1..=3", "-1..3", "a..b", "1...3"] {
            assert!(rows(wrong).is_err(), "{wrong}");
        }
        assert!(rows("..11").unwrap_err().to_string().contains("0..11 of 10 rows"));
    }
}
