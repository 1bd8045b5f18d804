//! Why it did or did not act: each trigger with its values and each guard, passed
//! or not, by the same checks that decide.

use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    case::{Case, Check},
    decide::{breach_of, words},
    moment::Moment,
    reducer::{Core, Slot},
    revision::Standing,
    settings::{Action, Condition, Hold, ProjectSettings},
    signal::Unit,
    view::{TriggerState, TriggerView},
    watch::Watch,
    words::{ProjectName, RevisionNo, ServiceName},
};

/// What is known about one service at one moment, and what was decided by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The project.
    pub project: ProjectName,
    /// The service.
    pub service: ServiceName,
    /// The moment that is told of.
    pub at: Moment,
    /// The revision that ran; `None` before the first was recorded.
    pub revision: Option<RevisionNo>,
    /// What was thought of it.
    pub standing: Option<Standing>,
    /// In a sentence: what happens, and what stands in the way of it.
    pub says: String,
    /// Its triggers, those that may act first.
    pub triggers: Vec<WhyTrigger>,
}

/// One trigger, and what stands between its breach and a rollback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyTrigger {
    /// The trigger as it stood.
    pub view: TriggerView,
    /// Its condition, with the values.
    pub says: String,
    /// Every guard, as it is for a breach now.
    pub checks: Vec<Check>,
}

impl Core {
    /// Why a service was or was not rolled back; `None` where nothing is known of
    /// the project or the service.
    #[must_use]
    pub fn why(&self, project: &ProjectName, service: &ServiceName, now: Moment) -> Option<Why> {
        let known = self.projects.get(project).filter(|known| known.settings.is_some())?;
        let mut triggers: Vec<WhyTrigger> = self
            .slots_of(project)
            .filter(|slot| slot.watch.settings().service == *service)
            .map(|slot| self.why_trigger(slot, now))
            .collect();
        if triggers.is_empty() && known.running(service).is_none() {
            return None;
        }
        triggers.sort_by_key(|trigger| trigger.view.action == Action::Alert);
        let revision = known.durable.current;
        let standing = revision.and_then(|number| known.durable.revisions.get(&number));
        Some(Why {
            project: project.clone(),
            service: service.clone(),
            at: now,
            revision,
            standing: standing.map(|known| known.standing),
            says: sentence(&triggers),
            triggers,
        })
    }

    /// What of the configuration an answer about a service goes by: its project's,
    /// with its own triggers alone.
    #[must_use]
    pub fn rules(&self, project: &ProjectName, service: &ServiceName) -> Option<ProjectSettings> {
        let mut settings = self.projects.get(project)?.settings.clone()?;
        settings.triggers.retain(|trigger| trigger.service == *service);
        Some(settings)
    }

    fn why_trigger(&self, slot: &Slot, now: Moment) -> WhyTrigger {
        let watch = &slot.watch;
        let view = watch.view(now);
        let since = view.pending_since.unwrap_or(now);
        let held = watch.breach(now).unwrap_or((since, now));
        let breach = breach_of(watch.settings(), held, watch.value_now(now));
        let project = self.projects.get(&slot.project);
        let case = project.and_then(|project| Case::of(self, project, watch, breach, now));
        let checks = case.map(|case| case.checks()).unwrap_or_default();
        WhyTrigger { says: condition(watch, &view, now), view, checks }
    }
}

/// What comes of the triggers together.
fn sentence(triggers: &[WhyTrigger]) -> String {
    let in_state = |state: TriggerState| triggers.iter().filter(move |t| t.view.state == state);
    let blind: Vec<&str> =
        in_state(TriggerState::Blind).map(|trigger| trigger.view.name.as_str()).collect();
    if let Some(breached) = in_state(TriggerState::Breached).next() {
        let name = &breached.view.name;
        return match breached.checks.iter().find(|check| !check.passed) {
            Some(check) => {
                format!("{name} breaches, and {} holds: {}", check.guard.asks(), check.says)
            }
            None => format!("{name} breaches, and nothing stands in the way"),
        };
    }
    if let Some(pending) = in_state(TriggerState::Pending).next() {
        return format!("{} is pending, and has not held for its time", pending.view.name);
    }
    match (triggers.is_empty(), blind.is_empty()) {
        (true, _) => "no trigger watches it".into(),
        (_, true) => "nothing breaches".into(),
        (_, false) => format!("nothing breaches that can be seen; blind: {}", blind.join(", ")),
    }
}

/// A trigger's condition in words, with its values.
fn condition(watch: &Watch, view: &TriggerView, now: Moment) -> String {
    let unit = view.signal.unit();
    let value = view.value.map(|value| compared(view.condition, unit, value));
    let value = value.unwrap_or_else(|| "no value yet".into());
    let held = |since: Moment| words(now.since(since));
    let reason = view.reason.as_deref().unwrap_or("no data");
    match (view.state, view.pending_since) {
        (TriggerState::Grace, _) => format!("in grace: {reason}"),
        (TriggerState::Blind, _) => format!("blind: {reason}"),
        (TriggerState::Pending, Some(since)) => {
            format!("{value} for {}, of {}", held(since), holds(view.hold))
        }
        (TriggerState::Breached, _) if watch.is_breach_by_blindness(now) => {
            format!("no data since the deployment, and on_blind = \"breach\": {reason}")
        }
        (TriggerState::Breached, Some(since)) if watch.breaches_now() => {
            format!("{value} for {}, and it needs {}", held(since), holds(view.hold))
        }
        (TriggerState::Breached, _) => format!("breached, and not cleared yet: {value}"),
        _ => value,
    }
}

/// `12% is above 5%`.
fn compared(condition: Condition, unit: Unit, value: f64) -> String {
    let (word, threshold) = match condition {
        Condition::Above(threshold) => ("above", threshold),
        Condition::Below(threshold) => ("below", threshold),
        Condition::AtLeast(threshold) => ("at least", threshold),
    };
    let is = if condition.breached_by(value) { "is" } else { "is not" };
    format!("{} {is} {word} {}", unit.show(value), unit.show(threshold))
}

fn holds(hold: Hold) -> String {
    match hold {
        Hold::For(span) => words(span),
        Hold::Share { share, within } => format!("{share} of the samples in {}", words(within)),
    }
}
