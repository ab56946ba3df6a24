//! What goes to standard error: one line an error, whatever the names in it hold.

use std::fmt::Display;
use std::io::Write;

use clap::error::ErrorKind;

/// Writes `certus: TEXT` and a line's end to standard error.
pub fn say(text: impl Display) {
    note(format_args!("certus: {}", one_line(&text.to_string())));
}

/// Writes a line to standard error. One that cannot be written is no reason to fail.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `text` with control characters escaped: a file's name may hold any.
pub fn one_line(text: &str) -> String {
    text.chars().fold(String::new(), |mut line, c| {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

/// The argument parser's complaint in one line: its first paragraph, the tip if it has one, and
/// where the options of `subcommand` are listed.
pub fn usage(error: &clap::Error, subcommand: Option<&str>) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        paragraph.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
    });
    let mut line = paragraphs.next().unwrap_or_default();
    if error.kind() == ErrorKind::MissingRequiredArgument {
        line = line.replace("the following required arguments were not provided:", "expected also");
    }
    for tip in paragraphs.filter_map(|p| p.strip_prefix("tip: ").map(str::to_owned)) {
        line = format!("{line}; {tip}");
    }
    let help = subcommand.map_or(String::new(), |name| format!("{name} "));
    format!("{line} (see certus {help}--help)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_the_line() {
        assert_eq!(one_line("a\nb\u{1b}[2Jc\t"), "a\\nb\\u{1b}[2Jc\\t");
        assert_eq!(one_line("é µ"), "é µ");
    }
}
