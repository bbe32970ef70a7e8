//! Encrypted bundles on the command line.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::Home;
use crate::common::age_keys;
use crate::common::keys::{key_in, public_key};
use crate::common::program::{Run, command, run, run_with};
use crate::common::skip_note::skip_without;
#[cfg(target_os = "linux")]
use crate::common::terminal::typed_on_terminal;

const IDENTITY: &str = "AGE-SECRET-KEY-15FJH2WEAQ2KHXFLTQ9QJF8NEAFEGK33J65ERR2RAUMHMUALSCPUSX3SZY5";
const RECIPIENT: &str = "age1unpfk3m3ta7z5vqqmuxz4zgyg0wsyanef0293a4kht7x23ek5q8s2s0yq4";
const OTHER_IDENTITY: &str = "AGE-SECRET-KEY-1DJSZXJXALU2HV9K0Q2SWHD4CR6NNR0ECDCDU0JPXUAE5HDT6EJJS309NVJ";
const LOG: &str = "{\"taskId\":\"a\",\"createdAt\":1777716000000}\n{\"taskId\":\"b\",\"createdAt\":1777716001000}\n";

/// A home with a log, identities and passphrases, and the encrypted bundles key.age and passphrase.age.
fn home() -> Home {
    let home = Home::new().with("runs.jsonl", LOG);
    for (name, text) in [("key.txt", IDENTITY), ("other.txt", OTHER_IDENTITY), ("pass.txt", "correct horse\n")] {
        write_secret(&home.path().join(name), text);
    }
    let made = run(home.path(), &["export", "-r", RECIPIENT, "-o", "key.age"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    home
}

/// Writes passphrase.age, the bundle encrypted with the passphrase.
fn with_passphrase(home: &Home) {
    let made = run(home.path(), &["export", "--quiet", "-o", "-"]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    fs::write(home.path().join("passphrase.age"), age_keys::lock("correct horse", &made.stdout)).unwrap();
}

/// Encrypts the identity as locked.age, with the passphrase.
fn lock(home: &Home) {
    write_secret(&home.path().join("locked.age"), age_keys::lock("correct horse", IDENTITY.as_bytes()));
}

fn write_secret(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn age(dir: &Path, arguments: &[&str]) -> Option<Run> {
    let ended = Command::new("age").args(arguments).current_dir(dir).output();
    if ended.is_err() {
        skip_without("age", "left out");
    }
    ended.ok().map(Run::from)
}

#[test]
fn every_reading_command_reads_encrypted_bundles() {
    let home = home();
    let key = |arguments: &[&str]| {
        let done = run(home.path(), &[arguments, &["-i", "key.txt"]].concat());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{arguments:?}");
        done.text()
    };
    assert_eq!(key(&["cat", "key.age"]), LOG);
    assert_eq!(key(&["cat", "key.age", "--source", "runs", "--exact"]), LOG);
    assert_eq!(key(&["cat", "key.age", "key.age", "--by-time"]), by_time());
    assert!(key(&["verify", "key.age"]).contains("intact: 2 rows"));
    assert!(key(&["inspect", "key.age"]).contains("2 rows from 1 log"));
    assert!(key(&["inspect", "key.age", "key.age"]).contains("key.age"));
    assert!(key(&["diff", "key.age", "--here"]).contains("equal"));
    assert!(key(&["merge", "key.age", "-o", "merged.gz"]).contains("2 rows"));
    assert!(key(&["recover", "key.age", "-o", "recovered.gz"]).contains("original, byte for byte"));
    key(&["keep", "history", "--from", "key.age"]);
    assert_eq!(run(home.path(), &["cat", "history"]).text(), LOG);
    fs::remove_file(home.path().join(".patchwork/runs.jsonl")).unwrap();
    key(&["import", "key.age"]);
    assert_eq!(fs::read_to_string(home.path().join(".patchwork/runs.jsonl")).unwrap(), LOG);
    let piped = fs::read(home.path().join("key.age")).unwrap();
    assert_eq!(run_with(home.path(), &["cat", "-", "-i", "key.txt"], &piped).text(), LOG);
}

/// Both rows of both bundles, in the order of their times.
fn by_time() -> String {
    LOG.split_inclusive('\n').map(|row| row.repeat(2)).collect()
}

#[test]
fn encrypted_bundles_are_signed_like_others() {
    let home = home();
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", "sign"]).current_dir(home.path());
    if !keygen.status().is_ok_and(|status| status.success()) {
        return skip_without("ssh-keygen", "not run");
    }
    let public = fs::read_to_string(home.path().join("sign.pub")).unwrap();
    fs::write(home.path().join("signers"), format!("me@example.org {public}")).unwrap();
    let signed = run(home.path(), &["sign", "key.age", "--key", "sign", "-i", "key.txt"]);
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    let verified = run(home.path(), &["verify", "key.age", "-i", "key.txt", "--signers", "signers"]);
    assert!(verified.code == 0 && verified.text().contains("me@example.org"), "{verified:?}");
}

#[test]
fn missing_and_wrong_keys_are_reported() {
    let home = home();
    with_passphrase(&home);
    lock(&home);
    let public_ssh_key = public_key("ed25519");
    key_in(home.path(), "ed25519");
    fs::write(home.path().join("passphrase.age.sig"), "old").unwrap();
    let mut told = String::new();
    for arguments in [
        &["cat", "key.age"][..],
        &["cat", "key.age", "-i", "locked.age"],
        &["cat", "key.age", "-i", "locked.age", "--passphrase-file", "other.txt"],
        &["cat", "key.age", "-i", "ed25519"],
        &["export", "-r", &public_ssh_key, "-o", "new"],
        &["merge", "key.age", "-i", "locked.age", "-p", "--passphrase-file", "pass.txt", "-o", "new"],
        // These ask for no passphrase first.
        &["export", "-p", "-o", "missing/new"],
        &["export", "-p", "-o", "key.age"],
        &["recover", "missing.age", "-p", "-o", "new"],
        &["merge", "passphrase.age", "missing.age", "-o", "new"],
        &["cat", "passphrase.age", "missing.age"],
        &["sign", "passphrase.age", "--key", "ed25519"],
        &["diff", "passphrase.age", "--here", "--patchwork-dir", "missing"],
        &["cat", "passphrase.age"],
        &["cat", "key.age", "-i", "other.txt"],
        &["cat", "key.age", "-i", "missing.txt"],
        &["cat", "key.age", "-i", "pass.txt"],
        &["cat", "passphrase.age", "--passphrase-file", "key.txt"],
        &["cat", "passphrase.age", "--passphrase-file", ".patchwork/empty"],
        &["verify", "key.age"],
        &["export", "-r", "age1false", "-o", "new"],
        &["export", "-r", IDENTITY, "-o", "new"],
        &["export", "-R", "pass.txt", "-o", "new"],
        &["export", "-p", "-r", RECIPIENT, "-o", "new"],
        &["export", "--passphrase-file", "pass.txt", "-o", "new"],
        &["export", "-p", "-o", "new"],
    ] {
        fs::write(home.path().join(".patchwork/empty"), "\n").unwrap();
        let mut command = command(home.path(), arguments);
        // Without a terminal, also where the tests run on one.
        #[cfg(unix)]
        without_terminal(&mut command);
        let failed: Run = command.stdin(std::process::Stdio::null()).output().unwrap().into();
        assert!(failed.code != 0 && failed.stdout.is_empty(), "{arguments:?}: {failed:?}");
        assert!(!home.path().join("new").exists(), "{arguments:?}");
        assert!(!failed.stderr.contains("SECRET") && !failed.stderr.contains("horse"), "{arguments:?}: {failed:?}");
        let shown = arguments.join(" ").replace(IDENTITY, "(identity)").replace(RECIPIENT, "(recipient)");
        let shown = shown.replace(&public_ssh_key, "(public key of SSH)");
        told += &format!("$ {shown}\n{}: {}\n", failed.code, failed.stderr);
    }
    insta::assert_snapshot!(told);
}

#[cfg(unix)]
fn without_terminal(command: &mut Command) {
    let program = command.get_program().to_owned();
    let mut without = Command::new("setsid");
    without.arg("--wait").arg(program).args(command.get_args()).env_clear();
    without.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    without.env("PATH", "/usr/bin:/bin").current_dir(command.get_current_dir().unwrap());
    *command = without;
}

#[test]
fn an_encrypted_file_of_identities_is_opened_by_the_passphrase_options() {
    let home = home();
    lock(&home);
    let arguments = ["-i", "locked.age", "--passphrase-file", "pass.txt"];
    let done = run(home.path(), &[&["cat", "key.age"][..], &arguments].concat());
    assert_eq!((done.stderr.as_str(), done.text()), ("", LOG.to_owned()));
    // The output is encrypted to a key, so the passphrase has one meaning.
    let merge = ["merge", "key.age", "-r", RECIPIENT, "-o", "merged.age"];
    let done = run(home.path(), &[&merge[..], &arguments].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(run(home.path(), &["cat", "merged.age", "-i", "key.txt"]).text(), LOG);
    // age encrypts in the same way.
    if let Some(decrypted) = age(home.path(), &["-d", "-i", "key.txt", "merged.age"]) {
        assert_eq!(decrypted.code, 0, "{}", decrypted.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_mistyped_passphrase_is_asked_for_again() {
    let home = home();
    with_passphrase(&home);
    lock(&home);
    let (first, again) = ("Passphrase of passphrase.age: ", "Wrong passphrase. Passphrase of passphrase.age: ");
    let Some(shown) =
        typed_on_terminal(&home, "cat passphrase.age", &[], &[(first, "corect"), (again, "correct horse")])
    else {
        return;
    };
    assert!(shown.contains("\"taskId\":\"b\"") && shown.contains("code 0") && !shown.contains("horse"), "{shown}");

    let wrong = [(first, "a"), (again, "b"), (again, "c")];
    let shown = typed_on_terminal(&home, "cat passphrase.age", &[], &wrong).unwrap();
    assert!(shown.contains("code 1") && shown.contains("wrong passphrase or key"), "{shown}");
    assert!(!shown.contains("taskId"), "{shown}");

    // What was right is tried for the other files; what was not is forgotten.
    let (identity, again) = ("Passphrase of locked.age: ", "Wrong passphrase. Passphrase of locked.age: ");
    let shown =
        typed_on_terminal(&home, "cat -i locked.age key.age passphrase.age", &[], &[(identity, "correct horse")])
            .unwrap();
    assert!(shown.contains("code 0"), "{shown}");
    let wrong = [(identity, "a"), (again, "b"), (again, "c"), (first, "correct horse")];
    let shown = typed_on_terminal(&home, "verify -i locked.age key.age passphrase.age", &[], &wrong).unwrap();
    assert!(shown.contains("code 1") && shown.contains("2 rows, the log matches"), "{shown}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_identity_and_the_output_have_passphrases_of_their_own_on_a_terminal() {
    let home = home();
    lock(&home);
    let typed = [
        ("Passphrase of locked.age: ", "correct horse"),
        ("New passphrase: ", "battery staple"),
        ("Repeat the passphrase: ", "battery staple"),
    ];
    let Some(shown) = typed_on_terminal(&home, "merge key.age -i locked.age -p -o new.age", &[], &typed) else {
        return;
    };
    assert!(shown.contains("code 0"), "{shown}");
    write_secret(&home.path().join("new.txt"), "battery staple");
    assert_eq!(run(home.path(), &["cat", "new.age", "--passphrase-file", "new.txt"]).text(), LOG);
}

#[test]
fn the_size_of_an_encrypted_bundle_is_that_of_its_file() {
    let home = home();
    let inspected = run(home.path(), &["inspect", "key.age", "key.age", "-i", "key.txt", "--json"]).json();
    let length = fs::metadata(home.path().join("key.age")).unwrap().len();
    assert_eq!(inspected["bundles"][0]["bundleBytes"], length);
}

#[test]
fn passphrases_come_from_a_file_a_descriptor_or_the_environment() {
    let home = home();
    with_passphrase(&home);
    let read = |arguments: &[&str], variable: Option<&str>, input: &[u8]| -> Run {
        let mut command = command(home.path(), &[&["cat", "passphrase.age"], arguments].concat());
        variable.map(|value| command.env("PATCHWORK_TRACES_PASSPHRASE", value));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), input).unwrap();
        command.stdin(fs::File::open(file.path()).unwrap()).output().unwrap().into()
    };
    assert_eq!(read(&["--passphrase-file", "pass.txt"], Some("wrong"), b"").text(), LOG);
    assert_eq!(read(&[], Some("correct horse"), b"").text(), LOG);
    #[cfg(unix)]
    assert_eq!(read(&["--passphrase-fd", "0"], None, b"correct horse\r\nmore").text(), LOG);
    assert_eq!(run_with_variable(&home, ""), LOG, "an empty variable is none");
    // The bundle can follow the passphrase on standard input, also in one write.
    #[cfg(unix)]
    {
        let sealed = fs::read(home.path().join("passphrase.age")).unwrap();
        let both = [b"correct horse\n", &sealed[..]].concat();
        assert_eq!(run_with(home.path(), &["cat", "-", "--passphrase-fd", "0"], &both).text(), LOG);
        let arguments = ["merge", "passphrase.age", "-p", "--passphrase-fd", "0", "-o", "merged.age"];
        let merged = run_with(home.path(), &arguments, b"correct horse\n");
        assert_eq!(merged.code, 0, "opens the input and encrypts the output: {}", merged.stderr);
    }
    let wrong = read(&[], Some("wrong"), b"");
    assert!(wrong.code == 1 && wrong.stderr.contains("wrong passphrase or key"), "{}", wrong.stderr);
}

/// Prints a bundle that is not encrypted, with this value of the variable for passphrases.
fn run_with_variable(home: &Home, value: &str) -> String {
    run(home.path(), &["export", "-o", "plain.gz", "--force"]);
    let mut command = command(home.path(), &["cat", "plain.gz"]);
    Run::from(command.env("PATCHWORK_TRACES_PASSPHRASE", value).output().unwrap()).text()
}

#[cfg(unix)]
#[test]
fn encrypted_bundles_are_read_from_named_pipes() {
    let home = home();
    let sealed = fs::read(home.path().join("key.age")).unwrap();
    let pipe = home.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for arguments in [&["cat", "pipe"][..], &["merge", "pipe", "-o", "merged.gz"], &["diff", "pipe", "key.age"]] {
        std::thread::scope(|scope| {
            scope.spawn(|| fs::write(&pipe, &sealed).unwrap());
            let done = run(home.path(), &[arguments, &["-i", "key.txt"]].concat());
            assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{arguments:?}");
        });
    }
}

#[test]
fn age_reads_what_is_written_and_the_reverse() {
    let home = home();
    let Some(decrypted) = age(home.path(), &["-d", "-i", "key.txt", "-o", "plain.gz", "key.age"]) else { return };
    assert_eq!(decrypted.code, 0, "{}", decrypted.stderr);
    assert_eq!(run(home.path(), &["cat", "plain.gz"]).text(), LOG);
    for armored in [false, true] {
        let option = if armored { "-a" } else { "-e" };
        age(home.path(), &[option, "-r", RECIPIENT, "-o", "theirs.age", "plain.gz"]).unwrap();
        assert_eq!(run(home.path(), &["cat", "theirs.age", "-i", "key.txt"]).text(), LOG, "{option}");
        let piped = fs::read(home.path().join("theirs.age")).unwrap();
        assert_eq!(run_with(home.path(), &["cat", "-", "-i", "key.txt"], &piped).text(), LOG, "{option}");
        fs::remove_file(home.path().join("theirs.age")).unwrap();
    }
}

#[test]
fn a_cut_stream_imports_nothing() {
    let home = Home::new()
        .with("runs.jsonl", (0..9000).map(|n| format!("{{\"n\":{}}}\n", n * 7919 % 9973)).collect::<String>());
    write_secret(&home.path().join("key.txt"), IDENTITY);
    run(home.path(), &["export", "-r", RECIPIENT, "--level", "0", "-o", "key.age"]);
    let sealed = fs::read(home.path().join("key.age")).unwrap();
    assert!(sealed.len() > 2 * (64 << 10), "two pieces: {}", sealed.len());
    fs::remove_file(home.path().join(".patchwork/runs.jsonl")).unwrap();
    for cut in [sealed.len() - 1, sealed.len() / 2, 250, 40] {
        let failed = run_with(home.path(), &["import", "-", "-i", "key.txt"], &sealed[..cut]);
        assert!(failed.code == 1 && !failed.stderr.is_empty(), "{cut}: {failed:?}");
        assert!(!home.path().join(".patchwork/runs.jsonl").exists(), "{cut}");
    }
    let mut changed = sealed.clone();
    changed[sealed.len() / 2] ^= 1;
    fs::write(home.path().join("key.age"), changed).unwrap();
    let verified = run(home.path(), &["verify", "key.age", "-i", "key.txt"]);
    assert!(verified.code == 3 && verified.stderr.contains("changed or cut off"), "{verified:?}");
}

#[test]
fn recover_saves_what_is_behind_damage() {
    let rows: Vec<_> =
        (0..120_000u64).map(|n| format!("{{\"n\":{}}}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let home = Home::new().with("runs.jsonl", rows.concat());
    write_secret(&home.path().join("key.txt"), IDENTITY);
    run(home.path(), &["export", "-r", RECIPIENT, "-o", "key.age"]);
    let mut sealed = fs::read(home.path().join("key.age")).unwrap();
    sealed[100_000] ^= 1;
    fs::write(home.path().join("key.age"), sealed).unwrap();
    let failed = run(home.path(), &["cat", "key.age", "-i", "key.txt"]);
    assert!(failed.code == 1 && failed.stderr.contains("`patchwork-traces recover FILE -o NEW`"), "{failed:?}");
    let saved = run(home.path(), &["recover", "key.age", "-i", "key.txt", "-o", "saved.gz"]);
    assert!(saved.code == 3 && saved.text().contains("missing"), "{saved:?}");
    let found = run(home.path(), &["cat", "saved.gz"]).text();
    assert!(found.ends_with(&rows[60_000..].concat()), "{}", found.len());
    let refused = run(home.path(), &["recover", "key.age", "-o", "other.gz"]);
    assert!(refused.code == 1 && refused.stderr.contains("pass the identity file with -i"), "{refused:?}");
}

#[test]
fn merge_and_recover_encrypt_what_they_write() {
    let home = home();
    for arguments in [&["merge", "key.age", "-o", "m.age"][..], &["recover", "key.age", "-o", "r.age"]] {
        let done = run(home.path(), &[arguments, &["-i", "key.txt", "-r", RECIPIENT, "--json"]].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let written = fs::read(home.path().join(arguments[3])).unwrap();
        assert!(written.starts_with(b"age-encryption.org/v1\n"), "{arguments:?}");
        assert_eq!(done.json()["bundleBytes"], written.len());
        assert_eq!(run(home.path(), &["cat", arguments[3], "-i", "key.txt"]).text(), LOG);
    }
    let piped = run(home.path(), &["merge", "key.age", "-o", "-", "-i", "key.txt", "-r", RECIPIENT]);
    assert!(piped.stdout.starts_with(b"age-encryption.org/v1\n"), "{}", piped.stderr);
}

#[test]
fn the_default_name_of_an_encrypted_bundle_ends_in_age() {
    let home = home();
    let done = run(home.path(), &["export", "-r", RECIPIENT, "--json"]).json();
    assert!(done["bundle"].as_str().unwrap().ends_with(".jsonl.gz.age"), "{done}");
}

#[cfg(unix)]
#[test]
fn secrets_that_others_can_read_are_noted() {
    let home = home();
    let key = home.path().join("key.txt");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let noted = run(home.path(), &["cat", "key.age", "-i", "key.txt"]);
    assert_eq!(noted.stderr, "warning: key.txt: other users can read this secret; run `chmod 600 key.txt`\n");
    assert_eq!(noted.text(), LOG);
}

#[test]
fn exports_that_patchwork_encrypted_are_read_and_converted() {
    let home = Home::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sealed/three_rows.jsonl.gz.enc");
    fs::copy(&fixture, home.path().join("t.enc")).unwrap();
    for (name, text) in [("key.txt", IDENTITY), ("pass.txt", "correct horse, größer Akku"), ("wrong.txt", "correct")]
    {
        write_secret(&home.path().join(name), text);
    }
    let opened = |arguments: &[&str], input: &[u8]| {
        let done = run_with(home.path(), &[arguments, &["--passphrase-file", "pass.txt"]].concat(), input);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{arguments:?}");
        done.text()
    };
    let rows = opened(&["cat", "t.enc"], b"");
    assert_eq!(rows.lines().count(), 3);
    assert_eq!(opened(&["cat", "-"], &fs::read(&fixture).unwrap()), rows);
    assert!(opened(&["verify", "t.enc"], b"").contains("intact: 3 rows"));
    assert!(opened(&["inspect", "t.enc"], b"").contains("3 rows"));
    assert!(opened(&["recover", "t.enc", "-o", "recovered.gz"], b"").contains("recovered 3 rows"));
    opened(&["merge", "t.enc", "-r", RECIPIENT, "-o", "t.age"], b"");
    assert_eq!(run(home.path(), &["cat", "t.age", "-i", "key.txt"]).text(), rows);
    opened(&["import", "t.enc"], b"");

    let mut told = String::new();
    let cut = fs::read(&fixture).unwrap();
    fs::write(home.path().join("cut.enc"), &cut[..cut.len() - 1]).unwrap();
    fs::write(home.path().join("short.enc"), &cut[..20]).unwrap();
    for file in ["t.enc", "cut.enc", "short.enc"] {
        for secret in ["--passphrase-file=wrong.txt", "--identity=key.txt"] {
            let mut command = command(home.path(), &["cat", file, secret]);
            #[cfg(unix)]
            without_terminal(&mut command);
            let failed: Run = command.stdin(std::process::Stdio::null()).output().unwrap().into();
            assert!(failed.code == 1 && failed.stdout.is_empty(), "{file}: {failed:?}");
            told += &failed.stderr;
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_history_is_encrypted_without_a_key_and_read_with_it() {
    let home = home();
    let keep = |more: &[&str]| run(home.path(), &[&["keep", "history", "--quiet"], more].concat());
    assert_eq!(keep(&["-r", RECIPIENT]).code, 0);
    let log = home.path().join(".patchwork/runs.jsonl");
    let more = "{\"taskId\":\"c\",\"createdAt\":1777716002000}\n";
    fs::write(&log, LOG.to_owned() + more).unwrap();
    let second = keep(&["-r", RECIPIENT]);
    assert_eq!((second.code, second.stderr.as_str()), (0, ""));
    let refused = run(home.path(), &["cat", "history"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("it is encrypted with age") && refused.stderr.contains("-i"), "{}", refused.stderr);
    let key = |arguments: &[&str]| {
        let done = run(home.path(), &[arguments, &["-i", "key.txt"]].concat());
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{arguments:?}");
        done.text()
    };
    assert_eq!(key(&["cat", "history"]), LOG.to_owned() + more);
    assert_eq!(key(&["cat", "history", "--by-time"]), LOG.to_owned() + more);
    assert_eq!(key(&["cat", "history", "--source", "runs", "--exact"]), LOG.to_owned() + more);
    assert!(key(&["verify", "history"]).contains("intact      yes: 3 rows of 2 segments"));
    assert!(key(&["inspect", "history"]).contains("3 rows from 1 log"));
    assert!(key(&["inspect", "history", "key.age"]).contains("history"));
    assert!(key(&["diff", "history", "--here"]).contains("equal"));
    assert!(key(&["merge", "history", "-o", "all.gz"]).contains("3 rows"));
    assert!(key(&["recover", "history", "-o", "rest.gz"]).contains("3 rows"));
    assert!(key(&["prove", "history", "--segment", "1", "-o", "segment.proof"]).contains("segment 1"));
    fs::remove_file(&log).unwrap();
    key(&["import", "history"]);
    assert_eq!(fs::read_to_string(&log).unwrap(), LOG.to_owned() + more);
    let plain = run(home.path(), &["keep", "history"]);
    assert!(plain.stderr.contains("this segment is not encrypted, but the one before it is"), "{}", plain.stderr);
}

#[test]
fn a_run_that_has_lost_its_notes_asks_for_the_key() {
    let home = home();
    let keep = |more: &[&str]| run(home.path(), &[&["keep", "history"], more].concat());
    assert_eq!(keep(&["-r", RECIPIENT]).code, 0);
    fs::remove_dir_all(home.path().join(".patchwork/.patchwork-traces")).unwrap();
    let refused = keep(&["-r", RECIPIENT]);
    assert_eq!(refused.code, 1);
    let message = "this segment is encrypted, and this machine has no usable note on it";
    assert!(refused.stderr.contains(message) && refused.stderr.contains("--identity"), "{}", refused.stderr);
    assert_eq!(keep(&["-r", RECIPIENT, "-i", "key.txt"]).code, 0);
    assert_eq!(keep(&["-r", RECIPIENT]).code, 0);
    assert!(run(home.path(), &["verify", "history", "-i", "key.txt"]).text().contains("of 3 segments"));
}

#[test]
fn the_segments_of_a_history_can_have_a_passphrase() {
    let home = home();
    for _ in 0..2 {
        let kept = run(home.path(), &["keep", "history", "-p", "--passphrase-file", "pass.txt", "--quiet"]);
        assert_eq!((kept.code, kept.stderr.as_str()), (0, ""));
    }
    assert_eq!(run(home.path(), &["cat", "history", "--passphrase-file", "pass.txt"]).text(), LOG);
}
