//! Redacted bundles among the inputs of a merge.

use std::collections::HashSet;

use crate::digest::BundleDigest;
use crate::error::{Error, RedactionFault, Result};
use crate::format::limits::{MAX_COUNT, MAX_REDACTION_ITEMS};
use crate::format::{Derivation, Redaction};
use crate::input::{InputPart, TraceInput};

/// Returns an error if an input is redacted and another one is not, or is in another way. Rows of the one can be changed
/// copies of rows of the other, and would stand beside them; and a name can stand for a value in the one, and for another
/// value in the other.
pub fn check_redacted(inputs: &[TraceInput<'_>]) -> Result<()> {
    let Some(first) = inputs.iter().find(|input| input.is_redacted()) else { return Ok(()) };
    if !inputs.iter().all(TraceInput::is_redacted) {
        return Err(Error::from(RedactionFault::AmongOthers).in_subject(first.name()));
    }
    let belongs = |input: &&TraceInput<'_>| {
        first.parts().iter().all(|one| input.parts().iter().all(|other| belong_together(one, other)))
    };
    match inputs.iter().find(|input| !belongs(input)) {
        Some(input) => {
            let fault = RedactionFault::RedactedApart { other: first.name().to_owned() };
            Err(Error::from(fault).in_subject(input.name()))
        }
        None => Ok(()),
    }
}

/// Returns true if equal values have equal names in two redacted bundles, and no others have. So it is with one key, and in
/// parts of one redacted bundle.
fn belong_together(one: &InputPart<'_>, other: &InputPart<'_>) -> bool {
    let way = |part: &InputPart<'_>| part.redaction.as_ref().map(|redaction| options_of(redaction.clone()));
    let has_key = one.redaction.as_ref().is_some_and(|redaction| redaction.key_id.is_some());
    way(one) == way(other) && (has_key || redacted_bundles(one) == redacted_bundles(other))
}

/// Returns a record without the sources that were taken, and the numbers.
fn options_of(redaction: Redaction) -> Redaction {
    Redaction { sources: Vec::new(), replaced: 0, lines: 0, ..redaction }
}

/// Returns the digest of a redacted bundle, or of those that it was made of later.
fn redacted_bundles(part: &InputPart<'_>) -> Vec<BundleDigest> {
    match &part.derived_from {
        Some(from) if from.how != Derivation::Redacted => from.bundles.clone(),
        _ => vec![part.digest],
    }
}

/// Returns how the inputs were redacted, and how much was replaced in all of them.
pub fn merged_redaction(inputs: &[TraceInput<'_>]) -> Option<Redaction> {
    let mut known = HashSet::new();
    let parts = inputs.iter().flat_map(TraceInput::parts).filter(|part| known.insert(part.digest));
    parts.filter_map(|part| part.redaction.clone()).reduce(|mut all, next| {
        let has_all = all.sources.is_empty() || next.sources.is_empty();
        all.sources.extend(next.sources);
        all.sources.sort();
        all.sources.dedup();
        let is_listed = !has_all && all.sources.len() <= MAX_REDACTION_ITEMS;
        let sources = if is_listed { all.sources } else { Vec::new() };
        let replaced = all.replaced.saturating_add(next.replaced).min(MAX_COUNT);
        Redaction { sources, replaced, lines: all.lines.saturating_add(next.lines).min(MAX_COUNT), ..all }
    })
}
