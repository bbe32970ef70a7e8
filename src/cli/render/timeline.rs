//! Draws a chart of a bundle's rows over time.

use jiff::tz::TimeZone;
use patchwork_traces::format::{Manifest, SourceName, Timestamp};
use patchwork_traces::inspect::{SourceTimetable, Timetable};
use unicode_width::UnicodeWidthStr;

use crate::cli::render::axis::{Tick, ticks};
use crate::cli::render::text::{count, counted, rows, safe};
use crate::cli::render::zone;
use crate::cli::terminal::term::{DIM, STRONG, WARN, has_unicode, paint};
use anstyle::{AnsiColor, Style};

/// The height of the bars of all sources together, in lines.
const HEIGHT: usize = 5;

/// The maximum width of the bars. A wider chart is hard to read.
const MAX_COLUMNS: usize = 200;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The colours of the sources, in turn.
const COLORS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Blue];

/// The characters that a chart is drawn with.
struct ChartGlyphs {
    /// The bars, from the lowest to a full one.
    bars: &'static [char],
    corner: char,
    line: char,
    tick: char,
    /// The mark of a column in which rows may be missing.
    gap: char,
}

const UNICODE: ChartGlyphs =
    ChartGlyphs {
        bars: &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'], corner: '└', line: '─', tick: '┴', gap: '▲'
    };
const ASCII: ChartGlyphs = ChartGlyphs { bars: &['.', ':', '#'], corner: '+', line: '-', tick: '+', gap: '^' };

/// The content of a chart.
pub struct ChartContent<'c> {
    pub sources: Vec<&'c SourceName>,
    pub total_rows: u64,
    /// Returns the rows over time in at most this number of columns.
    pub timetable: &'c dyn Fn(usize) -> Option<Timetable>,
    /// The times between which rows may be missing.
    pub gaps: Vec<(Timestamp, Timestamp)>,
}

/// Draws a chart of the rows of a bundle over time that fits into `width`. Returns `None` if no row has a timestamp.
pub fn bundle_chart(manifest: &Manifest, width: usize, zone: &TimeZone) -> Option<String> {
    let content = ChartContent {
        sources: manifest.sources.iter().collect(),
        total_rows: manifest.total_count,
        timetable: &|max_columns| Timetable::within(manifest, max_columns),
        gaps: Vec::new(),
    };
    chart(content, width, zone)
}

/// Draws a chart that fits into `width`. Returns `None` if no row has a timestamp.
pub fn chart(content: ChartContent<'_>, width: usize, zone: &TimeZone) -> Option<String> {
    let mut label_width = content.sources.iter().map(|source| safe(source.as_str()).width()).max().unwrap_or_default();
    let total = count(content.total_rows).len();
    // The label of the peak names the step, which depends on the width that the labels leave.
    let (timetable, max_columns) = loop {
        let max_columns = width.saturating_sub(label_width + total + 2).clamp(10, MAX_COLUMNS);
        let timetable = (content.timetable)(max_columns)?;
        let label = peak_label(peak(&timetable), timetable.step_ms).width();
        if label <= label_width {
            break (timetable, max_columns);
        }
        label_width = label;
    };
    // Steps of days and longer begin at midnight UTC.
    let zone = if timetable.step_ms < DAY_MS { zone.clone() } else { TimeZone::UTC };
    let column_width = (max_columns / timetable.columns.max(1)).clamp(1, 8);
    let glyphs = if has_unicode() { UNICODE } else { ASCII };
    Some(Chart { timetable, zone, label_width, column_width, glyphs, gaps: content.gaps }.draw())
}

/// Returns the highest number of rows in one column.
fn peak(timetable: &Timetable) -> u64 {
    totals(timetable).into_iter().max().unwrap_or_default()
}

/// Returns the number of rows of all sources in each column.
fn totals(timetable: &Timetable) -> Vec<u64> {
    let total = |column| timetable.sources.iter().map(|source| source.rows[column]).sum();
    (0..timetable.columns).map(total).collect()
}

/// Returns the label of the highest bar, such as `peak: 81 rows/day`.
fn peak_label(peak: u64, step_ms: u64) -> String {
    format!("peak: {}/{}", rows(peak), step_words(step_ms))
}

struct Chart {
    timetable: Timetable,
    zone: TimeZone,
    /// The width of the labels to the left of the bars.
    label_width: usize,
    /// The width of a column in characters.
    column_width: usize,
    glyphs: ChartGlyphs,
    gaps: Vec<(Timestamp, Timestamp)>,
}

impl Chart {
    fn draw(&self) -> String {
        let sources = &self.timetable.sources;
        let mut text = self.heading() + "\n";
        text += &self.total_bars();
        if sources.len() > 1 {
            for (index, source) in sources.iter().enumerate() {
                text += &self.source(source, COLORS[index % COLORS.len()].on_default());
            }
        }
        text += &self.gap_marks();
        text += &self.axis();
        text + &paint(DIM, &self.not_shown())
    }

    /// Returns a heading such as `Rows per day, 2026-03-30 to 2026-05-22 (UTC)`.
    fn heading(&self) -> String {
        let Timetable { start, step_ms, columns, .. } = self.timetable;
        let length = i64::try_from(columns).unwrap_or(i64::MAX).saturating_mul(step_ms.cast_signed());
        let at = |millis: i64| Timestamp::from_millis(start.as_millis().saturating_add(millis));
        let (from, to) = match step_ms < DAY_MS {
            true => (zone::minute(Some(start), &self.zone), zone::minute(at(length), &self.zone)),
            false => (zone::day(Some(start), &self.zone), zone::day(at(length - 1), &self.zone)),
        };
        let title = format!("Rows per {}", step_words(step_ms));
        format!("{}, {from} to {to} ({})\n", paint(STRONG, &title), zone::name(&self.zone, start))
    }

    /// Draws the bars of all sources together.
    fn total_bars(&self) -> String {
        let sources = &self.timetable.sources;
        let (columns, peak) = (totals(&self.timetable), peak(&self.timetable));
        let name = if let [only] = &sources[..] { safe(only.source.as_str()) } else { "all".to_owned() };
        let lines = (0..HEIGHT).rev().map(|line| {
            let bars: String = columns.iter().map(|rows| self.bar(*rows, peak, HEIGHT, line)).collect();
            let label = match line {
                line if line == HEIGHT - 1 => peak_label(peak, self.timetable.step_ms),
                0 => name.clone(),
                _ => String::new(),
            };
            let total = if line == 0 { count(sources.iter().map(all_rows).sum()) } else { String::new() };
            let padding = " ".repeat(self.label_width.saturating_sub(label.width()));
            let label =
                if line == 0 { format!("{label}{padding}") } else { format!("{padding}{}", paint(DIM, &label)) };
            format!("{label} {bars} {total}").trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    /// Draws the bars of one source on one line.
    fn source(&self, source: &SourceTimetable, color: Style) -> String {
        let peak = source.rows.iter().max().copied().unwrap_or_default();
        let bars: String = source.rows.iter().map(|rows| self.bar(*rows, peak, 1, 0)).collect();
        let name = safe(source.source.as_str());
        let padding = " ".repeat(self.label_width.saturating_sub(name.width()));
        format!("{name}{padding} {} {}\n", paint(color, &bars), count(all_rows(source)))
    }

    /// Draws one line of the bar of a column. A column with any row has a visible bar.
    fn bar(&self, rows: u64, peak: u64, height: usize, line: usize) -> String {
        let bars = self.glyphs.bars;
        let level = (u128::from(rows) * (height * bars.len()) as u128).div_ceil(u128::from(peak.max(1)));
        let level = usize::try_from(level).unwrap_or(usize::MAX).saturating_sub(line * bars.len()).min(bars.len());
        let bar = level.checked_sub(1).map_or(' ', |index| bars[index]);
        std::iter::repeat_n(bar, self.column_width).collect()
    }

    /// Marks the columns in which rows may be missing. Returns an empty string if there are none.
    fn gap_marks(&self) -> String {
        let Timetable { start, step_ms, columns, .. } = self.timetable;
        let column = |time: Timestamp| (time.as_millis() - start.as_millis()).div_euclid(step_ms.cast_signed());
        let is_gap = |index: usize| {
            let index = i64::try_from(index).unwrap_or(i64::MAX);
            self.gaps.iter().any(|(after, before)| (column(*after)..=column(*before)).contains(&index))
        };
        let marks = (0..columns).map(|index| if is_gap(index) { self.glyphs.gap } else { ' ' });
        let marks: String = marks.flat_map(|mark| std::iter::repeat_n(mark, self.column_width)).collect();
        if marks.trim().is_empty() {
            return String::new();
        }
        format!("{:label_width$} {}\n", "gaps", paint(WARN, marks.trim_end()), label_width = self.label_width)
    }

    fn axis(&self) -> String {
        let Timetable { start, step_ms, columns, .. } = self.timetable;
        let ticks = ticks(start, step_ms, columns, self.column_width, &self.zone);
        let mut line = vec![self.glyphs.line; columns * self.column_width];
        line.first_mut().into_iter().for_each(|first| *first = self.glyphs.corner);
        let mut labels = " ".repeat(self.label_width + 1);
        for Tick { column, label } in &ticks {
            let at = column * self.column_width;
            if at > 0 {
                line[at] = self.glyphs.tick;
            }
            labels += &" ".repeat((self.label_width + 1 + at).saturating_sub(labels.len()));
            labels += label;
        }
        let line: String = line.into_iter().collect();
        let labels = labels.trim_end();
        let text = format!("{}{line}\n{labels}", " ".repeat(self.label_width + 1));
        paint(DIM, text.trim_end()) + "\n"
    }

    /// Lists the rows that are outside of the chart.
    fn not_shown(&self) -> String {
        let lines = self.timetable.sources.iter().filter_map(|source| {
            let groups = [(source.before, "before"), (source.after, "after"), (source.timeless, "without a timestamp")];
            let groups = groups.into_iter().filter(|(number, _)| *number > 0);
            let groups: Vec<_> = groups.map(|(number, group)| format!("{} {group}", rows(number))).collect();
            let source = safe(source.source.as_str());
            (!groups.is_empty()).then(|| format!("not shown for {source}: {}\n", groups.join(", ")))
        });
        lines.collect()
    }
}

fn all_rows(source: &SourceTimetable) -> u64 {
    source.rows.iter().sum::<u64>() + source.before + source.after + source.timeless
}

fn step_words(step_ms: u64) -> String {
    let seconds = step_ms / 1000;
    let units = [
        (24 * 60 * 60, "day", "days"),
        (60 * 60, "hour", "hours"),
        (60, "minute", "minutes"),
        (1, "second", "seconds"),
    ];
    let unit = units.into_iter().find(|(unit, ..)| seconds.is_multiple_of(*unit));
    unit.map_or_else(String::new, |(unit, one, many)| match seconds / unit {
        1 => one.to_owned(),
        number => counted(number, one, many),
    })
}
