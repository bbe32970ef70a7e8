//! Accepts logs as `verify` restores them if they match their SHA-256.
//!
//! A search accepts only what is verified piece by piece: rows in chunks with matching checksums, and rows whose
//! entry agrees with their exact line. The pieces can be contradicted although the whole is intact: an edited entry
//! beside the exact line, a wrong table, chunks in another order. Then the hash of the whole log is the stronger
//! proof.

use std::collections::{HashMap, HashSet};
use std::io::{BufWriter, Read, Seek, Write};

use super::report::{FileRecovery, unambiguous};
use super::search::SearchResult;
use crate::bundle::writer::{BundleWriter, SpooledBundle, WriteOptions};
use crate::container::FileInput;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::LogId;
use crate::format::{Manifest, ManifestFile};
use crate::logs::times_of;
use crate::progress::NoProgress;
use crate::verify::restore_all;

impl SearchResult {
    /// Adds the logs that are verified as a whole but that the search did not recover unchanged.
    pub(super) fn with_verified_logs(mut self, input: &FileInput<'_>, options: &WriteOptions) -> Result<Self> {
        let Some(manifest) = self.manifest.take() else { return Ok(self) };
        if self.report.files.iter().all(|log| log.is_original != Some(false)) {
            return Ok(self);
        }
        let mut wanted = verified_logs(input, &manifest, options);
        let is_recovered: HashSet<_> =
            self.report.files.iter().filter(|log| log.is_original == Some(true)).map(FileRecovery::id).collect();
        wanted.retain(|_, log| !is_recovered.contains(&log.id()));
        if wanted.is_empty() {
            return Ok(self);
        }
        let packed = pack(input, &manifest, &wanted, options)?;
        self.replace(packed, wanted.into_values().collect());
        Ok(self)
    }

    /// Replaces what the search found of these logs with the verified logs.
    fn replace(&mut self, packed: SpooledBundle, logs: Vec<FileRecovery>) {
        // For each log: its rows, the rows that the search accepted, and the rows that it ignored. Some of the
        // latter may be recovered now.
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
        self.report.add_verified(logs);
    }
}

/// Returns the verified, unambiguous logs by their index in the manifest's `files`.
fn verified_logs(input: &FileInput<'_>, manifest: &Manifest, options: &WriteOptions) -> HashMap<usize, FileRecovery> {
    // A bundle that cannot be verified proves nothing.
    let Ok(report) = restore_all(input, options.threads, &mut |_, _| {}) else { return HashMap::new() };
    let logs = || manifest.files.iter().zip(&report.files).enumerate();
    let verified = logs().filter(|(_, (_, log))| log.is_verified == Some(true));
    let verified = unambiguous(verified.map(|(index, (file, log))| {
        (
            index,
            (file.source.as_str(), file.relative_path.as_str()),
            log.rows,
            file.integrity().map_or(0, |log| log.bytes),
        )
    }));
    let logs = logs().filter(|(index, _)| verified.contains(index)).filter_map(|(index, (_, log))| {
        let (source, name) = (log.source.clone(), log.name.clone());
        Some((index, FileRecovery::whole(source, name, log.rows, log.restored?)))
    });
    logs.collect()
}

/// Restores the logs again and packs them.
fn pack(
    input: &FileInput<'_>,
    manifest: &Manifest,
    logs: &HashMap<usize, FileRecovery>,
    options: &WriteOptions,
) -> Result<SpooledBundle> {
    let failed = |action| move |error| Error::io(action, &options.work_dir, error);
    let file = tempfile::tempfile_in(&options.work_dir).map_err(failed(IoAction::Create))?;
    let mut spool = BufWriter::new(file);
    // The logs arrive one after another.
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
        let mut packer = BundleWriter::start(scope, options);
        for index in &order {
            let id = LogId::of(&manifest.files[*index]);
            let log = (&spool).take(logs[index].recovered.bytes);
            packer.add_log(&id, times_of(id.source.as_str()), log, id.name.as_str(), &NoProgress)?;
        }
        packer.finish()
    })?;
    // The bundle may have changed since the first read.
    let is_same = |(file, index): (&ManifestFile, &usize)| file.integrity() == Some(logs[index].recovered);
    let are_same = packed.files().zip(&order).all(is_same);
    if are_same { Ok(packed) } else { Err(ErrorKind::OutputNotIntact.into()) }
}
