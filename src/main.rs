//! The program `patchwork-traces`. Everything it prints and every exit code comes from here and `cli`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run().into()
}
