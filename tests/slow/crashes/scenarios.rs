//! Commands that are stopped or refused something, and what must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A command and what it works on.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    pub name: &'static str,
    /// Its arguments; it runs in the stage's directory.
    arguments: &'static [&'static str],
    /// How it ends when nothing is in its way.
    pub code: i32,
    /// What a second run does.
    again: Again,
}

/// What a second run does when the first one was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// The same.
    TheSame,
    /// It is refused when the first one came to its end.
    RefusedIfDone,
    /// It would append again what was appended.
    Adds,
}

pub struct Scenes {
    pub export: Scene,
    pub export_over_another: Scene,
    pub import: Scene,
    pub merge: Scene,
    pub overwrite: Scene,
    pub append: Scene,
    pub recover: Scene,
}

/// Every command that writes.
pub const SCENES: Scenes = Scenes {
    export: Scene {
        name: "export",
        arguments: &["export", "-o", "out/new/bundle.gz", "--create-dirs"],
        code: 0,
        again: Again::RefusedIfDone,
    },
    export_over_another: Scene {
        name: "export --force",
        arguments: &["export", "--force", "-o", "out/old.gz"],
        code: 0,
        again: Again::TheSame,
    },
    import: Scene {
        name: "import into a new home",
        arguments: &["import", "in.gz", "--patchwork-dir", "out/p", "--activity-dir", "out/a/b"],
        code: 0,
        again: Again::TheSame,
    },
    merge: Scene { name: "import", arguments: &["import", "in.gz"], code: 0, again: Again::TheSame },
    overwrite: Scene {
        name: "import --mode overwrite",
        arguments: &["import", "in.gz", "--mode", "overwrite"],
        code: 0,
        again: Again::TheSame,
    },
    append: Scene {
        name: "import --mode append",
        arguments: &["import", "in.gz", "--mode", "append"],
        code: 0,
        again: Again::Adds,
    },
    recover: Scene {
        name: "recover",
        arguments: &["recover", "damaged.gz", "-o", "out/recovered.gz"],
        code: 3,
        again: Again::RefusedIfDone,
    },
};

impl Scenes {
    pub fn all(&self) -> [Scene; 7] {
        [self.export, self.export_over_another, self.import, self.merge, self.overwrite, self.append, self.recover]
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Code(i32),
    /// The same, but it was kept from removing something.
    CodeAndLeftovers(i32),
    Killed,
}

impl Ending {
    pub fn of(status: ExitStatus) -> Self {
        // A shell and strace give the signal on as 128 and its number.
        status.code().filter(|code| *code < 128).map_or(Self::Killed, Self::Code)
    }

    pub fn that_may_leave_something(self) -> Self {
        match self {
            Self::Code(code) => Self::CodeAndLeftovers(code),
            other => other,
        }
    }
}

/// Every file and directory of a stage, but for what a killed command may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(BTreeMap<String, Vec<u8>>);

/// What a killed command may leave: nobody takes it for a log or a bundle.
fn is_leftover(name: &str) -> bool {
    name.starts_with(".patchwork-traces-") || Path::new(name).extension().is_some_and(|extension| extension == "lock")
}

impl State {
    pub fn of(stage: &Stage) -> Self {
        let mut all = Self(BTreeMap::new());
        all.add(&stage.root, &stage.root);
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

    /// Backups have the time in their names.
    fn without_time(&self, name: &str) -> String {
        let Some((log, _)) = name.strip_suffix(".bak").and_then(|name| name.split_once(".jsonl.2")) else {
            return name.to_owned();
        };
        let numbered = |number| format!("{log}.jsonl.bak {number}");
        (1..1000).map(numbered).find(|name| !self.0.contains_key(name)).unwrap()
    }
}

/// A directory with all that a scene needs.
pub struct Stage {
    _dir: tempfile::TempDir,
    pub root: PathBuf,
    scene: Scene,
}

/// A scene, and what it makes of what.
pub struct Play {
    scene: Scene,
    model: Stage,
    old: State,
    new: State,
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_patchwork-traces")
}

fn rows(from: u64, to: u64) -> String {
    let row = |at: u64| {
        let text = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!(
            "{{\"timestamp\":\"2026-05-02T10:00:00Z\",\"createdAt\":{at},\"text\":\"{text:x}{:x}\"}}\n",
            text.rotate_left(17)
        )
    };
    (from..to).map(row).collect()
}

impl Scene {
    /// Sets the stage with logs of about so many rows, and runs the command once to see what it makes.
    pub fn rehearse(self, count: u64) -> Play {
        let model = Stage::new(self, &std::env::temp_dir());
        let logs = |from: u64, older: &str, dir: &str| {
            let (patchwork, activity) = (model.path(dir).join(".patchwork"), model.path(dir).join(".claude/ide"));
            fs::create_dir_all(&patchwork).unwrap();
            fs::create_dir_all(&activity).unwrap();
            fs::write(patchwork.join("runs.jsonl"), rows(from, from + count)).unwrap();
            fs::write(patchwork.join(older), rows(from, from + count)).unwrap();
            fs::write(activity.join("activity-1.jsonl"), rows(from, from + count)).unwrap();
        };
        logs(2, "runs.jsonl.1", "home");
        logs(count / 2 + 3, "decision_traces.jsonl", "from");
        fs::create_dir(model.path("out")).unwrap();
        fs::write(model.path("out/old.gz"), "an older bundle\n").unwrap();
        let made = model
            .program(
                &["export", "-o", "in.gz", "--patchwork-dir", "from/.patchwork", "--activity-dir", "from/.claude/ide"],
                ":",
            )
            .status();
        assert!(made.unwrap().success());
        let mut damaged = fs::read(model.path("in.gz")).unwrap();
        let last_row = damaged.len() - 30;
        damaged[last_row] ^= 1;
        fs::write(model.path("damaged.gz"), damaged).unwrap();
        fs::remove_dir_all(model.path("from")).unwrap();
        let old = State::of(&model);
        let rehearsal = model.copy_in(&std::env::temp_dir());
        assert_eq!(rehearsal.command().status().unwrap().code(), Some(self.code), "{}", self.name);
        let new = State::of(&rehearsal);
        assert!(new != old && rehearsal.leftovers().is_empty());
        Play { scene: self, model, old, new }
    }
}

impl Stage {
    fn new(scene: Scene, parent: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("stage").tempdir_in(parent).unwrap();
        let root = dir.path().canonicalize().unwrap();
        Self { _dir: dir, root, scene }
    }

    fn copy_in(&self, parent: &Path) -> Self {
        let copy = Self::new(self.scene, parent);
        copy_dir(&self.root, &copy.root);
        copy
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The scene's command.
    pub fn command(&self) -> Command {
        self.at_home(program(), self.scene.arguments)
    }

    /// The scene's command, in a shell that has done this before.
    pub fn limited(&self, before: &str) -> Command {
        self.program(self.scene.arguments, before)
    }

    /// The program with other arguments, in a shell that has done this before.
    pub fn program(&self, arguments: &[&str], before: &str) -> Command {
        let script = format!("{before}; exec \"$0\" \"$@\"");
        let mut command = self.at_home("sh", &["-c", &script, program()]);
        command.args(arguments);
        command
    }

    /// Runs the scene's command under strace, which is to do something to a call, and says whether it did.
    pub fn tampered(&self, name: &str, number: u32, what: &str) -> (Output, Hit) {
        let (output, log) = self.traced(&[&format!("--inject={name}:{what}")]);
        let hit = calls_in(&log, &self.root).into_iter().find(|call| call.name == name && call.number == number);
        let is_done = log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL");
        let hit = match hit {
            Some(call) if is_done && call.is_here => Hit::Here,
            _ if is_done => Hit::Elsewhere,
            _ => Hit::Missed,
        };
        (output, hit)
    }

    /// Runs the scene's command under strace, and gives what strace wrote.
    fn traced(&self, options: &[&str]) -> (Output, String) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = self.at_home("strace", &["-f", "-y", "-qq", "-o"]);
        command.arg(log.path()).args(options).arg(program()).args(self.scene.arguments);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        (output, String::from_utf8_lossy(&fs::read(log.path()).unwrap()).into_owned())
    }

    fn at_home(&self, program: &str, arguments: &[&str]) -> Command {
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

    /// Makes all of it somebody's, if this is root.
    pub fn give_to(&self, somebody: u32) {
        fn give(path: &Path, somebody: u32) {
            let _ = std::os::unix::fs::chown(path, Some(somebody), Some(somebody));
            if path.is_dir() {
                for entry in fs::read_dir(path).unwrap() {
                    give(&entry.unwrap().path(), somebody);
                }
            }
        }
        give(&self.root, somebody);
    }

    /// Leaves only so many bytes of its disk free.
    pub fn fill_disk_but(&self, spare: usize) -> PathBuf {
        let path = self.path("filler");
        let mut filler = fs::File::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        let length = usize::try_from(filler.metadata().unwrap().len()).unwrap();
        filler.set_len(length.saturating_sub(spare) as u64).unwrap();
        path
    }

    /// What a killed command left, at any depth.
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

fn copy_dir(from: &Path, to: &Path) {
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&to).unwrap();
            copy_dir(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

impl Play {
    pub fn stage(&self) -> Stage {
        self.stage_in(&std::env::temp_dir())
    }

    pub fn stage_in(&self, parent: &Path) -> Stage {
        self.model.copy_in(parent)
    }

    /// What the command's end says must be so, and so must every target.
    pub fn check(&self, stage: &Stage, ending: Ending, what: &str) {
        let found = State::of(stage);
        let what = format!("{}, {what}, {ending:?}", self.scene.name);
        for (path, content) in &found.0 {
            let is_known = [&self.old, &self.new].into_iter().any(|state| state.0.get(path) == Some(content));
            assert!(is_known, "{what}: {path} is neither as it was nor as it must become");
        }
        assert!(self.old.0.keys().all(|path| found.0.contains_key(path)), "{what}: something is gone");
        let left = stage.leftovers();
        match ending {
            Ending::Code(code) => {
                assert!(left.is_empty(), "{what}: it left {left:?}");
                self.check_code(&found, code, &what);
            }
            Ending::CodeAndLeftovers(code) => self.check_code(&found, code, &what),
            Ending::Killed => {}
        }
    }

    fn check_code(&self, found: &State, code: i32, what: &str) {
        match code {
            code if code == self.scene.code && *found == self.new => {}
            0 => assert!(*found == self.new, "{what}: not all was done: {}", difference(found, &self.new)),
            1 => assert!(*found == self.old, "{what}: something was changed: {}", difference(found, &self.old)),
            3 => assert!(*found != self.old, "{what}: nothing was done"),
            code => panic!("{what}: exit code {code}"),
        }
    }

    /// What the command makes when the directory is not there.
    fn new_without(&self, dir: &str) -> State {
        let stage = self.stage();
        fs::remove_dir_all(stage.path(dir)).unwrap();
        stage.command().status().unwrap();
        State::of(&stage)
    }

    /// Runs the command, and takes a directory away once some time has passed. Then checks what is in it, and in the
    /// one that the command may have made in its stead, against how the command ended; puts it back, and runs the
    /// command once more. Gives the exit code.
    pub fn check_vanishing(&self, stage: &Stage, dir: &str, after: Duration) -> i32 {
        let (place, away) = (stage.path(dir), stage.root.with_extension("away"));
        let mut child = stage.command().spawn().unwrap();
        std::thread::sleep(after);
        fs::rename(&place, &away).unwrap();
        let ending = Ending::of(child.wait().unwrap());
        let what = format!("{}, {dir} vanished after {after:?}, {ending:?}", self.scene.name);
        let in_its_stead = State::of(stage);
        let prefix = format!("{dir}/");
        let is_made = |path: &str| path.starts_with(&prefix) && !path.ends_with('/');
        let made: BTreeMap<_, _> = in_its_stead.0.iter().filter(|(path, _)| is_made(path)).collect();
        let without = self.new_without(dir);
        for (path, content) in &made {
            let known = [&self.new, &without].into_iter().any(|state| state.0.get(*path) == Some(*content));
            assert!(known, "{what}: {path}, in a new directory, is not as it must become");
        }
        if place.exists() {
            fs::remove_dir_all(&place).unwrap();
        }
        fs::rename(&away, &place).unwrap();
        let Ending::Code(code) = ending else { panic!("{what}") };
        // In the directory, it can be done to what was there or to what is there now.
        let found = State::of(stage);
        let is_done =
            |path: &String| path.ends_with('/') || found.0.get(path) == self.new.0.get(path) || made.contains_key(path);
        let is_of_what_was_there = without.0.iter().all(|(path, content)| found.0.get(path) == Some(content));
        let is_all_done = self.new.0.keys().all(is_done);
        // An empty directory that the command made in one that vanished cannot be removed any more.
        let is_file = |(path, _): &(&String, &Vec<u8>)| !path.ends_with('/');
        let is_as_it_was = found.0.iter().filter(is_file).eq(self.old.0.iter().filter(is_file)) && made.is_empty();
        match code {
            // It was gone before the command looked for logs.
            0 if is_of_what_was_there && made.is_empty() && found != self.new => return code,
            0 => assert!(is_all_done, "{what}: not all was done: {}", difference(&found, &self.new)),
            1 => assert!(is_as_it_was, "{what}: something was changed: {}", difference(&found, &self.old)),
            3 => assert!(!is_as_it_was, "{what}: nothing was done"),
            code => panic!("{what}: exit code {code}"),
        }
        self.check(stage, Ending::Killed, &what);
        self.check_next_run(stage, &what);
        code
    }

    /// How long the command takes when nothing is in its way.
    pub fn time(&self) -> Duration {
        let stage = self.stage();
        let begun = Instant::now();
        assert_eq!(stage.command().status().unwrap().code(), Some(self.scene.code));
        begun.elapsed()
    }

    /// The next run does the work, and nothing of the first is left.
    pub fn check_next_run(&self, stage: &Stage, what: &str) {
        let what = format!("{}, the run after: {what}", self.scene.name);
        let is_done = State::of(stage) == self.new;
        let output = stage.command().stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let refused = is_done && self.scene.again == Again::RefusedIfDone;
        let expected = if refused { 1 } else { self.scene.code };
        assert_eq!(output.status.code(), Some(expected), "{what}: {errors}");
        if self.scene.again != Again::Adds {
            let found = State::of(stage);
            assert!(found == self.new, "{what}: {}", difference(&found, &self.new));
        }
        assert_eq!(stage.leftovers(), Vec::<PathBuf>::new(), "{what}");
    }

    /// The system calls that the command makes on the stage and on standard output: each with which of its name it is,
    /// within its thread. Of what several threads do as their call of the same name and number there is one: strace
    /// counts in each thread, and does something to whichever comes there first. So the calls cannot be aimed at whose
    /// number the main thread reaches before there is another one, while the program is still being loaded, say; how
    /// many these are is given as well.
    pub fn calls(&self) -> (Vec<(String, u32)>, usize) {
        let stage = self.stage();
        let (output, log) = stage.traced(&[]);
        assert_eq!(output.status.code(), Some(self.scene.code));
        let seen = calls_in(&log, &stage.root);
        let of_one_thread = seen.iter().take_while(|call| call.thread == seen[0].thread);
        let key = |call: &Call| (call.name.to_owned(), call.number);
        let elsewhere: BTreeSet<_> = of_one_thread.filter(|call| !call.is_here).map(key).collect();
        let here: BTreeSet<_> = seen.iter().filter(|call| call.is_here).map(key).collect();
        (here.difference(&elsewhere).cloned().collect(), here.intersection(&elsewhere).count())
    }
}

/// What came of the plan to do something to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// The command did not come there.
    Missed,
    /// Another thread came to a call of this name and number first, and it had nothing to do with the stage.
    Elsewhere,
    /// It was done to a call on the stage.
    Here,
}

/// A system call.
struct Call<'l> {
    thread: &'l str,
    name: &'l str,
    /// Which of its name it is within its thread.
    number: u32,
    /// Whether it has to do with the stage or standard output.
    is_here: bool,
}

/// The system calls in what strace wrote, in their order.
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

/// Does `work` for each of `items`, several at a time, and gives what came of each, in any order.
pub fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) -> Hit + Sync) -> Vec<Hit> {
    let (next, hits) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let hit = work(item);
                    hits.lock().unwrap().push(hit);
                }
            });
        }
    });
    hits.into_inner().unwrap()
}
