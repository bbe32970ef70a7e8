//! Finding secrets and personal data: every built-in rule works in every place, with almost no false finds.

use std::collections::BTreeSet;

use crate::common::planted::{Planted, USER, places, planted};
use crate::common::{Home, bundle, indexed, options};
use patchwork_traces::detect::{BuiltInRule, DetectOptions, Detector, FindKind, token_prefixes};
use patchwork_traces::error::RedactionFault;
use patchwork_traces::export::export;
use patchwork_traces::input::TraceInput;
use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::scan::{ScanOptions, ScanReport, scan};
use patchwork_traces::{ErrorKind, Result};
use strum::VariantArray as _;

fn try_scan(bundle: &[u8], options: &ScanOptions) -> Result<ScanReport> {
    scan(&[TraceInput::from_bundle(indexed(bundle)?)], options, &NoProgress)
}

fn scanned(bundle: &[u8]) -> ScanReport {
    try_scan(bundle, &ScanOptions::default().places(usize::MAX)).unwrap()
}

fn finds(text: &str) -> Vec<(String, String)> {
    let detector = Detector::new(&DetectOptions::default()).unwrap();
    let found = detector.find(text);
    found.iter().map(|find| (detector.name(find.rule).to_owned(), text[find.span.clone()].to_owned())).collect()
}

/// Returns a log with each planted text in each place, and the text planted in each line.
pub fn planted_log(seed: u64) -> (Vec<u8>, Vec<(&'static str, Planted)>) {
    let mut log = format!(r#"{{"createdAt":1,"cwd":"/home/{USER}/x"}}"#).into_bytes();
    let mut lines = Vec::new();
    for (place, put) in places() {
        for planted in planted(seed) {
            log.push(b'\n');
            log.extend(put(&planted.text));
            lines.push((place, planted));
        }
    }
    log.push(b'\n');
    (log, lines)
}

#[test]
fn every_rule_finds_its_texts_in_every_place() {
    let (log, lines) = planted_log(1);
    let report = scanned(&bundle(&Home::new().with("runs.jsonl", &log)));
    let mut found = BTreeSet::new();
    for group in &report.groups {
        found.extend(group.places.iter().map(|place| (place.line.unwrap(), group.rule.as_str())));
    }
    let mut missed = Vec::new();
    for (line, (place, planted)) in (2..).zip(&lines) {
        // A line that is already JSON has a key.
        let is_named = planted.rule == "assigned-secret" && found.contains(&(line, "named-secret"));
        if !found.contains(&(line, planted.rule)) && !is_named {
            missed.push(format!("{} as {place}: {}", planted.rule, planted.text));
        }
    }
    assert!(missed.is_empty(), "{} of {} missed:\n{}", missed.len(), lines.len(), missed.join("\n"));
    assert_eq!(report.lines, lines.len() as u64 + 1);
    let planted_rules: BTreeSet<_> = lines.iter().map(|(_, planted)| planted.rule).chain(["named-secret"]).collect();
    let rules: BTreeSet<_> = BuiltInRule::VARIANTS.iter().map(|rule| rule.name()).collect();
    assert_eq!(planted_rules, rules, "every rule is tested");
}

#[test]
fn planted_texts_are_found_whole() {
    for planted in planted(2) {
        let found = finds(&planted.text);
        let is_found = found.iter().any(|(rule, text)| rule == planted.rule && text.contains(&planted.secret));
        assert!(is_found || planted.rule == "user-name", "{planted:?}: {found:?}");
    }
}

#[test]
fn values_are_found_by_their_keys() {
    let rows = [
        (r#"{"password":"hunter2"}"#, true),
        (r#"{"a":{"clientSecret":"x y z"}}"#, true),
        (r#"{"X-API-Key":"abc"}"#, true),
        (r#"{"refresh_token":"abc"}"#, true),
        (r#"{"pass\u0077ord":"abc"}"#, true),
        (r#"{"password":["a","b"]}"#, true),
        (r#"{"a":[{"secret":[[["p"]]]}]}"#, true),
        (r#"{"tokens":{"x":["a1b2c3d4"]}}"#, true),
        (r#"{"tokens":["a1b2c3d4"],"secrets":"plain words"}"#, true),
        (r#"{"tokens":["Hello","world",12345678],"secrets":{"count":"12"}}"#, false),
        (r#"{"credentials":{"kind":"service_account","until":"2026-05-02T10:00:00Z","file":"/x/y1z2w3"}}"#, false),
        (r#"{"tokens":"123"}"#, false),
        (r#"{"token":123,"tokenCount":"5","nextPageToken":"abc"}"#, false),
        (r#"{"password":"","secret":"***","token":"${TOKEN}","apiKey":"<key>"}"#, false),
        (r#"{"secretKey":"secret-12"}"#, true),
        (r#"{"passwordPolicy":"long","tokenizer":"bpe","keyboard":"us"}"#, false),
    ];
    for (row, is_secret) in rows {
        let report = scanned(&bundle(&Home::new().with("runs.jsonl", format!("{row}\n"))));
        let found: Vec<_> = report.rules.iter().map(|rule| rule.rule.as_str()).collect();
        assert_eq!(found, if is_secret { vec!["named-secret"] } else { vec![] }, "{row}");
    }
}

#[test]
fn passwords_of_connections_commands_and_cookies_are_found_however_short() {
    for (text, expected) in [
        ("Server=db;User Id=sa;Password=hunter2;Encrypt=yes", &["hunter2"][..]),
        ("Data Source=db; Password = 'my pass' ; User ID=sa", &["my pass"]),
        ("x(\"Server=db;PWD=abc\")", &["abc"]),
        ("host=db user=svc password=abc", &["abc"]),
        ("?user=svc&password=abc&x=1", &["abc"]),
        ("AccountName=a;AccountKey=abc==;EndpointSuffix=x", &["abc=="]),
        ("curl -u svc:abc https://example.com", &["abc"]),
        ("curl -s \\\n  --proxy-user \"svc:a b\" -U 'svc:c' https://example.com", &["a b", "c"]),
        ("Cookie: theme=dark; a=x1y2z3w4; b=\u{e9}; c=X1Y2Z3W4=", &["x1y2z3w4", "X1Y2Z3W4="]),
        ("Set-Cookie: a=x1y2z3w4; Path=/x1y2z3w4; Expires=Wed, 21 Oct 2026 07:28:00 GMT", &["x1y2z3w4"]),
        ("PWD=/work/x; OLDPWD=/tmp; server=1; pwd=$(pwd); password=$P;", &[]),
        ("let password = input; save(password); const user = me;", &[]),
        ("docker run -u 1000:1000 x; sort -u a:b; curl -o u:b https://example.com -H a:b; id -u c:d", &[]),
        ("curl -u \"$NAME:$PASSWORD\" -u svc: https://example.com", &[]),
        ("cookie: yes please; the cookie = theme; Cookie: a=b", &[]),
    ] {
        let found: Vec<_> = finds(text).into_iter().map(|(_, text)| text).filter(|found| found != "svc").collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn every_prefix_of_a_token_is_planted() {
    let planted = planted(1);
    for rule in BuiltInRule::VARIANTS {
        for prefix in token_prefixes(*rule) {
            let is_planted = planted.iter().any(|one| one.rule == rule.name() && one.secret.starts_with(prefix));
            assert!(is_planted, "{prefix} of {}", rule.name());
        }
    }
    assert_eq!(token_prefixes(BuiltInRule::Jwt).count(), 0);
}

#[test]
fn lookalikes_are_not_found() {
    for text in [
        "ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18 has a wrong checksum",
        "git@github.com:org/repo.git, noreply@anthropic.com and user@example.com",
        "npm install react@18.2.0 lodash@latest @types/node icon@2x.png",
        "see https://github.com/a/b, http://localhost:3000/x and https://docs.rs/serde",
        "version 1.2.3.4, v10.0.0.1, Chrome/120.0.0.0, pip==10.0.0.1, lib-1.2.3.4",
        "127.0.0.1, 0.0.0.0, ::1, 192.0.2.7, 198.51.100.1, 255.255.255.0 and 2001:db8::1",
        "std::fmt::Display, a::b, 10:20:30, 2026-05-02T10:00:00.123Z, aa:bb:cc",
        "/home/me/code, /home/user/x, /home/runner/work, C:\\Users\\Public\\x, https://x.example/home/page",
        "src/home/index.ts and ./home/nora",
        "token = getToken(); const secret = process.env.SECRET_1; password: string",
        "the secret: nobody knows; tokens: 12345678, Bearer authentication, basic knowledge",
        "task-ant-12, risk-proj-abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
        "eyJhbGciOiJub25lIn0.not.json and e.g.this.is",
    ] {
        assert_eq!(finds(text), [], "{text}");
    }
}

#[test]
fn the_longest_find_wins_and_nothing_is_left_uncovered() {
    let text = "https://mara:hunter2@db.corp.io/x";
    let expected = [("user-name", "mara"), ("connection-password", "hunter2"), ("host-name", "db.corp.io")];
    assert_eq!(finds(text), expected.map(|(rule, text)| (rule.to_owned(), text.to_owned())));
    let text = "postgres://mara:hunter2@10.1.2.3:5432/prod";
    let expected = [("user-name", "mara"), ("connection-password", "hunter2"), ("ip-address", "10.1.2.3")];
    assert_eq!(finds(text), expected.map(|(rule, text)| (rule.to_owned(), text.to_owned())));
    // The private key is the longer find. The rest of the address is a find of its own.
    let text = "-----BEGIN EC PRIVATE KEY-----\nAAAA\njane@corp.io";
    let rules: Vec<_> = finds(text).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, ["private-key", "email-address"]);
    let detector = Detector::new(&DetectOptions::default()).unwrap();
    let value = "see jane@corp.io";
    let found = detector.find_value("clientSecret", value);
    assert_eq!(found.len(), 1);
    assert_eq!((detector.name(found[0].rule), found[0].span.clone()), ("named-secret", 0..value.len()));
}

#[test]
fn user_names_are_found_wherever_the_home_directory_is() {
    let home = Home::new()
        .with("runs.jsonl", "{\"createdAt\":1,\"x\":\"ask Marlowe, not marlowes\"}\n")
        .with("decision_traces.jsonl", "{\"createdAt\":1,\"x\":\"\\/home\\/marlowe\"}\n");
    let report = scanned(&bundle(&home));
    let found: Vec<_> = report.groups.iter().map(|group| (group.rule.as_str(), group.count)).collect();
    assert_eq!(found, [("home-directory", 1), ("user-name", 1)]);
}

#[test]
fn rules_and_kinds_can_be_selected() {
    let bundle = bundle(&Home::new().with("runs.jsonl", "{\"password\":\"x1\",\"m\":\"jane@corp.io 10.1.2.3\"}\n"));
    let rules = |detect: DetectOptions| {
        let report = try_scan(&bundle, &ScanOptions::default().detect(detect)).unwrap();
        report.rules.into_iter().map(|rule| rule.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(DetectOptions::default()), ["named-secret", "email-address", "ip-address"]);
    assert_eq!(rules(DetectOptions::default().only(["secret"])), ["named-secret"]);
    assert_eq!(rules(DetectOptions::default().only(["personal"]).skip(["ip-address"])), ["email-address"]);
    let unknown = try_scan(&bundle, &ScanOptions::default().detect(DetectOptions::default().only(["nothing"])));
    let unknown = unknown.unwrap_err();
    let ErrorKind::Redaction(RedactionFault::UnknownRule { name, known }) = unknown.kind() else { panic!("{unknown}") };
    assert!(name == "nothing" && known.iter().any(|name| name == "jwt") && known.iter().any(|name| name == "secret"));
}

#[test]
fn the_report_names_places_but_never_shows_secrets() {
    let home = Home::new().with(
        "runs.jsonl",
        "\n{\"a\":[{\"b c\":\"jane@corp.io\"}]}\ntorn jane@corp.io\n{\"jane@corp.io\":{\"d\":\"bob@corp.io bob@corp.io\"}}\n",
    );
    let report = scanned(&bundle(&home));
    let shown: Vec<_> = report
        .groups
        .iter()
        .map(|group| {
            let lines: Vec<_> = group.places.iter().map(|place| place.line.unwrap()).collect();
            (group.path.clone(), group.in_key, group.count, group.lines, lines)
        })
        .collect();
    let path = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown,
        [
            (None, false, 1, 1, vec![3]),
            (path("a[].\"b c\""), false, 1, 1, vec![2]),
            (path("…"), true, 1, 1, vec![4]),
            (path("….d"), false, 2, 1, vec![4]),
        ]
    );
    assert!(!format!("{report:?}").contains("corp.io"));
    assert_eq!((report.count(FindKind::Personal), report.count(FindKind::Secret)), (5, 0));
}

/// The generator of the benchmarks.
#[allow(dead_code)]
#[path = "../../benches/make_logs.rs"]
mod make_logs;

#[test]
fn ordinary_logs_have_at_most_one_false_hit_in_ten_thousand_rows() {
    let dir = tempfile::tempdir().unwrap();
    make_logs::write_logs(dir.path(), 8 << 20).unwrap();
    let dirs = Dirs { patchwork: dir.path().join("patchwork"), activity: dir.path().join("ide") };
    let found = discover(&dirs, &DiscoverOptions::default()).unwrap();
    let mut bundle = Vec::new();
    export(&found, &options(), &mut bundle, "memory", &NoProgress).unwrap();
    let report = scanned(&bundle);
    assert!(report.lines > 20_000, "{}", report.lines);
    let hits: u64 = report.rules.iter().map(|rule| rule.count).sum();
    assert!(hits <= report.lines / 10_000, "{:?}", report.groups);
}

#[test]
fn every_line_of_a_find_is_listed_and_every_find_counted() {
    let rows: String = (0..3000).map(|n| format!("{{\"m\":\"jane{n}@corp.io\"}}\n")).collect();
    let report = scanned(&bundle(&Home::new().with("runs.jsonl", rows)));
    let lines: Vec<_> = report.groups[0].places.iter().map(|place| place.line.unwrap()).collect();
    assert_eq!(lines, (1..=3000).collect::<Vec<_>>());
    assert_eq!((report.groups[0].count, report.groups[0].lines), (3000, 3000));
    let rows: String = (0..3000).map(|n| format!("{{\"m{n}\":\"jane@corp.io\"}}\n")).collect();
    let report = scanned(&bundle(&Home::new().with("runs.jsonl", rows)));
    let in_groups: u64 = report.groups.iter().map(|group| group.count).sum();
    assert!(report.ungrouped > 0 && in_groups + report.ungrouped == 3000, "{in_groups} and {}", report.ungrouped);
    assert_eq!(report.rules[0].count, 3000);
}
