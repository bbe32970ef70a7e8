//! Opens the bundle that an argument names, and says what is to be said of it.

use std::path::Path;

use patchwork_traces::bundle::{Access, Bundle};

use super::is_dash;
use super::output::STDIN;
use super::stdin::stdin;

/// Opens the bundle at `path`, or on standard input.
pub fn open(path: &Path) -> patchwork_traces::Result<Bundle<'static>> {
    match is_dash(path) {
        true => Bundle::from_stream(stdin()?, STDIN),
        false => Bundle::open(path),
    }
}

/// What is to be said of how a bundle's rows are reached, if anything.
pub fn access_note(access: Access) -> Option<String> {
    let note =
        "this bundle was compressed again by another program, or it is damaged: its rows are read from its start";
    (access == Access::TableDoesNotFit).then(|| note.to_owned())
}
