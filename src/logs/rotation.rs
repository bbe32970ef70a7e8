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

use serde::Serialize;

use crate::format::row::is_blank;
use crate::util::line_reader::{LineCount, lines_of};

/// The maximum length of a log that is not rotated, in bytes.
pub const MAX_LOG_BYTES: u64 = 1 << 20;

/// The maximum number of lines that rotation keeps.
pub const MAX_LOG_LINES: u64 = 10_000;

/// The maximum length of the text that rotation keeps, in UTF-16 code units, line feeds included.
pub const MAX_LOG_UNITS: u64 = 1 << 20;

/// The maximum length of the text that an archive keeps, in UTF-16 code units, line feeds included.
pub const MAX_ARCHIVE_UNITS: u64 = 8 << 20;

/// The kind of rotation that the writers of a source apply to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationKind {
    /// The oldest lines move to the archive. A line that alone is too long is deleted.
    Archives,
    /// The oldest lines are deleted, and so is a line that alone is too long.
    Deletes,
    /// The oldest lines are deleted. The newest one stays, however long it is.
    KeepsNewest,
}

/// Returns the number of lines that are left of `lines` after halving, if at most the newest `fitting` of them
/// fit. At least one is left.
fn halved(lines: u64, fitting: u64) -> u64 {
    let mut left = lines;
    while left > fitting && left > 1 {
        left /= 2;
    }
    left
}

/// Returns the number of lines that fit in `limit` units, given the units of each without its line feed, newest
/// first.
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
    /// The number of lines left after halving, before a single overlong line is removed. All older lines are
    /// dropped.
    halved: u64,
    /// The number of lines that are written.
    lines: u64,
}

/// Applies the rule for a log of `lines` non-blank lines, of which the newest `fitting` fit in [`MAX_LOG_UNITS`].
fn kept_of_log(kind: RotationKind, lines: u64, fitting: u64) -> Kept {
    let halved = halved(lines.min(MAX_LOG_LINES), fitting);
    let is_too_long = halved == 1 && fitting == 0;
    Kept { halved, lines: if is_too_long && kind != RotationKind::KeepsNewest { 0 } else { halved } }
}

/// The size of a line as its writers count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSize {
    /// Its UTF-16 code units, without the line feed.
    pub units: u64,
    /// True if JavaScript's `trim` leaves it empty.
    pub is_blank: bool,
    /// True if it is valid UTF-8. Otherwise rotation replaces the invalid parts.
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

/// The newest lines of a log or an archive, given line by line: the text that a rotation writes. Holds no more
/// than the most that rotation keeps (1 MiB of a log or 8 MiB of an archive, in code units) and one line.
#[derive(Debug, Clone)]
pub struct NewestLines {
    /// `None` for an archive.
    kind: Option<RotationKind>,
    /// The number of lines that are not blank.
    lines: u64,
    /// The lengths of the lines that are held, in bytes and in units, including line feeds.
    lengths: VecDeque<(usize, u64)>,
    /// The text of these lines, each with a line feed, from `start` on.
    text: String,
    start: usize,
    /// The units of these lines.
    held: u64,
}

impl NewestLines {
    /// Starts before the first line of a log.
    #[must_use]
    pub fn of_log(kind: RotationKind) -> Self {
        Self { kind: Some(kind), lines: 0, lengths: VecDeque::new(), text: String::new(), start: 0, held: 0 }
    }

    /// Starts before the first line of an archive. The lines that a rotation moves there follow its own lines.
    #[must_use]
    pub fn of_archive() -> Self {
        Self { kind: None, ..Self::of_log(RotationKind::Archives) }
    }

    /// Appends the next line, given without its line feed.
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

    /// Returns true if no older lines can change the result. A reader that starts in the
    /// middle of a log has then read enough. An archive must be read as a whole, because its lines are halved by
    /// their number.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.kind.is_some() && self.lines >= MAX_LOG_LINES
    }

    /// Returns the number of non-blank lines that rotation removes.
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

    /// Returns the bytes that a writer leaves; for a log, before it appends its row.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        let kept = usize::try_from(self.kept().lines).unwrap_or(usize::MAX).min(self.lengths.len());
        if kept == 0 && self.kind == Some(RotationKind::KeepsNewest) {
            // The writers of these logs add the line feed even to an empty text.
            return vec![b'\n'];
        }
        let bytes: usize = self.lengths.iter().rev().take(kept).map(|(bytes, _)| bytes).sum();
        self.text.split_off(self.text.len() - bytes).into_bytes()
    }
}

/// A log and its archive after a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotated {
    /// The bytes of the log, before the row is appended.
    pub log: Vec<u8>,
    /// The decoded lines that are no longer in the log, oldest first.
    pub dropped: Vec<String>,
    /// The bytes of the archive. `None` if it is not touched.
    pub archive: Option<Vec<u8>>,
}

/// Rotates a log in memory. Returns `None` if it is not long enough.
///
/// `archive` holds the bytes of the archive. It is empty if there is none, and only used with
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

/// Returns the decoded lines that are not blank.
fn text_lines(log: &[u8]) -> impl Iterator<Item = String> {
    let lines = lines_of(log).map(|line| String::from_utf8_lossy(line.bytes));
    lines.filter(|line| !is_blank(line)).map(Cow::into_owned)
}

/// The change that Patchwork's next write makes to a log, because the log is too long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rotation {
    /// The non-blank lines that the log loses.
    pub trimmed: LineCount,
    /// The lines that it keeps.
    pub left: LineCount,
    /// The archive to which trimmed lines are moved, if any are.
    pub moved_to: Option<&'static str>,
    /// The trimmed lines that are in the archive afterwards. All others are lost.
    pub moved: LineCount,
    /// The lines that the archive had and loses, because it becomes too long in turn.
    pub lost_from_archive: LineCount,
    /// The number of blank lines that the log loses, and the archive too if it is rewritten.
    pub blank: u64,
    /// True if lines that stay, in the log or in the archive, are not valid UTF-8, so that they are changed for
    /// good.
    pub replaces_invalid_utf8: bool,
}

impl Rotation {
    /// Returns the number of lines that are in neither log afterwards.
    #[must_use]
    pub fn deleted(&self) -> LineCount {
        let mut deleted = self.trimmed.minus(self.moved);
        deleted += self.lost_from_archive;
        deleted
    }
}

/// An estimate of the next rotation of a log that loses lines, if its lines stay as long as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NextRotation {
    /// The number of bytes that can still be written before it. 0 only if the next write takes the lines.
    pub after_bytes: u64,
    /// The number of lines that the log loses. Exact if the next write takes them.
    pub trimmed: u64,
    /// The archive to which these lines are moved, if they are.
    pub moved_to: Option<&'static str>,
    /// The number of lines that are in neither log afterwards. Exact if the next write takes the lines.
    pub deleted: u64,
}

/// The sizes of a log's lines that a forecast of rotation needs: those of the newest lines, and the number of
/// older ones. Takes a few bytes for each of the newest 10,000 lines, or for each line of the newest 9 MiB.
#[derive(Debug, Clone, Default)]
pub struct LineSizes {
    /// The number of all non-blank lines.
    lines: LineCount,
    /// The UTF-16 code units of all non-blank lines, line feeds included.
    units: u64,
    blank: u64,
    /// The UTF-16 code units of all blank lines, line feeds included.
    blank_units: u64,
    newest: VecDeque<PackedSize>,
    /// The sum of [`PackedSize::capped`].
    held: u64,
}

/// The units of a non-blank line, packed with whether it is a row and whether it is valid UTF-8.
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

    /// Returns the units including the line feed, capped at the most that a log keeps. The lines that a log keeps
    /// have at most [`MAX_LOG_UNITS`] of these, even if one of them alone is too long.
    fn capped(self) -> u64 {
        (self.units() + 1).min(MAX_LOG_UNITS)
    }
}

impl LineSizes {
    /// Appends the next line.
    pub fn push(&mut self, size: LineSize, is_row: bool) {
        if size.is_blank {
            self.blank += 1;
            self.blank_units += size.units + 1;
            return;
        }
        self.lines.add(is_row);
        self.units += size.units + 1;
        self.hold(PackedSize::new(size, is_row));
        self.forget();
    }

    /// Appends all lines of another log.
    pub fn append(&mut self, next: &Self) {
        self.lines += next.lines;
        self.units += next.units;
        self.blank += next.blank;
        self.blank_units += next.blank_units;
        next.newest.iter().for_each(|line| self.hold(*line));
        self.forget();
    }

    fn hold(&mut self, line: PackedSize) {
        self.held += line.capped();
        self.newest.push_back(line);
    }

    /// Drops the lines that no forecast needs: a log keeps at most 10,000 lines and 1 MiB, and the archive at most
    /// 8 MiB of the lines before those.
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

    /// Forecasts the change that the next write makes to a log of these lines and `bytes` bytes. Returns `None` if
    /// it loses no line and none of its lines is changed.
    ///
    /// `archive` holds the name and the lines of the archive. It is only used with [`RotationKind::Archives`].
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
            // Lines older than those that are held don't fit.
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

    /// Estimates the next rotation that takes lines from a log of these lines and `bytes` bytes. Returns `None` for a log
    /// without lines.
    ///
    /// `archive` is as for [`forecast`](Self::forecast).
    #[must_use]
    pub fn next_rotation(
        &self,
        kind: RotationKind,
        bytes: u64,
        archive: Option<(&'static str, &Self)>,
    ) -> Option<NextRotation> {
        if let Some(now) = self.forecast(kind, bytes, archive).filter(|now| now.trimmed.all() > 0) {
            let (trimmed, deleted) = (now.trimmed.all(), now.deleted().all());
            return Some(NextRotation { after_bytes: 0, trimmed, moved_to: now.moved_to, deleted });
        }
        // If the log is long, the next write rewrites it without its blank lines.
        let bytes = if bytes > MAX_LOG_BYTES { bytes.saturating_sub(self.blank_units) } else { bytes };
        // The size at which the writers find too many bytes, and too many units or lines.
        let lines = self.lines.all();
        let scaled = |limit: u64, of: u64| bytes.checked_mul(limit + 1)?.checked_div(of).filter(|_| bytes > 0);
        let too_much = scaled(MAX_LOG_UNITS, self.units)?.min(scaled(MAX_LOG_LINES, lines)?);
        let too_much = too_much.max(MAX_LOG_BYTES + 1).max(bytes + 1);
        let fitting = lines.saturating_mul(MAX_LOG_UNITS) / self.units;
        let lines = lines.saturating_mul(too_much) / bytes + 1;
        let trimmed = (lines - halved(lines.min(MAX_LOG_LINES), fitting)).max(1);
        let archive = archive.filter(|_| kind == RotationKind::Archives);
        let deleted = match archive {
            Some((_, archive)) => {
                let lines = archive.lines.all() + trimmed;
                let units = archive.units + trimmed.saturating_mul(self.units) / self.lines.all().max(1);
                lines - halved(lines, lines.saturating_mul(MAX_ARCHIVE_UNITS) / units.max(1))
            }
            None => trimmed,
        };
        Some(NextRotation { after_bytes: too_much - bytes, trimmed, moved_to: archive.map(|(name, _)| name), deleted })
    }
}

/// The totals of some lines.
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
