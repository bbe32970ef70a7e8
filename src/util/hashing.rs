//! Computes digests of bytes that arrive in pieces.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::digest::{Integrity, Sha256Digest};

/// A hasher that computes the [`Integrity`] of bytes that arrive in pieces.
#[derive(Debug, Clone, Default)]
pub struct IntegrityHasher {
    bytes: u64,
    sha256: Sha256,
}

impl IntegrityHasher {
    /// Returns the number of bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.sha256.update(piece);
    }

    /// Returns the integrity of all pieces, in order.
    #[must_use]
    pub fn finish(self) -> Integrity {
        Integrity { bytes: self.bytes, sha256: Sha256Digest::from(<[u8; 32]>::from(self.sha256.finalize())) }
    }
}

/// A reader that computes the [`Integrity`] of everything read through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: IntegrityHasher,
}

impl<R> HashingReader<R> {
    /// Creates a reader that hashes everything read from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: IntegrityHasher::default() }
    }

    /// Returns the integrity of everything that was read.
    pub fn finish(self) -> Integrity {
        self.hasher.finish()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}
