//! What the engine takes on microcontrollers: flash, RAM, stack and instructions, against the
//! figures of a golden file.
//!
//! The file has a section for each compiler, `[rustc 1.96.0]`, with a line `KEY VALUE` for each
//! figure. A figure is compared with its own compiler's or, where the file does not know that, with
//! the last section's.

use std::fmt::Write;
use std::fs;

use crate::context::Context;

/// The file.
const GOLDEN: &str = "tests/golden/figures.txt";

/// How much a figure may grow, in percent.
const GROWTH: u64 = 3;

/// Figures by their keys, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(Vec<(String, u64)>);

impl Figures {
    /// Adds one.
    pub fn add(&mut self, key: impl Into<String>, value: u64) {
        self.0.push((key.into(), value));
    }

    /// Adds those of a line that `figures` printed, `policy crown instructions 7 stack 8`.
    pub fn add_line(&mut self, target: &str, line: &str) -> Result<(), String> {
        let bad = || format!("not a line of figures: {line:?}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let (subject, rest) = words.split_at_checked(2).ok_or_else(bad)?;
        if rest.is_empty() || rest.len() % 2 != 0 {
            return Err(bad());
        }
        for pair in rest.chunks_exact(2) {
            let value = pair[1].parse().map_err(|_| bad())?;
            self.add(format!("{target} {} {}", subject.join(" "), pair[0]), value);
        }
        Ok(())
    }

    /// The figure of a key.
    pub fn get(&self, key: &str) -> Option<u64> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| *value)
    }

    /// The most stack that `figures` measured on a target; `fly` is of another program.
    pub fn deepest_stack(&self, target: &str) -> Option<u64> {
        let of = |key: &str| {
            let step = key.strip_prefix(target).and_then(|rest| rest.strip_suffix(" stack"));
            step.is_some_and(|step| step.starts_with(' ') && !step.starts_with(" fly "))
        };
        self.0.iter().filter(|(key, _)| of(key)).map(|(_, value)| *value).max()
    }

    /// What is wrong with these against those expected: more than the growth allowed, none expected,
    /// or none found.
    fn against(&self, expected: &Self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, value) in &self.0 {
            match expected.get(key) {
                None => wrong.push(format!("{key}: {value}, not expected")),
                Some(old) if *value * 100 > old * (100 + GROWTH) => {
                    let percent = (*value as f64 / old as f64 - 1.0) * 100.0;
                    wrong.push(format!("{key}: {value} after {old}, {percent:+.1} %"));
                }
                Some(_) => {}
            }
        }
        let missing = expected.0.iter().filter(|(key, _)| self.get(key).is_none());
        wrong.extend(missing.map(|(key, value)| format!("{key}: none after {value}")));
        wrong
    }
}

/// The golden file: figures by the compiler they are of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Golden(Vec<(String, Figures)>);

impl Golden {
    fn parse(text: &str) -> Result<Self, String> {
        let mut sections: Vec<(String, Figures)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let bad = || format!("{GOLDEN}:{}: {line:?}", at + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                sections.push((name.to_owned(), Figures::default()));
                continue;
            }
            let (key, value) = line.rsplit_once(' ').ok_or_else(bad)?;
            let (_, figures) = sections.last_mut().ok_or_else(bad)?;
            figures.add(key, value.parse().map_err(|_| bad())?);
        }
        Ok(Self(sections))
    }

    fn write(&self) -> String {
        let mut text = String::from(
            "# What the engine takes on microcontrollers. Bytes; instructions in QEMU; counted\n\
             # multiply-adds. Written by `cargo xtask firmware --bless`.\n",
        );
        for (compiler, figures) in &self.0 {
            let _ = writeln!(text, "\n[{compiler}]");
            for (key, value) in &figures.0 {
                let _ = writeln!(text, "{key} {value}");
            }
        }
        text
    }

    fn of(&self, compiler: &str) -> Option<&(String, Figures)> {
        self.0.iter().find(|(name, _)| name == compiler).or(self.0.last())
    }
}

/// Compares figures with the golden file's, or writes them there.
pub fn check(
    context: &Context,
    compiler: &str,
    found: &Figures,
    bless: bool,
) -> Result<String, String> {
    let path = context.root.join(GOLDEN);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut golden = Golden::parse(&text)?;
    if bless {
        golden.0.retain(|(name, _)| name != compiler);
        golden.0.push((compiler.to_owned(), found.clone()));
        golden.0.sort_by(|a, b| a.0.cmp(&b.0));
        fs::write(&path, golden.write()).map_err(|e| format!("{GOLDEN}: {e}"))?;
        return Ok(format!("{} figures written to {GOLDEN}", found.0.len()));
    }
    let again = "if that is meant, run `cargo xtask firmware --bless`";
    let Some((name, expected)) = golden.of(compiler) else {
        return Err(format!("{GOLDEN}: no figures; {again}"));
    };
    let wrong = found.against(expected);
    for line in &wrong {
        println!("{line}");
    }
    if wrong.is_empty() {
        Ok(format!("{} figures, none more than {GROWTH} % above those of {name}", found.0.len()))
    } else {
        Err(format!("{} figures are not those of {name}, {}; {again}", wrong.len(), wrong[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(lines: &[&str]) -> Figures {
        let mut figures = Figures::default();
        lines.iter().for_each(|line| figures.add_line("m0", line).unwrap());
        figures
    }

    #[test]
    fn growth_and_gaps_are_found() {
        let old = figures(&["net step stack 1000 macs 7"]);
        assert_eq!(figures(&["net step stack 1030 macs 7"]).against(&old), [""; 0]);
        assert_eq!(figures(&["net step stack 10 macs 7"]).against(&old), [""; 0]);
        let wrong = figures(&["net step stack 1031 macs 7"]).against(&old);
        assert_eq!(wrong, ["m0 net step stack: 1031 after 1000, +3.1 %"]);
        assert_eq!(figures(&["net step stack 1000"]).against(&old).len(), 1);
        assert_eq!(figures(&["net step stack 1000 macs 7 more 1"]).against(&old).len(), 1);
        assert_eq!(
            figures(&["net a stack 7 macs 9", "net b stack 8", "fly most stack 9"])
                .deepest_stack("m0"),
            Some(8)
        );
        assert_eq!(old.deepest_stack("m"), None);
        assert!(Figures::default().add_line("m0", "net step stack").is_err());
        assert!(Figures::default().add_line("m0", "net step stack x").is_err());
    }

    #[test]
    fn a_file_is_read_as_it_is_written() {
        let old = figures(&["net step stack 1000 macs 7"]);
        let new = figures(&["net step stack 900"]);
        let golden = Golden(vec![("rustc 1".into(), old.clone()), ("rustc 2".into(), new.clone())]);
        assert_eq!(Golden::parse(&golden.write()).unwrap(), golden);
        assert_eq!(golden.of("rustc 1").unwrap().1, old);
        assert_eq!(golden.of("rustc 3").unwrap().1, new);
        assert!(Golden::parse("m0 net step stack 1\n").is_err());
        assert!(Golden::parse("[rustc 1]\nm0 net step stack x\n").is_err());
    }
}
