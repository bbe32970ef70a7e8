//! Runs every command in README.md and docs/, and compares its output with the one shown below it.
//!
//! The words after a block's fence tell the test how to run the block:
//!
//! - `console`: a session. Each line that begins with `$ ` is run together with its continuation lines that begin with
//!   `> `. The lines below must be its output, where a line `...` matches any number of lines; without such lines the
//!   command need only succeed. `(exit code 3)` at the end of the output is the expected exit code. `new$ ` and
//!   `old$ ` are the prompts of other machines; `new` has no logs.
//! - `sh`: a script. It must succeed.
//! - `cron`: lines of a crontab. Their commands are run as cron runs them.
//! - any language with `file=PATH`: the file that the commands after it find there.
//! - `rust` with `from=PATH`: lines of that file, which is an example or has one. `toml` is looked at only.
//! - `needs=TOOL,...`: skipped with a note if a tool is missing. With `DOCS_NEED_ALL=1` that is a failure.
//!
//! All blocks of a document are run in one shell, in order, in a home with the sample logs. tests/docs/stand-ins has
//! programs that replace what a test cannot run: another machine, or a build of the project.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` updates the shown outputs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit_script;
#[path = "../common/mod.rs"]
mod common;
mod history_script;
mod markdown;
mod session;

use std::fs;
use std::path::{Path, PathBuf};

use common::skip_note::skip_note;
use markdown::{Block, Command, blocks, commands, fits, shown_anew};
use session::{Action, Ended, Hung, Session, Step, is_there};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md, CONTRIBUTING.md and all of docs/.
fn documents() -> Vec<PathBuf> {
    let in_docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<_> = in_docs.filter(|path| path.extension().is_some_and(|ext| ext == "md")).collect();
    documents.extend([root().join("README.md"), root().join("CONTRIBUTING.md")]);
    documents.sort();
    documents
}

/// A step and its shown output.
struct Planned<'d> {
    step: Step,
    /// The line of the document, from 1.
    line: usize,
    /// Only commands of a `console` block show something.
    command: Option<Command>,
    lines: &'d [&'d str],
}

impl<'d> Planned<'d> {
    fn new(action: Action, line: usize, lines: &'d [&'d str]) -> Self {
        Self { step: Step { machine: String::new(), action }, line, command: None, lines }
    }

    fn of_command(command: Command, lines: &'d [&'d str]) -> Self {
        let step = Step { machine: command.machine.clone(), action: Action::Run(command.text.clone()) };
        Self { step, line: command.at + 1, command: Some(command), lines }
    }

    fn shown(&self) -> &'d [&'d str] {
        self.command.as_ref().map_or(&[], |command| &self.lines[command.output.clone()])
    }

    /// The expected exit code.
    fn code(&self) -> i32 {
        let code =
            self.shown().last().and_then(|last| last.strip_prefix("(exit code ")?.strip_suffix(')')?.parse().ok());
        code.unwrap_or(0)
    }

    /// True if the step runs only programs of others.
    fn is_foreign(&self) -> bool {
        let program = self.command.as_ref().and_then(|command| command.text.split(' ').next());
        program.is_some_and(|program| ["python3", "duckdb"].contains(&program))
    }

    /// Says that it did not end.
    fn hung(&self, hung: &Hung) -> String {
        let text = self.command.as_ref().map_or("", |command| &command.text);
        format!("line {}: {text}\n--- does not end; printed so far\n{}\n", self.line, hung.output)
    }

    /// Returns a description of the fault, if there is one.
    fn check(&self, ended: &Ended) -> Result<(), String> {
        let shown = self.shown();
        let output = printed(ended);
        let output: Vec<&str> = output.lines().collect();
        let as_shown = if shown.is_empty() { ended.code == 0 } else { fits(shown, &output) };
        match as_shown {
            true => Ok(()),
            false => Err(format!(
                "line {}: {}\n--- shown\n{}\n--- printed\n{}\n",
                self.line,
                self.command.as_ref().map_or("", |command| &command.text),
                shown.join("\n"),
                output.join("\n")
            )),
        }
    }
}

/// An output as it is shown.
fn printed(ended: &Ended) -> String {
    match ended.code {
        0 => ended.output.clone(),
        code => format!("{}(exit code {code})\n", ended.output),
    }
}

/// Returns the steps of a document, without blocks whose tools are missing.
fn plan<'d>(name: &str, lines: &'d [&'d str]) -> Vec<Planned<'d>> {
    let mut planned = Vec::new();
    for block in blocks(lines) {
        let needed = block.attribute("needs").unwrap_or_default().split(',').filter(|tool| !tool.is_empty());
        let missing: Vec<_> = needed.filter(|tool| !is_there(tool)).collect();
        if missing.is_empty() {
            planned.extend(plan_block(name, &block, lines));
        } else {
            let note = format!("{name}, line {}: not run, as {} is missing", block.lines.start, missing.join(" and "));
            assert!(std::env::var_os("DOCS_NEED_ALL").is_none(), "{note}");
            skip_note(&note);
        }
    }
    planned
}

fn plan_block<'d>(name: &str, block: &Block, lines: &'d [&'d str]) -> Vec<Planned<'d>> {
    let content = || lines[block.lines.clone()].join("\n") + "\n";
    let at = block.lines.start + 1;
    if let Some(path) = block.attribute("file") {
        let action = Action::File { path: path.to_owned(), content: content() };
        return vec![Planned::new(action, at, lines)];
    }
    match block.language.as_str() {
        "console" => commands(lines, block).into_iter().map(|command| Planned::of_command(command, lines)).collect(),
        "sh" => vec![Planned::new(Action::Run(format!("( set -e\n{} )", content())), at, lines)],
        "cron" => {
            // Where the tests' programs are, the test knows.
            let jobs = block.lines.clone().filter(|index| !lines[*index].starts_with(['#', 'P']));
            jobs.map(|index| Planned::new(Action::Cron(cron_command(lines[index])), index + 1, lines)).collect()
        }
        "rust" => {
            let from = block.attribute("from").unwrap_or_else(|| panic!("{name}, line {at}: Rust from nowhere"));
            let source = fs::read_to_string(root().join(from)).unwrap();
            assert!(bare(&source).contains(&bare(&content())), "{name}, line {at}: {from} does not have this");
            Vec::new()
        }
        "toml" => Vec::new(),
        other => panic!("{name}, line {at}: nobody knows how to run a block of {other:?}"),
    }
}

/// Lines of Rust without indentation and marks of documentation.
fn bare(code: &str) -> String {
    let in_docs = |line: &str| line.strip_prefix("/// ").filter(|_| code.contains("/// ```")).map(str::to_owned);
    code.lines().map(|line| in_docs(line.trim_start()).unwrap_or(line.to_owned()).trim().to_owned() + "\n").collect()
}

/// Returns the command after the five fields of a crontab line, with `\%` replaced by `%` as cron does.
fn cron_command(line: &str) -> String {
    let mut fields = line.splitn(6, ' ');
    let time: Vec<_> = fields.by_ref().take(5).collect();
    let is_time = |field: &&str| field.bytes().all(|byte| byte.is_ascii_digit() || b"*/,-".contains(&byte));
    assert!(time.iter().all(is_time), "{line:?} is no line of a crontab");
    let command = fields.next().expect("a crontab's line has a command");
    assert!(!command.replace("\\%", "").contains('%'), "cron ends a command at %");
    command.replace("\\%", "%")
}

/// Returns a document with updated outputs, and with the new digests in its commands. Steps with an unexpected exit code
/// stay unchanged, so that the test fails.
fn updated(lines: &[&str], ran: &[(Planned<'_>, Ended)]) -> String {
    let mut anew: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut digests = Vec::new();
    for (planned, ended) in ran.iter().rev() {
        let Some(command) = planned.command.as_ref().filter(|command| !command.output.is_empty()) else { continue };
        if ended.code != planned.code() {
            continue;
        }
        let output = printed(ended);
        let shown = shown_anew(planned.shown(), &output.lines().collect::<Vec<_>>()).join("\n");
        digests.extend(digests_in(&planned.shown().join("\n")).zip(digests_in(&shown)));
        anew.splice(command.output.clone(), shown.lines().map(str::to_owned));
    }
    let text = anew.join("\n") + "\n";
    digests.iter().fold(text, |text, (old, new)| text.replace(old, new))
}

/// The digests in a text.
fn digests_in(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64);
    words.map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Runs the steps. A hanging program of others gets a second chance; ours does not.
fn run_steps(planned: &[Planned<'_>]) -> Result<Vec<Ended>, Hung> {
    let steps: Vec<_> = planned.iter().map(|planned| &planned.step).collect();
    let run = || Session::new(Path::new(env!("CARGO_BIN_EXE_patchwork-traces"))).run(&steps);
    run().or_else(|hung| {
        let step = &planned[hung.step];
        if !step.is_foreign() {
            return Err(hung);
        }
        skip_note(&format!("once more, as of {}", step.hung(&hung)));
        run()
    })
}

fn run_document(path: &Path) -> Vec<String> {
    let name = path.strip_prefix(root()).unwrap().display().to_string();
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let planned = plan(&name, &lines);
    let ended = match run_steps(&planned) {
        Ok(ended) => ended,
        Err(hung) => return vec![format!("{name}, {}", planned[hung.step].hung(&hung))],
    };
    let ran: Vec<_> = planned.into_iter().zip(ended).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let anew = updated(&lines, &ran);
        if anew != text {
            fs::write(path, anew).unwrap();
            // A digest that is new is also one for the commands after it.
            return run_document(path);
        }
    }
    let wrong = ran.iter().filter_map(|(planned, ended)| planned.check(ended).err());
    wrong.map(|problem| format!("{name}, {problem}")).collect()
}

#[test]
fn commands_print_the_shown_output() {
    let documents = documents();
    assert!(documents.len() >= 7, "{documents:?}");
    let wrong: Vec<_> = documents.iter().flat_map(|path| run_document(path)).collect();
    assert!(wrong.is_empty(), "{}\nUPDATE_DOCS=1 cargo test --test docs writes outputs anew", wrong.join("\n"));
}

/// The targets of all links of a document that lead into this project.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

/// Returns the anchor of each heading of a document, as GitHub makes it.
fn anchors(text: &str) -> Vec<String> {
    let is_marks = |marks: &str| marks.bytes().all(|byte| byte == b'#');
    let headings = text.lines().filter_map(|line| line.split_once("# ")).filter(|(marks, _)| is_marks(marks));
    let anchor = |heading: &str| {
        let dashed = heading.to_lowercase().replace(' ', "-");
        dashed.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(|(_, heading)| anchor(heading)).collect()
}

#[test]
fn named_paths_exist() {
    let mut documents = documents();
    documents.extend(["FORMAT.md", "packaging/README.md"].map(|name| root().join(name)));
    let mut seen = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let spans = text.split('`').skip(1).step_by(2);
        let is_path = |span: &&str| ["src/", "tests/", "docs/"].iter().any(|dir| span.starts_with(dir));
        for path in spans.filter(is_path).filter(|span| !span.contains([' ', '*', '\n'])) {
            assert!(root().join(path).exists(), "{}: `{path}` does not exist", document.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} paths were found");
}

#[test]
fn links_resolve() {
    let mut documents = documents();
    documents.extend(["CHANGELOG.md", "FORMAT.md", "SECURITY.md", "packaging/README.md"].map(|name| root().join(name)));
    let mut seen = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = document.parent().unwrap().join(path);
            assert!(target.exists(), "{}: {link} leads nowhere", document.display());
            let has_anchor = || anchors(&fs::read_to_string(&target).unwrap()).iter().any(|heading| heading == anchor);
            assert!(anchor.is_empty() || has_anchor(), "{}: {link} has no such heading", document.display());
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} links were found");
}

/// The section of a document below a heading.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    section.split("\n## ").next().unwrap()
}

/// Returns all times, such as `0.03 s`, in the cells of the tables of a text.
fn times(text: &str) -> Vec<&str> {
    let cells = text.lines().filter(|line| line.starts_with('|')).flat_map(|row| row.split('|'));
    cells.flat_map(|cell| cell.split([',', ':'])).map(str::trim).filter(|part| part.ends_with(" s")).collect()
}

#[test]
fn readme_quotes_the_measured_times() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let speed = fs::read_to_string(root().join("docs/speed.md")).unwrap();
    let sections = [
        ("Speed", "Compared with other tools"),
        ("Compared with the original exporter, gunzip and jq", "Compared with the original exporter"),
    ];
    for (shown, measured) in sections {
        let times_shown = times(section(&readme, shown));
        let measured = times(section(&speed, measured));
        assert!(times_shown.len() >= 4, "{times_shown:?}");
        for time in times_shown {
            assert!(measured.contains(&time), "{time} is in README.md, but docs/speed.md does not have it");
        }
    }
}
