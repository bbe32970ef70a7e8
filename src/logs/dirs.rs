//! Locates the directories that hold this machine's logs.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::Base;

/// The two directories that hold logs.
///
/// ```
/// use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dirs = Dirs {
///     patchwork: "fixtures/sample-logs/patchwork".into(),
///     activity: "fixtures/sample-logs/ide".into(),
/// };
/// let found = discover(&dirs, &DiscoverOptions::default())?;
/// assert_eq!(found.logs().count(), 6);
/// assert_eq!(found.skipped.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Patchwork's own directory.
    pub patchwork: PathBuf,
    /// The directory of the activity logs.
    pub activity: PathBuf,
}

impl Dirs {
    /// Resolves each directory: the given one, else the one from the environment (`PATCHWORK_HOME`, or `ide` in
    /// `CLAUDE_CONFIG_DIR`), else the default one under `home`. An empty variable counts as unset.
    ///
    /// # Errors
    /// [`ErrorKind::NoHome`] if a home directory is needed and there is none.
    pub fn resolve(
        patchwork: Option<PathBuf>,
        activity: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<ResolvedDirs> {
        let home = home.filter(|home| !home.as_os_str().is_empty());
        let in_home = |path: &str| home.as_ref().map(|home| home.join(path)).ok_or(ErrorKind::NoHome);
        let named_by = |given: Option<PathBuf>, name: &'static str| {
            let of_variable = || variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
            let given = given.map(|path| NamedDir { path, variable: None });
            given.or_else(|| of_variable().map(|path| NamedDir { path, variable: Some(name) }))
        };
        let (patchwork, activity) = (named_by(patchwork, "PATCHWORK_HOME"), named_by(activity, "CLAUDE_CONFIG_DIR"));
        let dirs = Self {
            patchwork: match &patchwork {
                Some(named) => named.path.clone(),
                None => in_home(".patchwork")?,
            },
            activity: match &activity {
                Some(named) if named.variable.is_some() => named.path.join("ide"),
                Some(named) => named.path.clone(),
                None => in_home(".claude/ide")?,
            },
        };
        Ok(ResolvedDirs { dirs, named: patchwork.into_iter().chain(activity).collect() })
    }

    /// Resolves both directories like the program, from the environment and the home directory of this process.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn from_env() -> Result<Self> {
        Ok(Self::resolve(None, None, |name| std::env::var_os(name), home_dir())?.dirs)
    }

    /// Returns the directory of one kind.
    #[must_use]
    pub fn of(&self, base: Base) -> &Path {
        match base {
            Base::Patchwork => &self.patchwork,
            Base::Activity => &self.activity,
        }
    }
}

/// Returns the home directory of this user.
pub fn home_dir() -> Option<PathBuf> {
    // In a static program, the GNU C library can't query the system's name services.
    match cfg!(all(unix, target_feature = "crt-static")) {
        true => std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
        false => std::env::home_dir(),
    }
}

/// The directories of this user, and which of them were named explicitly.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedDirs {
    /// The directories.
    pub dirs: Dirs,
    /// The directories that an argument or the environment named.
    pub named: Vec<NamedDir>,
}

/// A directory that was named explicitly.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedDir {
    /// The directory as it was named. For `CLAUDE_CONFIG_DIR` it is the parent of `ide`.
    pub path: PathBuf,
    /// The environment variable that names it. `None` if an argument does.
    pub variable: Option<&'static str>,
}

impl ResolvedDirs {
    /// Checks that every named directory exists. An assumed directory need not exist.
    ///
    /// # Errors
    /// [`ErrorKind::MissingDirectory`], and if the system cannot tell whether a directory exists.
    pub fn check_named(&self) -> Result<()> {
        for NamedDir { path, variable } in &self.named {
            match fs::metadata(path) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let missing = ErrorKind::MissingDirectory { variable: *variable };
                    return Err(Error::from(missing).in_subject(&path.display().to_string()));
                }
                Err(error) => return Err(refused(IoAction::Open, path, error)),
            }
        }
        Ok(())
    }
}

/// Returns an error about `path`. If permission is denied, the error names the directory that denies it: the
/// deepest one that can be reached.
pub(crate) fn refused(action: IoAction, path: &Path, error: io::Error) -> Error {
    let denies = match error.kind() {
        io::ErrorKind::PermissionDenied => path.ancestors().skip(1).find(|dir| fs::metadata(dir).is_ok()),
        _ => None,
    };
    Error::io(action, denies.unwrap_or(path), error)
}
