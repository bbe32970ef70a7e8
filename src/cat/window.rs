//! Selects the first or last of the matching rows.

use super::page::Page;

/// The range of matching rows to print.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    /// The number of rows to skip.
    skipped: u64,
    /// The number of rows to print after those; `None` means all.
    left: Option<u64>,
}

impl Window {
    pub fn new(skipped: u64, left: Option<u64>) -> Self {
        Self { skipped, left }
    }

    /// Returns true if the window excludes rows.
    pub fn is_bounded(&self) -> bool {
        self.skipped > 0 || self.left.is_some()
    }

    /// Returns true if the window ends before the next row.
    pub fn is_over(&self) -> bool {
        self.left == Some(0)
    }

    /// Counts the next row. Returns true if it is printed.
    pub fn admit(&mut self) -> bool {
        self.admit_some(1) == (0, 1)
    }

    /// Cuts the next page to the window.
    pub fn cut(&mut self, page: &mut Page) {
        if !self.is_bounded() {
            return;
        }
        let rows = page.rows.iter().map(|(_, rows)| rows).sum();
        let (from, to) = self.admit_some(rows);
        page.keep(from, to);
        if to < rows || self.is_over() {
            // The rest is not read, so its damage is not reported.
            page.end = Ok(());
            page.failures.retain(|failure| failure.at < to);
        }
    }

    /// Counts the next `rows` rows. Returns the range of those that are printed.
    fn admit_some(&mut self, rows: u64) -> (u64, u64) {
        let from = self.skipped.min(rows);
        self.skipped -= from;
        let printed = self.left.map_or(rows - from, |left| left.min(rows - from));
        self.left = self.left.map(|left| left - printed);
        (from, from + printed)
    }
}
