//! `patchwork-traces demo`: runs the program on sample logs in a temporary directory.

use std::path::Path;
use std::process::Command;

use patchwork_traces::Error;
use patchwork_traces::error::IoAction;
use schemars::JsonSchema;
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::cli::failure::{CommandResult, Failure};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::{self, Output};
use crate::cli::terminal::term::{self, DIM, HINT, paint};

/// A sample log: its directory, its name and its content.
struct Sample(&'static str, &'static str, &'static [u8]);

macro_rules! sample {
    ($dir:literal, $name:literal) => {
        Sample($dir, $name, include_bytes!(concat!("../../../fixtures/sample-logs/", $dir, "/", $name)))
    };
}

static SAMPLES: [Sample; 7] = [
    sample!("patchwork", "runs.jsonl.1"),
    sample!("patchwork", "runs.jsonl"),
    sample!("patchwork", "decision_traces.jsonl"),
    sample!("patchwork", "commit_issue_links.jsonl"),
    sample!("patchwork", "outcome-log.jsonl"),
    sample!("ide", "activity-3100.jsonl"),
    sample!("ide", "activity-3101.jsonl"),
];

/// The names of the tour's bundle and of its truncated copy.
const BUNDLE: &str = "traces.jsonl.gz";
const DAMAGED: &str = "damaged.jsonl.gz";

/// The tour: a description and a command for each step.
const STEPS: &[(&str, &[&str])] = &[
    (
        "Bundle the logs of a machine into one file.",
        &["export", "--patchwork-dir", "patchwork", "--activity-dir", "ide", "-o", BUNDLE],
    ),
    ("Show what the bundle contains.", &["inspect", BUNDLE]),
    ("Print one source, exactly as it is in its log.", &["cat", BUNDLE, "--source", "decision_traces"]),
    (
        "Print the last hours of several sources.",
        &["cat", BUNDLE, "--source", "activity", "--source", "runs", "--since", "2026-05-22T10:00:00Z"],
    ),
    ("Check the bundle for damage.", &["verify", BUNDLE]),
    (
        "Restore the logs on a new machine.",
        &["import", BUNDLE, "--patchwork-dir", "new/patchwork", "--activity-dir", "new/ide"],
    ),
    (
        "Import the bundle again: no row is duplicated.",
        &["import", BUNDLE, "--patchwork-dir", "new/patchwork", "--activity-dir", "new/ide"],
    ),
    ("A copy has lost its last third. List its problems.", &["verify", DAMAGED]),
    ("Save the intact rows to a new bundle.", &["recover", DAMAGED, "-o", "recovered.jsonl.gz"]),
    #[cfg(feature = "report")]
    ("Write a report that opens in any browser.", &["report", BUNDLE, "-o", "report.html"]),
];

/// The result of `demo --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces demo --json")]
pub struct DemoJson {
    /// The steps of the tour.
    steps: Vec<StepJson>,
}

/// One step of the tour.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StepJson {
    /// The description.
    about: &'static str,
    /// The command.
    command: String,
    /// The standard output.
    stdout: String,
    /// The standard error.
    stderr: String,
    /// The exit code.
    exit_code: Option<i32>,
}

/// Runs the tour.
pub fn run(output: Output) -> CommandResult {
    let failed = |error| Failure::Error(Error::io(IoAction::Create, std::env::temp_dir(), error));
    let dir = tempfile::tempdir().map_err(failed)?;
    write_samples(dir.path()).map_err(failed)?;
    let (mut steps, mut exit) = (Vec::new(), Exit::Done);
    for &(about, arguments) in STEPS {
        let step = run_step(dir.path(), about, arguments, output)?;
        interrupt::check()?;
        if !output.json {
            output::print(&step_text(&step))?;
        }
        // The tour also shows a damaged bundle, for which the exit code is 3.
        let has_failed = !matches!(step.exit_code, Some(0 | 3));
        steps.push(step);
        if has_failed {
            exit = Exit::Failed;
            break;
        }
        if steps.len() == 1 {
            write_damaged(dir.path()).map_err(failed)?;
        }
    }
    if output.json {
        output::print(&output::json_text(&DemoJson { steps })?)?;
    }
    Ok(exit)
}

fn write_samples(dir: &Path) -> std::io::Result<()> {
    for Sample(subdir, name, content) in &SAMPLES {
        std::fs::create_dir_all(dir.join(subdir))?;
        std::fs::write(dir.join(subdir).join(name), content)?;
    }
    Ok(())
}

/// Copies the bundle without its last third.
fn write_damaged(dir: &Path) -> std::io::Result<()> {
    let bundle = std::fs::read(dir.join(BUNDLE))?;
    std::fs::write(dir.join(DAMAGED), &bundle[..bundle.len() / 3 * 2])
}

fn run_step(dir: &Path, about: &'static str, arguments: &[&str], output: Output) -> Result<StepJson, Failure> {
    let failed = |error| Error::io_named(IoAction::Open, env!("CARGO_PKG_NAME"), error);
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).env("COLUMNS", term::width().to_string());
    if !output.json && term::has_color_on_stdout() {
        command.env("CLICOLOR_FORCE", "1");
    }
    let output = command.output().map_err(failed)?;
    Ok(StepJson {
        about,
        command: format!("{} {}", env!("CARGO_PKG_NAME"), arguments.join(" ")),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        exit_code: output.status.code(),
    })
}

fn step_text(step: &StepJson) -> String {
    let about = paint(DIM, &format!("# {}", step.about));
    let mut text = format!("{about}\n{} {}\n", paint(HINT, "$"), step.command);
    for line in step.stdout.lines().chain(step.stderr.lines()) {
        // Only rows can be wider than the screen.
        text += &if line.starts_with('{') { truncate(line) } else { line.to_owned() };
        text.push('\n');
    }
    if let Some(code) = step.exit_code.filter(|code| *code != 0) {
        text += &format!("(exit code {code})\n");
    }
    text + "\n"
}

/// Truncates a row to the width of the terminal.
fn truncate(row: &str) -> String {
    const END: &str = " ...";
    let mut shown = String::new();
    for character in row.chars() {
        if shown.width() + character.width().unwrap_or_default() + END.len() > term::width() {
            return shown + END;
        }
        shown.push(character);
    }
    shown
}
