//! Reads a bundle's input a second time.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::{Bundle, Input, Seekable};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, Result};

/// What opens a bundle again, whatever became of the first one.
pub(crate) struct Reopener<'r> {
    input: SharedInput<'r>,
    name: String,
    digest: BundleDigest,
}

impl<'r> Reopener<'r> {
    /// Opens it from its start.
    ///
    /// # Errors
    /// When it cannot be read, or is another bundle by now.
    pub(crate) fn open(&self) -> Result<Bundle<'r>> {
        let bundle = Bundle::from_seekable(self.input.clone(), &self.name)?;
        match bundle.digest() == self.digest {
            true => Ok(bundle),
            false => Err(Error::from(ErrorKind::RestoredDiffers).in_subject(&self.name)),
        }
    }
}

impl<'r> Bundle<'r> {
    /// What opens it again, unless it comes from a stream.
    pub(crate) fn again(&mut self) -> Option<Reopener<'r>> {
        let (Input::Indexed(input, _) | Input::Seekable(input)) = &mut self.input else { return None };
        let taken: Seekable<'r> = std::mem::replace(input, Box::new(io::empty()));
        let shared = SharedInput { input: Rc::new(RefCell::new(taken)), at: 0 };
        *input = Box::new(shared.clone());
        Some(Reopener { input: shared, name: self.name.clone(), digest: self.digest })
    }
}

/// An input that several read, each at its own place.
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
        // What counts from the current place counts from this one's.
        input.seek(SeekFrom::Start(self.at))?;
        self.at = input.seek(to)?;
        Ok(self.at)
    }
}
