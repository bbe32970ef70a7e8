//! Prints the file that an input encodes, for the targets that check whole files: `cargo run --example file_of --
//! INPUT`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let Some(input) = std::env::args().nth(1) else {
        eprintln!("usage: file_of INPUT");
        std::process::exit(2);
    };
    std::io::stdout().write_all(&patchwork_traces_fuzz::bundles::file_of(&std::fs::read(input)?))
}
