//! `inspect` and the smaller commands, as their users see them.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::format_collect, clippy::cast_possible_truncation)]

mod common;
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Home, bundle};
use program::{run, run_with};

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

fn odd_home() -> Home {
    let row = |minute: i64| format!("{{\"createdAt\":{}}}\n", 1_777_716_000_000 + minute * 60_000);
    let runs: String = (0..300).map(|i| row(i * i / 10)).collect();
    let torn = format!("{}torn\n\n{}{{\"no\":\"time\"}}\nalso torn", row(0), row(5));
    home_with_bundle(
        Home::new().with("runs.jsonl", runs).with("decision_traces.jsonl", torn).with("commit_issue_links.jsonl", ""),
    )
}

#[test]
fn everything_is_shown_at_a_glance() {
    insta::assert_snapshot!(inspect(&odd_home(), &[]));
}

#[test]
fn json_has_all_of_it() {
    insta::assert_snapshot!(inspect(&odd_home(), &["--json"]));
}

#[test]
fn a_stray_time_does_not_hide_the_others() {
    let runs: String =
        (0..1000).map(|i| format!("{{\"createdAt\":{}}}\n", 1_777_716_000_000_i64 + i * 3_600_000)).collect();
    let home = home_with_bundle(Home::new().with("runs.jsonl", format!("{{\"createdAt\":0}}\n{runs}")));
    insta::assert_snapshot!(inspect(&home, &[]));
}

#[test]
fn bundles_of_1_0_show_what_they_know() {
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
    let whole = inspect(&home, &["--json"]);
    // Rows that are not read can be damaged without being noticed: only the tail is looked at, to find the table's fit.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 100].fill(0);
    fs::write(home.path().join("b.gz"), &bytes).unwrap();
    assert_eq!(inspect(&home, &["--json"]), whole);
}

#[test]
fn a_bundle_compressed_again_says_so() {
    let home = home_with_bundle(Home::new().with("runs.jsonl", "{\"seq\":1}\n"));
    let text = common::text_of(&fs::read(home.path().join("b.gz")).unwrap());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &text).unwrap();
    fs::write(home.path().join("b.gz"), encoder.finish().unwrap()).unwrap();
    let printed = run(home.path(), &["inspect", "b.gz"]);
    assert_eq!(printed.code, 0);
    insta::assert_snapshot!(printed.stderr);
}

#[test]
fn the_digest_is_the_sha_256_of_the_first_line() {
    let home = odd_home();
    let text = common::text_of(&fs::read(home.path().join("b.gz")).unwrap());
    let line = text.split(|byte| *byte == b'\n').next().unwrap();
    let digest = patchwork_traces::digest::Sha256Digest::of(line).to_string();
    assert!(inspect(&home, &[]).contains(&format!("digest    {digest}\n")));
    // Known from elsewhere, so that a wrong hash function would show.
    let abc = patchwork_traces::digest::Sha256Digest::of(b"abc").to_string();
    assert_eq!(abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn the_tour_runs_every_command_it_shows() {
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
    for arguments in [&["export", "--level", "x"][..], &["inspect"], &["frobnicate"], &["cat", "b", "--nope"], &[]] {
        let refused = run(home.path(), arguments);
        assert_eq!((refused.code, refused.stdout.len()), (2, 0), "{arguments:?}");
    }
}

#[test]
fn shells_and_man_find_every_command() {
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
