//! Rounds durations to one unit.

use std::time::Duration;

use super::text::counted;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Returns a duration in the largest unit of which it has at least two, rounded down: `90 s`, `31 h`, `12 days`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / MINUTE),
        7200..172_800 => format!("{} h", seconds / HOUR),
        _ => counted(seconds / DAY, "day", "days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_down_to_one_unit() {
        let of = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!([of(0), of(119), of(120), of(7199)], ["0 s", "119 s", "2 min", "119 min"]);
        assert_eq!([of(7200), of(172_799), of(172_800), of(86_400 * 400)], ["2 h", "47 h", "2 days", "400 days"]);
    }
}
