//! A past moment as a person types it at three in the morning: the time of day,
//! how long ago, or the whole of it.

use std::{str::FromStr, time::Duration};

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    tz::TimeZone,
};

/// A past moment, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// A whole date and time, with its offset.
    Instant(Timestamp),
    /// A date and time of the reader's zone, as `status` shows them.
    Local(DateTime),
    /// The last such time of day.
    Clock(Time),
    /// So long ago.
    Ago(Duration),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(instant) = text.parse() {
            return Ok(Self::Instant(instant));
        }
        let ago = text.strip_suffix("ago").unwrap_or(text).trim();
        if let Ok(ago) = humantime::parse_duration(ago) {
            return Ok(Self::Ago(ago));
        }
        let read = |format: &str| DateTime::strptime(format, text);
        for format in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        {
            if let Ok(local) = read(format) {
                return Ok(Self::Local(local));
            }
        }
        let clock = Time::strptime("%H:%M:%S", text).or_else(|_| Time::strptime("%H:%M", text));
        clock.map(Self::Clock).map_err(|_| {
            "write a time of day (03:12 or 03:12:40), how long ago (10m), \
             or the whole of it (2026-11-21T03:12:00Z)"
                .to_owned()
        })
    }
}

impl At {
    /// The moment that is meant by a person in this zone, now.
    pub(super) fn of(self, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
        let here = now.to_zoned(zone.clone());
        match self {
            Self::Instant(instant) => Ok(instant),
            Self::Local(local) => Ok(local.to_zoned(zone.clone())?.timestamp()),
            Self::Ago(ago) => now.checked_sub(ago),
            Self::Clock(time) => {
                let of = |date: jiff::civil::Date| date.to_datetime(time).to_zoned(zone.clone());
                let today = of(here.date())?.timestamp();
                if today <= now {
                    return Ok(today);
                }
                Ok(of(here.date().yesterday()?)?.timestamp())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(text: &str) -> String {
        let now: Timestamp = "2026-11-21T03:30:00Z".parse().unwrap();
        let at: At = text.parse().unwrap();
        at.of(now, &TimeZone::fixed(jiff::tz::offset(1))).unwrap().to_string()
    }

    #[test]
    fn a_moment_is_read_as_people_write_it() {
        // It is 04:30 there.
        let meant = [
            "2026-11-20T03:12:00Z",
            "2026-11-20T03:12:00+02:00",
            "03:12",
            "03:12:40",
            "04:31",
            "23:59",
            "10m",
            "1h 30m ago",
            "2026-11-20 03:12",
        ]
        .map(meant);
        insta::assert_snapshot!(meant.join("\n"), @"
        2026-11-20T03:12:00Z
        2026-11-20T01:12:00Z
        2026-11-21T02:12:00Z
        2026-11-21T02:12:40Z
        2026-11-20T03:31:00Z
        2026-11-20T22:59:00Z
        2026-11-21T03:20:00Z
        2026-11-21T02:00:00Z
        2026-11-20T02:12:00Z
        ");
    }

    #[test]
    fn anything_else_is_told_with_all_three_forms() {
        for wrong in ["", "noon", "25:00", "3", "2026-13-01T00:00:00Z"] {
            let error = wrong.parse::<At>().unwrap_err();
            for form in ["03:12", "10m", "2026-11-21T03:12:00Z"] {
                assert!(error.contains(form), "{wrong}: {error}");
            }
        }
    }
}
