//! Shell completion, including the sources and files of the bundle on the command line.

use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::engine::{CompletionCandidate, ValueCompleter};
use clap_complete::env::CompleteEnv;
use patchwork_traces::bundle::Bundle;
use patchwork_traces::detect::{BuiltInRule, FindKind};
use patchwork_traces::format::SourceName;
use patchwork_traces::logs::CATALOGUE;
use strum::VariantArray as _;

use crate::cli::Cli;

/// The environment variable with which a shell requests completions.
pub const VARIABLE: &str = "PATCHWORK_TRACES_COMPLETE";

/// Answers a completion request. Returns false if there is none.
pub fn answer() -> bool {
    let here = std::env::current_dir().ok();
    let engine = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    // An error cannot be shown while the user types.
    engine.try_complete(std::env::args_os(), here.as_deref()).unwrap_or(true)
}

/// Completes sources: those of the bundle on the command line, or else the known ones.
#[derive(Clone)]
pub struct SourceCompleter;

/// Completes the names of rules and of their kinds.
#[derive(Clone)]
pub struct RuleCompleter;

impl ValueCompleter for RuleCompleter {
    fn complete(&self, current: &std::ffi::OsStr) -> Vec<CompletionCandidate> {
        starting_with(current, rule_names())
    }
}

/// Completes the files of the bundle on the command line.
#[derive(Clone)]
pub struct FileCompleter;

impl ValueCompleter for SourceCompleter {
    fn complete(&self, current: &std::ffi::OsStr) -> Vec<CompletionCandidate> {
        match named_bundle() {
            Some(bundle) => starting_with(current, bundle.manifest().sources.iter().map(SourceName::as_str)),
            None => starting_with(current, CATALOGUE.iter().map(|source| source.name)),
        }
    }
}

impl ValueCompleter for FileCompleter {
    fn complete(&self, current: &std::ffi::OsStr) -> Vec<CompletionCandidate> {
        let Some(bundle) = named_bundle() else { return Vec::new() };
        starting_with(current, bundle.manifest().files.iter().map(|file| file.relative_path.as_str()))
    }
}

fn starting_with<'n>(current: &std::ffi::OsStr, names: impl Iterator<Item = &'n str>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    names.filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

/// Opens the first file on the command line that is a bundle.
fn named_bundle() -> Option<Bundle<'static>> {
    let line: Vec<OsString> = std::env::args_os().skip_while(|argument| argument != "--").skip(2).collect();
    let files = line.iter().map(Path::new).filter(|path| path.is_file());
    files.into_iter().find_map(|path| Bundle::open(path).ok())
}

/// Returns the names of the kinds of rules and of the built-in rules.
fn rule_names() -> impl Iterator<Item = &'static str> {
    FindKind::VARIANTS.iter().map(|kind| kind.name()).chain(BuiltInRule::VARIANTS.iter().map(|rule| rule.name()))
}
