//! Cuts the first or last rows out of those that match.

use super::page::Page;

/// The rows to print of those that match, by their order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// The number of rows to skip.
    skipped: u64,
    /// The number of rows to print after these; all if `None`.
    left: Option<u64>,
}

impl Window {
    pub fn new(skipped: u64, left: Option<u64>) -> Self {
        Self { skipped, left }
    }

    /// Returns true if it excludes rows.
    pub fn is_bounded(&self) -> bool {
        self.skipped > 0 || self.left.is_some()
    }

    /// Returns true if no row follows.
    pub fn is_over(&self) -> bool {
        self.left == Some(0)
    }

    /// Admits or refuses the next row.
    pub fn admit(&mut self) -> bool {
        self.admit_some(1) == (0, 1)
    }

    /// Cuts the next page.
    pub fn cut(&mut self, page: &mut Page) {
        if !self.is_bounded() {
            return;
        }
        let rows = page.rows.iter().map(|(_, rows)| rows).sum();
        let (from, to) = self.admit_some(rows);
        page.keep(from, to);
        if to < rows || self.is_over() {
            // What follows is not read, so nothing is said about it.
            page.end = Ok(());
            page.failures.retain(|failure| failure.at < to);
        }
    }

    /// Takes the next `rows` rows. Returns the range of those that are printed.
    fn admit_some(&mut self, rows: u64) -> (u64, u64) {
        let from = self.skipped.min(rows);
        self.skipped -= from;
        let printed = self.left.map_or(rows - from, |left| left.min(rows - from));
        self.left = self.left.map(|left| left - printed);
        (from, from + printed)
    }
}
