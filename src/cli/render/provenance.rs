//! Describes the bundles that a bundle was made from, and its redaction.

use patchwork_traces::format::{Derivation, DerivedFrom, Redaction};

use crate::cli::render::text::{counted, safe};

/// Returns the lines about a bundle's origin and redaction, with labels padded to `width`.
pub fn provenance(from: Option<&DerivedFrom>, redaction: Option<&Redaction>, width: usize) -> String {
    let line = |label: &str, text: String| format!("  {label:<width$}  {text}\n");
    let from = from.map(|from| line("from", derived_text(from)));
    let redaction = redaction.map(|redaction| line("redacted", redaction_text(redaction)));
    [from, redaction].into_iter().flatten().collect()
}

fn derived_text(DerivedFrom { how, bundles }: &DerivedFrom) -> String {
    let how = match how {
        Derivation::Merged => "merged",
        Derivation::Filtered => "filtered",
        Derivation::Redacted => "redacted",
        _ => "made in another way",
    };
    let first = bundles.first().map(ToString::to_string).unwrap_or_default();
    match bundles.len().saturating_sub(1) {
        0 => format!("{first} ({how})"),
        more => format!("{first} and {} ({how})", counted(more as u64, "other bundle", "other bundles")),
    }
}

fn redaction_text(redaction: &Redaction) -> String {
    let names = match redaction.key_id {
        Some(key) => format!("names made with the key {key}"),
        None => "names numbered".to_owned(),
    };
    let lists = [
        ("--only", &redaction.only),
        ("--skip", &redaction.skip),
        ("--source", &redaction.sources),
        ("--drop", &redaction.drop),
        ("--keep-only", &redaction.keep_only),
    ];
    let lists = lists.into_iter().flat_map(|(option, texts)| texts.iter().map(move |text| format!("{option} {text}")));
    let rules = redaction.rules_file.map(|digest| format!("--rules with SHA-256 {digest}"));
    let options: Vec<_> = lists.chain(rules).collect();
    let options = if options.is_empty() { String::new() } else { format!("; {}", safe(&options.join(" "))) };
    let (replaced, lines) = (redaction.replaced, redaction.lines);
    format!("{} in {}, {names}{options}", counted(replaced, "text", "texts"), counted(lines, "line", "lines"))
}
