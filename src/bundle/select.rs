//! Selects files of a bundle by the names that a user gives.

use crate::error::{ErrorKind, Result};
use crate::format::{Manifest, SourceName};

/// Returns the indices, in ascending order, of the files that belong to `sources` and are named in `files`. An empty
/// list matches every file.
///
/// # Errors
/// Returns [`ErrorKind::UnknownSource`] or [`ErrorKind::UnknownFile`] for a name that the bundle does not have.
pub fn select_files(manifest: &Manifest, sources: &[String], files: &[String]) -> Result<Vec<usize>> {
    let names = |known: Vec<&str>| known.into_iter().map(str::to_owned).collect();
    let known_sources: Vec<_> = manifest.sources.iter().map(SourceName::as_str).collect();
    if let Some(unknown) = sources.iter().find(|name| !known_sources.contains(&name.as_str())) {
        return Err(ErrorKind::UnknownSource { name: unknown.clone(), known: names(known_sources) }.into());
    }
    let of_sources = manifest
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| sources.is_empty() || sources.iter().any(|source| source == file.source.as_str()));
    let of_sources: Vec<_> = of_sources.map(|(index, file)| (index, file.relative_path.as_str())).collect();
    if let Some(unknown) = files.iter().find(|name| !of_sources.iter().any(|(_, known)| known == name)) {
        let known = of_sources.into_iter().map(|(_, name)| name).collect();
        return Err(ErrorKind::UnknownFile { name: unknown.clone(), known: names(known) }.into());
    }
    let wanted = of_sources.into_iter().filter(|(_, name)| files.is_empty() || files.iter().any(|file| file == name));
    Ok(wanted.map(|(index, _)| index).collect())
}
