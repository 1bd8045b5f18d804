//! `[[project.NAME.trigger]]`: one condition on one signal, and how its number
//! is got. What can never fire is refused here.

use std::{ops::Range, time::Duration};

use rollbackd_core::{
    settings::{Action, Clear, Condition, Hold, TriggerSettings},
    signal::Signal,
    words::{GroupName, ServiceName, TriggerId},
};

use super::{
    ask::{self, From},
    clearing, groups, identity,
    nearest::distance,
    promql,
    reader::Table,
    rules::Rules,
    settings::{Ask, Source, Watch},
    source::{Kind, Sources},
    threshold,
    timing::{self, Timing},
    values::{self, Value, Wrong, quoted, shown},
};

const DEFAULT_MIN_REQUESTS: u64 = 20;
const SIGNALS: [&str; 11] = [
    "error_rate",
    "latency_p50",
    "latency_p90",
    "latency_p95",
    "latency_p99",
    "latency_p999",
    "availability",
    "health",
    "restarts",
    "cpu",
    "memory",
];

/// A trigger and where it stands.
pub(super) struct Written {
    /// The trigger.
    pub(super) watch: Watch,
    /// Its header.
    pub(super) place: Range<usize>,
    /// Its `for`.
    pub(super) held: Duration,
    /// Where that is.
    pub(super) held_place: Range<usize>,
    /// Where its query is, if it has one.
    pub(super) query_place: Option<Range<usize>>,
    /// Has it a `name`?
    pub(super) is_named: bool,
}

/// Reads one trigger; `None` where something was told.
pub(super) fn read(table: &Table<'_>, project: &Rules, sources: &Sources) -> Option<Written> {
    let name = table.read("name", name);
    let is_named = name.span().is_some();
    let service =
        table.need("service", values::service, "say whose signal it is: `service = \"backend\"`");
    let signal = table.need("signal", signal, "say what is measured: `signal = \"error_rate\"`");
    let from = ask::source(table, signal.as_ref(), sources);
    let kind = from.as_ref().map(|from| from.kind);
    let rules = project.of_trigger(table);
    let action = action(table, signal.as_ref());
    let group = groups::member(table, action);
    let query = ask::query(table, kind);
    let timing = timing::read(table, signal.as_ref(), kind, project);
    let condition = signal.as_ref().and_then(|signal| threshold::read(table, signal));
    let clear = signal.as_ref().and_then(|signal| {
        clearing::read(table, signal, condition.as_ref().map(|(condition, _)| *condition))
    });
    let (signal, from) = (signal?, from?);
    warn_of_no_effect(table, &signal, from.kind);
    let seen = condition.as_ref().is_none_or(|(condition, place)| {
        within_timeout(table, &from, &signal, *condition, place.clone())
    });
    let (name, service, query, timing) = (name.maybe()?, service?, query?, timing?);
    let back = time_to_recover(table, &rules, &timing);
    let ask = ask(table, &from, &signal, query.as_deref(), &timing, &rules)?;
    let ((condition, _), action) = (condition?, action?);
    let (clear, group) = (clear?, group?);
    (seen && back).then_some(())?;
    let parts =
        Parts { name, service, signal, from, query, condition, clear, rules, action, group };
    Some(Written {
        watch: Watch { trigger: parts.settings(&timing, &ask)?, ask },
        place: table.place.clone(),
        held: timing.held,
        held_place: timing.held_place,
        query_place: table.value("query").map(|value| value.span),
        is_named,
    })
}

/// The trigger that every service with a trigger has.
pub(super) fn implicit_health(service: &ServiceName, rules: &Rules) -> Option<Watch> {
    let (every, window) = (Duration::from_secs(15), Duration::from_secs(5 * 60));
    let timing = Timing {
        every,
        held: window,
        held_place: 0..0,
        hold: Hold::For(Duration::ZERO),
        for_known_bad: Duration::ZERO,
        window,
        max_gap: rules.max_gap?.unwrap_or(every * 3),
    };
    let parts = Parts {
        name: None,
        service: service.as_str().to_owned(),
        signal: Signal::Health,
        from: From { name: "docker".into(), kind: Kind::Docker, source: None },
        query: None,
        condition: Condition::AtLeast(3.0),
        clear: Clear::default(),
        rules: rules.clone(),
        action: Action::Rollback,
        group: None,
    };
    let ask = Ask::Container { window };
    Some(Watch { trigger: parts.settings(&timing, &ask)?, ask })
}

struct Parts<'s> {
    name: Option<String>,
    service: String,
    signal: Signal,
    from: From<'s>,
    query: Option<String>,
    condition: Condition,
    clear: Clear,
    rules: Rules,
    action: Action,
    group: Option<GroupName>,
}

impl Parts<'_> {
    fn settings(self, timing: &Timing, ask: &Ask) -> Option<TriggerSettings> {
        let health = self.signal == Signal::Health;
        let name = self.name.clone().unwrap_or_else(|| format!("{} {}", self.service, self.signal));
        Some(TriggerSettings {
            id: self.id(),
            name,
            measures: self.measures(ask),
            looks_back: looks_back(&self.signal, ask),
            grace: if health { Duration::ZERO } else { self.rules.grace? },
            service: ServiceName::new(self.service),
            signal: self.signal,
            source: self.from.name,
            condition: self.condition,
            hold: timing.hold,
            for_known_bad: timing.for_known_bad,
            clear: self.clear,
            every: timing.every,
            max_gap: timing.max_gap,
            recover_within: self.rules.recover_within?,
            on_blind: self.rules.on_blind?,
            blames: self.rules.blames?,
            blame: self.rules.blame?,
            group: self.group,
            action: self.action,
        })
    }

    /// What makes it the same trigger across reloads: its name, else what it
    /// measures.
    fn id(&self) -> TriggerId {
        if let Some(name) = &self.name {
            return TriggerId::new(name.as_str());
        }
        let (signal, query) = (self.signal.to_string(), self.query.as_deref().unwrap_or_default());
        identity::of(&[&self.service, &signal, &self.from.name, query])
    }

    /// What is measured, as text. A trigger that keeps its name and turns to
    /// another service measures something else.
    fn measures(&self, ask: &Ask) -> String {
        let source = self.from.source.map(ask::measured).unwrap_or_else(|| "docker".into());
        let how = match ask {
            Ask::Prometheus { query, .. } => query.clone(),
            Ask::Scrape { window, min_requests, .. } | Ask::Probe { window, min_requests, .. } => {
                format!("window={} min_requests={min_requests}", shown(*window))
            }
            Ask::Container { window } => format!("window={}", shown(*window)),
        };
        format!("{} {source} {how}", self.service)
    }
}

/// How far back one value looks. The health of containers that are gone is not
/// that of those which replaced them: it looks at what runs.
fn looks_back(signal: &Signal, ask: &Ask) -> Duration {
    match ask {
        _ if *signal == Signal::Health => Duration::ZERO,
        Ask::Prometheus { query, .. } => {
            promql::Query::read(query).map(|query| query.looks_back()).unwrap_or_default()
        }
        Ask::Scrape { window, .. } | Ask::Probe { window, .. } | Ask::Container { window } => {
            *window
        }
    }
}

fn ask(
    table: &Table<'_>,
    from: &From<'_>,
    signal: &Signal,
    query: Option<&str>,
    timing: &Timing,
    rules: &Rules,
) -> Option<Ask> {
    let (source, window) = (from.name.clone(), timing.window);
    let written = rules.min_requests?;
    match from.kind {
        Kind::Prometheus => Some(Ask::Prometheus { source, query: query?.to_owned() }),
        Kind::Scrape => {
            let min_requests = written.unwrap_or(DEFAULT_MIN_REQUESTS);
            Some(Ask::Scrape { source, window, min_requests })
        }
        // How many probes there are is rollbackd's own doing: the default for
        // an app's traffic says nothing of them.
        Kind::Probe => {
            let counts = *signal != Signal::Availability;
            let min_requests = if counts { written.unwrap_or(0) } else { 0 };
            enough_probes(table, min_requests, timing).then_some(Ask::Probe {
                source,
                window,
                min_requests,
            })
        }
        Kind::Docker => Some(Ask::Container { window }),
    }
}

/// As many probes as `min_requests` wants must fit into the window.
fn enough_probes(table: &Table<'_>, min_requests: u64, timing: &Timing) -> bool {
    let fit = u64::try_from(timing.window.as_nanos() / timing.every.as_nanos().max(1))
        .unwrap_or(u64::MAX);
    if min_requests <= fit {
        return true;
    }
    let place = table.value("min_requests").map_or_else(|| table.place.clone(), |value| value.span);
    let (every, window) = (shown(timing.every), shown(timing.window));
    let message = format!(
        "this trigger can never fire: probes every {every} make {fit} requests in the window of {window}, fewer than `min_requests` = {min_requests}"
    );
    table.findings.error(
        place,
        message,
        format!("write `min_requests = {fit}` or less, or ask more often"),
    );
    false
}

/// A probe must be able to see a latency beyond the threshold.
fn within_timeout(
    table: &Table<'_>,
    from: &From<'_>,
    signal: &Signal,
    condition: Condition,
    place: Range<usize>,
) -> bool {
    let (Signal::Latency(_), Some(Source::Probe(probe))) = (signal, from.source) else {
        return true;
    };
    let threshold = Duration::try_from_secs_f64(condition.threshold()).unwrap_or(Duration::MAX);
    if probe.timeout > threshold {
        return true;
    }
    let (name, timeout) = (&from.name, shown(probe.timeout));
    let message = format!(
        "this trigger can never fire: probes of `{name}` are given up after {timeout} already"
    );
    let hint = format!(
        "write `timeout = \"{}\"` in [source.{name}], or a lower threshold",
        shown(threshold * 2)
    );
    table.findings.error(place, message, hint);
    false
}

/// One sample at least must be able to show that the signal is back.
fn time_to_recover(table: &Table<'_>, rules: &Rules, timing: &Timing) -> bool {
    let Some(within) = rules.recover_within else { return true };
    if within >= timing.every {
        return true;
    }
    let place =
        table.value("recover_within").map_or_else(|| table.place.clone(), |value| value.span);
    let (within, every) = (shown(within), shown(timing.every));
    let message = format!(
        "no rollback could be seen to help: `recover_within` is {within}, and there is a sample only every {every}"
    );
    table.findings.error(place, message, "let `recover_within` be longer, or ask more often");
    false
}

/// Tells keys that are read and change nothing.
fn warn_of_no_effect(table: &Table<'_>, signal: &Signal, kind: Kind) {
    let warn = |key: &'static str, message: &str, hint: &str| {
        if let Some(place) = table.key_place(key) {
            table.findings.warn(place, message, hint);
        }
    };
    if kind == Kind::Prometheus {
        warn(
            "window",
            "`window` has no effect on a Prometheus query",
            "the window is in the query: `rate(...[1m])`",
        );
        warn(
            "min_requests",
            "`min_requests` has no effect on a query of your own",
            "say it in the query: `... and sum(increase(...[1m])) > 20`",
        );
    }
    if kind == Kind::Docker || *signal == Signal::Availability {
        warn("min_requests", &format!("`min_requests` has no effect on `{signal}`"), "remove it");
    }
    if *signal == Signal::Health {
        for key in ["window", "share", "grace", "for_known_bad"] {
            warn(
                key,
                &format!("`{key}` has no effect on `health`"),
                "remove it; failures are counted over `for`",
            );
        }
    }
}

/// Reads `action`; where nothing is clear enough it must be written.
fn action(table: &Table<'_>, signal: Option<&Signal>) -> Option<Action> {
    let read = table.read("action", |value| {
        if value.is_text("scale") {
            return Err(Wrong::new(
                "`action = \"scale\"` is not built yet",
                "write \"rollback\" or \"alert\"",
            ));
        }
        values::word(&[("rollback", Action::Rollback), ("alert", Action::Alert)])(value)
    });
    let clear = |signal: &Signal| {
        matches!(
            signal,
            Signal::ErrorRate | Signal::Latency(_) | Signal::Availability | Signal::Health
        )
    };
    if read.is_absent() && signal.is_some_and(|signal| !clear(signal)) {
        let signal = signal.map(ToString::to_string).unwrap_or_default();
        let hint =
            format!("what `{signal}` should do must be said: `action = \"alert\"` or \"rollback\"");
        table.lacks("action", &hint);
        return None;
    }
    read.or(Action::Rollback)
}

fn name(value: &Value<'_>) -> Result<String, Wrong> {
    let name = values::text("errors")(value)?;
    let fits = name.chars().count() <= 64 && !name.contains(['\n', '\t']);
    let wrong =
        || Wrong::new("`name` is one line of at most 64 characters", "write `name = \"errors\"`");
    fits.then_some(name).ok_or_else(wrong)
}

/// A signal of the contract, or one of the user's own that cannot be mistaken
/// for one.
fn signal(value: &Value<'_>) -> Result<Signal, Wrong> {
    let name = values::text("error_rate")(value)?;
    let Signal::Own(own) = Signal::parse(&name) else { return Ok(Signal::parse(&name)) };
    if own.starts_with("latency_p") || own == "latency" {
        let hint = "write the quantile's digits: `latency_p50`, `latency_p99`, `latency_p999`";
        return Err(Wrong::new(format!("{} is no latency quantile", quoted(&own)), hint));
    }
    let near = SIGNALS.into_iter().min_by_key(|known| distance(&own, known));
    let near = near.filter(|known| distance(&own, known) <= 1 + usize::from(known.len() > 6));
    if let Some(near) = near {
        let message = format!("there is no signal called {}", quoted(&own));
        return Err(Wrong::new(
            message,
            format!("did you mean \"{near}\"? A signal of your own needs a name less like it"),
        ));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-:.".contains(c);
    if !own.chars().all(fits) || own.len() > 64 {
        let hint = "letters, digits and `_`: `signal = \"queue_length\"`";
        return Err(Wrong::new(format!("{} cannot be the name of a signal", quoted(&own)), hint));
    }
    Ok(Signal::Own(own))
}
