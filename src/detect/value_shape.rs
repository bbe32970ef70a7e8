//! Tells secrets from other values by their shape alone.

/// Endings of file names that look like the top-level domain of an address, as in `icon@2x.png`.
const FILE_ENDINGS: [&str; 24] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "js", "mjs", "cjs", "ts", "mts", "tsx", "jsx", "json", "jsonl", "css",
    "scss", "html", "txt", "yml", "yaml", "toml", "lock", "tgz",
];

/// The least length of a value without quotation marks in running text.
const MIN_LOOSE_BYTES: usize = 8;

/// Returns true if a text does not look like words: it has digits, or capital letters within.
pub fn is_irregular(text: &str) -> bool {
    let capitals = text.bytes().skip(1).filter(u8::is_ascii_uppercase).count();
    text.bytes().any(|byte| byte.is_ascii_digit())
        || capitals >= 3 && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Returns true if a value without a format looks like a secret: long enough, and not a word.
pub fn is_token_like(value: &str) -> bool {
    value.len() >= MIN_LOOSE_BYTES && is_irregular(value)
}

/// Returns true for expressions of a program, such as `os.environ["X"]` and `getToken()`.
pub fn has_code(value: &str) -> bool {
    value.contains(['(', '$', '{', '[']) || value.starts_with("process.env") || value.starts_with("os.environ")
}

/// Returns true for times, paths and URLs.
pub fn is_time_or_place(text: &str) -> bool {
    let is_time = text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok();
    is_time || text.starts_with(['/', '.', '~', '\\']) || [r":\", ":/"].iter().any(|place| text.contains(place))
}

/// Returns true if the value of a name that is not always that of a password looks like one.
pub fn is_password_like(value: &str) -> bool {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || b".,+-/%".contains(&byte));
    value.len() >= 4
        && is_irregular(value)
        && !is_number
        && !value.contains(char::is_whitespace)
        && !is_time_or_place(value)
}

/// Returns true if a name ends like that of a file, as `index.html` does.
pub fn has_file_ending(host: &str) -> bool {
    host.rsplit_once('.').is_some_and(|(_, end)| FILE_ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(end)))
}
