//! Keys that plugins of age hold.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::common::Home;
use crate::common::program::{Run, command};
use crate::common::skip_note::skip_without;
use crate::common::terminal::typed_on_terminal;

const RECIPIENT: &str = "age1test1wpshgcmgwahhy6c2rf4dx";
const IDENTITY: &str = "AGE-PLUGIN-TEST-1WPSHGCMGWAHHY6CTYGU6C";
const MISSING_RECIPIENT: &str = "age1gone1wpshgcmgwahhy6c9m02ly";
const MISSING_IDENTITY: &str = "AGE-PLUGIN-GONE-1WPSHGCMGWAHHY6CV0YJ8Q";
const NATIVE_RECIPIENT: &str = "age1unpfk3m3ta7z5vqqmuxz4zgyg0wsyanef0293a4kht7x23ek5q8s2s0yq4";
const NATIVE_IDENTITY: &str = "AGE-SECRET-KEY-15FJH2WEAQ2KHXFLTQ9QJF8NEAFEGK33J65ERR2RAUMHMUALSCPUSX3SZY5";
const LOG: &str = "{\"taskId\":\"a\",\"createdAt\":1777716000000}\n";

/// A home with a log, identities, and the plugin in `bin`. `None` where Python is missing.
fn home() -> Option<Home> {
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        skip_without("python3", "no plugin of age was tried");
        return None;
    }
    let home = Home::new().with("runs.jsonl", LOG);
    fs::create_dir(home.path().join("bin")).unwrap();
    let both = format!("{IDENTITY}\n{NATIVE_IDENTITY}\n");
    for (name, text, mode) in [
        ("bin/age-plugin-test", include_str!("age-plugin-test.py"), 0o755),
        ("plugin.txt", IDENTITY, 0o600),
        ("both.txt", &both, 0o600),
        ("missing.txt", MISSING_IDENTITY, 0o600),
    ] {
        fs::write(home.path().join(name), text).unwrap();
        fs::set_permissions(home.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    Some(home)
}

/// The search path with the plugin and with Python.
fn search_path(home: &Home) -> String {
    format!("{}:{}", home.path().join("bin").display(), std::env::var("PATH").unwrap())
}

/// Runs the program without a terminal. The plugin does what `does` says.
fn run(home: &Home, does: &str, arguments: &[&str]) -> Run {
    let program = command(home.path(), arguments);
    let mut without = Command::new("setsid");
    without.arg("--wait").arg(program.get_program()).args(arguments).env_clear().current_dir(home.path());
    without.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    without.env("PATH", search_path(home)).env("PLUGIN_DOES", does);
    without.stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn bundles_are_encrypted_and_decrypted_by_plugins() {
    let Some(home) = home() else { return };
    for (arguments, identities) in
        [(&["-r", RECIPIENT][..], "plugin.txt"), (&["-r", RECIPIENT, "-r", NATIVE_RECIPIENT], "both.txt")]
    {
        let made = run(&home, "", &[&["export", "-fo", "new.age"], arguments].concat());
        assert_eq!((made.code, made.stderr.as_str()), (0, ""));
        for identities in ["plugin.txt", identities] {
            let done = run(&home, "", &["cat", "new.age", "-i", identities]);
            assert_eq!((done.stderr.as_str(), done.text()), ("", LOG.to_owned()));
        }
    }
    // An identity of age's own is tried first, so that no token is needed.
    let done = run(&home, "die", &["cat", "new.age", "-i", "both.txt"]);
    assert_eq!((done.stderr.as_str(), done.text()), ("", LOG.to_owned()));
}

#[test]
fn a_plugin_that_is_missing_or_fails_is_named_and_nothing_is_written() {
    let Some(home) = home() else { return };
    let made = run(&home, "", &["export", "-r", RECIPIENT, "-o", "plugin.age"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let native = run(&home, "", &["export", "-r", NATIVE_RECIPIENT, "-o", "native.age"]);
    assert_eq!(native.code, 0, "{}", native.stderr);
    let mut told = String::new();
    for (does, arguments) in [
        ("", &["export", "-r", MISSING_RECIPIENT, "-o", "new"][..]),
        ("", &["cat", "plugin.age", "-i", "missing.txt"]),
        ("", &["cat", "native.age", "-i", "plugin.txt"]),
        ("fail", &["export", "-r", RECIPIENT, "-o", "new"]),
        ("fail", &["cat", "plugin.age", "-i", "plugin.txt"]),
        ("die", &["export", "-r", RECIPIENT, "-o", "new"]),
        ("die", &["cat", "plugin.age", "-i", "plugin.txt"]),
        ("stammer", &["export", "-r", RECIPIENT, "-o", "new"]),
        ("stammer", &["cat", "plugin.age", "-i", "plugin.txt"]),
        // Without a terminal, nothing can be asked.
        ("ask", &["cat", "plugin.age", "-i", "plugin.txt"]),
    ] {
        let failed = run(&home, does, arguments);
        assert!(failed.code == 1 && failed.stdout.is_empty(), "{arguments:?}: {failed:?}");
        assert!(!home.path().join("new").exists(), "{arguments:?}");
        told += &format!("$ {}\nplugin: {does}\n{}\n", arguments.join(" "), failed.stderr);
    }
    let files: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!files.iter().any(|name| name.to_string_lossy().contains("tmp")), "{files:?}");
    insta::assert_snapshot!(told);
}

#[cfg(target_os = "linux")]
#[test]
fn a_plugin_asks_on_the_terminal() {
    let Some(home) = home() else { return };
    let answers = |pin, decision| {
        [
            ("PIN of the token: ", pin),
            ("Color: ", "blue"),
            ("Plugged in? [Enter: go on] ", ""),
            ("Use it? [y: use it, n: skip it] ", "what"),
            ("Use it? [y: use it, n: skip it] ", decision),
        ]
    };
    let variables = [("PATH", search_path(&home)), ("PLUGIN_DOES", "ask".to_owned())];
    let export = format!("export -r {RECIPIENT} -o new.age --quiet");
    let Some(shown) = typed_on_terminal(&home, &export, &variables, &answers("1234", "y")) else { return };
    assert!(
        shown.contains("code 0") && shown.contains("touch\\u{7} the token") && !shown.contains("1234"),
        "{shown:?}"
    );
    let cat = "cat new.age -i plugin.txt";
    let shown = typed_on_terminal(&home, cat, &variables, &answers("1234", "y")).unwrap();
    assert!(shown.contains("code 0") && shown.contains("taskId"), "{shown:?}");
    let shown = typed_on_terminal(&home, cat, &variables, &answers("1235", "n")).unwrap();
    assert!(shown.contains("code 1") && shown.contains("wrong answers"), "{shown:?}");
}
