//! Exports that Patchwork encrypted (`.enc`) are read like plain bundles.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit};
use patchwork_traces::bundle::{Bundle, Selection};
use patchwork_traces::internal::{FileKey, PWTRACE_MAGIC, PwtraceReader, open_pwtrace, open_pwtrace_with};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::verify::{Verdict, VerifyOptions, verify_seekable};
use patchwork_traces::{ErrorKind, Result};

use crate::common::random_rows::random_rows;
use crate::common::{Home, bundle, indexed, restore_all};

/// A fixture that was encrypted by Node. `src/container/pwtrace.rs` has the script.
const SEALED: &[u8] = include_bytes!("../../fixtures/sealed/three_rows.jsonl.gz.enc");
const PLAIN: &[u8] = include_bytes!("../../fixtures/sealed/three_rows.jsonl.gz");
const PASSPHRASE: &str = "correct horse, größer Akku";

const KEY: [u8; 32] = [7; 32];

/// Encrypts a file with `KEY`.
fn encrypted(content: &[u8]) -> File {
    let mut ciphertext = content.to_vec();
    let tag = Aes256Gcm::new(&KEY.into()).encrypt_in_place_detached(&[0; 12].into(), &[], &mut ciphertext).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[&PWTRACE_MAGIC[..], &[1], &[0; 28], &tag, &ciphertext].concat()).unwrap();
    file
}

fn opened(file: &File) -> Result<PwtraceReader<&File>> {
    open_pwtrace_with(file, |_| FileKey::new(KEY))
}

#[test]
fn an_encrypted_bundle_is_verified_and_restored_like_the_plain_one() {
    let reader = || open_pwtrace(Cursor::new(SEALED), PASSPHRASE.as_bytes()).unwrap();
    let options = VerifyOptions::default().threads(NonZeroUsize::MIN);
    let verify = |input| verify_seekable(input, "bundle", &options, &NoProgress, &mut |_| {}).unwrap();
    let report = verify(reader());
    assert_eq!((report.verdict, report.files.len()), (Verdict::Intact, 2));
    let bundle = Bundle::from_seekable(reader(), "bundle").unwrap();
    assert_eq!(bundle.manifest().total_count, 3);
    assert_eq!(restore_all(bundle).unwrap(), restore_all(indexed(PLAIN).unwrap()).unwrap());
}

/// A file that counts the bytes read from it.
struct Counted<'f>(&'f File, &'f AtomicU64);

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(out)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn one_source_of_an_encrypted_bundle_is_read_without_the_others() {
    let row = "{\"kind\":\"tool\",\"timestamp\":\"2026-05-02T10:00:00.000Z\"}";
    let home = Home::new().with("runs.jsonl", random_rows(2000)).with_activity("activity-1.jsonl", format!("{row}\n"));
    let (file, read) = (encrypted(&bundle(&home)), AtomicU64::new(0));
    let length = file.metadata().unwrap().len();
    assert!(length > 800_000, "{length}");
    let reader = open_pwtrace_with(Counted(&file, &read), |_| FileKey::new(KEY)).unwrap();
    assert_eq!(read.swap(0, Ordering::Relaxed), length, "the first pass reads everything once");
    let bundle = Bundle::from_seekable(reader, "bundle").unwrap();
    let at = bundle.manifest().files.iter().position(|file| file.source.as_str() == "activity").unwrap();
    let mut rows = bundle.rows(&Selection::default().files(vec![at])).unwrap();
    assert_eq!(rows.next_row().unwrap().unwrap().envelope.entry(), row);
    assert!(rows.next_row().unwrap().is_none());
    let read = read.load(Ordering::Relaxed);
    assert!(read <= 3 * 65_536, "{read} of {length} bytes");
}

/// Changes a byte near the end of the file.
fn change(mut file: &File) {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1000)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::End(-1000)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}

#[test]
fn a_file_that_changes_during_reading_is_not_reported_as_damaged() {
    let file = encrypted(&bundle(&Home::new().with("runs.jsonl", random_rows(2000))));
    let opened_before = Bundle::from_seekable(opened(&file).unwrap(), "bundle").unwrap();
    let length = file.metadata().unwrap().len();
    change(&file);
    let error = restore_all(opened_before).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DecryptionFailed), "{error}");
    // The position is the start of the 64 KiB piece with the changed byte.
    assert_eq!(error.position().byte, Some((length - 1000 - 53) / 65_536 * 65_536 + 53), "{error}");
    // After the change, the file cannot be opened at all.
    let error = opened(&file).err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::DecryptionFailed), "{error}");
}
