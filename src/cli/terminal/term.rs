//! The capabilities of the terminal: width, Unicode and colour.

use std::io::{IsTerminal, stderr, stdout};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

use crate::cli::variable;

/// The width of a pipe, a file or a terminal of unknown width.
pub const DEFAULT_WIDTH: usize = 80;

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set; elsewhere only if `CLICOLOR_FORCE` is set
    #[default]
    Auto,
    /// Always, even in pipes and files
    Always,
    /// Never
    Never,
}

impl ColorWhen {
    /// Applies the choice to both streams.
    pub fn apply(self) {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

/// Returns true if standard error shows colour.
pub fn has_color_on_stderr() -> bool {
    anstream::AutoStream::choice(&stderr()) != ColorChoice::Never
}

/// Returns true if standard output shows colour.
pub fn has_color_on_stdout() -> bool {
    anstream::AutoStream::choice(&stdout()) != ColorChoice::Never
}

/// Returns the width of tables and charts on standard output, in columns.
pub fn width() -> usize {
    wrap_width(&stdout()).unwrap_or(DEFAULT_WIDTH)
}

/// Returns the width at which messages to a stream wrap, in columns: `COLUMNS`, or else that of the terminal. Returns
/// `None` for a pipe or a file, where each message stays on one line.
pub fn wrap_width(stream: &impl IsTerminal) -> Option<usize> {
    let given = variable("COLUMNS").and_then(|columns| columns.to_str()?.parse().ok());
    let measured = || {
        let size = stream.is_terminal().then(terminal_size::terminal_size)?;
        Some(size.map(|(columns, _)| usize::from(columns.0)).filter(|columns| *columns > 0).unwrap_or(DEFAULT_WIDTH))
    };
    given.filter(|columns| *columns > 0).or_else(measured)
}

/// Returns true if the locale uses UTF-8. The first of the variables that is set decides.
pub fn has_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    match locale {
        Some(locale) => {
            let locale = locale.to_string_lossy().to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        // The Windows console supports Unicode in every locale.
        None => cfg!(windows),
    }
}

/// The palette. Each colour has one meaning.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub const BAD: Style = AnsiColor::Red.on_default().bold();
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
pub const STRONG: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();

/// Styles text. The output stream removes the style if colour is disabled.
pub fn paint(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}
