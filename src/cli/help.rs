//! The parts of `--help` and the manual below the arguments: examples, exit codes and environment variables.

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use textwrap::{Options, WordSplitter};

/// The colours of help.
pub const STYLES: Styles = Styles::styled()
    .header(HEADER)
    .usage(HEADER)
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const HEADER: Style = AnsiColor::Green.on_default().bold();

/// An example: its purpose and its command line.
pub type Example = (&'static str, &'static str);

/// A term and its description: an exit code, an environment variable, a column of a table.
pub type Term = (&'static str, &'static str);

/// The help of a command below its arguments.
pub struct HelpText {
    pub examples: &'static [Example],
    /// The exit codes that have a special meaning for this command.
    pub exit_status: &'static [Term],
    /// The environment variables that only some commands read.
    pub environment: &'static [Term],
    /// Further sections, each with a heading and terms.
    pub sections: &'static [(&'static str, &'static [Term])],
}

/// The exit codes that mean the same for every command.
const COMMON_EXIT_STATUS: [Term; 3] = [
    ("2", "the command line is invalid; nothing was done"),
    ("130", "interrupted by Ctrl-C, a hangup or a termination request"),
    ("101", "internal error (please report it)"),
];

/// The environment variables that every command reads.
const COMMON_ENVIRONMENT: [Term; 5] = [
    ("COLUMNS", "maximum width of tables, charts and messages [default: that of the terminal]"),
    ("NO_COLOR", "disables colour if set"),
    ("CLICOLOR_FORCE", "enables colour in pipes and files if set to 1"),
    ("LC_ALL, LC_CTYPE, LANG", "charts and symbols are ASCII unless the first of these that is set selects UTF-8"),
    ("TZ", "time zone of printed times and of --since and --until [default: that of the system]"),
];

const PATCHWORK_HOME: Term = ("PATCHWORK_HOME", "Patchwork's directory [default: ~/.patchwork]");
const CLAUDE_CONFIG_DIR: Term =
    ("CLAUDE_CONFIG_DIR", "directory whose subdirectory `ide` has the activity logs [default: ~/.claude]");
const SOURCE_DATE_EPOCH: Term = ("SOURCE_DATE_EPOCH", "time to use as the current time, in seconds since 1970");
const PASSPHRASE: Term = ("PATCHWORK_TRACES_PASSPHRASE", "passphrase of encrypted bundles");
const TMPDIR: Term = ("TMPDIR", "directory for temporary files [default: /tmp]");

const DONE: Term = ("0", "success");
const PRINTED: Term = ("0", "success, even if the program that reads the output exits early");
const WRITTEN_BUT: Term = (
    "3",
    "the bundle was written, but could not be signed, its directory could not be synced, or the report could not be \
     printed",
);

/// The exit codes of a command that prints a text.
const PRINT_EXIT_STATUS: &[Term] = &[PRINTED, ("1", "failure")];

pub const PROGRAM: HelpText = HelpText {
    examples: &[
        ("Bundle the logs of this machine", "patchwork-traces export -o traces.jsonl.gz"),
        ("Show a bundle's contents and a chart of its rows over time", "patchwork-traces inspect traces.jsonl.gz"),
        ("Print rows exactly as they are in the logs", "patchwork-traces cat traces.jsonl.gz --source runs --since 7d"),
        ("Check a bundle for damage", "patchwork-traces verify traces.jsonl.gz"),
        ("Restore the logs on another machine", "patchwork-traces import traces.jsonl.gz"),
        (
            "Copy logs from one machine to another without a file",
            "ssh old patchwork-traces export -o - | patchwork-traces import -",
        ),
    ],
    exit_status: &[
        PRINTED,
        ("1", "failure; nothing was changed"),
        (
            "3",
            "done, but the bundle is damaged or is not the expected one, the result is incomplete, or the report could \
             not be printed",
        ),
    ],
    environment: &[PATCHWORK_HOME, CLAUDE_CONFIG_DIR, SOURCE_DATE_EPOCH, TMPDIR, PASSPHRASE],
    sections: &[],
};

pub const EXPORT: HelpText = HelpText {
    examples: &[
        ("Write a bundle named after the current time to Patchwork's directory", "patchwork-traces export"),
        ("Write a bundle to a file", "patchwork-traces export -o traces.jsonl.gz"),
        ("Bundle only some sources", "patchwork-traces export --source runs --source activity -o runs.jsonl.gz"),
        (
            "Keep the digest to identify the bundle later",
            "patchwork-traces export -o b.jsonl.gz --json | jq -r .digest > digest",
        ),
        #[cfg(feature = "seal")]
        ("Sign the bundle, too", "patchwork-traces export -o b.jsonl.gz --sign ~/.ssh/id_ed25519"),
        (
            "Back up every night, silently unless something is wrong",
            "patchwork-traces export --quiet -o backup-$(date +%F).jsonl.gz",
        ),
    ],
    exit_status: &[
        ("0", "the bundle was written"),
        ("1", "failure; no bundle was written, and no log was changed"),
        WRITTEN_BUT,
    ],
    environment: &[PATCHWORK_HOME, CLAUDE_CONFIG_DIR, SOURCE_DATE_EPOCH, TMPDIR, PASSPHRASE],
    sections: &[],
};

pub const KEEP: HelpText = HelpText {
    examples: &[
        ("Start a history, or add new rows to it", "patchwork-traces keep trace-history"),
        ("Keep running as a service", "patchwork-traces keep trace-history --follow"),
        (
            "Encrypt the new segment; no run needs the secret key",
            "patchwork-traces keep trace-history -R public-key.txt",
        ),
        ("Start a history from existing bundles", "patchwork-traces keep trace-history --from backup-*.jsonl.gz"),
        ("Show the rows, the gaps and the next run of a history", "patchwork-traces inspect trace-history"),
    ],
    exit_status: &[
        ("0", "a segment was added, without a gap before it"),
        ("1", "failure; no segment was added, and the history is unchanged"),
        (
            "3",
            "a segment was added, but rows may be missing before it, a log was altered, the history could not be signed, \
             or the report could not be printed",
        ),
    ],
    environment: &[PATCHWORK_HOME, CLAUDE_CONFIG_DIR, SOURCE_DATE_EPOCH, PASSPHRASE],
    sections: &[(
        "States",
        &[
            ("first", "the log is new to the history"),
            ("continues", "the log still has the last rows of the history, so none are missing"),
            ("unchanged", "there are no new rows"),
            ("gap", "the log has none of the last rows of the history, so rows may be missing"),
            ("altered", "the log has changed or lost rows that the history has"),
            ("absent", "the log no longer exists"),
        ],
    )],
};

pub const IMPORT: HelpText = HelpText {
    examples: &[
        ("Show what would happen", "patchwork-traces import traces.jsonl.gz --dry-run"),
        ("Merge a bundle into the existing logs", "patchwork-traces import traces.jsonl.gz"),
        (
            "Restore the logs exactly; the local ones become backups",
            "patchwork-traces import traces.jsonl.gz --mode overwrite",
        ),
        ("Import several bundles together", "patchwork-traces import nightly/*.jsonl.gz"),
        ("Restore the logs from a history", "patchwork-traces import trace-history"),
        ("Import into other directories", "patchwork-traces import b.jsonl.gz --patchwork-dir p --activity-dir a"),
    ],
    exit_status: &[
        ("0", "every log is as the report says"),
        ("1", "failure; no log was changed"),
        (
            "3",
            "only some logs were changed, a directory could not be synced, or the report could not be printed; the \
             message says which, and what to do",
        ),
    ],
    environment: &[PATCHWORK_HOME, CLAUDE_CONFIG_DIR, TMPDIR, PASSPHRASE],
    sections: &[(
        "Columns of the table",
        &[
            ("NEW", "lines of the bundle that are added to the log"),
            ("ALREADY THERE", "lines of the bundle that this machine already has"),
            ("KEPT", "lines of the local log that are kept"),
            ("SIZE", "size of the log after the import"),
        ],
    )],
};

pub const VERIFY: HelpText = HelpText {
    examples: &[
        ("List every problem of a bundle", "patchwork-traces verify traces.jsonl.gz"),
        (
            "Also compare the digest with the one that you kept",
            "patchwork-traces verify traces.jsonl.gz --expect $(cat digest)",
        ),
        ("Check many bundles in a script", "patchwork-traces verify --quiet backups/*.jsonl.gz || echo damaged"),
        ("Check a copy on another machine", "ssh backup cat traces.jsonl.gz | patchwork-traces verify -"),
        (
            "Check a history, and that it extends a checkpoint that you kept",
            "patchwork-traces verify trace-history --since checkpoint.2026",
        ),
        #[cfg(feature = "seal")]
        ("Check who signed a bundle", "patchwork-traces verify traces.jsonl.gz --signers allowed_signers"),
        ("Show that only secrets were replaced in a bundle", "patchwork-traces verify shared.gz --original traces.gz"),
        ("Check a seventh of a history every day", "patchwork-traces verify trace-history --part $(date +%u)/7"),
    ],
    exit_status: &[
        ("0", "every bundle is intact, and every history intact and consistent"),
        ("1", "a bundle or history could not be read (the others were checked), or the result could not be printed"),
        (
            "3",
            "a bundle or history is damaged, is not the expected one, is not the redaction of its original, or lacks \
             required hashes, rows or a signature",
        ),
    ],
    environment: &[PASSPHRASE],
    sections: &[(
        "Verdicts on a history",
        &[
            ("intact", "every segment is as it was written"),
            ("consistent", "the segments form one chain that matches the history's checkpoint and that of --since"),
            ("complete", "no segment is missing, and none records a gap before it"),
        ],
    )],
};

pub const INSPECT: HelpText = HelpText {
    examples: &[
        ("Show a bundle's contents and a chart of its rows over time", "patchwork-traces inspect traces.jsonl.gz"),
        ("Show a history at a glance, with its gaps and the next run", "patchwork-traces inspect trace-history"),
        ("List the bundles of a directory, one line each", "patchwork-traces inspect backups/*.jsonl.gz"),
        ("List the paths for `cat --where`", "patchwork-traces inspect b.jsonl.gz --keys --source activity"),
        ("Count the rows of each log", "patchwork-traces inspect b.jsonl.gz --json | jq '.files[] | {file, rows}'"),
        ("Show times in another time zone", "TZ=America/New_York patchwork-traces inspect traces.jsonl.gz"),
    ],
    exit_status: PRINT_EXIT_STATUS,
    environment: &[PASSPHRASE],
    sections: &[],
};

pub const STATUS: HelpText = HelpText {
    examples: &[
        ("Show the logs of this machine", "patchwork-traces"),
        ("Show the logs in another directory", "patchwork-traces status --patchwork-dir /mnt/old/.patchwork"),
        (
            "List the logs that rotation shortens next",
            "patchwork-traces status --json | jq '.logs[] | {file, nextRotation}'",
        ),
    ],
    exit_status: &[PRINTED, ("1", "failure"), ("3", "a log could not be read; the others are listed")],
    environment: &[PATCHWORK_HOME, CLAUDE_CONFIG_DIR, SOURCE_DATE_EPOCH, TMPDIR],
    sections: &[(
        "Columns of the table",
        &[
            ("REMOVED", "rows that the log has lost, according to its row numbers; - if its rows are not numbered"),
            (
                "REMOVED NEXT",
                "lines that the next rotation deletes or moves to runs.jsonl.1, and the bytes that can be written before \
                 it; an estimate, unless the next write rotates the log",
            ),
        ],
    )],
};

pub const CAT: HelpText = HelpText {
    examples: &[
        ("Print all rows of a source", "patchwork-traces cat traces.jsonl.gz --source decision_traces"),
        ("Print the last week of a log", "patchwork-traces cat traces.jsonl.gz --file runs.jsonl --since 7d"),
        ("Print one day, in local time", "patchwork-traces cat traces.jsonl.gz --since yesterday --until yesterday"),
        (
            "Print the unfinished runs: those whose last row is still running",
            "patchwork-traces cat b.gz --source runs --latest --where status=running",
        ),
        (
            "Print the decisions of the last week that denied something",
            "patchwork-traces cat b.gz --since 7d --where metadata.decision=deny",
        ),
        ("Print the last 20 rows that mention a file", "patchwork-traces cat b.gz --grep src/main.rs --tail 20"),
        #[cfg(feature = "jq")]
        (
            "Print parts of rows, or any other output of a jq filter",
            "patchwork-traces cat b.gz --jq 'select(.status == \"error\") | {taskId}'",
        ),
        ("Make a table for a spreadsheet", "patchwork-traces cat b.gz --format csv --columns taskId,status > runs.csv"),
        ("Merge the rows of two machines by time", "patchwork-traces cat a.gz b.gz --by-time --envelope"),
        ("Print the last day of a history", "patchwork-traces cat trace-history --since 1d"),
        ("Print each row with its source and file", "patchwork-traces cat traces.jsonl.gz --envelope"),
        ("Restore one log, byte for byte", "patchwork-traces cat b.jsonl.gz --file runs.jsonl --exact > runs.jsonl"),
    ],
    exit_status: &[
        PRINTED,
        ("1", "failure; some rows may have been printed"),
        ("3", "done, but no row has a value for one of --columns, or the filter of --jq failed for some rows"),
    ],
    environment: &[SOURCE_DATE_EPOCH, PASSPHRASE],
    sections: &[],
};

pub const RECOVER: HelpText = HelpText {
    examples: &[
        ("Save the intact rows of a damaged bundle", "patchwork-traces recover damaged.jsonl.gz -o recovered.jsonl.gz"),
        ("Then import them", "patchwork-traces import recovered.jsonl.gz"),
        ("Make one bundle from what is left of a history", "patchwork-traces recover trace-history -o left.jsonl.gz"),
    ],
    exit_status: &[
        ("0", "the new bundle was written, and no row is missing"),
        ("1", "failure; no bundle was written"),
        (
            "3",
            "the new bundle was written, but rows are missing or may be missing, its directory could not be synced, or \
             the report could not be printed",
        ),
    ],
    environment: &[SOURCE_DATE_EPOCH, TMPDIR, PASSPHRASE],
    sections: &[],
};

pub const MERGE: HelpText = HelpText {
    examples: &[
        (
            "Merge nightly bundles; rows that they share are kept once",
            "patchwork-traces merge nightly/*.jsonl.gz -o all.jsonl.gz",
        ),
        (
            "Merge the bundles of two machines",
            "patchwork-traces merge laptop.jsonl.gz desktop.jsonl.gz -o both.jsonl.gz",
        ),
        ("Make one bundle of a history", "patchwork-traces merge trace-history -o all.jsonl.gz --label laptop"),
        (
            "Add the logs of this machine to an older bundle",
            "patchwork-traces export -o - | patchwork-traces merge old.gz - -o new.gz",
        ),
    ],
    exit_status: &[
        ("0", "the new bundle was written"),
        ("1", "failure; no bundle was written, and the inputs are unchanged"),
        WRITTEN_BUT,
    ],
    environment: &[TMPDIR, PASSPHRASE],
    sections: &[],
};

pub const FILTER: HelpText = HelpText {
    examples: &[
        (
            "Share only the rows since the start of last week",
            "patchwork-traces filter b.gz --since \"last week\" -o new.gz",
        ),
        ("Share only some logs, byte for byte", "patchwork-traces filter b.gz --source runs -o runs.jsonl.gz"),
        (
            "Keep the failed runs of a history",
            "patchwork-traces filter history --latest --where status=error -o new.gz",
        ),
    ],
    exit_status: &[
        ("0", "the new bundle was written"),
        ("1", "failure, or no row matches; no bundle was written, and the input is unchanged"),
        WRITTEN_BUT,
    ],
    environment: &[SOURCE_DATE_EPOCH, TMPDIR, PASSPHRASE],
    sections: &[],
};

pub const DIFF: HelpText = HelpText {
    examples: &[
        ("Count the rows that differ", "patchwork-traces diff monday.jsonl.gz tuesday.jsonl.gz"),
        ("Check that a backup has every row of this machine", "patchwork-traces diff backup.jsonl.gz --here"),
        (
            "List the rows that only the second one has",
            "patchwork-traces diff a.jsonl.gz b.jsonl.gz --rows | grep '^+'",
        ),
        ("Compare a history with a bundle", "patchwork-traces diff trace-history all.jsonl.gz --source runs"),
    ],
    exit_status: &[
        ("0", "both have the same rows in the same order"),
        ("1", "failure; no verdict"),
        ("3", "rows differ"),
    ],
    environment: &[PATCHWORK_HOME, CLAUDE_CONFIG_DIR, TMPDIR, PASSPHRASE],
    sections: &[(
        "Columns of the table",
        &[
            ("ONLY IN A", "rows that only the first one has, and surplus copies that it has"),
            ("ONLY IN B", "rows that only the second one has, and surplus copies that it has"),
            ("OTHER ORDER", "rows that both have, in a different order"),
            ("SAME", "rows that both have in the same order"),
        ],
    )],
};

#[cfg(feature = "report")]
pub const REPORT: HelpText = HelpText {
    examples: &[
        ("Show a bundle in a browser", "patchwork-traces report traces.jsonl.gz -o report.html"),
        ("Show a whole history", "patchwork-traces report trace-history -o report.html"),
        (
            "Give an auditor a report on a signed bundle, without its rows",
            "patchwork-traces report b.gz --signers signers --no-embed -o b.html",
        ),
        (
            "Report on the logs of this machine",
            "patchwork-traces export -o - | patchwork-traces report - -o report.html",
        ),
    ],
    exit_status: &[
        ("0", "the report was written, and the bundle or history is sound"),
        ("1", "failure; no report was written"),
        (
            "3",
            "the report was written, but the bundle or history is not sound or not signed as required, the report's \
             directory could not be synced, or this program's output could not be printed",
        ),
    ],
    environment: &[SOURCE_DATE_EPOCH, TMPDIR, PASSPHRASE],
    sections: &[(
        "Privacy",
        &[
            ("rows", "are in plain text in the report, even those of an encrypted bundle; the report's mode is 0600"),
            ("network", "is never used: the Content-Security-Policy of the page forbids every request"),
        ],
    )],
};

pub const SCAN: HelpText = HelpText {
    examples: &[
        ("Check a bundle before you share it", "patchwork-traces scan traces.jsonl.gz"),
        ("Find only secrets, in a whole history", "patchwork-traces scan trace-history --only secret"),
        (
            "Ignore host names and IP addresses",
            "patchwork-traces scan traces.jsonl.gz --skip host-name --skip ip-address",
        ),
        ("Also use the rules of gitleaks", "patchwork-traces scan traces.jsonl.gz --rules gitleaks.toml"),
        ("Print the finds of one rule", "patchwork-traces scan b.gz --only jwt --json | jq '.finds[]'"),
    ],
    exit_status: &[("0", "nothing was found"), ("1", "failure; no verdict"), ("3", "something was found")],
    environment: &[PASSPHRASE, TMPDIR],
    sections: &[
        (
            "Rules",
            &[
                (
                    "secret",
                    "tokens of some 50 services by their prefix and length, and checksum where they have one; \
                     private-key; jwt; connection-password (scheme://user:password@host, Server=...;Password=...); \
                     authorization-header; named-secret (values of JSON keys such as password or apiKey, also in arrays) \
                     and assigned-secret (in a text, as in API_KEY=..., curl -u user:..., Cookie: ...)",
                ),
                (
                    "personal",
                    "email-address; home-directory (the user in such a path) and user-name (the same name elsewhere; if it \
                     is also a word or has 2 letters, only as the value of a key such as author); host-name \
                     (in URLs and after user@, without well-known public hosts); ip-address (without loopback and \
                     documentation)",
                ),
            ],
        ),
        (
            "Rule files",
            &[
                (
                    "Format",
                    "TOML as for gitleaks: [[rules]] with id, regex, secretGroup, entropy, keywords and allowlists; \
                     [[allowlists]] with regexes, regexTarget, stopwords, condition and targetRules. The rules search each \
                     string, and each value with its key, as \"key\": \"value\"",
                ),
                (
                    "Allowlists",
                    "an allowlist without targetRules applies to the rules of the file; one whose targetRules name built-in \
                     rules, or `secret` or `personal`, applies to these",
                ),
                (
                    "Refused",
                    "unknown keys, extend, required and skipReport; the error names the rule and the line. Paths, commits \
                     and comments such as gitleaks:allow have no effect",
                ),
            ],
        ),
        (
            "Limits",
            &[(
                "Not found",
                "names in prose; secrets without a known prefix under keys with other names; secrets that are numbers, \
                 split across rows, encoded in base64 or compressed",
            )],
        ),
    ],
};

pub const REDACT: HelpText = HelpText {
    examples: &[
        ("Make a bundle that can be shared", "patchwork-traces redact traces.jsonl.gz -o shared.jsonl.gz"),
        (
            "Give the same users and hosts the same names in every bundle",
            "patchwork-traces redact b.gz -o shared.gz --key-file names.key",
        ),
        (
            "Share when something ran and how it ended, and nothing else",
            "patchwork-traces redact b.gz -o c.gz --keep-only recipeName,status,doneAt",
        ),
        ("Remove a member of every row", "patchwork-traces redact b.gz -o shared.gz --drop outputTail"),
        ("Show that nothing else was changed", "patchwork-traces verify shared.jsonl.gz --original traces.jsonl.gz"),
    ],
    exit_status: &[
        ("0", "the new bundle was written"),
        (
            "1",
            "failure; nothing was written. Also if scan would find something in the new bundle, or no row has a member to \
             remove or keep",
        ),
        ("3", "the bundle was written, but not signed, or the report could not be printed"),
    ],
    environment: &[PASSPHRASE, TMPDIR],
    sections: &[
        (
            "Rules",
            &[
                ("used", "those of scan; `patchwork-traces scan --help` lists them"),
                ("private keys", "are replaced by `[private key removed]`"),
            ],
        ),
        (
            "Not removed",
            &[
                ("names in prose", "people, companies and projects that are mentioned only in prose"),
                ("unknown formats", "secrets without a known prefix, under keys that do not name a secret"),
                ("split secrets", "secrets that are split across rows, or that a writer has truncated"),
                ("encodings", "text that is encoded in base64, compressed or encrypted inside a string"),
                ("allowed", "text that an allowlist of --rules matches"),
                ("numbers", "only strings and keys are replaced; --drop removes members of any type"),
                ("metadata", "times, sizes and numbers of rows"),
            ],
        ),
    ],
};

pub const PROVE: HelpText = HelpText {
    examples: &[
        ("Prove that segment 12 is in a history", "patchwork-traces prove trace-history --segment 12 -o 12.proof"),
        (
            "Verify it with only the segment and a checkpoint",
            "patchwork-traces verify 12.jsonl.gz --proof 12.proof --since checkpoint",
        ),
        ("Prove it for an older checkpoint", "patchwork-traces prove trace-history --segment 12 --at old -o 12.proof"),
    ],
    exit_status: &[
        ("0", "the proof was written"),
        ("1", "failure; no proof was written"),
        ("3", "the proof was written, but its directory could not be synced or the report could not be printed"),
    ],
    environment: &[],
    sections: &[],
};

#[cfg(feature = "seal")]
pub const SIGN: HelpText = HelpText {
    examples: &[
        ("Sign a bundle", "patchwork-traces sign traces.jsonl.gz --key ~/.ssh/id_ed25519"),
        ("Sign with a key that ssh-agent holds", "patchwork-traces sign b.jsonl.gz --key ~/.ssh/id_ed25519.pub"),
        ("Sign a history", "patchwork-traces sign trace-history --key ~/.ssh/id_ed25519"),
        ("Check who signed a bundle", "patchwork-traces verify b.jsonl.gz --signers allowed_signers"),
    ],
    exit_status: &[
        ("0", "the signature was written"),
        ("1", "failure; no signature was written"),
        ("3", "the signature was written, but its directory could not be synced or the report could not be printed"),
    ],
    environment: &[PASSPHRASE, ("SSH_AUTH_SOCK", "socket of ssh-agent, for a key that it holds")],
    sections: &[],
};

pub const DEMO: HelpText = HelpText {
    examples: &[("Take the tour", "patchwork-traces demo")],
    exit_status: &[DONE, ("1", "a command of the tour failed")],
    environment: &[SOURCE_DATE_EPOCH, TMPDIR],
    sections: &[],
};

pub const SCHEMA: HelpText = HelpText {
    examples: &[
        ("Print the schema of the first line of a bundle", "patchwork-traces schema manifest"),
        ("Print the schema of a command's --json output", "patchwork-traces schema export"),
    ],
    exit_status: PRINT_EXIT_STATUS,
    environment: &[],
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
    exit_status: PRINT_EXIT_STATUS,
    environment: &[],
    sections: &[],
};

pub const MAN: HelpText = HelpText {
    examples: &[
        ("Read a page", "patchwork-traces man cat | man -l -"),
        ("Install a page", "patchwork-traces man > ~/.local/share/man/man1/patchwork-traces.1"),
    ],
    exit_status: PRINT_EXIT_STATUS,
    environment: &[],
    sections: &[],
};

impl HelpText {
    /// Returns all exit codes of the command, in ascending order.
    pub fn exit_status(&self) -> Vec<Term> {
        let mut all = [self.exit_status, &COMMON_EXIT_STATUS].concat();
        all.sort_by_key(|(code, _)| code.parse::<u8>().ok());
        all
    }

    /// Returns all environment variables of the command.
    pub fn environment(&self) -> Vec<Term> {
        [self.environment, &COMMON_ENVIRONMENT].concat()
    }
}

/// Returns the text of `--help` below the arguments.
pub fn long(help: &HelpText) -> String {
    let heading = |heading: &str| format!("{HEADER}{heading}:{HEADER:#}\n");
    let mut text = heading("Examples");
    for (about, command) in help.examples {
        text += &format!("  # {about}\n  {command}\n\n");
    }
    let sections = help.sections.iter().map(|(name, terms)| (*name, terms.to_vec()));
    for (name, terms) in sections.chain([("Exit status", help.exit_status()), ("Environment", help.environment())]) {
        text += &format!("{}{}\n", heading(name), term_list(&terms));
    }
    text.trim_end().to_owned()
}

/// The maximum width of the column of terms. A longer term has its own line.
const MAX_TERM_WIDTH: usize = 17;

/// Formats terms and descriptions in two columns, wrapped at 80 characters.
fn term_list(terms: &[Term]) -> String {
    let widths = terms.iter().map(|(term, _)| term.len()).filter(|width| *width <= MAX_TERM_WIDTH);
    let width = widths.max().unwrap_or_default();
    let hanging = " ".repeat(width + 4);
    let mut list = String::new();
    // Names such as `user-name` stay whole, so that they can be copied.
    let options = Options::new(80).word_splitter(WordSplitter::NoHyphenation);
    let options = options.initial_indent(&hanging).subsequent_indent(&hanging);
    for (term, description) in terms {
        let wrapped = textwrap::fill(description, &options);
        match term.len() <= width {
            true => list += &format!("  {term:width$}  {}\n", wrapped.trim_start()),
            false => list += &format!("  {term}\n{wrapped}\n"),
        }
    }
    list
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
        Some("merge") => &MERGE,
        Some("keep") => &KEEP,
        Some("status") => &STATUS,
        Some("filter") => &FILTER,
        Some("diff") => &DIFF,
        #[cfg(feature = "report")]
        Some("report") => &REPORT,
        Some("scan") => &SCAN,
        Some("redact") => &REDACT,
        Some("prove") => &PROVE,
        #[cfg(feature = "seal")]
        Some("sign") => &SIGN,
        Some("demo") => &DEMO,
        Some("schema") => &SCHEMA,
        Some("completions") => &COMPLETIONS,
        Some("man") => &MAN,
        _ => &PROGRAM,
    }
}
