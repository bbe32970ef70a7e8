//! Warnings about files with secrets.

use std::path::Path;

/// Returns the warning that other users can read the secret in a file.
pub fn exposed_warning(path: &Path) -> String {
    let path = path.display();
    format!("{path}: other users can read this secret; run `chmod 600 {path}`")
}

/// Returns the warning if other users can read the file.
#[cfg(unix)]
pub fn warning_if_exposed(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    (metadata.permissions().mode() & 0o077 != 0).then(|| exposed_warning(path))
}

/// Returns no warning: the access lists of this platform are not read.
#[cfg(not(unix))]
pub fn warning_if_exposed(_: &Path) -> Option<String> {
    None
}
