//! Commands that are killed or meet a failing system, and the states that are allowed afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A command and its input.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// The arguments; the command runs in the directory of its workspace.
    pub arguments: &'static [&'static str],
    /// The exit code of an undisturbed run.
    pub code: i32,
    /// The effect of a second run.
    pub second_run: SecondRun,
}

/// The effect of a second run after the first one was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondRun {
    /// The same result.
    TheSame,
    /// A refusal if the first run was complete.
    RefusedIfDone,
    /// The same rows are appended again.
    Adds,
}

pub struct Scenarios {
    pub export: Scenario,
    pub export_over_another: Scenario,
    pub import: Scenario,
    pub merge: Scenario,
    pub overwrite: Scenario,
    pub append: Scenario,
    pub recover: Scenario,
}

/// Every command that writes.
pub const SCENARIOS: Scenarios = Scenarios {
    export: Scenario {
        name: "export",
        arguments: &["export", "-o", "out/new/bundle.gz", "--create-dirs"],
        code: 0,
        second_run: SecondRun::RefusedIfDone,
    },
    export_over_another: Scenario {
        name: "export --force",
        arguments: &["export", "--force", "-o", "out/old.gz"],
        code: 0,
        second_run: SecondRun::TheSame,
    },
    import: Scenario {
        name: "import into a new home",
        arguments: &["import", "in.gz", "--patchwork-dir", "out/p", "--activity-dir", "out/a/b"],
        code: 0,
        second_run: SecondRun::TheSame,
    },
    merge: Scenario { name: "import", arguments: &["import", "in.gz"], code: 0, second_run: SecondRun::TheSame },
    overwrite: Scenario {
        name: "import --mode overwrite",
        arguments: &["import", "in.gz", "--mode", "overwrite"],
        code: 0,
        second_run: SecondRun::TheSame,
    },
    append: Scenario {
        name: "import --mode append",
        arguments: &["import", "in.gz", "--mode", "append"],
        code: 0,
        second_run: SecondRun::Adds,
    },
    recover: Scenario {
        name: "recover",
        arguments: &["recover", "damaged.gz", "-o", "out/recovered.gz"],
        code: 3,
        second_run: SecondRun::RefusedIfDone,
    },
};

impl Scenarios {
    pub fn all(&self) -> [Scenario; 7] {
        [self.export, self.export_over_another, self.import, self.merge, self.overwrite, self.append, self.recover]
    }
}

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Code(i32),
    /// An exit code after the command could not remove its temporary files.
    CodeAndLeftovers(i32),
    Killed,
}

impl Outcome {
    pub fn of(status: ExitStatus) -> Self {
        // A shell and strace report a signal as 128 plus its number.
        status.code().filter(|code| *code < 128).map_or(Self::Killed, Self::Code)
    }

    pub fn with_leftovers_allowed(self) -> Self {
        match self {
            Self::Code(code) => Self::CodeAndLeftovers(code),
            other => other,
        }
    }
}

/// Every file and directory of a workspace, without leftovers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(BTreeMap<String, Vec<u8>>);

/// Returns true for a file that a killed command may leave, because no program takes it for a log or a bundle.
fn is_leftover(name: &str) -> bool {
    name.starts_with(".patchwork-traces-") || Path::new(name).extension().is_some_and(|extension| extension == "lock")
}

impl State {
    pub fn of(workspace: &Workspace) -> Self {
        let mut all = Self(BTreeMap::new());
        all.add(&workspace.root, &workspace.root);
        all
    }

    fn add(&mut self, root: &Path, dir: &Path) {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if is_leftover(name) || name == "filler" {
                continue;
            }
            let shown = path.strip_prefix(root).unwrap().to_str().unwrap();
            if path.is_dir() {
                self.0.insert(format!("{shown}/"), Vec::new());
                self.add(root, &path);
            } else {
                self.0.insert(self.without_time(shown), fs::read(&path).unwrap());
            }
        }
    }

    /// Replaces the time in the name of a backup with a number.
    fn without_time(&self, name: &str) -> String {
        let Some((log, _)) = name.strip_suffix(".bak").and_then(|name| name.split_once(".jsonl.2")) else {
            return name.to_owned();
        };
        let numbered = |number| format!("{log}.jsonl.bak {number}");
        (1..1000).map(numbered).find(|name| !self.0.contains_key(name)).unwrap()
    }
}

/// A directory with the input of a scenario.
pub struct Workspace {
    _dir: tempfile::TempDir,
    pub root: PathBuf,
    scenario: Scenario,
}

/// A scenario, with the states before and after an undisturbed run.
pub struct Trial {
    scenario: Scenario,
    template: Workspace,
    old: State,
    new: State,
}

fn program_path() -> &'static str {
    env!("CARGO_BIN_EXE_patchwork-traces")
}

/// Returns the rows `from` up to `to`, which all differ.
pub fn rows(from: u64, to: u64) -> String {
    let row = |at: u64| {
        let text = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(
            "{{\"timestamp\":\"2026-05-02T10:00:00Z\",\"createdAt\":{at},\"text\":\"{text:x}{:x}\"}}\n",
            text.rotate_left(17)
        )
    };
    (from..to).map(row).collect()
}

impl Scenario {
    /// Prepares a workspace with logs of about `count` rows, and runs the command once to learn its result.
    pub fn prepare(self, count: u64) -> Trial {
        let template = Workspace::new(self, &std::env::temp_dir());
        let logs = |from: u64, older: &str, dir: &str| {
            let (patchwork, activity) = (template.path(dir).join(".patchwork"), template.path(dir).join(".claude/ide"));
            fs::create_dir_all(&patchwork).unwrap();
            fs::create_dir_all(&activity).unwrap();
            fs::write(patchwork.join("runs.jsonl"), rows(from, from + count)).unwrap();
            fs::write(patchwork.join(older), rows(from, from + count)).unwrap();
            fs::write(activity.join("activity-1.jsonl"), rows(from, from + count)).unwrap();
        };
        logs(2, "runs.jsonl.1", "home");
        logs(count / 2 + 3, "decision_traces.jsonl", "from");
        fs::create_dir(template.path("out")).unwrap();
        fs::write(template.path("out/old.gz"), "an older bundle\n").unwrap();
        let created = template
            .program_after(
                &["export", "-o", "in.gz", "--patchwork-dir", "from/.patchwork", "--activity-dir", "from/.claude/ide"],
                ":",
            )
            .status();
        assert!(created.unwrap().success());
        let mut damaged = fs::read(template.path("in.gz")).unwrap();
        let last_row = damaged.len() - 30;
        damaged[last_row] ^= 1;
        fs::write(template.path("damaged.gz"), damaged).unwrap();
        fs::remove_dir_all(template.path("from")).unwrap();
        let old = State::of(&template);
        let first_run = template.copy_in(&std::env::temp_dir());
        assert_eq!(first_run.command().status().unwrap().code(), Some(self.code), "{}", self.name);
        let new = State::of(&first_run);
        assert!(new != old && first_run.leftovers().is_empty());
        Trial { scenario: self, template, old, new }
    }
}

impl Workspace {
    pub fn new(scenario: Scenario, parent: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("workspace").tempdir_in(parent).unwrap();
        let root = dir.path().canonicalize().unwrap();
        Self { _dir: dir, root, scenario }
    }

    pub fn copy_in(&self, parent: &Path) -> Self {
        let copy = Self::new(self.scenario, parent);
        copy_dir(&self.root, &copy.root, &mut BTreeMap::new());
        copy
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the scenario's command.
    pub fn command(&self) -> Command {
        self.command_in_workspace(program_path(), self.scenario.arguments)
    }

    /// Returns the scenario's command in a shell that runs `before` first.
    pub fn command_after(&self, before: &str) -> Command {
        self.program_after(self.scenario.arguments, before)
    }

    /// Returns the program with other arguments in a shell that runs `before` first.
    pub fn program_after(&self, arguments: &[&str], before: &str) -> Command {
        let script = format!("{before}; exec \"$0\" \"$@\"");
        let mut command = self.command_in_workspace("sh", &["-c", &script, program_path()]);
        command.args(arguments);
        command
    }

    /// Runs the scenario's command under strace, which injects a fault into a system call, and tells which call it met.
    pub fn command_with_injection(&self, name: &str, number: u32, what: &str) -> (Output, Injection) {
        let (output, log) = self.run_traced(&[&format!("--inject={name}:{what}")]);
        let injection = calls_in(&log, &self.root).into_iter().find(|call| call.name == name && call.number == number);
        let is_done = log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL");
        let injection = match injection {
            Some(call) if is_done && call.is_here => Injection::OnTheWorkspace,
            _ if is_done => Injection::OnAnotherCall,
            _ => Injection::Missed,
        };
        (output, injection)
    }

    /// Runs the scenario's command under strace, and returns the log of strace.
    fn run_traced(&self, options: &[&str]) -> (Output, String) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = self.command_in_workspace("strace", &["-f", "-y", "-qq", "-o"]);
        command.arg(log.path()).args(options).arg(program_path()).args(self.scenario.arguments);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        (output, String::from_utf8_lossy(&fs::read(log.path()).unwrap()).into_owned())
    }

    /// Runs the scenario's command, and returns its system calls on the workspace and on standard output, each with its
    /// number among the calls of its name within its thread. Calls of several threads with one name and number are listed
    /// once, because strace counts in each thread and injects into the call that comes first. So a call is out of reach if
    /// the main thread makes a call of its name and number elsewhere before there is another thread. Also returns the number
    /// of these.
    pub fn calls(&self) -> (Vec<(String, u32)>, usize) {
        let (output, log) = self.run_traced(&[]);
        assert_eq!(output.status.code(), Some(self.scenario.code));
        let seen = calls_in(&log, &self.root);
        let of_one_thread = seen.iter().take_while(|call| call.thread == seen[0].thread);
        let key = |call: &Call| (call.name.to_owned(), call.number);
        let elsewhere: BTreeSet<_> = of_one_thread.filter(|call| !call.is_here).map(key).collect();
        let here: BTreeSet<_> = seen.iter().filter(|call| call.is_here).map(key).collect();
        (here.difference(&elsewhere).cloned().collect(), here.intersection(&elsewhere).count())
    }

    fn command_in_workspace(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root).env_clear().envs(crate::common::coverage::environment());
        command.env("HOME", self.path("home")).env("SOURCE_DATE_EPOCH", "1777716000").env("PATH", "/usr/bin:/bin");
        command.env("TMPDIR", self.path("out"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Gives every file to `user`, if root runs the test.
    pub fn change_owner(&self, user: u32) {
        fn change(path: &Path, user: u32) {
            let _ = std::os::unix::fs::chown(path, Some(user), Some(user));
            if path.is_dir() {
                for entry in fs::read_dir(path).unwrap() {
                    change(&entry.unwrap().path(), user);
                }
            }
        }
        change(&self.root, user);
    }

    /// Fills the disk of the workspace except for `spare` bytes.
    pub fn fill_disk_except(&self, spare: usize) -> PathBuf {
        let path = self.path("filler");
        let mut filler = fs::File::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        let length = usize::try_from(filler.metadata().unwrap().len()).unwrap();
        filler.set_len(length.saturating_sub(spare) as u64).unwrap();
        path
    }

    /// Returns the leftovers of a killed command, at any depth.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
            for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if is_leftover(path.file_name().unwrap().to_str().unwrap()) {
                    found.push(path);
                } else if path.is_dir() {
                    collect(&path, found);
                }
            }
        }
        let mut found = Vec::new();
        collect(&self.root, &mut found);
        found
    }
}

/// Copies a directory. Hard links to one file become hard links to one copy, which `copied` has by the file's number.
fn copy_dir(from: &Path, to: &Path, copied: &mut BTreeMap<u64, PathBuf>) {
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let to = to.join(path.file_name().unwrap());
        let number = path.metadata().unwrap().ino();
        if path.is_dir() {
            fs::create_dir(&to).unwrap();
            copy_dir(&path, &to, copied);
        } else if let Some(copy) = copied.get(&number) {
            fs::hard_link(copy, &to).unwrap();
        } else {
            fs::copy(&path, &to).unwrap();
            copied.insert(number, to);
        }
    }
}

impl Trial {
    pub fn workspace(&self) -> Workspace {
        self.workspace_in(&std::env::temp_dir())
    }

    pub fn workspace_in(&self, parent: &Path) -> Workspace {
        self.template.copy_in(parent)
    }

    /// Checks that every file is in its old or its new state, and that the outcome of the command fits the state.
    pub fn check(&self, workspace: &Workspace, outcome: Outcome, what: &str) {
        let found = State::of(workspace);
        let what = format!("{}, {what}, {outcome:?}", self.scenario.name);
        for (path, content) in &found.0 {
            let is_known = [&self.old, &self.new].into_iter().any(|state| state.0.get(path) == Some(content));
            assert!(is_known, "{what}: {path} is neither as it was nor as it must become");
        }
        assert!(self.old.0.keys().all(|path| found.0.contains_key(path)), "{what}: something is gone");
        let leftovers = workspace.leftovers();
        match outcome {
            Outcome::Code(code) => {
                assert!(leftovers.is_empty(), "{what}: it left {leftovers:?}");
                self.check_code(&found, code, &what);
            }
            Outcome::CodeAndLeftovers(code) => self.check_code(&found, code, &what),
            Outcome::Killed => {}
        }
    }

    fn check_code(&self, found: &State, code: i32, what: &str) {
        match code {
            code if code == self.scenario.code && *found == self.new => {}
            0 => assert!(*found == self.new, "{what}: not all was done: {}", difference(found, &self.new)),
            1 => assert!(*found == self.old, "{what}: something was changed: {}", difference(found, &self.old)),
            3 => assert!(*found != self.old, "{what}: nothing was done"),
            code => panic!("{what}: exit code {code}"),
        }
    }

    /// Returns the state after a run without the directory.
    fn new_state_without(&self, dir: &str) -> State {
        let workspace = self.workspace();
        fs::remove_dir_all(workspace.path(dir)).unwrap();
        workspace.command().status().unwrap();
        State::of(&workspace)
    }

    /// Runs the command, and moves a directory away after a while. Then checks the directory, and the one that the
    /// command may have created instead, against the exit code; moves the directory back, and runs the command again.
    /// Returns the exit code.
    pub fn check_removed_directory(&self, workspace: &Workspace, dir: &str, after: Duration) -> i32 {
        let (dir_path, moved_dir) = (workspace.path(dir), workspace.root.with_extension("away"));
        let mut child = workspace.command().spawn().unwrap();
        std::thread::sleep(after);
        fs::rename(&dir_path, &moved_dir).unwrap();
        let outcome = Outcome::of(child.wait().unwrap());
        let what = format!("{}, {dir} vanished after {after:?}, {outcome:?}", self.scenario.name);
        let new_dir_state = State::of(workspace);
        let prefix = format!("{dir}/");
        let is_created = |path: &str| path.starts_with(&prefix) && !path.ends_with('/');
        let created: BTreeMap<_, _> = new_dir_state.0.iter().filter(|(path, _)| is_created(path)).collect();
        let without = self.new_state_without(dir);
        for (path, content) in &created {
            let known = [&self.new, &without].into_iter().any(|state| state.0.get(*path) == Some(*content));
            assert!(known, "{what}: {path}, in a new directory, is not as it must become");
        }
        if dir_path.exists() {
            fs::remove_dir_all(&dir_path).unwrap();
        }
        fs::rename(&moved_dir, &dir_path).unwrap();
        let Outcome::Code(code) = outcome else { panic!("{what}") };
        // The command can have worked on the old directory or on the new one.
        let found = State::of(workspace);
        let is_done = |path: &String| {
            path.ends_with('/') || found.0.get(path) == self.new.0.get(path) || created.contains_key(path)
        };
        let matches_run_without_dir = without.0.iter().all(|(path, content)| found.0.get(path) == Some(content));
        let is_all_done = self.new.0.keys().all(is_done);
        // An empty directory that the command made in one that vanished cannot be removed any more.
        let is_file = |(path, _): &(&String, &Vec<u8>)| !path.ends_with('/');
        let is_as_it_was = found.0.iter().filter(is_file).eq(self.old.0.iter().filter(is_file)) && created.is_empty();
        match code {
            // It was gone before the command looked for logs.
            0 if matches_run_without_dir && created.is_empty() && found != self.new => return code,
            0 => assert!(is_all_done, "{what}: not all was done: {}", difference(&found, &self.new)),
            1 => assert!(is_as_it_was, "{what}: something was changed: {}", difference(&found, &self.old)),
            3 => assert!(!is_as_it_was, "{what}: nothing was done"),
            code => panic!("{what}: exit code {code}"),
        }
        self.check(workspace, Outcome::Killed, &what);
        self.check_next_run(workspace, &what);
        code
    }

    /// Measures an undisturbed run.
    pub fn time(&self) -> Duration {
        let workspace = self.workspace();
        let begun = Instant::now();
        assert_eq!(workspace.command().status().unwrap().code(), Some(self.scenario.code));
        begun.elapsed()
    }

    /// Checks that the next run completes the work and removes the leftovers of the first.
    pub fn check_next_run(&self, workspace: &Workspace, what: &str) {
        let what = format!("{}, the run after: {what}", self.scenario.name);
        let is_done = State::of(workspace) == self.new;
        let output = workspace.command().stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let refused = is_done && self.scenario.second_run == SecondRun::RefusedIfDone;
        let expected = if refused { 1 } else { self.scenario.code };
        assert_eq!(output.status.code(), Some(expected), "{what}: {errors}");
        if self.scenario.second_run != SecondRun::Adds {
            let found = State::of(workspace);
            assert!(found == self.new, "{what}: {}", difference(&found, &self.new));
        }
        assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new(), "{what}");
    }

    /// Returns the system calls of the command as [`Workspace::calls`] does.
    pub fn calls(&self) -> (Vec<(String, u32)>, usize) {
        self.workspace().calls()
    }
}

/// The result of a planned injection into a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// The command did not make the call.
    Missed,
    /// The injection met a call of this name and number by another thread, outside of the workspace.
    OnAnotherCall,
    /// The injection met a call on the workspace.
    OnTheWorkspace,
}

/// A system call.
struct Call<'l> {
    thread: &'l str,
    name: &'l str,
    /// The number among the calls of its name within its thread.
    number: u32,
    /// True for a call on the workspace or standard output.
    is_here: bool,
}

/// Parses the log of strace into system calls, in order.
fn calls_in<'l>(log: &'l str, root: &Path) -> Vec<Call<'l>> {
    let root = root.to_str().unwrap();
    let here = format!("AT_FDCWD<{root}>, \"");
    let mut counts: BTreeMap<_, u32> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        let Some((name, arguments)) = call.trim_start().split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            continue;
        }
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        // A path that begins at the root of the system has nothing to do with the directory it is run in.
        let arguments = arguments.replace(&format!("{here}/"), "\"/").replace(&here, &format!("\"{root}/"));
        let is_here = name != "execve" && (arguments.contains(root) || arguments.starts_with("1<"));
        calls.push(Call { thread, name, number: *count, is_here });
    }
    calls
}

fn difference(found: &State, expected: &State) -> String {
    let paths = found.0.keys().chain(expected.0.keys());
    let differing = paths.filter(|path| found.0.get(*path) != expected.0.get(*path));
    let shown = |path: &String| {
        let length = |state: &State| state.0.get(path).map_or("no".to_owned(), |content| content.len().to_string());
        format!("{path} has {} bytes, not {}", length(found), length(expected))
    };
    differing.map(shown).collect::<Vec<_>>().join("; ")
}

/// Runs `work` for each of `items` on every core, and returns the results in any order.
pub fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) -> Injection + Sync) -> Vec<Injection> {
    let (next, injections) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let injection = work(item);
                    injections.lock().unwrap().push(injection);
                }
            });
        }
    });
    injections.into_inner().unwrap()
}
