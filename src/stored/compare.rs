//! Compares the logs of two inputs, line by line.

use std::num::NonZeroUsize;

use super::set::StoredGroup;
use crate::align::{Alignment, Fingerprinter, LineKeying, RowKeys, Side, align, read_log};
use crate::error::Result;
use crate::logs::{GroupKey, known, times_of};
use crate::progress::Progress;
use crate::util::cancel::CancellableIo;

/// The settings of a comparison.
#[derive(Clone, Copy)]
pub struct CompareContext<'c> {
    /// The hash function whose fingerprints tell lines apart.
    pub fingerprinter: Fingerprinter,
    /// The number of threads that read lines.
    pub threads: NonZeroUsize,
    pub progress: &'c dyn Progress,
}

/// The lines of two groups of logs, compared.
#[derive(Debug)]
pub struct Compared {
    /// The side that the alignment treats as local.
    pub local: Side,
    /// The side that the alignment treats as the bundle.
    pub bundle: Side,
    pub alignment: Alignment,
}

/// Compares the lines of two groups of logs. The shorter group is indexed.
///
/// # Errors
/// If a log cannot be read, or has too many lines.
pub fn compare(
    key: &GroupKey,
    local: &StoredGroup,
    bundle: &StoredGroup,
    context: CompareContext<'_>,
) -> Result<Compared> {
    let fingerprints = LineKeying::Fingerprint(context.fingerprinter);
    let (local_side, bundle_side, distinct);
    if local.bytes() > bundle.bytes() {
        let mut side = read(key, bundle, fingerprints, context)?;
        let index = side.index()?;
        local_side = read(key, local, LineKeying::Lookup(context.fingerprinter, &index), context)?;
        (bundle_side, distinct) = (side, index.lines());
    } else {
        let mut side = read(key, local, fingerprints, context)?;
        let index = side.index()?;
        bundle_side = read(key, bundle, LineKeying::Lookup(context.fingerprinter, &index), context)?;
        (local_side, distinct) = (side, index.lines());
    }
    let alignment = align(&local_side.ids, &bundle_side.ids, distinct);
    Ok(Compared { local: local_side, bundle: bundle_side, alignment })
}

/// Reads the lines of all logs of a group.
fn read(key: &GroupKey, group: &StoredGroup, keying: LineKeying<'_>, context: CompareContext<'_>) -> Result<Side> {
    let keys = RowKeys { times: times_of(key.source()), run: known(key.source()).and_then(|source| source.run) };
    let mut side = Side::default();
    for log in &group.logs {
        match log {
            None => side.end_log(),
            Some(log) => {
                let reader = CancellableIo::new(log.reader(), context.progress);
                let read = read_log(reader, keys, keying, context.threads, &mut side);
                read.map_err(|error| error.in_subject(log.id.name.as_str()))?;
            }
        }
    }
    Ok(side)
}
