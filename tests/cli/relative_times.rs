//! Times of --since and --until: dates, calendar units and ages, in the zone of the user.

use std::fs;
use std::process::Stdio;

use crate::common::program::{Run, command};
use crate::common::{Home, bundle};

/// A home whose bundle `b.gz` has a row every six hours from 2025-12-01 to 2026-05-02, the tests' current day.
fn home() -> Home {
    let (first, last) = (1_764_547_200_000_i64, 1_777_716_000_000);
    let rows =
        (first..=last).step_by(6 * 3_600_000).map(|time| format!("{{\"createdAt\":{time}}}\n")).collect::<String>();
    let home = Home::new().with("runs.jsonl", rows);
    fs::write(home.path().join("b.gz"), bundle(&home)).unwrap();
    home
}

fn cat(home: &Home, zone: &str, arguments: &[&str]) -> Run {
    let mut cat = command(home.path(), &[&["cat", "b.gz"], arguments].concat());
    cat.env("TZ", zone).stdin(Stdio::null()).output().unwrap().into()
}

/// The first and the last time of the rows that these arguments select, in milliseconds.
fn range(home: &Home, zone: &str, arguments: &[&str]) -> Option<(i64, i64)> {
    let printed = cat(home, zone, arguments);
    assert_eq!(printed.code, 0, "{arguments:?}: {}", printed.stderr);
    let text = printed.text();
    let time = |line: &str| line.trim_start_matches("{\"createdAt\":").trim_end_matches('}').parse().unwrap();
    Some((time(text.lines().next()?), time(text.lines().last()?)))
}

fn millis(time: &str) -> i64 {
    time.parse::<patchwork_traces::format::Timestamp>().unwrap().as_millis()
}

#[test]
fn calendar_units_are_whole_and_in_the_zone_of_the_user() {
    let home = home();
    for (unit, zone, first, last) in [
        ("yesterday", "UTC", "2026-05-01T00:00:00Z", "2026-05-01T18:00:00Z"),
        ("last day", "UTC", "2026-05-01T00:00:00Z", "2026-05-01T18:00:00Z"),
        ("today", "UTC", "2026-05-02T00:00:00Z", "2026-05-02T06:00:00Z"),
        ("TODAY", "UTC", "2026-05-02T00:00:00Z", "2026-05-02T06:00:00Z"),
        // 2026-05-02 is a Saturday, and a week begins on Monday.
        ("this week", "UTC", "2026-04-27T00:00:00Z", "2026-05-02T06:00:00Z"),
        ("last week", "UTC", "2026-04-20T00:00:00Z", "2026-04-26T18:00:00Z"),
        ("last-week", "UTC", "2026-04-20T00:00:00Z", "2026-04-26T18:00:00Z"),
        ("this month", "UTC", "2026-05-01T00:00:00Z", "2026-05-02T06:00:00Z"),
        ("last month", "UTC", "2026-04-01T00:00:00Z", "2026-04-30T18:00:00Z"),
        ("last year", "UTC", "2025-12-01T00:00:00Z", "2025-12-31T18:00:00Z"),
        ("2026-02", "UTC", "2026-02-01T00:00:00Z", "2026-02-28T18:00:00Z"),
        ("2025", "UTC", "2025-12-01T00:00:00Z", "2025-12-31T18:00:00Z"),
        ("2026-03-29", "UTC", "2026-03-29T00:00:00Z", "2026-03-29T18:00:00Z"),
        // Clocks go forward in Berlin on that day, so it lasts from 23:00 to 22:00 UTC.
        ("2026-03-29", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T18:00:00Z"),
        ("yesterday", "Asia/Tokyo", "2026-04-30T18:00:00Z", "2026-05-01T12:00:00Z"),
        ("yesterday", "America/New_York", "2026-05-01T06:00:00Z", "2026-05-02T00:00:00Z"),
        ("2026-02", "America/New_York", "2026-02-01T06:00:00Z", "2026-03-01T00:00:00Z"),
        ("20260502", "UTC", "2026-05-02T00:00:00Z", "2026-05-02T06:00:00Z"),
        (" yesterday ", "UTC", "2026-05-01T00:00:00Z", "2026-05-01T18:00:00Z"),
    ] {
        let selected = range(&home, zone, &["--since", unit, "--until", unit]);
        assert_eq!(selected, Some((millis(first), millis(last))), "{unit} in {zone}");
    }
}

#[test]
fn ages_count_back_from_now() {
    let home = home();
    for (age, first) in [
        ("6h", "2026-05-02T06:00:00Z"),
        ("4h30m", "2026-05-02T06:00:00Z"),
        ("1d 4h", "2026-05-01T06:00:00Z"),
        ("7d", "2026-04-25T12:00:00Z"),
        ("2w", "2026-04-18T12:00:00Z"),
        ("2 weeks ago", "2026-04-18T12:00:00Z"),
        ("1mo", "2026-04-02T12:00:00Z"),
        ("P1M", "2026-04-02T12:00:00Z"),
        ("36000s", "2026-05-02T00:00:00Z"),
    ] {
        assert_eq!(range(&home, "UTC", &["--since", age]).unwrap().0, millis(first), "{age}");
    }
    // A day is one of the calendar: at the same time of day before the clocks went forward, it is an hour earlier in UTC.
    let mut cat = command(home.path(), &["cat", "b.gz", "--since", "1d"]);
    cat.env("TZ", "Europe/Berlin").env("SOURCE_DATE_EPOCH", "1774782000");
    let printed: Run = cat.stdin(Stdio::null()).output().unwrap().into();
    let rows = printed.text();
    assert!(rows.starts_with(&format!("{{\"createdAt\":{}}}", millis("2026-03-28T12:00:00Z"))), "{rows:.60}");
    assert_eq!(range(&home, "UTC", &["--until", "1mo"]).unwrap().1, millis("2026-04-02T06:00:00Z"));
}

#[test]
fn words_that_are_not_times_are_usage_errors() {
    let home = home();
    for text in
        ["tomorrow", "last", "last fortnight", "next week", "2026-13", "2026-02-30", "99999", "7", "1h30", "-", ""]
    {
        let refused = cat(&home, "UTC", &[&format!("--since={text}")]);
        assert_eq!((refused.code, refused.stdout.len()), (2, 0), "{text:?}");
        assert!(refused.stderr.contains("--since"), "{text:?}: {}", refused.stderr);
    }
    insta::assert_snapshot!(cat(&home, "UTC", &["--since", "tomorrow"]).stderr);
    // A zone in brackets must not be ignored, and Samoa skipped a day.
    for (zone, text) in [("UTC", "9000y"), ("UTC", "2026-05-01T10:00[Asia/Tokyo]"), ("Pacific/Apia", "2011-12-30")] {
        let refused = cat(&home, zone, &["--until", text]);
        assert_eq!((refused.code, refused.stdout.len()), (2, 0), "{text}: {}", refused.stderr);
        assert!(refused.stderr.contains("--until"), "{}", refused.stderr);
    }
    assert_eq!(cat(&home, "UTC", &["--until", "9998-12-31"]).text(), cat(&home, "UTC", &[]).text());
}

#[test]
fn absolute_times_do_not_need_the_clock() {
    let home = home();
    let with_clock = |time: &str, clock: &str| -> Run {
        let mut cat = command(home.path(), &["cat", "b.gz", "--since", time]);
        cat.env("SOURCE_DATE_EPOCH", clock).stdin(Stdio::null()).output().unwrap().into()
    };
    assert_eq!(with_clock("2026", "soon").code, 0);
    let refused = with_clock("today", "soon");
    assert!(refused.code == 2 && refused.stderr.contains("'soon'"), "{}", refused.stderr);
    assert_eq!(with_clock("this year", "253370764799").code, 0);
}
