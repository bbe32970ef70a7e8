//! A history of ten years: 3,650 segments, one a day.
//!
//! `cargo test --release --test slow ten_years -- --ignored --nocapture` prints how long each command takes. The short form
//! has 300 segments.

use std::fs;
use std::time::Instant;

use patchwork_traces::format::Timestamp;

use crate::common::Home;
use crate::common::history_builder::HistoryBuilder;
use crate::common::program::{Run, run};

const DAY_MS: u64 = 24 * 3_600_000;

/// Runs each command on a history of `days` segments.
fn check(days: u64) {
    let home = Home::new();
    let mut history = HistoryBuilder::new(home.path().join("history"));
    history.interval_ms = DAY_MS;
    (0..days).for_each(|_| _ = history.add(2));
    history.write_checkpoint();
    let timed = |arguments: &[&str]| -> Run {
        let begun = Instant::now();
        let done = run(home.path(), arguments);
        println!("{arguments:?}: {} ms", begun.elapsed().as_millis());
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
        done
    };
    let verified = timed(&["verify", "history", "--quick", "--json"]).json();
    let verified = &verified["histories"][0];
    assert_eq!((&verified["consistent"], &verified["complete"]), (&true.into(), &true.into()), "{verified}");
    assert_eq!(timed(&["cat", "history"]).text().lines().count() as u64, 2 * days);
    let last_time = 1_777_716_000_000 + (days - 1) * DAY_MS;
    let since = Timestamp::from_millis(last_time.cast_signed() - 1_000).unwrap().to_string();
    assert_eq!(timed(&["cat", "history", "--since", &since]).text().lines().count(), 2);
    let inspected = timed(&["inspect", "history"]).text();
    assert!(inspected.contains("runs.jsonl"), "{inspected}");
    // The log as the last segment has read it, and a new row.
    let row = |row: u64| {
        let time = last_time - 2 + row;
        format!("{{\"taskId\":\"{}-{row}\",\"createdAt\":{time}}}\n", days - 1)
    };
    let last_rows = row(0) + &row(1);
    fs::write(home.dirs().patchwork.join("runs.jsonl"), last_rows + "{\"taskId\":\"new\"}\n").unwrap();
    let kept = timed(&["keep", "history", "--json"]).json();
    let segment = &kept["segments"][0];
    assert_eq!((segment["segment"].as_u64(), segment["rows"].as_u64()), (Some(days), Some(1)), "{kept}");
    assert_eq!(segment["logs"][0]["follows"]["state"], "continues", "{kept}");
    assert_eq!(timed(&["cat", "history"]).text().lines().count() as u64, 2 * days + 1);
}

#[test]
fn commands_work_on_a_history_of_months() {
    check(300);
}

#[test]
#[ignore = "takes a minute"]
fn commands_work_on_a_history_of_ten_years() {
    check(3_650);
}
