//! What `--help` and the manual say beyond the arguments: examples, exit codes, the environment.

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;

/// The colours of help.
pub const STYLES: Styles = Styles::styled()
    .header(HEADER)
    .usage(HEADER)
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const HEADER: Style = AnsiColor::Green.on_default().bold();

/// An example: what for, and the command line.
pub type Example = (&'static str, &'static str);

/// What help says of a command beyond its arguments.
pub struct HelpText {
    pub examples: &'static [Example],
    /// Headings, and what stands below them.
    pub sections: &'static [(&'static str, &'static str)],
}

const EXIT_CODES: (&str, &str) = (
    "Exit codes",
    "  0    done (also when the reader of rows, a bundle or another result went away)
  1    failed, and nothing was changed
  2    the command line is wrong, and nothing was done
  3    done, but the bundle is damaged or not the expected one, something was left behind,
       or the report could not be printed
  130  interrupted by Ctrl-C, a hangup or a request to terminate
  101  a mistake of the program itself",
);

const ENVIRONMENT: (&str, &str) = (
    "Environment",
    "  PATCHWORK_HOME      Patchwork's directory [default: ~/.patchwork]
  CLAUDE_CONFIG_DIR   activity logs are in its directory `ide` [default: ~/.claude]
  SOURCE_DATE_EPOCH   the time that a bundle names, in seconds since 1970
  TZ                  the time zone of times in text
  COLUMNS             how wide tables and pictures may be
  NO_COLOR            no colour; CLICOLOR_FORCE=1 has colour in pipes, too
  LC_ALL, LC_CTYPE, LANG   where they name no UTF-8, pictures are ASCII",
);

pub const PROGRAM: HelpText = HelpText {
    examples: &[
        ("Bundle the logs of this machine", "patchwork-traces export -o traces.jsonl.gz"),
        ("See what is in a bundle, and when it happened", "patchwork-traces inspect traces.jsonl.gz"),
        ("Read rows as they stood in the logs", "patchwork-traces cat traces.jsonl.gz --source runs --since 7d"),
        ("Check that a bundle is whole", "patchwork-traces verify traces.jsonl.gz"),
        ("Put the logs in their places on another machine", "patchwork-traces import traces.jsonl.gz"),
        (
            "From one machine to another, without a file",
            "ssh old patchwork-traces export -o - | patchwork-traces import -",
        ),
    ],
    sections: &[EXIT_CODES, ENVIRONMENT],
};

pub const EXPORT: HelpText = HelpText {
    examples: &[
        ("Into Patchwork's directory, named for the time", "patchwork-traces export"),
        ("Into a file", "patchwork-traces export -o traces.jsonl.gz"),
        ("Only some sources", "patchwork-traces export --source runs --source activity -o runs.jsonl.gz"),
        (
            "Keep the digest, which proves the bundle later",
            "patchwork-traces export -o traces.jsonl.gz --json | jq -r .digest > digest",
        ),
        (
            "Every night, silently unless something is wrong",
            "patchwork-traces export --quiet -o backup-$(date +%F).jsonl.gz",
        ),
    ],
    sections: &[],
};

pub const IMPORT: HelpText = HelpText {
    examples: &[
        ("See what would happen", "patchwork-traces import traces.jsonl.gz --dry-run"),
        ("Merge with the logs that are there", "patchwork-traces import traces.jsonl.gz"),
        (
            "Have the logs exactly as they were; the local ones become backups",
            "patchwork-traces import traces.jsonl.gz --mode overwrite",
        ),
        ("Into other directories", "patchwork-traces import traces.jsonl.gz --patchwork-dir p --activity-dir a"),
    ],
    sections: &[(
        "What the table says",
        "  NEW            lines of the bundle that the log gets
  ALREADY THERE  lines of the bundle that this machine has already
  KEPT           lines that the log had and keeps
  SIZE           the log's size afterwards",
    )],
};

pub const VERIFY: HelpText = HelpText {
    examples: &[
        ("Everything that is wrong with a bundle", "patchwork-traces verify traces.jsonl.gz"),
        (
            "Also whether it is the one whose digest was kept",
            "patchwork-traces verify traces.jsonl.gz --expect $(cat digest)",
        ),
        ("Many, in a script", "patchwork-traces verify --quiet backups/*.jsonl.gz || echo look there"),
        ("A copy on another machine", "ssh backup cat traces.jsonl.gz | patchwork-traces verify -"),
    ],
    sections: &[],
};

pub const INSPECT: HelpText = HelpText {
    examples: &[
        ("What is in a bundle, and when it happened", "patchwork-traces inspect traces.jsonl.gz"),
        ("Rows of each log", "patchwork-traces inspect traces.jsonl.gz --json | jq '.files[] | {file, rows}'"),
        ("Times of another zone", "TZ=America/New_York patchwork-traces inspect traces.jsonl.gz"),
    ],
    sections: &[],
};

pub const CAT: HelpText = HelpText {
    examples: &[
        ("All rows of a source", "patchwork-traces cat traces.jsonl.gz --source decision_traces"),
        ("The last week of a log", "patchwork-traces cat traces.jsonl.gz --file activity-3100.jsonl --since 7d"),
        ("One day, in your time zone", "patchwork-traces cat traces.jsonl.gz --since 2026-05-22 --until 2026-05-22"),
        ("Recipes that were run", "patchwork-traces cat traces.jsonl.gz --source runs | jq .recipeName"),
        ("With source and file of each row", "patchwork-traces cat traces.jsonl.gz --envelope"),
        ("A whole log, byte for byte", "patchwork-traces cat traces.jsonl.gz --file runs.jsonl --exact > runs.jsonl"),
    ],
    sections: &[],
};

pub const RECOVER: HelpText = HelpText {
    examples: &[
        ("Save what is left of a damaged bundle", "patchwork-traces recover damaged.jsonl.gz -o recovered.jsonl.gz"),
        ("Then put it in its place", "patchwork-traces import recovered.jsonl.gz"),
    ],
    sections: &[],
};

pub const DEMO: HelpText = HelpText { examples: &[("The tour", "patchwork-traces demo")], sections: &[] };

pub const SCHEMA: HelpText = HelpText {
    examples: &[
        ("Of the first line of a bundle", "patchwork-traces schema manifest"),
        ("Of what a command prints with --json", "patchwork-traces schema export"),
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

/// What `--help` says below the arguments.
pub fn long(teaching: &HelpText) -> String {
    let heading = |heading: &str| format!("{HEADER}{heading}:{HEADER:#}\n");
    let mut text = heading("Examples");
    for (about, command) in teaching.examples {
        text += &format!("  # {about}\n  {command}\n\n");
    }
    for (name, body) in teaching.sections {
        text += &format!("{}{body}\n\n", heading(name));
    }
    text.trim_end().to_owned()
}

/// What is taught of a command, by its name; of the program when there is none.
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
