//! `inspect` and the smaller commands, as their users see them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::program::{run, run_with};
use crate::common::{Home, bundle};
use patchwork_traces::format::Manifest;
use patchwork_traces::inspect::Timetable;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn inspect(home: &Home, arguments: &[&str]) -> String {
    let printed = run(home.path(), &[&["inspect", "b.gz"], arguments].concat());
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    printed.text() + &printed.stderr
}

fn home_with_bundle(home: Home) -> Home {
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

fn home_with_unusual_logs() -> Home {
    let row = |minute: i64| format!("{{\"createdAt\":{}}}\n", 1_777_716_000_000 + minute * 60_000);
    let runs: String = (0..300).map(|i| row(i * i / 10)).collect();
    let torn = format!("{}torn\n\n{}{{\"no\":\"time\"}}\nalso torn", row(0), row(5));
    home_with_bundle(
        Home::new().with("runs.jsonl", runs).with("decision_traces.jsonl", torn).with("commit_issue_links.jsonl", ""),
    )
}

#[test]
fn summary_shows_every_source() {
    insta::assert_snapshot!(inspect(&home_with_unusual_logs(), &[]));
}

#[test]
fn json_has_every_field() {
    insta::assert_snapshot!(inspect(&home_with_unusual_logs(), &["--json"]));
}

#[test]
fn outlying_timestamp_does_not_hide_the_others() {
    let runs: String =
        (0..1000).map(|i| format!("{{\"createdAt\":{}}}\n", 1_777_716_000_000_i64 + i * 3_600_000)).collect();
    let home = home_with_bundle(Home::new().with("runs.jsonl", format!("{{\"createdAt\":0}}\n{runs}")));
    insta::assert_snapshot!(inspect(&home, &[]));
}

#[test]
fn bundles_of_1_0_show_their_fields() {
    let home = tempfile::tempdir().unwrap();
    let mut shown = String::new();
    for name in ["plain", "odd", "empty"] {
        let input = fs::read(fixture("legacy").join(format!("{name}.v1.0.jsonl.gz"))).unwrap();
        let printed = run_with(home.path(), &["inspect", "-"], &input);
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
        shown += &printed.text();
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn only_the_manifest_is_read() {
    let home = home_with_bundle(Home::new().with("runs.jsonl", "{\"seq\":1}\n".repeat(300_000)));
    let mut bytes = fs::read(home.path().join("b.gz")).unwrap();
    let full_json = inspect(&home, &["--json"]);
    // Rows that are not read can be damaged without being noticed: only the tail is looked at, to find the table's fit.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 100].fill(0);
    fs::write(home.path().join("b.gz"), &bytes).unwrap();
    assert_eq!(inspect(&home, &["--json"]), full_json);
}

#[test]
fn recompressed_bundle_is_noted() {
    let home = home_with_bundle(Home::new().with("runs.jsonl", "{\"seq\":1}\n"));
    let text = crate::common::text_of(&fs::read(home.path().join("b.gz")).unwrap());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &text).unwrap();
    fs::write(home.path().join("b.gz"), encoder.finish().unwrap()).unwrap();
    let printed = run(home.path(), &["inspect", "b.gz"]);
    assert_eq!(printed.code, 0);
    insta::assert_snapshot!(printed.stderr);
}

#[test]
fn digest_is_the_sha_256_of_the_first_line() {
    let home = home_with_unusual_logs();
    let text = crate::common::text_of(&fs::read(home.path().join("b.gz")).unwrap());
    let line = text.split(|byte| *byte == b'\n').next().unwrap();
    let digest = patchwork_traces::digest::Sha256Digest::of(line).to_string();
    assert!(inspect(&home, &[]).contains(&format!("digest    {digest}\n")));
    // Known from elsewhere, so that a wrong hash function would show.
    let abc = patchwork_traces::digest::Sha256Digest::of(b"abc").to_string();
    assert_eq!(abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn demo_runs_every_command_it_shows() {
    let home = tempfile::tempdir().unwrap();
    let tour = run(home.path(), &["demo"]);
    assert_eq!((tour.code, tour.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(tour.text());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    let steps = run(home.path(), &["demo", "--json"]).json()["steps"].as_array().unwrap().len();
    assert_eq!(steps, tour.text().lines().filter(|line| line.starts_with("$ ")).count());
}

#[test]
fn help_and_usage_errors_have_their_exit_codes() {
    let home = tempfile::tempdir().unwrap();
    let help = run(home.path(), &["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(help.text());
    for arguments in [&["export", "--level", "x"][..], &["inspect"], &["frobnicate"], &["cat", "b", "--nope"]] {
        let refused = run(home.path(), arguments);
        assert_eq!((refused.code, refused.stdout.len()), (2, 0), "{arguments:?}");
    }
}

#[test]
fn completions_and_man_pages_cover_every_command() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(home.path(), &["completions", shell]).text();
        assert!(script.contains("PATCHWORK_TRACES_COMPLETE"), "{shell}");
        let script = run(home.path(), &["completions", shell, "--static"]).text();
        assert!(script.contains("inspect"), "{shell}");
    }
    assert!(run(home.path(), &["man"]).text().contains("patchwork\\-traces"));
    assert!(run(home.path(), &["man", "cat"]).text().contains("\\-\\-since"));
    assert_eq!(run(home.path(), &["man", "dog"]).code, 2);
    let json = run(home.path(), &["man", "--json"]).json();
    assert!(json["text"].as_str().unwrap().contains("SYNOPSIS"));
}

/// The manifest of one log for each of these timelines, each of its own source and with three rows.
fn with_timelines(timelines: impl Iterator<Item = String>) -> Manifest {
    let (sources, files): (Vec<_>, Vec<_>) = timelines
        .enumerate()
        .map(|(n, timeline)| {
            let file = format!(
                "{{\"source\":\"s{n:06}\",\"relativePath\":\"s{n:06}.jsonl\",\"count\":3,\"bytes\":9,\"timeline\":{timeline}}}"
            );
            (format!("\"s{n:06}\""), file)
        })
        .unzip();
    let line = format!(
        "{{\"type\":\"manifest\",\"version\":1,\"exportedAt\":\"2026-05-02T10:00:00.000Z\",\"sources\":[{}],\"files\":[{}],\"totalCount\":{}}}",
        sources.join(","),
        files.join(","),
        3 * files.len()
    );
    Manifest::decode(line.as_bytes()).unwrap().unwrap()
}

#[test]
fn chart_columns_are_bounded() {
    let bins = |step: i64, bins: &str| format!("{{\"stepMs\":{step},\"bins\":[{bins}]}}");
    // From 1970 to the last year, in the finest and in the widest bins.
    let all_times = [bins(1000, "[0,1],[1777716000,1],[253370764799,1]"), bins(22_649_241_600_000, "[0,2],[11,1]")];
    let most = all_times.map(|timeline| {
        let manifest = with_timelines(std::iter::once(timeline));
        [1, 60, usize::MAX].map(|most| Timetable::within(&manifest, most).unwrap().columns)
    });
    assert!(most.iter().all(|[one, sixty, most]| *one <= 15 && *sixty <= 60 && *most <= 10_000), "{most:?}");
    // Empty bins show nothing, however far away, and neither do timelines that cannot be true.
    let now = bins(1000, "[1777716000,3]");
    for odd in [
        bins(1000, "[-9000000000000000,0],[1777716000,3],[9000000000000000,0]"),
        bins(22_649_241_600_000, "[0,1],[407000,1]"),
        bins(1000, "[0,1],[9000000000000000,1]"),
        bins(0, "[0,1]"),
    ] {
        let timetable = Timetable::new(&with_timelines([now.clone(), odd.clone()].into_iter())).unwrap();
        assert_eq!((timetable.columns, timetable.step_ms), (1, 1000), "{odd}");
    }
}

#[test]
fn many_sources_take_seconds_and_not_minutes() {
    let manifest = with_timelines((0..100_000).map(|_| "{\"stepMs\":1000,\"bins\":[[1777716000,3]]}".to_owned()));
    let begin = std::time::Instant::now();
    let timetable = Timetable::new(&manifest).unwrap();
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    assert!(timetable.sources.iter().all(|source| source.rows == [3]));
    assert_eq!(timetable.sources.len(), 100_000);
}

#[test]
fn several_bundles_have_one_line_each() {
    let home = Home::new().with("runs.jsonl", "{\"createdAt\":1777716000000}\n{\"createdAt\":1777802400000}\n");
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    fs::write(home.path().join("empty.gz"), bundle(&Home::new())).unwrap();
    let mut shown = String::new();
    crate::common::segments::tricky_history(home.path());
    assert_eq!(run(home.path(), &["merge", "b.gz", "-o", "m.gz", "--label", "laptop", "-q"]).code, 0);
    for (columns, arguments) in [
        ("120", &["b.gz", "empty.gz"][..]),
        ("120", &["b.gz", "m.gz", "trace-history"]),
        ("60", &["b.gz", "m.gz", "trace-history"]),
        ("80", &["b.gz", "missing.gz", "empty.gz"]),
        ("80", &["missing.gz", "."]),
    ] {
        let arguments = [&["inspect"], arguments].concat();
        let mut command = crate::common::program::command(home.path(), &arguments);
        let run: crate::common::program::Run = command.env("COLUMNS", columns).output().unwrap().into();
        shown += &format!("$ {}  ({})\n{}{}\n", arguments.join(" "), run.code, run.text(), run.stderr);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn keys_are_listed_for_cat_where() {
    let rows = [
        r#"{"createdAt":1777716000000,"taskId":"a","steps":[{"status":"ok"},{"status":"error"}],"odd key":1.50}"#,
        r#"{"createdAt":1777716060000,"taskId":"\u001b[31mred","steps":[],"note":null}"#,
        r#"{"createdAt":1777802400000,"taskId":7,"text":"a text that is longer than the examples that the list shows"}"#,
    ];
    let activity = "{\"timestamp\":\"2026-05-02T10:00:00Z\",\"metadata\":{\"decision\":\"deny\"}}\n";
    let home = Home::new().with("runs.jsonl", rows.join("\n") + "\ntorn\n").with_activity("activity.jsonl", activity);
    let home = home_with_bundle(home);
    let mut shown = String::new();
    for arguments in [
        &["--keys"][..],
        &["--keys", "--source", "activity", "--no-examples"],
        &["--keys", "--source", "runs", "--since", "2026-05-03", "--json"],
        &["--keys", "--since", "2026-06"],
        &["--keys", "--source", "nothing"],
        &["--since", "2026-06"],
        &["--source", "runs"],
    ] {
        let printed = run(home.path(), &[&["inspect", "b.gz"], arguments].concat());
        shown += &format!("$ inspect b.gz {}  ({})\n", arguments.join(" "), printed.code);
        shown += &format!("{}{}\n", printed.text(), printed.stderr);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn keys_are_listed_of_histories_pipes_and_recompressed_bundles() {
    let home = home_with_bundle(Home::new().with("runs.jsonl", "{\"a\":1}\n"));
    assert_eq!(run(home.path(), &["keep", "history"]).code, 0);
    fs::write(home.dirs().patchwork.join("runs.jsonl"), "{\"a\":1}\n{\"a\":2,\"b\":1}\n").unwrap();
    assert_eq!(run(home.path(), &["keep", "history"]).code, 0);
    let history = run(home.path(), &["inspect", "--keys", "history", "--no-examples"]);
    assert_eq!(history.text(), "runs: 2 rows\nPATH  ROWS  TYPES\na        2  number\nb        1  number\n");
    let text = crate::common::text_of(&fs::read(home.path().join("b.gz")).unwrap());
    let expected = "runs: 1 row\nPATH  ROWS  TYPES   EXAMPLES\na        1  number  1\n";
    for input in [fs::read(home.path().join("b.gz")).unwrap(), text] {
        let printed = run_with(home.path(), &["inspect", "--keys", "-"], &input);
        assert_eq!((printed.text().as_str(), printed.stderr.as_str()), (expected, ""));
    }
    let legacy = fs::read(fixture("legacy").join("plain.v1.0.jsonl.gz")).unwrap();
    let legacy = run_with(home.path(), &["inspect", "--keys", "-"], &legacy);
    assert!(legacy.text().starts_with("runs: "), "{}", legacy.text());
}
