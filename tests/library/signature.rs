//! Signatures are made and checked by this library and by `ssh-keygen`, and refused if anything about them differs.

use std::fs;
use std::path::Path;

use patchwork_traces::container::Passphrase;
use patchwork_traces::error::SignatureFault;
use patchwork_traces::format::Timestamp;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::signature::{
    AllowedSigners, InvalidSignature, KeyPrompt, NAMESPACE, NoPrompt, Signature, SignatureCheck, SignatureVerdict,
    SigningKey, history_signature_path, signature_path,
};
use patchwork_traces::verify::{
    FindingKind, HistoryFindingKind, HistoryVerifyOptions, Verdict, VerifyOptions, verify, verify_history,
};
use patchwork_traces::{Bundle, Error, ErrorKind, History};

use crate::common::history_builder::HistoryBuilder;
use crate::common::keys::{KEYS, PASSPHRASE, has_ssh_keygen, key_in, keygen_sign, keygen_verify, public_key};
use crate::common::skip_note::skip_without;
use crate::common::{EXPORTED_AT, Home, bundle, indexed};

const MESSAGE: &[u8] = b"{\"type\":\"manifest\"}";

fn now() -> Timestamp {
    Timestamp::from_millis(EXPORTED_AT).unwrap()
}

fn signed_by(key: &str, message: &[u8]) -> Signature {
    let dir = tempfile::tempdir().unwrap();
    SigningKey::read(key_in(dir.path(), key), &mut NoPrompt).unwrap().sign(message, &mut NoPrompt).unwrap()
}

fn check(signature: impl AsRef<[u8]>, signers: &str) -> SignatureCheck {
    SignatureCheck::new(signature.as_ref().to_vec(), AllowedSigners::parse(signers).unwrap(), now())
}

/// Returns the status of a verdict in JSON.
fn status(verdict: &SignatureVerdict) -> String {
    serde_json::to_value(verdict).unwrap()["status"].as_str().unwrap().to_owned()
}

/// Returns a list of allowed signers with the key `ed25519` and the given options.
fn signers(options: &str) -> String {
    format!("sam@example.org {options} {}\n", public_key("ed25519"))
}

#[test]
fn signatures_of_every_key_type_are_valid_here_and_for_ssh_keygen() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("allowed_signers");
    for name in KEYS {
        let text = format!("sam@example.org {}\n", public_key(name));
        fs::write(&list, &text).unwrap();
        let signature = signed_by(name, MESSAGE).to_string();
        let verdict = check(&signature, &text).verdict(MESSAGE);
        assert!(verdict.is_valid(), "{name}: {verdict}");
        assert_eq!(verdict.principal(), Some("sam@example.org"));
        assert_eq!(signature.parse::<Signature>().unwrap().to_string(), signature);
        if !has_ssh_keygen() {
            skip_without("ssh-keygen", "not compared");
            continue;
        }
        let file = dir.path().join("made-here.sig");
        fs::write(&file, &signature).unwrap();
        assert!(keygen_verify(&list, "sam@example.org", &file, MESSAGE), "{name}");
        assert!(!keygen_verify(&list, "sam@example.org", &file, b"other"), "{name}");
        let by_keygen = keygen_sign(&key_in(dir.path(), name), NAMESPACE, MESSAGE);
        assert_eq!(check(&by_keygen, &text).verdict(MESSAGE), verdict, "{name}");
        let for_git = keygen_sign(&key_in(dir.path(), name), "git", MESSAGE);
        let verdict = check(for_git, &text).verdict(MESSAGE);
        assert_eq!(verdict, SignatureVerdict::OtherNamespace { namespace: "git".to_owned() });
    }
}

#[test]
fn signatures_that_ssh_keygen_made_are_valid() {
    for name in ["ed25519", "ecdsa-256"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/keys/{name}.sig"));
        let list = format!("sam@example.org {}\n", public_key(name));
        let verdict = check(fs::read(path).unwrap(), &list).verdict(MESSAGE);
        assert!(verdict.is_valid(), "{name}: {verdict}");
    }
}

#[test]
fn no_altered_or_truncated_signature_is_valid() {
    for name in KEYS {
        let list = format!("sam@example.org {}\n", public_key(name));
        let text = signed_by(name, MESSAGE).to_string().into_bytes();
        assert!(check(&text, &list).verdict(MESSAGE).is_valid());
        for at in 0..text.len() {
            for flip in [1, 2, 4, 7, 8, 0x10, 0x20, 0x40, 0x80, 0xff] {
                let mut altered = text.clone();
                altered[at] ^= flip;
                assert!(!check(&altered, &list).verdict(MESSAGE).is_valid(), "{name}: byte {at} ^ {flip}");
            }
            assert!(!check(&text[..at], &list).verdict(MESSAGE).is_valid(), "{name}: {at} bytes");
        }
        for added in [&b"\n"[..], b" ", b"x", b"-----BEGIN SSH SIGNATURE-----\n"] {
            assert!(!check([&text, added].concat(), &list).verdict(MESSAGE).is_valid());
            assert!(!check([added, &text].concat(), &list).verdict(MESSAGE).is_valid());
        }
        assert!(!check(&text, &list).verdict(&MESSAGE[1..]).is_valid());
        assert!(!check(&text, &list).verdict(b"").is_valid());
    }
}

#[test]
fn other_line_lengths_and_line_ends_are_accepted() {
    let text = signed_by("ed25519", MESSAGE).to_string();
    let (begin, rest) = text.split_once('\n').unwrap();
    let (base64, end) = rest.split_once("-----END").unwrap();
    let base64 = base64.replace('\n', "");
    for width in [64, 76, 10_000] {
        let lines: Vec<_> = base64.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        for line_end in ["\n", "\r\n"] {
            let text = [&[begin], &lines[..], &[&format!("-----END{}", end.trim_end())], &[""]].concat().join(line_end);
            assert!(check(text, &signers("")).verdict(MESSAGE).is_valid(), "{width}");
        }
    }
}

#[test]
fn unsupported_and_foreign_texts_are_not_signatures() {
    for text in ["", "x", "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"] {
        assert_eq!(text.parse::<Signature>(), Err(InvalidSignature::Malformed), "{text}");
        assert_eq!(check(text, "").verdict(MESSAGE), SignatureVerdict::Malformed);
    }
    let nothing = SignatureCheck::new(None, AllowedSigners::parse("").unwrap(), now());
    assert_eq!(nothing.verdict(MESSAGE), SignatureVerdict::Missing);
    if !has_ssh_keygen() {
        return skip_without("ssh-keygen", "RSA not tried");
    }
    let dir = tempfile::tempdir().unwrap();
    let rsa = keygen_sign(&key_in(dir.path(), "rsa"), NAMESPACE, MESSAGE);
    let expected = SignatureVerdict::UnsupportedKey { key_type: "ssh-rsa".to_owned() };
    assert_eq!(check(rsa, &format!("sam {}", public_key("rsa"))).verdict(MESSAGE), expected);
}

#[test]
fn options_of_the_list_decide_who_may_sign() {
    let signature = signed_by("ed25519", MESSAGE).to_string();
    let status_with = |options: &str| status(&check(&signature, &signers(options)).verdict(MESSAGE));
    // The signature is checked at 2026-05-02T10:00:00Z.
    for (options, expected) in [
        ("", "valid"),
        ("namespaces=\"patchwork-traces\"", "valid"),
        ("namespaces=\"git,patchwork-*\"", "valid"),
        ("NAMESPACES=\"file, patchwork-traces\"", "notForNamespace"),
        ("namespaces=\"git\"", "notForNamespace"),
        ("namespaces=\"*,!patchwork-traces\"", "notForNamespace"),
        ("valid-after=\"20260502Z\"", "valid"),
        ("valid-after=\"20260502100000Z\",valid-before=\"202605021000Z\"", "malformed"),
        ("valid-after=\"202605021001Z\"", "notYetValid"),
        ("valid-before=\"20260502100001Z\"", "valid"),
        ("valid-before=\"20260502095959Z\"", "expired"),
        ("valid-before=\"20260601\",valid-after=\"20260101\",namespaces=\"patchwork-traces\"", "valid"),
        ("cert-authority", "unknownKey"),
        ("cert-authority,namespaces=\"patchwork-traces\"", "unknownKey"),
    ] {
        match expected {
            "malformed" => assert!(AllowedSigners::parse(&signers(options)).is_err(), "{options}"),
            expected => assert_eq!(status_with(options), expected, "{options}"),
        }
    }
    let other = format!("sam@example.org {}\n", public_key("ecdsa-256"));
    assert_eq!(status(&check(&signature, &other).verdict(MESSAGE)), "unknownKey");
    assert_eq!(status(&check(&signature, "").verdict(MESSAGE)), "unknownKey");
    // The best of several lines counts.
    let expired = signers("valid-before=\"20200101\"");
    let both = check(&signature, &format!("# keys\n\n{expired}{}\t# now\r\n", signers(""))).verdict(MESSAGE);
    assert!(both.is_valid(), "{both}");
}

#[test]
fn names_match_as_patterns() {
    let signature = signed_by("ed25519", MESSAGE).to_string();
    let key = public_key("ed25519");
    for (names, name, expected) in [
        ("sam@example.org", "sam@example.org", "valid"),
        ("sam@example.org", "eve@example.org", "otherSigner"),
        ("*@example.org", "sam@example.org", "valid"),
        ("*@example.org", "sam@example.com", "otherSigner"),
        ("*@example.org,!guest@example.org", "guest@example.org", "otherSigner"),
        ("sam@example.org,root", "root", "valid"),
        ("\"Sam Smith,root\"", "Sam Smith", "valid"),
    ] {
        let check = check(&signature, &format!("{names} {key}\n"));
        assert_eq!(status(&check.clone().signer(name.to_owned()).verdict(MESSAGE)), expected, "{names} {name}");
        assert_eq!(check.verdict(MESSAGE).principal(), Some(names.trim_matches('"')));
    }
}

#[test]
fn malformed_lists_are_refused_with_the_line() {
    let key = public_key("ed25519");
    for line in [
        "sam@example.org".to_owned(),
        "sam@example.org ssh-ed25519".to_owned(),
        "sam@example.org ssh-ed25519 !!!!".to_owned(),
        format!("sam@example.org ssh-rsa {}", key.split(' ').nth(1).unwrap()),
        format!("sam@example.org unknown {key}"),
        format!("sam@example.org namespaces=git {key}"),
        format!("sam@example.org namespaces=\"git {key}"),
        format!("sam@example.org namespaces=\"git\"\"x\" {key}"),
        format!("sam@example.org namespaces=\"a\",namespaces=\"b\" {key}"),
        format!("sam@example.org valid-after=\"2026\" {key}"),
        format!("sam@example.org valid-after=\"20261301Z\" {key}"),
        format!("sam@example.org valid-after=\"yesterday\" {key}"),
        format!("sam@example.org valid-after {key}"),
        format!("sam@example.org , {key}"),
        format!("\"sam {key}"),
        format!("\"\" {key}"),
    ] {
        let error = AllowedSigners::parse(&format!("# comment\n{line}\n")).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Signature(SignatureFault::SignersLine { .. })), "{line}");
        assert_eq!(error.position().line, Some(2), "{line}");
    }
}

/// A prompt that answers with a passphrase.
struct Answer(&'static str);

impl KeyPrompt for Answer {
    fn passphrase(&mut self, _key: &Path) -> patchwork_traces::Result<Passphrase> {
        Ok(Passphrase::new(self.0.to_owned()))
    }

    fn notice(&mut self, message: &str) {
        panic!("{message}");
    }
}

fn fault_of(error: &Error) -> &SignatureFault {
    match error.kind() {
        ErrorKind::Signature(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_encrypted_key_signs_with_its_passphrase_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = key_in(dir.path(), "encrypted");
    let key = SigningKey::read(&path, &mut Answer(PASSPHRASE)).unwrap();
    assert!(!format!("{key:?}").contains("correct"));
    // The same key gives the same signature, encrypted or not.
    assert_eq!(key.sign(MESSAGE, &mut NoPrompt).unwrap(), signed_by("ed25519", MESSAGE));
    for wrong in ["", "Correct horse", "correct horse "] {
        let error = SigningKey::read(&path, &mut Answer(wrong)).unwrap_err();
        assert_eq!(fault_of(&error), &SignatureFault::WrongPassphrase);
        assert!(wrong.is_empty() || !format!("{error} {error:?}").contains(wrong), "the passphrase is in the error");
    }
    let error = SigningKey::read(&path, &mut NoPrompt).unwrap_err();
    assert_eq!(fault_of(&error), &SignatureFault::PassphraseNeeded);
}

#[test]
fn a_file_with_other_content_is_not_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let key = fs::read(key_in(dir.path(), "ed25519")).unwrap();
    let mut texts = vec![Vec::new(), b"x".to_vec(), b"-----BEGIN RSA PRIVATE KEY-----\n".to_vec(), vec![0; 100_000]];
    texts.push(b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n".to_vec());
    texts.push(format!("{}\n{}\n", public_key("ed25519"), public_key("ecdsa-256")).into_bytes());
    texts.extend((1..key.len() - 1).step_by(7).map(|length| key[..length].to_vec()));
    for text in texts {
        fs::write(&path, &text).unwrap();
        let error = SigningKey::read(&path, &mut NoPrompt).unwrap_err();
        assert_eq!(fault_of(&error), &SignatureFault::NotASigningKey, "{}", String::from_utf8_lossy(&text));
        assert_eq!(error.position().subject.as_deref(), Some(path.to_str().unwrap()));
    }
    for name in ["rsa", "rsa.pub"] {
        fs::write(&path, fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/keys").join(name)).unwrap())
            .unwrap();
        let error = SigningKey::read(&path, &mut NoPrompt).unwrap_err();
        assert_eq!(fault_of(&error), &SignatureFault::UnsupportedKey { key_type: "ssh-rsa".to_owned() }, "{name}");
    }
}

#[test]
fn a_changed_bundle_is_not_the_signed_one() {
    let home = Home::new().with("runs.jsonl", "{\"createdAt\":1777716000000}\n");
    let signed = bundle(&home);
    let line = indexed(&signed).unwrap().manifest_line().unwrap();
    let options = |signature: Option<&Signature>| {
        let list = AllowedSigners::parse(&signers("")).unwrap();
        VerifyOptions::default().signature(SignatureCheck::new(
            signature.map(|s| s.to_string().into_bytes()),
            list,
            now(),
        ))
    };
    let signature = signed_by("ed25519", &line);
    let verified = |bundle: &[u8], options: &VerifyOptions| {
        let mut findings = Vec::new();
        let report = verify(bundle, "b", options, &NoProgress, &mut |finding| findings.push(finding.kind)).unwrap();
        (report, findings)
    };
    let (report, findings) = verified(&signed, &options(Some(&signature)));
    assert!(report.is_good() && report.signature.unwrap().is_valid() && findings.is_empty());

    let other = bundle(&Home::new().with("runs.jsonl", "{\"createdAt\":1777716000001}\n"));
    let (report, findings) = verified(&other, &options(Some(&signature)));
    // The bundle itself is intact.
    assert_eq!((report.is_good(), report.verdict), (false, Verdict::Intact));
    assert!(matches!(&findings[..], [FindingKind::Signature(SignatureVerdict::Mismatch { .. })]), "{findings:?}");

    let (report, findings) = verified(&signed, &options(None));
    assert!(!report.is_good());
    assert_eq!(findings, [FindingKind::Signature(SignatureVerdict::Missing)]);

    // If the bundle is damaged after the manifest, the signature is valid, but the bundle is not.
    let (report, _) = verified(&signed[..signed.len() - 12], &options(Some(&signature)));
    assert!(report.signature.as_ref().unwrap().is_valid() && !report.is_good());
    assert!(verified(&signed, &VerifyOptions::default()).0.signature.is_none());
}

#[test]
fn a_manifest_line_is_read_again_exactly() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance");
    for name in ["intact", "recompressed_with_the_manifest_in_two_members", "sound_gzip_header_with_everything"] {
        let bundle = Bundle::open(directory.join(format!("{name}.jsonl.gz"))).unwrap();
        let line = bundle.manifest_line().unwrap();
        assert_eq!(patchwork_traces::digest::BundleDigest::of_manifest_line(&line), bundle.digest(), "{name}");
    }
    let bytes = fs::read(directory.join("intact.jsonl.gz")).unwrap();
    assert!(Bundle::from_stream(&bytes[..], "stream").unwrap().manifest_line().is_err());
}

/// Verifies a history with a signature. Returns the status of the signature, and true if the history is good.
fn history_status(dir: &Path, signature: &Signature) -> (String, bool) {
    fs::write(history_signature_path(dir), signature.to_string()).unwrap();
    let list = AllowedSigners::parse(&signers("")).unwrap();
    let check = SignatureCheck::read(history_signature_path(dir), list, now()).unwrap();
    let mut has_finding = false;
    let mut found = |kind| has_finding |= matches!(kind, HistoryFindingKind::Signature(_));
    let options = HistoryVerifyOptions::default().signature(check);
    let report = verify_history(dir, &options, &NoProgress, &mut |finding| found(finding.kind)).unwrap();
    let verdict = report.signature.clone().unwrap();
    assert_eq!(has_finding, !verdict.is_valid());
    if let SignatureVerdict::Outdated { signed_segments, segments, .. } = verdict {
        return (format!("{signed_segments} of {segments}"), report.is_good());
    }
    (status(&verdict), report.is_good())
}

#[test]
fn a_signature_of_a_history_covers_the_segments_up_to_its_checkpoint() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("h");
    let mut history = HistoryBuilder::with_segments(&dir, 3);
    let signature = signed_by("ed25519", &fs::read(history.checkpoint()).unwrap());
    assert_eq!(history_status(&dir, &signature), ("valid".to_owned(), true));

    // A segment that a killed run added without its checkpoint is not covered, either.
    history.add(1);
    assert_eq!(history_status(&dir, &signature), ("3 of 4".to_owned(), false));
    history.add(1);
    history.write_checkpoint();
    assert_eq!(history_status(&dir, &signature), ("3 of 5".to_owned(), false));
    let current = History::open(&dir).unwrap().checkpoint().to_string();
    assert_eq!(history_status(&dir, &signed_by("ed25519", current.as_bytes())), ("valid".to_owned(), true));

    // Check with an unknown key, another history, and a list that lacks the checkpoint.
    assert_eq!(history_status(&dir, &signed_by("ecdsa-256", current.as_bytes())).0, "unknownKey");
    let other = current.replace("0f1e", "0f1f");
    assert_eq!(history_status(&dir, &signed_by("ed25519", other.as_bytes())).0, "mismatch");
    fs::remove_file(history.checkpoint()).unwrap();
    assert_eq!(history_status(&dir, &signature).0, "noContent");
}

#[test]
fn signatures_of_segments_are_not_foreign_files() {
    let temporary = tempfile::tempdir().unwrap();
    let history = HistoryBuilder::with_segments(temporary.path().join("h"), 2);
    fs::write(signature_path(history.path(1)), "signature").unwrap();
    let mut findings = 0;
    let options = HistoryVerifyOptions::default();
    verify_history(&history.dir, &options, &NoProgress, &mut |_| findings += 1).unwrap();
    assert_eq!(findings, 0);
    fs::write(signature_path(history.path(1)).with_extension("gz.sog"), "other").unwrap();
    verify_history(&history.dir, &options, &NoProgress, &mut |_| findings += 1).unwrap();
    assert_eq!(findings, 1);
}
