//! Formats numbers, sizes and untrusted text.

use std::path::Path;

use anstyle::Style;
use indicatif::HumanCount;
use patchwork_traces::error::visible;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
use unicode_width::UnicodeWidthStr;

use crate::cli::terminal::term::paint;

/// The explanation that follows every printed bundle digest.
pub const DIGEST_NOTE: &str = "(SHA-256 of the manifest line, not of the file)";

/// Returns a number with its digits in groups of three.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// Returns a number with its noun in singular or plural.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Returns `1 row` or `5 rows`.
pub fn rows(number: u64) -> String {
    counted(number, "row", "rows")
}

/// Returns `1 log` or `5 logs`.
pub fn logs(number: usize) -> String {
    counted(number as u64, "log", "logs")
}

/// Returns a size such as `147.6 MB`. A kilobyte has 1000 bytes.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, rounded: 999,950 bytes are 1.0 MB and not 1000.0 kB.
    let mut tenths = u128::from(bytes).saturating_mul(10);
    for unit in UNITS {
        tenths = (tenths + 500) / 1000;
        if tenths < 10_000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// Returns the compression ratio with one decimal, or `None` if it cannot be computed.
pub fn ratio(bytes: u64, compressed: u64) -> Option<String> {
    let tenths = bytes.checked_mul(10)?.checked_div(compressed)?;
    Some(format!("{}.{}x", tenths / 10, tenths % 10))
}

/// Joins things for a sentence: `a`, `a and b`, `a, b and c`.
pub fn listed<T: AsRef<str>>(things: &[T]) -> String {
    let things: Vec<&str> = things.iter().map(AsRef::as_ref).collect();
    match things.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        things => things.concat(),
    }
}

/// Returns `label: text` on lines of at most `width` columns, without a final line feed. Continued
/// lines are aligned with the text. A longer word has its own line. Without a width, everything is on
/// one line.
pub fn labelled(style: Style, label: &str, text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return format!("{} {text}", paint(style, label)) };
    let hanging = " ".repeat(label.width() + 1);
    let options = Options::new(width)
        .initial_indent(&hanging)
        .subsequent_indent(&hanging)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let lines = textwrap::fill(text, options);
    // An empty text has no indent to replace.
    format!("{} {}", paint(style, label), lines.strip_prefix(&hanging).unwrap_or(&lines))
}

/// Escapes the control characters of text from a bundle or a path, so that it is safe to print.
pub fn safe(text: &str) -> String {
    visible(text).into_owned()
}

/// Quotes a path as one word for a shell such as bash or zsh, with only visible characters.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@,".contains(c);
    if safe(&text) != text {
        let escaped = |c: char| match c {
            '\'' | '\\' => format!("\\{c}"),
            c if safe(c.encode_utf8(&mut [0; 4])).chars().eq([c]) => c.to_string(),
            c => format!("\\U{:08x}", u32::from(c)),
        };
        return format!("$'{}'", text.chars().map(escaped).collect::<String>());
    }
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::{ratio, size};

    #[test]
    fn sizes_have_one_decimal_and_at_most_three_digits_before_it() {
        let shown = [0, 1, 999, 1000, 1049, 1050, 999_949, 999_950, 147_614_208, 1_000_000_000, u64::MAX].map(size);
        let expected = [
            "0 B", "1 B", "999 B", "1.0 kB", "1.0 kB", "1.1 kB", "999.9 kB", "1.0 MB", "147.6 MB", "1.0 GB", "18.4 EB",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_ratio_to_zero_bytes_is_none() {
        assert_eq!(ratio(100, 0), None);
        assert_eq!(ratio(100, 33).as_deref(), Some("3.0x"));
    }
}
