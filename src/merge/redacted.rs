//! Checks and combines the redactions of the inputs of a merge.

use std::collections::HashSet;

use crate::digest::BundleDigest;
use crate::error::{Error, RedactionFault, Result};
use crate::format::limits::{MAX_COUNT, MAX_REDACTION_ITEMS};
use crate::format::{Derivation, Redaction};
use crate::input::{InputPart, TraceInput};

/// Fails if some inputs are redacted and others are not, or if their redactions do not belong
/// together. Otherwise the result could have both a row and its redacted copy, or a name that
/// stands for two different values.
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

/// Returns true if every name stands for the same value in two redacted bundles. That is the case
/// if both were redacted with the same key, or are parts of one redacted bundle.
fn belong_together(one: &InputPart<'_>, other: &InputPart<'_>) -> bool {
    let way = |part: &InputPart<'_>| part.redaction.as_ref().map(|redaction| options_of(redaction.clone()));
    let has_key = one.redaction.as_ref().is_some_and(|redaction| redaction.key_id.is_some());
    way(one) == way(other) && (has_key || redacted_bundles(one) == redacted_bundles(other))
}

/// Returns the redaction without its sources and counts.
fn options_of(redaction: Redaction) -> Redaction {
    Redaction { sources: Vec::new(), replaced: 0, lines: 0, ..redaction }
}

/// Returns the digest of a redacted bundle, or the digests of the redacted bundles that it was
/// derived from.
fn redacted_bundles(part: &InputPart<'_>) -> Vec<BundleDigest> {
    match &part.derived_from {
        Some(from) if from.how != Derivation::Redacted => from.bundles.clone(),
        _ => vec![part.digest],
    }
}

/// Returns the redaction of the inputs, with the total counts of all.
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
