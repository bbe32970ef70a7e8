//! Notes about skipped parts of tests.

use std::io::Write;

/// Prints a note that names the calling test. It writes directly to standard error, because the test harness hides the
/// `eprintln!` output of passed tests.
pub fn skip_note(skipped: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("NOTE: {test}: {skipped}\n").as_bytes());
}
