//! `diff` and `merge` as programs.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::common::program::{command, run, run_with};
use crate::common::segments::tricky_history;
use crate::common::{Home, bundle};

/// A directory with the bundles `a.gz` and `b.gz`, and logs that are those of `b.gz`.
fn home() -> Home {
    let a = Home::new().with("runs.jsonl", "{\"r\":1}\n{\"r\":2}\ntorn {\n");
    let b = Home::new().with("runs.jsonl", "{\"r\":2}\n{\"r\":3}\n").with("decision_traces.jsonl", "{\"d\":1}\n");
    fs::write(b.path().join("a.gz"), bundle(&a)).unwrap();
    fs::write(b.path().join("b.gz"), bundle(&b)).unwrap();
    b
}

#[test]
fn differences_are_counted_and_listed() {
    let home = home();
    let mut shown = String::new();
    for arguments in [
        &["a.gz", "b.gz"][..],
        &["a.gz", "b.gz", "--rows"],
        &["b.gz", "--here"],
        &["b.gz", "--here", "--rows"],
        &["a.gz", "--here", "--source", "runs", "--rows"],
    ] {
        let run = run(home.path(), &[&["diff"], arguments].concat());
        shown += &format!("$ diff {}  ({})\n{}{}\n", arguments.join(" "), run.code, run.text(), run.stderr);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn the_exit_code_is_the_verdict() {
    let home = home();
    let code = |arguments: &[&str]| run(home.path(), &[&["diff"], arguments].concat()).code;
    assert_eq!(code(&["b.gz", "--here", "--quiet"]), 0);
    assert_eq!(code(&["a.gz", "b.gz", "--quiet"]), 3);
    assert_eq!(code(&["a.gz", "missing.gz"]), 1);
    assert_eq!(code(&["a.gz"]), 2);
    assert_eq!(code(&["a.gz", "b.gz", "--here"]), 2);
    assert_eq!(code(&["-", "-"]), 2);
    let piped = run_with(home.path(), &["diff", "-", "b.gz"], &fs::read(home.path().join("b.gz")).unwrap());
    assert_eq!(piped.code, 0, "{}", piped.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_rows_does_not_change_the_verdict() {
    let rows: String = (0..50_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let home = Home::new().with("runs.jsonl", rows);
    fs::write(home.path().join("all.gz"), bundle(&home)).unwrap();
    fs::write(home.path().join("none.gz"), bundle(&Home::new())).unwrap();
    let mut diff = command(home.path(), &["diff", "all.gz", "none.gz", "--rows"]);
    let mut child = diff.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 100]).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn merge_reports_what_it_read_and_wrote() {
    let home = home();
    fs::copy(home.path().join("a.gz"), home.path().join("again.gz")).unwrap();
    let mut shown = String::new();
    for arguments in [
        &["a.gz", "b.gz", "again.gz", "-o", "all.gz", "--label", "laptop"][..],
        &["a.gz", "b.gz", "-o", "all.gz"],
        &["a.gz", "b.gz", "-fo", "a.gz"],
        &["a.gz", "missing.gz", "-o", "new.gz"],
        &["a.gz", "-o", "new.gz", "--label", "two\nlines"],
        &["a.gz", "-o", "new.gz", "--source", "run"],
        &["-", "-", "-o", "new.gz"],
        &["."],
        &[".", "-o", "new.gz"],
    ] {
        let run = run(home.path(), &[&["merge"], arguments].concat());
        shown += &format!("$ merge {}  ({})\n{}{}\n", arguments.join(" "), run.code, run.text(), run.stderr);
    }
    insta::assert_snapshot!(shown);
    assert!(!home.path().join("new.gz").exists());
    let verified = run(home.path(), &["verify", "all.gz"]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
}

#[test]
fn merge_reads_standard_input_and_writes_standard_output() {
    let home = home();
    let a = fs::read(home.path().join("a.gz")).unwrap();
    let merged = run_with(home.path(), &["merge", "-", "b.gz", "-o", "-"], &a);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    fs::write(home.path().join("piped.gz"), &merged.stdout).unwrap();
    assert_eq!(run(home.path(), &["merge", "b.gz", "a.gz", "-o", "named.gz"]).code, 0);
    assert_eq!(fs::read(home.path().join("named.gz")).unwrap(), merged.stdout);
}

#[test]
fn import_says_what_it_imported_from() {
    let home = home();
    tricky_history(home.path());
    let mut shown = String::new();
    for arguments in [
        &["a.gz", "b.gz", "--dry-run"][..],
        &["trace-history", "--dry-run"],
        &["a.gz", "b.gz", "trace-history"],
        &["a.gz", "b.gz", "trace-history"],
        &["a.gz", "."],
    ] {
        let run = run(home.path(), &[&["import"], arguments].concat());
        shown += &format!("$ import {}  ({})\n{}{}\n", arguments.join(" "), run.code, run.text(), run.stderr);
    }
    insta::assert_snapshot!(shown);
}
