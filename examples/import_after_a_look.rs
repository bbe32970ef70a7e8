//! Previews an import, asks for confirmation, and runs it.
//!
//! ```sh
//! cargo run --example import_after_a_look -- traces.jsonl.gz
//! ```

use std::error::Error;
use std::path::Path;

use patchwork_traces::Bundle;
use patchwork_traces::import::{Change, ImportOptions, SystemClock, import};
use patchwork_traces::logs::Dirs;
use patchwork_traces::progress::NoProgress;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: import_after_a_look BUNDLE")?;
    let (path, dirs) = (Path::new(&path), Dirs::from_env()?);

    let look = ImportOptions::default().dry_run(true);
    let plan = import(Bundle::open(path)?, &dirs, &look, &SystemClock, &NoProgress)?.plan;
    if plan.changes_nothing() {
        println!("the logs already have every line of the bundle");
        return Ok(());
    }
    for file in plan.files.iter().filter(|file| file.change != Change::Nothing) {
        println!("{}: {} new lines, {} kept", file.path.display(), file.new.all(), file.kept.all());
    }

    println!("import? (y/n)");
    let mut reply = String::new();
    std::io::stdin().read_line(&mut reply)?;
    if reply.trim() != "y" {
        println!("nothing was changed");
        return Ok(());
    }
    let done = import(Bundle::open(path)?, &dirs, &ImportOptions::default(), &SystemClock, &NoProgress)?;
    println!("imported {} new lines", done.plan.new_lines().all());
    Ok(())
}
