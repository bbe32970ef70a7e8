//! The program `patchwork-traces`. All of its output and exit codes come from `cli`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run().into()
}
