//! Finds local logs that are the same as the bundle's, byte for byte, while these are restored. Such logs are not
//! staged.
//!
//! If all logs of a group are the same, nothing has to be done for it. If some are not, the group's unstaged logs
//! are restored again, and staged then.

use std::io::Read;

use super::local::LocalLog;
use super::plan::Mode;
use super::source_import::SourceImport;
use super::targets::{ImportTarget, TargetGroup};
use crate::error::Result;

/// A local log that is compared with one that is being restored.
#[derive(Debug)]
pub(super) struct Comparison {
    local: LocalLog,
    is_same: bool,
    buffer: Vec<u8>,
}

impl Comparison {
    /// Starts a comparison with the log at `target`. Returns `None` if it cannot be opened.
    pub(super) fn start(target: &ImportTarget) -> Option<Self> {
        let local = LocalLog::open(target).ok()?;
        let is_same = local.log.is_some();
        Some(Self { local, is_same, buffer: Vec::new() })
    }

    /// Compares the next bytes of the restored log.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Some(log) = self.local.log.as_mut().filter(|_| self.is_same) else { return };
        self.buffer.resize(bytes.len().max(self.buffer.len()), 0);
        let there = &mut self.buffer[..bytes.len()];
        self.is_same = log.read_exact(there).is_ok() && there == bytes;
    }

    /// Returns the local log, closed, if it is the same as the restored one, which is `bytes` long.
    pub(super) fn finish(mut self, bytes: u64) -> Option<LocalLog> {
        self.local.close();
        (self.is_same && self.local.bytes() == Some(bytes)).then_some(self.local)
    }
}

impl TargetGroup {
    /// Returns the total length of its local logs, in bytes.
    pub(super) fn local_bytes(&self) -> u64 {
        self.targets.iter().map(ImportTarget::local_bytes).sum()
    }

    /// Returns true in merge mode if its local logs are as long as the bundle's, so that they may be the same.
    pub(super) fn may_be_unchanged(&self, mode: Mode) -> bool {
        let is_as_long = |target: &ImportTarget| {
            let there = target.local_bytes();
            match target.bundled {
                Some(bundled) => bundled.integrity.is_some_and(|expected| expected.bytes == there),
                None => there == 0,
            }
        };
        mode == Mode::Merge && self.targets.iter().all(is_as_long)
    }
}

impl ImportTarget {
    fn local_bytes(&self) -> u64 {
        self.log.path.symlink_metadata().map_or(0, |there| there.len())
    }
}

impl SourceImport<'_> {
    /// Returns the number of bytes to read once the bundle's logs are restored. It is zero if logs were compared
    /// meanwhile.
    pub(super) fn bytes_to_compare(&self) -> u64 {
        let bundled: u64 = self.restored.iter().flatten().map(|restored| restored.integrity.bytes).sum();
        match (self.unstaged_logs().next(), self.group.local_bytes(), self.context.mode) {
            (Some(_), ..) => 0,
            (None, here, Mode::Merge) if here > 0 => here + bundled,
            (None, here, _) => here,
        }
    }

    /// Returns true if the local logs are the bundle's, byte for byte, and all others are empty or missing.
    pub(super) fn is_unchanged(&self) -> Result<bool> {
        for (target, restored) in self.group.targets.iter().zip(&self.restored) {
            let stays = match restored {
                Some(restored) => match &restored.same_local {
                    Some(local) => local.is_current(&target.log.path)?,
                    None => false,
                },
                None => LocalLog::open(target)?.is_empty(),
            };
            if !stays {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the bundle's logs that are not staged, by their indices in the manifest.
    pub(super) fn unstaged_logs(&self) -> impl Iterator<Item = usize> {
        let logs = self.group.targets.iter().zip(&self.restored);
        logs.filter(|(_, restored)| restored.as_ref().is_some_and(|restored| restored.staged.is_none()))
            .filter_map(|(target, _)| target.bundled.map(|bundled| bundled.index))
    }

    /// Returns the local logs as they were seen, if they are known to be unchanged.
    pub(super) fn unchanged_locals(&self) -> Result<Option<Vec<LocalLog>>> {
        if !self.stays {
            return Ok(None);
        }
        let logs = self.group.targets.iter().zip(&self.restored);
        let seen =
            logs.map(|(target, restored)| match restored.as_ref().and_then(|restored| restored.same_local.as_ref()) {
                Some(local) => Ok(local.as_seen()),
                None => LocalLog::open(target).map(|local| local.as_seen()),
            });
        seen.collect::<Result<_>>().map(Some)
    }
}
