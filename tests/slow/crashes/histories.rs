//! `keep`, killed or with a failing system at any of its steps: the history is the old one or the new one, and the next
//! runs lose no row and keep none twice.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use patchwork_traces::History;
use patchwork_traces::bundle::Selection;
use patchwork_traces::history::Checkpoint;

use super::scenarios::{Injection, Outcome, Scenario, SecondRun, Workspace, in_parallel, rows};
use super::{as_unprivileged_user, check_injections, errors_of};

const HISTORY: &str = "out/history";

const KEEP: Scenario = Scenario { name: "keep", arguments: &["keep", HISTORY], code: 0, second_run: SecondRun::Adds };

/// The run that starts a history.
const START: Scenario = Scenario { name: "keep, a new history", ..KEEP };

/// A run after logs were appended to and rotated.
const CONTINUE: Scenario = Scenario { name: "keep, rotated logs", ..KEEP };

/// A run after logs were appended to, and then removed, or replaced by empty files.
const REMOVED: Scenario = Scenario { name: "keep, removed logs", code: 3, ..KEEP };

pub const SCENARIOS: [Scenario; 3] = [START, CONTINUE, REMOVED];

/// A run that encrypts its segment, after logs were appended to and rotated. It has no key.
#[cfg(feature = "seal")]
const SEALED: Scenario = Scenario {
    name: "keep, encrypted, rotated logs",
    arguments: &["keep", HISTORY, "-r", crate::common::age_keys::RECIPIENT],
    ..KEEP
};

/// Returns all scenarios.
fn all_scenarios() -> impl Iterator<Item = Scenario> {
    let all = SCENARIOS.into_iter();
    #[cfg(feature = "seal")]
    let all = all.chain([SEALED]);
    all
}

/// Opens a history that may be encrypted.
fn open(dir: &Path) -> Result<History, patchwork_traces::Error> {
    #[cfg(feature = "seal")]
    return History::open_with_keys(dir, &crate::common::age_keys::keys(&[crate::common::age_keys::IDENTITY]));
    #[cfg(not(feature = "seal"))]
    History::open(dir)
}

/// The lines that a history must have of each log.
type Lines = BTreeMap<&'static str, String>;

/// A scenario, with its history before and the rows that must be in it at the end.
pub struct HistoryTrial {
    scenario: Scenario,
    template: Workspace,
    segments: usize,
    lines: Lines,
}

fn log_path(workspace: &Workspace, name: &str) -> PathBuf {
    let dir = if name.starts_with("activity") { "home/.claude/ide" } else { "home/.patchwork" };
    workspace.path(dir).join(name)
}

fn append(workspace: &Workspace, name: &str, lines: &str) {
    let mut log = fs::OpenOptions::new().create(true).append(true).open(log_path(workspace, name)).unwrap();
    log.write_all(lines.as_bytes()).unwrap();
}

/// Replaces a log as rotation does.
fn replace(workspace: &Workspace, name: &str, content: &str) {
    let part = workspace.path("home/part");
    fs::write(&part, content).unwrap();
    fs::rename(part, log_path(workspace, name)).unwrap();
}

impl HistoryTrial {
    /// Prepares logs of about `count` rows, and a history that the scenario continues.
    pub fn prepare(scenario: Scenario, count: u64) -> Self {
        let template = Workspace::new(scenario, &std::env::temp_dir());
        let mut lines = Lines::new();
        for dir in ["home/.patchwork", "home/.claude/ide", "out"] {
            fs::create_dir_all(template.path(dir)).unwrap();
        }
        for name in ["runs.jsonl", "decision_traces.jsonl", "commit_issue_links.jsonl", "activity-1.jsonl"] {
            append(&template, name, &rows(1, count + 1));
            lines.insert(name, rows(1, count + 1));
        }
        let mut trial = Self { scenario, template, segments: 0, lines };
        if scenario.name == START.name {
            return trial;
        }
        assert!(trial.template.command().status().unwrap().success());
        trial.segments = 1;
        for name in ["runs.jsonl", "decision_traces.jsonl", "commit_issue_links.jsonl"] {
            trial.grow(name, count + 1, count + 4);
        }
        if scenario.name == REMOVED.name {
            fs::remove_file(log_path(&trial.template, "runs.jsonl")).unwrap();
            replace(&trial.template, "decision_traces.jsonl", "");
        } else {
            replace(&trial.template, "runs.jsonl", &rows(count / 2 + 1, count + 4));
            trial.grow("runs.jsonl", count + 4, count + 6);
        }
        trial
    }

    fn grow(&mut self, name: &'static str, from: u64, to: u64) {
        append(&self.template, name, &rows(from, to));
        *self.lines.get_mut(name).unwrap() += &rows(from, to);
    }

    fn workspace(&self) -> Workspace {
        self.workspace_in(&std::env::temp_dir())
    }

    pub fn workspace_in(&self, parent: &Path) -> Workspace {
        self.template.copy_in(parent)
    }

    /// Checks that the history is the old one or the new one, and that the outcome of the command fits it.
    pub fn check(&self, workspace: &Workspace, outcome: Outcome, what: &str) {
        let what = format!("{}, {what}, {outcome:?}", self.scenario.name);
        let history = workspace.path(HISTORY);
        let opened = open(&history);
        let segments = opened.as_ref().map_or(0, |opened| opened.segments().len());
        let is_new = segments == self.segments + 1;
        assert!(is_new || segments == self.segments, "{what}: {segments} segments, {:?}", opened.err());
        let (Outcome::Code(code) | Outcome::CodeAndLeftovers(code)) = outcome else { return };
        match code {
            0 => assert!(is_new, "{what}: nothing was added"),
            3 => assert!(is_new, "{what}: nothing was added, and the code says that something was done"),
            1 => assert!(!is_new, "{what}: a segment was added, and the code says that nothing was changed"),
            code => panic!("{what}: exit code {code}"),
        }
        if code == 0 {
            let checkpoint = Checkpoint::read(history.join("checkpoint")).unwrap();
            assert_eq!(checkpoint, opened.unwrap().checkpoint(), "{what}");
        } else if code == 1 && self.segments == 0 && matches!(outcome, Outcome::Code(_)) {
            assert!(!history.exists(), "{what}: it left {}", history.display());
            let links = held_links(workspace);
            assert!(links.is_empty(), "{what}: it left {links:?}");
        }
        if let Outcome::Code(_) = outcome {
            assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new(), "{what}");
        }
    }

    /// Checks that the next two runs, with rows and a rotation between them, complete the history.
    pub fn check_next_runs(&self, workspace: &Workspace, what: &str) {
        let what = format!("{}, the runs after: {what}", self.scenario.name);
        self.run(workspace, &what);
        let mut lines = self.lines.clone();
        check_lines(workspace, &lines, &what);
        let row = rows(10_000_000, 10_000_001);
        append(workspace, "decision_traces.jsonl", &row);
        *lines.get_mut("decision_traces.jsonl").unwrap() += &row;
        let log = fs::read_to_string(log_path(workspace, "commit_issue_links.jsonl")).unwrap();
        append(workspace, "commit_issue_links.jsonl", &row);
        let half = log.match_indices('\n').nth(log.lines().count() / 2).unwrap().0 + 1;
        replace(workspace, "commit_issue_links.jsonl", &format!("{}{row}{row}", &log[half..]));
        *lines.get_mut("commit_issue_links.jsonl").unwrap() += &row.repeat(2);
        self.run(workspace, &what);
        check_lines(workspace, &lines, &what);
        check_links(workspace, &what);
        assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new(), "{what}");
        let opened = open(&workspace.path(HISTORY)).unwrap();
        let checkpoint = Checkpoint::read(workspace.path(HISTORY).join("checkpoint")).unwrap();
        assert_eq!(checkpoint, opened.checkpoint(), "{what}");
    }

    fn run(&self, workspace: &Workspace, what: &str) {
        let output = workspace.command().stderr(Stdio::piped()).output().unwrap();
        let code = output.status.code();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(code == Some(0) || code == Some(self.scenario.code), "{what}: {code:?}, {errors}");
    }
}

/// Checks that the history has each of these lines once, in this order.
fn check_lines(workspace: &Workspace, lines: &Lines, what: &str) {
    let history = open(&workspace.path(HISTORY)).unwrap();
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for segment in history.segments() {
        for (index, file) in segment.files.iter().enumerate() {
            let text = found.entry(history.logs()[file.log].id.name.as_str()).or_default();
            let mut rows = segment.open().unwrap().rows(&Selection::default().files(vec![index])).unwrap();
            while let Some(row) = rows.next_row().unwrap() {
                *text += &String::from_utf8_lossy(row.exact_line());
                *text += "\n";
            }
        }
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), lines.keys().collect::<Vec<_>>(), "{what}");
    for (name, expected) in lines {
        assert!(found[name] == *expected, "{what}: {name} has\n{}instead of\n{expected}", found[name]);
    }
}

/// Returns the held links of all histories.
fn held_links(workspace: &Workspace) -> Vec<PathBuf> {
    let children = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).map_or_else(|_| Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect())
    };
    let dirs = ["home/.patchwork/.patchwork-traces", "home/.claude/ide/.patchwork-traces"];
    let of_histories = dirs.iter().flat_map(|dir| children(&workspace.path(dir)));
    let files = of_histories.flat_map(|dir| children(&dir));
    files.filter(|file| file.file_name().is_some_and(|name| name != "seen.json" && name != "notes")).collect()
}

/// Checks that there is one link to each log.
fn check_links(workspace: &Workspace, what: &str) {
    let mut linked: Vec<_> = held_links(workspace).iter().map(|link| link.metadata().unwrap().ino()).collect();
    let logs = ["runs.jsonl", "decision_traces.jsonl", "commit_issue_links.jsonl", "activity-1.jsonl"];
    let logs = logs.iter().filter_map(|name| log_path(workspace, name).metadata().ok());
    let mut logs: Vec<_> = logs.map(|log| log.ino()).collect();
    linked.sort_unstable();
    logs.sort_unstable();
    assert_eq!(linked, logs, "{what}: {:?}", held_links(workspace));
}

#[test]
fn keep_killed_at_any_moment_loses_no_row_and_keeps_none_twice() {
    for scenario in SCENARIOS {
        let trial = HistoryTrial::prepare(scenario, 1_000);
        let workspace = trial.workspace();
        let begun = std::time::Instant::now();
        assert_eq!(workspace.command().status().unwrap().code(), Some(scenario.code));
        let duration = begun.elapsed();
        trial.check_next_runs(&workspace, "no kill");
        for moment in 0..8 {
            let workspace = trial.workspace();
            let mut child = workspace.command().spawn().unwrap();
            std::thread::sleep(duration * moment / 8);
            child.kill().unwrap();
            let outcome = Outcome::of(child.wait().unwrap());
            let what = format!("killed at {moment} of 8");
            trial.check(&workspace, outcome, &what);
            trial.check_next_runs(&workspace, &what);
        }
    }
}

/// A run that is killed after it has published its segment leaves the old checkpoint and all links.
#[test]
fn run_after_a_kill_between_segment_and_checkpoint_keeps_no_row_twice() {
    for scenario in [CONTINUE, REMOVED] {
        let trial = HistoryTrial::prepare(scenario, 6);
        let workspace = trial.workspace();
        let checkpoint = workspace.path(HISTORY).join("checkpoint");
        let old = fs::read(&checkpoint).unwrap();
        let links: Vec<_> = held_links(&workspace).into_iter().enumerate().collect();
        for (index, link) in &links {
            fs::hard_link(link, workspace.path("out").join(index.to_string())).unwrap();
        }
        assert_eq!(workspace.command().status().unwrap().code(), Some(scenario.code));
        let new = fs::read(&checkpoint).unwrap();
        fs::write(&checkpoint, &old).unwrap();
        let is_released = |(_, link): &&(usize, PathBuf)| !link.exists();
        assert!(links.iter().filter(is_released).count() > 0 && new != old);
        for (index, link) in links.iter().filter(is_released) {
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            fs::hard_link(workspace.path("out").join(index.to_string()), link).unwrap();
        }
        trial.check_next_runs(&workspace, "killed after it published the segment");
    }
}

#[test]
#[ignore = "takes minutes and needs strace"]
fn keep_killed_before_every_system_call_loses_no_row_and_keeps_none_twice() {
    for scenario in all_scenarios() {
        let trial = HistoryTrial::prepare(scenario, 6);
        let (calls, out_of_reach) = trial.workspace().calls();
        let injections = in_parallel(&calls, |(call, number)| {
            let workspace = trial.workspace();
            let what = format!("killed before {call} {number}");
            let (output, injection) =
                workspace.command_with_injection(call, *number, &format!("signal=KILL:when={number}"));
            let outcome = Outcome::of(output.status);
            assert_eq!(injection != Injection::Missed, outcome == Outcome::Killed, "{what}: {outcome:?}");
            trial.check(&workspace, outcome, &what);
            trial.check_next_runs(&workspace, &what);
            injection
        });
        check_injections(&format!("{}, kills before system calls", scenario.name), &injections, out_of_reach);
    }
}

#[test]
#[ignore = "takes minutes and needs strace"]
fn keep_survives_the_failure_of_each_system_call() {
    for scenario in all_scenarios() {
        let trial = HistoryTrial::prepare(scenario, 6);
        let (calls, out_of_reach) = trial.workspace().calls();
        let faults: Vec<_> = calls
            .iter()
            .flat_map(|(call, number)| errors_of(call).iter().map(move |error| (call.clone(), *number, *error)))
            .collect();
        let injections = in_parallel(&faults, |(call, number, error)| {
            let workspace = trial.workspace();
            let (output, injection) =
                workspace.command_with_injection(call, *number, &format!("error={error}:when={number}"));
            let errors = String::from_utf8_lossy(&output.stderr);
            let what = format!("{call} {number} fails with {error}: {errors}");
            assert!(!errors.contains("panicked"), "{}, {what}", scenario.name);
            let may_leave = ["unlink", "unlinkat", "rmdir", "openat", "getdents64", "newfstatat", "statx", "fcntl"];
            let outcome = Outcome::of(output.status);
            let may_leave = may_leave.contains(&call.as_str());
            let outcome = if may_leave { outcome.with_leftovers_allowed() } else { outcome };
            trial.check(&workspace, outcome, &what);
            trial.check_next_runs(&workspace, &what);
            injection
        });
        check_injections(&format!("{}, failures of system calls", scenario.name), &injections, out_of_reach);
    }
}

#[test]
fn file_size_limit_leaves_the_history_as_it_was() {
    for scenario in SCENARIOS {
        let trial = HistoryTrial::prepare(scenario, 1_000);
        for (blocks, ignored) in [(0, true), (1, true), (8, true), (1, false)] {
            let workspace = trial.workspace();
            let trap = if ignored { "trap '' XFSZ; " } else { "" };
            let output = workspace.command_after(&format!("{trap}ulimit -f {blocks}")).stderr(Stdio::piped()).output();
            let output = output.unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            let what = format!("no file longer than {blocks} blocks: {errors}");
            trial.check(&workspace, Outcome::of(output.status), &what);
            trial.check_next_runs(&workspace, &what);
        }
    }
}

#[test]
fn read_only_directories_leave_the_history_as_it_was() {
    for scenario in SCENARIOS {
        let trial = HistoryTrial::prepare(scenario, 6);
        for (dir, code) in [(HISTORY, Some(1)), ("home/.patchwork", None), ("home/.patchwork/.patchwork-traces", None)]
        {
            let workspace = trial.workspace();
            if !workspace.path(dir).exists() {
                continue;
            }
            workspace.change_owner(65_534);
            workspace.set_mode(dir, 0o500);
            let output = as_unprivileged_user(&mut workspace.command()).stderr(Stdio::piped()).output().unwrap();
            workspace.set_mode(dir, 0o700);
            let what = format!("{dir} may not be written: {}", String::from_utf8_lossy(&output.stderr));
            // Without links, rows of this run are not in danger.
            assert_eq!(output.status.code(), code.or(Some(scenario.code)), "{what}");
            trial.check(&workspace, Outcome::of(output.status), &what);
            trial.check_next_runs(&workspace, &what);
        }
    }
}

#[test]
fn runs_at_once_follow_each_other() {
    for scenario in SCENARIOS {
        let trial = HistoryTrial::prepare(scenario, 300);
        let workspace = trial.workspace();
        let mut runs: Vec<_> = (0..4).map(|_| workspace.command().spawn().unwrap()).collect();
        for run in &mut runs {
            let code = run.wait().unwrap().code();
            assert!(code == Some(0) || code == Some(scenario.code), "{}: {code:?}", scenario.name);
        }
        let history = open(&workspace.path(HISTORY)).unwrap();
        let numbers: Vec<_> = history.segments().iter().map(|segment| segment.number).collect();
        assert_eq!(numbers, (0..trial.segments as u64 + 4).collect::<Vec<_>>());
        trial.check_next_runs(&workspace, "four runs at once");
    }
}
