//! Advice on what to do after an error, in terms of this program's commands and options.

use std::io;
use std::path::Path;

use patchwork_traces::error::{Encryption, HistoryFault, IoAction, KeyText, Obstacle, RedactionFault, SignatureFault};
use patchwork_traces::{Error, ErrorKind};

use crate::cli::suggest;

/// Returns the advice for an error: the name that was probably meant, or else the advice for its kind.
pub fn for_error(error: &Error) -> String {
    let meant = match error.kind() {
        ErrorKind::UnknownSource { name, known }
        | ErrorKind::UnknownFile { name, known }
        | ErrorKind::Redaction(RedactionFault::UnknownRule { name, known }) => {
            suggest::closest(name, known.iter().map(String::as_str)).map(str::to_owned)
        }
        ErrorKind::Io { action: IoAction::Open, source } if source.kind() == io::ErrorKind::NotFound => {
            let path = error.position().subject.as_ref().map(Path::new);
            if path.is_some_and(Path::is_symlink) {
                return "this is a symlink whose target does not exist".to_owned();
            }
            path.and_then(suggest::closest_file)
        }
        _ => None,
    };
    meant.map_or_else(|| for_kind(error.kind()), |meant| format!("did you mean \"{meant}\"?"))
}

/// Returns the advice for a kind of error.
fn for_kind(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::Io { source, .. } => for_system_error(source).to_owned(),
        ErrorKind::PartiallyCommitted { is_repeatable, cause, .. } => for_partial_import(cause, *is_repeatable),
        ErrorKind::History(fault) => for_history(fault).to_owned(),
        ErrorKind::Signature(fault) => for_signature(fault).to_owned(),
        ErrorKind::Redaction(fault) => for_redaction(fault).to_owned(),
        ErrorKind::CheckpointNotWritten { .. } => "run the command again: each run replaces the checkpoint".to_owned(),
        ErrorKind::PartiallyKept { cause, .. } => {
            format!("{}; then add the remaining bundles", for_error(cause))
        }
        ErrorKind::NotSigned { .. } => "fix the cause, then sign with `patchwork-traces sign`".to_owned(),
        kind => {
            let hint = for_output(kind).or_else(|| for_logs(kind)).or_else(|| for_import(kind));
            hint.unwrap_or_else(|| for_bundle(kind)).to_owned()
        }
    }
}

/// Returns the advice for an output file that cannot be written.
fn for_output(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::TargetExists => "choose another file with -o, or add --force to replace this one",
        ErrorKind::NoTargetDirectory { is_default: true } => "choose a file in another directory with -o",
        ErrorKind::NoTargetDirectory { .. } => "check the spelling, or add --create-dirs to create the directory",
        ErrorKind::TargetIsDirectory => "name a file inside it with -o",
        ErrorKind::TargetIsLog => "choose another file with -o",
        ErrorKind::TargetIsTerminal => "redirect it to a file or a program, as in `-o - > traces.jsonl.gz`",
        ErrorKind::OutputNotIntact => "it was not kept; check the disk, and write to another one",
        ErrorKind::ReportLost { .. } => "you don't need to run the command again",
        ErrorKind::DirectorySyncFailed { .. } => "check the disk, and make another copy of the file",
        _ => return None,
    })
}

/// Returns the advice for logs that cannot be found or read.
fn for_logs(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NoHome => "set HOME, or pass --patchwork-dir and --activity-dir",
        ErrorKind::MissingDirectory { variable: None } => {
            "check the spelling, or omit the option to use the default directory"
        }
        ErrorKind::MissingDirectory { variable: Some(_) } => {
            "check the spelling, or unset the variable to use the default directory"
        }
        ErrorKind::NoLogs { .. } => {
            "check --patchwork-dir and --activity-dir; `export --allow-empty` writes a bundle without logs"
        }
        ErrorKind::NotAFile => "move it elsewhere, or put the log back",
        ErrorKind::LogName(_) => "rename the log, or omit --include-other",
        ErrorKind::LogShrank { .. } => {
            "another program rewrote it; run the command again, preferably while Patchwork is idle"
        }
        ErrorKind::LogsKeepChanging => "run the command again while Patchwork is idle",
        ErrorKind::LineTooLong { .. } => "look at this line: no known program writes rows of that length",
        ErrorKind::TooManyUnparsed { .. } => "move the part of the log that is not JSON Lines elsewhere",
        ErrorKind::TooManyLogs { .. } => {
            "move old logs elsewhere before you export; no exporter writes a bundle with more"
        }
        ErrorKind::NoRowsMatch => "try the conditions with `cat`; `filter --allow-empty` writes a bundle without rows",
        ErrorKind::KeyOfSeveralValues { .. } => "name one element, such as [0], in place of []",
        ErrorKind::OtherSource { .. } => "add --include-other to bundle it",
        ErrorKind::UnknownSource { .. } | ErrorKind::UnknownFile { .. } => "check the spelling",
        _ => return None,
    })
}

/// Returns the advice for logs that cannot be replaced.
fn for_import(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::CannotReplace { obstacle: Obstacle::MountPoint } => {
            "mount the directory instead of the single file, or use --source to import only other sources"
        }
        ErrorKind::CannotReplace { .. } => {
            "remove the attribute with `chattr -i -a`, or use --source to import only other sources"
        }
        ErrorKind::CannotPreserveOwner => "run the import as the owner of the log, or as root",
        ErrorKind::ForeignSource { .. } => {
            "update patchwork-traces: a newer version may know this source; or use --source to import only other \
             sources"
        }
        ErrorKind::NotOfSource { .. } => {
            "no exporter writes this; use another copy of the bundle, or use --source to import only other sources"
        }
        ErrorKind::InputsDisagree { .. } => "use --source to leave one of the two logs out",
        ErrorKind::OnlySomeRows => "use --mode merge to add its rows",
        ErrorKind::OnlyASegment => "import the directory of the history, or use --mode merge to add the segment's rows",
        ErrorKind::SameTarget { .. } => "look for a link between the two, and move one of them elsewhere",
        ErrorKind::DanglingLink { .. } => "restore the target, or remove the symlink",
        ErrorKind::ForeignLink { .. } => {
            "run the import as the owner of the directory (`sudo -u NAME`), or pass the real directory with \
             --patchwork-dir or --activity-dir"
        }
        ErrorKind::ProcNotMounted => "mount /proc, or run the import as the owner of the directory (`sudo -u NAME`)",
        ErrorKind::Locked { .. } => "try again when Patchwork is idle; if it is not running, remove the lock",
        ErrorKind::LockLost => RUN_AGAIN,
        ErrorKind::LogKeepsChanging => "run the command again, preferably while Patchwork is idle",
        ErrorKind::TooManyLines { .. } => "import with --mode append, or move the log elsewhere",
        _ => return None,
    })
}

/// Returns the advice for a history that has a fault, or does not match a checkpoint or a proof.
pub fn for_history(fault: &HistoryFault) -> &'static str {
    match fault {
        HistoryFault::NotAHistory => {
            "pass a bundle, or a directory that `patchwork-traces keep` wrote; it starts a history in a new or empty directory"
        }
        HistoryFault::NoSegments => "check the path; `patchwork-traces keep` starts a history",
        HistoryFault::Missing { .. } | HistoryFault::CutOff { .. } => {
            "restore the missing files from a backup; `patchwork-traces recover` makes one bundle from the rest"
        }
        HistoryFault::Duplicate { .. } => {
            "remove one of them if both are the same; otherwise two copies of the history were continued separately: give \
             each its own directory, with the segments before it; `patchwork-traces merge` makes one bundle of both"
        }
        HistoryFault::Renamed { .. } => "rename it, or restore it from a backup",
        HistoryFault::OtherHistory { .. } | HistoryFault::NotASegment => {
            "move it elsewhere; `patchwork-traces merge` makes one bundle of several"
        }
        HistoryFault::OtherPrevious { .. } | HistoryFault::RowsBefore { .. } => {
            "the history was changed, or put together from two copies: restore it from a backup, or run \
             `patchwork-traces verify` to list every problem"
        }
        HistoryFault::NotABundle => {
            "restore it from a backup; `patchwork-traces recover` makes one bundle from the rest of the history"
        }
        HistoryFault::NoNote => {
            "run `patchwork-traces keep` as before, but once with --identity or the passphrase: it writes the missing notes, \
             so that later runs need no key"
        }
        HistoryFault::Changed => {
            "segments are never rewritten: find the program that changed this one, and run the command again"
        }
        HistoryFault::InUse => "wait until it ends, and run the command again",
        HistoryFault::SegmentGiven => "pass bundles that `patchwork-traces export` or `merge` wrote",
        HistoryFault::TooOld { .. } => {
            "start a new history, or use `patchwork-traces merge` to make one bundle of both"
        }
        HistoryFault::NotACheckpoint => {
            "pass the file `checkpoint` of a history, or a copy of it; replace a damaged one with a copy"
        }
        HistoryFault::OtherCheckpoint { .. } => "pass a checkpoint of this history, or the history of this checkpoint",
        HistoryFault::NoSuchSegment { .. } => {
            "count the segments with `patchwork-traces inspect`; the first is segment 0"
        }
        HistoryFault::NotAProof => "pass a file that `patchwork-traces prove` wrote",
        HistoryFault::OtherProof { .. } => "pass the proof and the checkpoint of the same history",
        HistoryFault::OtherProofSize { .. } => {
            "run `patchwork-traces prove` with --at and this checkpoint, or pass the checkpoint that the proof was \
             made for"
        }
        HistoryFault::OtherProofSegment { .. } => "pass the proof of this segment, or the bundle that the proof is for",
        HistoryFault::ProofMismatch { .. } => {
            "the proof was altered, or this bundle was never in that history: run `patchwork-traces prove` again where \
             the history is"
        }
        HistoryFault::Rewritten { .. } => {
            "do not trust this copy of the history: compare it with a backup that has the segments of the checkpoint"
        }
        _ => "run `patchwork-traces verify` to list every problem",
    }
}

/// Returns the advice for a key that cannot sign, or a list of signers that cannot be used.
fn for_signature(fault: &SignatureFault) -> &'static str {
    match fault {
        SignatureFault::NotASigningKey => {
            "pass an OpenSSH private key or its .pub file; `ssh-keygen -p -f KEY` converts a key of another format"
        }
        SignatureFault::UnsupportedKey { .. } => "use an ed25519 or ecdsa key; `ssh-keygen -t ed25519` makes one",
        SignatureFault::PassphraseNeeded => {
            "run the command in a terminal, or add the key to ssh-agent with `ssh-add` and pass its .pub file"
        }
        SignatureFault::WrongPassphrase => "run the command again with the right passphrase",
        SignatureFault::KeygenMissing => "install the OpenSSH client, or pass the private key",
        SignatureFault::KeygenFailed { .. } => {
            "check with `ssh-add -L` that ssh-agent has the key, or pass the private key"
        }
        SignatureFault::SignersLine { .. } => {
            "correct the line; it has names, options and a public key, as in `me@example.org ssh-ed25519 AAAA...`"
        }
        SignatureFault::AlreadySigned => "add --force to replace it",
        _ => "run `patchwork-traces keep`, which writes the checkpoint, or `patchwork-traces verify`",
    }
}

/// Returns the advice for a scan or a redaction.
fn for_redaction(fault: &RedactionFault) -> &'static str {
    match fault {
        RedactionFault::UnknownRule { .. } => "`patchwork-traces scan --help` lists the rules",
        RedactionFault::RuleNotUnderstood { .. } => {
            "correct the line; `patchwork-traces scan --help` describes rule files"
        }
        RedactionFault::TooManyUsers { .. } => "add `--skip home-directory --skip user-name`, or name fewer sources",
        RedactionFault::TooManyValues { .. } => "name fewer sources, or leave out a rule with --skip",
        RedactionFault::KeyFileExposed => "run `chmod 600` on it",
        RedactionFault::KeyFileLength { .. } | RedactionFault::KeyFileZero => {
            "`head -c 32 /dev/urandom > KEY` makes one"
        }
        RedactionFault::NamesCollide => "use another key",
        RedactionFault::FoundInOption { option: "--source", .. } => {
            "choose the source with `patchwork-traces filter`, and redact the result"
        }
        RedactionFault::FoundInOption { .. } => "name the object around the member, or leave the rule out with --skip",
        RedactionFault::NoSuchMember { .. } => "`patchwork-traces inspect --keys` lists the members that rows have",
        RedactionFault::NoRules => "leave out --skip, or name other rules",
        RedactionFault::WholeRow => "name a member of the rows, such as `body.text`",
        RedactionFault::NotRedacted => "name a bundle that `patchwork-traces redact` made",
        RedactionFault::OtherRules { .. } => "use the program that made it",
        RedactionFault::RulesNeeded { .. } => "add --rules with that file",
        RedactionFault::OtherRuleFile { .. } => "pass the file that it was made with; `sha256sum` tells files apart",
        RedactionFault::NoRulesUsed => "omit --rules",
        RedactionFault::KeyNeeded => "add --key-file with that key",
        RedactionFault::OtherKey => "pass the key that it was made with",
        RedactionFault::NoKeyUsed => "omit --key-file",
        RedactionFault::OverLogs => {
            "import the original, or name empty directories with --patchwork-dir and --activity-dir"
        }
        RedactionFault::IntoHistory => "keep its original; `patchwork-traces redact` also takes a history",
        RedactionFault::RedactedApart { .. } => {
            "merge the originals and redact the result, or redact each with the same --key-file and options"
        }
        RedactionFault::AmongOthers => "leave it out, or redact the others with the same options first",
        _ => "please report this; leave the log out with --source, or the rule with --skip",
    }
}

/// Returns the advice for an input that is not a bundle or is damaged.
fn for_bundle(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::EmptyInput
        | ErrorKind::InputIsDirectory
        | ErrorKind::NotABundle
        | ErrorKind::GzipOfSomethingElse => "pass a file that `patchwork-traces export` wrote",
        ErrorKind::RowBeforeManifest | ErrorKind::NotAManifest => {
            "check that this is the right file, or use another copy of the bundle"
        }
        ErrorKind::NothingToRecover => "check that this is the right file; another copy of the bundle may have more",
        ErrorKind::Encrypted(Encryption::AgeKey) => "pass the identity file with -i",
        ErrorKind::Encrypted(_) => {
            "run the command in a terminal, which asks for the passphrase, or use --passphrase-file"
        }
        ErrorKind::NoMatchingKey => "pass another identity file with -i",
        ErrorKind::DecryptionTooCostly { .. } => "decrypt it with `age -d` if you trust who wrote it",
        ErrorKind::CiphertextDamaged => {
            "use another copy; `patchwork-traces recover FILE -o NEW` saves the rows in intact pieces of 64 KiB"
        }
        ErrorKind::InvalidIdentity { found, .. } => for_identity(*found),
        ErrorKind::InvalidRecipient { found, .. } => for_recipient(*found),
        ErrorKind::NestedEncryption { in_gzip: true } => {
            "decompress it with gunzip: bundles are compressed before they are encrypted, not after"
        }
        ErrorKind::NestedEncryption { .. } => {
            "decrypt the outer layer, as with `age -d`, and run the command on the result"
        }
        ErrorKind::AgePluginMissing { .. } => "install this age plugin, or add its directory to PATH",
        ErrorKind::AgePluginFailed { .. } => {
            "check that the token is plugged in, and run the command again; set AGEDEBUG=plugin to see the plugin's messages"
        }
        ErrorKind::RecipientsDiffer => "age cannot mix post-quantum keys with others; write two files",
        ErrorKind::InvalidPassphrase => "write it into the file, or name another file",
        ErrorKind::ManifestTooLong { .. } => "no exporter writes such a manifest; use another copy of the bundle",
        ErrorKind::UnsupportedVersion { .. } => "update patchwork-traces: a newer version probably wrote this bundle",
        ErrorKind::DecryptionFailed => {
            "check the passphrase, or that the identity belongs to a recipient of the file; if it does, use another copy"
        }
        ErrorKind::PwtraceTruncated { .. } => "use another copy of the file, or let Patchwork export it again",
        ErrorKind::PwtraceVersion { .. } => {
            "update patchwork-traces: a newer version of Patchwork probably wrote this file"
        }
        ErrorKind::PwtraceTooLong { .. } => {
            "check that this is the right file; Patchwork writes no exports of that size"
        }
        ErrorKind::NotByteForByte => "omit --exact to print its rows",
        ErrorKind::EntryType { .. } => {
            "print the row with `patchwork-traces cat`, and adapt the type: a log can hold any JSON"
        }
        ErrorKind::Cancelled => "nothing was changed; run the command again",
        _ => {
            "the bundle is damaged or was changed: run `patchwork-traces verify` to list every problem, \
             `patchwork-traces recover` to save the intact rows"
        }
    }
}

/// Returns the advice for a text that should be an age identity.
fn for_identity(found: KeyText) -> &'static str {
    match found {
        KeyText::Recipient => "pass the file with the secret key; `age-keygen -o FILE` writes both",
        KeyText::Ssh => "an age key is needed: `age-keygen -o key.txt` makes one; or decrypt the bundle with `age -d`",
        KeyText::EncryptedOtherwise => "decrypt it first, with the program that encrypted it",
        KeyText::Utf16 => SAVE_AS_UTF8,
        KeyText::PostQuantum => "decrypt the bundle with `age -d`",
        KeyText::Identity => "copy it again from where it was written",
        _ => "`age-keygen -o FILE` writes such a file",
    }
}

/// Returns the advice for a text that should be an age recipient.
fn for_recipient(found: KeyText) -> &'static str {
    match found {
        KeyText::Identity => {
            "`age-keygen -y FILE` prints the public key, which belongs here; a secret key on a command line can be seen by \
             other users"
        }
        KeyText::Ssh => {
            "an age key is needed: `age-keygen -o key.txt` makes one, and `age-keygen -y key.txt` prints it"
        }
        KeyText::Utf16 => SAVE_AS_UTF8,
        KeyText::PostQuantum => "`age-keygen -o key.txt` makes a standard key, and `age-keygen -y key.txt` prints it",
        KeyText::Recipient => "copy it again, or print it with `age-keygen -y`",
        _ => "it begins with age1, and `age-keygen -y` prints it",
    }
}

const SAVE_AS_UTF8: &str = "save it as UTF-8; `age-keygen -o FILE` writes such a file";

const RUN_AGAIN: &str = "run the command again";

/// Returns the advice for an import that committed some logs and then stopped because of `cause`.
fn for_partial_import(cause: &Error, is_repeatable: bool) -> String {
    let first = match cause.kind() {
        ErrorKind::Cancelled => None,
        ErrorKind::LogKeepsChanging => Some("stop Patchwork, or wait until it is idle".to_owned()),
        kind => Some(for_kind(kind)).filter(|hint| !hint.starts_with(RUN_AGAIN)),
    };
    let first = first.map(|first| format!("{first}; then "));
    let next = match is_repeatable {
        true => "run the command again to finish",
        false => "import the bundle again with `--mode merge` to finish: appending again would duplicate lines",
    };
    format!("{}{next}", first.unwrap_or_default())
}

/// Returns the advice for an error of the operating system.
fn for_system_error(error: &io::Error) -> &'static str {
    if is_out_of_descriptors(error) {
        return "raise the limit with `ulimit -n`, as in `ulimit -n 1024`, and try again";
    }
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check its owner and permissions",
        io::ErrorKind::StorageFull => "free some space, or use another disk",
        io::ErrorKind::ReadOnlyFilesystem => "use another disk",
        io::ErrorKind::BrokenPipe => "start that program again, then this command",
        _ => "check the disk and the path, and try again",
    }
}

/// Returns true if this process, or the system, has too many open files.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    // An error that names the path wraps the system's error.
    let inner = error.get_ref().and_then(|outer| outer.source()).and_then(|inner| inner.downcast_ref());
    let error: &io::Error = inner.unwrap_or(error);
    // ENFILE and EMFILE, which have these numbers on every Unix.
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

#[cfg(test)]
#[path = "../../tests/common/error_kinds.rs"]
mod error_kinds;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fmt::Write;

    use super::error_kinds::error_kinds;
    use super::{Error, ErrorKind, IoAction, for_error, io};

    #[test]
    fn every_kind_has_a_hint() {
        let mut text = String::new();
        for kind in error_kinds() {
            let code = kind.code();
            let error = Error::from(kind).in_subject("FILE");
            writeln!(text, "{code}\n  error: {error}\n  hint: {}\n", for_error(&error)).unwrap();
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_hint_for_a_partial_import_begins_with_the_cause() {
        let hint_if = |is_repeatable, cause: ErrorKind| {
            let cause = cause.into();
            for_error(&ErrorKind::PartiallyCommitted { placed: Vec::new(), all: 3, is_repeatable, cause }.into())
        };
        assert_eq!(hint_if(true, ErrorKind::LockLost), "run the command again to finish");
        let merge = "import the bundle again with `--mode merge` to finish: appending again would duplicate lines";
        assert_eq!(hint_if(false, ErrorKind::LockLost), merge);
        let full = ErrorKind::Io { action: IoAction::Write, source: io::ErrorKind::StorageFull.into() };
        let expected = "free some space, or use another disk; then run the command again to finish";
        assert_eq!(hint_if(true, full), expected);
    }
}
