//! `sign`, and `verify --signers`, as programs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::history_builder::HistoryBuilder;
use crate::common::keys::{has_ssh_keygen, key_in, keygen_sign, keygen_verify, public_key};
use crate::common::program::{Run, command, run, run_with};
use crate::common::skip_note::skip_without;
use crate::common::text_of;
use crate::json_output::expect_valid;

/// A directory with the bundle `b.gz`, the keys `ed25519` and `ecdsa-256`, and the list `signers`, which has both.
fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance/intact.jsonl.gz");
    fs::write(dir.path().join("b.gz"), fs::read(fixture).unwrap()).unwrap();
    key_in(dir.path(), "ed25519");
    key_in(dir.path(), "ecdsa-256");
    let list = format!("sam@example.org {}\neve@example.org {}\n", public_key("ed25519"), public_key("ecdsa-256"));
    fs::write(dir.path().join("signers"), list).unwrap();
    dir
}

fn shown(arguments: &[&str], run: &Run) -> String {
    format!("$ {}\n{}{}(exit code {})\n\n", arguments.join(" "), run.text(), run.stderr, run.code)
}

fn run_shown(dir: &Path, arguments: &[&str]) -> String {
    shown(arguments, &run(dir, arguments))
}

/// Runs a command that must succeed.
fn done(dir: &Path, arguments: &[&str]) {
    let run = run(dir, arguments);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
}

/// The bytes that the signature of a bundle is of.
fn manifest_line(path: &Path) -> Vec<u8> {
    let text = text_of(&fs::read(path).unwrap());
    text.split(|byte| *byte == b'\n').next().unwrap().to_vec()
}

#[test]
fn a_signed_bundle_says_who_signed_it() {
    let dir = dir();
    let mut text = String::new();
    for arguments in [
        &["verify", "b.gz"][..],
        &["sign", "b.gz", "--key", "ed25519"],
        &["verify", "b.gz"],
        &["verify", "b.gz", "--signers", "signers"],
        &["verify", "b.gz", "--signers", "signers", "--signer", "sam@example.org", "--quiet"],
        &["verify", "b.gz", "--signers", "signers", "--signer", "eve@example.org"],
        &["sign", "b.gz", "--key", "ecdsa-256"],
        &["sign", "b.gz", "--key", "ecdsa-256", "--force", "--quiet"],
        &["verify", "b.gz", "--signers", "signers"],
    ] {
        text += &run_shown(dir.path(), arguments);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_signature_that_is_not_valid_needs_a_person() {
    let dir = dir();
    let verify = ["verify", "b.gz", "--signers", "signers"];
    let mut text = run_shown(dir.path(), &verify);
    done(dir.path(), &["sign", "b.gz", "--key", "ed25519", "--quiet"]);
    let signature = fs::read(dir.path().join("b.gz.sig")).unwrap();
    let list = fs::read_to_string(dir.path().join("signers")).unwrap();

    fs::write(dir.path().join("signers"), list.split_once('\n').unwrap().1).unwrap();
    text += &run_shown(dir.path(), &verify);
    fs::write(dir.path().join("signers"), format!("sam valid-before=\"20260101Z\" {}\n", public_key("ed25519")))
        .unwrap();
    text += &run_shown(dir.path(), &verify);
    fs::write(dir.path().join("signers"), &list).unwrap();
    fs::write(dir.path().join("b.gz.sig"), &signature[..signature.len() - 1]).unwrap();
    text += &run_shown(dir.path(), &verify);

    fs::write(dir.path().join("b.gz.sig"), &signature).unwrap();
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/conformance/sound_minor_2.jsonl.gz");
    fs::copy(other, dir.path().join("b.gz")).unwrap();
    text += &run_shown(dir.path(), &verify);
    insta::assert_snapshot!(text);
}

#[test]
fn an_unreadable_signature_is_in_the_list_with_its_error() {
    let dir = dir();
    HistoryBuilder::with_segments(dir.path().join("h"), 2);
    fs::copy(dir.path().join("b.gz"), dir.path().join("c.gz")).unwrap();
    for name in ["b.gz.sig", "h/checkpoint.sig"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    done(dir.path(), &["sign", "c.gz", "--key", "ed25519", "--quiet"]);
    let checked = run(dir.path(), &["verify", "--json", "b.gz", "h", "c.gz", "--signers", "signers"]);
    let json = checked.json();
    expect_valid("verify", &json);
    assert_eq!((checked.code, checked.stderr.as_str(), &json["good"]), (1, "", &false.into()));
    for (list, name, signature) in [("bundles", "b.gz", "b.gz.sig"), ("histories", "h", "h/checkpoint.sig")] {
        let one = &json[list][0];
        let named = one.get("bundle").or(one.get("history")).unwrap();
        assert_eq!((named, &one["good"], &one["verdict"]), (&name.into(), &false.into(), &serde_json::Value::Null));
        assert_eq!(one["error"]["subject"], signature);
    }
    assert_eq!((&json["bundles"][1]["bundle"], &json["bundles"][1]["good"]), (&"c.gz".into(), &true.into()));
}

#[test]
fn json_has_the_status_of_the_signature() {
    let dir = dir();
    let signature = |arguments: &[&str]| {
        let run = run(dir.path(), &[&["verify", "--json"], arguments].concat());
        let json = run.json();
        expect_valid("verify", &json);
        assert_eq!(json["good"], run.code == 0);
        json["bundles"][0]["signature"].clone()
    };
    assert!(signature(&["b.gz"]).is_null());
    assert_eq!(signature(&["b.gz", "--signers", "signers"])["status"], "missing");
    let signed = run(dir.path(), &["sign", "b.gz", "--key", "ed25519", "--json"]).json();
    expect_valid("sign", &signed);
    assert_eq!(signature(&["b.gz"])["status"], "notChecked");
    let valid = signature(&["b.gz", "--signers", "signers"]);
    assert_eq!((&valid["status"], &valid["principal"]), (&"valid".into(), &"sam@example.org".into()));
    assert_eq!((&valid["key"], &valid["file"]), (&signed["key"], &"b.gz.sig".into()));
    let other = signature(&["b.gz", "--signers", "signers", "--signer", "eve@example.org"]);
    assert_eq!(other["status"], "otherSigner");

    HistoryBuilder::with_segments(dir.path().join("h"), 2);
    let signed = run(dir.path(), &["sign", "h", "--key", "ed25519", "--json"]).json();
    expect_valid("sign", &signed);
    assert_eq!(signed["checkpoint"]["size"], 2);
    let history = run(dir.path(), &["verify", "h", "b.gz", "--json", "--signers", "signers"]).json();
    expect_valid("verify", &history);
    assert_eq!(history["histories"][0]["signature"]["status"], "valid");
    assert_eq!(history["good"], true);
}

#[test]
fn a_history_says_if_it_was_extended_after_it_was_signed() {
    let dir = dir();
    let mut history = HistoryBuilder::with_segments(dir.path().join("h"), 2);
    let mut text = run_shown(dir.path(), &["verify", "h", "--signers", "signers"]);
    text += &run_shown(dir.path(), &["sign", "h", "--key", "ed25519"]);
    text += &run_shown(dir.path(), &["verify", "h"]);
    text += &run_shown(dir.path(), &["verify", "h", "--signers", "signers"]);
    history.add(1);
    text += &run_shown(dir.path(), &["sign", "h", "--key", "ed25519"]);
    history.write_checkpoint();
    text += &run_shown(dir.path(), &["verify", "h", "--signers", "signers"]);
    text += &run_shown(dir.path(), &["sign", "h", "--key", "ed25519"]);
    text += &run_shown(dir.path(), &["verify", "h", "--signers", "signers", "--signer", "sam@example.org"]);
    insta::assert_snapshot!(text);
}

#[test]
fn ssh_keygen_checks_what_was_signed_here_and_the_other_way_round() {
    if !has_ssh_keygen() {
        return skip_without("ssh-keygen", "not compared");
    }
    let dir = dir();
    let path = |name: &str| dir.path().join(name);
    HistoryBuilder::with_segments(path("h"), 2);
    for (signed, signature, message) in [
        ("b.gz", path("b.gz.sig"), manifest_line(&path("b.gz"))),
        ("h", path("h/checkpoint.sig"), fs::read(path("h/checkpoint")).unwrap()),
    ] {
        done(dir.path(), &["sign", signed, "--key", "ed25519", "--quiet"]);
        assert!(keygen_verify(&path("signers"), "sam@example.org", &signature, &message), "{signed}");
        fs::write(&signature, keygen_sign(&path("ecdsa-256"), "patchwork-traces", &message)).unwrap();
        done(dir.path(), &["verify", signed, "--signers", "signers", "--signer", "eve@example.org", "--quiet"]);
        fs::write(&signature, keygen_sign(&path("ecdsa-256"), "file", &message)).unwrap();
        let other = run(dir.path(), &["verify", signed, "--signers", "signers"]);
        assert!(other.code == 3 && other.text().contains("namespace \"file\""), "{}", other.text());
    }
}

#[test]
fn the_signature_stays_valid_when_the_bundle_is_recompressed() {
    let dir = dir();
    done(dir.path(), &["sign", "b.gz", "--key", "ed25519", "--quiet"]);
    let text = text_of(&fs::read(dir.path().join("b.gz")).unwrap());
    fs::write(dir.path().join("b.gz"), text).unwrap();
    let plain = run(dir.path(), &["verify", "b.gz", "--signers", "signers"]);
    assert!(plain.code == 0 && plain.text().contains("signed  by sam@example.org"), "{}", plain.text());
}

#[test]
fn a_signature_does_not_cover_the_rows_of_a_1_0_bundle() {
    let dir = dir();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/legacy/plain.v1.0.jsonl.gz");
    fs::copy(fixture, dir.path().join("old.gz")).unwrap();
    done(dir.path(), &["sign", "old.gz", "--key", "ed25519", "--quiet"]);
    let verified = run(dir.path(), &["verify", "old.gz", "--signers", "signers"]);
    assert!(verified.code == 3 && verified.text().contains("has no hash"), "{verified:?}");
}

#[test]
fn nothing_is_signed_with_an_unusable_key_or_without_a_place_for_the_signature() {
    let dir = dir();
    fs::write(dir.path().join("rsa.pub"), public_key("rsa")).unwrap();
    fs::write(dir.path().join("ed25519.pub"), public_key("ed25519")).unwrap();
    fs::write(dir.path().join("bad"), format!("sam {}\neve unknown\n", public_key("ed25519"))).unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    let mut text = String::new();
    for arguments in [
        &["sign", "b.gz", "--key", "signers"][..],
        &["sign", "b.gz", "--key", "rsa.pub"],
        &["sign", "b.gz", "--key", "ed2551"],
        &["sign", "signers", "--key", "ed25519"],
        &["sign", "empty", "--key", "ed25519"],
        &["sign", "-", "--key", "ed25519"],
        &["sign", "b.gz"],
        &["verify", "-", "--signers", "signers"],
        &["verify", "b.gz", "--signer", "sam"],
        &["verify", "b.gz", "--signers", "bad"],
        &["verify", "b.gz", "--signers", "none"],
    ] {
        text += &run_shown(dir.path(), arguments);
    }
    let mut without_tools = command(dir.path(), &["sign", "b.gz", "--key", "ed25519.pub"]);
    let missing: Run = without_tools.env("PATH", dir.path()).stdin(Stdio::null()).output().unwrap().into();
    text += &shown(&["PATH=.", "sign", "b.gz", "--key", "ed25519.pub"], &missing);
    insta::assert_snapshot!(text);
    assert!(!dir.path().join("b.gz.sig").exists());
}

#[cfg(unix)]
#[test]
fn a_private_key_that_others_can_read_is_mentioned() {
    use std::os::unix::fs::PermissionsExt;

    let dir = dir();
    fs::set_permissions(dir.path().join("ed25519"), fs::Permissions::from_mode(0o644)).unwrap();
    let signed = run(dir.path(), &["sign", "b.gz", "--key", "ed25519"]);
    assert_eq!(signed.code, 0);
    assert!(signed.stderr.contains("other users can read this secret"), "{}", signed.stderr);
}

#[cfg(unix)]
#[test]
fn a_key_of_an_agent_signs() {
    if !has_ssh_keygen() || Command::new("ssh-agent").arg("-h").output().is_err() {
        return skip_without("ssh-keygen", "no key of an agent was tried");
    }
    let dir = dir();
    fs::write(dir.path().join("agent.pub"), public_key("ed25519")).unwrap();
    let program = env!("CARGO_BIN_EXE_patchwork-traces");
    let script = "ssh-add -q ed25519 && rm ed25519 && \"$PROGRAM\" sign b.gz --key agent.pub --quiet";
    let mut agent = Command::new("ssh-agent");
    let signed = agent.args(["sh", "-c", script]).env("PROGRAM", program).current_dir(dir.path()).output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    done(dir.path(), &["verify", "b.gz", "--signers", "signers", "--signer", "sam@example.org", "--quiet"]);

    let without = run(dir.path(), &["sign", "b.gz", "--key", "agent.pub", "--force"]);
    assert_eq!(without.code, 1);
    assert!(without.stderr.contains("ssh-keygen could not sign with this key"), "{}", without.stderr);
}

/// Signs with the encrypted key on a terminal, on which `typed` is typed at the prompt. Returns what the terminal showed:
/// also the exit code, and `echo` if the terminal shows again what is typed.
#[cfg(target_os = "linux")]
fn typed_at_the_prompt(dir: &Path, typed: &str) -> Option<String> {
    use std::io::{Read, Write};

    let script = "trap : INT; \"$PROGRAM\" sign b.gz --key encrypted; echo \"code $?\"; stty -a | grep -o '[ -]echo '";
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", script, "/dev/null"]).current_dir(dir).env("SHELL", "/bin/sh");
    terminal.env("PROGRAM", env!("CARGO_BIN_EXE_patchwork-traces"));
    let terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut terminal) = terminal else {
        skip_without("script", "no passphrase was typed");
        return None;
    };
    let (mut input, mut output) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let mut shown = Vec::new();
    while !shown.ends_with(b"Passphrase for encrypted: ") {
        let mut byte = [0];
        assert_eq!(output.read(&mut byte).unwrap(), 1, "no prompt: {}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    input.write_all(typed.as_bytes()).unwrap();
    output.read_to_end(&mut shown).unwrap();
    terminal.wait().unwrap();
    Some(String::from_utf8(shown).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_passphrase_is_asked_for_on_the_terminal() {
    let dir = dir();
    key_in(dir.path(), "encrypted");
    // Without a terminal there is an error, not a prompt.
    let mut alone = Command::new("setsid");
    alone.args(["--wait", env!("CARGO_BIN_EXE_patchwork-traces"), "sign", "b.gz", "--key", "encrypted"]);
    if let Ok(alone) = alone.current_dir(dir.path()).stdin(Stdio::null()).output() {
        let message = String::from_utf8(alone.stderr).unwrap();
        assert!(alone.status.code() == Some(1) && message.contains("protected by a passphrase"), "{message}");
    }
    for (typed, code, exists) in [("hunter2\n", 1, false), ("\x03", 130, false), ("correct horse\n", 0, true)] {
        let Some(shown) = typed_at_the_prompt(dir.path(), typed) else { return };
        assert!(shown.contains(&format!("code {code}\r\n")), "{shown:?}");
        assert!(shown.contains(" echo ") && !shown.contains(typed.trim_end()), "{shown:?}");
        assert_eq!(dir.path().join("b.gz.sig").exists(), exists);
    }
    done(dir.path(), &["verify", "b.gz", "--signers", "signers", "--signer", "sam@example.org", "--quiet"]);
}

/// A directory like that of [`dir`] which is also a home with a log.
fn home() -> tempfile::TempDir {
    let dir = dir();
    fs::create_dir(dir.path().join(".patchwork")).unwrap();
    fs::write(dir.path().join(".patchwork/runs.jsonl"), "{\"taskId\":\"a\",\"createdAt\":1777716000000}\n").unwrap();
    dir
}

#[test]
fn commands_that_write_bundles_sign_them() {
    let home = home();
    done(home.path(), &["keep", "h", "--quiet"]);
    for (command, arguments) in [
        ("export", &["-o", "new.gz"][..]),
        ("merge", &["b.gz", "-fo", "new.gz"]),
        ("recover", &["b.gz", "-fo", "new.gz"]),
        ("recover-history", &["h", "-fo", "new.gz"]),
    ] {
        let name = command.split('-').next().unwrap();
        let signed = run(home.path(), &[&[name, "--sign", "ed25519", "--json"], arguments].concat());
        assert_eq!((signed.code, signed.json()["signature"].as_str()), (0, Some("new.gz.sig")), "{}", signed.stderr);
        expect_valid(command, &signed.json());
        done(home.path(), &["verify", "new.gz", "--signers", "signers", "--quiet"]);
    }
    let unsigned = run(home.path(), &["export", "-fo", "new.gz", "--json"]).json();
    assert!(unsigned["signature"].is_null());
    let replaced = run(home.path(), &["merge", "b.gz", "-fo", "new.gz"]);
    assert!(replaced.stderr.contains("new.gz.sig does not sign the new bundle"), "{}", replaced.stderr);
    assert_eq!(run(home.path(), &["verify", "new.gz", "--signers", "signers", "--quiet"]).code, 3);
    let noted = run(home.path(), &["export", "--sign", "ed25519", "-fo", "new.gz"]);
    assert!(noted.stderr.contains("note: the signature is in new.gz.sig"), "{}", noted.stderr);
}

#[test]
fn nothing_is_written_if_the_result_could_not_be_signed() {
    let home = home();
    fs::write(home.path().join("signed.gz.sig"), "old").unwrap();
    let mut text = String::new();
    for arguments in [
        &["export", "-o", "-", "--sign", "ed25519"][..],
        &["merge", "b.gz", "-o", "-", "--sign", "ed25519"],
        &["export", "-o", "signed.gz", "--sign", "ed25519"],
        &["export", "-o", "new.gz", "--sign", "signers"],
        &["merge", "b.gz", "-o", "new.gz", "--sign", "signers"],
        &["recover", "b.gz", "-o", "new.gz", "--sign", "signers"],
        &["keep", "h", "--sign", "signers"],
    ] {
        text += &run_shown(home.path(), arguments);
    }
    insta::assert_snapshot!(text);
    for unwritten in ["signed.gz", "new.gz", "h"] {
        assert!(!home.path().join(unwritten).exists(), "{unwritten}");
    }
    assert_eq!(fs::read(home.path().join("signed.gz.sig")).unwrap(), b"old");
}

#[test]
fn a_bundle_that_was_written_but_not_signed_needs_a_person() {
    let home = home();
    fs::write(home.path().join("agent.pub"), public_key("ed25519")).unwrap();
    let mut text = String::new();
    for arguments in [&["export", "-o", "new.gz"][..], &["keep", "h"]] {
        let arguments = [arguments, &["--sign", "agent.pub", "--quiet"]].concat();
        let mut without_tools = command(home.path(), &arguments);
        let run: Run = without_tools.env("PATH", home.path()).stdin(Stdio::null()).output().unwrap().into();
        text += &shown(&arguments, &run);
    }
    insta::assert_snapshot!(text);
    done(home.path(), &["verify", "new.gz", "h", "--quiet"]);
    assert!(!home.path().join("new.gz.sig").exists());
}

#[test]
fn each_run_of_keep_signs_the_whole_history() {
    let home = home();
    for segments in 1..=3 {
        let kept = run(home.path(), &["keep", "h", "--sign", "ed25519", "--quiet"]);
        assert_eq!((kept.code, kept.stderr.as_str()), (0, ""));
        let verified = run(home.path(), &["verify", "h", "--signers", "signers", "--json"]).json();
        assert_eq!(verified["histories"][0]["signature"]["status"], "valid");
        assert_eq!(verified["histories"][0]["segments"], segments);
    }
    done(home.path(), &["keep", "h", "--quiet"]);
    assert_eq!(run(home.path(), &["verify", "h", "--signers", "signers", "--quiet"]).code, 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_also_signs_the_last_segment() {
    let home = home();
    let mut service = command(home.path(), &["keep", "h", "--follow", "--sign", "ed25519"]);
    let mut service = service.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    while !home.path().join("h/checkpoint.sig").exists() {
        assert!(service.try_wait().unwrap().is_none(), "the service has ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(Command::new("kill").arg(service.id().to_string()).status().unwrap().success());
    assert!(service.wait().unwrap().success());
    let verified = run(home.path(), &["verify", "h", "--signers", "signers", "--json"]).json();
    assert_eq!(verified["histories"][0]["signature"]["status"], "valid");
    assert_eq!(verified["histories"][0]["segments"], 2);
}

#[test]
fn a_signature_is_not_read_with_standard_input() {
    let dir = dir();
    done(dir.path(), &["sign", "b.gz", "--key", "ed25519", "--quiet"]);
    let bundle = fs::read(dir.path().join("b.gz")).unwrap();
    let piped = run_with(dir.path(), &["verify", "-"], &bundle);
    assert!(piped.code == 0 && !piped.text().contains("signature"), "{}", piped.text());
}
