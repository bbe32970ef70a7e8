//! The picture of a bundle's rows over time.

use jiff::tz::TimeZone;
use patchwork_traces::format::{Manifest, Timestamp};
use patchwork_traces::inspect::{SourceTimetable, Timetable};
use unicode_width::UnicodeWidthStr;

use super::axis::{Tick, ticks};
use super::term::{DIM, STRONG, has_unicode, paint};
use super::text::{count, counted, safe};
use super::zone;
use anstyle::{AnsiColor, Style};

/// How high the bars of all sources together are, in lines.
const HEIGHT: usize = 5;

/// Wider, nobody sees it as one picture.
const MAX_COLUMNS: usize = 200;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// One colour a source, in turn.
const COLORS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Blue];

/// The characters that a picture is drawn with.
struct ChartGlyphs {
    /// From the lowest to a full one.
    bars: &'static [char],
    corner: char,
    line: char,
    tick: char,
}

const UNICODE: ChartGlyphs =
    ChartGlyphs {
        bars: &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'], corner: '└', line: '─', tick: '┴'
    };
const ASCII: ChartGlyphs = ChartGlyphs { bars: &['.', ':', '#'], corner: '+', line: '-', tick: '+' };

/// A picture of the rows over time that fits into `width`, if any row has a time.
pub fn picture(manifest: &Manifest, width: usize, zone: &TimeZone) -> Option<String> {
    let names = manifest.sources.iter().map(|source| safe(source.as_str()).width()).max().unwrap_or_default();
    let total = count(manifest.total_count).len();
    let names = names.max(AT_MOST.len() + total);
    let most_columns = width.saturating_sub(names + total + 2).clamp(10, MAX_COLUMNS);
    let timetable = Timetable::within(manifest, most_columns)?;
    // Days, and what is longer, begin at midnight UTC.
    let zone = if timetable.step_ms < DAY_MS { zone.clone() } else { TimeZone::UTC };
    let wide = (most_columns / timetable.columns.max(1)).clamp(1, 8);
    let pen = if has_unicode() { UNICODE } else { ASCII };
    Some(Chart { timetable, zone, names, wide, pen }.draw())
}

/// What the label of the highest bar says before its number.
const AT_MOST: &str = "at most ";

struct Chart {
    timetable: Timetable,
    zone: TimeZone,
    /// The width of what stands left of the bars.
    names: usize,
    /// The width of a column in characters.
    wide: usize,
    pen: ChartGlyphs,
}

impl Chart {
    fn draw(&self) -> String {
        let sources = &self.timetable.sources;
        let mut text = self.heading() + "\n";
        text += &self.high_bars();
        if sources.len() > 1 {
            for (index, source) in sources.iter().enumerate() {
                text += &self.source(source, COLORS[index % COLORS.len()].on_default());
            }
        }
        text += &self.axis();
        text + &paint(DIM, &self.rest())
    }

    /// `Rows per day, 2026-03-30 to 2026-05-22 (UTC)`.
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

    /// The bars of all sources together.
    fn high_bars(&self) -> String {
        let sources = &self.timetable.sources;
        let columns: Vec<u64> =
            (0..self.timetable.columns).map(|column| sources.iter().map(|source| source.rows[column]).sum()).collect();
        let most = columns.iter().max().copied().unwrap_or_default();
        let name = if let [only] = &sources[..] { safe(only.source.as_str()) } else { "all".to_owned() };
        let lines = (0..HEIGHT).rev().map(|line| {
            let bars: String = columns.iter().map(|rows| self.bar(*rows, most, HEIGHT, line)).collect();
            let label = match line {
                line if line == HEIGHT - 1 => format!("{AT_MOST}{}", count(most)),
                0 => name.clone(),
                _ => String::new(),
            };
            let total = if line == 0 { count(sources.iter().map(all_rows).sum()) } else { String::new() };
            let padding = " ".repeat(self.names.saturating_sub(label.width()));
            let label =
                if line == 0 { format!("{label}{padding}") } else { format!("{padding}{}", paint(DIM, &label)) };
            format!("{label} {bars} {total}").trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    /// The bars of one source, on one line.
    fn source(&self, source: &SourceTimetable, color: Style) -> String {
        let most = source.rows.iter().max().copied().unwrap_or_default();
        let bars: String = source.rows.iter().map(|rows| self.bar(*rows, most, 1, 0)).collect();
        let name = safe(source.source.as_str());
        let padding = " ".repeat(self.names.saturating_sub(name.width()));
        format!("{name}{padding} {} {}\n", paint(color, &bars), count(all_rows(source)))
    }

    /// One line of a column, whose bar is as high as its rows are many. Any row shows.
    fn bar(&self, rows: u64, most: u64, height: usize, line: usize) -> String {
        let bars = self.pen.bars;
        let level = (u128::from(rows) * (height * bars.len()) as u128).div_ceil(u128::from(most.max(1)));
        let level = usize::try_from(level).unwrap_or(usize::MAX).saturating_sub(line * bars.len()).min(bars.len());
        let bar = level.checked_sub(1).map_or(' ', |index| bars[index]);
        std::iter::repeat_n(bar, self.wide).collect()
    }

    fn axis(&self) -> String {
        let Timetable { start, step_ms, columns, .. } = self.timetable;
        let ticks = ticks(start, step_ms, columns, self.wide, &self.zone);
        let mut line = vec![self.pen.line; columns * self.wide];
        line.first_mut().into_iter().for_each(|first| *first = self.pen.corner);
        let mut labels = " ".repeat(self.names + 1);
        for Tick { column, label } in &ticks {
            let at = column * self.wide;
            if at > 0 {
                line[at] = self.pen.tick;
            }
            labels += &" ".repeat((self.names + 1 + at).saturating_sub(labels.len()));
            labels += label;
        }
        let line: String = line.into_iter().collect();
        let labels = labels.trim_end();
        let text = format!("{}{line}\n{labels}", " ".repeat(self.names + 1));
        paint(DIM, text.trim_end()) + "\n"
    }

    /// Rows that have no place in the picture.
    fn rest(&self) -> String {
        let lines = self.timetable.sources.iter().filter_map(|source| {
            let places = [(source.before, "before"), (source.after, "after"), (source.timeless, "without a time")];
            let said = places.into_iter().filter(|(rows, _)| *rows > 0);
            let said: Vec<_> = said.map(|(rows, place)| format!("{} {place}", counted(rows, "row", "rows"))).collect();
            (!said.is_empty()).then(|| format!("not shown of {}: {}\n", safe(source.source.as_str()), said.join(", ")))
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
