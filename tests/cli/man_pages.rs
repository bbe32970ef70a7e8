//! Manual pages: every section, a text for every option, and lines that fit a terminal.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::cli_output::COMMANDS;
use crate::common::Home;
use crate::common::program::run;
use crate::common::skip_note::skip_note;

/// The pages of the program and of each command, with their names.
fn pages() -> Vec<(&'static str, String)> {
    let home = Home::new();
    let page = |arguments: &[&str]| {
        let page = run(home.path(), &[&["man"], arguments].concat());
        assert_eq!((page.code, page.stderr.as_str()), (0, ""));
        page.text()
    };
    let mut pages = vec![("the program", page(&[]))];
    pages.extend(COMMANDS.iter().map(|command| (*command, page(&[command]))));
    pages
}

#[test]
fn every_page_has_its_sections() {
    for (name, page) in pages() {
        let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "ENVIRONMENT", "EXAMPLES"] {
            assert!(headings.contains(&section), "{name} lacks {section}");
        }
        assert!(headings.iter().all(|heading| !heading.contains(char::is_lowercase)), "{name}: {headings:?}");
    }
}

#[test]
fn every_option_has_a_text() {
    for (name, page) in pages() {
        let lines: Vec<_> = page.lines().collect();
        let terms = lines.windows(3).filter(|lines| lines[0] == ".TP");
        for term in terms {
            let text = term[2];
            assert!(!text.is_empty() && !text.starts_with('.'), "{name}: {} has no text", term[1]);
        }
    }
}

#[test]
fn the_page_of_cat_reads_well() {
    let page = pages().into_iter().find(|(name, _)| *name == "cat").unwrap().1;
    insta::assert_snapshot!(page);
}

#[test]
fn rendered_pages_fit_80_columns_without_broken_words() {
    for (name, page) in pages() {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-rLL=78n", "-P-c", "-ww"]);
        groff.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Ok(mut groff) = groff.spawn() else { return skip_note("manual pages were not rendered: groff is missing") };
        groff.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let rendered = groff.wait_with_output().unwrap();
        assert!(rendered.status.success() && rendered.stderr.is_empty(), "{name}: {rendered:?}");
        // Overstruck letters are bold, and underlined ones italic.
        let text = String::from_utf8(rendered.stdout).unwrap();
        let text = text.lines().map(plain).collect::<Vec<_>>();
        for line in &text {
            assert!(line.chars().count() <= 80, "{name}: {line}");
            assert!(!line.ends_with('\u{2010}'), "{name} breaks a word: {line}");
        }
        assert!(text.iter().any(|line| *line == "EXIT STATUS"), "{name}: {text:#?}");
    }
}

/// Removes overstriking.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    for c in line.chars() {
        match c {
            '\u{8}' => _ = plain.pop(),
            c => plain.push(c),
        }
    }
    plain
}
