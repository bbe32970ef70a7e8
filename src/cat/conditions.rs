//! Describes the rows that options select.

use super::CatOptions;
use crate::format::Timestamp;
use crate::query::{KeyPath, PathStep};

impl CatOptions {
    /// Returns the options that select rows, as on the command line, such as `--where status=error`, for display.
    /// `show` formats times.
    #[must_use]
    pub fn conditions(&self, show: impl Fn(Timestamp) -> String) -> Vec<String> {
        let sources = self.sources.iter().map(|name| format!("--source {}", quoted_argument(name)));
        let files = self.files.iter().map(|name| format!("--file {}", quoted_argument(name)));
        let since = self.range.since.map(|time| format!("--since {}", show(time)));
        let until = self.range.until.map(|time| format!("--until {}", show(time)));
        let filter = self.filter.options().map(|(option, value)| match value {
            Some(value) => format!("{option} {}", quoted_argument(value)),
            None => option.to_owned(),
        });
        let latest = self.latest.as_ref().map(|_| "--latest".to_owned());
        let key = self.latest.as_ref().filter(|key| !is_task_id(key));
        let key = key.map(|key| format!("--key {}", quoted_argument(&key.to_string())));
        sources.chain(files).chain(since).chain(until).chain(filter).chain(latest).chain(key).collect()
    }
}

fn is_task_id(key: &KeyPath) -> bool {
    matches!(key.steps(), [PathStep::Key(name)] if name == "taskId")
}

/// Quotes an argument if a shell would split or change it.
pub(crate) fn quoted_argument(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-.,:/=@%+…".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
