//! Standard input that can be interrupted while it waits for data.

#[cfg(unix)]
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use patchwork_traces::error::IoAction;
use patchwork_traces::progress::Cancellation;
use patchwork_traces::{Error, ErrorKind};

use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::STDIN;

/// The size of a block.
const BUFFER_BYTES: usize = 256 << 10;

/// The interval between checks for an interrupt.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Standard input, read by a separate thread.
pub struct Stdin {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Cursor<Vec<u8>>,
    cancellation: Cancellation,
}

/// Starts reading standard input.
///
/// # Errors
/// Fails if the system cannot start the thread.
pub fn stdin() -> patchwork_traces::Result<Stdin> {
    let (sender, blocks) = bounded(2);
    let reading = thread::Builder::new().spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut block = Vec::with_capacity(BUFFER_BYTES);
            let read = stdin.by_ref().take(BUFFER_BYTES as u64).read_to_end(&mut block);
            let is_last = !matches!(read, Ok(n) if n == BUFFER_BYTES);
            // Sending fails once the command has finished.
            if sender.send(read.map(|_| block)).is_err() || is_last {
                return;
            }
        }
    });
    reading.map_err(|error| Error::io_named(IoAction::Read, STDIN, error))?;
    Ok(Stdin { blocks, block: Cursor::default(), cancellation: interrupt::cancellation() })
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.block.position() == self.block.get_ref().len() as u64 {
            match self.blocks.recv_timeout(POLL_INTERVAL) {
                Ok(block) => self.block = Cursor::new(block?),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) if self.cancellation.is_cancelled() => {
                    return Err(Error::from(ErrorKind::Cancelled).into());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.block.read(buffer)
    }
}

/// Returns true if standard input is the file at `path`.
#[cfg(unix)]
pub fn is_stdin(path: &Path) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from).and_then(|input| input.metadata());
    let file = std::fs::metadata(path);
    input.is_ok_and(|input| file.is_ok_and(|file| (input.dev(), input.ino()) == (file.dev(), file.ino())))
}

/// Always returns false: this platform cannot compare files, and does not allow an open file to be replaced.
#[cfg(not(unix))]
pub fn is_stdin(_path: &Path) -> bool {
    false
}
