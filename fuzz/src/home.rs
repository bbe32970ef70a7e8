//! A reusable pair of the directories that a machine's logs are in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use patchwork_traces::Result;
use patchwork_traces::bundle::Bundle;
use patchwork_traces::import::{Clock, ImportOptions, ImportReport, import};
use patchwork_traces::logs::Dirs;
use patchwork_traces::progress::NoProgress;

use crate::bundles::Logs;

/// A clock that stands still. There are no other writers to wait for.
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
        // Prefer memory, because every import and recovery syncs its files.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.expect("a temporary directory");
        let dirs = Dirs { patchwork: dir.path().join("patchwork"), activity: dir.path().join("ide") };
        Self { dir, dirs }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Replaces the contents with these logs.
    pub(crate) fn fill(&self, logs: &Logs) {
        for dir in [&self.dirs.patchwork, &self.dirs.activity] {
            if dir.exists() {
                fs::remove_dir_all(dir).expect("cannot remove the file");
            }
        }
        for ((base, name), log) in logs {
            fs::create_dir_all(self.dirs.of(*base)).expect("cannot create the directory");
            fs::write(self.dirs.of(*base).join(name.as_str()), log).expect("cannot write the file");
        }
    }

    /// Returns all files with their contents, and all directories.
    pub(crate) fn everything(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let (mut all, mut dirs) = (BTreeMap::new(), vec![self.dir.path().to_owned()]);
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).expect("cannot list the directory") {
                let path = entry.expect("cannot list the directory").path();
                if path.is_dir() {
                    dirs.push(path.clone());
                    all.insert(path, None);
                } else {
                    let content = fs::read(&path).expect("cannot read the file");
                    all.insert(path, Some(content));
                }
            }
        }
        all
    }

    /// Returns the files, which must all have the names of these logs.
    pub(crate) fn logs(&self, of: &Logs) -> Logs {
        let mut there = self.everything();
        there.retain(|_, content| content.is_some());
        let mut logs = Logs::new();
        for key in of.keys() {
            if let Some(content) = there.remove(&self.dirs.of(key.0).join(key.1.as_str())) {
                logs.insert(key.clone(), content.expect("only files are left"));
            }
        }
        assert!(there.is_empty(), "unexpected files: {:?}", there.keys());
        logs
    }

    pub(crate) fn import(&self, bundle: Result<Bundle<'_>>, options: &ImportOptions) -> Result<ImportReport> {
        import(bundle?, &self.dirs, options, &NoClock, &NoProgress)
    }
}

thread_local! {
    static HOME: Home = Home::new();
}

/// Runs `work` with an empty home.
pub(crate) fn with_home<T>(work: impl FnOnce(&Home) -> T) -> T {
    HOME.with(|home| {
        home.fill(&Logs::new());
        work(home)
    })
}
