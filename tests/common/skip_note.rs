//! Notes about skipped parts of tests.

use std::io::Write;

/// Prints a note that names the calling test. It writes directly to standard error, because the test harness hides the
/// `eprintln!` output of passed tests.
pub fn skip_note(skipped: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("NOTE: {test}: {skipped}\n").as_bytes());
}

/// Prints a note about a part of a test that needs `tool`, which is missing.
///
/// Panics if the environment variable `TESTS_NEED` names the tool. `.ci/run` sets it to the tools that it found.
#[allow(dead_code)]
pub fn skip_without(tool: &str, skipped: &str) {
    let needed = std::env::var("TESTS_NEED").unwrap_or_default();
    assert!(!needed.split(' ').any(|needed| needed == tool), "{skipped}: {tool} is missing, but TESTS_NEED names it");
    skip_note(&format!("{skipped}: {tool} is missing"));
}
