//! A search path for shells that run the program.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Creates a directory below `dir` that has only the program. Files that cargo puts beside it may have the names of system
/// tools.
pub fn program_alone(program: &Path, dir: &Path) -> PathBuf {
    let alone = dir.join("bin");
    std::fs::create_dir(&alone).unwrap();
    symlink(program, alone.join(program.file_name().unwrap())).unwrap();
    alone
}
