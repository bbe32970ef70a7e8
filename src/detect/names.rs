//! Names of users: in the paths of home directories, and which of them can be looked for elsewhere.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};

use super::address::has_file_ending;
use super::boundary::{is_after_escape, is_whole_word};
use super::candidates::FindCandidates;
use super::decoded::Decoded;
use super::rules::BuiltInRule;
use crate::error::{ErrorKind, RedactionFault, Result};

/// Names of accounts that many machines have. They name nobody.
const COMMON_ACCOUNTS: &str = "\
    admin administrator agent alpine anonymous app appuser azureuser builder build centos circleci claude code \
    codespace coder container core daemon debian default demo deploy dev developer devcontainer docker ec2-user \
    example fedora foo git github gitlab-runner gitpod gitlab-ci-token guest home jenkins jovyan linuxbrew linux \
    local me mysql name nginx nobody node nonroot oauth2 opc patchwork pi postgres public root runner runneradmin \
    sandbox service shared svc someone somebody staff student system test tester ubuntu user username users vagrant \
    vscode web work workspace www-data x-access-token x-oauth-basic x-token-auth you your-name your-username \
    yourname yourusername";

/// Words that are also names. Such a name is replaced in home directories only.
const WORDS: &str = "\
    ace amber angel april art ash august autumn basil bay bill brook bug buck bud chase chip clay cliff cloud colt \
    crystal dale dawn dean drew duke earl eve faith fern flora frank gene ginger glen grace grant guy hazel heath \
    hope hunter iris ivy jade jasmine jay jewel joy june lance lane lily mark mason max may mercy miles min nick \
    olive page parker pat patience pearl penny pierce ray reed rich river rob robin rocky rose ruby rusty sage sandy \
    sky star stone storm sue summer tab terry trace tucker violet wade ward wayne west will willow wolf wood woody";

/// Words that name parts of logs: their sources, files and keys. Such a name is replaced in home directories only, because
/// rows would lose their times and meaning.
const PARTS_OF_LOGS: &str = "\
    activity allow approval_log ask body commit_issue_links content createdat decidedat decision decision_traces deny done \
    entry error event failed false file files interrupted jsonl key kind manifest message metadata null original output \
    path recipe ref requestedat result running runs seq source startedat status steps taskid text time timestamp toolname \
    tools traces trigger true type undefined updatedat value version workspace";

/// Words that follow `/home/` and `/Users/` in the routes of web sites and in containers. Such a word is replaced there only.
const ROUTES: &str = "\
    about account accounts add all api archive assets auth billing bin cart checkout config contact create dashboard data \
    delete details dist docs edit explore favorites feed find get help history id images import export inbox index info \
    init lib list login logout main me media messages new news notifications orders overview page pages password posts \
    preferences privacy products profile profiles register remove reset roles route routes save search security settings \
    show signin signout signup src start static stats styles support tasks terms update upload validate verify view views \
    welcome";

/// The methods of HTTP that precede the target of a request.
const METHODS: [&str; 7] = ["GET", "PUT", "POST", "HEAD", "PATCH", "DELETE", "OPTIONS"];

/// The longest name of a user.
const MAX_NAME_CHARS: usize = 64;

/// The shortest name that is looked for elsewhere.
const MIN_NAME_CHARS: usize = 3;

/// Returns true if many machines have an account of this name.
pub fn is_common_account(name: &str) -> bool {
    let lower = name.to_lowercase();
    // The names that Windows has with a space.
    matches!(lower.as_str(), "all users" | "default user") || COMMON_ACCOUNTS.split(' ').any(|common| common == lower)
}

/// Returns true if the name of a user is looked for outside of home directories, too.
pub fn is_distinctive(name: &str) -> bool {
    let lower = name.to_lowercase();
    name.chars().count() >= MIN_NAME_CHARS
        && name.chars().any(char::is_alphabetic)
        && !is_common_account(&lower)
        && WORDS.split(' ').chain(PARTS_OF_LOGS.split(' ')).all(|word| word != lower)
}

/// Looks at `home` or `Users`, after which the name of a user may follow.
pub fn home_directory(text: &str, word: &Range<usize>, found: &mut FindCandidates) {
    if let Some(name) = home_name(text, word) {
        found.push(BuiltInRule::HomeDirectory, name);
    }
}

/// Returns the place of the user's name in the path of a home directory.
pub fn home_name(text: &str, word: &Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let before = word.start.checked_sub(1).map(|before| bytes[before]).filter(is_separator)?;
    let after = bytes[word.end..].iter().take(4).take_while(|byte| is_separator(byte)).count();
    let is_windows = before == b'\\' && bytes[word.end..].first() == Some(&b'\\') || is_drive(bytes, word.start);
    let is_spelt_so = match &text[word.clone()] {
        "home" | "Users" => true,
        _ => is_windows,
    };
    if after == 0 || !is_spelt_so || !is_absolute(bytes, word.start - 1) {
        return None;
    }
    let start = word.end + after;
    let name = name_at(text, start, is_windows.then_some(&text[word.end..start]));
    let is_nobody = name.is_empty() || is_common_account(name);
    (!is_nobody).then(|| start..start + name.len())
}

/// Returns true if a path, with the word at `word` and a name, can be a route of a web site instead of a home directory.
/// The name is then not looked for elsewhere.
fn may_be_route(text: &str, word: &Range<usize>, name: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    ROUTES.split(' ').any(|route| route.eq_ignore_ascii_case(&text[name.clone()]))
        || has_file_ending(&text[name.clone()])
        || is_request_target(bytes, word.start)
        || has_query(&bytes[name.end..])
}

/// Returns true if the path with the word at `word` is the target of an HTTP request, as in `GET /api/Users/x`.
fn is_request_target(bytes: &[u8], word: usize) -> bool {
    let is_target = |byte: &&u8| byte.is_ascii_alphanumeric() || b"/._-{}:".contains(byte);
    let length = bytes[word.saturating_sub(200)..word].iter().rev().take_while(is_target).count();
    let before = &bytes[..word - length];
    let gap = before.iter().rev().take(8).take_while(|byte| b" \"'`\\".contains(byte)).count();
    let before = &before[..before.len() - gap];
    let is_after = |method: &&str| {
        let rest = before.strip_suffix(method.as_bytes());
        rest.is_some_and(|rest| !rest.last().is_some_and(u8::is_ascii_alphanumeric))
    };
    gap > 0 && METHODS.iter().any(is_after)
}

/// Returns true if a text begins with the query of a URL, as in `?tab=1`.
fn has_query(text: &[u8]) -> bool {
    let is_key = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let Some(query) = text.strip_prefix(b"?") else { return false };
    let key = query.iter().take(64).take_while(is_key).count();
    key > 0 && query.get(key) == Some(&b'=')
}

/// Returns the name that begins at `at`. On Windows it can have spaces if the same separator follows as before it. (A single
/// backslash after two can be an escape.)
fn name_at<'t>(text: &'t str, at: usize, of_windows: Option<&str>) -> &'t str {
    let rest = &text[at..];
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '~' | '@');
    let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    let name = &rest[..end];
    if let Some(separator) = of_windows.filter(|_| end > 0 && rest[end..].starts_with(' ')) {
        let longer = rest.find(|c| !is_name(c) && c != ' ').unwrap_or(rest.len());
        if rest[longer..].starts_with(separator) {
            return rest[..longer].trim_end_matches(' ');
        }
    }
    let name = name.trim_end_matches('.');
    let is_usable = name.chars().count() <= MAX_NAME_CHARS && !name.starts_with(['.', '-', '+', '@', '~']);
    if is_usable && name.chars().any(char::is_alphanumeric) { name } else { "" }
}

/// Returns true if the separator before the word follows the letter of a drive: `C:\Users`, `/mnt/c/Users`.
fn is_drive(bytes: &[u8], word: usize) -> bool {
    let path = &bytes[..word];
    let path = path.strip_suffix(br"\\").or_else(|| path.strip_suffix(b"\\")).or_else(|| path.strip_suffix(b"/"));
    match path {
        Some([.., drive, b':'] | [.., b'/', drive]) => drive.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Returns true if the path with the separator `at` begins at the root of a file system.
fn is_absolute(bytes: &[u8], at: usize) -> bool {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"/\\._-".contains(byte) || !byte.is_ascii();
    let length = bytes[at.saturating_sub(200)..at].iter().rev().take_while(is_part).count();
    let path = &bytes[at - length..=at];
    let before = (at - length).checked_sub(1).map(|before| bytes[before]);
    match path {
        // `https://host/home/x` is not a path of this machine, but `file:///home/x` is.
        [b'/', b'/', rest @ ..] if before == Some(b':') => rest.first() == Some(&b'/'),
        [b'\\', b'/', ..] if before == Some(b':') => path.starts_with(br"\/\/\/"),
        [b'/' | b'\\', ..] => before != Some(b'~'),
        // `-I/home/x`
        [b'-', _, b'/', ..] => true,
        // `\n/home/x`, `%3D/home/x`
        _ => path
            .iter()
            .position(|byte| *byte == b'/')
            .is_some_and(|slash| is_after_escape(&bytes[..at - length + slash])),
    }
}

/// Looks at a place where the name of a user stands.
pub fn known_name(text: &str, name: &Range<usize>, found: &mut FindCandidates) {
    if text.is_char_boundary(name.start) && text.is_char_boundary(name.end) && is_whole_word(text, name.start, name.end)
    {
        found.push(BuiltInRule::UserName, name.clone());
    }
}

/// The most names of users that are looked for everywhere.
pub const MAX_KNOWN_NAMES: usize = 10_000;

/// Collects the names of users from the paths of home directories.
#[derive(Debug)]
pub struct NameCollector {
    words: AhoCorasick,
}

impl NameCollector {
    /// Prepares the search.
    ///
    /// # Errors
    /// Never, in practice: the words are fixed.
    pub fn new() -> Result<Self> {
        let mut builder = AhoCorasickBuilder::new();
        let words = builder.ascii_case_insensitive(true).build(["home", "users", r"\u00"]);
        Ok(Self {
            words: words.map_err(|_| ErrorKind::Redaction(RedactionFault::TooManyUsers { limit: MAX_KNOWN_NAMES }))?,
        })
    }

    /// Adds the names of users in a line, or in another text that can have escapes, to `names`, in lower case.
    pub fn collect(&self, line: &[u8], names: &mut BTreeSet<String>) {
        let is_path = |hit: aho_corasick::Match| {
            let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
            line[hit.start()] == b'\\' || line.get(hit.end()).is_some_and(is_separator)
        };
        if !self.words.find_iter(line).any(is_path) {
            return;
        }
        for view in [Decoded::plain(line), Decoded::new(line)] {
            for hit in self.words.find_iter(view.text()) {
                if let Some(place) = home_name(view.text(), &hit.range()) {
                    let name = &view.text()[place.clone()];
                    if is_distinctive(name) && !may_be_route(view.text(), &hit.range(), &place) {
                        names.insert(name.to_lowercase());
                    }
                }
            }
        }
    }
}
