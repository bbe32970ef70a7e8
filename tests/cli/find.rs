//! Finding rows: `cat` with conditions, and in other forms.

use std::fmt::Write as _;
use std::fs;

use crate::common::program::{command, run, run_with};
use crate::common::{Home, bundle};

/// A home with a bundle `b.gz` of runs, decisions and activity.
fn home() -> Home {
    let runs = [
        r#"{"taskId":"a","status":"running","createdAt":1777716000000,"steps":[{"status":"ok"}]}"#,
        r#"{"taskId":"b","status":"running","createdAt":1777716060000,"n":12345678901234567890}"#,
        r#"{"taskId":"a","status":"done","createdAt":1777716120000,"steps":[{"status":"ok"},{"status":"error"}],"ms":1.50}"#,
        r#"{"note":"=HYPERLINK(\"http:\/\/x\")","createdAt":1777716180000,"steps":[]}"#,
    ];
    let activity = [
        r#"{"timestamp":"2026-05-02T10:00:30.000Z","event":"approval_decision","metadata":{"toolName":"Bash","decision":"deny","specifier":"rm -rf \"b\""}}"#,
        r#"{"timestamp":"2026-05-02T10:01:30.000Z","event":"approval_decision","metadata":{"toolName":"Bash","decision":"allow","specifier":"ls\tx"}}"#,
    ];
    let home = Home::new().with("runs.jsonl", runs.join("\n") + "\n");
    let home = home.with_activity("activity-1.jsonl", activity.join("\n") + "\n");
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

/// Runs `cat b.gz` with the arguments, and returns what it prints.
fn shown(home: &Home, arguments: &[&str]) -> String {
    let printed = run(home.path(), &[&["cat", "b.gz"], arguments].concat());
    format!("$ cat b.gz {}  ({})\n{}{}\n", arguments.join(" "), printed.code, printed.text(), printed.stderr)
}

#[test]
fn rows_are_found_by_their_values() {
    let home = home();
    let mut all = String::new();
    for arguments in [
        &["--where", "metadata.decision=deny", "--where", "metadata.toolName=Bash", "--since", "2026-05-01"][..],
        &["--where", "steps[].status=error"],
        &["--where", "n>12345678901234567889"],
        &["--grep", "rm -rf \"b\""],
        &["--grep-regex", "(?i)APPROVAL.*ls"],
        &["--grep", "steps", "--invert", "--source", "runs"],
        &["--latest", "--source", "runs"],
        &["--latest", "--where", "status=running"],
        &["--latest", "--key", "event", "--source", "activity"],
        &["-n", "1"],
        &["--tail", "1"],
        &["--tail", "3", "--source", "runs", "--count"],
        &["--by-time", "--where", "createdAt", "--count"],
        &["--by-time", "--tail", "2"],
        &["--where", "metadata.decision=ask", "--count"],
        &["--where", "metadata.decision=ask", "--source", "activity", "--until", "today"],
    ] {
        all += &shown(&home, arguments);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn rows_are_printed_in_other_formats() {
    let home = home();
    let mut all = String::new();
    for arguments in [
        &["--format", "pretty", "--tail", "1"][..],
        &["--format", "pretty", "-n", "1", "--color", "always"],
        &["--format", "csv", "--columns", "taskId,status,n,ms,note,steps[].status,steps", "--source", "runs"],
        &["--format", "tsv", "--columns", "timestamp,metadata.specifier,metadata.decision", "--source", "activity"],
        &["--format", "envelope", "-n", "1"],
        &["--format", "csv", "--columns", "taskid,status,steps[0].x", "--source", "runs", "--tail", "2"],
        &["--format", "csv", "--columns", "nothing", "--where", "nothing"],
        &["--format", "tsv", "--columns", "status", "--count"],
    ] {
        all += &shown(&home, arguments);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn malformed_filters_are_located() {
    let home = home();
    let mut all = String::new();
    for arguments in [
        &["--where", "body..decision=deny"][..],
        &["--where", "body.my key=deny"],
        &["--where", "a=[1]"],
        &["--where", "a~x(y"],
        &["--grep-regex", "[z-a]"],
        &["--format", "csv"],
        &["--format", "xml"],
        &["--columns", "a,b"],
        &["--format", "csv", "--columns", "a,,b"],
        &["--latest", "--key", "a[]"],
        &["--key", "a"],
        &["--invert"],
        &["--head", "1", "--tail", "1"],
        &["--head", "-1"],
        &["--exact", "--where", "a=1"],
        &["--exact", "--tail", "1"],
        &["--count", "--format", "pretty"],
    ] {
        write!(all, "{}", shown(&home, arguments)).unwrap();
    }
    for name in ["query", "head", "tail"] {
        all += &run(home.path(), &[name, "b.gz"]).stderr;
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_bundle_on_a_pipe_is_read_as_often_as_needed() {
    let home = home();
    let bundle = fs::read(home.path().join("b.gz")).unwrap();
    for arguments in [&["--tail", "2"][..], &["--latest"], &["--by-time", "--latest"], &["-n", "2"]] {
        let piped = run_with(home.path(), &[&["cat", "-"], arguments].concat(), &bundle);
        let named = run(home.path(), &[&["cat", "b.gz"], arguments].concat());
        assert_eq!((piped.code, piped.text()), (0, named.text()), "{arguments:?}: {}", piped.stderr);
        assert!(!piped.stdout.is_empty());
    }
}

#[test]
fn the_first_and_last_rows_of_a_large_log_are_found_without_reading_the_rest() {
    let rows: Vec<_> =
        (0..40_000).map(|n| format!("{{\"seq\":{n},\"text\":\"{}\"}}\n", format!("{n:x} ").repeat(40))).collect();
    let home = Home::new().with("runs.jsonl", rows.concat());
    let mut bundle = bundle(&home);
    let cat = |bundle: &[u8], arguments: &[&str]| {
        fs::write(home.path().join("b.gz"), bundle).unwrap();
        run(home.path(), &[&["cat", "b.gz"], arguments].concat())
    };
    assert_eq!(cat(&bundle, &["--tail", "3"]).text(), rows[39_997..].concat());
    assert_eq!(cat(&bundle, &["--tail", "3", "--where", "seq<20000"]).text(), rows[19_997..20_000].concat());
    assert_eq!(cat(&bundle, &["--tail", "30000"]).text(), rows[10_000..].concat());
    assert_eq!(cat(&bundle, &["--tail", "30000", "--where", "seq<20000"]).text(), rows[..20_000].concat());
    assert_eq!(cat(&bundle, &["-n", "20000"]).text(), rows[..20_000].concat());
    // Damage in the middle is not reached.
    let middle = bundle.len() / 2;
    bundle[middle..middle + 100].fill(0x55);
    assert_eq!(cat(&bundle, &[]).code, 1);
    for (arguments, expected) in [(["-n", "3"], &rows[..3]), (["--tail", "3"], &rows[39_997..])] {
        let printed = cat(&bundle, &arguments);
        assert_eq!((printed.code, printed.text()), (0, expected.concat()), "{}", printed.stderr);
    }
}

#[test]
fn a_reader_that_leaves_early_is_not_an_error() {
    let home = home();
    let mut command = command(home.path(), &["cat", "b.gz", "--format", "pretty"]);
    let output = command.stdout(fs::File::create(home.path().join("out")).unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!fs::read_to_string(home.path().join("out")).unwrap().contains('\u{1b}'));
}
