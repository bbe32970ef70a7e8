//! Opens the bundles that arguments name.

use std::fs::File;
use std::path::{Path, PathBuf};

use patchwork_traces::bundle::{Access, Bundle};
use patchwork_traces::container::{DecryptionKeys, Input};
use patchwork_traces::error::IoAction;
use patchwork_traces::history::is_history;
use patchwork_traces::input::{InputSummary, TraceInput};
use patchwork_traces::{Error, ErrorKind, History};

use crate::cli::failure::Failure;
use crate::cli::is_dash;
use crate::cli::render::text::safe;
use crate::cli::terminal::output::STDIN;
use crate::cli::terminal::stdin::{is_stdin, stdin};

/// Opens the file at `path`, or standard input for `-`, and decrypts it with `keys`. Also returns its
/// name for error messages.
pub fn open_input(path: &Path, keys: &DecryptionKeys) -> patchwork_traces::Result<(Input<'static>, String)> {
    match is_dash(path) {
        true => Ok((Input::from_stream(stdin()?, keys, STDIN)?, STDIN.to_owned())),
        false => Ok((Input::open(path, keys)?, path.display().to_string())),
    }
}

/// Returns an error if one of the files cannot be opened. Called before any passphrase is asked for.
pub fn check_presence(paths: &[PathBuf]) -> patchwork_traces::Result<()> {
    for path in paths.iter().filter(|path| !is_dash(path)) {
        let failed = |error| Error::io(IoAction::Open, path, error);
        // A pipe can be opened only once.
        if path.metadata().map_err(failed)?.is_file() {
            File::open(path).map_err(failed)?;
        }
    }
    Ok(())
}

/// Opens the bundle at `path`, or standard input for `-`.
pub fn open(path: &Path, keys: &DecryptionKeys) -> patchwork_traces::Result<Bundle<'static>> {
    let (input, name) = open_input(path, keys)?;
    Bundle::from_input(input, &name)
}

/// Opens the bundle or history at `path`. An encrypted bundle stays open, because opening it again
/// can take a second.
fn open_traces(path: &Path, keys: &DecryptionKeys) -> patchwork_traces::Result<TraceInput<'static>> {
    // A pipe can be opened only once.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return open(path, keys).map(TraceInput::from_bundle);
    }
    if path.is_dir() {
        return History::open_with_keys(path, keys).map(TraceInput::from_history);
    }
    match TraceInput::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::Encrypted(_)) => open(path, keys).map(TraceInput::from_bundle),
        opened => opened,
    }
}

/// Opens the bundles and histories at `paths`. One of them may be `-`, for standard input.
pub fn open_all(paths: &[PathBuf], keys: &DecryptionKeys) -> Result<Vec<TraceInput<'static>>, Failure> {
    if paths.iter().filter(|path| is_dash(path)).count() > 1 {
        return Err(Failure::usage("standard input can be read only once", "name `-` once"));
    }
    check_presence(paths)?;
    let open = |path: &PathBuf| match is_dash(path) {
        true => open(path, keys).map(TraceInput::from_bundle),
        false => open_traces(path, keys),
    };
    Ok(paths.iter().map(open).collect::<Result<_, _>>()?)
}

/// Opens the bundle or history at `path`. Copies an input that cannot be read again, such as standard
/// input, to an unnamed temporary file.
pub fn open_seekable(path: &Path, keys: &DecryptionKeys) -> patchwork_traces::Result<TraceInput<'static>> {
    let is_stream = path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    if !is_dash(path) && !is_stream {
        return open_traces(path, keys);
    }
    let (input, name) = open_input(path, keys)?;
    let file = input.into_file(std::env::temp_dir(), &name)?;
    Bundle::from_seekable(file, &name).map(TraceInput::from_bundle)
}

/// Opens the bundles and histories at `paths` like [`open_all`], but copies those that cannot be read again, such as
/// standard input, to unnamed temporary files.
pub fn open_all_seekable(paths: &[PathBuf], keys: &DecryptionKeys) -> Result<Vec<TraceInput<'static>>, Failure> {
    let dashes = paths.iter().filter(|path| is_dash(path)).count();
    if dashes > 1 {
        return open_all(paths, keys);
    }
    check_presence(paths)?;
    Ok(paths.iter().map(|path| open_seekable(path, keys)).collect::<Result<_, _>>()?)
}

/// Returns a note if the chunk table does not locate the bundle's rows.
pub fn access_note(access: Access) -> Option<String> {
    let note = "the chunk table does not match: the bundle was recompressed by another program or is damaged, so its rows are read from the start";
    (access == Access::TableMismatch).then(|| note.to_owned())
}

/// Returns notes about the inputs of a command.
pub fn input_notes(inputs: &[InputSummary]) -> Vec<String> {
    let mut notes = Vec::new();
    for input in inputs.iter().filter(|input| input.is_duplicate) {
        notes.push(format!("{} was not read: another input has the same rows", safe(&input.name)));
    }
    for input in inputs.iter().filter(|input| input.rows_only && !input.is_duplicate) {
        notes.push(format!(
            "{} is a format 1.0 bundle and has only rows: it lacks unparsed lines, and has no hashes to verify the rows",
            safe(&input.name)
        ));
    }
    for input in inputs.iter().filter(|input| !input.filter.is_empty() && !input.is_duplicate) {
        let conditions = safe(&input.filter.join(" "));
        notes.push(format!("{} was filtered: it has only the rows selected by {conditions}", safe(&input.name)));
    }
    let redacted: Vec<_> = inputs.iter().filter(|input| input.is_redacted && !input.is_duplicate).collect();
    if inputs.len() > redacted.len() {
        for input in redacted {
            notes.push(format!("{} is redacted, so its rows differ from those of its original", safe(&input.name)));
        }
    }
    notes
}

/// Refuses to replace an input, or to write into a history that is one, even with --force: it may be the only copy.
pub fn refuse_target_in_inputs(output: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    if is_dash(output) {
        return Ok(());
    }
    let target = canonical(output);
    let places = [target.clone(), existing_dir(output)];
    for input in inputs {
        let (name, canonical_input) = (safe(&input.display().to_string()), canonical(input));
        let problem = match (is_dash(input), canonical_input) {
            (true, _) if is_stdin(output) => "-o names the file that standard input reads".to_owned(),
            (false, Some(input)) if Some(&input) == target.as_ref() => format!("-o names {name}, which is an input"),
            (false, Some(input))
                if input.is_dir() && places.iter().flatten().any(|place| place.starts_with(&input)) =>
            {
                format!("-o names a file in the directory {name}, which is read as a history")
            }
            _ => continue,
        };
        return Err(Failure::usage(&problem, "choose another file with -o: the input may be the only copy"));
    }
    Ok(())
}

/// Refuses to write into any history, even with --force: only `keep` and `sign` write there.
pub fn refuse_target_in_history(output: &Path) -> Result<(), Failure> {
    let dir = existing_dir(output);
    match dir.iter().flat_map(|dir| dir.ancestors()).find(|dir| is_history(dir)) {
        Some(history) => {
            let problem = format!("-o names a file in the history {}", safe(&history.display().to_string()));
            Err(Failure::usage(&problem, "choose a file elsewhere, or add the rows to the history with `keep`"))
        }
        None => Ok(()),
    }
}

fn canonical(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// Returns the directory of a file to be written, or the nearest one above it that exists.
fn existing_dir(output: &Path) -> Option<PathBuf> {
    let mut dirs = output.ancestors().skip(1).map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    dirs.find_map(canonical)
}
