//! What our own trigger makes of the same values.

use std::time::Duration;

use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading},
    settings::{Action, Blame, Clear, Hold, OnBlind, TriggerSettings},
    signal::Signal,
    view::TriggerState,
    watch::Watch,
    words::{ServiceName, TriggerId},
};

use crate::{
    seen::{Seen, State},
    series::{Pace, Rule},
};

/// The moment that is promtool's 0.
fn moment(at: Duration) -> Moment {
    Moment::ZERO + Duration::from_secs(1_000_000) + at
}

/// A trigger that says what the rule says.
fn trigger(pace: Pace, rule: &Rule) -> TriggerSettings {
    TriggerSettings {
        id: TriggerId::new("rule"),
        name: "rule".into(),
        service: ServiceName::new("web"),
        signal: Signal::parse("a_number"),
        source: "prom".into(),
        measures: "query".into(),
        condition: rule.condition,
        hold: Hold::For(rule.hold),
        for_known_bad: rule.hold,
        clear: Clear::default(),
        every: pace.every,
        max_gap: Duration::ZERO,
        grace: Duration::ZERO,
        recover_within: Duration::from_secs(600),
        looks_back: Duration::ZERO,
        on_blind: OnBlind::Ignore,
        blames: Vec::new(),
        blame: Blame::Careful,
        group: None,
        action: Action::Alert,
    }
}

/// As the sources read an answer: nothing, and NaN, are empty.
fn reading(value: Option<f64>) -> Reading {
    let nothing = || Reading::Missing(Missing::Empty("the query's result is empty".into()));
    value.map_or_else(nothing, Reading::of)
}

/// Feeds what the query yielded at each evaluation. Between two, the daemon
/// wakes the trigger for whatever reason, which changes nothing.
pub fn evaluate(pace: Pace, rule: &Rule, values: &[Option<f64>]) -> Vec<Seen> {
    let mut watch = Watch::new(trigger(pace, rule), moment(Duration::ZERO));
    let seen = pace.evaluations().zip(values).map(|(at, value)| {
        watch.feed(moment(at), &reading(*value));
        let seen = look(&watch, at);
        watch.wake(moment(at + pace.every / 2));
        seen
    });
    seen.collect()
}

fn look(watch: &Watch, at: Duration) -> Seen {
    let now = moment(at);
    let (view, breach) = (watch.view(now), watch.breach(now));
    let state = match view.state {
        TriggerState::Pending => State::Pending,
        TriggerState::Breached => State::Firing,
        // Blind comes after empty answers, which clear: what is held then is wrong.
        TriggerState::Blind if breach.is_some() => State::Firing,
        TriggerState::Blind if watch.is_pending() => State::Pending,
        TriggerState::Ok | TriggerState::Blind => State::Inactive,
        TriggerState::Grace => panic!("there is no grace here"),
    };
    let past = |at: Moment| at.since(moment(Duration::ZERO));
    // Prometheus tells whole seconds.
    let since = view.pending_since.map(|since| Duration::from_secs(past(since).as_secs()));
    Seen { state, since, fired: breach.map(|(_, fired)| past(fired)) }
}
