//! `cat` as a program.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::program::{command, run, run_with};
use crate::common::{Home, bundle};

/// A directory with a bundle `b.gz` of `home`.
fn with_bundle(home: Home) -> Home {
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

fn legacy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy").join(name)
}

/// Rows of a minute each, from 2026-05-02T10:00:00Z on, in the way of runs.
fn minutes(n: u64) -> String {
    (0..n).map(|i| format!("{{\"seq\":{i},\"createdAt\":{}}}\n", 1_777_716_000_000 + i * 60_000)).collect()
}

#[test]
fn rows_are_printed_as_in_the_log() {
    let rows = b"\xef\xbb\xbf{\"id\":12345678901234567890,\"x\":1.0}\n{\"b\":1,\"a\":\"\xff\"}\r\n  {\"y\":1e400, \"y\":-0}\t\n{\"s\":\"\\ud800\"}\n{\"a\":\r1}";
    let (first, rest) = rows.split_at(rows.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    let log = [first, b"torn {\n\n", rest].concat();
    let home = with_bundle(Home::new().with("decision_traces.jsonl", log));
    let printed = run(home.path(), &["cat", "b.gz", "--source", "decision_traces"]);
    assert_eq!(printed.code, 0);
    assert_eq!(printed.stdout, [&rows[..], b"\n"].concat());
}

#[test]
fn crlf_line_endings_are_kept() {
    let home = with_bundle(Home::new().with("runs.jsonl", "{\"seq\":1}\r\n{\"seq\":2}\r\n{\"seq\":3}"));
    assert_eq!(run(home.path(), &["cat", "b.gz"]).text(), "{\"seq\":1}\r\n{\"seq\":2}\r\n{\"seq\":3}\n");
    // Only the log's last line can be without its end, and that is not always a row.
    for (log, rows) in [
        ("torn\r\n1\r\n\r\n2", "1\r\n2\n"),
        ("torn\r\nTorn\r\n1\r\n2\r\n", "1\r\n2\r\n"),
        ("1\r\n2\r\ntorn", "1\r\n2\r\n"),
        ("1\r\n2\r\ntorn\r\ntorn", "1\r\n2\r\n"),
        ("1\r\ntorn\r\n2\r\ntorn", "1\r\n2\r\n"),
        ("1\r\ntorn\r\n2", "1\r\n2\n"),
        ("1\r\ntorn\r\ntorn\r\n2\r", "1\r\n2\r\n"),
    ] {
        let home = with_bundle(Home::new().with("runs.jsonl", log));
        assert_eq!(run(home.path(), &["cat", "b.gz"]).text(), rows, "{log:?}");
    }
}

#[test]
fn source_and_file_filters_work_alone_and_together() {
    let home = Home::new().with("runs.jsonl", "{\"r\":1}\n").with("runs.jsonl.1", "{\"r\":0}\n");
    let home = with_bundle(
        home.with_activity("activity-1.jsonl", "{\"a\":1}\n").with_activity("activity-2.jsonl", "{\"a\":2}\n"),
    );
    let cat = |arguments: &[&str]| run(home.path(), &[&["cat", "b.gz"], arguments].concat()).text();
    assert_eq!(cat(&[]), "{\"r\":0}\n{\"r\":1}\n{\"a\":1}\n{\"a\":2}\n");
    assert_eq!(cat(&["--source", "runs"]), "{\"r\":0}\n{\"r\":1}\n");
    assert_eq!(cat(&["--source", "runs", "--source", "activity"]), cat(&[]));
    assert_eq!(cat(&["--file", "runs.jsonl", "--file", "activity-2.jsonl"]), "{\"r\":1}\n{\"a\":2}\n");
    assert_eq!(cat(&["--source", "activity", "--file", "activity-1.jsonl"]), "{\"a\":1}\n");
    assert_eq!(
        cat(&["--file", "activity-2.jsonl", "--envelope"]),
        "{\"source\":\"activity\",\"file\":\"activity-2.jsonl\",\"entry\":{\"a\":2}}\n"
    );
}

#[test]
fn unknown_source_or_file_error_lists_the_known_ones() {
    let home = with_bundle(Home::new().with("runs.jsonl", "{}\n").with_activity("activity-1.jsonl", "{}\n"));
    let mut messages = String::new();
    for arguments in [
        &["--source", "decisions"][..],
        &["--file", "activity-2.jsonl"],
        &["--source", "runs", "--file", "activity-1.jsonl"],
    ] {
        let failed = run(home.path(), &[&["cat", "b.gz"], arguments].concat());
        assert_eq!((failed.code, failed.stdout), (1, Vec::new()));
        messages += &failed.stderr;
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn time_range_includes_both_ends() {
    let home = with_bundle(Home::new().with("runs.jsonl", minutes(60)));
    let rows = |arguments: &[&str]| {
        let printed = run(home.path(), &[&["cat", "b.gz"], arguments].concat());
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        let seqs = printed
            .text()
            .lines()
            .map(|row| row[7..].split(',').next().unwrap().parse::<u64>().unwrap())
            .collect::<Vec<_>>();
        seqs.first().map(|first| (*first, seqs[seqs.len() - 1], seqs.len()))
    };
    assert_eq!(rows(&["--since", "2026-05-02T10:20:00Z"]), Some((20, 59, 40)));
    assert_eq!(rows(&["--until", "2026-05-02T10:20:00Z"]), Some((0, 20, 21)));
    assert_eq!(rows(&["--since", "2026-05-02T10:20:00Z", "--until", "2026-05-02T12:25:00+02:00"]), Some((20, 25, 6)));
    assert_eq!(rows(&["--since", "2026-05-02", "--until", "2026-05-02"]), Some((0, 59, 60)));
    assert_eq!(rows(&["--since", "2026-05-03"]), None);
    assert_eq!(rows(&["--until", "2026-05-01"]), None);
    // The tests' clock shows the time of the first row.
    for ago in ["1s", "1m", "1h", "1d", "2w"] {
        assert_eq!(rows(&["--since", ago]), Some((0, 59, 60)), "{ago}");
        assert_eq!(rows(&["--until", ago]), None, "{ago}");
    }
}

#[test]
fn rows_without_a_timestamp_match_no_range() {
    let home = with_bundle(Home::new().with("runs.jsonl", "{\"seq\":1}\n[2]\n{\"createdAt\":\"soon\"}\n"));
    assert_eq!(run(home.path(), &["cat", "b.gz", "--since", "2000-01-01"]).text(), "");
    assert_eq!(run(home.path(), &["cat", "b.gz"]).text(), "{\"seq\":1}\n[2]\n{\"createdAt\":\"soon\"}\n");
}

#[test]
fn chunk_without_timestamps_may_hold_matching_rows() {
    let home = Home::new().with("runs.jsonl", minutes(60));
    let mut builder = crate::common::bundle_builder::BundleBuilder::new(&home, 20);
    let chunks = builder.file(0)["chunks"].as_array_mut().unwrap();
    for (chunk, keys) in [(0, &["firstTime", "lastTime"][..]), (1, &["firstTime"]), (2, &["lastTime"])] {
        for key in keys {
            assert!(chunks[chunk].as_object_mut().unwrap().remove(*key).is_some());
        }
    }
    fs::write(home.path().join("b.gz"), builder.write()).unwrap();
    let rows = |arguments: &[&str]| run(home.path(), &[&["cat", "b.gz"], arguments].concat()).text().lines().count();
    assert_eq!(rows(&["--since", "2026-05-02T10:20:00Z"]), 40);
    assert_eq!(rows(&["--until", "2026-05-02T10:20:00Z"]), 21);
    assert_eq!(rows(&["--since", "2026-05-02T10:10:00Z", "--until", "2026-05-02T10:49:00Z"]), 40);
}

#[test]
fn only_selected_chunks_are_inflated() {
    // Ten chunks or so. All but the wanted ones are destroyed: rows that are printed all the same did not need them.
    let home = Home::new().with("runs.jsonl", minutes(120_000)).with("decision_traces.jsonl", minutes(100));
    let mut bytes = bundle(&home);
    let manifest = crate::common::indexed(&bytes).unwrap().manifest().clone();
    let chunks = &manifest.files[0].chunks;
    assert!(chunks.len() > 4);
    let sizes = manifest.files.iter().flat_map(|file| &file.chunks).map(|chunk| chunk.compressed as usize);
    let start = bytes.len() - 10 - sizes.sum::<usize>();
    let third = start + chunks[..2].iter().map(|chunk| chunk.compressed as usize).sum::<usize>();
    let fourth = third + chunks[2].compressed as usize;
    let decisions = start + chunks.iter().map(|chunk| chunk.compressed as usize).sum::<usize>();
    for byte in [&(start..third).collect::<Vec<_>>()[..], &(fourth..decisions).collect::<Vec<_>>()].concat() {
        // The ends of the chunks stay flush points.
        bytes[byte] ^= u8::from((byte + 1) % 1000 == 0);
    }
    fs::write(home.path().join("b.gz"), &bytes).unwrap();
    let decisions = run(home.path(), &["cat", "b.gz", "--source", "decision_traces"]);
    assert_eq!((decisions.stderr.as_str(), decisions.text()), ("", minutes(100)));
    let (since, until) = (chunks[2].first_time.unwrap().to_string(), chunks[2].last_time.unwrap().to_string());
    let third = run(home.path(), &["cat", "b.gz", "--source", "runs", "--since", &since, "--until", &until]);
    assert_eq!((third.code, third.text().lines().count() as u64), (0, chunks[2].rows));
    let all = run(home.path(), &["cat", "b.gz"]);
    assert_eq!(all.code, 1);
    assert!(all.stderr.contains("runs.jsonl, rows 1 to "), "{}", all.stderr);
}

#[test]
fn damage_ends_the_output_after_the_intact_rows() {
    let home = Home::new().with("runs.jsonl", minutes(120_000));
    let mut bytes = bundle(&home);
    let at = bytes.len() / 2;
    bytes[at] ^= 0x10;
    fs::write(home.path().join("b.gz"), &bytes).unwrap();
    for printed in [run(home.path(), &["cat", "b.gz"]), run_with(home.path(), &["cat", "-"], &bytes)] {
        assert_eq!(printed.code, 1);
        let rows = printed.text();
        assert!(!rows.is_empty() && minutes(120_000).starts_with(&rows));
        let first_missing = rows.lines().count() + 1;
        assert!(printed.stderr.contains(&format!("runs.jsonl, rows {first_missing} to ")), "{}", printed.stderr);
    }
}

#[test]
fn truncated_bundle_prints_every_row_before_the_truncation() {
    let home = Home::new().with("runs.jsonl", minutes(1000));
    let bytes = bundle(&home);
    let cut = &bytes[..bytes.len() * 3 / 4];
    fs::write(home.path().join("b.gz"), cut).unwrap();
    let printed = run(home.path(), &["cat", "b.gz"]);
    assert_eq!(printed.code, 1);
    let rows = printed.text();
    assert!(rows.lines().count() > 300 && minutes(1000).starts_with(&rows));
    assert!(
        printed.stderr.contains(&format!("runs.jsonl, rows {} to 1000", rows.lines().count() + 1)),
        "{}",
        printed.stderr
    );
    assert!(printed.stderr.contains("the file is truncated"), "{}", printed.stderr);
}

#[test]
fn chunk_with_a_removed_row_prints_no_row() {
    let home = Home::new().with("runs.jsonl", minutes(10));
    let text = String::from_utf8(crate::common::text_of(&bundle(&home))).unwrap();
    let mut lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
    lines.remove(3);
    lines[3] = lines[3].replace("\"seq\":3", "\"seq\":8");
    let recompressed = crate::common::bundle_builder::gzip(lines.concat().as_bytes());
    fs::write(home.path().join("b.gz"), &recompressed).unwrap();
    for printed in [run(home.path(), &["cat", "b.gz"]), run_with(home.path(), &["cat", "-"], &recompressed)] {
        assert_eq!((printed.code, printed.text().as_str()), (1, ""));
        let message = "runs.jsonl, rows 1 to 10: chunk mismatch: the content does not match the chunk's entry in \
                    the manifest";
        assert!(printed.stderr.contains(message), "{}", printed.stderr);
    }
}

#[test]
fn recompressed_and_uncompressed_bundles_are_read() {
    let home = Home::new().with("runs.jsonl", minutes(50_000)).with("decision_traces.jsonl", minutes(3));
    let text = crate::common::text_of(&bundle(&home));
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    let (first, second) = text.split_at(text.len() / 3);
    let members = [gzip(first), gzip(second)].concat();
    let padded = [gzip(&text), vec![0; 1000]].concat();
    for (name, bytes) in [("again", gzip(&text)), ("members", members), ("padded", padded), ("plain", text)] {
        fs::write(home.path().join(name), &bytes).unwrap();
        let from_file = run(home.path(), &["cat", name, "--source", "decision_traces"]);
        assert_eq!((from_file.code, from_file.text()), (0, minutes(3)), "{name}");
        assert_eq!(from_file.stderr.is_empty(), name == "plain", "{name}: {}", from_file.stderr);
        let from_stream = run_with(home.path(), &["cat", "-", "--source", "decision_traces"], &bytes);
        assert_eq!((from_stream.code, from_stream.text()), (0, minutes(3)), "{name}");
    }
}

#[test]
fn bundles_of_1_0_are_read() {
    let home = tempfile::tempdir().unwrap();
    let plain = legacy("plain.v1.0.jsonl.gz");
    let path = plain.to_str().unwrap();
    for (source, log) in [("runs", "patchwork/runs.jsonl"), ("decision_traces", "patchwork/decision_traces.jsonl")] {
        let printed = run(home.path(), &["cat", path, "--source", source]);
        assert_eq!((printed.code, printed.stdout), (0, fs::read(legacy("plain").join(log)).unwrap()));
    }
    let printed = run(home.path(), &["cat", path, "--file", "activity-3102.jsonl"]);
    assert_eq!(printed.stdout, fs::read(legacy("plain/ide/activity-3102.jsonl")).unwrap());
    let odd = run(home.path(), &["cat", legacy("odd.v1.0.jsonl.gz").to_str().unwrap()]);
    assert_eq!((odd.code, odd.text().lines().count()), (0, 14));
    assert_eq!(run(home.path(), &["cat", legacy("empty.v1.0.jsonl.gz").to_str().unwrap()]).text(), "");
}

#[test]
fn skipped_lines_are_counted_and_the_note_says_how_to_print_them() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":1}\ntorn\n").with("decision_traces.jsonl", "{}\n");
    let home = with_bundle(home.with_activity("activity-1.jsonl", "\n\n{}\n7 7\n"));
    let mut shown = String::new();
    for line in [
        "cat b.gz",
        "cat b.gz --file runs.jsonl",
        "cat b.gz --source activity --until 2001-01-01",
        "cat b.gz --source decision_traces",
        "cat b.gz --quiet",
        "cat b.gz --source runs --source decision_traces --json",
    ] {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let printed = run(home.path(), &arguments);
        assert_eq!(printed.code, 0, "{line}");
        shown += &format!("$ {line}\n{}\n", printed.stderr);
    }
    insta::assert_snapshot!(shown);
    // The log that a note names can be had as it says, also where another one has its name.
    let home = with_bundle(home.with("activity-1.jsonl", "{}\n").with("runs.jsonl", "{}\n"));
    let note = run(home.path(), &["cat", "b.gz"]).stderr;
    assert!(note.contains("`--source activity --file activity-1.jsonl --exact`"), "{note}");
}

#[test]
fn note_names_only_some_of_many_logs_with_skipped_lines() {
    let home = (1..=9).fold(Home::new(), |home, n| home.with_activity(&format!("activity-{n}.jsonl"), "torn\n"));
    let home = with_bundle(home);
    let note = run(home.path(), &["cat", "b.gz"]).stderr;
    let names = "activity-1.jsonl: 1, activity-2.jsonl: 1, activity-3.jsonl: 1, activity-4.jsonl: 1, activity-5.jsonl: 1, 4 more";
    assert!(note.contains(&format!("skipped 9 lines that are not rows in 9 logs ({names});")), "{note}");
}

#[test]
fn filters_without_a_match_are_noted() {
    let home = Home::new().with("runs.jsonl", minutes(60)).with("decision_traces.jsonl", "");
    let home = with_bundle(home.with("commit_issue_links.jsonl", "{}\n"));
    let mut shown = String::new();
    for line in [
        "cat b.gz --since 2026-05-03",
        "cat b.gz --source runs --file runs.jsonl --until 2026-05-01",
        "cat b.gz --since 2026-05-02T10:00:00.500Z --until 2026-05-02T10:00:59Z",
        "cat b.gz --source decision_traces",
        "cat b.gz --source commit_issue_links --since 2001-01-01",
        "cat b.gz --since 2026-05-03 --quiet",
        "cat b.gz --source runs",
    ] {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let printed = run(home.path(), &arguments);
        assert_eq!(printed.code, 0, "{line}");
        shown += &format!("$ {line}\n{}\n", printed.stderr);
    }
    insta::assert_snapshot!(shown);
    let json = run(home.path(), &["cat", "b.gz", "--since", "2026-05-03", "--json"]).stderr;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["notes"][0].as_str().unwrap().starts_with("no rows match --since 2026-05-03 00:00:00 UTC;"), "{json}");
    let nothing = with_bundle(Home::new());
    assert_eq!(run(nothing.path(), &["cat", "b.gz"]).stderr, "");
    assert_eq!(
        run(nothing.path(), &["cat", "b.gz", "--since", "7d"]).stderr,
        "note: no rows match --since 2026-04-25 10:00:00 UTC\n"
    );
}

#[test]
fn reversed_time_range_is_a_usage_error() {
    let home = with_bundle(Home::new().with("runs.jsonl", minutes(3)));
    let mut shown = String::new();
    for line in [
        "cat b.gz --since 2026-05-03 --until 2026-05-02",
        "cat b.gz --since 1d --until 2d",
        "cat b.gz --since 2026-05-02T10:00:00.002Z --until 2026-05-02T10:00:00.001Z",
        "cat missing.gz --since 2026-05-03 --until 2026-05-02",
    ] {
        let arguments: Vec<_> = line.split_whitespace().collect();
        let refused = run(home.path(), &arguments);
        assert_eq!((refused.code, refused.stdout.len()), (2, 0), "{line}");
        shown += &format!("$ {line}\n{}\n", refused.stderr);
    }
    insta::assert_snapshot!(shown);
    let moment = ["--since", "2026-05-02T10:01:00Z", "--until", "2026-05-02T10:01:00Z"];
    assert_eq!(run(home.path(), &[&["cat", "b.gz"][..], &moment].concat()).text().lines().count(), 1);
}

#[test]
fn summary_is_json_on_standard_error() {
    let home = with_bundle(Home::new().with("runs.jsonl", minutes(3)));
    let printed = run(home.path(), &["cat", "b.gz", "--json", "--since", "2026-05-02T10:01:00Z"]);
    assert_eq!(printed.code, 0);
    insta::assert_snapshot!(printed.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn full_standard_output_is_an_error() {
    let home = with_bundle(Home::new().with("runs.jsonl", minutes(3)));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let failed = command(home.path(), &["cat", "b.gz"]).stdout(full).output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(failed.stderr).unwrap());
}

#[test]
fn several_bundles_and_histories_are_printed_in_order_or_by_time() {
    let home = with_bundle(Home::new().with("runs.jsonl", minutes(2)));
    let later = Home::new().with("decision_traces.jsonl", "{\"d\":1,\"createdAt\":1777716030000}\ntorn\n");
    fs::write(home.path().join("c.gz"), bundle(&later)).unwrap();
    crate::common::segments::tricky_history(home.path());
    let (first, second) = ("{\"seq\":0,\"createdAt\":1777716000000}\n", "{\"seq\":1,\"createdAt\":1777716060000}\n");
    let between = "{\"d\":1,\"createdAt\":1777716030000}\n";
    let cat = |arguments: &[&str]| run(home.path(), &[&["cat"], arguments].concat());
    assert_eq!(cat(&["b.gz", "c.gz"]).text(), [first, second, between].concat());
    assert_eq!(cat(&["b.gz", "c.gz", "--by-time"]).text(), [first, between, second].concat());
    let piped = run_with(home.path(), &["cat", "-", "c.gz", "--by-time"], &fs::read(home.path().join("b.gz")).unwrap());
    assert_eq!(piped.text(), [first, between, second].concat());
    let mut shown = String::new();
    for arguments in [
        &["trace-history"][..],
        &["trace-history", "c.gz", "--source", "activity", "--json"],
        &["trace-history", "--since", "2026-05-03"],
        &["trace-history", "--file", "runs.jsonl", "--exact"],
        &["trace-history", "--source", "runs", "--exact"],
        &["trace-history", "b.gz", "--exact"],
        &["b.gz", "missing.gz"],
        &["b.gz", "."],
        &["b.gz", "c.gz", "--source", "acitvity"],
    ] {
        let run = cat(arguments);
        shown += &format!("$ cat {}  ({})\n{}{}\n", arguments.join(" "), run.code, run.text(), run.stderr);
    }
    insta::assert_snapshot!(shown);
}
