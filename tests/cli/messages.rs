//! Errors, hints, warnings, notes and findings on narrow terminals and in pipes.

use std::fs;
use std::process::Stdio;

use crate::common::program::{Run, command};
use crate::common::{Home, bundle};

fn home() -> Home {
    let home = Home::new().with("runs.jsonl", "{\"createdAt\":1}\ntorn\n");
    let bytes = bundle(&home);
    fs::write(home.path().join("b.gz"), &bytes).unwrap();
    fs::write(home.path().join("cut.gz"), &bytes[..bytes.len() - 9]).unwrap();
    home
}

fn run_at(home: &Home, columns: Option<&str>, arguments: &[&str]) -> Run {
    let mut command = command(home.path(), arguments);
    command.envs(columns.map(|columns| ("COLUMNS", columns)));
    command.stdin(Stdio::null()).output().unwrap().into()
}

const COMMANDS: [&[&str]; 5] = [
    &["cat", "b.gz", "--since", "someday"],
    &["cat", "b.gz", "--source", "metrics"],
    &["inspect", "no/such/directory-with-a-name-that-is-wider-than-the-terminal/bundle.gz"],
    &["cat", "b.gz"],
    &["verify", "cut.gz"],
];

#[test]
fn messages_wrap_at_the_width_and_never_inside_a_word() {
    let home = home();
    let mut shown = String::new();
    for arguments in COMMANDS {
        let wide = run_at(&home, None, arguments);
        let narrow = run_at(&home, Some("50"), arguments);
        assert_eq!(wide.code, narrow.code);
        let (wide, narrow) = (wide.text() + &wide.stderr, narrow.text() + &narrow.stderr);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&wide), words(&narrow));
        // The report of verify is not a message.
        for line in narrow.lines().take_while(|line| !line.starts_with("cut.gz: ")) {
            let is_one_word = line.split_whitespace().count() <= 2;
            assert!(line.chars().count() <= 50 || is_one_word, "{line:?}");
        }
        shown += &format!("$ {}\n{narrow}\n", arguments.join(" "));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn messages_in_pipes_stay_on_one_line() {
    let home = home();
    for arguments in COMMANDS {
        let printed = run_at(&home, None, arguments);
        let labels = ["error: ", "  hint: ", "note: ", "warning: ", "info: "];
        let messages = printed.stderr.lines().filter(|line| labels.iter().any(|label| line.starts_with(label)));
        assert_eq!(messages.count(), printed.stderr.lines().count(), "{}", printed.stderr);
    }
}
