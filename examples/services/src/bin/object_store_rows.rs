//! Prints the activity rows of a bundle in an object store. Only the manifest and the chunks of that source are fetched.
//!
//! ```sh
//! cargo run --manifest-path examples/services/Cargo.toml --bin object_store_rows -- DIRECTORY traces.jsonl.gz
//! ```
//!
//! The store is a directory here. Any other store of the crate `object_store` works in the same way.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::ObjectStore;
use patchwork_traces::Bundle;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: object_store_rows DIRECTORY NAME".into());
    };
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(directory)?);
    let path = Path::from(name);
    let length = store.head(&path).await?.size;
    let object = Object { store, path, length, at: 0, runtime: Handle::current() };
    // Reading blocks, so it must not run on a thread of the runtime.
    spawn_blocking(move || print_rows(object)).await?
}

fn print_rows(object: Object) -> Result<(), Error> {
    let name = object.path.to_string();
    let bundle = Bundle::from_seekable(object, &name)?;
    for row in bundle.rows_of("activity")?.typed_rows::<serde_json::Value>() {
        let row = row?;
        println!("row {}: {}", row.number, row.value);
    }
    Ok(())
}

/// An object that is read in ranges.
struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    length: u64,
    at: u64,
    runtime: Handle,
}

impl Read for Object {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.length.min(self.at + buffer.len() as u64);
        if self.at >= end {
            return Ok(0);
        }
        let bytes = self.runtime.block_on(self.store.get_range(&self.path, self.at..end))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Object {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
