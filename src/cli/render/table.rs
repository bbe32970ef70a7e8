//! Tables without borders that adapt to the available width.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr;

use crate::cli::render::text::safe;
use crate::cli::terminal::term::{STRONG, paint};

/// A column: its heading and its cells.
pub struct Column {
    heading: &'static str,
    alignment: CellAlignment,
    cells: Vec<String>,
}

impl Column {
    /// Creates a left-aligned column of text, with control characters escaped.
    pub fn words(heading: &'static str, cells: impl IntoIterator<Item = String>) -> Self {
        Self { heading, alignment: CellAlignment::Left, cells: cells.into_iter().map(|cell| safe(&cell)).collect() }
    }

    /// Creates a right-aligned column of numbers.
    pub fn numbers(heading: &'static str, cells: impl IntoIterator<Item = String>) -> Self {
        Self { alignment: CellAlignment::Right, ..Self::words(heading, cells) }
    }
}

/// Renders the first of the `layouts` that fits into `width`, or else the last one. A layout lists column indices.
/// Cells are never truncated.
pub fn table(columns: &[Column], layouts: &[&[usize]], width: usize) -> String {
    let mut rendered = Vec::new();
    for layout in layouts {
        rendered = lines(columns, layout);
        if rendered.iter().all(|line| line.width() <= width) {
            break;
        }
    }
    let mut lines = rendered.into_iter();
    let heading = lines.next().map(|line| paint(STRONG, &line) + "\n").unwrap_or_default();
    lines.fold(heading, |text, line| text + &line + "\n")
}

fn lines(columns: &[Column], layout: &[usize]) -> Vec<String> {
    let chosen: Vec<&Column> = layout.iter().filter_map(|number| columns.get(*number)).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(chosen.iter().map(|column| column.heading));
    let rows = chosen.iter().map(|column| column.cells.len()).max().unwrap_or_default();
    for row in 0..rows {
        table.add_row(chosen.iter().map(|column| column.cells.get(row).map_or("", String::as_str)));
    }
    for (index, column) in chosen.iter().enumerate() {
        if let Some(shown) = table.column_mut(index) {
            shown.set_padding((0, 2)).set_cell_alignment(column.alignment);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}
