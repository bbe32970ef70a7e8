//! OpenSSH's lists of patterns, such as `*@example.org,!guest@example.org`.

/// Returns true if `name` matches a pattern of the comma-separated list, and no pattern that begins with `!`.
pub fn matches_list(name: &str, list: &str) -> bool {
    let mut is_match = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(name.as_bytes(), excluded.as_bytes()) => return false,
            Some(_) => {}
            None => is_match |= matches(name.as_bytes(), pattern.as_bytes()),
        }
    }
    is_match
}

/// Returns true if `name` matches `pattern`, in which `*` matches any characters and `?` matches any one character.
fn matches(name: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut of_pattern) = (0, 0);
    // The position after the last `*`, and the position in the name up to which it reaches.
    let mut star = None;
    while at < name.len() {
        match pattern.get(of_pattern) {
            Some(b'*') => {
                of_pattern += 1;
                star = Some((of_pattern, at));
            }
            Some(&byte) if byte == b'?' || byte == name[at] => {
                of_pattern += 1;
                at += 1;
            }
            _ => {
                let Some((after, reached)) = star else { return false };
                star = Some((after, reached + 1));
                (of_pattern, at) = (after, reached + 1);
            }
        }
    }
    pattern[of_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches_list;

    #[test]
    fn patterns_match_as_in_openssh() {
        let yes = [
            ("a", "a"),
            ("a", "b,a"),
            ("a@x.org", "*@x.org"),
            ("ab", "a?"),
            ("aXbXc", "a*b*c"),
            ("", "*"),
            ("a", "a**"),
        ];
        for (name, list) in yes {
            assert!(matches_list(name, list), "{name} {list}");
        }
        let no = [
            ("a", "b"),
            ("a", ""),
            ("A", "a"),
            ("a", "a?"),
            ("a", "*,!a"),
            ("a", "!a,*"),
            ("a", "!b"),
            ("aXb", "a*c"),
            ("a@x.org.evil", "*@x.org"),
        ];
        for (name, list) in no {
            assert!(!matches_list(name, list), "{name} {list}");
        }
    }
}
