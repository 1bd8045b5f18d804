//! How times, durations, values and images are written for people.

use std::time::Duration;

use jiff::tz::TimeZone;
use rollbackd_core::{
    incident::{Breach, ServiceChange},
    moment::Moment,
    settings::Condition,
    signal::Signal,
    words::ImageId,
};

use crate::host::clock::Clock;

/// A text that is longer than this is cut: what a step printed, what a server
/// said.
const LONGEST: usize = 600;

/// `2026-11-21 08:31:49 UTC`, and the machine's own time where it differs.
pub(super) fn time(clock: &Clock, zone: &TimeZone, moment: Moment) -> String {
    let wall = clock.wall_of(moment);
    let utc = wall.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let here = wall.to_zoned(zone.clone());
    if here.offset().is_zero() {
        return utc;
    }
    format!("{utc} ({})", here.strftime("%H:%M:%S %Z"))
}

/// `250ms`, `4.2s`, `5m 3s`, `2h 5m`, `3d 4h`: two units at most.
pub(super) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis}ms");
    }
    if millis < 9_950 {
        let tenths = (millis + 50) / 100;
        return match tenths % 10 {
            0 => format!("{}s", tenths / 10),
            tenth => format!("{}.{tenth}s", tenths / 10),
        };
    }
    let seconds = (millis + 500) / 1000;
    let two = |large: u128, unit: &str, small: u128, sub: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit} {small}{sub}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "m"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// `error_rate 12.4% > 5%`, for a subject.
pub(super) fn short(breach: &Breach) -> String {
    let Breach { signal, condition, .. } = breach;
    let sign = match condition {
        Condition::Above(_) => ">",
        Condition::Below(_) => "<",
        Condition::AtLeast(_) => ">=",
    };
    match breach.value {
        None => format!("{signal} has no data"),
        Some(_) if is_down(breach) => format!("{signal} not up"),
        Some(value) => {
            let show = |value| signal.unit().show(value);
            format!("{signal} {} {sign} {}", show(value), show(condition.threshold()))
        }
    }
}

/// Health's infinity: a container that does not come up.
pub(super) fn is_down(breach: &Breach) -> bool {
    breach.signal == Signal::Health && breach.value == Some(f64::INFINITY)
}

/// `above 5%`.
pub(super) fn threshold(breach: &Breach) -> String {
    let value = breach.signal.unit().show(breach.condition.threshold());
    match breach.condition {
        Condition::Above(_) => format!("above {value}"),
        Condition::Below(_) => format!("below {value}"),
        Condition::AtLeast(_) => format!("{value} or more"),
    }
}

/// `12.4%`, or that there is none.
pub(super) fn value(breach: &Breach) -> String {
    if is_down(breach) {
        return "not up".into();
    }
    breach.value.map_or_else(|| "no data".into(), |value| breach.signal.unit().show(value))
}

/// `shop:latest (4f1e0c3b2a19) -> shop:v1 (9d8c7b6a5f4e)`
pub(super) fn change(change: &ServiceChange) -> String {
    let one = |reference: &str, id: &ImageId| format!("{reference} ({})", id.short());
    let ServiceChange { from_image, from_id, to_image, to_id, .. } = change;
    format!("{} -> {}", one(from_image, from_id), one(to_image, to_id))
}

/// A fragment as a sentence of its own: a capital first, a full stop last.
pub(super) fn sentence(fragment: &str) -> String {
    let fragment = full_stop(fragment);
    let mut letters = fragment.chars();
    let Some(first) = letters.next() else { return String::new() };
    // What begins as a name does (`shop:latest`, a path) keeps its case.
    let word = fragment.split_whitespace().next().unwrap_or_default();
    let name = word.chars().any(|letter| !letter.is_alphabetic() && !",;'".contains(letter));
    let first = if name { first.to_string() } else { first.to_uppercase().to_string() };
    format!("{first}{}", letters.as_str())
}

/// A fragment after a colon: its case is kept, a full stop is last.
pub(super) fn full_stop(fragment: &str) -> String {
    let fragment = clip(fragment);
    if fragment.is_empty() || fragment.ends_with(['.', '!', '?', '…']) {
        return fragment;
    }
    fragment + "."
}

/// One line, of a length that a person reads.
pub(super) fn clip(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line: String = line.join(" ").chars().filter(|letter| !letter.is_control()).collect();
    match line.char_indices().nth(LONGEST) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_two_units_at_most_and_is_rounded() {
        let of = |millis| duration(Duration::from_millis(millis));
        let written =
            [0, 250, 999, 1000, 4_180, 9_940, 9_960, 59_600, 303_000, 300_000].map(of).join(", ");
        insta::assert_snapshot!(written, @"0ms, 250ms, 999ms, 1s, 4.2s, 9.9s, 10s, 1m, 5m 3s, 5m");
        let written = [3_599_400, 3_600_000, 7_500_000, 86_400_000, 274_000_000].map(of).join(", ");
        insta::assert_snapshot!(written, @"59m 59s, 1h, 2h 5m, 1d, 3d 4h");
    }

    #[test]
    fn a_fragment_becomes_a_sentence_and_a_name_keeps_its_case() {
        let written = ["not back in time: x", "shop:latest is gone", "see `status`", "done.", " "]
            .map(sentence)
            .join("|");
        insta::assert_snapshot!(written, @"Not back in time: x.|shop:latest is gone.|See `status`.|done.|");
    }

    #[test]
    fn a_time_is_utc_and_the_machines_own_where_that_differs() {
        let clock = Clock::manual(Moment::from_nanos(1_800_000_000_000_000_000));
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        insta::assert_snapshot!(time(&clock, &TimeZone::UTC, clock.now()), @"2027-01-15 08:00:00 UTC");
        insta::assert_snapshot!(time(&clock, &zone, clock.now()), @"2027-01-15 08:00:00 UTC (10:00:00 +02)");
    }

    #[test]
    fn what_is_clipped_is_one_line() {
        assert_eq!(clip("a\r\nb\u{7}\tc"), "a b c");
        assert_eq!(clip(&"é".repeat(9999)).chars().count(), LONGEST + 1);
    }
}
