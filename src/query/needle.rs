//! Rules out rows by a text that they lack, without parsing them.

use memchr::{memchr, memmem, memrchr};

/// A text that matching rows contain, either literally or with some characters as `\u` escapes.
#[derive(Debug, Clone)]
pub struct Needle {
    text: memmem::Finder<'static>,
    escape: memmem::Finder<'static>,
}

/// The start of the escapes of ASCII characters.
const ESCAPE: &[u8] = b"\\u00";

/// Returns the longest part of a text whose characters JSON strings contain literally or as `\u` escapes: ASCII except
/// control characters, `"`, `\` and `/`.
pub fn plain_run(text: &str) -> &str {
    let is_plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '/');
    text.split(|c| !is_plain(c)).max_by_key(|run| run.len()).unwrap_or_default()
}

impl Needle {
    /// Searches for `text`, which is a [`plain_run`], with or without quotation marks around it.
    pub fn new(text: &str) -> Self {
        Self { text: memmem::Finder::new(text).into_owned(), escape: memmem::Finder::new(ESCAPE).into_owned() }
    }
}

/// A search for the lines that can contain a needle.
#[derive(Debug)]
pub struct LineSearch<'n> {
    needle: &'n Needle,
    /// The next known offsets of the needle and of an escape; `usize::MAX` if there is none.
    text_at: Option<usize>,
    escape_at: Option<usize>,
}

impl<'n> LineSearch<'n> {
    pub fn new(needle: &'n Needle) -> Self {
        Self { needle, text_at: None, escape_at: None }
    }

    /// Returns the start of the first line at or after `from` that can contain the needle. `from` is the start of a
    /// line. If there is no such line, returns the end of the last complete line.
    pub fn next_line(&mut self, text: &[u8], from: usize) -> usize {
        if self.text_at.is_none_or(|at| at < from) {
            self.text_at = Some(find(&self.needle.text, text, from));
        }
        if self.escape_at.is_none_or(|at| at < from) {
            self.escape_at = Some(self.find_escape(text, from));
        }
        let candidate = self.text_at.unwrap_or(usize::MAX).min(self.escape_at.unwrap_or(usize::MAX));
        let before = &text[from..candidate.min(text.len())];
        from + memrchr(b'\n', before).map_or(0, |end| end + 1)
    }

    /// Finds an escape of a character that a needle can contain.
    fn find_escape(&self, text: &[u8], from: usize) -> usize {
        let mut at = from;
        loop {
            at = find(&self.needle.escape, text, at);
            match text.get(at.saturating_add(ESCAPE.len())) {
                Some(b'2'..=b'7') | None => return at,
                Some(_) => at += ESCAPE.len(),
            }
        }
    }
}

fn find(finder: &memmem::Finder<'_>, text: &[u8], from: usize) -> usize {
    finder.find(&text[from..]).map_or(usize::MAX, |at| from + at)
}

/// Returns the number of lines in a text whose last line is complete.
pub fn count_lines(text: &[u8]) -> u64 {
    debug_assert!(text.is_empty() || memchr(b'\n', &text[text.len() - 1..]).is_some());
    memchr::memchr_iter(b'\n', text).count() as u64
}
