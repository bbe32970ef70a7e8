//! `scan` and `redact` as programs, `verify --original`, and what `import` says of a redacted bundle.

use std::fs;

use crate::common::program::{run, run_with};
use crate::common::{Home, bundle};

const LOG: &str = concat!(
    "{\"createdAt\":1777716000000,\"cwd\":\"/home/marlowe/src\",\"env\":{\"password\":\"hunter2\"}}\n",
    "{\"createdAt\":1777716001000,\"outputTail\":\"marlowe@corp.io at https://box.corp.io\",\"n\":1.0}\n",
    "torn {\"password\":\"hunter2\n",
);

/// A directory with the bundle `a.gz`, of whose logs there is none any more.
fn home() -> Home {
    let home = Home::new();
    fs::write(home.path().join("a.gz"), bundle(&Home::new().with("runs.jsonl", LOG))).unwrap();
    home
}

#[test]
fn a_scan_lists_places_and_never_the_secret() {
    let home = home();
    let scanned = run(home.path(), &["scan", "a.gz"]);
    insta::assert_snapshot!(format!("({})\n{}{}", scanned.code, scanned.text(), scanned.stderr));
    let piped = run_with(home.path(), &["scan", "-", "--json"], &fs::read(home.path().join("a.gz")).unwrap());
    assert_eq!(
        (piped.code, piped.json()["secrets"].as_u64(), piped.json()["personal"].as_u64()),
        (3, Some(2), Some(3))
    );
    for text in [scanned.text(), piped.text()] {
        assert!(!text.contains("hunter2") && !text.contains("marlowe") && !text.contains("box.corp"), "{text}");
    }
    let secrets = run(home.path(), &["scan", "a.gz", "--only", "jwt"]);
    assert_eq!(secrets.code, 0, "{}", secrets.text());
    let unknown = run(home.path(), &["scan", "a.gz", "--only", "jvt"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("did you mean \"jwt\"?"), "{}", unknown.stderr);
}

#[test]
fn a_redacted_bundle_is_clean_and_can_be_checked() {
    let home = home();
    let redacted = run(home.path(), &["redact", "a.gz", "-o", "b.gz"]);
    let verified = run(home.path(), &["verify", "b.gz", "--original", "a.gz"]);
    let rows = run(home.path(), &["cat", "b.gz", "--exact", "--source", "runs"]);
    assert_eq!((redacted.code, verified.code), (0, 0), "{}{}", redacted.stderr, verified.stderr);
    let shown = format!("{}{}{}\n{}", redacted.text(), redacted.stderr, verified.text(), rows.text());
    insta::with_settings!({ filters => vec![(r"[0-9a-f]{64}", "DIGEST"), (r"[0-9.,]+ (B|kB)", "SIZE")] }, {
        insta::assert_snapshot!(shown);
    });
    assert_eq!(run(home.path(), &["scan", "b.gz"]).code, 0);
    let piped = run_with(home.path(), &["redact", "-", "-o", "-"], &fs::read(home.path().join("a.gz")).unwrap());
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    assert!(piped.stdout == fs::read(home.path().join("b.gz")).unwrap());
    let quiet = run(home.path(), &["verify", "b.gz", "--original", "a.gz", "--quiet"]);
    assert_eq!((quiet.code, quiet.text()), (0, String::new()));
}

#[test]
fn a_rule_file_is_used_and_required_again() {
    let home = home();
    let rules = "[[rules]]\nid = 'number'\nregex = 'createdAt.*'\n\n[[rules]]\nid = 'source'\npath = 'src'\n\
                 regex = '/(sr[a-z])'\nkeywords = ['/SR']\n\n[[rules]]\nid = 'p12'\npath = 'p12$'\n";
    fs::write(home.path().join("rules.toml"), rules).unwrap();
    fs::write(home.path().join("other.toml"), "title = 'empty'\n").unwrap();
    let scanned = run(home.path(), &["scan", "a.gz", "--rules", "rules.toml", "--only", "source"]);
    let redacted = run(home.path(), &["redact", "a.gz", "-o", "b.gz", "--rules", "rules.toml", "--only", "source"]);
    assert_eq!((scanned.code, redacted.code), (3, 0), "{}{}", scanned.stderr, redacted.stderr);
    insta::assert_snapshot!(format!("{}{}", scanned.text(), scanned.stderr));
    let row = run(home.path(), &["cat", "b.gz", "--head", "1"]);
    assert!(row.text().contains("/home/marlowe/secret-1"), "{}", row.text());
    let check = |rules: &[&str]| run(home.path(), &[&["verify", "b.gz", "--original", "a.gz"], rules].concat());
    assert_eq!(check(&["--rules", "rules.toml"]).code, 0);
    for (rules, message) in
        [(&[][..], "was made with a rule file"), (&["--rules", "other.toml"], "was made with another rule file")]
    {
        let failed = check(rules);
        assert!(failed.code == 1 && failed.stderr.contains(message), "{}", failed.stderr);
    }
    fs::write(home.path().join("bad.toml"), format!("{rules}keyword = 'x'\n")).unwrap();
    let refused = run(home.path(), &["redact", "a.gz", "-o", "c.gz", "--rules", "bad.toml"]);
    assert!(refused.code == 1 && !home.path().join("c.gz").exists());
    let message = "bad.toml: line 14: rule p12: unknown key `keyword`";
    assert!(refused.stderr.contains(message), "{}", refused.stderr);
    let missing = run(home.path(), &["scan", "a.gz", "--rules", "missing.toml"]);
    assert!(missing.code == 1 && missing.stderr.contains("missing.toml"), "{}", missing.stderr);
}

#[test]
fn a_history_takes_no_redacted_bundle() {
    let home = home();
    assert_eq!(run(home.path(), &["redact", "a.gz", "-o", "b.gz"]).code, 0);
    let refused = run(home.path(), &["keep", "history", "--from", "b.gz"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("b.gz: this bundle is redacted"), "{}", refused.stderr);
    assert!(!home.path().join("history").exists());
}

#[test]
fn bad_input_writes_nothing() {
    let home = home();
    fs::write(home.path().join("short"), [7; 31]).unwrap();
    for (arguments, code, message) in [
        (&["redact", "a.gz", "-o", "b.gz", "--drop", "a[x"][..], 2, "at byte 2: x"),
        (&["redact", "a.gz", "-o", "b.gz", "--keep-only", "a,,b"], 2, "expected a key"),
        (&["redact", "a.gz", "-o", "b.gz", "--drop", "."], 1, "cannot be removed"),
        (&["redact", "a.gz", "-o", "b.gz", "--only", "nothing"], 1, "no rule or kind named \"nothing\""),
        (&["redact", "a.gz", "-o", "b.gz", "--source", "runz"], 1, "did you mean \"runs\"?"),
        (&["redact", "a.gz", "-o", "a.gz", "-f"], 2, "-o names a.gz, which is an input"),
        (&["redact", "missing.gz", "-o", "b.gz"], 1, "missing.gz"),
        (&["redact", "short", "-o", "b.gz"], 1, "short"),
        (&["verify", "a.gz", "--original", "a.gz"], 1, "was not made by `redact`"),
        (&["verify", "-", "--original", "a.gz"], 2, "--original compares a redacted bundle in a file"),
        (&["verify", "a.gz", "a.gz", "--original", "a.gz"], 2, "--original is for one bundle"),
        (&["verify", "a.gz", "--key-file", "short"], 2, "--original"),
        (&["anonymize", "a.gz"], 2, "that command is called 'redact' here"),
        (&["leaks", "a.gz"], 2, "that command is called 'scan' here"),
    ] {
        let failed = run(home.path(), arguments);
        assert_eq!(failed.code, code, "{arguments:?}: {}", failed.stderr);
        assert!(failed.stderr.contains(message), "{arguments:?}: {}", failed.stderr);
        assert!(!home.path().join("b.gz").exists(), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_must_be_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    let key = home.path().join("key");
    fs::write(&key, [7; 32]).unwrap();
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let exposed = run(home.path(), &["redact", "a.gz", "-o", "b.gz", "--key-file", "key"]);
    assert_eq!(exposed.code, 1);
    assert!(exposed.stderr.contains("other users can read") && exposed.stderr.contains("chmod 600"));
    mode(0o622);
    assert_eq!(run(home.path(), &["redact", "a.gz", "-o", "b.gz", "--key-file", "key"]).code, 1);
    mode(0o600);
    assert_eq!(run(home.path(), &["redact", "a.gz", "-o", "b.gz", "--key-file", "key"]).code, 0);
    let without = run(home.path(), &["verify", "b.gz", "--original", "a.gz"]);
    assert!(without.code == 1 && without.stderr.contains("add --key-file"), "{}", without.stderr);
    assert_eq!(run(home.path(), &["verify", "b.gz", "--original", "a.gz", "--key-file", "key"]).code, 0);
}

#[test]
fn a_redacted_bundle_is_not_merged_with_logs() {
    let home = home();
    assert_eq!(run(home.path(), &["redact", "a.gz", "-o", "b.gz"]).code, 0);
    // A machine without these logs gets them.
    let new = run(home.path(), &["import", "b.gz"]);
    assert_eq!(new.code, 0, "{}", new.stderr);
    let again = run(home.path(), &["import", "b.gz"]);
    assert_eq!(again.code, 0, "the same once more: {}", again.stderr);
    let log = home.dirs().patchwork.join("runs.jsonl");
    fs::write(&log, LOG).unwrap();
    assert_eq!(run(home.path(), &["filter", "b.gz", "--where", "createdAt", "-o", "c.gz"]).code, 0);
    assert_eq!(run(home.path(), &["merge", "b.gz", "-o", "d.gz"]).code, 0);
    assert_eq!(run(home.path(), &["recover", "b.gz", "-o", "e.gz"]).code, 0);
    for arguments in [
        &["import", "b.gz"][..],
        &["import", "b.gz", "--mode", "append"],
        &["import", "a.gz", "b.gz"],
        &["merge", "a.gz", "b.gz", "-o", "f.gz"],
        &["import", "c.gz"],
        &["import", "d.gz"],
        &["import", "e.gz"],
    ] {
        let refused = run(home.path(), arguments);
        assert_eq!(refused.code, 1, "{arguments:?}: {}", refused.text());
        assert!(refused.stderr.contains("changed copies of "), "{}", refused.stderr);
        assert_eq!(fs::read_to_string(&log).unwrap(), LOG);
    }
    assert!(!home.path().join("f.gz").exists());
    fs::remove_file(&log).unwrap();
    assert_eq!(run(home.path(), &["import", "a.gz", "b.gz"]).code, 1);
    assert!(!log.exists());
    fs::write(&log, LOG).unwrap();
    let overwritten = run(home.path(), &["import", "b.gz", "--mode", "overwrite"]);
    assert_eq!(overwritten.code, 0, "{}", overwritten.stderr);
}

#[test]
fn conditions_of_a_filtered_bundle_are_redacted_and_compared() {
    let home = home();
    let filter = ["filter", "a.gz", "--grep", "marlowe@corp.io", "-o", "b.gz"];
    assert_eq!(run(home.path(), &filter).code, 0);
    assert_eq!(run(home.path(), &["scan", "b.gz", "--json"]).code, 3);
    assert_eq!(run(home.path(), &["redact", "b.gz", "-o", "c.gz"]).code, 0);
    let manifest = run(home.path(), &["inspect", "c.gz", "--json"]).text();
    assert!(manifest.contains("--grep email-1") && !manifest.contains("marlowe"), "{manifest}");
    assert_eq!(run(home.path(), &["verify", "c.gz", "--original", "b.gz"]).code, 0);
    let refused = run(home.path(), &["redact", "a.gz", "--drop", "k.\"marlowe@corp.io\"", "-o", "d.gz"]);
    assert!(refused.code == 1 && !home.path().join("d.gz").exists(), "{}", refused.stderr);
}

#[test]
fn conditions_show_nothing_that_the_rows_lost() {
    let home = Home::new();
    let rows = "{\"createdAt\":1777716000000,\"password\":\"hunter2\",\"u\":\"jane@corpx\",\"n\":7,\"t\":\"it's\"}\n";
    fs::write(home.path().join("a.gz"), bundle(&Home::new().with("runs.jsonl", rows))).unwrap();
    for (arguments, recorded) in [
        (&["--where", "password=hunter2"][..], "--where password=…"),
        (&["--where", "password~^hunter"], "--where 'password~…'"),
        (&["--where", "u~jane@corp"], "--where 'u~…'"),
        (&["--where", "u=jane@corpx"], "--where u=jane@corpx"),
        (&["--where", "t=it's"], "--where 't=it'\\''s'"),
        (&["--where", "password!=hunter3"], "--where 'password!=…'"),
        (&["--where", "n>6"], "--where 'n>6'"),
        (&["--where", "!x"], "--where '!x'"),
        (&["--grep", "hunter2"], "--grep …"),
        (&["--grep", "corpx"], "--grep corpx"),
        (&["--grep", "hunter3", "--invert"], "--grep … --invert"),
        (&["--grep-regex", "h.nter2"], "--grep-regex …"),
        (&["--latest", "--key", "n", "--since", "2020"], "--since 2020-01-01T00:00:00.000Z --latest --key n"),
    ] {
        let filter = [&["filter", "a.gz", "-o", "b.gz", "-f"], arguments].concat();
        assert_eq!(run(home.path(), &filter).code, 0, "{arguments:?}");
        assert_eq!(run(home.path(), &["redact", "b.gz", "-o", "c.gz", "-f"]).code, 0, "{arguments:?}");
        let verified = run(home.path(), &["verify", "c.gz", "--original", "b.gz", "--json"]);
        assert_eq!(verified.code, 0, "{arguments:?}");
        let filter: Vec<_> = verified.json()["bundles"][0]["filter"].as_array().unwrap().clone();
        let filter: Vec<_> = filter.iter().map(|condition| condition.as_str().unwrap()).collect();
        assert_eq!(filter.join(" "), recorded);
    }
    // A member that is dropped is not named by its value either.
    assert_eq!(run(home.path(), &["filter", "a.gz", "-o", "d.gz", "--where", "u=jane@corpx"]).code, 0);
    assert_eq!(run(home.path(), &["redact", "d.gz", "-o", "e.gz", "--drop", "u"]).code, 0);
    assert!(!run(home.path(), &["inspect", "e.gz", "--json"]).text().contains("corpx"));
}

#[test]
fn a_redacted_bundle_says_that_it_is_one() {
    let home = home();
    let other = Home::new().with("runs.jsonl", "{\"createdAt\":1777716000000}\n");
    fs::write(home.path().join("other.gz"), bundle(&other)).unwrap();
    let redact = ["redact", "a.gz", "-o", "b.gz", "--skip", "jwt", "--drop", "n"];
    assert_eq!(run(home.path(), &redact).code, 0);
    let shown = |arguments: &[&str]| {
        let shown = run(home.path(), arguments);
        format!("({})\n{}{}", shown.code, shown.text(), shown.stderr)
    };
    let text = shown(&["inspect", "b.gz"]) + &shown(&["verify", "b.gz", "--original", "other.gz"]);
    insta::with_settings!({ filters => vec![(r"[0-9a-f]{64}", "DIGEST"), (r"[0-9.,]+ (B|kB)", "SIZE")] }, {
        insta::assert_snapshot!(text);
    });
    let inspected = run(home.path(), &["inspect", "b.gz", "--json"]).json();
    let verified = run(home.path(), &["verify", "b.gz", "--json"]).json();
    assert_eq!(inspected["redaction"], verified["bundles"][0]["redactionRecord"]);
    assert_eq!(inspected["redaction"]["skip"][0], "jwt");
    for json in [&inspected["derivedFrom"], &verified["bundles"][0]["derivedFrom"]] {
        assert_eq!(json["bundles"][0], run(home.path(), &["inspect", "a.gz", "--json"]).json()["digest"]);
    }
    let imported = run(home.path(), &["import", "b.gz"]);
    assert!(imported.stderr.contains("changed copies of rows"), "{}", imported.stderr);
}

#[test]
fn rules_that_match_names_of_this_program_stop_no_redaction() {
    let home = home();
    let rules = "[[rules]]\nid = 'own'\nregex = 'patchwork|[0-9]+\\.[0-9]+\\.[0-9]+'\n\n[[rules]]\nid = 'host'\nregex = 'host-[0-9]{4}'\n";
    fs::write(home.path().join("rules.toml"), rules).unwrap();
    let log = "{\"createdAt\":1777716000000,\"a\":\"host-1234 and patchwork 1.2.3\"}\n";
    fs::write(home.path().join("a.gz"), bundle(&Home::new().with("runs.jsonl", log))).unwrap();
    let redact = ["redact", "a.gz", "-o", "b.gz", "--rules", "rules.toml"];
    let redacted = run(home.path(), &redact);
    assert_eq!(redacted.code, 0, "{}", redacted.stderr);
    let rows = run(home.path(), &["cat", "b.gz"]).text();
    assert!(rows.contains("\"a\":\"secret-1 and secret-2 secret-3\""), "{rows}");
    assert_eq!(run(home.path(), &["scan", "b.gz", "--rules", "rules.toml"]).code, 0);
    let refused = run(home.path(), &[&redact[..3], &["c.gz", "--drop", "patchwork"], &redact[4..]].concat());
    assert!(refused.code == 1 && refused.stderr.contains("finds something in --drop"), "{}", refused.stderr);
}

#[test]
fn user_names_are_replaced_in_any_case_but_names_of_logs_are_kept() {
    let home = Home::new();
    let rows = concat!(
        "{\"createdAt\":1777716000000,\"a\":\"/home/\u{c9}mile/x\",\"b\":\"\u{c9}mile, \u{e9}mile and \u{c9}MILE\"}\n",
        "{\"createdAt\":1777716001000,\"a\":\"/home/runs/x /home/createdAt/x\"}\n",
    );
    fs::write(home.path().join("a.gz"), bundle(&Home::new().with("runs.jsonl", rows))).unwrap();
    assert_eq!(run(home.path(), &["redact", "a.gz", "-o", "b.gz"]).code, 0);
    let text = run(home.path(), &["cat", "b.gz", "--source", "runs"]).text();
    assert!(text.contains("\"b\":\"user-1, user-1 and user-1\"") && text.matches("createdAt").count() == 2, "{text}");
}
