//! The code blocks of a Markdown file, and what to do with each.

use std::ops::Range;

/// A fenced code block.
#[derive(Debug)]
pub struct Block {
    /// The first word after the fence.
    pub language: String,
    /// The `key=value` words after it.
    attributes: Vec<(String, String)>,
    /// Its lines, by index into those of the file.
    pub lines: Range<usize>,
}

impl Block {
    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// All code blocks of a file, given as its lines.
pub fn blocks(lines: &[&str]) -> Vec<Block> {
    let fences: Vec<usize> = (0..lines.len()).filter(|index| lines[*index].trim_start().starts_with("```")).collect();
    assert!(fences.len().is_multiple_of(2), "a code block has no end");
    let blocks = fences.chunks(2).map(|fence| {
        let mut words = lines[fence[0]].trim_start().trim_start_matches('`').split_whitespace();
        let language = words.next().unwrap_or_default().to_owned();
        let attributes = words.map(|word| {
            let (key, value) =
                word.split_once('=').unwrap_or_else(|| panic!("{word:?} behind a fence is no key=value"));
            (key.to_owned(), value.to_owned())
        });
        Block { language, attributes: attributes.collect(), lines: fence[0] + 1..fence[1] }
    });
    blocks.collect()
}

/// A command of a `console` block, and the output that is shown below it.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// The text before the `$`: the machine that runs the command.
    pub machine: String,
    /// The command, with the lines that go on with it.
    pub text: String,
    /// The line of its prompt, as an index.
    pub at: usize,
    /// The lines of the output.
    pub output: Range<usize>,
}

/// The machine of a line that begins with a prompt, and the rest of the line.
fn prompt(line: &str) -> Option<(&str, &str)> {
    let (machine, command) = line.split_once("$ ")?;
    machine.bytes().all(|byte| byte.is_ascii_lowercase()).then_some((machine, command))
}

/// The commands of a `console` block.
pub fn commands(lines: &[&str], block: &Block) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for index in block.lines.clone() {
        let line = lines[index];
        if let Some((machine, text)) = prompt(line) {
            let (machine, text) = (machine.to_owned(), text.to_owned());
            commands.push(Command { machine, text, at: index, output: index + 1..index + 1 });
            continue;
        }
        let command = commands.last_mut().unwrap_or_else(|| panic!("line {}: output before a command", index + 1));
        match line.strip_prefix("> ") {
            Some(more) if command.output.is_empty() => {
                command.text += &format!("\n{more}");
                command.output = index + 1..index + 1;
            }
            _ => command.output.end = index + 1,
        }
    }
    commands
}

/// The line that stands for any number of lines of an output.
const ANY: &str = "...";

/// Returns true if an output matches the shown one.
pub fn fits(shown: &[&str], output: &[&str]) -> bool {
    match shown.split_first() {
        None => output.is_empty(),
        Some((&ANY, rest)) => (0..=output.len()).any(|skipped| fits(rest, &output[skipped..])),
        Some((first, rest)) => output.split_first().is_some_and(|(line, left)| line == first && fits(rest, left)),
    }
}

/// Returns the new output to show in place of `shown`, with as many lines before and after each omission.
pub fn shown_anew<'o>(shown: &[&str], output: &[&'o str]) -> Vec<&'o str> {
    let Some(first) = shown.iter().position(|line| *line == ANY) else { return output.to_vec() };
    let lines_after = shown.iter().rev().position(|line| *line == ANY).unwrap_or(0);
    let (first, lines_after) = (first.min(output.len()), lines_after.min(output.len()));
    [&output[..first], &[ANY], &output[output.len() - lines_after..]].concat()
}
