//! Checks the signature of the checkpoint of a history.

use std::path::Path;

use super::HistoryFindings;
use super::finding::{HistoryFinding, HistoryFindingKind};
use super::heads::ListedSegment;
use crate::digest::Sha256Digest;
use crate::history::{Checkpoint, Frontier};
use crate::signature::{SignatureCheck, history_signature_path};

/// Checks the signature of the checkpoint of the history in `dir`. `segments` are in order.
pub(super) fn check(
    check: &SignatureCheck,
    dir: &Path,
    segments: &[ListedSegment],
    findings: &mut HistoryFindings<'_>,
) {
    let verdict = match findings.report.checkpoint {
        None => check.without_content(),
        Some(checkpoint) => {
            let roots = roots(segments);
            let last = segments.last().map_or(0, |segment| segment.segment.name.number + 1);
            check.verdict_on_history(checkpoint.size.max(last), &|size| {
                let root = match size == checkpoint.size {
                    true => checkpoint.root,
                    false => *roots.get(usize::try_from(size).ok()?)?,
                };
                Some(Checkpoint { size, root, ..checkpoint }.to_string())
            })
        }
    };
    if !verdict.is_valid() {
        let (path, kind) = (history_signature_path(dir), HistoryFindingKind::Signature(verdict.clone()));
        findings.add(HistoryFinding { path, segment: None, kind });
    }
    findings.report.signature = Some(verdict);
}

/// Returns the tree head of each prefix of the segments, up to the first segment that is missing, duplicate or
/// unreadable.
fn roots(segments: &[ListedSegment]) -> Vec<Sha256Digest> {
    let mut frontier = Frontier::default();
    let mut roots = vec![frontier.root()];
    for (segment, number) in segments.iter().zip(0..) {
        let Some(digest) = segment.digest.filter(|_| segment.segment.name.number == number) else { break };
        frontier.push(digest);
        roots.push(frontier.root());
    }
    roots
}
