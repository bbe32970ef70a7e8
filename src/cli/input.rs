//! Opens the bundle that an argument names.

use std::path::Path;

use patchwork_traces::bundle::Bundle;

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
