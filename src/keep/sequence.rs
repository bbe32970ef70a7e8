//! Finds the new lines in the logs of a source between which rotation moves rows, or in a single
//! log.
//!
//! The lineage of a log consists of the files that earlier runs have held, oldest first, and the
//! file now at its path. The last run read one of them up to some byte. The bytes after it are new;
//! every later file is compared with the one before it.

use super::compare::{EachFingerprint, KnownLines, KnownPart, LineComparison, LineRules, compare, fingerprints};
use super::line_text::id_of;
use super::log_snapshot::{LogPart, LogSnapshot};
use super::recorded::RecordedLogs;
use crate::align::{Fingerprint, Fingerprinter, RowKeys, each_line};
use crate::digest::{Integrity, Sha256Digest};
use crate::error::Result;
use crate::format::row::classify;
use crate::format::{Follows, FollowsState, HistoryGap, LogId, TimeKey, Timestamp, WholeLog};
use crate::logs::rotation::{MAX_LOG_BYTES, RotationKind};
use crate::logs::{has_numbered_rows, known};
use crate::progress::Progress;

/// The maximum length of a log, in bytes, that has surely grown from empty without a rotation since
/// the last run.
const MAX_UNSEEN_GROWTH: u64 = 400 << 10;

/// The maximum length of an archive, in bytes, that has surely not been halved.
const MAX_WHOLE_ARCHIVE: u64 = 3 << 20;

/// The `id` of the first row of an activity log.
const FIRST_ID: u64 = 1;

/// The current state of a log.
pub struct CurrentLog {
    pub id: LogId,
    pub times: &'static [TimeKey],
    pub content: LogSnapshot,
    /// The log as the last run read it. `None` if the history does not know it.
    pub latest: Option<WholeLog>,
    /// True if the log exists. Otherwise the content is empty.
    pub exists: bool,
    /// True if the log is known to be unchanged since the last run, so that it need not be read.
    pub is_unchanged: bool,
    /// True if the log is the file that the last run read, or cannot have been replaced. Another
    /// file may begin with the content of the last run and still lack rows after it, if that
    /// content was imported again.
    pub is_followed: bool,
}

impl CurrentLog {
    /// Returns the digest of the log. If the log still begins with the content that the last run
    /// read, also returns the position after it.
    fn digest(&self, progress: &dyn Progress) -> Result<(Integrity, Option<u64>)> {
        let known = integrity(self.latest.unwrap_or_else(no_content));
        match self.is_unchanged {
            true => Ok((known, Some(known.bytes))),
            false => self.content.digest(Some(known), progress),
        }
    }
}

/// A group of logs that are compared as one sequence.
pub struct LogSequence<'s> {
    /// Files that were once the newest log, oldest first.
    pub held: Vec<LogSnapshot>,
    /// The number of held files that runs before the last one have read.
    pub replaced: usize,
    /// The logs that receive the oldest rows of the newest log.
    pub archives: Vec<CurrentLog>,
    /// The log that is written to.
    pub live: CurrentLog,
    /// The number of rows that earlier segments have.
    pub rows_before: u64,
    /// The lines that the history has recorded. `None` for a new history.
    pub recorded: Option<RecordedLogs<'s>>,
    /// True if writers rotate the newest log without holding their lock.
    pub rotates_unlocked: bool,
    pub fingerprinter: Fingerprinter,
    pub progress: &'s dyn Progress,
}

/// The part of a log that a segment holds.
pub struct LogChange {
    pub id: LogId,
    pub times: &'static [TimeKey],
    /// The new lines.
    pub parts: Vec<LogPart>,
    /// The relation to earlier segments. Its number of rows of the whole log does not include the
    /// new lines yet.
    pub follows: Follows,
    /// The number of rows among the new lines that come from held files.
    pub held_rows: u64,
}

/// A break in the sequence of rows.
struct Break {
    after_row: u64,
    after_time: Option<Timestamp>,
    before_time: Option<Timestamp>,
    missing_ids: Vec<(u64, u64)>,
}

/// The findings so far.
#[derive(Default)]
struct Found {
    /// New lines of files that are no longer at the path.
    held: Vec<LogPart>,
    held_rows: u64,
    /// The lines of the held file that was read last. `None` if no held file is newer than what the
    /// last run read.
    before: Option<KnownLines>,
    cut_off_rows: u64,
    is_altered: bool,
    gap: Option<Break>,
}

/// The position in the lineage where new lines start.
struct ReadPosition {
    /// The index of the file. The current log follows all held ones.
    file: usize,
    byte: u64,
}

/// Returns the state of a log without content.
fn no_content() -> WholeLog {
    WholeLog { bytes: 0, rows: 0, sha256: Sha256Digest::of(b"") }
}

impl LogSequence<'_> {
    /// Compares the logs with the history and returns the changes.
    pub fn changes(self) -> Result<Vec<LogChange>> {
        let mut found = Found::default();
        let (whole_live, start) = self.find_start()?;
        self.read_held(start.as_ref(), &mut found)?;
        let live_start = start.filter(|start| start.file == self.held.len()).map(|start| start.byte);
        let live_start = live_start.or((!self.live.exists).then_some(0));
        let mut archives = Vec::new();
        for archive in &self.archives {
            archives.push(archive.digest(self.progress)?);
        }
        let changed = match live_start {
            Some(byte) => self.after_append(byte, &archives, &mut found)?,
            None => self.after_rotation(&archives, &mut found)?,
        };
        // If the log was removed, its last held file takes its place.
        let whole_live = match self.last_held_of_removed() {
            Some(held) => held.digest(None, self.progress)?.0,
            None => whole_live,
        };
        Ok(self.into_changes(changed, archives, whole_live, found))
    }

    fn is_known(&self) -> bool {
        self.rows_before > 0 || self.live.latest.is_some() || self.archives.iter().any(|log| log.latest.is_some())
    }

    fn rules(&self, before: u64) -> LineRules {
        let keys = RowKeys { times: self.live.times, run: None };
        let may_race = self.rotates_unlocked && before > MAX_LOG_BYTES;
        LineRules { keys, fingerprinter: self.fingerprinter, may_race }
    }

    /// Finds the file that the last run read, and the position up to which it was read. Also
    /// returns the digest of the current log.
    fn find_start(&self) -> Result<(Integrity, Option<ReadPosition>)> {
        let known = integrity(self.live.latest.unwrap_or_else(no_content));
        for (file, held) in self.held.iter().enumerate().skip(self.replaced) {
            if let (_, Some(byte)) = held.digest(Some(known), self.progress)? {
                let (whole, _) = self.live.content.digest(None, self.progress)?;
                return Ok((whole, Some(ReadPosition { file, byte })));
            }
        }
        let (whole, byte) = self.live.digest(self.progress)?;
        Ok((whole, byte.map(|byte| ReadPosition { file: self.held.len(), byte })))
    }

    /// Collects the new lines of the held files.
    fn read_held(&self, start: Option<&ReadPosition>, found: &mut Found) -> Result<()> {
        for (file, held) in self.held.iter().enumerate() {
            match start {
                // The run that read a later file has read this one too, except perhaps for the last
                // rows that were appended.
                start if file < self.replaced || start.is_some_and(|start| file < start.file) => {
                    let compared = self.compare(&KnownLines::default(), &[held.from(0)], 0, found)?;
                    found.add_held(held, &compared);
                }
                Some(start) if file == start.file => {
                    let new = held.from(start.byte);
                    let fresh_rows = rows_in(&new)?;
                    found.held_rows += fresh_rows;
                    found.held.push(new);
                    found.before = Some(KnownLines { parts: vec![KnownPart::Text(held.from(0))], fresh_rows });
                }
                _ => {
                    let (known, length) = self.before(0, found)?;
                    let now = [held.from(0)];
                    let compared = self.compare(&known, &now, length, found)?;
                    self.record_break(&known, &now, &compared, found)?;
                    found.add_held(held, &compared);
                    let fresh_rows = compared.new_rows.iter().sum();
                    found.before = Some(KnownLines { parts: now.map(KnownPart::Text).to_vec(), fresh_rows });
                }
            }
        }
        Ok(())
    }

    /// Returns the earlier lines of the log, and the length of their file in bytes. They are those
    /// of the held file that was read last, or otherwise those that the history has recorded.
    /// `older_rows` more rows precede the log's own.
    fn before(&self, older_rows: u64, found: &Found) -> Result<(KnownLines, u64)> {
        let latest = self.live.latest.unwrap_or_else(no_content);
        let recorded = |rows| self.recorded.map_or_else(|| Ok(Vec::new()), |recorded| recorded.last_rows(rows));
        match &found.before {
            Some(known) if older_rows == 0 => Ok((known.clone(), length(&known.parts))),
            Some(known) => {
                let earlier = recorded(older_rows + latest.rows)?;
                let parts = earlier.into_iter().chain(found.held.iter().cloned().map(KnownPart::Text)).collect();
                Ok((KnownLines { parts, fresh_rows: found.held_rows }, length(&known.parts)))
            }
            None => {
                let parts = recorded(older_rows + latest.rows)?;
                Ok((KnownLines { parts, fresh_rows: 0 }, latest.bytes))
            }
        }
    }

    fn compare(&self, known: &KnownLines, now: &[LogPart], length: u64, found: &Found) -> Result<LineComparison> {
        let mut history = |take: &mut dyn FnMut(Fingerprint)| {
            if let Some(recorded) = &self.recorded {
                recorded.each_fingerprint(self.fingerprinter, take)?;
            }
            found.held.iter().try_for_each(|part| fingerprints(part, self.fingerprinter, take))
        };
        let history: &mut EachFingerprint<'_> = &mut history;
        compare(known, now, self.rules(length), history)
    }

    /// Records the removed rows, alterations and gap that a comparison with earlier lines has
    /// found.
    fn record_break(
        &self,
        known: &KnownLines,
        now: &[LogPart],
        compared: &LineComparison,
        found: &mut Found,
    ) -> Result<()> {
        found.cut_off_rows += compared.cut_off_rows;
        found.is_altered |= compared.is_altered;
        if !compared.continues && found.gap.is_none() && self.is_known() {
            found.gap = Some(Break {
                after_row: self.rows_before + found.held_rows,
                after_time: compared.last_known,
                before_time: compared.first_new,
                missing_ids: self.missing_ids(known, now, compared)?,
            });
        }
        Ok(())
    }

    /// Returns the new lines of the archives and of the log, which still begins with the lines that
    /// the last run read.
    fn after_append(
        &self,
        byte: u64,
        archives: &[(Integrity, Option<u64>)],
        found: &mut Found,
    ) -> Result<Vec<NewLines>> {
        let live = self.live.content.from(byte);
        let latest = self.live.latest.unwrap_or_else(no_content);
        // A log that is new since the last run counts as empty at that time.
        let was_checked = self.is_known() || self.recorded.is_some() && known(self.live.id.source.as_str()).is_some();
        let is_doubtful = self.is_known()
            && known(self.live.id.source.as_str()).is_some()
            && !self.live.is_followed
            && live.bytes.end - live.bytes.start > MAX_UNSEEN_GROWTH;
        if latest.bytes == 0 && was_checked && self.may_have_lost_rows(archives)? || is_doubtful {
            found.gap = Some(Break {
                after_row: self.rows_before,
                after_time: None,
                before_time: None,
                missing_ids: Vec::new(),
            });
        }
        let mut changed = Vec::new();
        for (archive, (_, start)) in self.archives.iter().zip(archives) {
            let rest = archive.content.from(start.unwrap_or_default());
            let old_rows = start.map_or(0, |_| archive.latest.unwrap_or_else(no_content).rows);
            changed.push(match self.is_known() && !rest.is_empty() {
                true => {
                    let compared = self.compare(&KnownLines::default(), std::slice::from_ref(&rest), 0, found)?;
                    NewLines {
                        parts: select(&rest, &compared.new[0]),
                        known_rows: old_rows + compared.known_rows[0],
                        fresh_rows: compared.fresh_rows[0],
                    }
                }
                false => NewLines { parts: vec![rest], known_rows: old_rows, fresh_rows: 0 },
            });
        }
        let (mut known_rows, mut fresh_rows) = (if self.live.exists { latest.rows } else { 0 }, 0);
        if let Some(held) = self.last_held_of_removed() {
            let rows = rows_in(&held.from(0))?;
            fresh_rows = rows.min(found.held_rows);
            known_rows = rows - fresh_rows;
        }
        changed.push(NewLines { parts: vec![live], known_rows, fresh_rows });
        Ok(changed)
    }

    /// Returns the newest held file of a log that no longer exists.
    fn last_held_of_removed(&self) -> Option<&LogSnapshot> {
        self.held.last().filter(|_| !self.live.exists)
    }

    /// Returns true if rotation may have removed rows of a log that was empty at the last run.
    fn may_have_lost_rows(&self, archives: &[(Integrity, Option<u64>)]) -> Result<bool> {
        let source = known(self.live.id.source.as_str());
        if source.is_some_and(|source| source.rotation == RotationKind::Archives) {
            // Rows are lost only when the archive is too long.
            let is_cut = |(archive, (_, start)): (&CurrentLog, &(Integrity, Option<u64>))| {
                start.is_none() || archive.latest.is_none() && archive.content.length() > MAX_WHOLE_ARCHIVE
            };
            return Ok(self.archives.iter().zip(archives).any(is_cut));
        }
        let mut first_id = None;
        if self.live.id.source.as_str() == "activity" {
            first_id = self.live.content.first_line()?.as_deref().and_then(id_of);
        }
        Ok(self.live.content.length() > MAX_UNSEEN_GROWTH && first_id != Some(FIRST_ID))
    }

    /// Returns the new lines of the archives and of the log, which is not the file that the last
    /// run read, or has changed.
    fn after_rotation(&self, archives: &[(Integrity, Option<u64>)], found: &mut Found) -> Result<Vec<NewLines>> {
        let mut now = Vec::new();
        let mut known_rows = Vec::new();
        let mut older_rows = 0;
        for (archive, (_, start)) in self.archives.iter().zip(archives) {
            let latest = archive.latest.unwrap_or_else(no_content);
            now.push(archive.content.from(start.unwrap_or_default()));
            known_rows.push(start.map_or(0, |_| latest.rows));
            older_rows += if start.is_none() { latest.rows } else { 0 };
        }
        now.push(self.live.content.from(0));
        known_rows.push(0);
        let (known, length) = self.before(older_rows, found)?;
        let compared = self.compare(&known, &now, length, found)?;
        self.record_break(&known, &now, &compared, found)?;
        let new_lines = |(log, part): (usize, &LogPart)| NewLines {
            parts: select(part, &compared.new[log]),
            known_rows: known_rows[log] + compared.known_rows[log],
            fresh_rows: compared.fresh_rows[log],
        };
        Ok(now.iter().enumerate().map(new_lines).collect())
    }

    fn into_changes(
        self,
        changed: Vec<NewLines>,
        archives: Vec<(Integrity, Option<u64>)>,
        whole_live: Integrity,
        found: Found,
    ) -> Vec<LogChange> {
        let (is_known, rows_before) = (self.is_known(), self.rows_before);
        let archive_changes = changed.iter().take(archives.len()).any(|new| !is_empty(&new.parts));
        // The rows of held files precede the new rows of the archive, if it has any, or else those
        // of the newest log.
        let holder = if archive_changes { archives.len().saturating_sub(1) } else { archives.len() };
        let wholes = archives.into_iter().map(|(whole, _)| whole).chain([whole_live]);
        let (live_index, mut found) = (self.archives.len(), found);
        let logs = self.archives.into_iter().chain([self.live]).zip(wholes.zip(changed)).enumerate();
        let log_changes = logs.filter_map(|(index, (log, (whole, NewLines { mut parts, known_rows, fresh_rows })))| {
            let mut held_rows = 0;
            if index == holder {
                parts.splice(0..0, std::mem::take(&mut found.held));
                held_rows = found.held_rows;
            }
            let (is_live, is_empty) = (index == live_index, is_empty(&parts));
            if !log.exists && is_empty {
                return log.latest.is_some().then(|| LogChange::absent(log, rows_before));
            }
            let gap = if is_live { found.gap.take() } else { None };
            let state = match &gap {
                Some(_) => FollowsState::Gap,
                None if !is_known => FollowsState::First,
                None if is_live && found.is_altered => FollowsState::Altered,
                None if is_empty => FollowsState::Unchanged,
                None => FollowsState::Continues,
            };
            let gap = gap.map(|found| HistoryGap {
                after_row: found.after_row,
                after_time: found.after_time,
                before_time: found.before_time,
                missing_ids: found.missing_ids,
            });
            let trimmed = if is_live { found.cut_off_rows.min(rows_before) } else { 0 };
            let log_as_read = WholeLog { bytes: whole.bytes, rows: known_rows + fresh_rows, sha256: whole.sha256 };
            let overlap = known_rows.min(rows_before);
            let follows = Follows { state, rows_before, overlap, trimmed, log: Some(log_as_read), gap };
            Some(LogChange { id: log.id, times: log.times, parts, follows, held_rows })
        });
        log_changes.collect()
    }

    /// Returns the `id`s between the last known row and the first new one of an activity log.
    fn missing_ids(&self, known: &KnownLines, now: &[LogPart], compared: &LineComparison) -> Result<Vec<(u64, u64)>> {
        if !has_numbered_rows(self.live.id.source.as_str()) {
            return Ok(Vec::new());
        }
        let mut last = None;
        for part in &known.parts {
            match part {
                KnownPart::Noted(noted) => last = noted.last_id.max(last),
                KnownPart::Text(part) => each_line(part.reader()?, |line| {
                    last = id_of(line.bytes).max(last);
                    Ok(())
                })?,
            }
        }
        let mut first = None;
        for part in now.iter().zip(&compared.new).flat_map(|(part, ranges)| select(part, ranges)) {
            each_line(part.reader()?, |line| {
                first = first.or_else(|| id_of(line.bytes));
                Ok(())
            })?;
        }
        let missing = last.zip(first).map(|(last, first): (u64, u64)| (last + 1, first.saturating_sub(1)));
        Ok(missing.filter(|(first, last)| first <= last).into_iter().collect())
    }
}

impl LogChange {
    fn absent(log: CurrentLog, rows_before: u64) -> Self {
        let state = FollowsState::Absent;
        let follows = Follows { state, rows_before, overlap: 0, trimmed: 0, log: None, gap: None };
        Self { id: log.id, times: log.times, parts: Vec::new(), follows, held_rows: 0 }
    }
}

/// The new lines of a log, and the numbers of its other rows.
struct NewLines {
    parts: Vec<LogPart>,
    known_rows: u64,
    /// The number of rows that this run has found in held files.
    fresh_rows: u64,
}

impl Found {
    fn add_held(&mut self, held: &LogSnapshot, compared: &LineComparison) {
        self.held_rows += compared.new_rows.iter().sum::<u64>();
        let parts = compared.new.iter().flat_map(|ranges| select(&held.from(0), ranges));
        self.held.extend(parts);
    }
}

fn is_empty(parts: &[LogPart]) -> bool {
    parts.iter().all(LogPart::is_empty)
}

/// Returns the length of the lines in bytes. Noted lines count as 0.
fn length(parts: &[KnownPart]) -> u64 {
    let lengths = parts.iter().map(|part| match part {
        KnownPart::Text(part) => part.bytes.end - part.bytes.start,
        KnownPart::Noted(_) => 0,
    });
    lengths.sum()
}

fn select(part: &LogPart, ranges: &[std::ops::Range<u64>]) -> Vec<LogPart> {
    ranges.iter().map(|bytes| LogPart { content: part.content.clone(), bytes: bytes.clone() }).collect()
}

fn integrity(log: WholeLog) -> Integrity {
    Integrity { bytes: log.bytes, sha256: log.sha256 }
}

fn rows_in(part: &LogPart) -> Result<u64> {
    let mut rows = 0;
    each_line(part.reader()?, |line| {
        rows += u64::from(classify(line.bytes, &[]).is_some());
        Ok(())
    })?;
    Ok(rows)
}
