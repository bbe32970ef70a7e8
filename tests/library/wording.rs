//! The wording of the sources: type names are unique, and doc comments begin with a verb or a noun.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The maximum percentage of doc comments that may begin with a question word.
const MAX_PERCENT: usize = 1;

const QUESTION_WORDS: [&str; 7] = ["What", "How", "Whether", "Where", "Which", "Who", "Whom"];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files = Vec::new();
    for path in entries {
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false => files.extend(path.extension().is_some_and(|end| end == "rs").then_some(path)),
        }
    }
    files.sort();
    files
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Returns the text of a doc comment, without its marker.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(str::trim)
}

#[test]
fn few_documentation_comments_begin_with_a_question_word() {
    let (mut all, mut questions) = (0, Vec::new());
    for (path, text) in all_sources() {
        let mut in_comment = false;
        for (number, line) in text.lines().enumerate() {
            let text = doc(line);
            if let Some(text) = text.filter(|text| !in_comment && !text.is_empty()) {
                all += 1;
                if QUESTION_WORDS.contains(&text.split(|c: char| !c.is_alphabetic()).next().unwrap()) {
                    questions.push(format!("{}:{}: {text}", path.display(), number + 1));
                }
            }
            in_comment = text.is_some();
        }
    }
    assert!(all > 1000, "only {all} comments were found");
    assert!(questions.len() * 100 <= all * MAX_PERCENT, "{} of {all}:\n{}", questions.len(), questions.join("\n"));
}

/// Returns the name of the type that a line declares. Associated types are not counted, because they belong to a trait.
fn declared_type(line: &str) -> Option<&str> {
    let words = line.trim_start();
    let words = words.strip_prefix("pub").map_or(words, |rest| rest.trim_start_matches(|c| c != ' ').trim_start());
    let is_indented = line.starts_with(' ');
    let kinds = ["struct ", "enum ", "trait ", "type "];
    let name = kinds.iter().find_map(|kind| words.strip_prefix(kind).filter(|_| *kind != "type " || !is_indented))?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    Some(&name[..end]).filter(|name| name.starts_with(char::is_uppercase))
}

#[test]
fn type_names_are_unique() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in all_sources() {
        for (number, line) in text.lines().enumerate() {
            if let Some(name) = declared_type(line) {
                places.entry(name.to_owned()).or_default().push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert!(places.len() > 200, "only {} types were found", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "declared more than once: {places:#?}");
}

#[test]
fn limits_are_called_max() {
    for (path, text) in all_sources() {
        assert!(!text.contains("const MOST_"), "{}", path.display());
    }
}
