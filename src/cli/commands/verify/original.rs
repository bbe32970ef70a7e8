//! The comparison of a redacted bundle with its original.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use patchwork_traces::container::DecryptionKeys;
use patchwork_traces::detect::RuleFile;
use patchwork_traces::redact::{CompareOptions, RedactionCheck, RedactionDifference, RedactionKey, check_redaction};

use crate::cli::failure::Failure;
use crate::cli::input::{open, open_seekable};
use crate::cli::is_dash;
use crate::cli::is_history;
use crate::cli::render::text::{counted, safe};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{BAD, GOOD, paint};

/// The options for redacted bundles.
#[derive(Debug, Args)]
pub struct OriginalArgs {
    /// Original of a redacted bundle: a bundle or history
    ///
    /// Redacts the original again and compares the results. Shows that nothing but secrets and
    /// personal data was changed or removed.
    #[arg(long, value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    original: Option<PathBuf>,

    /// Key file that was used for the redaction
    #[arg(long, value_name = "FILE", requires = "original", hide_short_help = true, value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,

    /// Rule file that was used for the redaction
    #[arg(long, value_name = "FILE", requires = "original", hide_short_help = true, value_hint = ValueHint::FilePath)]
    rules: Option<PathBuf>,
}

impl OriginalArgs {
    /// Checks that `--original` has one bundle to compare with.
    pub fn check(&self, bundles: &[PathBuf]) -> Result<(), Failure> {
        match (&self.original, bundles) {
            (None, _) => Ok(()),
            (Some(_), [bundle]) if !is_dash(bundle) && !is_history(bundle) => Ok(()),
            (Some(_), [_]) => Err(Failure::usage(
                "--original compares a redacted bundle in a file",
                "name the file of the redacted bundle",
            )),
            (Some(_), _) => {
                Err(Failure::usage("--original is for one bundle, but several were named", "verify it on its own"))
            }
        }
    }

    /// Compares the bundle at `path` with the original, if one was named.
    pub fn compare(
        &self,
        path: &Path,
        keys: &DecryptionKeys,
        output: Output,
    ) -> Result<Option<RedactionCheck>, Failure> {
        let Some(original) = &self.original else { return Ok(None) };
        let key = self.key_file.as_deref().map(RedactionKey::read).transpose()?;
        let rules = self.rules.as_deref().map(RuleFile::read).transpose()?;
        let redacted = open(path, keys)?;
        let original = open_seekable(original, keys)?;
        let options = CompareOptions::default().key(key).rules(rules);
        Ok(Some(check_redaction(&redacted, &original, &options, &Bar::new(output))?))
    }
}

/// Returns the exit code for the result of a comparison.
pub fn exit_of(check: &RedactionCheck) -> Exit {
    if check.difference.is_none() { Exit::Done } else { Exit::Incomplete }
}

/// Returns the line about a comparison.
pub fn text(check: &RedactionCheck) -> String {
    let original = safe(&check.original);
    let Some(difference) = &check.difference else {
        let (replaced, lines) = (check.redaction.replaced, check.redaction.lines);
        let members = match check.redaction.drop.is_empty() && check.redaction.keep_only.is_empty() {
            true => "",
            false => ", and the members that the manifest names were removed",
        };
        let generator = check.generator.as_ref().filter(|generator| **generator != crate::cli::generator());
        let generator = generator.map(|text| format!("; not compared: the program's name, {}", safe(text)));
        let generator = generator.unwrap_or_default();
        return format!(
            "  original  {} from {original}: {} replaced in {}{members}{generator}\n",
            paint(GOOD, "only this differs"),
            counted(replaced, "text was", "texts were"),
            counted(lines, "line", "lines"),
        );
    };
    let place = match difference {
        RedactionDifference::Original => "it was made from another original".to_owned(),
        RedactionDifference::Container => "the gzip file holds more than the bundle".to_owned(),
        RedactionDifference::Manifest { key } => format!("`{}` of the manifest differs", safe(key)),
        RedactionDifference::Line { file, line } => format!("line {line} of {}", safe(file)),
        _ => "it has other logs".to_owned(),
    };
    format!("  original  {} of {original}: {place}\n", paint(BAD, "NOT the redaction"))
}
