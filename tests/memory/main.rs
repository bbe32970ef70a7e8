//! Tests that limit the memory of the whole process. They have a program of their own, and each holds [`measured`].
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "seal")]
mod encrypted_exports;
mod every_byte;
mod finding_rows;
mod histories;
mod peak_memory;

use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Waits until no other test of this program allocates, and keeps the others waiting while the guard lives.
fn measured() -> MutexGuard<'static, ()> {
    static MEASURED: Mutex<()> = Mutex::new(());
    MEASURED.lock().unwrap_or_else(PoisonError::into_inner)
}
