//! Runs the built program as a user would, with only the environment variables that a test sets.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The output and exit code of a run.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap()
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("the program was not killed by a signal"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Returns a command that runs the program in `dir`, with `dir` as its home and the tests' fixed time.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwork-traces"));
    command.args(arguments).current_dir(dir).env_clear().envs(super::coverage::environment()).env("HOME", dir);
    command.env("SOURCE_DATE_EPOCH", "1777716000").env("TZ", "UTC").env("LANG", "C.UTF-8");
    command
}

/// Runs the program to its end.
pub fn run(dir: &Path, arguments: &[&str]) -> Run {
    command(dir, arguments).stdin(Stdio::null()).output().unwrap().into()
}

/// Runs the program to its end with `input` on standard input.
pub fn run_with(dir: &Path, arguments: &[&str], input: &[u8]) -> Run {
    let mut child =
        command(dir, arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // The write fails if the program stops reading early.
        scope.spawn(move || _ = stdin.write_all(input));
        child.wait_with_output().unwrap().into()
    })
}
