//! Where a shell finds the program.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Makes a directory below `dir` that has the program and nothing else. What cargo puts beside it may be called as a tool
/// of the system is.
pub fn program_alone(program: &Path, dir: &Path) -> PathBuf {
    let alone = dir.join("bin");
    std::fs::create_dir(&alone).unwrap();
    symlink(program, alone.join(program.file_name().unwrap())).unwrap();
    alone
}
