//! Times, durations and values as people write them.

use std::time::Duration;

use jiff::Timestamp;
use rollbackd_core::{
    signal::{Signal, Unit},
    words::ServiceName,
};

use crate::{api::json::Compare, cli::out::Reader};

/// `350ms`, `2.3s`, `45s`, `1m 5s`, `2h 3m`, `3d 4h`: two parts at most.
pub(in crate::cli) fn took(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 1.0 {
        return format!("{:.0}ms", seconds * 1000.0);
    }
    if seconds < 9.95 {
        let text = format!("{seconds:.1}");
        return text.strip_suffix(".0").unwrap_or(&text).to_owned() + "s";
    }
    let whole = Duration::from_secs_f64(seconds.min(1e12)).as_secs_f64().round();
    // Below 1e12, so nothing is lost.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = whole as u64;
    let parts =
        [(whole / 86400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2).filter(|(count, _)| *count > 0);
    shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

/// `12m ago`: one part is enough for an age.
pub(in crate::cli) fn ago(at: Timestamp, reader: &Reader) -> String {
    let seconds = reader.now.duration_since(at).as_secs_f64();
    if seconds < 1.0 { "just now".to_owned() } else { format!("{} ago", one_part(seconds)) }
}

/// `in 57m`; `now` for what is over.
pub(super) fn ahead(at: Timestamp, reader: &Reader) -> String {
    let seconds = at.duration_since(reader.now).as_secs_f64();
    if seconds < 1.0 { "now".to_owned() } else { format!("in {}", one_part(seconds)) }
}

fn one_part(seconds: f64) -> String {
    let text = if seconds < 60.0 { took(seconds.floor()) } else { took(seconds) };
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The time of day; on another day the date, and the minute is enough.
pub(in crate::cli) fn clock(at: Timestamp, reader: &Reader) -> String {
    let (then, now) = (at.to_zoned(reader.zone.clone()), reader.now.to_zoned(reader.zone.clone()));
    let format = if then.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    then.strftime(format).to_string()
}

/// The time of day, whatever day it was.
pub(super) fn time_of_day(at: Timestamp, reader: &Reader) -> String {
    at.to_zoned(reader.zone.clone()).strftime("%H:%M:%S").to_string()
}

/// `10:31:05 (12m ago)`
pub(in crate::cli) fn when(at: Timestamp, reader: &Reader) -> String {
    format!("{} ({})", clock(at, reader), ago(at, reader))
}

/// A signal's value in its unit. Health's infinity is a container that never
/// came up; JSON carries infinity as its largest number.
pub(in crate::cli) fn value(signal: &Signal, value: f64) -> String {
    let infinite = value.abs() >= f64::MAX;
    match signal {
        Signal::Health if infinite => "not up".to_owned(),
        _ if infinite && value > 0.0 => "inf".to_owned(),
        _ if infinite => "-inf".to_owned(),
        _ => signal.unit().show(value),
    }
}

/// `above 5%`
pub(in crate::cli) fn condition(signal: &Signal, compare: Compare, threshold: f64) -> String {
    let threshold = value(signal, threshold);
    match compare {
        Compare::Above => format!("above {threshold}"),
        Compare::Below => format!("below {threshold}"),
        Compare::AtLeast if signal.unit() == Unit::Count => format!("{threshold} or more"),
        Compare::AtLeast => format!("at least {threshold}"),
    }
}

/// A trigger's name beside its service's: a trigger that has no name of its own
/// is called "SERVICE SIGNAL", and the service is already there.
pub(in crate::cli) fn short_name<'a>(name: &'a str, service: &ServiceName) -> &'a str {
    let rest = name.strip_prefix(service.as_str()).and_then(|rest| rest.strip_prefix(' '));
    rest.filter(|rest| !rest.is_empty()).unwrap_or(name)
}

/// `1 container`, `2 containers`
pub(in crate::cli) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Breaks text at spaces into lines of at most `width` characters; a longer
/// word has a line of its own.
pub(in crate::cli) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let length = lines[last].chars().count();
        if length == 0 {
            lines[last] = word.to_owned();
        } else if length + 1 + word.chars().count() <= width {
            lines[last] += " ";
            lines[last] += word;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// `text` and spaces up to `width` characters.
pub(in crate::cli) fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_parts_at_most() {
        let shown =
            [0.0, 0.0034, 0.35, 1.0, 2.34, 9.96, 45.4, 65.0, 3600.0, 7384.0, 273_600.0].map(took);
        assert_eq!(
            shown,
            ["0ms", "3ms", "350ms", "1s", "2.3s", "10s", "45s", "1m 5s", "1h", "2h 3m", "3d 4h"]
        );
    }

    #[test]
    fn infinity_survives_json_and_health_says_what_it_means() {
        assert_eq!(value(&Signal::Health, f64::MAX), "not up");
        assert_eq!(value(&Signal::ErrorRate, f64::MAX), "inf");
        assert_eq!(value(&Signal::Own("queue".into()), f64::MIN), "-inf");
        assert_eq!(value(&Signal::ErrorRate, 0.124), "12.4%");
    }

    #[test]
    fn a_service_is_not_said_twice() {
        assert_eq!(short_name("backend health", &"backend".into()), "health");
        assert_eq!(short_name("backend", &"backend".into()), "backend");
        assert_eq!(short_name("backendless", &"backend".into()), "backendless");
    }

    #[test]
    fn text_is_wrapped_at_spaces_and_never_lost() {
        assert_eq!(wrap("no data for a minute", 10), ["no data", "for a", "minute"]);
        assert_eq!(wrap("http://a-long-address x", 5), ["http://a-long-address", "x"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
