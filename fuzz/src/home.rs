//! A machine's two directories, used again and again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use patchwork_traces::Result;
use patchwork_traces::bundle::Bundle;
use patchwork_traces::import::{Clock, ImportOptions, ImportReport, import};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::sources::Dirs;

use crate::bundles::Logs;

/// No time passes, and nobody waits: there is no other writer.
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: Duration) {}
}

pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) dirs: Dirs,
}

impl Home {
    pub(crate) fn new() -> Self {
        // In memory where that is possible: every import and recovery syncs its files.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.expect("a temporary directory");
        let dirs = Dirs { patchwork: dir.path().join("patchwork"), activity: dir.path().join("ide") };
        Self { dir, dirs }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Has these logs, and nothing else.
    pub(crate) fn fill(&self, logs: &Logs) {
        for dir in [&self.dirs.patchwork, &self.dirs.activity] {
            if dir.exists() {
                fs::remove_dir_all(dir).expect("it can be removed");
            }
        }
        for ((base, name), log) in logs {
            fs::create_dir_all(self.dirs.of(*base)).expect("it can be created");
            fs::write(self.dirs.of(*base).join(name.as_str()), log).expect("it can be written");
        }
    }

    /// Everything that is there: files with what they hold, and directories.
    pub(crate) fn everything(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let (mut all, mut dirs) = (BTreeMap::new(), vec![self.dir.path().to_owned()]);
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).expect("it can be listed") {
                let path = entry.expect("it can be listed").path();
                if path.is_dir() {
                    dirs.push(path.clone());
                    all.insert(path, None);
                } else {
                    let content = fs::read(&path).expect("it can be read");
                    all.insert(path, Some(content));
                }
            }
        }
        all
    }

    /// The files that are there, which must be logs of these names.
    pub(crate) fn logs(&self, of: &Logs) -> Logs {
        let mut there = self.everything();
        there.retain(|_, content| content.is_some());
        let mut logs = Logs::new();
        for key in of.keys() {
            if let Some(content) = there.remove(&self.dirs.of(key.0).join(key.1.as_str())) {
                logs.insert(key.clone(), content.expect("only files are left"));
            }
        }
        assert!(there.is_empty(), "{:?} appeared", there.keys());
        logs
    }

    pub(crate) fn import(&self, bundle: Result<Bundle<'_>>, options: &ImportOptions) -> Result<ImportReport> {
        import(bundle?, &self.dirs, options, &NoClock, &NoProgress)
    }
}

thread_local! {
    static HOME: Home = Home::new();
}

/// Lends out a home that is empty.
pub(crate) fn with_home<T>(work: impl FnOnce(&Home) -> T) -> T {
    HOME.with(|home| {
        home.fill(&Logs::new());
        work(home)
    })
}
