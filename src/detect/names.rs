//! User names: finds them in home directory paths, and decides which can be searched for elsewhere.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};

use super::boundary::{is_after_escape, is_whole_word};
use super::candidates::FindCandidates;
use super::decoded::Decoded;
use super::rules::BuiltInRule;
use super::value_shape::has_file_ending;
use super::written::{first_char, percent_byte, plain, run_length, without_percent};
use crate::error::{ErrorKind, RedactionFault, Result};

/// The names of accounts that many machines have. They do not identify a person.
const COMMON_ACCOUNTS: &str = "\
    admin administrator agent alpine anonymous app appuser azureuser builder build centos circleci claude code \
    codespace coder container core daemon debian default demo deploy dev developer devcontainer docker ec2-user \
    example fedora foo git github gitlab-runner gitpod gitlab-ci-token guest home jenkins jovyan linuxbrew linux \
    local me mysql name nginx nobody node nonroot oauth2 opc patchwork pi postgres public root runner runneradmin \
    sandbox service shared svc someone somebody staff student system test tester ubuntu user username users vagrant \
    vscode web work workspace www-data x-access-token x-oauth-basic x-token-auth you your-name your-username \
    yourname yourusername";

/// Words that are also names. Such names are only replaced in home directories.
const WORDS: &str = "\
    ace amber angel april art ash august autumn basil bay bill brook bug buck bud chase chip clay cliff cloud colt \
    crystal dale dawn dean drew duke earl eve faith fern flora frank gene ginger glen grace grant guy hazel heath \
    hope hunter iris ivy jade jasmine jay jewel joy june lance lane lily mark mason max may mercy miles min nick \
    olive page parker pat patience pearl penny pierce ray reed rich river rob robin rocky rose ruby rusty sage sandy \
    sky star stone storm sue summer tab terry trace tucker violet wade ward wayne west will willow wolf wood woody";

/// The names of sources, files and keys of logs. Such names are only replaced in home directories, because rows would
/// otherwise lose their timestamps and meaning.
const PARTS_OF_LOGS: &str = "\
    activity allow approval_log ask body commit_issue_links content createdat decidedat decision decision_traces deny done \
    entry error event failed false file files interrupted jsonl key kind manifest message metadata null original output \
    path recipe ref requestedat result running runs seq source startedat status steps taskid text time timestamp toolname \
    tools traces trigger true type undefined updatedat value version workspace";

/// Words that follow `/home/` and `/Users/` in the routes of web sites and in containers. Such words are only replaced
/// there.
const ROUTES: &str = "\
    about account accounts add all api archive assets auth billing bin cart checkout config contact create dashboard data \
    delete details dist docs edit explore favorites feed find get help history id images import export inbox index info \
    init lib list login logout main me media messages new news notifications orders overview page pages password posts \
    preferences privacy products profile profiles register remove reset roles route routes save search security settings \
    show signin signout signup src start static stats styles support tasks terms update upload validate verify view views \
    welcome";

/// The HTTP methods that precede a request target.
const METHODS: [&str; 7] = ["GET", "PUT", "POST", "HEAD", "PATCH", "DELETE", "OPTIONS"];

/// The maximum length of a user name, in characters.
const MAX_NAME_CHARS: usize = 64;

/// The minimum length of a name that is searched for elsewhere, in characters.
const MIN_NAME_CHARS: usize = 3;

/// Returns true if many machines have an account of this name.
pub fn is_common_account(name: &str) -> bool {
    let lower = name.to_lowercase();
    // Windows has account names with a space.
    matches!(lower.as_str(), "all users" | "default user") || COMMON_ACCOUNTS.split(' ').any(|common| common == lower)
}

/// Returns true if a user name is also searched for outside of home directories.
pub fn is_distinctive(name: &str) -> bool {
    let lower = name.to_lowercase();
    name.chars().count() >= MIN_NAME_CHARS
        && name.chars().any(char::is_alphabetic)
        && !is_common_account(&lower)
        && WORDS.split(' ').chain(PARTS_OF_LOGS.split(' ')).all(|word| word != lower)
}

/// The URL schemes whose paths are file paths of a machine.
const PATH_SCHEMES: &str = "\
    cursor file git+ssh nfs rsync scp sftp smb ssh ssh+git svn+ssh vscode vscode-file vscode-insiders vscode-remote windsurf";

/// The maximum length of a path prefix that is checked, in bytes.
const MAX_PATH_BYTES: usize = 200;

/// The maximum number of words in a name.
const MAX_NAME_WORDS: usize = 3;

/// Finds the user name after `home` or `Users`.
pub fn home_directory(text: &str, word: &Range<usize>, found: &mut FindCandidates) {
    if let Some(name) = home_name(text, word) {
        found.push(BuiltInRule::HomeDirectory, name);
    }
}

/// Returns the length of the path separators at the start of a text: `/`, `\\`, `\/` or `%2F`.
fn separators(text: &str) -> usize {
    let (mut length, mut is_slash) = (0, false);
    for _ in 0..4 {
        let rest = &text.as_bytes()[length..];
        let byte = percent_byte(rest).or(rest.first().copied());
        // A backslash after a slash begins the escape of a letter.
        let is_separator = byte == Some(b'/') || byte == Some(b'\\') && (!is_slash || rest.get(1) == Some(&b'/'));
        if !is_separator {
            break;
        }
        is_slash |= byte == Some(b'/');
        length += if rest[0] == b'%' { 3 } else { 1 };
    }
    length
}

/// Returns true if a word is between path separators.
pub fn is_in_path(before: &[u8], after: &[u8]) -> bool {
    let is_separator = |byte: u8| matches!(byte, b'/' | b'\\');
    let last = before.len().checked_sub(3).and_then(|at| percent_byte(&before[at..])).or(before.last().copied());
    let first = percent_byte(after).or(after.first().copied());
    last.is_some_and(is_separator) && first.is_some_and(is_separator)
}

/// Returns the range of the user name in a home directory path.
pub fn home_name(text: &str, word: &Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if !is_in_path(&bytes[..word.start], &bytes[word.end..]) {
        return None;
    }
    let mut least = word.start.saturating_sub(MAX_PATH_BYTES);
    while !text.is_char_boundary(least) {
        least += 1;
    }
    let path = without_percent(&text[least..word.start]);
    let start = word.end + separators(&text[word.end..]);
    let drive = before_drive(&path);
    let is_windows = drive.is_some() || path.ends_with('\\') && text[word.end..].starts_with('\\');
    let is_spelt_so = is_windows || matches!(&text[word.clone()], "home" | "Users");
    if start == word.end || !is_spelt_so || !is_absolute(&path) {
        return None;
    }
    let spaces = is_windows.then(|| NameWithSpaces {
        separator: &text[word.end..start],
        // Between delimiters such as quotation marks, everything belongs to the path.
        is_delimited: drive.is_some_and(|before| !before.ends_with([' ', '\t'])),
    });
    let name = name_at(&text[start..], spaces.as_ref());
    let is_nobody = name.is_empty() || is_common_account(&plain(name));
    (!is_nobody).then(|| start..start + name.len())
}

/// Returns true if the path around `word` and `name` can be a route of a web site instead of a home directory. The name
/// is then not searched for elsewhere.
fn may_be_route(text: &str, word: &Range<usize>, name: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    ROUTES.split(' ').any(|route| route.eq_ignore_ascii_case(&text[name.clone()]))
        || has_file_ending(&text[name.clone()])
        || is_request_target(bytes, word.start)
        || has_query(&bytes[name.end..])
}

/// Returns true if the path around `word` is the target of an HTTP request, as in `GET /api/Users/x`.
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

/// Returns true if a text begins with a URL query such as `?tab=1`.
fn has_query(text: &[u8]) -> bool {
    let is_key = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let Some(query) = text.strip_prefix(b"?") else { return false };
    let key = query.iter().take(64).take_while(is_key).count();
    key > 0 && query.get(key) == Some(&b'=')
}

/// The context of a name that can have spaces, as on Windows.
struct NameWithSpaces<'t> {
    /// The separator before the name.
    separator: &'t str,
    /// True if a delimiter ends the path.
    is_delimited: bool,
}

impl NameWithSpaces<'_> {
    /// Returns true if `rest` can follow the name. A single backslash can be an escape if the separator has two.
    fn can_end_before(&self, rest: &str) -> bool {
        let is_end = |c: char| "\n\r\"'`;,|>".contains(c);
        let is_escape = [r#"\""#, r"\n", r"\r"].iter().any(|escape| rest.starts_with(escape));
        rest.starts_with(self.separator)
            || self.is_delimited && (rest.is_empty() || rest.starts_with(is_end) || is_escape)
    }
}

/// Returns the name at the start of a text.
fn name_at<'t>(text: &'t str, spaces: Option<&NameWithSpaces<'_>>) -> &'t str {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '~' | '@');
    let name = &text[..run_length(text, is_name)];
    if let Some(spaces) = spaces.filter(|_| first_char(&text[name.len()..]).is_some_and(|(c, _)| c == ' ')) {
        let longer = &text[..run_length(text, |c| is_name(c) || c == ' ')];
        let words = plain(longer).split_whitespace().count();
        if !name.is_empty() && words <= MAX_NAME_WORDS && spaces.can_end_before(&text[longer.len()..]) {
            return longer.trim_end_matches(' ');
        }
    }
    let name = name.trim_end_matches('.');
    let is_usable = name.chars().count() <= MAX_NAME_CHARS && !name.starts_with(['.', '-', '+', '@', '~']);
    if is_usable && name.chars().any(char::is_alphanumeric) { name } else { "" }
}

/// Returns the text before the drive letter if a path ends with a drive and a separator: `C:\`, `/mnt/c/`.
fn before_drive(path: &str) -> Option<&str> {
    let path = path.strip_suffix(r"\\").or_else(|| path.strip_suffix('\\')).or_else(|| path.strip_suffix('/'))?;
    let is_letter = |c: char| c.is_ascii_alphabetic();
    match path.strip_suffix(':') {
        Some(drive) => drive.strip_suffix(is_letter),
        None => path.strip_suffix(is_letter).filter(|before| before.ends_with('/')),
    }
}

/// Returns true if a text ends with an absolute path. The path has no URL escapes, and other text can precede it.
fn is_absolute(text: &str) -> bool {
    // Letters of caseless scripts more likely belong to a sentence.
    let is_cased = |c: char| c.is_lowercase() || c.is_uppercase();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/\\._-".contains(c) || !c.is_ascii() && is_cased(c);
    let before = text.trim_end_matches(is_part);
    let path = &text[before.len()..];
    let is_in_url = before.ends_with(':');
    match path.as_bytes() {
        // `https://host/home/x` is not a path of this machine, but `file:///home/x` is.
        [b'/', b'/', rest @ ..] if is_in_url && rest.first() != Some(&b'/') => is_in_machine_url(text),
        [b'\\', b'/', ..] if is_in_url && !path.starts_with(r"\/\/\/") => is_in_machine_url(text),
        [b'/' | b'\\', ..] => !before.ends_with('~') || is_in_machine_url(text),
        // `-I/home/x`
        [b'-', _, b'/', ..] => true,
        // `\n/home/x`
        _ => {
            let slash = path.find('/').map(|slash| before.len() + slash);
            slash.is_some_and(|slash| is_after_escape(&text.as_bytes()[..slash])) || is_in_machine_url(text)
        }
    }
}

/// Returns true if a text ends in a URL whose path is a file path of a machine, such as `ssh://host/`.
fn is_in_machine_url(text: &str) -> bool {
    let is_apart = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
    let url = text.rsplit(is_apart).next().unwrap_or_default();
    let Some((before, _)) = url.rsplit_once("://").or_else(|| url.rsplit_once(r":\/\/")) else { return false };
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = &before[before.trim_end_matches(is_scheme).len()..];
    PATH_SCHEMES.split(' ').any(|known| known.eq_ignore_ascii_case(scheme))
}

/// Finds a known user name.
pub fn known_name(text: &str, name: &Range<usize>, found: &mut FindCandidates) {
    if text.is_char_boundary(name.start) && text.is_char_boundary(name.end) && is_whole_word(text, name.start, name.end)
    {
        found.push(BuiltInRule::UserName, name.clone());
    }
}

/// The maximum number of user names that are searched for everywhere.
pub const MAX_KNOWN_NAMES: usize = 10_000;

/// Collects user names from home directory paths.
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

    /// Adds the user names in a line, or in another text with escapes, to `names` in lower case. Also adds the first
    /// word of each name that has spaces.
    pub fn collect(&self, line: &[u8], names: &mut BTreeSet<String>) {
        let is_path = |hit: aho_corasick::Match| {
            let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\' | b'%');
            line[hit.start()] == b'\\' || line.get(hit.end()).is_some_and(is_separator)
        };
        if !self.words.find_iter(line).any(is_path) {
            return;
        }
        for view in [Decoded::plain(line), Decoded::new(line)] {
            for hit in self.words.find_iter(view.text()) {
                let place = home_name(view.text(), &hit.range());
                if let Some(place) = place.filter(|place| !may_be_route(view.text(), &hit.range(), place)) {
                    let written = view.text()[place].to_lowercase();
                    let name = plain(&written).to_lowercase();
                    names.extend(name.split(' ').next().map(str::to_owned));
                    names.extend([name, written]);
                }
            }
        }
    }
}
