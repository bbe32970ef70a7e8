//! Runs the built program as a user would, with an empty environment but for what a test sets.
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
            code: output.status.code().expect("no signal ended it"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The program, in `dir`, with `dir` as its home and the tests' fixed time.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwork-traces"));
    command.args(arguments).current_dir(dir).env_clear().envs(super::coverage::environment()).env("HOME", dir);
    command.env("SOURCE_DATE_EPOCH", "1777716000").env("TZ", "UTC").env("LANG", "C.UTF-8");
    command
}

/// Runs it to its end.
pub fn run(dir: &Path, arguments: &[&str]) -> Run {
    command(dir, arguments).stdin(Stdio::null()).output().unwrap().into()
}

/// Runs it to its end with `input` on standard input.
pub fn run_with(dir: &Path, arguments: &[&str], input: &[u8]) -> Run {
    let mut child =
        command(dir, arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that has seen enough stops reading.
        scope.spawn(move || _ = stdin.write_all(input));
        child.wait_with_output().unwrap().into()
    })
}
