//! Reads rule files.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use fs_err as fs;
use regex::{Regex, RegexBuilder, RegexSetBuilder};
use regex_syntax::hir::Hir;
use strum::VariantArray as _;
use toml::de::DeTable;

use super::allowlist::{Allowlist, RegexTarget};
use super::go_pattern::translate;
use super::keywords::Keywords;
use super::rule::FileRule;
use super::toml_table::{TomlTable, TomlText};
use super::{RuleFile, RuleSet, UnusedParts};
use crate::detect::rules::{BuiltInRule, FindKind};
use crate::digest::Sha256Digest;
use crate::error::{Error, IoAction, Result, visible};

/// The maximum length of a rule file, in bytes.
const MAX_RULE_FILE_BYTES: u64 = 4 << 20;

/// The maximum size of a compiled expression, in bytes.
const MAX_REGEX_BYTES: usize = 64 << 20;

impl RuleFile {
    /// Reads a rule file.
    ///
    /// # Errors
    /// If the file cannot be read, and those of [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
        let read = file.take(MAX_RULE_FILE_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::io(IoAction::Read, path, error))?;
        Self::parse(&bytes).map_err(|error| error.in_subject(&path.display().to_string()))
    }

    /// Parses the content of a rule file.
    ///
    /// ```
    /// use patchwork_traces::detect::{DetectOptions, Detector, RuleFile};
    ///
    /// # fn main() -> patchwork_traces::Result<()> {
    /// let toml = "[[rules]]\nid = 'badge'\nregex = '''badge[ :]+([0-9]{6})'''\nkeywords = ['badge']";
    /// let detector = Detector::new(&DetectOptions::default().rules(RuleFile::parse(toml.as_bytes())?))?;
    /// let text = "her badge: 123456";
    /// let finds = detector.find(text);
    /// assert_eq!((detector.name(finds[0].rule), &text[finds[0].span.clone()]), ("badge", "123456"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RedactionFault::RuleNotUnderstood`](crate::error::RedactionFault::RuleNotUnderstood): names the rule and the line.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            TomlText(&valid).error(None, "the file is not UTF-8", &(valid.len()..valid.len()))
        })?;
        let toml = TomlText(text);
        if bytes.len() as u64 > MAX_RULE_FILE_BYTES {
            let reason = format!("the file has more than {} MiB", MAX_RULE_FILE_BYTES >> 20);
            return Err(toml.error(None, reason, &(0..0)));
        }
        let table = DeTable::parse(text)
            .map_err(|error| toml.error(None, error.message(), &error.span().unwrap_or_default()))?;
        let table = TomlTable::new(toml, None, 0..0, table.get_ref())?;
        let rules = rule_set(&table, Sha256Digest::of(bytes))?;
        Ok(Self(Arc::new(rules)))
    }
}

fn rule_set(file: &TomlTable<'_, '_>, digest: Sha256Digest) -> Result<RuleSet> {
    if let Some(extend) = file.value("extend") {
        let reason = "`extend` is not supported: put all rules into one file, and leave some out with --skip";
        return Err(file.error(reason, &extend.span()));
    }
    file.expect_only(&["title", "description", "minversion", "rules", "allowlist", "allowlists"])?;
    let mut unused = UnusedParts::default();
    let (mut rules, mut names) = (Vec::new(), BTreeSet::new());
    for table in file.tables("rules", |number| format!("rule {number}"))? {
        rules.extend(rule(table, &mut names, &mut unused)?);
    }
    let (mut allowlists, mut of_others) = (Vec::new(), Vec::new());
    for table in allowlist_tables(file, "allowlist")? {
        let list = Arc::new(allowlist(&table, &["targetrules"], &mut unused)?);
        let targets = table.texts("targetrules")?;
        if targets.is_empty() {
            allowlists.push(list);
            continue;
        }
        for (target, span) in targets {
            if let Some(rule) = rules.iter_mut().find(|rule| rule.name == target) {
                rule.allowlists.push(Arc::clone(&list));
            }
            if is_built_in(target) {
                of_others.push((target.to_owned(), Arc::clone(&list)));
            } else if !names.contains(target) {
                return Err(table.error(format!("there is no rule {}", visible(target)), &span));
            }
        }
    }
    let keywords = Keywords::new(rules.iter().map(|rule| rule.keywords.as_slice()));
    let keywords = keywords.map_err(|error| file.error(format!("the keywords: {error}"), &file.span))?;
    Ok(RuleSet { digest, rules, keywords, allowlists, of_others, unused })
}

/// Returns true for the name of a built-in rule or of a kind of rules.
fn is_built_in(name: &str) -> bool {
    BuiltInRule::VARIANTS.iter().any(|rule| rule.name() == name)
        || FindKind::VARIANTS.iter().any(|kind| kind.name() == name)
}

/// Returns the tables under `allowlist` and `allowlists`, only one of which may exist.
fn allowlist_tables<'t, 'v>(table: &TomlTable<'t, 'v>, what: &str) -> Result<Vec<TomlTable<'t, 'v>>> {
    let place = |number: Option<usize>| {
        let name = number.map_or_else(|| what.to_owned(), |number| format!("{what} {number}"));
        table.place.as_ref().map_or_else(|| name.clone(), |place| format!("{place}, {name}"))
    };
    // Before gitleaks 8.21, it was a single table.
    let is_single = table.value("allowlist").is_some_and(|value| value.get_ref().is_table());
    let mut lists = match is_single {
        true => table.table("allowlist", &place(None))?.into_iter().collect(),
        false => table.tables("allowlist", |number| place(Some(number)))?,
    };
    lists.extend(table.tables("allowlists", |number| place(Some(number)))?);
    Ok(lists)
}

/// Reads a rule. Returns `None` if it only has a path.
fn rule(
    mut table: TomlTable<'_, '_>,
    names: &mut BTreeSet<String>,
    unused: &mut UnusedParts,
) -> Result<Option<FileRule>> {
    let name = table.text("id")?.map(str::trim).unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(table.error("it has no `id`", &table.span));
    }
    table.place = Some(format!("rule {name}"));
    let supported = [
        "id",
        "description",
        "path",
        "regex",
        "secretgroup",
        "entropy",
        "keywords",
        "tags",
        "allowlist",
        "allowlists",
        "skipreport",
    ];
    if let Some(required) = table.value("required") {
        return Err(table.error("`required` is not supported", &required.span()));
    }
    table.expect_only(&supported)?;
    if let (Some(true), Some(value)) = (table.flag("skipreport")?, table.value("skipreport")) {
        return Err(table.error("`skipReport` is not supported", &value.span()));
    }
    if !names.insert(name.clone()) {
        return Err(table.error("there is another rule of this name", &table.span));
    }
    let has_path = table.text("path")?.is_some_and(|path| !path.is_empty());
    let allowlists = allowlist_tables(&table, "allowlist")?;
    let allowlists = allowlists.iter().map(|list| allowlist(list, &[], unused).map(Arc::new)).collect::<Result<_>>()?;
    let regex = match (table.text("regex")?.filter(|regex| !regex.is_empty()), table.value("regex")) {
        (Some(regex), Some(value)) => (regex, value.span()),
        _ if has_path => {
            unused.rules_of_paths += 1;
            return Ok(None);
        }
        _ => return Err(table.error("it has no `regex`", &table.span)),
    };
    unused.paths_of_rules += usize::from(has_path);
    let (regex, is_anchored) = compile(&table, regex.0, &regex.1)?;
    let secret_group = table.count("secretgroup")?.unwrap_or(0);
    if let Some(value) = table.value("secretgroup").filter(|_| secret_group >= regex.captures_len()) {
        let reason =
            format!("`secretGroup` is {secret_group}, but the expression has {} groups", regex.captures_len() - 1);
        return Err(table.error(reason, &value.span()));
    }
    let keywords = table.texts("keywords")?.into_iter().map(|(keyword, _)| keyword.to_owned()).collect();
    let min_entropy = table.number("entropy")?.unwrap_or(0.0);
    Ok(Some(FileRule { name, regex, is_anchored, secret_group, min_entropy, keywords, allowlists }))
}

/// Reads an allowlist, which may also have the keys `more`.
fn allowlist(table: &TomlTable<'_, '_>, more: &[&str], unused: &mut UnusedParts) -> Result<Allowlist> {
    let own = ["description", "condition", "commits", "paths", "regextarget", "regexes", "stopwords"];
    table.expect_only(&[&own, more].concat())?;
    let one_of = |key: &str, names: &str| {
        let span = table.value(key).map_or(table.span.clone(), toml::Spanned::span);
        table.error(format!("`{key}` must be {names}"), &span)
    };
    let needs_all = match table.text("condition")?.unwrap_or_default().to_ascii_uppercase().as_str() {
        "" | "OR" | "||" => false,
        "AND" | "&&" => true,
        _ => return Err(one_of("condition", "\"OR\" or \"AND\"")),
    };
    let target = match table.text("regextarget")?.unwrap_or_default() {
        "" | "secret" => RegexTarget::Secret,
        "match" => RegexTarget::Match,
        "line" => RegexTarget::Line,
        _ => return Err(one_of("regextarget", "\"secret\", \"match\" or \"line\"")),
    };
    let regexes = table.texts("regexes")?;
    let stop_words: Vec<_> = table.texts("stopwords")?.into_iter().map(|(word, _)| word).collect();
    let has_other_conditions = !table.texts("commits")?.is_empty() || !table.texts("paths")?.is_empty();
    unused.allowlists += usize::from(has_other_conditions);
    if regexes.is_empty() && stop_words.is_empty() && !has_other_conditions {
        return Err(table.error("it has none of `regexes`, `stopwords`, `paths` and `commits`", &table.span));
    }
    let patterns = regexes.iter().map(|(regex, span)| check(table, regex, span).map(|(pattern, _)| pattern));
    let patterns = patterns.collect::<Result<Vec<_>>>()?;
    let set = RegexSetBuilder::new(&patterns).size_limit(MAX_REGEX_BYTES).build();
    let set = set.map_err(|_| table.error("the expressions are too large", &table.span))?;
    let mut words = AhoCorasick::builder();
    let words = words.ascii_case_insensitive(true).build(stop_words.iter().map(|word| word.to_lowercase()));
    let words = words.map_err(|error| table.error(format!("the stop words: {error}"), &table.span))?;
    Ok(Allowlist {
        target,
        regexes: (!patterns.is_empty()).then_some(set),
        stop_words: (!stop_words.is_empty()).then_some(words),
        needs_all,
        has_other_conditions,
    })
}

/// Returns an expression in the syntax of the `regex` crate, both as text and parsed.
fn check(table: &TomlTable<'_, '_>, pattern: &str, span: &Range<usize>) -> Result<(String, Hir)> {
    let translated = translate(pattern);
    match regex_syntax::Parser::new().parse(&translated) {
        Ok(parsed) => Ok((translated, parsed)),
        Err(error) => {
            let reason = match error {
                regex_syntax::Error::Parse(error) => error.kind().to_string(),
                regex_syntax::Error::Translate(error) => error.kind().to_string(),
                _ => "it is malformed".to_owned(),
            };
            Err(table.error(format!("a regular expression is not understood: {reason}"), span))
        }
    }
}

/// Compiles the expression of a rule. Also returns true if every match begins at the start or ends at the end of the
/// text.
fn compile(table: &TomlTable<'_, '_>, pattern: &str, span: &Range<usize>) -> Result<(Regex, bool)> {
    let (translated, parsed) = check(table, pattern, span)?;
    let looks = parsed.properties();
    let is_anchored = looks.look_set_prefix().contains_anchor() || looks.look_set_suffix().contains_anchor();
    let regex = RegexBuilder::new(&translated).size_limit(MAX_REGEX_BYTES).build();
    regex.map(|regex| (regex, is_anchored)).map_err(|_| table.error("the expression is too large", span))
}
