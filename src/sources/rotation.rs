//! The model of rotation: the exact change that Patchwork makes to a long log before it appends the next row.
//!
//! A writer that finds its log longer than [`MAX_LOG_BYTES`] decodes it as UTF-8 (each maximal invalid part becomes
//! U+FFFD), splits it at line feeds, drops the lines that JavaScript's `trim` leaves empty, and keeps the newest lines:
//! at most [`MAX_LOG_LINES`], halved until they fit in [`MAX_LOG_UNITS`]. It counts the UTF-16 code units of the lines
//! and one for each line feed. A log with text beyond ASCII can therefore be too long in bytes and short enough in
//! units: it is then rewritten at every append, and loses no row.
//!
//! [`rotate`] and [`NewestLines`] give the bytes that a writer leaves; [`LineSizes`] forecasts the same from the sizes
//! of lines alone. All three rest on one halving rule.
//!
//! Not in the model: Node cannot read a file of more than 2^29 - 24 code units into a string. Its writers leave a log
//! of that size as it is.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::format::line::is_blank;
use crate::lines::{LineCount, lines_of};

/// The longest log, in bytes, that is not rotated.
pub const MAX_LOG_BYTES: u64 = 1 << 20;

/// The most lines that rotation keeps.
pub const MAX_LOG_LINES: u64 = 10_000;

/// The longest text that rotation keeps, in UTF-16 code units, line feeds included.
pub const MAX_LOG_UNITS: u64 = 1 << 20;

/// The longest text that an archive keeps, in UTF-16 code units, line feeds included.
pub const MAX_ARCHIVE_UNITS: u64 = 8 << 20;

/// The way in which the writers of a source rotate its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationKind {
    /// The oldest lines move to the archive. A line that alone is too long is deleted.
    Archives,
    /// The oldest lines are deleted, and so is a line that alone is too long.
    Deletes,
    /// The oldest lines are deleted. The newest one stays, however long it is.
    KeepsNewest,
}

/// Returns the number of lines that are left of `lines` after halving, if the newest `fitting` of them are the most
/// that fit. At least one is left.
fn halved(lines: u64, fitting: u64) -> u64 {
    let mut left = lines;
    while left > fitting && left > 1 {
        left /= 2;
    }
    left
}

/// Returns how many lines fit in `limit` units, given the units of each, newest first, without its line feed.
fn fitting(units: impl Iterator<Item = u64>, limit: u64) -> u64 {
    let mut total = 0;
    let fits = |units: &u64| {
        total += units + 1;
        total <= limit
    };
    units.take_while(fits).count() as u64
}

/// The lines that rotation keeps of a log.
struct Kept {
    /// The lines before a line that alone is too long is taken off. All older ones are dropped.
    halved: u64,
    /// The lines that are written.
    lines: u64,
}

/// Applies the rule for a log of `lines` lines that are not blank, of which the newest `fitting` fit in
/// [`MAX_LOG_UNITS`].
fn kept_of_log(kind: RotationKind, lines: u64, fitting: u64) -> Kept {
    let halved = halved(lines.min(MAX_LOG_LINES), fitting);
    let is_too_long = halved == 1 && fitting == 0;
    Kept { halved, lines: if is_too_long && kind != RotationKind::KeepsNewest { 0 } else { halved } }
}

/// The size of a line as its writers count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSize {
    /// UTF-16 code units, without the line feed.
    pub units: u64,
    /// Whether nothing is left of it after JavaScript's `trim`.
    pub is_blank: bool,
    /// Whether it is valid UTF-8. Otherwise rotation replaces the invalid parts.
    pub is_utf8: bool,
}

impl LineSize {
    /// Measures a line, given without its line feed.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        if let Ok(text) = simdutf8::basic::from_utf8(line) {
            return Self { units: units(text), is_blank: is_blank(text), is_utf8: true };
        }
        let text = String::from_utf8_lossy(line);
        Self { units: units(&text), is_blank: is_blank(&text), is_utf8: false }
    }
}

/// Returns the number of UTF-16 code units.
fn units(text: &str) -> u64 {
    if text.is_ascii() {
        return text.len() as u64;
    }
    let units = |byte: u8| u64::from(byte & 0xc0 != 0x80) + u64::from(byte >= 0xf0);
    text.bytes().map(units).sum()
}

/// The newest lines of a log or an archive that is given line by line, as text: what a rotation writes of it. Holds no
/// more than rotation keeps at most, 1 MiB of a log and 8 MiB of an archive in code units, and one line.
#[derive(Debug, Clone)]
pub struct NewestLines {
    /// `None` for an archive.
    kind: Option<RotationKind>,
    /// The number of lines that are not blank.
    lines: u64,
    /// The lengths of those that are held, in bytes and in units, with line feeds.
    lengths: VecDeque<(usize, u64)>,
    /// Their text, each with a line feed, from `start` on.
    text: String,
    start: usize,
    /// The units of these.
    held: u64,
}

impl NewestLines {
    /// Starts before the first line of a log.
    #[must_use]
    pub fn of_log(kind: RotationKind) -> Self {
        Self { kind: Some(kind), lines: 0, lengths: VecDeque::new(), text: String::new(), start: 0, held: 0 }
    }

    /// Starts before the first line of an archive. The lines that a rotation moves there come after its own.
    #[must_use]
    pub fn of_archive() -> Self {
        Self { kind: None, ..Self::of_log(RotationKind::Archives) }
    }

    /// Adds the next line, given without its line feed.
    pub fn push(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if is_blank(&text) {
            return;
        }
        self.lines += 1;
        self.lengths.push_back((text.len() + 1, units(&text) + 1));
        self.held += units(&text) + 1;
        self.text.push_str(&text);
        self.text.push('\n');
        while self.lengths.len() > 1
            && self.held > self.limit()
            && let Some((bytes, units)) = self.lengths.pop_front()
        {
            self.start += bytes;
            self.held -= units;
        }
        if self.start > self.text.len() / 2 {
            self.text.drain(..self.start);
            self.start = 0;
        }
    }

    fn limit(&self) -> u64 {
        if self.kind.is_some() { MAX_LOG_UNITS } else { MAX_ARCHIVE_UNITS }
    }

    /// Returns true if older lines, whatever they are, cannot change the result. Whoever reads a log from somewhere in
    /// its middle on has then read enough of it. An archive must be read whole: its lines are halved by their number.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.kind.is_some() && self.lines >= MAX_LOG_LINES
    }

    /// Returns the number of lines, blank ones not counted, that rotation takes off.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lines - self.kept().lines
    }

    fn kept(&self) -> Kept {
        let fitting = if self.held > self.limit() { 0 } else { self.lengths.len() as u64 };
        if let Some(kind) = self.kind {
            return kept_of_log(kind, self.lines, fitting);
        }
        let lines = halved(self.lines, fitting);
        Kept { halved: lines, lines }
    }

    /// Returns the bytes that a writer leaves: of a log, before it appends its row.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        let kept = usize::try_from(self.kept().lines).unwrap_or(usize::MAX).min(self.lengths.len());
        if kept == 0 && self.kind == Some(RotationKind::KeepsNewest) {
            // The writers of these logs add the line feed to nothing, too.
            return vec![b'\n'];
        }
        let bytes: usize = self.lengths.iter().rev().take(kept).map(|(bytes, _)| bytes).sum();
        self.text.split_off(self.text.len() - bytes).into_bytes()
    }
}

/// A log and its archive after a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The bytes of the log, before the row is appended.
    pub log: Vec<u8>,
    /// The lines that are no longer in the log, oldest first, as they are decoded.
    pub dropped: Vec<String>,
    /// The bytes of the archive. `None` if it is not touched.
    pub archive: Option<Vec<u8>>,
}

/// Rotates a log that is in memory. Returns `None` if it is not long enough for that.
///
/// `archive` has the bytes of the archive; it is empty where there is none, and unused but with
/// [`RotationKind::Archives`].
#[must_use]
pub fn rotate(kind: RotationKind, log: &[u8], archive: &[u8]) -> Option<Rotated> {
    if log.len() as u64 <= MAX_LOG_BYTES {
        return None;
    }
    let mut newest = NewestLines::of_log(kind);
    lines_of(log).for_each(|line| newest.push(line.bytes));
    let kept = newest.kept();
    let at = |older: u64| usize::try_from(older).unwrap_or(usize::MAX);
    let dropped: Vec<String> = text_lines(log).take(at(newest.dropped())).collect();
    let moved = dropped.get(..at(newest.lines - kept.halved)).unwrap_or_default();
    let archive = (kind == RotationKind::Archives && !moved.is_empty()).then(|| {
        let mut archived = NewestLines::of_archive();
        lines_of(archive).for_each(|line| archived.push(line.bytes));
        for line in moved {
            archived.push(line.as_bytes());
        }
        archived.into_bytes()
    });
    Some(Rotated { log: newest.into_bytes(), dropped, archive })
}

/// The lines that are not blank, decoded.
fn text_lines(log: &[u8]) -> impl Iterator<Item = String> {
    let lines = lines_of(log).map(|line| String::from_utf8_lossy(line.bytes));
    lines.filter(|line| !is_blank(line)).map(Cow::into_owned)
}

/// The change that Patchwork's next write makes to a log, because the log is too long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Lines that the log loses, blank ones not counted.
    pub trimmed: LineCount,
    /// Lines that it keeps.
    pub left: LineCount,
    /// The archive to which trimmed lines are moved, if any are.
    pub moved_to: Option<&'static str>,
    /// Trimmed lines that are in the archive afterwards. All others are gone.
    pub moved: LineCount,
    /// Lines that the archive has and loses, because it becomes too long in turn. They are gone.
    pub lost_from_archive: LineCount,
    /// Blank lines that the log, and the archive if it is rewritten, lose.
    pub blank: u64,
    /// Whether lines that stay, in the log or in the archive, are not valid UTF-8, so that they are changed for good.
    pub replaces_invalid_utf8: bool,
}

impl Rotation {
    /// Returns the lines that are in neither log afterwards.
    #[must_use]
    pub fn deleted(&self) -> LineCount {
        let mut deleted = self.trimmed.minus(self.moved);
        deleted += self.lost_from_archive;
        deleted
    }
}

/// The sizes of a log's lines, so far as a forecast of rotation needs them: those of the newest ones, and how many
/// there are before. Takes a few bytes for each of the newest 10,000 lines, or for each of the newest 9 MiB.
#[derive(Debug, Clone, Default)]
pub struct LineSizes {
    /// All lines that are not blank.
    lines: LineCount,
    blank: u64,
    newest: VecDeque<PackedSize>,
    /// The sum of [`PackedSize::capped`].
    held: u64,
}

/// The units of a line that is not blank, whether it is a row, and whether it is valid UTF-8.
#[derive(Debug, Clone, Copy)]
struct PackedSize(u32);

impl PackedSize {
    const ROW: u32 = 1;
    const INVALID: u32 = 2;
    const SHIFT: u32 = 2;

    fn new(size: LineSize, is_row: bool) -> Self {
        let units = u32::try_from(size.units).unwrap_or(u32::MAX).min(u32::MAX >> Self::SHIFT);
        let row = if is_row { Self::ROW } else { 0 };
        let invalid = if size.is_utf8 { 0 } else { Self::INVALID };
        Self((units << Self::SHIFT) | row | invalid)
    }

    fn units(self) -> u64 {
        u64::from(self.0 >> Self::SHIFT)
    }

    fn is_row(self) -> bool {
        self.0 & Self::ROW != 0
    }

    fn is_utf8(self) -> bool {
        self.0 & Self::INVALID == 0
    }

    /// The units with the line feed, but no more than a log keeps. The lines that a log keeps have at most
    /// [`MAX_LOG_UNITS`] of these, even where one of them alone is too long.
    fn capped(self) -> u64 {
        (self.units() + 1).min(MAX_LOG_UNITS)
    }
}

impl LineSizes {
    /// Adds the next line.
    pub fn push(&mut self, size: LineSize, is_row: bool) {
        if size.is_blank {
            self.blank += 1;
            return;
        }
        self.lines.add(is_row);
        self.hold(PackedSize::new(size, is_row));
        self.forget();
    }

    /// Adds all lines of another log after these.
    pub fn append(&mut self, next: &Self) {
        self.lines += next.lines;
        self.blank += next.blank;
        next.newest.iter().for_each(|line| self.hold(*line));
        self.forget();
    }

    fn hold(&mut self, line: PackedSize) {
        self.held += line.capped();
        self.newest.push_back(line);
    }

    /// Forgets the lines that no forecast needs: a log keeps at most 10,000 lines and 1 MiB, and the archive at most
    /// 8 MiB of those before.
    fn forget(&mut self) {
        while let Some(oldest) = self.newest.front().copied()
            && self.newest.len() as u64 > MAX_LOG_LINES
            && self.held - oldest.capped() >= MAX_LOG_UNITS + MAX_ARCHIVE_UNITS
        {
            self.held -= oldest.capped();
            self.newest.pop_front();
        }
    }

    fn is_whole(&self) -> bool {
        self.newest.len() as u64 == self.lines.all()
    }

    /// Forecasts the change that the next write makes to a log of these lines and so many bytes. Returns `None` if it
    /// loses no line and none of its lines is changed.
    ///
    /// `archive` has the name and the lines of the archive; it is unused but with [`RotationKind::Archives`].
    #[must_use]
    pub fn forecast(&self, kind: RotationKind, bytes: u64, archive: Option<(&'static str, &Self)>) -> Option<Rotation> {
        if bytes <= MAX_LOG_BYTES {
            return None;
        }
        let newest_first = || self.newest.iter().rev().copied();
        let kept = kept_of_log(kind, self.lines.all(), fitting(newest_first().map(PackedSize::units), MAX_LOG_UNITS));
        let at = |lines: u64| usize::try_from(lines).unwrap_or(usize::MAX);
        let left = LineTotals::of(newest_first().take(at(kept.lines)));
        let mut rotation = Rotation {
            trimmed: self.lines.minus(left.lines),
            left: left.lines,
            blank: self.blank,
            replaces_invalid_utf8: left.has_invalid_utf8,
            ..Rotation::default()
        };
        let dropped = self.lines.all() - kept.halved;
        if let Some((name, archive)) = archive.filter(|_| kind == RotationKind::Archives && dropped > 0) {
            // Older lines than those that are held do not fit.
            let older = archive.newest.iter().rev().copied().take(if self.is_whole() { usize::MAX } else { 0 });
            let archived = || newest_first().skip(at(kept.halved)).chain(older.clone());
            let fitting = fitting(archived().map(PackedSize::units), MAX_ARCHIVE_UNITS);
            let kept = halved(dropped + archive.lines.all(), fitting);
            let moved = LineTotals::of(archived().take(at(kept.min(dropped))));
            let stays = LineTotals::of(archived().skip(at(dropped)).take(at(kept.saturating_sub(dropped))));
            rotation.moved_to = Some(name);
            rotation.moved = moved.lines;
            rotation.lost_from_archive = archive.lines.minus(stays.lines);
            rotation.blank += archive.blank;
            rotation.replaces_invalid_utf8 |= moved.has_invalid_utf8 || stays.has_invalid_utf8;
        }
        let is_harmless = rotation.trimmed.all() + rotation.blank == 0 && !rotation.replaces_invalid_utf8;
        (!is_harmless).then_some(rotation)
    }
}

/// What some lines are, together.
#[derive(Default)]
struct LineTotals {
    lines: LineCount,
    has_invalid_utf8: bool,
}

impl LineTotals {
    fn of(lines: impl Iterator<Item = PackedSize>) -> Self {
        let mut summary = Self::default();
        for line in lines {
            summary.lines.add(line.is_row());
            summary.has_invalid_utf8 |= !line.is_utf8();
        }
        summary
    }
}
