//! The program's output: widths, alphabets, colours, time zones, usage errors, help and completions.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use crate::common::program::{Run, command, run};
#[cfg(target_os = "linux")]
use crate::common::search_path::program_alone;
#[cfg(unix)]
use crate::common::skip_note::skip_note;
use crate::common::{Home, bundle};

/// Every command.
pub const COMMANDS: &[&str] = &[
    "export",
    "import",
    "verify",
    "inspect",
    "cat",
    #[cfg(feature = "report")]
    "report",
    "recover",
    "merge",
    "filter",
    "keep",
    "diff",
    "scan",
    "redact",
    "prove",
    #[cfg(feature = "seal")]
    "sign",
    "status",
    "demo",
    "schema",
    "completions",
    "man",
];

/// A home with logs of all sources over some weeks, and its bundle `b.gz`.
fn home() -> Home {
    let times = |from: i64, step: i64, rows: i64| (0..rows).map(move |row| from + row * step * 60_000);
    let start = 1_774_828_800_000;
    let runs: String = times(start, 61, 900).map(|time| format!("{{\"createdAt\":{time}}}\n")).collect();
    let links: String = times(start, 1440, 20).map(|time| format!("{{\"createdAt\":{time}}}\n")).collect();
    let home = Home::new().with("runs.jsonl", runs).with("commit_issue_links.jsonl", links + "torn\n");
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

fn run_with(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    command(home.path(), arguments).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap().into()
}

fn inspect(home: &Home, variables: &[(&str, &str)]) -> String {
    let shown = run_with(home, &["inspect", "b.gz"], variables);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    shown.text()
}

#[test]
fn tables_and_charts_fit_the_width_and_use_it() {
    let home = home();
    let mut shown = String::new();
    for columns in ["60", "80", "100", "140"] {
        let text = inspect(&home, &[("COLUMNS", columns)]);
        let table = format!("{}\n{}", text.split("\n\n").nth(1).unwrap(), text.split_once("Rows per").unwrap().1);
        let widest = table.lines().map(|line| line.chars().count()).max().unwrap();
        let columns: usize = columns.parse().unwrap();
        assert!(widest <= columns && widest * 3 > columns * 2, "{widest} of {columns}:\n{table}");
        write!(shown, "## {columns}\n{text}\n").unwrap();
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn output_is_ascii_without_a_utf_8_locale() {
    let home = home();
    for variables in [&[("LANG", "C")][..], &[("LANG", "de_DE.UTF-8"), ("LC_ALL", "POSIX")], &[("LANG", "")]] {
        let text = inspect(&home, variables);
        assert!(text.is_ascii(), "{variables:?}\n{text}");
    }
    assert!(!inspect(&home, &[("LANG", "C"), ("LC_CTYPE", "de_DE.utf8")]).is_ascii());
    insta::assert_snapshot!(inspect(&home, &[("LANG", "C")]));
    let wrong = home.path().join("w\u{1b}[31m.gz");
    fs::write(&wrong, "").unwrap();
    let failed = run_with(&home, &["inspect", wrong.to_str().unwrap()], &[("LANG", "C")]);
    assert!(failed.stderr.contains("w\\u{1b}[31m.gz") && failed.stderr.is_ascii(), "{}", failed.stderr);
}

#[test]
fn colour_is_printed_only_if_wanted() {
    let home = home();
    let has_color = |arguments: &[&str], variables: &[(&str, &str)]| {
        let shown = run_with(&home, arguments, variables);
        (shown.text() + &shown.stderr).contains('\u{1b}')
    };
    let force = ("CLICOLOR_FORCE", "1");
    for arguments in [&["inspect", "b.gz"][..], &["verify", "b.gz"], &["verify", "no.gz"], &["--help"], &["cta"]] {
        assert!(!has_color(arguments, &[]), "{arguments:?}");
        assert!(has_color(arguments, &[force]), "{arguments:?}");
        assert!(!has_color(arguments, &[force, ("NO_COLOR", "1")]), "{arguments:?}");
        assert!(has_color(&[arguments, &["--color", "always"]].concat(), &[]), "{arguments:?}");
        assert!(!has_color(&[arguments, &["--color=never"]].concat(), &[force]), "{arguments:?}");
    }
    assert!(!has_color(&["inspect", "b.gz", "--json"], &[force]));
}

#[test]
fn times_are_in_the_time_zone_and_name_it() {
    let home = home();
    let logs = "{\"timestamp\":\"2026-03-28T23:30:00Z\"}\n{\"timestamp\":\"2026-03-29T03:00:00Z\"}\n";
    let home = home.with_activity("activity-1.jsonl", logs);
    assert_eq!(run(home.path(), &["export", "-fo", "b.gz", "--source", "activity"]).code, 0);
    let berlin = [("TZ", "Europe/Berlin"), ("COLUMNS", "100")];
    insta::assert_snapshot!(inspect(&home, &berlin));
    assert!(inspect(&home, &[("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")]).contains("CEST"));
    let json = |variables: &[(&str, &str)]| run_with(&home, &["inspect", "b.gz", "--json"], variables).text();
    assert_eq!(json(&berlin), json(&[]));
    assert!(json(&berlin).contains("\"2026-03-28T23:30:00.000Z\""));
    // A date is the day of the zone: the first row is from half past midnight in Berlin.
    let rows = |arguments: &[&str], zone: &str| {
        let printed = run_with(&home, &[&["cat", "b.gz"], arguments].concat(), &[("TZ", zone)]);
        printed.text().lines().count()
    };
    assert_eq!(rows(&["--since", "2026-03-29"], "UTC"), 1);
    assert_eq!(rows(&["--since", "2026-03-29"], "Europe/Berlin"), 2);
    assert_eq!(rows(&["--until", "2026-03-28"], "Europe/Berlin"), 0);
    assert_eq!(rows(&["--since", "2026-03-29 00:31"], "Europe/Berlin"), 1);
    assert_eq!(rows(&["--since", "2026-03-28T23:31:00Z"], "Europe/Berlin"), 1);
    assert_eq!(rows(&["--until", "2026-03-29T01:00:00+01:00"], "America/New_York"), 1);
}

#[test]
fn quiet_prints_only_results_and_errors() {
    let home = home().with("other.jsonl", "{}\n");
    for (arguments, code) in [
        (&["export", "-q", "-fo", "q.gz"][..], 0),
        (&["verify", "--quiet", "b.gz"], 0),
        (&["import", "-q", "b.gz"], 0),
        (&["recover", "-q", "b.gz", "-fo", "r.gz"], 0),
        (&["export", "-q", "-o", "b.gz"], 1),
    ] {
        let done = run(home.path(), arguments);
        assert_eq!((done.code, done.text().as_str(), done.stderr.is_empty()), (code, "", code == 0), "{arguments:?}");
    }
    let bytes = fs::read(home.path().join("b.gz")).unwrap();
    fs::write(home.path().join("cut.gz"), &bytes[..bytes.len() / 2]).unwrap();
    let damaged = run(home.path(), &["verify", "-q", "b.gz", "cut.gz"]);
    assert_eq!((damaged.code, damaged.text().contains("b.gz: intact")), (3, false));
    assert!(damaged.text().contains("cut.gz: damaged"));
    assert_eq!(inspect(&home, &[]), run(home.path(), &["inspect", "-q", "b.gz"]).text());
    assert!(run(home.path(), &["export", "-q", "--json", "-fo", "q.gz"]).json()["notes"][0].is_string());
}

#[test]
fn every_usage_error_says_what_is_wrong_and_what_to_do() {
    let home = home();
    let mut shown = String::new();
    for line in [
        "exprot",
        "frobnicate",
        "restore b.gz",
        "cat b.gz --sorce runs",
        "cat b.gz --nope",
        "cat b.gz c.gz",
        "cat",
        "cat b.gz --since",
        "cat b.gz --since tomorrow",
        "cat b.gz --since=",
        "cat b.gz --until 2026-02-30",
        "export --level 10",
        "export --level high",
        "export --threads 0",
        "export --json --json",
        "export -o a -o b",
        "export -o -",
        "import b.gz --mode merg",
        "import b.gz --mode replace",
        "import --dry-run",
        "verify",
        "verify b.gz --expect abc",
        "verify b.gz c.gz --expect 0000000000000000000000000000000000000000000000000000000000000000",
        "recover b.gz",
        "recover b.gz -o -",
        "recover b.gz -fo b.gz",
        "schema expot",
        "schema",
        "completions basch",
        "man dog",
        "man vrify",
        "inspect b.gz --color sometimes",
        "cat b.gz --source run",
        "cat b.gz --file run.jsonl",
        "cat b.gz --source metrics",
        "export -o c.gz --source activty",
        "inspect bb.gz",
        "inspect nowhere/b.gz",
    ] {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let text = run(home.path(), &arguments);
        if line.ends_with("-o -") && text.code == 0 {
            continue;
        }
        assert!(text.code == 1 || text.code == 2, "{line}: {text:?}");
        assert_eq!(text.stdout.len(), 0, "{line}");
        write!(shown, "$ {line}  ({})\n{}\n", text.code, text.stderr).unwrap();
        let json = run(home.path(), &[&arguments[..], &["--json"]].concat());
        if line.contains("--json") {
            continue;
        }
        assert_eq!(json.code, text.code, "{line}");
        let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(text.stderr.contains(message), "{line}: {message}");
        assert_eq!(error["error"]["kind"] == "usage", text.code == 2, "{line}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn short_help_fits_a_screen_and_long_help_has_valid_examples() {
    let home = home();
    let help = |arguments: &[&str]| {
        let help = run_with(&home, arguments, &[("COLUMNS", "80")]);
        assert_eq!((help.code, help.stderr.as_str()), (0, ""));
        help.text()
    };
    let mut shown = help(&["-h"]);
    assert!(shown.lines().count() < 36, "{shown}");
    let listed = shown.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let listed: BTreeSet<_> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(
        COMMANDS.iter().all(|command| listed.contains(command)) && listed.len() == COMMANDS.len() + 1,
        "{listed:?}"
    );
    for command in COMMANDS {
        let short = help(&[command, "-h"]);
        let widest = short.lines().map(str::len).max().unwrap();
        assert!(short.lines().count() < 24 && widest <= 80, "{short}");
        let wide = run_with(&home, &[command, "--help"], &[("COLUMNS", "200")]).text();
        let below = wide.split_once("Examples:\n").unwrap().1;
        let examples: Vec<_> = below.lines().take_while(|line| line.is_empty() || line.starts_with(' ')).collect();
        // Each is one line of purpose and one line of command, which also fits a manual page.
        assert!(examples.iter().all(|line| line.chars().count() <= 75), "{examples:?}");
        assert!(examples.split(|line| line.is_empty()).all(|example| example.len() <= 2), "{examples:?}");
        assert!(examples.iter().any(|line| line.contains("patchwork-traces ")), "{command}");
        write!(shown, "\n{}\n{short}", "=".repeat(80)).unwrap();
    }
    insta::assert_snapshot!(shown);
    insta::assert_snapshot!("long_help_of_cat", help(&["cat", "--help"]));
}

/// Returns the completions of the last word of a command line, one per line.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let index = words.len().to_string();
    let line = [&["--", "patchwork-traces"], words].concat();
    let variables = [("PATCHWORK_TRACES_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", &index), ("_CLAP_IFS", "\n")];
    let answer = run_with(home, &line, &variables);
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""));
    answer.text().lines().map(str::to_owned).collect()
}

#[test]
fn completions_offer_sources_and_files_of_the_bundle() {
    let home = home();
    assert_eq!(offered(&home, &["ver"]), ["verify"]);
    assert_eq!(offered(&home, &["cat", "b.gz", "--source", ""]), ["commit_issue_links", "runs"]);
    assert_eq!(offered(&home, &["cat", "b.gz", "--source", "r"]), ["runs"]);
    assert_eq!(offered(&home, &["import", "b.gz", "--source", "c"]), ["commit_issue_links"]);
    assert_eq!(offered(&home, &["cat", "b.gz", "--file", ""]), ["runs.jsonl", "commit_issue_links.jsonl"]);
    assert_eq!(offered(&home, &["export", "--source", "d"]), ["decision_traces"]);
    assert_eq!(offered(&home, &["import", "b.gz", "--mode", "o"]), ["overwrite"]);
    assert!(offered(&home, &["cat", "b"]).contains(&"b.gz".to_owned()));
    // Where nothing can be offered, nothing is said.
    assert!(offered(&home, &["cat", "nothing.gz", "--file", ""]).is_empty());
}

#[cfg(unix)]
#[test]
fn bash_accepts_the_completion_script() {
    let home = home();
    if Command::new("bash").arg("--version").output().is_err() {
        return skip_note("not run: there is no bash here");
    }
    let program = env!("CARGO_BIN_EXE_patchwork-traces");
    for flags in ["", "--static"] {
        let script = format!("eval \"$({program} completions bash {flags})\" && complete -p patchwork-traces");
        let done = Command::new("bash").args(["--norc", "-c", &script]).current_dir(home.path()).output().unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success() && text.contains("patchwork"), "{text}");
    }
}

/// Runs a shell command whose standard error and output are a terminal, and gives what came there.
#[cfg(target_os = "linux")]
fn on_a_terminal(home: &Home, script: &str) -> Option<String> {
    let tools = tempfile::tempdir().unwrap();
    let bin = program_alone(env!("CARGO_BIN_EXE_patchwork-traces").as_ref(), tools.path());
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", script, "/dev/null"]).current_dir(home.path());
    terminal.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    terminal.envs([
        ("HOME", home.path().to_str().unwrap()),
        ("TERM", "xterm"),
        ("LANG", "C.UTF-8"),
        ("SHELL", "/bin/sh"),
    ]);
    let Ok(output) = terminal.stdin(Stdio::null()).output() else {
        skip_note("left out: there is no `script` here to make a terminal");
        return None;
    };
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    Some(shown)
}

#[cfg(target_os = "linux")]
#[test]
fn long_commands_show_a_progress_bar_on_a_terminal_and_erase_it() {
    let home = home();
    // The second half comes late.
    let slowly = "{ head -c 2000 b.gz; sleep 2; tail -c +2001 b.gz; }";
    let verify =
        |options: &str| on_a_terminal(&home, &format!("{slowly} | patchwork-traces verify - --color never {options}"));
    let Some(shown) = verify("") else { return };
    let (bar, rest) = shown.rsplit_once("\u{1b}[2K").unwrap_or_else(|| panic!("there is no bar: {shown:?}"));
    assert!(bar.contains("reading") && bar.contains("/s"), "{bar:?}");
    assert!(rest.contains("intact: 920 rows") && !rest.contains("reading"), "{rest:?}");
    let calm = verify("--quiet").unwrap() + &verify("2> /dev/null").unwrap();
    assert!(!calm.contains("reading"), "{calm:?}");
}
