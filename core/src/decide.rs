//! From a breach to a decision: whose fault it is, and what stands between it
//! and a rollback.

use alloc::{boxed::Box, collections::BTreeSet, format, string::String, vec::Vec};
use core::time::Duration;

use crate::{
    case::Case,
    guard::Guard,
    incident::{Breach, Cause, Incident, IncidentKind, Outcome, ServiceChange},
    moment::Moment,
    plan::Plan,
    planner::{self, Planned},
    project::Project,
    reducer::Core,
    revision::ServiceRecord,
    settings::{ProjectSettings, TriggerSettings},
    through_compose,
    watch::Watch,
    words::{ImageId, IncidentId, RevisionNo, ServiceName},
};

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
    core: &Core,
    project: &Project,
    watch: &Watch,
    breach: &Breach,
    now: Moment,
) -> Verdict {
    let Some(case) = Case::of(core, project, watch, breach.clone(), now) else {
        let why = "the project is no longer in the configuration";
        return Verdict::Hold(Guard::AlertOnly, why.into(), None);
    };
    let called_for = || case.incident().ok().cloned().map(Box::new);
    match (case.in_the_way(), project.durable.rollback) {
        (None, _) => match called_for() {
            Some(incident) => Verdict::Act(incident),
            None => Verdict::Hold(Guard::NoTarget, "there is nothing to go back to".into(), None),
        },
        (Some((Guard::Running, _)), Some(running)) => Verdict::Join(running),
        (Some((guard, reason)), _) if guard.only_waits() || guard.only_alerts() => {
            Verdict::Hold(guard, reason, None)
        }
        (Some((guard, reason)), _) => {
            let incident = called_for().unwrap_or_else(|| refused(project, breach, now));
            Verdict::Hold(guard, reason, Some(incident))
        }
    }
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

/// The rollback of one service to an image that never ran here.
pub(crate) fn to_image(
    project: &Project,
    settings: &ProjectSettings,
    now_runs: &ServiceRecord,
    (reference, image): (&str, ImageId),
    cause: Cause,
    now: Moment,
) -> Option<Incident> {
    let from = project.durable.current?;
    let Planned { services, plan } =
        through_compose::plan(project, settings, now_runs, reference, image);
    Some(bare(project, IncidentKind::Rollback, (from, None), (services, plan), cause, now))
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
