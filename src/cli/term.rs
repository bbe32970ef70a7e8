//! What the terminal can show: how wide it is, whether it has Unicode, and which colours are wanted.

use std::io::{IsTerminal, stderr, stdout};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

use super::variable;

/// The width where nothing says how wide it is: in a pipe or a file.
const USUAL_WIDTH: usize = 80;

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set; elsewhere only where `CLICOLOR_FORCE` is
    #[default]
    Auto,
    /// Also in pipes and files
    Always,
    /// Nowhere
    Never,
}

impl ColorWhen {
    /// Makes it so for both streams.
    pub fn apply(self) {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// Whether standard error shows colour.
pub fn has_color_on_stderr() -> bool {
    anstream::AutoStream::choice(&stderr()) != ColorChoice::Never
}

/// Whether standard output shows colour.
pub fn has_color_on_stdout() -> bool {
    anstream::AutoStream::choice(&stdout()) != ColorChoice::Never
}

/// How many columns standard output has. `COLUMNS` decides, then the terminal.
pub fn width() -> usize {
    let told = variable("COLUMNS").and_then(|columns| columns.to_str()?.parse().ok()).filter(|columns| *columns > 0);
    let measured = || {
        let (columns, _) = stdout().is_terminal().then(terminal_size::terminal_size)??;
        Some(usize::from(columns.0)).filter(|columns| *columns > 0)
    };
    told.or_else(measured).unwrap_or(USUAL_WIDTH)
}

/// How many columns standard error has.
pub fn width_of_stderr() -> usize {
    let measured = stderr().is_terminal().then(terminal_size::terminal_size).flatten();
    measured.map_or(USUAL_WIDTH, |(columns, _)| usize::from(columns.0))
}

/// Whether the locale has more than ASCII: the first of the variables that is set decides, as for every program.
pub fn has_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    match locale {
        Some(locale) => {
            let locale = locale.to_string_lossy().to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        // There the console takes Unicode whatever the locale.
        None => cfg!(windows),
    }
}

/// The palette: few colours, each with one meaning.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
pub const STRONG: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();

/// Text in a style. Where colour is not wanted, the stream takes it out again.
pub fn paint(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}
