//! Reopens a bundle from the input that it was first read from.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::{Bundle, Input, Seekable};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, Result};

/// A handle that can reopen a bundle, even after the first [`Bundle`] was consumed.
pub(crate) struct Reopener<'r> {
    input: SharedInput<'r>,
    name: String,
    digest: BundleDigest,
}

impl<'r> Reopener<'r> {
    /// Opens the bundle from its start.
    ///
    /// # Errors
    /// Fails if the input cannot be read or now has a different bundle digest.
    pub(crate) fn open(&self) -> Result<Bundle<'r>> {
        let bundle = Bundle::from_seekable(self.input.clone(), &self.name)?;
        match bundle.digest() == self.digest {
            true => Ok(bundle),
            false => Err(Error::from(ErrorKind::RestoredDiffers).in_subject(&self.name)),
        }
    }
}

impl<'r> Bundle<'r> {
    /// Returns a handle that can reopen this bundle, or `None` if its input is a stream.
    pub(crate) fn again(&mut self) -> Option<Reopener<'r>> {
        let (Input::Indexed(input, _) | Input::Seekable(input)) = &mut self.input else { return None };
        let taken: Seekable<'r> = std::mem::replace(input, Box::new(io::empty()));
        let shared = SharedInput { input: Rc::new(RefCell::new(taken)), at: 0 };
        *input = Box::new(shared.clone());
        Some(Reopener { input: shared, name: self.name.clone(), digest: self.digest })
    }
}

/// An input shared by several readers, each with its own position.
#[derive(Clone)]
struct SharedInput<'r> {
    input: Rc<RefCell<Seekable<'r>>>,
    at: u64,
}

impl Read for SharedInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut input = self.input.borrow_mut();
        input.seek(SeekFrom::Start(self.at))?;
        let read = input.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for SharedInput<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut input = self.input.borrow_mut();
        // A relative seek must start from this reader's position.
        input.seek(SeekFrom::Start(self.at))?;
        self.at = input.seek(to)?;
        Ok(self.at)
    }
}
