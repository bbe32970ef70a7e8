//! `filter` as a program, and what other commands say of its bundles.

use std::fs;

use crate::common::program::{run, run_with};
use crate::common::{Home, bundle};

fn home() -> Home {
    let runs = "{\"taskId\":\"a\",\"status\":\"running\",\"createdAt\":1777716000000}\ntorn {\n{\"taskId\":\"a\",\"status\":\"error\",\"createdAt\":1777716060000}\n";
    let home = Home::new().with("runs.jsonl", runs);
    let home =
        home.with_activity("activity-1.jsonl", "{\"timestamp\":\"2026-05-02T10:00:30.000Z\",\"status\":\"ok\"}\n");
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

#[test]
fn filtered_bundles_are_written_and_recognised() {
    let home = home();
    let mut all = String::new();
    for line in [
        "filter b.gz --latest --where status=error -o e.gz",
        "filter b.gz --source runs -o r.gz",
        "filter b.gz --since 2026-05-02 --until 2026-05-02 --grep 'ok' -o t.gz --json",
        "verify e.gz r.gz",
        "inspect e.gz",
        "cat e.gz",
        "import e.gz --dry-run",
        "import e.gz --mode overwrite",
        "merge e.gz r.gz -o m.gz",
        "export --since 2026-05-02T10:00:30Z -o x.gz",
        "verify x.gz",
        "filter b.gz --where status=none -o n.gz",
        "filter b.gz -o n.gz",
        "filter b.gz --source run -o n.gz",
        "filter b.gz --source runs -o b.gz --force",
        "filter b.gz --source runs -o r.gz",
        "filter nothing.gz --source runs -o n.gz",
        "select b.gz",
    ] {
        let arguments: Vec<_> = line.split(' ').map(|word| word.trim_matches('\'')).collect();
        let ran = run(home.path(), &arguments);
        all += &format!("$ {line}  ({})\n{}{}\n", ran.code, ran.text(), ran.stderr);
        if line.ends_with("--json") {
            crate::json_output::expect_valid("filter", &ran.json());
        }
    }
    assert!(!home.path().join("n.gz").exists());
    let all = all.replace(&home.path().display().to_string(), "[HOME]");
    insta::with_settings!({filters => vec![("[0-9a-f]{64}", "[DIGEST]"), (r"\d[\d,.]* (B|KiB)", "[SIZE]"), (r#""bundleBytes": \d+"#, r#""bundleBytes": [SIZE]"#)]}, {
        insta::assert_snapshot!(all);
    });
}

#[test]
fn bundles_go_through_pipes() {
    let home = home();
    let bundle = fs::read(home.path().join("b.gz")).unwrap();
    let filtered = run_with(home.path(), &["filter", "-", "--latest", "--source", "runs", "-o", "-"], &bundle);
    assert_eq!(filtered.code, 0, "{}", filtered.stderr);
    let printed = run_with(home.path(), &["cat", "-"], &filtered.stdout);
    assert_eq!(printed.text(), "{\"taskId\":\"a\",\"status\":\"error\",\"createdAt\":1777716060000}\n");
}

#[test]
fn bundles_made_from_a_filtered_one_do_not_overwrite_whole_logs() {
    let home = home();
    let log = home.dirs().patchwork.join("runs.jsonl");
    let before = fs::read(&log).unwrap();
    for line in [
        "filter b.gz --where status=error -o f.gz",
        "filter f.gz --source runs -o g.gz",
        "merge f.gz -o h.gz",
        "recover f.gz -o i.gz",
        "filter f.gz --where taskId=a -o j.gz",
    ] {
        assert_eq!(run(home.path(), &line.split(' ').collect::<Vec<_>>()).code, 0, "{line}");
    }
    for name in ["f.gz", "g.gz", "h.gz", "i.gz", "j.gz"] {
        let refused = run(home.path(), &["import", name, "--mode", "overwrite"]);
        assert_eq!(refused.code, 1, "{name}: {}", refused.text());
        assert_eq!(fs::read(&log).unwrap(), before, "{name}");
    }
    let both = run(home.path(), &["inspect", "j.gz", "--json"]).text();
    assert!(both.contains("--where status=error") && both.contains("--where taskId=a"), "{both}");
}

#[test]
fn no_command_writes_into_a_history() {
    let home = home();
    assert_eq!(run(home.path(), &["keep", "h", "--quiet"]).code, 0);
    let checkpoint = fs::read(home.path().join("h/checkpoint")).unwrap();
    for command in ["filter --source runs", "redact", "merge", "recover", "report"] {
        for output in ["h/checkpoint", "h/segments/new", "h/new/deep/x"] {
            let mut arguments: Vec<_> = command.split(' ').collect();
            arguments.extend(["h", "-f", "--create-dirs", "-o", output]);
            let refused = run(home.path(), &arguments);
            assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.stderr);
            assert!(refused.stderr.contains("in the directory h, which is read"), "{}", refused.stderr);
        }
    }
    for output in ["h/checkpoint", "h/segments/new", "h/new.gz"] {
        let refused = run(home.path(), &["export", "-f", "-o", output]);
        assert_eq!(refused.code, 2, "{output}: {}", refused.stderr);
        assert!(refused.stderr.contains("-o names a file in the history"), "{}", refused.stderr);
    }
    assert_eq!(fs::read(home.path().join("h/checkpoint")).unwrap(), checkpoint);
    assert!(!home.path().join("h/new.gz").exists());
    assert!(!home.path().join("h/new").exists() && !home.path().join("h/segments/new").exists());
}
