//! Runs the built program on a terminal, on which something is typed.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::Home;
use super::skip_note::skip_without;

/// Runs a command of the program on a terminal. `typed` is typed line by line, each after its prompt. Returns what the
/// terminal showed, and the exit code as `code 0`; or `None` where there is no `script` to make a terminal.
pub fn typed_on_terminal(
    home: &Home,
    command: &str,
    variables: &[(&str, String)],
    typed: &[(&str, &str)],
) -> Option<String> {
    let mut terminal = Command::new("script");
    let script = format!("\"$PROGRAM\" {command}; echo \"code $?\"");
    terminal.args(["--quiet", "--return", "--command", &script, "/dev/null"]).current_dir(home.path());
    terminal.env("SHELL", "/bin/sh").env("PROGRAM", env!("CARGO_BIN_EXE_patchwork-traces")).env("HOME", home.path());
    terminal.env("LANG", "C.UTF-8").env("TERM", "xterm").env_remove("PATCHWORK_TRACES_PASSPHRASE");
    terminal.envs(variables.iter().map(|(name, value)| (name, value)));
    let Ok(mut terminal) = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        skip_without("script", "nothing was typed");
        return None;
    };
    let (mut input, mut output) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let mut shown = Vec::new();
    for (prompt, answer) in typed {
        let before = shown.len();
        while !shown[before..].ends_with(prompt.as_bytes()) {
            let mut byte = [0];
            assert_eq!(output.read(&mut byte).unwrap(), 1, "no {prompt:?}: {}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        input.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    output.read_to_end(&mut shown).unwrap();
    terminal.wait().unwrap();
    Some(String::from_utf8(shown).unwrap())
}
