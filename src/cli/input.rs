//! Opens the bundles that arguments name.

use std::path::{Path, PathBuf};

use patchwork_traces::bundle::{Access, Bundle};
use patchwork_traces::input::TraceInput;

use crate::cli::failure::Failure;
use crate::cli::is_dash;
use crate::cli::terminal::output::STDIN;
use crate::cli::terminal::stdin::stdin;

/// Opens the bundle at `path`, or standard input for `-`.
pub fn open(path: &Path) -> patchwork_traces::Result<Bundle<'static>> {
    match is_dash(path) {
        true => Bundle::from_stream(stdin()?, STDIN),
        false => Bundle::open(path),
    }
}

/// Opens the bundles and histories at `paths`, of which one may be `-` for standard input.
pub fn open_all(paths: &[PathBuf]) -> Result<Vec<TraceInput<'static>>, Failure> {
    if paths.iter().filter(|path| is_dash(path)).count() > 1 {
        return Err(Failure::usage("standard input can be read only once", "name `-` once"));
    }
    let open = |path: &PathBuf| match is_dash(path) {
        true => open(path).map(TraceInput::from_bundle),
        false => TraceInput::open(path),
    };
    Ok(paths.iter().map(open).collect::<Result<_, _>>()?)
}

/// Returns a note if the chunk table does not locate the bundle's rows.
pub fn access_note(access: Access) -> Option<String> {
    let note = "the chunk table does not match: the bundle was recompressed by another program or is damaged, so its rows are read from the start";
    (access == Access::TableMismatch).then(|| note.to_owned())
}
