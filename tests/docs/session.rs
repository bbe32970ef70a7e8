//! Runs the commands of one document in one shell, each on the machine that its prompt names.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common::coverage;
use crate::common::search_path::program_alone;

/// The machine of a prompt without a name.
const HERE: &str = "me";

/// The maximum time of all commands of a document. They take seconds, so a command that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(240);

/// A machine without logs. All others have the sample logs.
const EMPTY: &str = "new";

/// Files of the project that readers have in their home.
const PROVIDED: [(&str, &str); 3] = [
    ("docs/verify_bundle.py", "verify_bundle.py"),
    ("docs/verify_history.py", "verify_history.py"),
    ("packaging/patchwork-traces-keep.service", "packaging/patchwork-traces-keep.service"),
];

/// Something to do, and afterwards its result.
pub struct Step {
    pub machine: String,
    pub action: Action,
}

pub enum Action {
    /// Shell commands.
    Run(String),
    /// Writes a file.
    File { path: String, content: String },
    /// A command as cron runs it: by `sh`, with next to nothing in its environment.
    Cron(String),
}

/// The end of a step.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    /// The output on both streams, in order.
    pub output: String,
}

/// The commands of a document took longer than they may.
#[derive(Debug)]
pub struct Hung {
    /// The index of the step that did not end, from 0.
    pub step: usize,
    /// The output until then.
    pub output: String,
}

/// A place with machines, each of which is a home directory.
pub struct Session {
    root: tempfile::TempDir,
    /// Has the program.
    bin: PathBuf,
}

impl Session {
    pub fn new(program: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        let session = Self { bin: program_alone(program, root.path()), root };
        fs::create_dir_all(session.home(EMPTY)).unwrap();
        for machine in [HERE, "old"] {
            let home = session.home(machine);
            copy_logs("patchwork", &home.join(".patchwork"));
            copy_logs("ide", &home.join(".claude/ide"));
        }
        for (file, to) in PROVIDED {
            let to = session.home(HERE).join(to);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), to).unwrap();
        }
        session
    }

    fn home(&self, machine: &str) -> PathBuf {
        let name = if machine.is_empty() { HERE } else { machine };
        self.root.path().join("home").join(name)
    }

    /// The search path: our program, stand-ins for programs that a test cannot run, and the system's.
    fn path(&self) -> String {
        let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docs/stand-ins");
        format!("{}:{}:{}", self.bin.display(), stand_ins.display(), std::env::var("PATH").unwrap_or_default())
    }

    /// Runs the steps, one after the other, in one shell.
    pub fn run(&self, steps: &[&Step]) -> Result<Vec<Ended>, Hung> {
        let script = self.root.path().join("script");
        fs::write(&script, self.script(steps)).unwrap();
        let Some(status) = ended_within(LIMIT, self.shell(&script)) else {
            let step = (0..steps.len()).find(|step| !self.out(*step).with_extension("code").exists());
            let step = step.expect("the shell ends behind its last step");
            let output = fs::read(self.out(step)).map(|output| String::from_utf8_lossy(&output).into_owned());
            return Err(Hung { step, output: output.unwrap_or_default() });
        };
        assert!(status.success(), "the shell ended with {status}");
        Ok((0..steps.len()).map(|index| self.ended(index)).collect())
    }

    fn shell(&self, script: &Path) -> Child {
        Command::new("bash")
            .arg(script)
            .env_clear()
            .envs(coverage::environment())
            .env("PATH", self.path())
            .env("HOMES", self.root.path().join("home"))
            .envs([("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("SOURCE_DATE_EPOCH", "1779616800")])
            // Independent of the machine's name and of name servers.
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    fn script(&self, steps: &[&Step]) -> String {
        let mut script = String::new();
        let mut machine = None;
        for (index, step) in steps.iter().enumerate() {
            if machine != Some(&step.machine) {
                writeln!(script, "export HOME={}; cd", quoted(&self.home(&step.machine).display().to_string()))
                    .unwrap();
                machine = Some(&step.machine);
            }
            let out = self.out(index).display().to_string();
            let action = self.action(index, &step.action);
            writeln!(script, "{{ {action}\n}} >{out} 2>&1; echo $? >{out}.code", out = quoted(&out)).unwrap();
        }
        script
    }

    fn action(&self, index: usize, action: &Action) -> String {
        match action {
            Action::Run(commands) => commands.clone(),
            // Jobs do not start within the same second.
            Action::Cron(command) => format!("sleep 1; env -i HOME=\"$HOME\" PATH=\"$PATH\" sh -c {}", quoted(command)),
            Action::File { path, content } => {
                let from = self.root.path().join(format!("file{index}"));
                fs::write(&from, content).unwrap();
                let mode = if content.starts_with("#!") { "755" } else { "644" };
                // The shell knows what `~` is.
                format!("install -D -m {mode} {} {path}", quoted(&from.display().to_string()))
            }
        }
    }

    fn out(&self, index: usize) -> PathBuf {
        self.root.path().join(format!("out{index}"))
    }

    fn ended(&self, index: usize) -> Ended {
        let out = self.out(index);
        let code = fs::read_to_string(out.with_extension("code")).unwrap();
        let output = String::from_utf8(fs::read(&out).unwrap()).unwrap();
        let homes = self.root.path().join("home").display().to_string();
        Ended { code: code.trim().parse().unwrap(), output: output.replace(&homes, "/home") }
    }
}

/// Waits for a process that leads a group, and ends what remains of the group, such as a service. `None` when it took
/// longer.
fn ended_within(limit: Duration, mut leader: Child) -> Option<ExitStatus> {
    let begin = Instant::now();
    let mut status = None;
    while status.is_none() && begin.elapsed() < limit {
        status = leader.try_wait().unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let group = format!("-{}", leader.id());
    // It fails where nothing remains.
    Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().unwrap();
    if status.is_none() {
        leader.wait().unwrap();
    }
    status
}

fn copy_logs(from: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sample-logs").join(from);
    for entry in fs::read_dir(samples).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Returns true if a tool exists: a program, or, as `python3:NAME`, a module of another program.
pub fn is_there(tool: &str) -> bool {
    let (program, script) = match tool.split_once(':') {
        Some((python, module)) => (python, format!("import {module}")),
        None => ("sh", format!("command -v {tool}")),
    };
    let mut command = Command::new(program);
    command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
