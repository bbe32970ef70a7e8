//! Finds the logs that are here already, byte for byte, while the bundle's are restored: those are not staged.
//!
//! A group all of whose logs are here has nothing to be done. Those of a group that turn out not to be are restored
//! again, and then they are staged.

use std::io::Read;

use super::local::LocalLog;
use super::plan::Mode;
use super::source_import::SourceImport;
use super::targets::{ImportTarget, TargetGroup};
use crate::error::Result;

/// A log of this machine that is compared with one that is being restored.
#[derive(Debug)]
pub(super) struct Comparison {
    local: LocalLog,
    is_same: bool,
    buffer: Vec<u8>,
}

impl Comparison {
    /// With the log that is at `target` now. `None` when it cannot be opened.
    pub(super) fn start(target: &ImportTarget) -> Option<Self> {
        let local = LocalLog::open(target).ok()?;
        let is_same = local.log.is_some();
        Some(Self { local, is_same, buffer: Vec::new() })
    }

    /// The restored log's next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Some(log) = self.local.log.as_mut().filter(|_| self.is_same) else { return };
        self.buffer.resize(bytes.len().max(self.buffer.len()), 0);
        let there = &mut self.buffer[..bytes.len()];
        self.is_same = log.read_exact(there).is_ok() && there == bytes;
    }

    /// The local log, closed, if it is the restored one, which is `bytes` long.
    pub(super) fn finish(mut self, bytes: u64) -> Option<LocalLog> {
        self.local.close();
        (self.is_same && self.local.bytes() == Some(bytes)).then_some(self.local)
    }
}

impl TargetGroup {
    /// The size of what is there already.
    pub(super) fn local_bytes(&self) -> u64 {
        self.targets.iter().map(ImportTarget::local_bytes).sum()
    }

    /// Whether the logs that are there are as long as those of the bundle, so that they may be the same.
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
    /// How much is to be read once the bundle's logs are restored: none of what is here already.
    pub(super) fn bytes_to_compare(&self) -> u64 {
        let bundled: u64 = self.restored.iter().flatten().map(|restored| restored.integrity.bytes).sum();
        match (self.unstaged_logs().next(), self.group.local_bytes(), self.context.mode) {
            (Some(_), ..) => 0,
            (None, here, Mode::Merge) if here > 0 => here + bundled,
            (None, here, _) => here,
        }
    }

    /// Whether this machine has the bundle's logs, byte for byte, and no more.
    pub(super) fn is_unchanged(&self) -> Result<bool> {
        for (target, restored) in self.group.targets.iter().zip(&self.restored) {
            let stays = match restored {
                Some(restored) => match &restored.here {
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

    /// The bundle's logs that do not wait, by their indices in the manifest.
    pub(super) fn unstaged_logs(&self) -> impl Iterator<Item = usize> {
        let logs = self.group.targets.iter().zip(&self.restored);
        logs.filter(|(_, restored)| restored.as_ref().is_some_and(|restored| restored.staged.is_none()))
            .filter_map(|(target, _)| target.bundled.map(|bundled| bundled.index))
    }

    /// What is there, if it was settled that it stays.
    pub(super) fn settled(&self) -> Result<Option<Vec<LocalLog>>> {
        if !self.stays {
            return Ok(None);
        }
        let logs = self.group.targets.iter().zip(&self.restored);
        let seen = logs.map(|(target, restored)| match restored.as_ref().and_then(|restored| restored.here.as_ref()) {
            Some(local) => Ok(local.as_seen()),
            None => LocalLog::open(target).map(|local| local.as_seen()),
        });
        seen.collect::<Result<_>>().map(Some)
    }
}
