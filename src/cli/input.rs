//! Opens the bundle that an argument names.

use std::path::Path;

use patchwork_traces::bundle::{Access, Bundle};

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

/// Returns a note if the chunk table does not locate the bundle's rows.
pub fn access_note(access: Access) -> Option<String> {
    let note = "the chunk table does not match: the bundle was recompressed by another program or is damaged, so its rows are read from the start";
    (access == Access::TableMismatch).then(|| note.to_owned())
}
