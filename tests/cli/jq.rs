//! `cat --jq`: filters in the language of jq.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::program::{command, run};
use crate::common::skip_note::skip_without;
use crate::common::{Home, bundle, indexed};
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::progress::NoProgress;
use serde_json::Value;

/// A home with `b.gz`: rows whose texts a program that reads and writes JSON changes, and one that is not a row.
fn home() -> Home {
    let runs = [
        r#"{"taskId":"a","n":12345678901234567890,"steps":[{"status":"ok","ms":1.50},{"status":"error","ms":1e3}]}"#,
        r#"{"taskId":"a","n":1.0,"n":-0,"text":"caf\u00e9 \/ \"x\"\n","10":1,"9":2}"#,
        "torn",
        r#"{ "taskId" : "b" , "n" : 1e400, "steps" : [ ] }"#,
        "[1,2]",
    ];
    let home = Home::new().with("runs.jsonl", runs.join("\r\n") + "\r\n");
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

fn shown(home: &Home, arguments: &[&str]) -> String {
    let printed = run(home.path(), &[&["cat", "b.gz"], arguments].concat());
    let text = printed.text().replace('\r', "<CR>");
    format!("$ cat b.gz {}  ({})\n{text}{}\n", arguments.join(" "), printed.code, printed.stderr)
}

#[test]
fn values_are_printed_with_their_texts() {
    let home = home();
    let mut all = String::new();
    for arguments in [
        &["--jq", "."][..],
        &["--jq", "select(type == \"object\" and .taskId == \"b\")"],
        &["--jq", "objects | .n, .steps[]?.ms, .text"],
        &["--jq", "objects | {taskId, kept: [.n, (.steps // [])[1]]}"],
        &["--jq", "objects | .n + 1, -.n | select(. < 1e300)", "-n", "3"],
        &["--jq", "objects | .text | strings", "--raw-output"],
        &["--jq", "objects | .steps[]?", "--count"],
        &["--jq", "objects | .steps[]?.status", "-n", "1"],
        &["--jq", "objects | .steps[]?.status", "--tail", "1"],
        &["--jq", ".n", "--where", "taskId=a", "--by-time"],
        &["--jq", "empty"],
        &["--jq", ".[0]", "--where", "!taskId", "--json"],
    ] {
        all += &shown(&home, arguments);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_filter_that_fails_names_the_lines_and_the_other_rows_follow() {
    let home = home();
    let mut all = String::new();
    for arguments in [
        &["--jq", ".taskId, .steps[0].ms"][..],
        &["--jq", ".taskId", "--by-time"],
        &["--jq", ".taskId", "-n", "3"],
        &["--jq", ".taskId", "-n", "4"],
        &["--jq", "error(\"no \\u001b[31m good\")", "--count", "--json"],
        &["--jq", ".steps["],
        &["--jq", ".a | nothing(.b; 1)"],
        &["--jq", ".a ~ 1"],
        &["--jq", "$ENV.HOME"],
        &["--jq", "env"],
        &["--jq", "input"],
        &["--jq", "halt"],
        &["--jq", "include \"x\"; ."],
        &["--jq", "import \"/etc/passwd\" as $x; $x"],
        &["--jq", ""],
        &["--jq", ".", "--format", "csv"],
        &["--raw-output"],
        &["--jq", ".", "--exact"],
    ] {
        all += &shown(&home, arguments);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn endless_output_ends_with_the_pipe_or_the_number_of_lines() {
    let home = home();
    let arguments = ["cat", "b.gz", "--jq", "range(1e15)"];
    let mut child = command(home.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.by_ref().take(3).map(Result::unwrap).collect::<Vec<_>>(), ["0", "1", "2"]);
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().contains("error")), (Some(0), false));
    for by_time in [&[][..], &["--by-time"]] {
        let limited = run(home.path(), &[&arguments[..], &["-n", "1500000", "--count"], by_time].concat());
        assert_eq!((limited.code, limited.text().as_str()), (0, "1500000\n"), "{}", limited.stderr);
    }
}

#[test]
fn all_rows_of_a_long_log_are_filtered_in_order() {
    let rows: String = (0..60_000).map(|n| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(40))).collect();
    let home = Home::new().with("runs.jsonl", rows);
    let bytes = bundle(&home);
    let filter: patchwork_traces::query::JqFilter = ".n, (select(.n % 1000 == 7) | range(3000) | -.)".parse().unwrap();
    let lines = |options: CatOptions| {
        let mut out = Vec::new();
        let report = cat(indexed(&bytes).unwrap(), &options.jq(filter.clone()), &mut out, "memory", &NoProgress);
        let rows: u64 = report.unwrap().rows();
        let lines = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines.len() as u64, rows);
        lines
    };
    let more = |n: i64| if n % 1000 == 7 { 3000 } else { 0 };
    let expected: Vec<_> = (0..60_000)
        .flat_map(|n: i64| std::iter::once(n).chain((0..more(n)).map(|n| -n)))
        .map(|n| n.to_string())
        .collect();
    let all = lines(CatOptions::default());
    assert!(all == expected, "{} lines of {}", all.len(), expected.len());
    assert!(lines(CatOptions::default().tail(5000)) == expected[expected.len() - 5000..]);
    assert!(lines(CatOptions::default().head(5000)) == expected[..5000]);
}

/// Filters that jq 1.6 and 1.7 answer like jaq.
const SAME_AS_JQ: &[&str] = &[
    ".",
    ".taskId",
    ".metadata.decision",
    ".tags[]?",
    ".tags[0]",
    ".steps[]?.status",
    "select(.status == \"error\")",
    "select(.durationMs > 1000) | .durationMs",
    "select(has(\"metadata\"))",
    "select(.tool | IN(\"Bash\", \"Glob\"))",
    "keys",
    "keys_unsorted",
    "length",
    "to_entries[] | .key",
    "with_entries(select(.value | type == \"number\"))",
    "map_values(type)",
    "del(.createdAt, .timestamp)",
    "{kind, tool, status}",
    "{(.status // \"none\"): .durationMs}",
    "[.[] | strings] | sort | join(\",\")",
    "[paths] | length",
    "[.seq, .durationMs | numbers] | add",
    "[.. | strings | length] | max",
    ".createdAt // .timestamp",
    "if .status == \"error\" then \"bad\" elif .status then .status else null end",
    ".durationMs as $ms | if $ms then $ms / 1000 | floor else empty end",
    "(.createdAt // 0) / 1000 | floor | todate",
    "(.timestamp // \"2026-05-02T10:00:00.000Z\") | sub(\"\\\\.[0-9]+\"; \"\") | fromdate",
    ".sessionId // \"\" | split(\"-\") | .[0]",
    ".recipeName // \"\" | test(\"brief\")",
    ".recipeName // \"\" | ascii_upcase | ltrimstr(\"MORNING-\")",
    ".recipeName // \"x\" | explode | reverse | implode",
    ".outputTail // \"\" | [scan(\"[0-9]+\")] | map(tonumber)",
    ".subject // \"\" | capture(\"(?<type>[a-z]+): (?<rest>.*)\")?",
    ".sha // \"\" | .[0:8]",
    "reduce (.tags // [])[] as $tag (0; . + ($tag | length))",
    "[limit(2; .[])] | length",
    "[foreach (.tags // [])[] as $tag (0; . + 1)] | last",
    "try error(\"x\") catch .",
    "[.[] | tojson | fromjson] | length",
    ".tags // [] | group_by(length) | map(length)",
    ".tags // [] | unique | contains([\"import\"])",
    ".tags // [] | any(. == \"logs\"), all(. == \"logs\")",
    ".status |= (. // \"none\" | ascii_upcase)",
    "leaf_paths",
    "INDEX(.tags[]?; length)",
    "IN(.status; \"error\", \"done\")",
    ".durationMs += 1 | .durationMs",
    "[.seq, .durationMs] | @csv",
    "[.seq, .status] | @tsv",
    "\"\\(.seq): \\(.status)\" | @base64 | @base64d",
    "def f(x): x * 2; .seq // 1 | f(.)",
    "[range(0; 10; 3)] | index(6)",
    "[\"a\\\"b\\t\\\\\\n\", null, true, 1] | @csv, @tsv, @json, @html, @uri, @sh, @text",
];

#[test]
fn filters_give_what_jq_gives() {
    if !Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return skip_without("jq", "filters are not compared with those of jq");
    }
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sample-logs");
    let home = Home::new();
    let (patchwork, activity) = (samples.join("patchwork"), samples.join("ide"));
    let dirs = ["--patchwork-dir", patchwork.to_str().unwrap(), "--activity-dir", activity.to_str().unwrap()];
    assert_eq!(run(home.path(), &[&["export", "-o", "b.gz"][..], &dirs].concat()).code, 0);
    let rows = run(home.path(), &["cat", "b.gz"]).stdout;
    for filter in SAME_AS_JQ {
        let ours = run(home.path(), &["cat", "b.gz", "--quiet", "--jq", filter]);
        let theirs = jq(filter, &rows);
        let differing = ours.text().lines().map(value).zip(theirs.lines().map(value)).find(|(a, b)| a != b);
        assert_eq!(differing, None, "{filter}");
        assert_eq!((ours.code, ours.text().lines().count()), (0, theirs.lines().count()), "{filter}: {}", ours.stderr);
    }
}

/// Returns what jq makes of rows.
fn jq(filter: &str, rows: &[u8]) -> String {
    let mut child =
        Command::new("jq").args(["-c", filter]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut text = String::new();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(rows));
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    });
    assert!(child.wait().unwrap().success(), "jq: {filter}");
    text
}

/// Returns the value of a line, with numbers as jq rounds them.
fn value(line: &str) -> Value {
    fn rounded(value: Value) -> Value {
        match value {
            Value::Number(number) => number.as_f64().into(),
            Value::Array(values) => values.into_iter().map(rounded).collect(),
            Value::Object(members) => members.into_iter().map(|(key, value)| (key, rounded(value))).collect(),
            other => other,
        }
    }
    rounded(serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
}
