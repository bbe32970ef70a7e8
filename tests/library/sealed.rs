//! Files that are encrypted with age: changed data is never returned, and a wrong key returns nothing.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex};

use patchwork_traces::bundle::Selection;
use patchwork_traces::container::{DecryptionKeys, FileInput, Input, Passphrase, Recipient, Sealer};
use patchwork_traces::error::{Encryption, KeyText};
use patchwork_traces::export::export;
use patchwork_traces::logs::DiscoverOptions;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::{RecoverOptions, recover_input};
use patchwork_traces::verify::{VerifyOptions, verify, verify_seekable};
use patchwork_traces::{Bundle, Error, ErrorKind, OutputTarget, TargetOptions};
use proptest::prelude::*;

use crate::common::age_keys::{IDENTITY, OTHER_IDENTITY, OTHER_RECIPIENT, RECIPIENT, keys, lock, sealer};
use crate::common::random::Random;
use crate::common::{Home, bundle, options, restore_all};

/// The length of the pieces that age authenticates one by one.
const PIECE: usize = 64 << 10;

fn seal(sealer: &Sealer, content: &[u8]) -> Vec<u8> {
    let mut out = sealer.seal(Vec::new()).unwrap();
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

fn random_bytes(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    (0..length).map(|_| random.below(256) as u8).collect()
}

fn file<'f>(sealed: &'f [u8], keys: &DecryptionKeys) -> Result<Input<'f>, Error> {
    Input::from_file(FileInput::new(Cursor::new(sealed)).unwrap(), keys, "sealed")
}

fn stream<'f>(sealed: &'f [u8], keys: &DecryptionKeys) -> Result<Input<'f>, Error> {
    Input::from_stream(sealed, keys, "sealed")
}

/// Reads to the end or to the first error. Returns the content and the error.
fn read(input: Result<Input<'_>, Error>) -> (Vec<u8>, Option<Error>) {
    let mut content = Vec::new();
    match input {
        Err(error) => (content, Some(error)),
        Ok(mut input) => {
            let error = input.read_to_end(&mut content).err();
            (content, error.map(|error| error.downcast().unwrap()))
        }
    }
}

/// Returns a bundle of three rows, small enough to test each byte.
fn small_bundle() -> Vec<u8> {
    bundle(&Home::new().with("runs.jsonl", "{\"secret\":1}\n{\"secret\":2}\n{\"secret\":3}\n"))
}

#[test]
fn every_changed_byte_and_every_cut_gives_an_error_and_no_content() {
    let (content, keys) = (small_bundle(), keys(&[IDENTITY]));
    let sealed = seal(&sealer(&[RECIPIENT]), &content);
    assert_eq!(read(file(&sealed, &keys)).0, content);
    let check = |changed: &[u8], what: String| {
        for input in [file(changed, &keys), stream(changed, &keys)] {
            let (given, error) = read(input);
            // A file that no longer looks encrypted is read as it is, and is not a bundle.
            if !changed.starts_with(b"age-encryption.org/v1\n") {
                let read = Bundle::from_stream(changed, "changed");
                assert!(read.is_err(), "{what}");
                continue;
            }
            assert!(given.is_empty(), "{what}: {given:?}");
            let error = error.unwrap_or_else(|| panic!("{what}: no error"));
            assert!(!format!("{error:?} {error}").contains("secret"), "{what}: {error:?}");
        }
    };
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        for flipped in [0x01, 0x80] {
            changed[at] = sealed[at] ^ flipped;
            check(&changed, format!("byte {at} ^ {flipped}"));
        }
        check(&sealed[..at], format!("the first {at} bytes"));
    }
    check(&[&sealed[..], b"x"].concat(), "a byte more".to_owned());
}

#[test]
fn a_changed_or_cut_long_file_gives_only_the_pieces_before_the_change() {
    let (content, keys) = (random_bytes(3 * PIECE + 1000), keys(&[IDENTITY]));
    let sealed = seal(&sealer(&[RECIPIENT]), &content);
    let header = sealed.len() - content.len() - 4 * 16;
    for piece in 0..4 {
        let start = header + piece * (PIECE + 16);
        let mut changed = sealed.clone();
        changed[start + 20] ^= 1;
        for damaged in [&changed[..], &sealed[..start + 20], &sealed[..start]] {
            let (given, error) = read(stream(damaged, &keys));
            assert!(given == content[..given.len()] && given.len() <= piece * PIECE, "piece {piece}: {}", given.len());
            assert!(matches!(error.unwrap().kind(), ErrorKind::CiphertextDamaged), "piece {piece}");
            // A file is refused at once if its end is missing or changed.
            let (given, error) = read(file(damaged, &keys));
            assert!(given == content[..given.len()] && given.len() <= piece * PIECE, "piece {piece}: {}", given.len());
            assert!(matches!(error.unwrap().kind(), ErrorKind::CiphertextDamaged), "piece {piece}");
        }
    }
}

#[test]
fn a_changed_piece_in_the_middle_is_an_error_of_verify() {
    let (content, keys) = (bundle(&Home::new().with("runs.jsonl", long_log(40_000))), keys(&[IDENTITY]));
    let mut sealed = seal(&sealer(&[RECIPIENT]), &content);
    let middle = sealed.len() / 2;
    sealed[middle] ^= 1;
    let Ok(Input::File(input)) = file(&sealed, &keys) else { panic!("its start and end are sound") };
    let checked = verify_seekable(input, "sealed", &VerifyOptions::default(), &NoProgress, &mut |_| {});
    assert!(matches!(checked.unwrap_err().kind(), ErrorKind::CiphertextDamaged));
    let input = stream(&sealed, &keys).unwrap();
    let checked = verify(input, "sealed", &VerifyOptions::default(), &NoProgress, &mut |_| {});
    assert!(matches!(checked.unwrap_err().kind(), ErrorKind::CiphertextDamaged));
}

/// Returns a log of many rows, whose bundle takes several pieces.
fn long_log(rows: u64) -> String {
    (0..rows).map(|n| format!("{{\"n\":{}}}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

/// Recovers a damaged encrypted bundle. Returns the recovered log or the error.
fn recovered(sealed: &[u8], keys: &DecryptionKeys) -> Result<Vec<u8>, Error> {
    let dir = tempfile::tempdir().unwrap();
    let (damaged, out) = (dir.path().join("damaged.age"), dir.path().join("recovered.gz"));
    std::fs::write(&damaged, sealed).unwrap();
    let input = Input::open_damaged(&damaged, keys)?;
    let options = RecoverOptions::new("test", patchwork_traces::format::Timestamp::from_millis(0).unwrap());
    let target = OutputTarget::resolve(&out, TargetOptions::default())?;
    recover_input(input, "damaged", &options, &target, &NoProgress)?;
    let logs = restore_all(Bundle::open(&out)?)?;
    Ok(logs.into_values().next().unwrap_or_default())
}

/// Returns the rows of the chunks of a bundle's only log whose compressed bytes are outside of all these ranges.
fn rows_outside<'l>(content: &[u8], log: &'l str, holes: &[std::ops::Range<u64>]) -> Vec<&'l str> {
    let manifest = Bundle::from_seekable(Cursor::new(content), "plain").unwrap().manifest().clone();
    let chunks = &manifest.files[0].chunks;
    let mut at = content.len() as u64 - 10 - chunks.iter().map(|chunk| chunk.compressed).sum::<u64>();
    let (mut rows, mut outside) = (log.lines(), Vec::new());
    for chunk in chunks {
        let (bytes, of_chunk) = (at..at + chunk.compressed, rows.by_ref().take(chunk.rows as usize));
        let is_hit = holes.iter().any(|hole| hole.start < bytes.end && bytes.start < hole.end);
        let of_chunk: Vec<_> = of_chunk.collect();
        outside.extend(of_chunk.into_iter().filter(|_| !is_hit));
        at = bytes.end;
    }
    outside
}

#[test]
fn recover_finds_the_rows_of_every_intact_piece() {
    let (log, keys) = (long_log(250_000), keys(&[IDENTITY]));
    let content = bundle(&Home::new().with("runs.jsonl", log.clone()));
    let sealed = seal(&sealer(&[RECIPIENT]), &content);
    let pieces = content.len().div_ceil(PIECE);
    let header = sealed.len() - content.len() - pieces * 16;
    assert!(pieces > 50, "{pieces}");
    let hole = |piece: usize| (piece * PIECE) as u64..(content.len().min((piece + 1) * PIECE)) as u64;
    assert!(recovered(&sealed, &keys).unwrap() == log.as_bytes(), "nothing is damaged");
    let damaged_at = |damaged: &[usize]| {
        let mut changed = sealed.clone();
        for piece in damaged {
            changed[header + piece * (PIECE + 16) + 20] ^= 1;
        }
        changed
    };
    let cut = |bytes: usize| sealed[..header + bytes].to_vec();
    let last = pieces - 1;
    let after = |piece: usize| (piece..pieces).map(hole).collect::<Vec<_>>();
    let singles = [0, 1, pieces / 3, pieces / 2, pieces / 2 + 1, last];
    for (damaged, holes) in singles.map(|piece| (damaged_at(&[piece]), vec![hole(piece)])).into_iter().chain([
        (damaged_at(&[1, 3, pieces / 2]), vec![hole(1), hole(3), hole(pieces / 2)]),
        (damaged_at(&[0, last]), vec![hole(0), hole(last)]),
        (cut(40 * (PIECE + 16)), after(40)),
        (cut(40 * (PIECE + 16) + 5), after(40)),
        (cut(45 * (PIECE + 16) + 5000), after(45)),
    ]) {
        let found = String::from_utf8(recovered(&damaged, &keys).unwrap()).unwrap();
        // Only rows of the log are recovered, in order, and all rows outside of the damage are among them.
        let mut rows = log.lines();
        assert!(found.lines().all(|row| rows.any(|of_log| of_log == row)), "{holes:?}");
        let mut found = found.lines();
        let outside = rows_outside(&content, &log, &holes);
        assert!(outside.len() > 50_000, "{holes:?}");
        assert!(outside.iter().all(|row| found.any(|found| found == *row)), "{holes:?}");
    }
    let all: Vec<_> = (0..pieces).collect();
    assert!(matches!(recovered(&damaged_at(&all), &keys).unwrap_err().kind(), ErrorKind::NothingToRecover));
    let other = recovered(&sealed, &self::keys(&[OTHER_IDENTITY])).unwrap_err();
    assert!(matches!(other.kind(), ErrorKind::NoMatchingKey));
    assert!(matches!(recovered(&cut(0)[..100], &keys).unwrap_err().kind(), ErrorKind::CiphertextDamaged));
}

#[test]
fn recover_asks_for_a_passphrase_once_whatever_is_damaged() {
    let (log, pieces) = (long_log(250_000), 2);
    let content = bundle(&Home::new().with("runs.jsonl", log.clone()));
    let mut sealed = lock("right", &content);
    for piece in 0..pieces {
        sealed[(10 * piece + 1) * PIECE] ^= 1;
    }
    let (keys, requests) = typed(&["right"]);
    assert!(recovered(&sealed, &keys).unwrap().len() > log.len() / 4);
    assert_eq!(requests.lock().unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn any_part_of_an_encrypted_file_can_be_read_in_any_order(
        length in prop_oneof![Just(0), Just(1), Just(PIECE - 1), Just(PIECE), Just(2 * PIECE), 0..3 * PIECE],
        places in prop::collection::vec((any::<prop::sample::Index>(), 0usize..100_000), 1..12),
    ) {
        let content = random_bytes(length);
        let sealed = seal(&sealer(&[RECIPIENT]), &content);
        let Input::File(mut input) = file(&sealed, &keys(&[IDENTITY])).unwrap() else { panic!("a file") };
        prop_assert_eq!(input.length(), length as u64);
        for (at, wanted) in places {
            let at = at.index(length + 1);
            input.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut part = Vec::new();
            input.by_ref().take(wanted as u64).read_to_end(&mut part).unwrap();
            prop_assert!(part == content[at..(at + wanted).min(length)], "{} bytes from {}", wanted, at);
        }
    }
}

#[test]
fn only_the_recipients_can_read() {
    let content = small_bundle();
    let for_both = seal(&sealer(&[RECIPIENT, OTHER_RECIPIENT]), &content);
    for identity in [IDENTITY, OTHER_IDENTITY] {
        assert_eq!(read(file(&for_both, &keys(&[identity]))).0, content);
    }
    let for_one = seal(&sealer(&[RECIPIENT]), &content);
    assert_eq!(read(file(&for_one, &keys(&[OTHER_IDENTITY, IDENTITY]))).0, content);
    let (given, error) = read(file(&for_one, &keys(&[OTHER_IDENTITY])));
    assert!(given.is_empty() && matches!(error.unwrap().kind(), ErrorKind::NoMatchingKey));
}

#[test]
fn plain_readers_say_that_a_bundle_is_encrypted() {
    let sealed = seal(&sealer(&[RECIPIENT]), &small_bundle());
    let is_encrypted = |error: &Error| matches!(error.kind(), ErrorKind::Encrypted(Encryption::AgeKey));
    assert!(is_encrypted(&Bundle::from_stream(&sealed[..], "sealed").unwrap_err()));
    assert!(is_encrypted(&Bundle::from_seekable(Cursor::new(&sealed), "sealed").unwrap_err()));
    let checked = verify(&sealed[..], "sealed", &VerifyOptions::default(), &NoProgress, &mut |_| {});
    assert!(is_encrypted(&checked.unwrap_err()));
    let no_passphrase =
        read(stream(b"age-encryption.org/v1\n-> scrypt c2FsdHNhbHRzYWx0c2FsdA 18\n", &DecryptionKeys::default())).1;
    assert!(matches!(no_passphrase.unwrap().kind(), ErrorKind::Encrypted(Encryption::AgePassphrase)));
}

#[test]
fn the_right_passphrase_opens_a_file_and_another_does_not() {
    let (content, right) = (small_bundle(), Passphrase::new("correct horse".to_owned()));
    let sealed = seal(&Sealer::to_passphrase(right.clone()), &content);
    assert!(sealed.windows(4).any(|text| text == b" 18\n"), "the work factor");
    assert_eq!(read(stream(&sealed, &DecryptionKeys::default().passphrase(right))).0, content);
    let wrong = DecryptionKeys::default().passphrase(Passphrase::new("correct horsf".to_owned()));
    let (given, error) = read(stream(&sealed, &wrong));
    assert!(given.is_empty() && matches!(error.unwrap().kind(), ErrorKind::DecryptionFailed));
}

/// Returns keys that answer requests with these passphrases in turn, and the list of requests. A request has the name
/// of the file and the number of passphrases that did not open it.
fn typed(passphrases: &[&str]) -> (DecryptionKeys, Arc<Mutex<Vec<(String, u32)>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (asked, passphrases) =
        (requests.clone(), passphrases.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    let keys = DecryptionKeys::default().ask_passphrase(move |request| {
        let mut asked = asked.lock().unwrap();
        asked.push((request.name.to_owned(), request.rejected));
        let next = passphrases.get(asked.len() - 1).ok_or(ErrorKind::Cancelled)?;
        Ok(Passphrase::new(next.clone()))
    });
    (keys, requests)
}

#[test]
fn a_wrong_passphrase_is_asked_for_again_even_for_a_stream() {
    let content = small_bundle();
    let by_age = lock("right", &content);
    let by_patchwork = include_bytes!("../../fixtures/sealed/three_rows.jsonl.gz.enc");
    let plain = include_bytes!("../../fixtures/sealed/three_rows.jsonl.gz");
    for (sealed, right, content) in
        [(&by_age[..], "right", &content[..]), (by_patchwork, "correct horse, größer Akku", plain)]
    {
        for open in [file, stream] {
            let (keys, requests) = typed(&["wrong", right]);
            assert_eq!(read(open(sealed, &keys)).0, content);
            assert_eq!(*requests.lock().unwrap(), [("sealed".to_owned(), 0), ("sealed".to_owned(), 1)]);
            let (keys, _) = typed(&["wrong"]);
            let (given, error) = read(open(sealed, &keys));
            assert!(given.is_empty() && matches!(error.unwrap().kind(), ErrorKind::Cancelled));
        }
    }
}

/// Adds an identity file with this content to `keys`. Returns the keys and the file.
fn with_identities(keys: DecryptionKeys, content: &[u8]) -> Result<(DecryptionKeys, tempfile::NamedTempFile), Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    Ok((keys.identity_file(file.path())?, file))
}

#[test]
fn an_encrypted_identity_file_is_opened_once_and_only_if_needed() {
    let content = small_bundle();
    let sealed = seal(&sealer(&[RECIPIENT]), &content);
    let identities = format!("# created: today\r\n{OTHER_IDENTITY}\r\n{IDENTITY}\r\n");
    let locked = lock("right", identities.as_bytes());
    for locked in [&locked[..], &armored(&locked)] {
        let (keys, requests) = typed(&["wrong", "right"]);
        let (keys, identity_file) = with_identities(keys, locked).unwrap();
        assert!(keys.has_locked_identities());
        // It is not opened for a bundle that is not encrypted, or if another identity decrypts the bundle.
        assert_eq!(read(file(&content, &keys)).0, content);
        let both = self::keys(&[OTHER_IDENTITY]).identity_file(identity_file.path()).unwrap();
        let for_other = seal(&sealer(&[OTHER_RECIPIENT]), &content);
        assert_eq!(read(file(&for_other, &both)).0, content);
        assert!(requests.lock().unwrap().is_empty());

        let name = identity_file.path().display().to_string();
        assert_eq!(read(file(&sealed, &keys)).0, content);
        assert_eq!(read(stream(&sealed, &keys.clone())).0, content);
        assert_eq!(*requests.lock().unwrap(), [(name.clone(), 0), (name.clone(), 1)]);

        let (keys, identity_file) = with_identities(typed(&["wrong"]).0, locked).unwrap();
        let error = read(file(&sealed, &keys)).1.unwrap();
        assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error:?}");
        assert_eq!(error.position().subject.as_deref(), Some(&*identity_file.path().display().to_string()));
    }
}

#[test]
fn a_damaged_encrypted_identity_file_opens_nothing() {
    let sealed = seal(&sealer(&[RECIPIENT]), &small_bundle());
    let right = || DecryptionKeys::default().passphrase(Passphrase::new("right".to_owned()));
    let locked = lock("right", IDENTITY.as_bytes());
    let cut = &locked[..locked.len() - 1];
    let wrong = DecryptionKeys::default().passphrase(Passphrase::new("wrong".to_owned()));
    let bundle = lock("right", b"not an identity");
    let to_keys = with_identities(right(), &sealed).err().unwrap();
    assert!(
        matches!(to_keys.kind(), ErrorKind::InvalidIdentity { line: 0, found: KeyText::EncryptedOtherwise }),
        "{to_keys:?}"
    );
    for (keys, text, is_expected) in [
        (right(), cut, (|kind| matches!(kind, ErrorKind::CiphertextDamaged)) as fn(&ErrorKind) -> bool),
        (wrong, &locked, |kind| matches!(kind, ErrorKind::DecryptionFailed)),
        (right(), &bundle, |kind| matches!(kind, ErrorKind::InvalidIdentity { line: 1, found: KeyText::Other })),
        (DecryptionKeys::default(), &locked, |kind| matches!(kind, ErrorKind::Encrypted(Encryption::AgePassphrase))),
    ] {
        let (keys, identity_file) = with_identities(keys, text).unwrap();
        let (given, error) = read(file(&sealed, &keys));
        let error = error.unwrap();
        assert!(given.is_empty() && is_expected(error.kind()), "{error:?}");
        assert_eq!(error.position().subject.as_deref(), Some(&*identity_file.path().display().to_string()));
    }
}

#[test]
fn key_files_may_have_a_byte_order_mark_and_crlf() {
    let content = small_bundle();
    let sealed = seal(&sealer(&[RECIPIENT]), &content);
    for text in
        [format!("\u{feff}{IDENTITY}\r\n"), format!("\u{feff}# mine\r\n\r\n  {IDENTITY}  "), format!("{IDENTITY}\n")]
    {
        let (keys, _) = with_identities(DecryptionKeys::default(), text.as_bytes()).unwrap();
        assert_eq!(read(file(&sealed, &keys)).0, content, "{text:?}");
        let recipients = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(recipients.path(), text.replace(IDENTITY, RECIPIENT)).unwrap();
        assert_eq!(Recipient::read_file(recipients.path()).unwrap().len(), 1, "{text:?}");
    }
}

#[test]
fn nested_encryption_or_compression_is_reported() {
    let gzip = |content: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    };
    let (content, keys) = (small_bundle(), keys(&[IDENTITY]).passphrase(Passphrase::new("x".to_owned())));
    let sealed = seal(&sealer(&[RECIPIENT]), &content);
    let by_patchwork = include_bytes!("../../fixtures/sealed/three_rows.jsonl.gz.enc");
    let seal_again = |content: &[u8]| seal(&sealer(&[RECIPIENT]), content);
    for (nested, in_gzip) in [
        (gzip(&sealed), true),
        (gzip(&armored(&sealed)), true),
        (gzip(by_patchwork), true),
        (seal_again(&gzip(&sealed)), true),
        (seal_again(&sealed), false),
        (seal_again(&armored(&sealed)), false),
        (seal_again(by_patchwork), false),
    ] {
        for open in [file, stream] {
            let error = open(&nested, &keys).err().unwrap();
            assert!(matches!(error.kind(), ErrorKind::NestedEncryption { in_gzip: found } if *found == in_gzip));
        }
    }
    // A bundle may have rows that look like an encrypted file.
    let log = "\"age-encryption.org/v1\"\n".repeat(100);
    let innocent = bundle(&Home::new().with("runs.jsonl", log));
    assert_eq!(read(file(&innocent, &keys)).0, innocent);
}

#[test]
fn other_keys_are_distinguished_from_mistyped_ones() {
    let utf16: Vec<u8> = [0xfeff_u16].into_iter().chain(IDENTITY.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFm7hQ7Uc1sK1yZ0Pp8x0gJ6dZ0l1w== me@example.org";
    for (text, expected) in [
        (RECIPIENT.as_bytes(), KeyText::Recipient),
        (&IDENTITY.as_bytes()[..40], KeyText::Identity),
        (ssh.as_bytes(), KeyText::Ssh),
        (include_bytes!("../../fixtures/keys/ed25519"), KeyText::Ssh),
        (b"AGE-SECRET-KEY-PQ-1QQQ", KeyText::PostQuantum),
        (&utf16, KeyText::Utf16),
        (b"", KeyText::Nothing),
        (b"secret words", KeyText::Other),
    ] {
        let error = with_identities(DecryptionKeys::default(), text).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::InvalidIdentity { found, .. } if *found == expected), "{error:?}");
        assert!(!error.to_string().contains("words") && !error.to_string().contains(&IDENTITY[20..40]), "{error}");
    }
    for (text, expected) in [
        (IDENTITY, KeyText::Identity),
        (&IDENTITY.to_lowercase(), KeyText::Identity),
        (&RECIPIENT[..40], KeyText::Recipient),
        (ssh, KeyText::Ssh),
        ("age1pq1qqq", KeyText::Recipient),
        ("", KeyText::Other),
    ] {
        let kind = text.parse::<Recipient>().unwrap_err();
        assert!(matches!(kind, ErrorKind::InvalidRecipient { line: None, found } if found == expected), "{kind:?}");
        assert!(text.is_empty() || !format!("{kind:?} {kind}").contains(text), "{kind}");
    }
}

#[test]
fn an_excessive_work_factor_is_refused_at_once() {
    let keys = DecryptionKeys::default().passphrase(Passphrase::new("x".to_owned()));
    let body = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for work in [23, 30, 63] {
        let header = format!("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA {work}\n{body}\n--- {body}\n");
        let (_, error) = read(stream(&[header.as_bytes(), &[0; 100]].concat(), &keys));
        let error = error.unwrap();
        assert!(matches!(error.kind(), ErrorKind::DecryptionTooCostly { limit: 22, .. }), "{error:?}");
    }
}

/// Returns an encrypted file with ASCII armour.
fn armored(sealed: &[u8]) -> Vec<u8> {
    let lines = data_encoding::BASE64.encode(sealed);
    let lines: Vec<_> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let armored =
        format!("-----BEGIN AGE ENCRYPTED FILE-----\n{}\n-----END AGE ENCRYPTED FILE-----\n", lines.join("\n"));
    armored.into_bytes()
}

#[test]
fn armored_files_give_the_same_content_or_an_error() {
    let (content, keys) = (small_bundle(), keys(&[IDENTITY]));
    let sealed = seal(&sealer(&[RECIPIENT]), &content);
    let armored = armored(&sealed);
    assert_eq!(read(file(&armored, &keys)).0, content);
    assert_eq!(read(stream(&armored, &keys)).0, content);
    for at in 0..armored.len() {
        let mut changed = armored.clone();
        changed[at] ^= 1;
        for damaged in [&changed[..], &armored[..at]] {
            for input in [file(damaged, &keys), stream(damaged, &keys)] {
                let (given, error) = read(input);
                let is_plain = !damaged.trim_ascii_start().starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----");
                let is_sound = is_plain || if error.is_some() { given.is_empty() } else { given == content };
                assert!(is_sound, "byte {at}: {} bytes, {error:?}", given.len());
            }
        }
    }
}

#[test]
fn exports_are_encrypted_and_counted_as_they_are_written() {
    for log in ["", "{\"n\":1}\n"] {
        let home = Home::new().with("runs.jsonl", log);
        let found = patchwork_traces::logs::discover(&home.dirs(), &DiscoverOptions::default()).unwrap();
        let mut out = Vec::new();
        let sealed = options().sealer(sealer(&[RECIPIENT]));
        let report = export(&found, &sealed, &mut out, "out", &NoProgress).unwrap();
        assert_eq!(report.bundle_bytes, out.len() as u64);
        let opened = Bundle::from_input(file(&out, &keys(&[IDENTITY])).unwrap(), "out").unwrap();
        assert_eq!(opened.digest(), report.digest);
        let mut rows = opened.rows(&Selection::default()).unwrap();
        assert_eq!(rows.next_row().unwrap().is_some(), !log.is_empty());
        assert!(rows.next_row().unwrap().is_none());
    }
}

#[test]
fn invalid_keys_are_reported_by_line_and_never_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (text, line) in [("", 0), ("# nothing\n", 0), ("\nAGE-SECRET-KEY-1FALSE\n", 2), ("\0\u{fffd}", 1)] {
        std::fs::write(file.path(), text).unwrap();
        let error = DecryptionKeys::default().identity_file(file.path()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidIdentity { line: found, .. } if *found == line), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("FALSE"));
    }
    std::fs::write(file.path(), format!("# mine\n{RECIPIENT}\nage1x\n")).unwrap();
    let error = Recipient::read_file(file.path()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidRecipient { line: Some(3), .. }), "{error:?}");
    assert!(IDENTITY.parse::<Recipient>().is_err());
    let shown =
        format!("{:?} {:?} {:?}", keys(&[IDENTITY]), sealer(&[RECIPIENT]), Passphrase::new("secret".to_owned()));
    assert!(!shown.contains("secret") && !shown.to_lowercase().contains("age1"), "{shown}");
}
