//! Reports the lines that Patchwork's next writes will delete or move after an import.

use patchwork_traces::import::{LineCount, Plan, Rotation};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::render::text::{counted, listed, rows};

/// The total effect of Patchwork's next writes on all logs.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextWrites {
    /// Lines that are deleted from all logs.
    deleted: LineCount,
    /// Lines that are moved to an archive.
    moved: LineCount,
    /// The logs that lines are deleted from, archives included.
    deleted_from: Vec<Loss>,
    /// The log and the archive of each move.
    #[serde(skip)]
    moves: Vec<(String, &'static str)>,
    /// The names of the logs whose remaining lines are changed because they are not valid UTF-8.
    #[serde(skip)]
    changed: Vec<String>,
}

/// Lines that Patchwork's next write deletes from a log.
#[derive(Debug, Serialize, JsonSchema)]
struct Loss {
    file: String,
    deleted: LineCount,
}

impl NextWrites {
    /// Adds up the changes to all logs. Returns `None` if no line is deleted, moved or changed.
    pub fn of(plan: &Plan) -> Option<Self> {
        let zero = LineCount::default();
        let (deleted_from, moves, changed) = (Vec::new(), Vec::new(), Vec::new());
        let mut total = Self { deleted: zero, moved: zero, deleted_from, moves, changed };
        for (file, rotation) in plan.files.iter().filter_map(|file| Some((file.file.as_str(), file.rotation.as_ref()?)))
        {
            total.add(file, rotation);
        }
        let is_nothing = total.deleted_from.is_empty() && total.moves.is_empty() && total.changed.is_empty();
        (!is_nothing).then_some(total)
    }

    fn add(&mut self, file: &str, rotation: &Rotation) {
        self.deleted += rotation.deleted();
        self.moved += rotation.moved;
        if let Some(archive) = rotation.moved_to
            && rotation.lost_from_archive.all() > 0
        {
            self.deleted_from.push(Loss { file: archive.to_owned(), deleted: rotation.lost_from_archive });
        }
        let mut lost = rotation.deleted();
        lost = LineCount {
            rows: lost.rows - rotation.lost_from_archive.rows,
            unparsed: lost.unparsed - rotation.lost_from_archive.unparsed,
        };
        if lost.all() > 0 {
            self.deleted_from.push(Loss { file: file.to_owned(), deleted: lost });
        }
        if let Some(archive) = rotation.moved_to.filter(|_| rotation.moved.all() > 0) {
            self.moves.push((file.to_owned(), archive));
        }
        if rotation.replaces_invalid_utf8 {
            self.changed.push(file.to_owned());
        }
    }

    /// Describes the moves, if any.
    fn moved_text(&self) -> Option<String> {
        let (from, to) = self.moves.first()?;
        Some(format!("move {} from {from} to {to}", lines(self.moved)))
    }
}

/// Describes the lines that the next writes will delete or change, with advice. Returns `None` if they do neither.
pub fn warning(plan: &Plan, dry_run: bool) -> Option<String> {
    let total = NextWrites::of(plan)?;
    let mut effects = Vec::new();
    if let [only] = total.deleted_from.as_slice() {
        effects.push(format!("permanently delete {} from {}", lines(total.deleted), only.file));
    } else if !total.deleted_from.is_empty() {
        let each = total.deleted_from.iter().map(|loss| format!("{} from {}", lines(loss.deleted), loss.file));
        let each: Vec<_> = each.collect();
        effects.push(format!("permanently delete {} ({})", lines(total.deleted), each.join(", ")));
    }
    if !total.changed.is_empty() {
        effects.push(format!("replace text that is not valid UTF-8 in {}", listed(&total.changed)));
    }
    if effects.is_empty() {
        return None;
    }
    effects.extend(total.moved_text());
    let when = if dry_run { "after this import, its" } else { "its" };
    Some(format!(
        "Patchwork trims logs over 1 MiB: {when} next writes will {}. Keep the bundle: it still has the rows that \
         came from it. To save the other rows too, export the logs before Patchwork writes again.",
        listed(&effects)
    ))
}

/// Describes the moves of the next writes. Returns `None` if they also delete or change lines, or move none.
pub fn note(plan: &Plan) -> Option<String> {
    let total = NextWrites::of(plan).filter(|total| total.deleted_from.is_empty() && total.changed.is_empty())?;
    Some(format!("Patchwork trims logs over 1 MiB: its next write will {}", total.moved_text()?))
}

/// Formats a line count by kind of line.
fn lines(count: LineCount) -> String {
    let unparsed = || counted(count.unparsed, "unparsed line", "unparsed lines");
    match (count.rows, count.unparsed) {
        (_, 0) => rows(count.rows),
        (0, _) => unparsed(),
        _ => format!("{} and {}", rows(count.rows), unparsed()),
    }
}
