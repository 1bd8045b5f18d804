//! From a breach to a decision: whose fault it is, and what stands between it
//! and a rollback.

use alloc::{boxed::Box, collections::BTreeSet, format, string::String, vec::Vec};
use core::time::Duration;

use crate::{
    guard::Guard,
    incident::{Breach, Cause, Incident, IncidentKind, Outcome, ServiceChange},
    moment::Moment,
    plan::Plan,
    planner::{self, Planned},
    project::Project,
    settings::{Action, AfterBake, Mode, ProjectSettings, TriggerSettings},
    signal::Signal,
    watch::Watch,
    words::{ImageId, IncidentId, RevisionNo, ServiceName},
};

/// Over how long the budget of rollbacks is counted.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What to do about a breach.
pub(crate) enum Verdict {
    /// Roll back.
    Act(Box<Incident>),
    /// A rollback runs: it joins that.
    Join(IncidentId),
    /// Do not, and why. With the rollback that was refused, where one was
    /// called for.
    Hold(Guard, String, Option<Box<Incident>>),
}

/// Decides about a breach.
pub(crate) fn decide(
    project: &Project,
    watch: &Watch,
    breach: &Breach,
    engine_down: Option<&str>,
    now: Moment,
) -> Verdict {
    let Some(settings) = &project.settings else {
        return hold(Guard::AlertOnly, "the project is no longer in the configuration");
    };
    let trigger = watch.settings();
    if trigger.action == Action::Alert {
        return hold(Guard::AlertOnly, "this trigger only alerts");
    }
    if let Some(running) = project.durable.rollback {
        return Verdict::Join(running);
    }
    if let Some(why) = engine_down {
        return hold(Guard::Unseen, format!("the engine does not answer: {why}"));
    }
    if !project.is_seen() {
        return hold(Guard::Unseen, "the project has not been looked at yet");
    }
    if project.durable.deploying.is_some() {
        return hold(Guard::Deploying, "a deployment is under way; decided when it has settled");
    }
    if let Err((guard, reason)) = blame(project, settings, watch, breach) {
        return hold(guard, reason);
    }
    let except = BTreeSet::new();
    let Some(to) = project.durable.target(&except) else {
        let why = "there is no earlier revision to return to";
        return Verdict::Hold(Guard::NoTarget, why.into(), Some(refused(project, breach, now)));
    };
    let cause = Cause::Breach(breach.clone());
    let services = planner::in_scope(project, settings, to, settings.scope, &trigger.service);
    let Some(incident) = incident(project, settings, to, &services, cause, now) else {
        let why = format!("nothing of revision {to} differs from what runs");
        return Verdict::Hold(Guard::NoTarget, why, Some(refused(project, breach, now)));
    };
    match stands_between(project, settings, &incident, now) {
        Some((guard, reason)) => Verdict::Hold(guard, reason, Some(Box::new(incident))),
        None => Verdict::Act(Box::new(incident)),
    }
}

fn hold(guard: Guard, reason: impl Into<String>) -> Verdict {
    Verdict::Hold(guard, reason.into(), None)
}

/// Is a deployment to blame?
fn blame(
    project: &Project,
    settings: &ProjectSettings,
    watch: &Watch,
    breach: &Breach,
) -> Result<(), (Guard, String)> {
    let trigger = watch.settings();
    let watched: Vec<&ServiceName> =
        core::iter::once(&trigger.service).chain(&trigger.blames).collect();
    let Some(began) = project.durable.blamed(&watched) else {
        return match settings.after_bake {
            AfterBake::Rollback => Ok(()),
            AfterBake::Alert => {
                let service = &trigger.service;
                let why = format!("no deployment of {service} is in its bake, so none is blamed");
                Err((Guard::NobodyToBlame, why))
            }
        };
    };
    let since_before = breach.pending_since < began && trigger.signal != Signal::Health;
    if watch.is_older(began) || (since_before && !became_worse(watch, began)) {
        let why = "it had held before the deployment began, and is not half again as bad since";
        return Err((Guard::Older, why.into()));
    }
    Ok(())
}

/// A breach from before the deployment that the deployment made worse. The
/// window remembers how bad it was; without that memory (after a restart) the
/// older breach is not blamed.
fn became_worse(watch: &Watch, began: Moment) -> bool {
    watch.was_older() && !watch.is_older(began)
}

/// The guards that a person does not need, in the order in which they are told.
fn stands_between(
    project: &Project,
    settings: &ProjectSettings,
    incident: &Incident,
    now: Moment,
) -> Option<(Guard, String)> {
    if settings.mode == Mode::Observe {
        return Some((Guard::Observing, "mode = \"observe\": decided and told, not done".into()));
    }
    if let Some(pause) = &project.durable.pause {
        let why = if pause.reason.is_empty() { "no reason given" } else { &pause.reason };
        return Some((Guard::Paused, format!("{} is paused ({why})", project.name)));
    }
    let images: Vec<ImageId> = incident.services.iter().map(|service| service.from_id).collect();
    let from_same =
        |at: Moment| project.durable.past.iter().filter(move |past| past.at >= at && !past.forward);
    let same = |image: &ImageId| images.contains(image);
    let recent = from_same(now - settings.cooldown).find(|past| past.images.iter().any(same));
    if let Some(past) = recent {
        let left = (past.at + settings.cooldown).since(now);
        let why = format!(
            "cooldown: rollback {} from the same image began less than {} ago; it lifts in {}",
            past.id,
            words(settings.cooldown),
            words(left)
        );
        return Some((Guard::Cooldown, why));
    }
    let today = from_same(now - DAY).filter(|past| past.images.iter().any(same)).count();
    if today >= settings.max_rollbacks as usize {
        let why = format!(
            "{today} rollbacks from the same image in 24 h; max_rollbacks is {}",
            settings.max_rollbacks
        );
        return Some((Guard::Budget, why));
    }
    let missing = incident.to.and_then(|to| project.restorable.get(&to)?.as_ref())?;
    Some((Guard::NotRestorable, missing.clone()))
}

/// The rollback to a revision, with the number 0; `None` if nothing differs.
pub(crate) fn incident(
    project: &Project,
    settings: &ProjectSettings,
    to: RevisionNo,
    services: &BTreeSet<ServiceName>,
    cause: Cause,
    now: Moment,
) -> Option<Incident> {
    let durable = &project.durable;
    let from = durable.current?;
    let target = &durable.revisions.get(&to)?.revision;
    let present = &durable.revisions.get(&from)?.revision;
    let Planned { services, plan } = planner::plan(project, settings, present, target, services)?;
    Some(bare(project, IncidentKind::Rollback, (from, Some(to)), (services, plan), cause, now))
}

/// A refusal for want of anything to go back to.
fn refused(project: &Project, breach: &Breach, now: Moment) -> Box<Incident> {
    let from = project.durable.current.unwrap_or(RevisionNo(0));
    let none = (Vec::new(), Plan { steps: Vec::new(), undo: Vec::new() });
    let cause = Cause::Breach(breach.clone());
    Box::new(bare(project, IncidentKind::Refused, (from, None), none, cause, now))
}

fn bare(
    project: &Project,
    kind: IncidentKind,
    (from, to): (RevisionNo, Option<RevisionNo>),
    (services, plan): (Vec<ServiceChange>, Plan),
    cause: Cause,
    now: Moment,
) -> Incident {
    Incident {
        id: IncidentId(0),
        kind,
        project: project.name.clone(),
        services,
        from,
        to,
        cause,
        joined: Vec::new(),
        began_at: now,
        ended_at: None,
        acted: None,
        outcome: None,
        reason: String::new(),
        steps: Vec::new(),
        plan,
    }
}

impl Incident {
    /// This rollback, refused.
    pub(crate) fn refuse(mut self, reason: String) -> Self {
        self.kind = IncidentKind::Refused;
        self.ended_at = Some(self.began_at);
        self.outcome = Some(Outcome::Refused);
        self.reason = reason;
        self
    }
}

/// The breach of a trigger, in full.
pub(crate) fn breach_of(
    trigger: &TriggerSettings,
    (since, at): (Moment, Moment),
    value: Option<f64>,
) -> Breach {
    Breach {
        trigger: trigger.id.clone(),
        name: trigger.name.clone(),
        service: trigger.service.clone(),
        signal: trigger.signal.clone(),
        condition: trigger.condition,
        value,
        pending_since: since,
        at,
    }
}

/// A duration as a person says it, to the second: `14m 30s`.
pub(crate) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(amount, _)| *amount > 0)
        .take(2)
        .map(|(amount, unit)| format!("{amount}{unit}"))
        .collect();
    if said.is_empty() { format!("{}ms", duration.as_millis()) } else { said.join(" ") }
}
