//! Rule files in the format of gitleaks: supported rules, their finds, and refused rules.

use crate::common::{Home, bundle, indexed, restore_all};
use patchwork_traces::detect::{DetectOptions, Detector, RuleFile};
use patchwork_traces::error::RedactionFault;
use patchwork_traces::input::TraceInput;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::redact::{CompareOptions, RedactOptions, RedactionKey, check_redaction, redact};
use patchwork_traces::scan::{ScanOptions, ScanReport, scan};
use patchwork_traces::{ErrorKind, Result};
use proptest::prelude::*;

/// Rules: one with a keyword, a group and an entropy; one anchored; one without keywords; one for file names only.
const RULES: &str = r#"
title = "ours"
minVersion = "v8.25.0"

[[rules]]
id = "badge"
description = "Badges"
regex = '''(?i)badge[\w.-]{0,9}["' ]{0,3}[:=]["' ]{0,3}([a-z0-9]{8,12})\b'''
entropy = 2.5
keywords = ["badge"]
tags = ["own"]

[[rules]]
id = "whole"
regex = '''^whole-[0-9]{4}$'''
keywords = ["whole-"]

[[rules]]
id = "pair"
regex = '''<(\w+)\|(\w+)>'''
secretGroup = 2
path = '''\.cfg$'''
[[rules.allowlists]]
regexTarget = "match"
regexes = ['''^<test\|''']
[[rules.allowlists]]
condition = "AND"
regexes = ['''^x''']
stopwords = ["SAMPLE"]

[[rules]]
id = "files"
path = '''\.p12$'''

[[allowlists]]
description = "harmless"
regexTarget = "line"
regexes = ['''# harmless$''']
paths = ['''vendor/''']

[[allowlists]]
targetRules = ["email-address", "badge"]
regexes = ['''^help@corp\.io$''', '''^public123''']
"#;

fn rule_file(text: &str) -> RuleFile {
    RuleFile::parse(text.as_bytes()).unwrap()
}

fn detect(rules: &str) -> DetectOptions {
    DetectOptions::default().rules(rule_file(rules))
}

/// Returns what the rules find in a text, or in the value of a key.
fn finds(rules: &str, key: Option<&str>, text: &str) -> Vec<(String, String)> {
    let detector = Detector::new(&detect(rules)).unwrap();
    let found = key.map_or_else(|| detector.find(text), |key| detector.find_value(key, text));
    found.iter().map(|find| (detector.name(find.rule).to_owned(), text[find.span.clone()].to_owned())).collect()
}

fn scanned(bundle: &[u8], detect: DetectOptions) -> ScanReport {
    let options = ScanOptions::default().detect(detect);
    scan(&[TraceInput::from_bundle(indexed(bundle).unwrap())], &options, &NoProgress).unwrap()
}

#[test]
fn a_rule_finds_its_group_where_keyword_entropy_and_allowlists_say_so() {
    let cases: &[(Option<&str>, &str, &[(&str, &str)])] = &[
        (None, "BADGE: abcd1234, and badge=a1b2c3d4", &[("badge", "abcd1234"), ("badge", "a1b2c3d4")]),
        (None, "badge: aaaaaaaa has no entropy", &[]),
        (None, "badge: abcd1234 # harmless", &[]),
        (None, "badge: abcd1234 # harmless\nbadge: abcd1235", &[("badge", "abcd1235")]),
        (None, "badge: public1234 is allowed", &[]),
        // The key is context for a value, and is never part of a find.
        (Some("badgeNo"), "abcd1234", &[("badge", "abcd1234")]),
        (Some("other"), "abcd1234", &[]),
        (Some("k"), "whole-1234", &[("whole", "whole-1234")]),
        (None, "whole-1234 5", &[]),
        (None, "<ab|cd> <test|cd> <y|xsample> <y|xother>", &[("pair", "cd"), ("pair", "xother")]),
        (None, "<y|xSample> <y|sample>", &[("pair", "sample")]),
        // An allowlist can also apply to a built-in rule.
        (None, "help@corp.io, not me@corp.io", &[("email-address", "me@corp.io")]),
        // Names that a redaction inserted are neither found nor cut.
        (Some("badge"), "secret-12", &[]),
        (None, "<a|secret-12>", &[]),
    ];
    for (key, text, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(rule, text)| ((*rule).to_owned(), (*text).to_owned())).collect();
        assert_eq!(finds(RULES, *key, text), expected, "{key:?}: {text}");
    }
}

#[test]
fn rows_are_searched_by_string_whatever_the_escapes() {
    let log = concat!(
        "{\"badge_id\":\"abcd1234\",\"n\":1}\n",
        "{\"b\\u0061dge\":[\"x\",\"a\\u0062cd1235\"]}\n",
        "{\"x\":\"{\\\"badge\\\":\\\"abcd1236\\\"}\"}\n",
        "torn {\"b\\u0061dge\":\"abcd1237\n",
        "{\"badge\":12345678,\"y\":\"abcd1238\"}\n",
    );
    let bundle = bundle(&Home::new().with("runs.jsonl", log));
    let report = scanned(&bundle, detect(RULES).only(["badge"]));
    let found: Vec<_> = report.groups.iter().map(|group| (group.path.as_deref(), group.places[0].line)).collect();
    assert_eq!(found, [(None, Some(4)), (Some("badge[]"), Some(2)), (Some("badge_id"), Some(1)), (Some("x"), Some(3))]);
    let skipped = scanned(&bundle, detect(RULES).skip(["badge"]));
    assert!(skipped.is_clean(), "{:?}", skipped.groups);
}

#[test]
fn a_rule_with_the_name_of_a_built_in_one_adds_to_it() {
    let rules = "[[rules]]\nid = 'jwt'\nregex = 'jot-[0-9]+'\nkeywords = ['jot-']";
    assert_eq!(finds(rules, None, "a jot-17"), [("jwt".to_owned(), "jot-17".to_owned())]);
    let report = scanned(&bundle(&Home::new().with("runs.jsonl", "{\"a\":\"jot-17\"}\n")), detect(rules).only(["jwt"]));
    assert_eq!((report.rules.len(), report.rules[0].rule.as_str()), (1, "jwt"));
}

#[test]
fn malformed_and_unsupported_rules_are_named() {
    let of_rule = |line: &str| format!("[[rules]]\nid = 'a'\nregex = 'x'\n\n[[rules]]\nid = 'b'\n{line}");
    for (text, place, line, reason) in [
        (of_rule("regx = 'y'"), Some("rule b"), 7, "unknown key `regx`"),
        (of_rule("regex = 'a(?=b)'"), Some("rule b"), 7, "look-around"),
        (of_rule("regex = '(a'"), Some("rule b"), 7, "unclosed group"),
        (of_rule("regex = 'y{1000}{1000}{1000}'"), Some("rule b"), 7, "too large"),
        (of_rule("regex = 7"), Some("rule b"), 7, "`regex` must be a text"),
        (of_rule("keywords = ['x', 7]\nregex = 'y'"), Some("rule b"), 7, "`keywords` must be an array of texts"),
        (of_rule("regex = '(y)'\nsecretGroup = 2"), Some("rule b"), 8, "1 groups"),
        (of_rule("regex = 'y'\nentropy = -1.0"), Some("rule b"), 8, "a number from 0"),
        (of_rule("regex = 'y'\nskipReport = true"), Some("rule b"), 8, "`skipReport` is not supported"),
        (of_rule("regex = 'y'\n[[rules.required]]\nid = 'a'"), Some("rule b"), 8, "`required` is not supported"),
        (of_rule("description = 'nothing'"), Some("rule b"), 5, "it has no `regex`"),
        (
            of_rule("regex = 'y'\n[[rules.allowlists]]\nregexes = ['(']"),
            Some("rule b, allowlist 1"),
            9,
            "unclosed group",
        ),
        (
            of_rule("regex = 'y'\n[rules.allowlist]\ncondition = 'XOR'"),
            Some("rule b, allowlist"),
            9,
            "\"OR\" or \"AND\"",
        ),
        (of_rule("regex = 'y'\n[rules.allowlist]\ndescription = 'empty'"), Some("rule b, allowlist"), 8, "none of"),
        (of_rule("regex = 'y'\n[[rules]]\nid = 'a'\nregex = 'z'"), Some("rule a"), 8, "another rule of this name"),
        ("[[rules]]\nregex = 'y'".to_owned(), Some("rule 1"), 1, "it has no `id`"),
        ("[extend]\nuseDefault = true".to_owned(), None, 1, "`extend` is not supported"),
        (
            "[[allowlists]]\ntargetRules = ['c']\nregexes = ['x']".to_owned(),
            Some("allowlist 1"),
            2,
            "there is no rule c",
        ),
        ("[allowlist]\nregexTarget = 'file'\nregexes = ['x']".to_owned(), Some("allowlist"), 2, "\"line\""),
        ("[allowlists]\nregexes = ['x']".to_owned(), None, 1, "`allowlists` must be an array of tables"),
        ("a = 1\n\nnot toml".to_owned(), None, 3, ""),
        ("rulez = 1".to_owned(), None, 1, "unknown key `rulez`"),
    ] {
        let error = RuleFile::parse(text.as_bytes()).unwrap_err();
        let ErrorKind::Redaction(RedactionFault::RuleNotUnderstood { place: named, reason: found }) = error.kind()
        else {
            panic!("{text}: {error}")
        };
        assert_eq!((named.as_deref(), error.position().line), (place, Some(line)), "{text}\n{error}");
        assert!(found.contains(reason) && !found.contains('\n'), "{text}\n{error}");
    }
    assert!(RuleFile::parse(b"[[rules]]\nid = 'a\xff'").unwrap_err().to_string().contains("UTF-8"));
    assert!(RuleFile::parse(&vec![b'\n'; (4 << 20) + 1]).unwrap_err().to_string().contains("4 MiB"));
}

#[test]
fn parts_that_do_not_apply_to_logs_are_counted() {
    let unused = rule_file(RULES).unused();
    assert_eq!((unused.rules_of_paths, unused.paths_of_rules, unused.allowlists), (1, 1, 1));
    assert_eq!(rule_file(RULES).names().collect::<Vec<_>>(), ["badge", "whole", "pair"]);
    // An allowlist that needs a path allows nothing.
    let rules = "[[rules]]\nid='a'\nregex='a[0-9]'\n[rules.allowlist]\ncondition='AND'\npaths=['x']\nregexes=['a']";
    assert_eq!(finds(rules, None, "a1").len(), 1);
    assert_eq!(finds(&rules.replace("AND", "OR"), None, "a1").len(), 0);
}

fn redacted(bundle: &[u8], options: &RedactOptions) -> Result<Vec<u8>> {
    let mut redacted = Vec::new();
    let input = TraceInput::from_bundle(indexed(bundle)?);
    redact(&input, options, (&mut redacted, "memory"), std::env::temp_dir(), &NoProgress)?;
    Ok(redacted)
}

fn log_of(bundle: &[u8]) -> String {
    String::from_utf8(restore_all(indexed(bundle).unwrap()).unwrap().remove("runs.jsonl").unwrap()).unwrap()
}

#[test]
fn a_redaction_with_a_rule_file_can_only_be_checked_with_that_file() {
    let original = bundle(&Home::new().with("runs.jsonl", "{\"badge\":\"abcd1234\"}\n{\"m\":\"badge: abcd1234.\"}\n"));
    let options = RedactOptions::new("tests").detect(detect(RULES));
    let by_rules = redacted(&original, &options).unwrap();
    assert_eq!(log_of(&by_rules), "{\"badge\":\"secret-1\"}\n{\"m\":\"badge: secret-1.\"}\n");
    let manifest = indexed(&by_rules).unwrap().manifest().clone();
    assert_eq!(manifest.redaction.as_ref().unwrap().rules_file, Some(rule_file(RULES).digest()));
    let without = redacted(&original, &RedactOptions::new("tests")).unwrap();
    let check = |redacted: &[u8], rules: Option<RuleFile>| {
        let original = TraceInput::from_bundle(indexed(&original).unwrap());
        let options = CompareOptions::default().rules(rules);
        check_redaction(&indexed(redacted).unwrap(), &original, &options, &NoProgress)
    };
    assert_eq!(check(&by_rules, Some(rule_file(RULES))).unwrap().difference, None);
    let fault = |redacted: &[u8], rules| match check(redacted, rules).unwrap_err().kind() {
        ErrorKind::Redaction(fault) => fault.clone(),
        other => panic!("{other}"),
    };
    let (used, given) = (rule_file(RULES).digest(), rule_file("title = 'x'").digest());
    assert_eq!(fault(&by_rules, None), RedactionFault::RulesNeeded { used });
    assert_eq!(fault(&by_rules, Some(rule_file("title = 'x'"))), RedactionFault::OtherRuleFile { used, given });
    assert_eq!(fault(&without, Some(rule_file(RULES))), RedactionFault::NoRulesUsed);
}

/// Rules that find parts of names and of the text around them.
const GREEDY: &str = r"
[[rules]]
id = 'digits'
regex = '[0-9]+'
[[rules]]
id = 'around'
regex = '[a-z-]{3,}[ :]'
[[rules]]
id = 'tail'
regex = 't-[0-9]'
[[rules]]
id = 'anything'
regex = '(?s)^..$|x.'
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn redaction_terminates_with_any_rules(
        texts in prop::collection::vec("[a-z0-9:@/. =\\-\"\\\\\u{e9}]{0,24}", 1..6),
        torn in "[a-z0-9:@/. =-]{0,24}",
        is_keyed: bool,
    ) {
        let rows: String = texts.iter().map(|text| serde_json::json!({ "m": text, text.as_str(): 1 }).to_string() + "\n").collect();
        let original = bundle(&Home::new().with("runs.jsonl", format!("{rows}{torn}\n")));
        let key = is_keyed.then(|| RedactionKey::new(&[5; 32]).unwrap());
        let options = RedactOptions::new("tests").detect(detect(GREEDY)).key(key.clone());
        let once = redacted(&original, &options).unwrap();
        prop_assert!(scanned(&once, detect(GREEDY)).is_clean());
        let compare = CompareOptions::default().rules(rule_file(GREEDY)).key(key);
        let input = TraceInput::from_bundle(indexed(&original).unwrap());
        let check = check_redaction(&indexed(&once).unwrap(), &input, &compare, &NoProgress).unwrap();
        prop_assert_eq!(check.difference, None);
    }
}

#[test]
fn keywords_are_found_in_any_case_of_any_script() {
    let text = "ÜBER-12345 and über-12345 and \u{130}D-12345";
    for (keyword, regex, expected) in
        [("ÜBER", "(?i)über-[0-9]+", 2), ("über", "ÜBER-[0-9]+", 1), ("id-", "D-[0-9]+", 1)]
    {
        let rules = format!("[[rules]]\nid = \"own\"\nregex = \'\'\'{regex}\'\'\'\nkeywords = [\"{keyword}\"]\n");
        let options = DetectOptions::default().rules(rule_file(&rules));
        assert_eq!(Detector::new(&options).unwrap().find(text).len(), expected, "{keyword}");
        let row = serde_json::json!({ "x": text }).to_string();
        let escaped: String = row
            .chars()
            .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
            .collect();
        for row in [row, escaped] {
            let bundle = bundle(&Home::new().with("runs.jsonl", format!("{row}\n")));
            let input = TraceInput::from_bundle(indexed(&bundle).unwrap());
            let report = scan(&[input], &ScanOptions::default().detect(options.clone()), &NoProgress).unwrap();
            assert_eq!(report.rules.iter().map(|rule| rule.count).sum::<u64>(), expected as u64, "{keyword}: {row}");
        }
    }
}
