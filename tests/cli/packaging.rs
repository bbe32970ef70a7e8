//! The contents of packages: the program prints its man pages and completions, and the files of the Debian package
//! exist.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::skip_note::skip_note;

const PROGRAM: &str = env!("CARGO_BIN_EXE_patchwork-traces");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs packaging/pages.sh into a new directory.
fn pages() -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let script = root().join("packaging/pages.sh");
    assert!(Command::new(script).arg(PROGRAM).arg(out.path()).status().unwrap().success());
    out
}

/// The first and the second word of each asset in the metadata of the Debian package.
fn assets() -> Vec<(String, String)> {
    let metadata = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, assets) = metadata.split_once("\nassets = [\n").unwrap();
    let lines = assets.lines().take_while(|line| *line != "]");
    let words = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    lines.map(words).map(|words| (words[0].clone(), words[1].clone())).collect()
}

#[test]
fn every_command_has_a_man_page() {
    let pages = pages();
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands =
        commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    // `help` is what the pages are.
    let commands = commands.filter(|command| *command != "help");
    let names = commands.map(|command| format!("patchwork-traces-{command}")).chain(["patchwork-traces".to_owned()]);
    for name in names {
        let page = fs::File::open(pages.path().join(format!("man/{name}.1.gz"))).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(page).read_to_string(&mut text).unwrap();
        assert!(text.contains(&format!(".TH {name} 1")), "{name}: {}", text.lines().take(3).collect::<String>());
    }
}

#[test]
fn shells_accept_the_completions() {
    let pages = pages();
    let scripts = [("bash", "patchwork-traces.bash"), ("zsh", "_patchwork-traces"), ("fish", "patchwork-traces.fish")];
    for (shell, script) in scripts {
        let mut check = Command::new(shell);
        check.arg("-n").arg(pages.path().join("completions").join(script)).stdin(Stdio::null());
        // Not every machine has every shell.
        match check.status() {
            Ok(status) => assert!(status.success(), "{shell} does not understand {script}"),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                skip_note(&format!("{script} is not looked at: there is no {shell} here"));
            }
            Err(error) => panic!("{shell}: {error}"),
        }
    }
}

#[test]
fn files_of_the_debian_package_exist() {
    let pages = pages();
    let assets = assets();
    assert!(assets.iter().any(|(_, to)| to == "usr/bin/") && assets.len() >= 8, "{assets:?}");
    for (from, _) in assets {
        let path = match from.strip_prefix("packaging/out/") {
            Some("NOTICES") => continue,
            Some(page) => pages.path().join(page),
            None if from == "target/release/patchwork-traces" => PathBuf::from(PROGRAM),
            None => root().join(&from),
        };
        let (dir, name) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap().to_owned());
        let (before, behind) = name.split_once('*').unwrap_or((&name, ""));
        let mut names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(names.any(|name| name.starts_with(before) && name.ends_with(behind)), "{from} is not there");
    }
}

#[test]
fn notices_have_the_licence_of_every_linked_crate() {
    let Ok(notices) = Command::new(root().join("packaging/notices.py")).current_dir(root()).output() else {
        return skip_note("the notices were not checked: Python is missing");
    };
    assert!(notices.status.success(), "{}", String::from_utf8_lossy(&notices.stderr));
    let text = String::from_utf8(notices.stdout).unwrap();
    for name in ["patchwork-traces", "clap", "flate2", "zlib-rs", "serde_json", "sha2"] {
        assert!(text.contains(&format!("\n  {name} ")), "{name} is not listed");
    }
    // Crates of tests and procedural macros are not linked.
    assert!(!text.contains("  insta ") && !text.contains("  serde_derive "), "{text:.2000}");
    assert!(text.contains("Permission is hereby granted"));
}
