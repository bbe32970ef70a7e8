//! The programs in examples/ do what they say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use crate::common::{Home, bundle, indexed, restore_all};

/// Returns the path of an example's program. `cargo test` has already built it, but `cargo test --test library` has
/// not.
fn example(name: &str) -> PathBuf {
    static BUILD: Once = Once::new();
    BUILD.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--examples", "--quiet", "--offline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        // Build into the target directory of this test, wherever that is.
        cargo.arg("--target-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap());
        if cfg!(not(feature = "cli")) {
            cargo.arg("--no-default-features");
        }
        if cfg!(not(debug_assertions)) {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
    });
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

fn start(name: &str, home: &Home, arguments: &[&str]) -> Child {
    let mut command = Command::new(example(name));
    command
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .envs(crate::common::coverage::environment())
        .env("HOME", home.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Runs an example to its end and returns its output.
fn run(name: &str, home: &Home, arguments: &[&str], input: &str) -> String {
    let mut child = start(name, home, arguments);
    // A program that does not read input may have ended already.
    _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success());
    String::from_utf8(ended.stdout).unwrap()
}

fn home_with_logs() -> Home {
    let calls = "{\"tool\":\"read\",\"durationMs\":10}\n{\"kind\":\"no call\"}\n{\"tool\":\"edit\",\"durationMs\":300}\n\
                 {\"tool\":\"read\",\"durationMs\":30}\n";
    Home::new().with("runs.jsonl", "{\"n\":12345678901234567890}\ntorn").with_activity("activity-1.jsonl", calls)
}

#[test]
fn slowest_tools_deserializes_rows() {
    let home = home_with_logs();
    std::fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    let printed = run("slowest_tools", &home, &["b.gz"], "");
    assert_eq!(
        printed,
        "edit: 300 ms, the average of 1\nread: 20 ms, the average of 2\nrows that are not tool calls: 1\n"
    );
}

#[test]
fn serve_responds_with_a_bundle() {
    let home = home_with_logs();
    let mut server = start("serve", &home, &["127.0.0.1:0", "1"]);
    let mut printed = BufReader::new(server.stdout.take().unwrap()).lines();
    let address = printed.next().unwrap().unwrap();
    let mut connection = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut response = Vec::new();
    connection.read_to_end(&mut response).unwrap();
    let head = response.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let sent = indexed(&response[head..]).unwrap();
    let expected = format!("{} bytes, digest {}", response.len() - head, sent.digest());
    assert_eq!(printed.next().unwrap().unwrap(), expected);
    assert!(server.wait().unwrap().success());
    let restored = restore_all(sent).unwrap();
    assert_eq!(restored["runs.jsonl"], b"{\"n\":12345678901234567890}\ntorn");
    assert_eq!(restored.len(), 2);
}

#[test]
fn import_after_a_look_asks_first() {
    let from = home_with_logs();
    let to = Home::new();
    std::fs::write(to.path().join("b.gz"), bundle(&from)).unwrap();
    let log = to.dirs().patchwork.join("runs.jsonl");
    let no = run("import_after_a_look", &to, &["b.gz"], "n\n");
    assert!(no.contains("runs.jsonl: 2 new lines, 0 kept") && no.ends_with("nothing was changed\n"), "{no}");
    assert!(!log.exists());
    assert!(run("import_after_a_look", &to, &["b.gz"], "y\n").ends_with("imported 6 new lines\n"));
    assert_eq!(std::fs::read(log).unwrap(), b"{\"n\":12345678901234567890}\ntorn");
    assert_eq!(run("import_after_a_look", &to, &["b.gz"], ""), "the logs already have every line of the bundle\n");
}
