//! Secrets and personal data are recognised in many spellings. None of them remains in a redacted row.

use crate::common::planted::planted;
use crate::common::{Home, bundle, indexed, restore_all};
use patchwork_traces::detect::{DetectOptions, Detector};
use patchwork_traces::input::TraceInput;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::redact::{RedactOptions, redact};
use patchwork_traces::scan::{ScanOptions, scan};
use proptest::prelude::*;

/// Redacts rows.
fn redacted(rows: &str) -> String {
    let bundle = bundle(&Home::new().with("runs.jsonl", format!("{rows}\n")));
    let input = TraceInput::from_bundle(indexed(&bundle).unwrap());
    let mut redacted = Vec::new();
    redact(&input, &RedactOptions::new("tests"), (&mut redacted, "memory"), std::env::temp_dir(), &NoProgress).unwrap();
    String::from_utf8(restore_all(indexed(&redacted).unwrap()).unwrap().remove("runs.jsonl").unwrap()).unwrap()
}

/// Checks that each piece is gone from its row.
fn assert_gone(rows: &[(&str, &[&str])]) {
    let mut remaining = Vec::new();
    for (row, pieces) in rows {
        let redacted = redacted(row);
        for piece in *pieces {
            assert!(row.contains(piece), "{piece} is in {row}");
            if redacted.contains(piece) {
                remaining.push(format!("{piece} of {row} in {redacted}"));
            }
        }
    }
    assert!(remaining.is_empty(), "{} pieces remain:\n{}", remaining.len(), remaining.join(""));
}

/// A Discord token.
const DISCORD: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GAbCdE.abcdefghijklmnopqrstuvwxyz0A";

/// A Terraform token.
const TERRAFORM: &str = "abcdefghij1234.atlasv1.abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij12";

#[test]
fn text_after_an_escape_is_found() {
    let befores = [r"x\n", r"x\t", r"x\r", r"x\b", r"x\f", r"\u2192", r"\u001b[32m", "%3D", "%22", r"\\n", r"\\u2192"];
    let texts =
        [DISCORD, TERRAFORM, "10.20.30.40", "fd12:3456:789a::7", "ivan1@corpx.io", "Pwd=hunter9;Server=db9;Database=y"];
    for before in befores {
        for text in texts {
            let secret = text.trim_start_matches("Pwd=").split(';').next().unwrap();
            assert_gone(&[(&format!(r#"{{"createdAt":1,"m":"{before}{text}"}}"#), &[secret])]);
        }
    }
    assert_gone(&[(r#"{"m":"ivan1@\u043f\u043e\u0447\u0442\u0430.\u0440\u0444"}"#, &["ivan1", "043f"])]);
}

#[test]
fn escapes_of_json_in_a_string_are_read() {
    assert_gone(&[
        (r#"{"v":"{\"k\":\"\\u0041KIAMCCQQPNO2QJUDUHZ\",\"x\":1}"}"#, &["KIAMCCQQPNO2QJUDUHZ"]),
        (r#"{"v":"AKIA\\u004dCCQQPNO2QJUDUHZ"}"#, &["CCQQPNO2QJUDUHZ"]),
        (r#"{"v":"{\"pass\\u0077ord\":\"Zk39dk2kd9s\"}"}"#, &["Zk39dk2kd9s"]),
        (r#"{"v":"\\u006a\\u006f\\u0065\\u0040acmezz.com"}"#, &["u006a", "acmezz"]),
        (r#"{"v":"id AKIAPTGZQJFEBZSDOXRL."}"#, &["AKIAPTGZQJFEBZSDOXRL"]),
    ]);
    assert_clean(&[r#"{"v":"\\u2192 and C:\\udead, \\u005cu005cu005cu005cu005cu005cu005cu0041"}"#]);
}

/// Returns a text as a JSON string with some characters escaped.
fn escaped(text: &str, forms: &[u8]) -> String {
    let mut escaped = String::from('"');
    for (c, form) in text.chars().zip(forms.iter().cycle()) {
        match (form, c) {
            (0, _) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}")),
            (1, '/') => escaped += r"\/",
            _ => {
                let quoted = serde_json::Value::from(c.to_string()).to_string();
                escaped += &quoted[1..quoted.len() - 1];
            }
        }
    }
    escaped + "\""
}

fn any_text() -> impl Strategy<Value = String> {
    let known: Vec<String> = (1..4).flat_map(planted).map(|planted| planted.text).collect();
    let before = prop::sample::select(vec![
        "",
        "\n",
        "\t",
        "\r",
        "→",
        "é",
        "\\n",
        "\\u00fc",
        "%3D",
        "\u{1b}[32m",
        "\"",
        "x",
        "/",
        "\\\"",
        "'",
        "=",
        "  ",
    ]);
    let glue = before.clone();
    let text = (before, prop::sample::select(known.clone()), glue, prop::sample::select(known), 0..200_usize);
    text.prop_map(|(before, first, glue, second, cut)| {
        let text = format!("{before}{first}{glue}{second}");
        text.chars().take(text.chars().count().saturating_sub(cut / 4)).collect()
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let words =
        ["x", "password", "API_Key", "tokens", "my secret:", "to\u{212a}en", "api__key", "username", "cookie é"];
    let words = [&words[..], &["tokenizer a-p-i-key", "pass", "pwd", "Authorization", "value"]].concat();
    (prop::sample::select(words.clone()), prop::sample::select(words), any::<bool>())
        .prop_map(|(first, second, is_one)| if is_one { first.to_owned() } else { format!("{first}{second}") })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn finds_in_a_string_are_also_found_in_its_row(
        rows in prop::collection::vec((any_key(), any_text(), prop::collection::vec(0..6_u8, 1..9)), 30)
    ) {
        let detector = Detector::new(&DetectOptions::default()).unwrap();
        let mut log = String::new();
        for (key, text, forms) in &rows {
            let (key, text) = (escaped(key, forms), escaped(text, forms));
            log += &format!("{{{key}:{text}}}\n");
        }
        let bundle = bundle(&Home::new().with("runs.jsonl", &log));
        let input = TraceInput::from_bundle(indexed(&bundle).unwrap());
        let report = scan(&[input], &ScanOptions::default().places(usize::MAX), &NoProgress).unwrap();
        let mut lines = std::collections::BTreeSet::new();
        lines.extend(report.groups.iter().flat_map(|group| &group.places).filter_map(|place| place.line));
        for ((key, text, _), (number, line)) in rows.iter().zip((1..).zip(log.lines())) {
            let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(&parsed[key], text);
            let is_found = !detector.find_value(key, text).is_empty() || !detector.find(key).is_empty();
            prop_assert!(!is_found || lines.contains(&number), "{}", line);
        }
    }
}

/// Checks that nothing is found in a row.
fn assert_clean(rows: &[&str]) {
    let found: Vec<_> =
        rows.iter().map(|row| (row, redacted(row))).filter(|(row, text)| text.trim_end() != **row).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn whole_names_in_paths_are_found_in_every_spelling() {
    assert_gone(&[
        (r#"{"cwd":"C:\\Users\\Jane Doe"}"#, &["Jane", "Doe"]),
        (r#"{"m":"cd \"C:\\Users\\Jane Doe\""}"#, &["Jane", "Doe"]),
        (r#"{"m":"USERPROFILE=C:\\Users\\Jane Doe\nX=1"}"#, &["Jane", "Doe"]),
        (r#"{"m":"{\"cwd\":\"C:\\\\Users\\\\Jane Doe\"}"}"#, &["Jane", "Doe"]),
        (r#"{"m":"file:///c%3A/Users/Jane%20Doe/x"}"#, &["Jane", "Doe"]),
        (r#"{"m":"x=c%3A%5CUsers%5CJane%20Doe%5Cx"}"#, &["Jane", "Doe"]),
        (r#"{"m":"file:///home/m%C3%A4rz/x"}"#, &["m%C3", "rz"]),
        (r#"{"m":"file:///home/m%C3%A4rz/x", "n":"ask März"}"#, &["m%C3", "März"]),
        (r#"{"m":"{\"cwd\": \"/home/j\\u00fcrgen/x\"}"}"#, &["u00fc", "rgen"]),
        (r#"{"m":"{\"cwd\": \"/home/\\u00fcnal/x\"}"}"#, &["u00fc", "nal"]),
        (r#"{"cwd":"C:\\Users\\u12345\\x"}"#, &["u12345"]),
        (r#"{"cwd":"C:\\Users\\Jane is the home","m":"ask jane"}"#, &["Jane", "jane"]),
    ]);
    assert_clean(&[
        r#"{"m":"/home/%s/x and /home/$USER/x and %2Fhome%2Fuser%2Fx"}"#,
        r#"{"m":"C:\\Users\\Public\\x and C:\\Users\\Default User\\x"}"#,
    ]);
}

#[test]
fn home_directories_are_found_after_other_text_and_in_urls() {
    for text in [
        "“/home/mara/x”",
        "→/home/mara",
        "│/home/mara│",
        "路径：/home/mara",
        "在/home/mara",
        "ssh://h/home/mara/x",
        "sftp://h.example/home/mara",
        "vscode-remote://ssh-remote%2Bbox/home/mara/x",
        "file://h.example/home/mara",
        "%2Fhome%2Fmara",
        "path=%2fhome%2fmara%2fx",
        r"ssh:\\/\\/h\\/home\\/mara",
    ] {
        assert_gone(&[(&format!(r#"{{"m":"{text}"}}"#), &["mara"])]);
    }
    assert_clean(&[
        r#"{"m":"https://x.example/home/page http://x.example/a/home/page see src/home/page and é/home/page"}"#,
        r#"{"m":"https%3A%2F%2Fx.example%2Fhome%2Fpage and a%2Fhome%2Fpage"}"#,
    ]);
}

#[test]
fn addresses_are_found_in_every_part_of_a_url() {
    for text in [
        "https://example.com?email=jane@corpx.io",
        "https://example.com:80?email=jane@corpx.io",
        "https://example.com#jane@corpx.io",
        "//jane@corpx.io",
        "https://example.com//jane@corpx.io",
        "https://jane@corpx.io:pw@example.com/",
        "https://jane%40corpx.io:pw@example.com/",
        "email=jane%40corpx.io",
        "email%3Djane%40corpx.io",
        r"jane\\u0040corpx.io",
        r"\\u003cjane@corpx.io\\u003e",
    ] {
        assert_gone(&[(&format!(r#"{{"m":"{text}"}}"#), &["jane", "corpx"])]);
    }
    assert_gone(&[(r#"{"m":"{\"a\":\"j\\u00fcrgen@corpx.io\"}"}"#, &["j\\\\u00fc", "rgen", "corpx"])]);
    assert_clean(&[r#"{"m":"%40types/node @scope%2fpkg react%4018.2.0 lodash%40latest"}"#]);
}

#[test]
fn passwords_users_and_hosts_of_urls_are_found_whole() {
    let token = "0123456789abcdef0123456789abcdef01234567";
    for (text, pieces) in [
        ("mongodb://root:pw@db1.corpx.lan:27017,db2.corpx.lan:27017/x", &["db1", "db2", "pw@"][..]),
        ("postgres://app:p#ss1234word@db.example/x", &["p#ss", "1234word"]),
        ("postgres://app:p?ss1234word@db.example/x", &["p?ss", "1234word"]),
        ("postgres://app:p/ss1234word@db.example/x", &["p/ss", "1234word"]),
        ("postgres://app:$up3rSecret@db.example/x", &["up3rSecret"]),
        ("postgres://app:*up3rSecret@db.example/x", &["up3rSecret"]),
        ("https://my_box.corp.lan/", &["my_box", "corp"]),
        ("http://build_box:8080/", &["build_box"]),
        ("neo4j://graph.corp.lan", &["graph.corp"]),
    ] {
        assert_gone(&[(&format!(r#"{{"m":"{text}"}}"#), pieces)]);
    }
    assert_gone(&[(&format!(r#"{{"m":"https://{token}@git.example/x"}}"#), &[token])]);
    assert_clean(&[
        r#"{"m":"postgres://app:$DB_PASS@db.example postgres://app:$password@db.example postgres://app:****@db.example"}"#,
        r#"{"m":"http://localhost:3000/@vite/client https://example.com:443/x?a=b@c https://YOUR_HOST/x"}"#,
        r#"{"m":"postgres://app:${A}/x@y http://[::1]:80/@x https://example.com/a,b https://example.com, then"}"#,
    ]);
}

/// 64 characters of a key.
const KEY_LINE: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";

#[test]
fn private_keys_are_found_in_arrays_and_with_something_before_each_line() {
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    for text in [
        format!(r#"["{begin}","{KEY_LINE}","{KEY_LINE}x1","{end}"]"#),
        format!(r#"["a","{begin}","{KEY_LINE}","{KEY_LINE}x1"]"#),
        format!(r#"[["x"],["{begin}","{KEY_LINE}"],{{"a":["{begin}","{KEY_LINE}","{end}","b"]}}]"#),
        format!(r#"{{"m":"> {begin}\n> {KEY_LINE}\n> {KEY_LINE}\n"}}"#),
        format!(r#"{{"m":"  1→{begin}\n  2→{KEY_LINE}\n  3→{KEY_LINE}\n"}}"#),
        format!(r#"{{"m":"k = \"{begin}\" +\n  \"{KEY_LINE}\" +\n  \"{KEY_LINE}\""}}"#),
    ] {
        assert_gone(&[(&text, &[KEY_LINE])]);
    }
}

#[test]
fn secrets_of_headers_commands_and_pairs_are_found() {
    let token = "0123456789abcdef0123456789abcdef01234567";
    for row in [
        r#"{"m":"Authorization: Token TOKEN"}"#,
        r#"{"m":"-H 'Authorization: Token TOKEN' -v"}"#,
        r#"["Authorization","Token TOKEN"]"#,
        r#"[["Accept","*"],["Authorization","Token TOKEN"]]"#,
        r#"{"name":"Authorization","value":"Token TOKEN"}"#,
    ] {
        assert_gone(&[(&row.replace("TOKEN", token), &[token])]);
    }
    assert_gone(&[
        (r#"["curl","-u","jane:pw12345","https://example.com"]"#, &["jane", "pw12345"]),
        (r#"["curl","-u","jane:my pw12345"]"#, &["jane", "my pw12345"]),
        (r#"["mysql","--password","hunter22xyz9"]"#, &["hunter22xyz9"]),
        (r#"["Cookie","sid=abc12345; theme=dark"]"#, &["abc12345"]),
        (r#"[{"name":"DB_PASSWORD","value":"hunter2"},{"key":"x","value":"harmless"}]"#, &["hunter2"]),
        (r#"{"m":"curl.exe -u jane:pw12345"}"#, &["jane", "pw12345"]),
        (r#"{"m":"\"C:\\bin\\curl.exe\" -u jane:pw12345"}"#, &["jane", "pw12345"]),
        (r#"{"m":"curl\t-u jane:pw12345"}"#, &["jane", "pw12345"]),
        (r#"{"m":"curl -b 'sid=abc12345; a=b' x"}"#, &["abc12345"]),
        (r#"{"m":"curl --cookie sid=abc12345 x"}"#, &["abc12345"]),
        (r#"{"m":"{\"c\":\"curl \\\\\\n  -u jane:pw12345 x\"}"}"#, &["jane", "pw12345"]),
        (r#"{"m":"MYSQL_PWD=hunter2 mysql"}"#, &["hunter2"]),
        (r#"{"m":"export DB_PASS=hunter2"}"#, &["hunter2"]),
        (r#"{"m":"Server=db;User=sa;pass=abc"}"#, &["abc"]),
        (r#"{"pass":"hunter2"}"#, &["hunter2"]),
        (r#"{"db":{"pwd":"hunter2"},"dbPass":"hunter3"}"#, &["hunter2", "hunter3"]),
        (
            r#"{"m":"eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzO.XFBoMYUZodetZdvT"}"#,
            &["eyJhbGci", "48V1", "5eym8", "XFBoMY"],
        ),
    ]);
    assert_clean(&[
        r#"{"pass":"true","pwd":"/work/x2","compass":"north12","bypass":"x1y2z3w4","dbPass":"12.5"}"#,
        r#"{"m":"--- PASS: TestFoo2 (0.00s); pass=12 fail=3; PASS=1234; pass: 12; PWD=/work/x1 OLDPWD=/tmp/x1"}"#,
        r#"["token","user","secret","words","curl","-u"]"#,
        r#"[{"name":"password","value":""},{"name":"x","value":"a1b2c3d4e5"}]"#,
    ]);
}

#[test]
fn placeholders_for_secrets_are_not_found() {
    assert_clean(&[
        r#"{"token":"string","credentials":"include","authorization":"required","apiKey":"sk-...","secret":"ghp_…"}"#,
        r#"{"password":"$DB_PASSWORD","secret":"$secret","token":"$1","apiKey":"${K}","cookie":"$(x)"}"#,
    ]);
    assert_gone(&[
        (r#"{"password":"$up3rSecret"}"#, &["up3r"]),
        (r#"{"password":"$2b$12$abcdefghijklmnopqrstuv"}"#, &["2b$12"]),
        (r#"{"password":"hunter2..."}"#, &["hunter2"]),
    ]);
}

#[test]
fn names_that_are_also_words_are_found_where_a_person_is_named() {
    let row = r#"{"cwd":"/home/max/x","author":"max","m":"the max","op":"max","user":{"name":"Max"}}"#;
    let expected = r#"{"cwd":"/home/user-1/x","author":"user-1","m":"the max","op":"max","user":{"name":"user-1"}}"#;
    assert_eq!(redacted(row).trim_end(), expected);
    let rows = "{\"cwd\":\"/home/jo/x\"}\n{\"login\":\"jo\"}\n{\"x\":\"jo\"}";
    assert_eq!(redacted(rows), "{\"cwd\":\"/home/user-1/x\"}\n{\"login\":\"user-1\"}\n{\"x\":\"jo\"}\n");
}
