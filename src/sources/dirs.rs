//! Where the logs of this machine are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{ErrorKind, Result};
use crate::format::Base;

/// The two directories that hold logs.
///
/// ```
/// use patchwork_traces::sources::{Dirs, Wanted, discover};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dirs = Dirs {
///     patchwork: "fixtures/sample-logs/patchwork".into(),
///     activity: "fixtures/sample-logs/ide".into(),
/// };
/// let found = discover(&dirs, &Wanted::default())?;
/// assert_eq!(found.logs().count(), 6);
/// assert_eq!(found.left_out.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Patchwork's own.
    pub patchwork: PathBuf,
    /// That of the activity logs.
    pub activity: PathBuf,
}

impl Dirs {
    /// Finds each directory: the one given, else the one that the environment names (`PATCHWORK_HOME`;
    /// `CLAUDE_CONFIG_DIR`, of which it is `ide`), else the usual one under `home`. An empty variable counts as unset.
    ///
    /// # Errors
    /// [`ErrorKind::NoHome`] when only a home directory could tell and there is none.
    pub fn resolve(
        patchwork: Option<PathBuf>,
        activity: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self> {
        let variable = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = home.filter(|home| !home.as_os_str().is_empty());
        let in_home = |path: &str| home.as_ref().map(|home| home.join(path)).ok_or(ErrorKind::NoHome);
        let patchwork = match patchwork.or_else(|| variable("PATCHWORK_HOME")) {
            Some(directory) => directory,
            None => in_home(".patchwork")?,
        };
        let activity = match activity.or_else(|| variable("CLAUDE_CONFIG_DIR").map(|config| config.join("ide"))) {
            Some(directory) => directory,
            None => in_home(".claude/ide")?,
        };
        Ok(Self { patchwork, activity })
    }

    /// Finds both as the program does: by the environment and the home directory of this process.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn of_this_user() -> Result<Self> {
        Self::resolve(None, None, |name| std::env::var_os(name), std::env::home_dir())
    }

    /// The directory of one kind.
    #[must_use]
    pub fn of(&self, base: Base) -> &Path {
        match base {
            Base::Patchwork => &self.patchwork,
            Base::Activity => &self.activity,
        }
    }
}
