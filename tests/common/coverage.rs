//! The environment variable that programs need for measuring coverage, as tests clear all others.

use std::ffi::OsString;

/// Returns the variable with the path of a program's coverage profile, or `None` if coverage is not measured.
pub fn environment() -> Option<(&'static str, OsString)> {
    let name = "LLVM_PROFILE_FILE";
    std::env::var_os(name).map(|place| (name, place))
}
