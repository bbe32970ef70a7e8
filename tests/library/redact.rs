//! Redaction removes everything that is found, and changes nothing else.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use crate::common::adversarial_lines::adversarial_log;
use crate::common::planted::planted;
use crate::common::{Home, bundle, indexed, options, restore_all, text_of};
use crate::scan::planted_log;
use data_encoding::BASE64;
use patchwork_traces::cat::CatOptions;
use patchwork_traces::detect::DetectOptions;
use patchwork_traces::error::RedactionFault;
use patchwork_traces::export::{Level, export};
use patchwork_traces::filter::{FilterOptions, filter as filter_rows};
use patchwork_traces::format::{Derivation, Label};
use patchwork_traces::input::TraceInput;
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::merge::{MergeOptions, merge};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::query::{KeyPath, RowFilter};
use patchwork_traces::redact::{
    CompareOptions, RedactOptions, RedactReport, RedactionDifference, RedactionKey, check_redaction, redact,
};
use patchwork_traces::scan::{ScanOptions, scan};
use patchwork_traces::verify::{Verdict, VerifyOptions, verify_seekable};
use patchwork_traces::{ErrorKind, Result};
use proptest::prelude::*;

fn redact_options() -> RedactOptions {
    RedactOptions::new("tests").level(Level::new(1).unwrap())
}

fn try_redact(bundle: &[u8], options: &RedactOptions) -> Result<(Vec<u8>, RedactReport)> {
    let mut redacted = Vec::new();
    let input = TraceInput::from_bundle(indexed(bundle)?);
    let report = redact(&input, options, (&mut redacted, "memory"), std::env::temp_dir(), &NoProgress)?;
    Ok((redacted, report))
}

fn redacted(bundle: &[u8], options: &RedactOptions) -> Vec<u8> {
    try_redact(bundle, options).unwrap().0
}

/// Redacts the log `runs.jsonl`.
fn redacted_log(log: impl AsRef<[u8]>, options: &RedactOptions) -> String {
    let bundle = bundle(&Home::new().with("runs.jsonl", log));
    String::from_utf8(logs_of(&redacted(&bundle, options)).remove("runs.jsonl").unwrap()).unwrap()
}

fn logs_of(bundle: &[u8]) -> BTreeMap<String, Vec<u8>> {
    restore_all(indexed(bundle).unwrap()).unwrap()
}

fn is_clean(bundle: &[u8]) -> bool {
    let input = TraceInput::from_bundle(indexed(bundle).unwrap());
    scan(&[input], &ScanOptions::default(), &NoProgress).unwrap().is_clean()
}

fn is_sound(bundle: &[u8]) -> bool {
    let options = VerifyOptions::default();
    let report = verify_seekable(std::io::Cursor::new(bundle), "memory", &options, &NoProgress, &mut |_| {}).unwrap();
    report.verdict == Verdict::Intact && report.is_good()
}

fn check(redacted: &[u8], original: &[u8], key: Option<RedactionKey>) -> Result<Option<RedactionDifference>> {
    let original = TraceInput::from_bundle(indexed(original)?);
    let options = CompareOptions::default().key(key);
    check_redaction(&indexed(redacted)?, &original, &options, &NoProgress).map(|check| check.difference)
}

fn paths(texts: &[&str]) -> Vec<KeyPath> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Returns a text with its escapes resolved once and twice, because a line can be a string inside a string.
fn unescaped(text: &[u8]) -> String {
    let mut all = String::from_utf8_lossy(text).into_owned();
    for _ in 0..2 {
        let mut plain = String::new();
        let mut rest = all.as_str();
        while let Some(at) = rest.find('\\') {
            plain.push_str(&rest[..at]);
            let unit = rest.get(at + 2..at + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            match (rest[at + 1..].chars().next(), unit.and_then(char::from_u32)) {
                (Some('u'), Some(c)) => {
                    plain.push(c);
                    rest = &rest[at + 6..];
                }
                (Some(c @ ('/' | '\\' | '"')), _) => {
                    plain.push(c);
                    rest = &rest[at + 2..];
                }
                (Some('n'), _) => {
                    plain.push('\n');
                    rest = &rest[at + 2..];
                }
                _ => {
                    plain.push('\\');
                    rest = &rest[at + 1..];
                }
            }
        }
        plain.push_str(rest);
        all = format!("{all}\n{plain}");
    }
    all
}

#[test]
fn nothing_that_was_planted_remains_in_any_form() {
    let (log, lines) = planted_log(3);
    let original = bundle(&Home::new().with("runs.jsonl", &log));
    for key in [None, Some(RedactionKey::new(&[9; 32]).unwrap())] {
        let (redacted, report) = try_redact(&original, &redact_options().key(key.clone())).unwrap();
        assert!(is_sound(&redacted) && is_clean(&redacted));
        let text = text_of(&redacted);
        let logs = logs_of(&redacted);
        let remaining = unescaped(&logs["runs.jsonl"]) + &unescaped(&text);
        let original_text = unescaped(&log);
        for (place, planted) in &lines {
            assert!(original_text.contains(&planted.secret), "{planted:?} was planted as {place}");
            assert!(!remaining.contains(&planted.secret), "{} as {place} remains: {}", planted.rule, planted.secret);
            let encoded = BASE64.encode(planted.secret.as_bytes());
            assert!(!remaining.contains(encoded.trim_end_matches('=')), "{} remains in base64", planted.rule);
        }
        assert_eq!(report.manifest.files[0].count, indexed(&original).unwrap().manifest().files[0].count);
        assert_eq!(check(&redacted, &original, key).unwrap(), None);
    }
}

#[test]
fn nothing_that_was_planted_remains_in_names_and_labels() {
    for planted in planted(4) {
        let is_name = !planted.text.contains(['/', '\\']) && !planted.text.chars().any(char::is_control);
        if !is_name || planted.text.len() > 240 {
            continue;
        }
        let cwd = "{\"createdAt\":1,\"cwd\":\"/home/marlowe/x\"}\n";
        let home = Home::new().with("runs.jsonl", cwd).with(&format!("{}.jsonl", planted.text), "{}\n");
        let found = discover(&home.dirs(), &DiscoverOptions::default().include_other(true)).unwrap();
        let mut original = Vec::new();
        export(&found, &options(), &mut original, "memory", &NoProgress).unwrap();
        let inputs = vec![TraceInput::from_bundle(indexed(&original).unwrap())];
        let labelled = MergeOptions::new("tests").label(Label::new(&planted.text).unwrap());
        let mut with_label = Vec::new();
        merge(inputs, &labelled, (&mut with_label, "memory"), std::env::temp_dir(), &NoProgress).unwrap();
        let redacted = redacted(&with_label, &redact_options());
        let text = unescaped(&text_of(&redacted));
        assert!(!text.contains(&planted.secret), "{planted:?} remains: {text}");
        assert!(is_sound(&redacted) && is_clean(&redacted), "{planted:?}");
        assert_eq!(logs_of(&redacted).len(), 2);
        assert_eq!(check(&redacted, &with_label, None).unwrap(), None);
    }
}

#[test]
fn equal_values_get_equal_names_and_nothing_else_changes() {
    let log = concat!(
        "{\"createdAt\":1,\"n\":1.0,\"m\":\"jane@corp.io and bob@corp.io\",\"big\":12345678901234567890}\n",
        " {\"createdAt\":2, \"m\":\"Jane@corp.io\\u002c \\/x\",\"m\":\"é\\u00e9\"}\t\n",
        "\n",
        "torn {\"m\":\"bob@corp.io\n",
        "{\"createdAt\":3}",
    );
    let expected = concat!(
        "{\"createdAt\":1,\"n\":1.0,\"m\":\"email-1 and email-2\",\"big\":12345678901234567890}\n",
        " {\"createdAt\":2, \"m\":\"email-1\\u002c \\/x\",\"m\":\"é\\u00e9\"}\t\n",
        "\n",
        "torn {\"m\":\"email-2\n",
        "{\"createdAt\":3}",
    );
    assert_eq!(redacted_log(log, &redact_options()), expected);
}

#[test]
fn keyed_names_are_the_same_in_every_bundle() {
    let options = redact_options().key(RedactionKey::new(b"0123456789abcdef0123456789abcdef").unwrap());
    let one = redacted_log("{\"m\":\"jane@corp.io\"}\n", &options);
    let other = redacted_log("{\"m\":\"bob@corp.io jane@corp.io\"}\n", &options);
    let name = one.split('"').nth(3).unwrap();
    assert!(name.len() == "email-".len() + 16 && other.contains(name), "{one}{other}");
    let other_key = redact_options().key(RedactionKey::new(&[1; 32]).unwrap());
    assert!(!redacted_log("{\"m\":\"jane@corp.io\"}\n", &other_key).contains(name));
}

#[test]
fn existing_names_are_not_assigned_to_other_values() {
    let log = "{\"m\":\"jane@corp.io user-7\",\"password\":\"p\"}\n{\"m\":\"10.1.2.3 Email\\u002d2 bob@corp.io\"}\n";
    let once = bundle(&Home::new().with("runs.jsonl", log));
    let emails = redacted(&once, &redact_options().detect(DetectOptions::default().only(["email-address"])));
    let first = "{\"m\":\"email-1 user-7\",\"password\":\"p\"}\n{\"m\":\"10.1.2.3 Email\\u002d2 email-3\"}\n";
    assert_eq!(String::from_utf8_lossy(&logs_of(&emails)["runs.jsonl"]), first);
    // Redact a bundle with new rows again, with other rules.
    let again = format!("{first}{{\"m\":\"ann@corp.io\"}}\n");
    let expected = "{\"m\":\"email-1 user-7\",\"password\":\"secret-1\"}\n{\"m\":\"ip-1 Email\\u002d2 email-3\"}\n{\"m\":\"email-4\"}\n";
    assert_eq!(redacted_log(&again, &redact_options()), expected);
}

#[test]
fn different_keys_stay_different() {
    let log = "{\"email-1\":1,\"jane@corp.io\":2,\"bob@corp.io\":{\"jane@corp.io\":3},\"email-2 (2)\":4}\n";
    let expected = "{\"email-1\":1,\"email-3\":2,\"email-4\":{\"email-3\":3},\"email-2 (2)\":4}\n";
    assert_eq!(redacted_log(log, &redact_options()), expected);
    // Addresses that differ only in letter case get the same name, so keys made of them get a number.
    let log = "{\"jane@corp.io\":1,\"Jane@corp.io\":2,\"email-1 (2)\":{\"jane@Corp.io\":3}}\n";
    let expected = "{\"email-2\":1,\"email-2 (2)\":2,\"email-1 (2)\":{\"email-2 (3)\":3}}\n";
    assert_eq!(redacted_log(log, &redact_options()), expected);
}

#[test]
fn types_stay_and_a_private_key_becomes_a_fixed_text() {
    let log = concat!(
        "{\"password\":123,\"token\":null,\"secret\":[\"a\"],\"apiKey\":\"\"}\n",
        "{\"k\":\"x -----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY----- y\"}\n",
    );
    let expected = concat!(
        "{\"password\":123,\"token\":null,\"secret\":[\"secret-1\"],\"apiKey\":\"\"}\n",
        "{\"k\":\"x [private key removed] y\"}\n",
    );
    assert_eq!(redacted_log(log, &redact_options()), expected);
}

#[test]
fn members_can_be_removed() {
    let row = "{\"createdAt\":1, \"a\":{\"b\":[{\"c\":1,\"d\":2},{\"c\":3}],\"e\":5},\"f\":\"x\" ,\"a b\":7}\n";
    let log = format!("{row}torn {row}\n[1,{{\"a\":2}}]\n\"text\"\n");
    let removed = |options: RedactOptions| redacted_log(&log, &options);
    let torn = "[line removed]\n\n";
    assert_eq!(
        removed(redact_options().drop(paths(&["a.b[].c", "f"]))),
        format!(
            "{{\"createdAt\":1, \"a\":{{\"b\":[{{\"d\":2}},{{}}],\"e\":5}},\"a b\":7}}\n{torn}[1,{{\"a\":2}}]\n\"text\"\n"
        )
    );
    assert_eq!(
        removed(redact_options().drop(paths(&["a.b[-1]", "[1].a"]))),
        format!(
            "{{\"createdAt\":1, \"a\":{{\"b\":[{{\"c\":1,\"d\":2}}],\"e\":5}},\"f\":\"x\" ,\"a b\":7}}\n{torn}[1,{{}}]\n\"text\"\n"
        )
    );
    assert_eq!(
        removed(redact_options().keep_only(paths(&["a.b[0].d", "\"a b\""]))),
        format!("{{\"createdAt\":1, \"a\":{{\"b\":[{{\"d\":2}}]}},\"a b\":7}}\n{torn}[]\nnull\n")
    );
    assert_eq!(
        removed(redact_options().keep_only(paths(&["a"])).drop(paths(&["a.b", "createdAt"]))),
        format!("{{ \"a\":{{\"e\":5}}}}\n{torn}[]\nnull\n")
    );
    let whole = try_redact(&bundle(&Home::new().with("runs.jsonl", row)), &redact_options().drop(paths(&["."])));
    assert!(matches!(whole.unwrap_err().kind(), ErrorKind::Redaction(RedactionFault::WholeRow)));
}

#[test]
fn the_manifest_records_the_redaction() {
    let original = bundle(
        &Home::new().with("runs.jsonl", "{\"createdAt\":1777716000000,\"m\":\"jane@corp.io\",\"x\":{\"y\":1}}\n{}\n"),
    );
    let options = redact_options().detect(DetectOptions::default().skip(["ip-address"])).drop(paths(&["x.y"]));
    let (redacted, report) = try_redact(&original, &options).unwrap();
    let bundle = indexed(&redacted).unwrap();
    let derived_from = bundle.manifest().derived_from.clone().unwrap();
    assert_eq!(derived_from.how, Derivation::Redacted);
    assert_eq!(derived_from.bundles, [indexed(&original).unwrap().digest()]);
    let redaction = bundle.manifest().redaction.clone().unwrap();
    assert_eq!(redaction, report.redaction);
    assert_eq!((redaction.replaced, redaction.lines), (1, 1));
    assert_eq!(
        (redaction.skip.as_slice(), redaction.drop.as_slice()),
        (&["ip-address".to_owned()][..], &["x.y".to_owned()][..])
    );
    assert_eq!(bundle.manifest().exported_at, indexed(&original).unwrap().manifest().exported_at);
    assert_eq!(bundle.manifest().version(), (1, 2));
}

#[test]
fn a_bundle_that_is_not_the_redaction_of_its_original_is_detected() {
    let log = "{\"createdAt\":1,\"m\":\"jane@corp.io\"}\n{\"createdAt\":2}\n";
    let original = bundle(&Home::new().with("runs.jsonl", log));
    let other = bundle(&Home::new().with("runs.jsonl", "{}\n"));
    let key = || RedactionKey::new(&[3; 32]).unwrap();
    let numbered = redacted(&original, &redact_options());
    let keyed = redacted(&original, &redact_options().key(key()));
    assert_eq!(check(&numbered, &original, None).unwrap(), None);
    assert_eq!(check(&keyed, &original, Some(key())).unwrap(), None);
    let fault = |redacted: &[u8], original: &[u8], key| match check(redacted, original, key).unwrap_err().kind() {
        ErrorKind::Redaction(fault) => fault.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(check(&numbered, &other, None).unwrap(), Some(RedactionDifference::Original));
    assert_eq!(fault(&original, &original, None), RedactionFault::NotRedacted);
    assert_eq!(fault(&numbered, &original, Some(key())), RedactionFault::NoKeyUsed);
    assert_eq!(fault(&keyed, &original, None), RedactionFault::KeyNeeded);
    assert_eq!(fault(&keyed, &original, Some(RedactionKey::new(&[4; 32]).unwrap())), RedactionFault::OtherKey);
    for (forged_log, difference) in [
        ("{\"createdAt\":1,\"m\":\"email-1\"}\n{\"createdAt\":3}\n", ("runs.jsonl", 2)),
        ("{\"createdAt\":1,\"m\":\"email-1\"}\n", ("runs.jsonl", 2)),
        ("{\"createdAt\":1,\"m\":\"email-1\"}\n{\"createdAt\":2}", ("runs.jsonl", 2)),
        ("{\"createdAt\":1,\"m\":\"email-2\"}\n{\"createdAt\":2}\n", ("runs.jsonl", 1)),
    ] {
        let forged = forged(&numbered, forged_log);
        let (file, line) = difference;
        let expected = RedactionDifference::Line { file: file.to_owned(), line };
        assert_eq!(check(&forged, &original, None).unwrap(), Some(expected), "{forged_log}");
    }
}

/// Returns an intact bundle of another log with the provenance of `bundle`.
fn forged(bundle: &[u8], log: &str) -> Vec<u8> {
    let manifest: serde_json::Value =
        serde_json::from_slice(text_of(bundle).split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    let mut builder = crate::common::bundle_builder::BundleBuilder::new(&Home::new().with("runs.jsonl", log), 10);
    for key in ["derivedFrom", "redaction", "minor", "exportedAt"] {
        builder.manifest[key] = manifest[key].clone();
    }
    builder.write()
}

/// Returns a bundle with a text in its manifest line replaced.
fn with_manifest_text(bundle: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut builder = crate::common::bundle_builder::BundleBuilder::of(bundle, 1000);
    let line = String::from_utf8(indexed(bundle).unwrap().manifest_line().unwrap()).unwrap();
    assert!(line.contains(from), "{from} in {line}");
    builder.manifest_line = Some(line.replacen(from, to, 1));
    builder.write()
}

#[test]
fn a_redacted_bundle_with_added_content_is_detected() {
    let original = bundle(&Home::new().with("runs.jsonl", "{\"createdAt\":1,\"m\":\"jane@corp.io\"}\ntorn\n"));
    let redacted = redacted(&original, &redact_options());
    let unchanged = with_manifest_text(&redacted, "{", "{");
    assert_eq!(check(&unchanged, &original, None).unwrap(), None);
    for (from, to, key) in [
        ("\"generator\":\"tests\"", "\"generator\":\"evil jane@corpx.io 1.0\"", "generator"),
        ("{", "{\"x-note\":\"jane\",", "x-note"),
        ("\"files\":[{", "\"files\":[{\"x-note\":\"jane\",", "files"),
        ("\"redaction\":{", "\"redaction\":{\"x-note\":\"jane\",", "redaction"),
        ("\"redaction\":{", "\"redaction\":{\"sources\":[\"jane@corpx.io\"],", "redaction"),
        ("\"redaction\":{", "\"redaction\":{\"drop\":[\"jane\"],", "redaction"),
        ("\"lines\":1", "\"lines\":2", "redaction"),
        ("{", "{\"label\":\"jane\",", "label"),
        ("{", "{ ", "type"),
    ] {
        let forged = with_manifest_text(&redacted, from, to);
        let expected = RedactionDifference::Manifest { key: key.to_owned() };
        assert_eq!(check(&forged, &original, None).unwrap(), Some(expected), "{to}");
    }
    let mut with_key = crate::common::bundle_builder::BundleBuilder::of(&redacted, 1000);
    with_key.chunks[0].1 = with_key.chunks[0].1.replacen('{', "{\"x-note\":\"jane@corpx.io\",", 1);
    with_key.update_chunk_table();
    let line = RedactionDifference::Line { file: "runs.jsonl".to_owned(), line: 1 };
    assert_eq!(check(&with_key.write(), &original, None).unwrap(), Some(line));
    for header in [flate2::GzBuilder::new().comment("jane"), flate2::GzBuilder::new().filename("jane.jsonl")] {
        let mut gzip = header.write(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &text_of(&redacted)).unwrap();
        let named = gzip.finish().unwrap();
        assert_eq!(check(&named, &original, None).unwrap(), Some(RedactionDifference::Container));
    }
    let recompressed = crate::common::bundle_builder::gzip(&text_of(&redacted));
    assert_eq!(check(&recompressed, &original, None).unwrap(), None);
    let more = [recompressed, crate::common::bundle_builder::gzip(b"")].concat();
    assert_eq!(check(&more, &original, None).unwrap(), Some(RedactionDifference::Container));
}

#[test]
fn values_that_look_like_names_are_values_before_a_redaction() {
    let log = concat!(
        "{\"password\":\"secret-2024\",\"api_key\":\"user-1234567890abcdef\",\"m\":\"Bearer secret-0123456789abcdef\"}\n",
        "{\"m\":\"https://host-55555/ postgres://u:user-77777@host-1/ user-42424@icorp.io\",\"cwd\":\"/home/user-31/x\"}\n",
    );
    let original = bundle(&Home::new().with("runs.jsonl", log));
    assert!(!is_clean(&original));
    let once = redacted(&original, &redact_options());
    let text = String::from_utf8(text_of(&once)).unwrap();
    for value in ["2024", "1234567890", "0123456789", "55555", "77777", "42424", "icorp", "user-31"] {
        assert!(!text.contains(value), "{value}: {text}");
    }
    assert!(is_sound(&once) && is_clean(&once));
    assert_eq!(check(&once, &original, None).unwrap(), None);
    let log = concat!(
        "{\"a\":\"/home/user-1/x postgres://user-2:secret-3@host-4/db email-5 ip-6 secret-0123456789abcdef\"}\n",
        "{\"a\":\"C:\\\\Users\\\\ ip-1\\\\x and C:\\\\Users\\\\user-1 \\\\x\",\"password\":\"secret-12\"}\n",
    );
    assert!(is_clean(&forged(&once, log)));
}

#[test]
fn routes_of_web_sites_are_not_user_names() {
    let log = concat!(
        "{\"m\":\"GET /home/billing 200, POST /api/Users/renew, \\\"PUT\\\" \\\"/home/plans/x\\\", COPY . /home/src/app\"}\n",
        "{\"m\":\"/home/dashboard and /home/index.html and /home/tabs?tab=1\"}\n",
        "{\"billing\":{\"dashboard\":\"edit src/index.html\"},\"renew\":\"plans\",\"create\":[\"tabs\"]}\n",
    );
    let redacted = redacted_log(log, &redact_options());
    assert_eq!(redacted.lines().nth(2), log.lines().nth(2));
    let log = "{\"m\":\"GET it from /home/marlowe/x?\"}\n{\"marlowe\":\"marlowe\"}\n";
    assert!(!redacted_log(log, &redact_options()).contains("marlowe"));
}

#[test]
fn options_that_match_nothing_or_reveal_something_are_refused() {
    let log = "{\"createdAt\":1,\"a\":{\"b\":1},\"jane@corp.io\":1}\n{\"c\":[{\"d\":null}]}\ntorn\n";
    let original = bundle(&Home::new().with("runs.jsonl", log));
    let fault = |options: RedactOptions| match try_redact(&original, &options).unwrap_err().kind() {
        ErrorKind::Redaction(fault) => fault.clone(),
        other => panic!("{other}"),
    };
    let unknown = |path: &str| RedactionFault::NoSuchMember { path: path.to_owned() };
    assert_eq!(fault(redact_options().drop(paths(&["a.b", "a.x"]))), unknown("a.x"));
    assert_eq!(fault(redact_options().drop(paths(&["a"])).keep_only(paths(&["c[1]"]))), unknown("c[1]"));
    let shown = |option| RedactionFault::FoundInOption { option, rule: "email-address".to_owned() };
    assert_eq!(fault(redact_options().drop(paths(&["\"jane@corp.io\""]))), shown("--drop"));
    assert_eq!(fault(redact_options().keep_only(paths(&["\"jane@corp.io\""]))), shown("--keep-only"));
    assert!(try_redact(&original, &redact_options().drop(paths(&["a", "a.b", "c[].d", "c[-1]"]))).is_ok());
    let empty = bundle(&Home::new().with("runs.jsonl", ""));
    assert!(try_redact(&empty, &redact_options().drop(paths(&["a"]))).is_ok());
    let none = redact_options().detect(DetectOptions::default().only(["secret"]).skip(["secret"]));
    assert_eq!(fault(none), RedactionFault::NoRules);
}

#[test]
fn redacted_bundles_are_merged_if_a_name_stands_for_one_value() {
    let log = |name: &str| format!("{{\"createdAt\":1,\"w\":\"/home/{name}/x\"}}\n");
    let one = bundle(&Home::new().with("runs.jsonl", log("alicia")));
    let other = bundle(&Home::new().with("runs.jsonl", log("bobbie")));
    let merged = |bundles: &[&[u8]]| {
        let inputs = bundles.iter().map(|bundle| TraceInput::from_bundle(indexed(bundle).unwrap())).collect();
        let (mut out, options) = (Vec::new(), MergeOptions::new("tests"));
        let report = merge(inputs, &options, (&mut out, "memory"), std::env::temp_dir(), &NoProgress);
        report.map(|report| (out, report.manifest.redaction.unwrap()))
    };
    let is_refused = |bundles: &[&[u8]]| {
        let error = merged(bundles).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Redaction(RedactionFault::RedactedApart { .. })), "{error}");
    };
    let keyed = |bytes: u8| redact_options().key(RedactionKey::new(&[bytes; 32]).unwrap());
    let numbered = redacted(&one, &redact_options());
    is_refused(&[&numbered, &redacted(&other, &redact_options())]);
    is_refused(&[&numbered, &redacted(&one, &keyed(1))]);
    is_refused(&[&redacted(&one, &keyed(1)), &redacted(&other, &keyed(2))]);
    is_refused(&[&redacted(&one, &keyed(1)), &redacted(&other, &keyed(1).drop(paths(&["w"])))]);
    let (both, redaction) = merged(&[&redacted(&one, &keyed(1)), &redacted(&other, &keyed(1))]).unwrap();
    assert_eq!(logs_of(&both)["runs.jsonl"].split(|byte| *byte == b'\n').count(), 3);
    assert_eq!((redaction.key_id, redaction.replaced), (Some(RedactionKey::new(&[1; 32]).unwrap().id()), 2));
    assert!(is_clean(&both));
    assert_eq!(merged(&[&numbered, &numbered]).unwrap().1.replaced, 1);
}

#[test]
fn too_short_keys_are_refused() {
    let zeros = RedactionKey::new(&[0; 64]).unwrap_err();
    assert!(matches!(zeros.kind(), ErrorKind::Redaction(RedactionFault::KeyFileZero)));
    let fault = RedactionKey::new(&[0; 31]).unwrap_err();
    assert!(matches!(fault.kind(), ErrorKind::Redaction(RedactionFault::KeyFileLength { bytes: 31 })));
    assert!(RedactionKey::new(&vec![0; 65_537]).is_err());
}

/// Generates lines with planted texts between adversarial lines.
fn planted_lines() -> impl Strategy<Value = Vec<u8>> {
    let places = crate::common::planted::places();
    let texts = planted(5);
    let planted = (0..places.len(), 0..texts.len()).prop_map(move |(place, text)| places[place].1(&texts[text].text));
    let line = prop_oneof![1 => planted, 2 => adversarial_log()];
    prop::collection::vec(line, 0..8).prop_map(|lines| {
        let cwd = b"{\"cwd\":\"/home/marlowe\"}".to_vec();
        std::iter::once(cwd).chain(lines).collect::<Vec<_>>().join(&b'\n')
    })
}

/// Generates texts in which finds touch each other and the names of an earlier redaction.
fn glued_text() -> impl Strategy<Value = String> {
    const PARTS: &str = "\
        user@ @corp.io jane :// https:// : @ / /home/ C:\\Users\\ marlowe password= PWD= Server=db ; & ? = curl~-u Bearer~ Basic~ \
        10.1.2.3 fe80::1 2a01:4f8:c0c:9e5b::1 AKIA2AAAAAAAAAAAAAA4 . - -- \" ' \\ ~ user-1 secret-2 host-3 \
        secret-0123456789abcdef [private~key~removed] a1B2c3D4e5 7 x é Cookie: Cookie:~a= -----BEGIN~PRIVATE~KEY----- eyJ \
        c3ZjOmh1bnRlcjI= ssh~ token sk-ant-";
    let parts: Vec<_> = PARTS.split(' ').map(|part| part.replace('~', " ")).collect();
    prop::collection::vec(prop::sample::select(parts), 1..12).prop_map(|parts| parts.concat())
}

/// Generates lines with glued texts as values of various keys, as keys, and in torn rows.
fn glued_log() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec!["m", "password", "tokens", "username", "hostname", "cookie"]);
    let line = (key, glued_text(), glued_text(), 0..4).prop_map(|(key, text, other, shape)| match shape {
        0 => serde_json::json!({ key: text, "x": [other] }).to_string(),
        1 => serde_json::json!({ key: { text: [other] } }).to_string(),
        2 => serde_json::json!({ key: text, "x": other }).to_string().split_off(2),
        _ => text,
    });
    prop::collection::vec(line, 1..5)
        .prop_map(|lines| (lines.join("\n") + "\n{\"cwd\":\"/home/marlowe\"}\n").into_bytes())
}

/// Generates values: some are found, some are not, and some are parts of others.
fn condition_value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["hunter2", "unter", "jane@corp.io", "jane@corpx", "corpx", "10.1.2.3", "plain"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn finds_that_touch_each_other_never_stop_a_redaction(log in glued_log(), is_keyed: bool) {
        let original = bundle(&Home::new().with("runs.jsonl", &log));
        let key = is_keyed.then(|| RedactionKey::new(&[2; 40]).unwrap());
        let options = redact_options().key(key.clone());
        let once = match try_redact(&original, &options) {
            Ok((once, _)) => once,
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        prop_assert!(is_sound(&once) && is_clean(&once), "{}", String::from_utf8_lossy(&logs_of(&once)["runs.jsonl"]));
        prop_assert_eq!(check(&once, &original, key).unwrap(), None);
    }

    #[test]
    fn a_redaction_can_be_repeated_and_is_clean(log in planted_lines(), is_keyed: bool) {
        let original = bundle(&Home::new().with("runs.jsonl", &log));
        let key = is_keyed.then(|| RedactionKey::new(&[2; 40]).unwrap());
        let options = redact_options().key(key.clone());
        let once = redacted(&original, &options);
        prop_assert!(redacted(&original, &options.clone().threads(NonZeroUsize::MIN)) == once);
        prop_assert!(is_sound(&once) && is_clean(&once));
        prop_assert_eq!(check(&once, &original, key).unwrap(), None);
        // Redacting the result again changes nothing.
        let twice = redacted(&once, &options);
        prop_assert!(logs_of(&twice) == logs_of(&once));
        let (before, after) = (logs_of(&original), logs_of(&once));
        let lines = |logs: &BTreeMap<String, Vec<u8>>| logs["runs.jsonl"].split(|byte| *byte == b'\n').count();
        prop_assert_eq!(lines(&before), lines(&after));
    }

    #[test]
    fn conditions_show_only_what_every_row_shows(
        rows in prop::collection::vec((condition_value(), condition_value()), 1..4),
        value in condition_value(),
        form in 0..4,
        is_inverted: bool,
        drops: bool,
    ) {
        let log: String = rows.iter().map(|(a, b)| serde_json::json!({ "password": a, "u": b }).to_string() + "\n").collect();
        let filter = RowFilter::default().inverted(is_inverted);
        let filter = match form {
            0 => filter.condition(format!("password={value}").parse().unwrap()),
            1 => filter.condition(format!("u={value}").parse().unwrap()),
            2 => filter.condition(format!("u!~{value}").parse().unwrap()),
            _ => filter.text(value),
        };
        let filter = FilterOptions::new("tests", CatOptions::default().filter(filter)).allow_empty(true);
        let input = bundle(&Home::new().with("runs.jsonl", &log));
        let (input, mut original) = (TraceInput::from_bundle(indexed(&input).unwrap()), Vec::new());
        filter_rows(&input, &filter, (&mut original, "memory"), std::env::temp_dir(), &NoProgress).unwrap();
        let has_rows = indexed(&original).unwrap().manifest().total_count > 0;
        let options = redact_options().drop(if drops && has_rows { paths(&["u"]) } else { Vec::new() });
        let redacted = redacted(&original, &options);
        let conditions = indexed(&redacted).unwrap().manifest().filter.clone().unwrap();
        let text = String::from_utf8(text_of(&redacted)).unwrap();
        let is_in_rows = has_rows && text.lines().skip(1).all(|row| row.contains(value));
        prop_assert!(is_in_rows || !conditions.conditions().join(" ").contains(value), "{:?} {}", conditions, text);
        prop_assert_eq!(check(&redacted, &original, None).unwrap(), None);
    }

    #[test]
    fn lines_without_finds_stay_byte_for_byte(log in adversarial_log()) {
        let original = bundle(&Home::new().with("runs.jsonl", &log));
        let input = TraceInput::from_bundle(indexed(&original).unwrap());
        let options = ScanOptions::default().places(usize::MAX);
        let report = scan(&[input], &options, &NoProgress).unwrap();
        let with_finds: Vec<_> = report.groups.iter().flat_map(|group| &group.places).filter_map(|place| place.line).collect();
        let redacted = logs_of(&redacted(&original, &redact_options()));
        let (before, after) = (log.split(|byte| *byte == b'\n'), redacted["runs.jsonl"].split(|byte| *byte == b'\n'));
        for (number, (before, after)) in (1..).zip(before.zip(after)) {
            prop_assert!(before == after || with_finds.contains(&number), "line {}", number);
        }
    }
}

#[test]
fn a_log_whose_redacted_name_is_too_long_gets_a_shorter_one() {
    let name = format!("{} a@b.co.jsonl", "x".repeat(230));
    let home = Home::new().with("runs.jsonl", "{\"createdAt\":1}\n").with(&name, "{\"n\":1}\n");
    let found = discover(&home.dirs(), &DiscoverOptions::default().include_other(true)).unwrap();
    let mut original = Vec::new();
    export(&found, &options(), &mut original, "memory", &NoProgress).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [7; 32]).unwrap();
    let key = RedactionKey::read(file.path()).unwrap();
    let logs = logs_of(&redacted(&original, &redact_options().key(Some(key))));
    assert_eq!(logs.len(), 2);
    assert!(logs.keys().any(|name| name.starts_with("xxx") && name.contains(".json")), "{logs:?}");
}
