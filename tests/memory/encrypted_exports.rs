//! A file that Patchwork encrypted is verified and read in little memory, whatever its size.

use std::fs::File;
use std::io::{self, Write};

use crate::{MEMORY, measured};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes256Gcm, KeyInit};
use patchwork_traces::internal::{FileKey, PWTRACE_MAGIC, open_pwtrace, open_pwtrace_with};

const CONTENT_BYTES: usize = 64 << 20;

/// A piece of 64 KiB in a buffer that doubles, 16 bytes for each piece of the file, and the buffer of the copy.
const MAX_MEMORY: usize = 512 << 10;

/// The same, and the memory that scrypt needs by its definition.
const MAX_MEMORY_WITH_SCRYPT: usize = (16 << 20) + MAX_MEMORY;

#[test]
fn a_large_encrypted_export_takes_no_memory_beside_the_key_derivation() {
    let _measured = measured();
    let mut file = tempfile::tempfile().unwrap();
    let key = FileKey::new([7; 32]);
    {
        let mut content = vec![b' '; CONTENT_BYTES];
        let cipher = Aes256Gcm::new((&*key).into());
        let tag = cipher.encrypt_in_place_detached(&[0; 12].into(), &[], &mut content).unwrap();
        let header = [&PWTRACE_MAGIC[..], &[1], &[0; 28], &tag].concat();
        file.write_all(&header).and_then(|()| file.write_all(&content)).unwrap();
    }
    let peak_of = |work: &dyn Fn(&File)| {
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        work(&file);
        MEMORY.peak_usage() - before
    };
    let peak = peak_of(&|file| {
        let mut reader = open_pwtrace_with(file, |_| key.clone()).unwrap();
        assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), CONTENT_BYTES as u64);
    });
    assert!(peak < MAX_MEMORY, "reading takes {} KiB", peak >> 10);
    let peak = peak_of(&|file| assert!(open_pwtrace(file, b"wrong").is_err()));
    assert!(peak < MAX_MEMORY_WITH_SCRYPT, "opening takes {} KiB", peak >> 10);
}
