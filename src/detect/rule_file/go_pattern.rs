//! Translates Go's regular expressions, in which rules are written, to the syntax of the `regex` crate.
//!
//! The differences are small: in Go, `\w`, `\d`, `\s` and `\b` match ASCII only, `\s` does not match a vertical tab,
//! `{` can be a literal, `\Q…\E` quotes a text, and classes have no nested classes or operators.

use std::iter::Peekable;
use std::str::Chars;

/// The translation of the classes of letters, digits and spaces, for use inside brackets.
const WORD: &str = "0-9A-Za-z_";
const DIGIT: &str = "0-9";
const SPACE: &str = r"\t\n\x0C\r ";

/// Returns a pattern of the `regex` crate that matches the same texts as a Go pattern. A malformed pattern stays
/// malformed and is rejected by the compiler.
pub fn translate(pattern: &str) -> String {
    let mut translation =
        Translation { out: String::with_capacity(pattern.len() * 2), rest: pattern.chars().peekable() };
    translation.run();
    translation.out
}

struct Translation<'p> {
    out: String,
    rest: Peekable<Chars<'p>>,
}

impl Translation<'_> {
    fn run(&mut self) {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(),
                '[' => self.class(),
                '{' if !self.is_repetition() => self.out.push_str(r"\{"),
                _ => self.out.push(c),
            }
        }
    }

    /// Returns true if a brace begins a repetition such as `{2}`, `{2,}` or `{2,3}`.
    fn is_repetition(&self) -> bool {
        let inside: Option<String> = {
            let text: String = self.rest.clone().take_while(|c| *c != '}').collect();
            self.rest.clone().any(|c| c == '}').then_some(text)
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        inside.is_some_and(|inside| match inside.split_once(',') {
            None => is_number(&inside),
            Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
        })
    }

    /// Writes an escape outside of brackets.
    fn escape(&mut self) {
        let Some(c) = self.rest.next() else { return self.out.push('\\') };
        match c {
            'w' => self.out.push_str(&format!("[{WORD}]")),
            'W' => self.out.push_str(&format!("[^{WORD}]")),
            'd' => self.out.push_str(&format!("[{DIGIT}]")),
            'D' => self.out.push_str(&format!("[^{DIGIT}]")),
            's' => self.out.push_str(&format!("[{SPACE}]")),
            'S' => self.out.push_str(&format!("[^{SPACE}]")),
            'b' => self.out.push_str(r"(?-u:\b)"),
            'B' => self.out.push_str(r"(?-u:\B)"),
            'Q' => self.quoted(),
            _ => self.common_escape(c),
        }
    }

    /// Writes the text between `\Q` and `\E`, or up to the end of the pattern.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    /// Writes an escape that has the same meaning inside and outside of brackets.
    fn common_escape(&mut self, c: char) {
        match c {
            // The crate gives `\<` a special meaning.
            _ if c.is_ascii_punctuation() => self.literal(c),
            '0'..='7' => {
                let mut code = u32::from(c) - u32::from('0');
                let is_octal = c == '0' || self.rest.peek().is_some_and(|next| next.is_digit(8));
                for _ in 0..2 {
                    let Some(digit) = self.rest.next_if(|next| is_octal && next.is_digit(8)) else { break };
                    code = code * 8 + digit.to_digit(8).unwrap_or(0);
                }
                match is_octal {
                    true => self.out.push_str(&format!(r"\x{{{code:x}}}")),
                    // A backreference, which the compiler rejects.
                    false => self.out.extend(['\\', c]),
                }
            }
            _ => {
                self.out.extend(['\\', c]);
                // The braces of `\p{Greek}` and `\x{1F600}`.
                let mut is_inside = matches!(c, 'p' | 'P' | 'x') && self.rest.peek() == Some(&'{');
                while let Some(next) = self.rest.next_if(|_| is_inside) {
                    self.out.push(next);
                    is_inside = next != '}';
                }
            }
        }
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&regex_syntax::escape(c.encode_utf8(&mut [0; 4])));
    }

    /// Writes a class. Its opening bracket has been read.
    fn class(&mut self) {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        while let Some(c) = self.rest.next() {
            let next = self.rest.peek().copied();
            match (c, next) {
                (']', _) if !is_first => return self.out.push(']'),
                ('[', Some(':')) => self.named_class(),
                ('\\', Some('w' | 'W' | 'd' | 'D' | 's' | 'S' | 'p' | 'P')) => self.class_in_class(),
                _ => self.class_range(c),
            }
            is_first = false;
        }
    }

    /// Writes a character between brackets, or a range that begins with it.
    fn class_range(&mut self, first: char) {
        self.class_char(first);
        let is_range = self.rest.peek() == Some(&'-') && self.rest.clone().nth(1).is_some_and(|c| c != ']');
        if let Some(last) = self.rest.next_if(|_| is_range).and_then(|_| self.rest.next()) {
            self.out.push('-');
            self.class_char(last);
        }
    }

    fn class_char(&mut self, c: char) {
        match c {
            '\\' => match self.rest.next() {
                Some(c) if c.is_ascii_punctuation() => self.class_literal(c),
                Some(c) => self.common_escape(c),
                None => self.out.push('\\'),
            },
            _ => self.class_literal(c),
        }
    }

    /// Writes a class name such as `[:alpha:]`, or a literal bracket if no name follows.
    fn named_class(&mut self) {
        let name: String = self.rest.clone().skip(1).take_while(|c| *c != ':').collect();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '^');
        let is_closed = self.rest.clone().skip(name.len() + 1).take(2).eq([':', ']']);
        if !is_name || !is_closed {
            return self.class_literal('[');
        }
        self.out.push_str(&format!("[:{name}:]"));
        self.rest.nth(name.len() + 2);
    }

    /// Writes an escaped class inside another class. Its backslash has been read.
    fn class_in_class(&mut self) {
        match self.rest.next() {
            Some('w') => self.out.push_str(WORD),
            Some('d') => self.out.push_str(DIGIT),
            Some('s') => self.out.push_str(SPACE),
            Some('W') => self.out.push_str(&format!("[^{WORD}]")),
            Some('D') => self.out.push_str(&format!("[^{DIGIT}]")),
            Some('S') => self.out.push_str(&format!("[^{SPACE}]")),
            other => other.into_iter().for_each(|c| self.common_escape(c)),
        }
    }

    /// Writes a literal character inside brackets.
    fn class_literal(&mut self, c: char) {
        if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
            self.out.push('\\');
        }
        self.out.push(c);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Checks which texts the translation of a Go pattern matches.
    fn matches(pattern: &str, yes: &[&str], no: &[&str]) {
        let translated = translate(pattern);
        let regex = regex::Regex::new(&translated).unwrap_or_else(|error| panic!("{pattern}: {translated}: {error}"));
        for text in yes {
            assert!(regex.is_match(text), "{pattern} should match {text:?} as {translated}");
        }
        for text in no {
            assert!(!regex.is_match(text), "{pattern} should not match {text:?} as {translated}");
        }
    }

    #[test]
    fn classes_know_ascii_only() {
        matches(r"^\w$", &["a", "_", "0"], &["é", "-"]);
        matches(r"^[\w.-]+$", &["a.b-c"], &["é", " "]);
        matches(r"^\d\D\s\S\W$", &["1a b!", "1é\té\u{b}"], &["٣a b!"]);
        matches(r"^[\D]$", &["٣", "a"], &["3"]);
        matches(r"^[^\s]$", &["\u{b}", "a", "\u{a0}"], &[" ", "\n"]);
        matches(r"a\b", &["a", "aé", "a-"], &["ab"]);
        matches(r"(?i)^\w$", &["K", "\u{212a}"], &["é"]);
    }

    #[test]
    fn braces_and_brackets_can_stand_for_themselves() {
        matches(r"^\$(?:\d+|{\d+})$", &["$1", "${12}"], &["$"]);
        matches(r"^a{2}b{1,}c{0,2}$", &["aab", "aabbcc"], &["ab"]);
        matches(r"^{}{,2}{a}$", &["{}{,2}{a}"], &[]);
        matches(r"^[[]$", &["["], &["]"]);
        matches(r"^[]a[&&b]+$", &["]", "[", "&", "b", "a"], &["c", "-"]);
        matches(r"^[+--]$", &["+", ",", "-"], &["."]);
        matches(r"^[a-]$", &["a", "-"], &["b"]);
        matches(r"^[-a~~b]$", &["-", "~", "b"], &["c"]);
        matches(r"^[\w-]$", &["-", "w"], &["+"]);
        matches(r"^[\w-.]$", &["-", ".", "w"], &["+", "^"]);
        matches(r"^[+--x]$", &["+", ",", "-", "x"], &["."]);
        matches(r"^[\pL\x{61}-\x63\n]$", &["é", "b", "\n"], &["1", "{"]);
        matches(r"^[[:alpha:]_]$", &["a", "_"], &["1", ":"]);
        matches(r"^[^[:^alpha:]]$", &["a"], &["1"]);
        matches(r"^[[:x]$", &["[", ":", "x"], &["y"]);
        matches(r"^[\x60'\x22\]\\]$", &["`", "'", "\"", "]", "\\"], &["x"]);
        matches(r"^[<>=]$", &["<", "="], &["a"]);
    }

    #[test]
    fn escapes_mean_what_go_says() {
        matches(r"^\<\>\_\-\/$", &["<>_-/"], &[]);
        matches(r"^\Qa.b{\E\x{1F600}\07\141$", &["a.b{😀\u{7}a"], &["axb{😀\u{7}a"]);
        matches(r"^\Qa.b", &["a.b"], &["axb"]);
        matches(r"^\z|^\A\a\f\v$", &["", "\u{7}\u{c}\u{b}"], &["x"]);
        matches(r"^\pL\p{Greek}\P{L}$", &["éα1"], &["aa1"]);
        matches(r"(?i)(?P<x>a)(?:b)(?s:.)(?-i:c)", &["AB\nc"], &["AB\nC"]);
    }

    #[test]
    fn patterns_that_go_rejects_are_rejected() {
        for pattern in [r"(?=a)", r"(?<!a)", r"(a)\1", r"a(", r"[a", r"*a", r"\", r"(?P=a)"] {
            assert!(regex::Regex::new(&translate(pattern)).is_err(), "{pattern}");
        }
    }
}
