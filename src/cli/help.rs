//! The parts of `--help` and the manual below the arguments: examples, exit codes and environment variables.

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;

/// The colours of help.
pub const STYLES: Styles = Styles::styled()
    .header(HEADER)
    .usage(HEADER)
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const HEADER: Style = AnsiColor::Green.on_default().bold();

/// An example: its purpose and its command line.
pub type Example = (&'static str, &'static str);

/// The help of a command below its arguments.
pub struct HelpText {
    pub examples: &'static [Example],
    /// Sections: a heading and a body each.
    pub sections: &'static [(&'static str, &'static str)],
}

const EXIT_CODES: (&str, &str) = (
    "Exit codes",
    "  0    success (also if the program that reads the output exits early)
  1    failure; nothing was changed
  2    invalid command line; nothing was done
  3    done, but the bundle is damaged or not the expected one, the result is incomplete,
       or the report could not be printed
  130  interrupted by Ctrl-C, a hangup or a termination request
  101  internal error (please report it)",
);

const ENVIRONMENT: (&str, &str) = (
    "Environment",
    "  PATCHWORK_HOME      Patchwork's directory [default: ~/.patchwork]
  CLAUDE_CONFIG_DIR   activity logs are in its subdirectory `ide` [default: ~/.claude]
  SOURCE_DATE_EPOCH   use this time as the current time, in seconds since 1970
  TZ                  time zone of times in text
  COLUMNS             maximum width of tables and charts
  NO_COLOR            disable colour; CLICOLOR_FORCE=1 enables it in pipes
  LC_ALL, LC_CTYPE, LANG   charts are ASCII unless these select UTF-8",
);

pub const PROGRAM: HelpText = HelpText {
    examples: &[
        ("Bundle the logs of this machine", "patchwork-traces export -o traces.jsonl.gz"),
        ("Show what a bundle contains, and when it happened", "patchwork-traces inspect traces.jsonl.gz"),
        ("Print rows exactly as they are in the logs", "patchwork-traces cat traces.jsonl.gz --source runs --since 7d"),
        ("Check a bundle for damage", "patchwork-traces verify traces.jsonl.gz"),
        ("Restore the logs on another machine", "patchwork-traces import traces.jsonl.gz"),
        (
            "Copy logs from one machine to another without a file",
            "ssh old patchwork-traces export -o - | patchwork-traces import -",
        ),
    ],
    sections: &[EXIT_CODES, ENVIRONMENT],
};

pub const EXPORT: HelpText = HelpText {
    examples: &[
        ("Write a bundle named by the time to Patchwork's directory", "patchwork-traces export"),
        ("Write a bundle to a file", "patchwork-traces export -o traces.jsonl.gz"),
        ("Bundle only some sources", "patchwork-traces export --source runs --source activity -o runs.jsonl.gz"),
        (
            "Keep the digest to identify the bundle later",
            "patchwork-traces export -o traces.jsonl.gz --json | jq -r .digest > digest",
        ),
        (
            "Back up every night, silently unless something is wrong",
            "patchwork-traces export --quiet -o backup-$(date +%F).jsonl.gz",
        ),
    ],
    sections: &[],
};

pub const IMPORT: HelpText = HelpText {
    examples: &[
        ("Show what would happen", "patchwork-traces import traces.jsonl.gz --dry-run"),
        ("Merge a bundle into the existing logs", "patchwork-traces import traces.jsonl.gz"),
        (
            "Restore the logs exactly; the local ones become backups",
            "patchwork-traces import traces.jsonl.gz --mode overwrite",
        ),
        ("Import into other directories", "patchwork-traces import traces.jsonl.gz --patchwork-dir p --activity-dir a"),
    ],
    sections: &[(
        "Columns of the table",
        "  NEW            lines of the bundle that are added to the log
  ALREADY THERE  lines of the bundle that this machine already has
  KEPT           lines of the local log that are kept
  SIZE           size of the log after the import",
    )],
};

pub const VERIFY: HelpText = HelpText {
    examples: &[
        ("List every problem of a bundle", "patchwork-traces verify traces.jsonl.gz"),
        (
            "Also compare the digest with one kept earlier",
            "patchwork-traces verify traces.jsonl.gz --expect $(cat digest)",
        ),
        ("Check many bundles in a script", "patchwork-traces verify --quiet backups/*.jsonl.gz || echo damaged"),
        ("Check a copy on another machine", "ssh backup cat traces.jsonl.gz | patchwork-traces verify -"),
    ],
    sections: &[],
};

pub const INSPECT: HelpText = HelpText {
    examples: &[
        ("Show what a bundle contains, and when it happened", "patchwork-traces inspect traces.jsonl.gz"),
        (
            "Count the rows of each log",
            "patchwork-traces inspect traces.jsonl.gz --json | jq '.files[] | {file, rows}'",
        ),
        ("Show times in another time zone", "TZ=America/New_York patchwork-traces inspect traces.jsonl.gz"),
    ],
    sections: &[],
};

pub const CAT: HelpText = HelpText {
    examples: &[
        ("Print all rows of a source", "patchwork-traces cat traces.jsonl.gz --source decision_traces"),
        ("Print the last week of a log", "patchwork-traces cat traces.jsonl.gz --file activity-3100.jsonl --since 7d"),
        ("Print one day, in local time", "patchwork-traces cat traces.jsonl.gz --since 2026-05-22 --until 2026-05-22"),
        (
            "Print the names of the recipes that were run",
            "patchwork-traces cat traces.jsonl.gz --source runs | jq .recipeName",
        ),
        ("Print each row with its source and file", "patchwork-traces cat traces.jsonl.gz --envelope"),
        (
            "Restore one log, byte for byte",
            "patchwork-traces cat traces.jsonl.gz --file runs.jsonl --exact > runs.jsonl",
        ),
    ],
    sections: &[],
};

pub const RECOVER: HelpText = HelpText {
    examples: &[
        ("Save the intact rows of a damaged bundle", "patchwork-traces recover damaged.jsonl.gz -o recovered.jsonl.gz"),
        ("Then import them", "patchwork-traces import recovered.jsonl.gz"),
    ],
    sections: &[],
};

pub const DEMO: HelpText = HelpText { examples: &[("Take the tour", "patchwork-traces demo")], sections: &[] };

pub const SCHEMA: HelpText = HelpText {
    examples: &[
        ("Print the schema of the first line of a bundle", "patchwork-traces schema manifest"),
        ("Print the schema of a command's --json output", "patchwork-traces schema export"),
    ],
    sections: &[],
};

pub const COMPLETIONS: HelpText = HelpText {
    examples: &[
        ("bash, in ~/.bashrc", "source <(patchwork-traces completions bash)"),
        ("zsh, in ~/.zshrc after compinit", "source <(patchwork-traces completions zsh)"),
        ("fish, in ~/.config/fish/config.fish", "patchwork-traces completions fish | source"),
        ("elvish, in rc.elv", "eval (patchwork-traces completions elvish | slurp)"),
        ("PowerShell, in $PROFILE", "patchwork-traces completions powershell | Out-String | Invoke-Expression"),
    ],
    sections: &[],
};

pub const MAN: HelpText = HelpText {
    examples: &[
        ("Read a page", "patchwork-traces man cat | man -l -"),
        ("Install one", "patchwork-traces man > ~/.local/share/man/man1/patchwork-traces.1"),
    ],
    sections: &[],
};

/// Returns the text of `--help` below the arguments.
pub fn long(help: &HelpText) -> String {
    let heading = |heading: &str| format!("{HEADER}{heading}:{HEADER:#}\n");
    let mut text = heading("Examples");
    for (about, command) in help.examples {
        text += &format!("  # {about}\n  {command}\n\n");
    }
    for (name, body) in help.sections {
        text += &format!("{}{body}\n\n", heading(name));
    }
    text.trim_end().to_owned()
}

/// Returns the help of a command by its name, or that of the program for `None`.
pub fn of(command: Option<&str>) -> &'static HelpText {
    match command {
        Some("export") => &EXPORT,
        Some("import") => &IMPORT,
        Some("verify") => &VERIFY,
        Some("inspect") => &INSPECT,
        Some("cat") => &CAT,
        Some("recover") => &RECOVER,
        Some("demo") => &DEMO,
        Some("schema") => &SCHEMA,
        Some("completions") => &COMPLETIONS,
        Some("man") => &MAN,
        _ => &PROGRAM,
    }
}
