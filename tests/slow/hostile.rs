//! Hostile bundles: bombs, false numbers and names, terminal escapes. Every command ends with the right exit code and
//! message, within little memory and time.
//!
//! `cargo test --test slow hostile -- --ignored --nocapture` does it with bombs of 10 GB and prints what each took. With
//! `HOSTILE_CASES=text` it takes only the cases that have this text in their names.

mod cases;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cases::{Case, cases};
use patchwork_traces::error::is_invisible;

/// The address space that each command gets, in KiB. A manifest of the longest that is allowed fits, and no more than a
/// few times that.
const ADDRESS_SPACE_KIB: u64 = 3 << 20;

/// The processor time that each command gets, in seconds: many times what any takes, and far less than what grows with
/// the square of a bundle would take. In the long form they take longer.
const PROCESSOR_SECONDS: u64 = 120;
const PROCESSOR_SECONDS_IF_LONG: u64 = 300;

/// The most bytes that a command other than `cat` may print, or four times as many as the bundle has: one can have very
/// many logs, each with its line and its columns.
const MAX_PRINTED: usize = 256 << 10;

/// The commands that read a bundle, and `import`.
const COMMANDS: [&[&str]; 6] = [
    &["inspect", "BUNDLE"],
    &["inspect", "BUNDLE", "--json"],
    &["cat", "BUNDLE"],
    &["verify", "BUNDLE"],
    &["import", "BUNDLE"],
    &["recover", "BUNDLE", "-o", "recovered"],
];

struct Outcome {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Seconds that all threads took together, and KiB of memory.
    took: Option<(f64, f64)>,
}

/// Runs a command on a bundle, with little address space and processor time, and measures it where that is asked for.
fn run(dir: &Path, arguments: &[&str], measured: bool) -> Outcome {
    let measure = if measured { "/usr/bin/time -o took -f '%U %S %M' " } else { "" };
    let seconds = if measured { PROCESSOR_SECONDS_IF_LONG } else { PROCESSOR_SECONDS };
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB}; ulimit -t {seconds}; exec {measure}\"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_patchwork-traces")]);
    command.args(arguments.iter().map(|argument| if *argument == "BUNDLE" { "bundle" } else { argument }));
    command
        .current_dir(dir)
        .env_clear()
        .envs(crate::common::coverage::environment())
        .env("HOME", dir)
        .env("PATH", "/usr/bin:/bin")
        .env("TMPDIR", dir);
    let output = command.env("SOURCE_DATE_EPOCH", "1777716000").stdin(Stdio::null()).output().unwrap();
    let took = measured.then(|| fs::read_to_string(dir.join("took")).unwrap());
    let took = took.map(|took| {
        let last = took.lines().last().unwrap();
        let [user, system, memory] =
            last.split(' ').map(|number| number.parse::<f64>().unwrap()).collect::<Vec<_>>()[..]
        else {
            panic!("{last:?} is not what was asked for")
        };
        (user + system, memory)
    });
    Outcome { code: output.status.code(), stdout: output.stdout, stderr: output.stderr, took }
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let short: String = text.chars().take(400).collect();
    let more = text.len().saturating_sub(short.len());
    let more = if more > 0 { format!("… {} KiB more", more >> 10) } else { String::new() };
    short.trim_end().replace('\n', "\n    ") + &more
}

/// Checks the rules that hold for every command and bundle.
fn check(case: &Case, arguments: &[&str], outcome: &Outcome) {
    let what = format!("{}: {arguments:?}: {}", case.name, shown(&outcome.stderr));
    assert!(matches!(outcome.code, Some(0 | 1 | 3)), "{what}: {:?}", outcome.code);
    assert!(!String::from_utf8_lossy(&outcome.stderr).contains("panicked"), "{what}");
    let printed = [&outcome.stderr[..], if arguments[0] == "cat" { b"" } else { &outcome.stdout }].concat();
    let printed = String::from_utf8(printed).unwrap();
    let obeyed: Vec<_> = printed.chars().filter(|c| is_invisible(*c) && !matches!(c, '\n' | '\t')).collect();
    assert!(obeyed.is_empty(), "{what}: a terminal would obey {obeyed:?}");
    // Rows are printed as they are; everything else is short.
    assert!(
        arguments[0] == "cat" || outcome.stdout.len() + outcome.stderr.len() < MAX_PRINTED.max(4 * case.bundle.len()),
        "{what}: {} bytes",
        outcome.stdout.len() + outcome.stderr.len()
    );
}

/// Everything below a directory.
fn tree(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for path in fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        names.extend(if path.is_dir() { tree(&path) } else { vec![path.display().to_string()] });
    }
    names.sort();
    names
}

fn run_all(case: &Case, measured: bool, mut report: impl FnMut(&[&str], &Outcome)) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bundle"), &case.bundle).unwrap();
    for arguments in COMMANDS {
        let outcome = run(dir.path(), arguments, measured);
        check(case, arguments, &outcome);
        report(arguments, &outcome);
    }
    let known = [".patchwork", ".claude"].map(|name| dir.path().join(name).display().to_string());
    for name in tree(dir.path()) {
        let name = name.strip_prefix(&format!("{}/", dir.path().display())).unwrap().to_owned();
        let is_expected =
            ["bundle", "recovered", "took"].contains(&name.as_str()) || case.imports.contains(&name.as_str());
        assert!(is_expected, "{}: {name} should not be there ({known:?})", case.name);
    }
}

/// Runs all commands on a case, and returns its exit codes and messages.
fn exit_codes_and_messages(case: &Case) -> String {
    let mut text = format!("{}\n", case.name);
    run_all(case, false, |arguments, outcome| {
        if arguments.len() < 3 || arguments[0] == "recover" {
            text += &format!("  {}: {}", arguments[0], outcome.code.unwrap());
            text += &format!("\n    {}\n", shown(&outcome.stderr));
        }
    });
    text
}

#[test]
fn every_hostile_bundle_is_refused_or_harmless() {
    let cases = cases(false);
    let (next, texts) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    // Two at a time: some take more than 1 GiB of memory.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    let text = exit_codes_and_messages(case);
                    texts.lock().unwrap().insert(index, text);
                }
            });
        }
    });
    let texts = texts.into_inner().unwrap();
    assert_eq!(texts.len(), cases.len());
    let text: String = texts.into_values().collect();
    insta::assert_snapshot!(text);
}

#[test]
#[ignore = "takes minutes"]
fn measure_every_hostile_bundle() {
    println!("| bundle | size | {} |", COMMANDS.map(|command| command.join(" ").replace(" BUNDLE", "")).join(" | "));
    println!("|---|---:|{}", "---:|".repeat(COMMANDS.len()));
    let filter = std::env::var("HOSTILE_CASES").unwrap_or_default();
    for case in cases(true).into_iter().filter(|case| case.name.contains(&filter)) {
        let mut line = format!("| {} | {} |", case.name, case.bundle.len());
        run_all(&case, true, |_, outcome| {
            let (seconds, memory) = outcome.took.unwrap();
            line += &format!(" {}, {seconds:.2} s, {:.0} MiB |", outcome.code.unwrap(), memory / 1024.0);
        });
        println!("{line}");
    }
}
