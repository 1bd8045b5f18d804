//! What a project sets for all its triggers and a trigger otherwise for itself:
//! `grace`, `min_requests`, `max_gap`, `recover_within`, `on_blind`, `blames`,
//! `blame`.

use std::time::Duration;

use rollbackd_core::{
    settings::{Blame, OnBlind},
    words::ServiceName,
};

use super::{
    reader::{Got, Table},
    values,
};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A project's rules for its triggers. `None` where what was written is wrong.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) grace: Option<Duration>,
    /// `None` within: not written.
    pub(super) min_requests: Option<Option<u64>>,
    /// `None` within: not written, three times `every`.
    pub(super) max_gap: Option<Option<Duration>>,
    pub(super) recover_within: Option<Duration>,
    pub(super) on_blind: Option<OnBlind>,
    pub(super) blames: Option<Vec<ServiceName>>,
    pub(super) blame: Option<Blame>,
}

impl Rules {
    /// What a project writes, or the defaults.
    pub(super) fn of_project(table: &Table<'_>) -> Self {
        Self {
            grace: grace(table).or(Duration::from_secs(60)),
            min_requests: min_requests(table).maybe(),
            max_gap: max_gap(table).maybe(),
            recover_within: recover_within(table).or(Duration::from_secs(600)),
            on_blind: on_blind(table).or(OnBlind::Ignore),
            blames: blames(table).or(Vec::new()),
            blame: blame(table).or(Blame::Careful),
        }
    }

    /// What a trigger writes, or the project's. `max_gap` is the timing's.
    pub(super) fn of_trigger(&self, table: &Table<'_>) -> Self {
        Self {
            grace: otherwise(grace(table), self.grace),
            min_requests: match min_requests(table) {
                Got::Absent => self.min_requests,
                other => other.maybe(),
            },
            max_gap: self.max_gap,
            recover_within: otherwise(recover_within(table), self.recover_within),
            on_blind: otherwise(on_blind(table), self.on_blind),
            blames: otherwise(blames(table), self.blames.clone()),
            blame: otherwise(blame(table), self.blame),
        }
    }
}

fn otherwise<T>(here: Got<T>, project: Option<T>) -> Option<T> {
    match here {
        Got::Absent => project,
        other => other.maybe().flatten(),
    }
}

fn grace(table: &Table<'_>) -> Got<Duration> {
    table.read("grace", values::duration("60s", Duration::ZERO..=HOUR))
}

fn min_requests(table: &Table<'_>) -> Got<u64> {
    table.read("min_requests", values::count(0..=1_000_000_000))
}

/// `max_gap`, of a project or a trigger.
pub(super) fn max_gap(table: &Table<'_>) -> Got<Duration> {
    table.read("max_gap", values::duration("45s", Duration::ZERO..=HOUR * 24))
}

fn recover_within(table: &Table<'_>) -> Got<Duration> {
    table.read("recover_within", values::duration("10m", Duration::from_millis(100)..=HOUR * 24))
}

fn on_blind(table: &Table<'_>) -> Got<OnBlind> {
    let words =
        [("ignore", OnBlind::Ignore), ("alert", OnBlind::Alert), ("breach", OnBlind::Breach)];
    table.read("on_blind", values::word(&words))
}

fn blames(table: &Table<'_>) -> Got<Vec<ServiceName>> {
    let services = values::list(values::service);
    table.read("blames", |value| Ok(services(value)?.into_iter().map(ServiceName::new).collect()))
}

fn blame(table: &Table<'_>) -> Got<Blame> {
    table.read("blame", values::word(&[("careful", Blame::Careful), ("always", Blame::Always)]))
}
