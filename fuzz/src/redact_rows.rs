//! Checks that a redaction changes nothing but the texts of strings: rows stay rows, with the same structure, unparsed lines
//! stay unparsed, and the redaction can be repeated with the same result.

use std::num::NonZeroUsize;

use patchwork_traces::ErrorKind;
use patchwork_traces::format::{Base, FileName};
use patchwork_traces::input::TraceInput;
use patchwork_traces::internal::classify;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::query::KeyPath;
use patchwork_traces::redact::{CompareOptions, RedactOptions, check_redaction, redact};
use patchwork_traces::verify::Verdict;

use crate::bundles::{Logs, indexed, restored, verified};
use crate::merge_logs::bundle_of;
use crate::reference::lines;

/// The separator between the paths to remove and the log.
const SEPARATOR: u8 = 0x1e;

/// Checks the redaction of a log. The first byte says whether the paths are removed or kept, and sets the chunk length.
pub fn check(input: &[u8]) {
    let [how, text @ ..] = input else { return };
    let at = text.iter().position(|byte| *byte == SEPARATOR);
    let (paths, log) = at.map_or((&b""[..], text), |at| (&text[..at], &text[at + 1..]));
    let paths = std::str::from_utf8(paths).ok().and_then(|paths| KeyPath::parse_list(paths).ok()).unwrap_or_default();
    let changes_members = !paths.is_empty();
    let options = RedactOptions::new("fuzz").threads(NonZeroUsize::MIN);
    let options = if how & 1 == 0 { options.drop(paths) } else { options.keep_only(paths) };
    let key = (Base::Patchwork, FileName::new("runs.jsonl").expect("a plain name"));
    let bundle = bundle_of(&Logs::from([(key.clone(), log.to_vec())]), 1 + usize::from(how >> 1));
    let original = TraceInput::from_bundle(indexed(&bundle).expect("the bundle is sound"));
    let mut redacted = Vec::new();
    let done = redact(&original, &options, (&mut redacted, "memory"), std::env::temp_dir(), &NoProgress);
    if let Err(error) = done {
        assert!(matches!(error.kind(), ErrorKind::Redaction(_)), "{error}");
        return assert!(redacted.is_empty(), "{error}, but a part was written");
    }
    let (report, findings) = verified(&redacted).expect("memory I/O succeeds");
    assert_eq!((report.verdict, findings.as_slice()), (Verdict::Intact, &[][..]));
    let after = restored(indexed(&redacted)).expect("the bundle is sound");
    check_lines(log, &after[&key], changes_members);
    let redacted = indexed(&redacted).expect("the bundle is sound");
    let compare = CompareOptions::default().threads(NonZeroUsize::MIN).work_dir(std::env::temp_dir());
    let compared = check_redaction(&redacted, &original, &compare, &NoProgress).expect("both are sound");
    assert_eq!(compared.difference, None);
}

fn check_lines(before: &[u8], after: &[u8], changes_members: bool) {
    let (before, after) = (lines(before), lines(after));
    assert_eq!(before.len(), after.len(), "the number of lines stays");
    for (before, after) in before.iter().zip(&after) {
        let is_row = classify(before, &[]).is_some();
        assert_eq!(classify(after, &[]).is_some(), is_row, "{}", String::from_utf8_lossy(after));
        if is_row && !changes_members {
            assert_eq!(without_strings(before), without_strings(after), "only strings change");
        }
    }
}

/// Returns JSON without the contents of its strings.
fn without_strings(json: &[u8]) -> Vec<u8> {
    let (mut outside, mut is_string, mut is_escape) = (Vec::new(), false, false);
    for &byte in json {
        if !is_string {
            outside.push(byte);
        }
        match byte {
            _ if is_escape => is_escape = false,
            b'\\' if is_string => is_escape = true,
            b'"' => is_string = !is_string,
            _ => {}
        }
    }
    outside
}
