//! Notes about skipped parts of tests.

use std::io::Write;

/// Prints what the calling test skips and why. It bypasses the test harness, which hides the macro output of passed tests.
pub fn skip_note(skipped: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("NOTE: {test}: {skipped}\n").as_bytes());
}
