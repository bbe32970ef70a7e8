//! Suggestions for misspelt names.

use std::path::Path;

/// The minimum similarity of two names, from 0 to 1.
const MIN_SIMILARITY: f64 = 0.75;

/// The minimum similarity of two file names, which often have the same extension.
const MIN_FILE_SIMILARITY: f64 = 0.88;

/// Returns the one of `known` that is most similar to `name`, if any is similar enough.
pub fn closest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    closest_by(MIN_SIMILARITY, name, known)
}

fn closest_by<'k>(min_similarity: f64, name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let similarity = |candidate: &str| {
        let (name, candidate) = (name.to_lowercase(), candidate.to_lowercase());
        // A prefix counts as the whole name.
        if name.len() >= 3 && candidate.starts_with(&name) { 1.0 } else { strsim::jaro(&name, &candidate) }
    };
    let rated = known.into_iter().map(|candidate| (similarity(candidate), candidate));
    let best = rated.filter(|(similarity, _)| *similarity >= min_similarity).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, candidate)| candidate)
}

/// Returns the file next to `path` with the most similar name, if any is similar enough.
pub fn closest_file(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let entries = std::fs::read_dir(dir.unwrap_or(Path::new("."))).ok()?;
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let best = closest_by(MIN_FILE_SIMILARITY, name, names.iter().map(String::as_str))?;
    Some(dir.map_or_else(|| best.to_owned(), |dir| dir.join(best).display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn suggests_the_name_for_a_typo_but_not_for_another_word() {
        let known = ["runs", "decision_traces", "commit_issue_links", "activity"];
        for (name, meant) in [
            ("run", Some("runs")),
            ("decision", Some("decision_traces")),
            ("decison_traces", Some("decision_traces")),
            ("Activty", Some("activity")),
            ("commits", Some("commit_issue_links")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(closest(name, known), meant, "{name}");
        }
    }
}
