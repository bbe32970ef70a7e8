//! Says what a test left out, and why.

use std::io::Write;

/// Names what the test that calls this leaves out for want of something. It goes past the test harness, which shows
/// nothing of what a passed test prints with a macro.
pub fn note(text: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    let _ = std::io::stderr().write_all(format!("NOTE: {name}: {text}\n").as_bytes());
}
