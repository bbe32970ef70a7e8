//! Caches the ends of character runs, so that a long run is not scanned again for each mark in it.

use strum::EnumCount;

/// The set of characters in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumCount)]
pub enum RunKind {
    /// Letters, digits, `_` and `-`.
    Base64Url,
    /// A value without quotation marks.
    Value,
    /// The content of a header.
    Header,
    /// A part of a header, up to a semicolon.
    HeaderPart,
}

impl RunKind {
    fn has(self, c: char) -> bool {
        let is_header = |c: char| !c.is_control() && !"\"'`\\".contains(c);
        match self {
            Self::Base64Url => c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
            Self::Value => !(c.is_whitespace() || c.is_control() || "\"'`,;&|)}]<>\\".contains(c)),
            Self::Header => is_header(c),
            Self::HeaderPart => is_header(c) && c != ';',
        }
    }
}

/// The most recent run of each kind in a text.
#[derive(Debug, Default)]
pub struct RunEnds {
    known: [Option<(usize, usize)>; RunKind::COUNT],
    /// The number of bytes that were scanned.
    #[cfg(test)]
    pub steps: usize,
}

impl RunEnds {
    /// Returns the end of the run that contains `start`.
    pub fn end(&mut self, kind: RunKind, text: &str, start: usize) -> usize {
        match self.known[kind as usize] {
            Some((least, end)) if least <= start && start <= end => end,
            _ => {
                let end = text[start..].find(|c| !kind.has(c)).map_or(text.len(), |length| start + length);
                self.known[kind as usize] = Some((start, end));
                #[cfg(test)]
                {
                    self.steps += end - start;
                }
                end
            }
        }
    }
}
