//! Takes logs as `verify` restores them, where that gives their SHA-256.
//!
//! A search takes only what is proven piece by piece: rows in chunks whose checksums fit, rows whose entry is what their
//! exact line says. Where the pieces are contradicted but their sum is not (an edited entry beside the exact line, a wrong
//! table, chunks in another order), the hash of the whole log is the better proof.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io::{BufWriter, Read, Seek, Write};

use super::report::FileRecovery;
use super::search::{SearchResult, rewind};
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::log::LogId;
use crate::format::{Manifest, ManifestFile};
use crate::pack::{PackOptions, PackedBundle, Packer};
use crate::progress::NoProgress;
use crate::sources::times_of;
use crate::verify::restore_all;

/// A log that is proven as a whole.
struct Proven {
    id: LogId,
    rows: u64,
    integrity: Integrity,
}

impl SearchResult {
    /// Takes the logs that the search did not bring back as they were, but that are proven as a whole.
    pub(super) fn with_proven_logs<R: Read + Seek>(mut self, input: &mut R, options: &PackOptions) -> Result<Self> {
        let Some(manifest) = self.manifest.take() else { return Ok(self) };
        if self.report.files.iter().all(|log| log.is_original != Some(false)) {
            return Ok(self);
        }
        let mut wanted = proven_logs(input, &manifest, options)?;
        let is_back: HashSet<_> =
            self.report.files.iter().filter(|log| log.is_original == Some(true)).map(FileRecovery::id).collect();
        wanted.retain(|_, log| !is_back.contains(&log.name()));
        if wanted.is_empty() {
            return Ok(self);
        }
        let packed = pack(input, &wanted, options)?;
        self.replace(packed, wanted.into_values());
        Ok(self)
    }

    /// Puts proven logs in the place of what was found of them.
    fn replace(&mut self, packed: PackedBundle, logs: impl Iterator<Item = Proven>) {
        let logs: Vec<_> = logs.map(Proven::recovery).collect();
        // Of each log, its rows, those that the search took, and those that it did not take: they may be some now.
        let mut by_name: HashMap<_, _> = logs.iter().map(|log| (log.id(), (log.rows, 0, 0))).collect();
        let mut is_kept = Vec::new();
        for (log, ignored_of) in self.report.files.iter().zip(&self.ignored_of) {
            let of_it = by_name.get_mut(&log.id());
            is_kept.push(of_it.is_none());
            if let Some((_, searched, ignored)) = of_it {
                (*searched, *ignored) = (*searched + log.rows, *ignored + ignored_of);
            }
        }
        for (rows, searched, ignored) in by_name.into_values() {
            self.report.ignored = (self.report.ignored + searched).saturating_sub(rows.min(searched + ignored));
        }
        self.packed.retain(|index| is_kept[index]);
        self.packed.join(packed);
        let mut is_kept = is_kept.into_iter();
        self.report.files.retain(|_| is_kept.next() == Some(true));
        self.report.add_proven(logs);
    }
}

impl Proven {
    fn name(&self) -> (&str, &str) {
        (self.id.source.as_str(), self.id.name.as_str())
    }

    fn recovery(self) -> FileRecovery {
        FileRecovery {
            source: self.id.source,
            name: self.id.name,
            rows: self.rows,
            rows_by_line: 0,
            expected_rows: Some(self.rows),
            missing: Vec::new(),
            more_missing: 0,
            gaps_after: Vec::new(),
            more_gaps: 0,
            recovered: self.integrity,
            is_original: Some(true),
        }
    }
}

/// The logs that are proven and cannot be taken for another one, by their index into the manifest's `files`.
fn proven_logs<R: Read + Seek>(
    input: &mut R,
    manifest: &Manifest,
    options: &PackOptions,
) -> Result<HashMap<usize, Proven>> {
    rewind(input)?;
    // What cannot be verified at all proves nothing.
    let Ok(report) = restore_all(input, options.threads, &mut |_, _| {}) else { return Ok(HashMap::new()) };
    let logs = || manifest.files.iter().zip(&report.files).enumerate();
    let proven = logs().filter(|(_, (_, log))| log.is_proven == Some(true));
    let proven = unmistakable(
        proven
            .map(|(index, (file, log))| (index, name_of(file), log.rows, file.integrity().map_or(0, |log| log.bytes))),
    );
    let logs = logs().filter(|(index, _)| proven.contains(index)).filter_map(|(index, (file, log))| {
        let id = LogId { source: file.source.clone(), name: file.relative_path.clone(), base: file.base() };
        Some((index, Proven { id, rows: log.rows, integrity: log.restored? }))
    });
    Ok(logs.collect())
}

/// Which of these proven logs can be taken for no other one. Each has an index, a source and name, rows, and a length in
/// bytes. Of several with one name it is the one that has rows, and where none has, the longest one. Where several have
/// rows, those come back by themselves.
pub(super) fn unmistakable<'a>(logs: impl Iterator<Item = (usize, (&'a str, &'a str), u64, u64)>) -> HashSet<usize> {
    let mut by_name = HashMap::<_, Vec<_>>::new();
    for (index, name, rows, bytes) in logs {
        by_name.entry(name).or_default().push((rows, bytes, Reverse(index)));
    }
    let one = |logs: Vec<(u64, u64, Reverse<usize>)>| match logs.iter().filter(|(rows, ..)| *rows > 0).count() {
        0 | 1 => logs.into_iter().max().map(|(.., Reverse(index))| index),
        _ => None,
    };
    by_name.into_values().filter_map(one).collect()
}

fn name_of(file: &ManifestFile) -> (&str, &str) {
    (file.source.as_str(), file.relative_path.as_str())
}

/// Restores logs again, and packs them.
fn pack<R: Read + Seek>(input: &mut R, logs: &HashMap<usize, Proven>, options: &PackOptions) -> Result<PackedBundle> {
    rewind(input)?;
    let failed = |action| move |error| Error::io(action, &options.work_dir, error);
    let file = tempfile::tempfile_in(&options.work_dir).map_err(failed(IoAction::Create))?;
    let mut spool = BufWriter::new(file);
    // The logs come one after the other.
    let (mut order, mut written) = (Vec::new(), Ok(()));
    let mut keep = |index: usize, bytes: &[u8]| {
        if logs.contains_key(&index) && written.is_ok() {
            if order.last() != Some(&index) {
                order.push(index);
            }
            written = spool.write_all(bytes);
        }
    };
    restore_all(input, options.threads, &mut keep)?;
    written.map_err(failed(IoAction::Write))?;
    let mut spool = spool.into_inner().map_err(|error| failed(IoAction::Write)(error.into_error()))?;
    spool.rewind().map_err(failed(IoAction::Read))?;
    let packed = std::thread::scope(|scope| {
        let mut packer = Packer::start(scope, options);
        for index in &order {
            let Proven { id, integrity, .. } = &logs[index];
            let log = (&spool).take(integrity.bytes);
            packer.add_log(id, times_of(id.source.as_str()), log, id.name.as_str(), &NoProgress)?;
        }
        packer.finish()
    })?;
    // The bundle may have changed since it was read first.
    let is_same = |(file, index): (&ManifestFile, &usize)| file.integrity() == Some(logs[index].integrity);
    let are_same = packed.files().zip(&order).all(is_same);
    if are_same { Ok(packed) } else { Err(ErrorKind::OutputNotIntact.into()) }
}
