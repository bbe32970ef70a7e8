//! What programs need to have their coverage measured, where everything else is taken from their environment.

use std::ffi::OsString;

/// The variable that says where a program writes what of it was run; nothing where coverage is not measured.
pub fn environment() -> Option<(&'static str, OsString)> {
    let name = "LLVM_PROFILE_FILE";
    std::env::var_os(name).map(|place| (name, place))
}
