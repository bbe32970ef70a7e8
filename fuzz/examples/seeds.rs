//! Writes the inputs that are derived from the project's fixtures: `cargo run --example seeds -- TARGET DIRECTORY`.

use std::fs;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(dir)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        eprintln!("usage: seeds TARGET DIRECTORY");
        std::process::exit(2);
    };
    fs::create_dir_all(&dir)?;
    let seeds = patchwork_traces_fuzz::seeds::seeds(&target);
    seeds.iter().zip(0..).try_for_each(|(seed, number)| fs::write(dir.join(format!("seed-{number:03}")), seed))
}
