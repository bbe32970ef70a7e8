//! Says what a test left out, and why.

use std::io::Write;

/// Names what the test that calls this leaves out for want of something. It goes past the test harness, which shows
/// nothing of what a passed test prints with a macro.
pub fn skip_note(skipped: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("NOTE: {test}: {skipped}\n").as_bytes());
}
