//! What each stage of a plan did, below the table of a run.

use std::io::{self, Write};

use super::number::{cut, time};

/// One stage's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The stage's name.
    pub name: String,
    /// Samples that came to it.
    pub asked: usize,
    /// Of them, those that it proved.
    pub certified: usize,
    /// Those in which it found another answer.
    pub falsified: usize,
    /// Seconds, the sum over all threads.
    pub seconds: f64,
}

/// Writes a line for each stage.
///
/// # Errors
/// The writer's.
pub fn write(lines: &[Line], out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<20}{:>9} {:>10} {:>10} {:>10}",
        "stage", "asked", "certified", "falsified", "time"
    )?;
    for line in lines {
        writeln!(
            out,
            "{:<20}{:>9} {:>10} {:>10} {:>10}",
            cut(&line.name, 20),
            line.asked,
            line.certified,
            line.falsified,
            time(line.seconds),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_each() {
        let line = |name: &str, asked, certified, falsified, seconds| Line {
            name: name.into(),
            asked,
            certified,
            falsified,
            seconds,
        };
        let lines = [line("crown", 100, 87, 0, 0.25), line("pgd", 13, 0, 5, 0.0012)];
        let mut out = Vec::new();
        write(&lines, &mut out).unwrap();
        let expected = "
stage                   asked  certified  falsified       time
crown                     100         87          0     250 ms
pgd                        13          0          5    1.20 ms
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
