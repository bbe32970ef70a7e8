//! Lists the slowest tools. Reads the activity rows of a bundle into a custom type.
//!
//! ```sh
//! cargo run --example slowest_tools -- traces.jsonl.gz
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use patchwork_traces::{Bundle, ErrorKind};
use serde::Deserialize;

/// The keys that this program needs. Other keys are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    tool: String,
    duration_ms: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: slowest_tools BUNDLE")?;
    let mut tools = BTreeMap::<String, (u64, u64)>::new();
    let mut others = 0;

    let bundle = Bundle::open(Path::new(&path))?;
    for call in bundle.rows_of("activity")?.entries::<Call>() {
        match call {
            Ok(call) => {
                let (calls, ms) = tools.entry(call.tool).or_default();
                *calls += 1;
                *ms += call.duration_ms;
            }
            // Some rows are not tool calls. Iteration continues after such a row.
            Err(error) if matches!(error.kind(), ErrorKind::EntryType { .. }) => others += 1,
            Err(damaged) => return Err(damaged.into()),
        }
    }

    let mut slowest: Vec<_> = tools.iter().map(|(tool, (calls, ms))| (ms / calls, tool, calls)).collect();
    slowest.sort_by(|a, b| b.cmp(a));
    for (average, tool, calls) in slowest {
        println!("{tool}: {average} ms, the average of {calls}");
    }
    println!("rows that are not tool calls: {others}");
    Ok(())
}
