//! A trigger's times: for how long, how often, over which window; and whether
//! they fit, because a trigger that can never fire is worse than none.

use std::{ops::Range, time::Duration};

use rollbackd_core::{ratio::Ratio, settings::Hold, signal::Signal};

use super::{
    reader::{Got, Table},
    rules::{self, Rules},
    source::Kind,
    values::{self, Wrong, shown},
};

const EVERY: Duration = Duration::from_secs(15);
const HEALTH_FOR: Duration = Duration::from_secs(5 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A trigger's times.
pub(super) struct Timing {
    pub(super) every: Duration,
    /// What was written as `for`.
    pub(super) held: Duration,
    /// Where that was written.
    pub(super) held_place: Range<usize>,
    pub(super) hold: Hold,
    /// The same `for` on an image that was rolled back from before.
    pub(super) for_known_bad: Duration,
    pub(super) window: Duration,
    pub(super) max_gap: Duration,
}

/// Reads `for`, `for_known_bad`, `share`, `every`, `window` and `max_gap`; `signal` is `None`
/// where that is wrong.
pub(super) fn read(
    table: &Table<'_>,
    signal: Option<&Signal>,
    kind: Option<Kind>,
    rules: &Rules,
) -> Option<Timing> {
    let health = signal == Some(&Signal::Health);
    let every = table.read(
        "every",
        values::duration("15s", Duration::from_millis(100)..=Duration::from_secs(3600)),
    );
    let held = table.read("for", values::duration("5m", Duration::ZERO..=WEEK));
    let known_bad = table.read("for_known_bad", values::duration("1m", Duration::ZERO..=WEEK));
    let share = table.read("share", sample_share);
    let window = table.read("window", values::duration("1m", Duration::from_millis(1)..=WEEK));
    let gap = rules::max_gap(table);
    if held.is_absent() && signal.is_some() && !health {
        table.lacks(
            "for",
            "say for how long: `for = \"5m\"`, or `\"0s\"` to fire at the first sample",
        );
    }
    let places = Places {
        held: held.span().unwrap_or_else(|| table.place.clone()),
        window: window.span(),
        share: share.span(),
        known_bad: known_bad.span(),
        gap: gap.span().unwrap_or_else(|| table.place.clone()),
    };
    let held_default = if health { Some(HEALTH_FOR) } else { None };
    let (every, share) = (every.or(EVERY), share.maybe());
    let (held, window) = (held.maybe()?.or(held_default), window.maybe());
    let known_bad = known_bad.maybe();
    let gap = match gap {
        Got::Absent => rules.max_gap,
        other => other.maybe(),
    };
    let (every, held, share, window, gap) = (every?, held?, share?, window?, gap?);
    let known_bad = known_bad?;
    signal?;
    let gap = gap.unwrap_or(every * 3);
    if health {
        return Some(Timing {
            every,
            held,
            held_place: places.held,
            hold: Hold::For(Duration::ZERO),
            for_known_bad: Duration::ZERO,
            window: held,
            max_gap: gap,
        });
    }
    let windowed = matches!(kind, Some(Kind::Scrape | Kind::Probe));
    let fit = Fit { every, held, known_bad, share, window, windowed, gap, places };
    fit.check(table, kind).then(|| fit.timing())
}

fn sample_share(value: &values::Value<'_>) -> Result<Ratio, Wrong> {
    let share = values::share("80%")(value)?;
    let none = || Wrong::new("a `share` of 0% would always hold", "write `share = \"80%\"`");
    Ratio::new(share).filter(|share| share.get() > 0.0).ok_or_else(none)
}

struct Places {
    held: Range<usize>,
    window: Option<Range<usize>>,
    share: Option<Range<usize>>,
    known_bad: Option<Range<usize>>,
    gap: Range<usize>,
}

/// Times that must fit each other.
struct Fit {
    every: Duration,
    held: Duration,
    known_bad: Option<Duration>,
    share: Option<Ratio>,
    window: Option<Duration>,
    /// The source works its number out over a window.
    windowed: bool,
    gap: Duration,
    places: Places,
}

impl Fit {
    fn timing(self) -> Timing {
        let least = self.least_known_bad();
        let Self { every, held, known_bad, share, window, gap, places, .. } = self;
        let hold = match share {
            None => Hold::For(held),
            Some(share) => Hold::Share { share, within: held },
        };
        let window = window.unwrap_or_else(|| (held / 3).max(every * 2));
        let for_known_bad = known_bad.unwrap_or_else(|| (held / 3).max(least).min(held));
        let held_place = places.held;
        Timing { every, held, held_place, hold, for_known_bad, window, max_gap: gap }
    }

    /// Tells the first thing that does not fit; true when all does.
    fn check(&self, table: &Table<'_>, kind: Option<Kind>) -> bool {
        let windowed = self.windowed;
        let told = match () {
            () if windowed && self.held > Duration::ZERO && self.held < self.every * 4 => {
                Some(self.too_short())
            }
            () if self.held > Duration::ZERO && self.held < self.every => {
                Some(self.shorter_than_every())
            }
            () => self.share_problem().or_else(|| self.gap_problem()),
        };
        let told = told.or_else(|| if windowed { self.window_problem() } else { None });
        let told = told.or_else(|| match kind {
            Some(Kind::Docker) => self.window_too_short(),
            _ => None,
        });
        let told = told.or_else(|| self.known_bad_problem());
        let Some((place, message, hint)) = told else { return true };
        table.findings.error(place, message, hint);
        false
    }

    fn too_short(&self) -> Told {
        let message = format!(
            "this trigger can never fire: a window of at least 2 × `every` ({}) and at most half of `for` ({}) is impossible",
            shown(self.every * 2),
            shown(self.held / 2),
        );
        let hint = format!(
            "ask more often, `every = \"{}\"`, or let `for` be {} or longer",
            shown(round(self.held / 4)),
            shown(self.every * 4),
        );
        (self.places.held.clone(), message, hint)
    }

    fn shorter_than_every(&self) -> Told {
        let (held, every) = (shown(self.held), shown(self.every));
        let message = format!("`for` is {held}, but the source is asked only every {every}");
        let hint = format!(
            "ask more often, `every = \"{}\"`, or let `for` be longer",
            shown(round(self.held / 4))
        );
        (self.places.held.clone(), message, hint)
    }

    fn share_problem(&self) -> Option<Told> {
        let place = self.places.share.clone()?;
        self.share.filter(|_| self.held < self.every * 2)?;
        let message = format!(
            "this trigger can never fire: a `share` needs at least three samples within `for`, and every {} there are fewer in {}",
            shown(self.every),
            shown(self.held),
        );
        let hint = format!("let `for` be {} or longer, or remove `share`", shown(self.every * 2));
        Some((place, message, hint))
    }

    fn gap_problem(&self) -> Option<Told> {
        let each_is_a_gap =
            self.gap > Duration::ZERO && self.gap < self.every && self.held > Duration::ZERO;
        each_is_a_gap.then(|| {
            let message = format!(
                "this trigger can never fire: with `max_gap` of {} every pause between two samples ({}) is a gap",
                shown(self.gap),
                shown(self.every),
            );
            let hint = format!("write `max_gap = \"{}\"`, or leave it out", shown(self.every * 3));
            (self.places.gap.clone(), message, hint)
        })
    }

    /// The shortest `for_known_bad` with which a breach is more than one odd
    /// sample. A number over a window changes only with two readings of the new
    /// version in it, and a `share` needs three samples: both take 2 × `every`.
    /// A query takes as long as from one sample to the next. What breaches at
    /// the first sample anyway may here too.
    fn least_known_bad(&self) -> Duration {
        let samples = if self.windowed || self.share.is_some() { 2 } else { 1 };
        (self.every * samples).min(self.held)
    }

    fn known_bad_problem(&self) -> Option<Told> {
        let (place, known_bad) = (self.places.known_bad.clone()?, self.known_bad?);
        let (held, least) = (shown(self.held), self.least_known_bad());
        if known_bad > self.held {
            let message = format!(
                "`for_known_bad` is {}, longer than `for` ({held}): an image that was rolled back \
                 from before would have more time than any other",
                shown(known_bad)
            );
            let hint = format!("write {held} or less, or leave it out for a third of `for`");
            return Some((place, message, hint));
        }
        (known_bad < least).then(|| {
            let message = format!(
                "`for_known_bad` is {}, too short: there is a sample only every {}",
                shown(known_bad),
                shown(self.every)
            );
            let hint = format!("write {} or more, or ask more often", shown(least));
            (place, message, hint)
        })
    }

    fn window_problem(&self) -> Option<Told> {
        let (place, window) = (self.places.window.clone()?, self.window?);
        if self.held == Duration::ZERO || window <= self.held / 2 {
            return self.window_too_short();
        }
        let message = format!(
            "`window` is {}, more than half of `for`: one bad moment would look like a long outage",
            shown(window)
        );
        let hint = format!("write {} or less, or leave it out", shown(self.held / 2));
        Some((place, message, hint))
    }

    fn window_too_short(&self) -> Option<Told> {
        let (place, window) = (self.places.window.clone()?, self.window?);
        (window < self.every * 2).then(|| {
            let least = shown(self.every * 2);
            let message = format!(
                "`window` is {}, less than 2 × `every` ({least}): too few samples would be in it",
                shown(window)
            );
            (place, message, format!("write {least} or more, or ask more often"))
        })
    }
}

type Told = (Range<usize>, String, String);

/// To whole seconds where there are any: nobody writes `every = "3s750ms"`.
fn round(duration: Duration) -> Duration {
    match duration.as_secs() {
        0 => Duration::from_millis(u64::from(duration.subsec_millis()).max(1)),
        seconds => Duration::from_secs(seconds),
    }
}
