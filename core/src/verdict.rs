//! What can be said of a deployment, for a job that waits for it: that it is too
//! early, that it is good, that it was rolled back, that it breached and was not,
//! or that nobody can tell and why.

use alloc::{
    format,
    string::{String, ToString},
};

use crate::{
    case::Case,
    decide,
    deployment::bears_witness,
    guard::Guard,
    incident::{Incident, IncidentKind, Outcome},
    moment::Moment,
    project::{Known, Project},
    reducer::{Core, Slot},
    revision::Standing,
    run::{Phase, Run},
    view::{Verdict, VerdictView, WaitsFor},
    words::{IncidentId, RevisionNo},
};

impl Core {
    /// What is to be said of a project's newest revision.
    pub(crate) fn verdict_of_newest(&self, project: &Project, now: Moment) -> VerdictView {
        self.verdict(project, project.durable.revisions.keys().next_back().copied(), now)
    }

    /// What is to be said of one revision.
    pub(crate) fn verdict(
        &self,
        project: &Project,
        number: Option<RevisionNo>,
        now: Moment,
    ) -> VerdictView {
        let said = |says: Says| VerdictView {
            revision: number,
            verdict: says.verdict,
            waits_for: says.waits_for,
            reason: says.reason,
            rollback: says.rollback,
            outcome: says.outcome,
        };
        if let Some(run) = project.durable.rollback.and_then(|id| self.runs.get(&id)) {
            return said(Says::runs(run));
        }
        if !project.is_seen() {
            return said(Says::waits(WaitsFor::Look, "it has not been looked at yet"));
        }
        if let Some(announced) = &project.durable.announced {
            return said(Says::waits(WaitsFor::Deployment, announced.says(now)));
        }
        let known =
            number.and_then(|number| Some((number, project.durable.revisions.get(&number)?)));
        match known {
            _ if project.durable.deploying.is_some() => {
                let nothing = "nothing of it runs";
                let what = if project.exists() { "it has not settled yet" } else { nothing };
                said(Says::waits(WaitsFor::Deployment, what))
            }
            None if project.exists() => {
                said(Says::waits(WaitsFor::Deployment, "its first revision is being recorded"))
            }
            None => said(Says::nobody_knows(format!("{} does not run", project.name))),
            Some((number, known)) => said(self.of_known(project, number, known, now)),
        }
    }

    fn of_known(&self, project: &Project, number: RevisionNo, known: &Known, now: Moment) -> Says {
        if known.standing == Standing::Good {
            return Says::plain(Verdict::Good, "its bake was observed, and nothing breached");
        }
        if let Some(incident) = self.went(project, number) {
            return Says::went(incident);
        }
        if known.standing == Standing::Bad {
            return Says::plain(Verdict::NotRolledBack, "it is marked bad");
        }
        if project.durable.current != Some(number) {
            return Says::nobody_knows(format!("revision {number} no longer runs"));
        }
        if let Some(reason) = self.breached(project, known, now) {
            return Says::plain(Verdict::NotRolledBack, reason);
        }
        let mut slots = self.slots_of(&project.name);
        if !slots.any(|slot| bears_witness(slot, &known.revision)) {
            return Says::nobody_knows("no trigger that rolls back watches what it changed");
        }
        match &known.judged {
            Some(reason) if self.still_breaches(project, known, now) => {
                Says::plain(Verdict::NotRolledBack, reason.clone())
            }
            Some(reason) => Says::nobody_knows(reason.clone()),
            None => Says::waits(WaitsFor::Bake, "its bake is being observed"),
        }
    }

    /// The last rollback from this revision, unless it has been gone back to
    /// since.
    fn went(&self, project: &Project, number: RevisionNo) -> Option<&Incident> {
        let concerns = |incident: &&Incident| {
            incident.kind == IncidentKind::Rollback
                && incident.project == project.name
                && (incident.from == number || incident.to == Some(number))
        };
        let last = self.history.values().rfind(concerns)?;
        (last.from == number).then_some(last)
    }

    /// The breach of what it changed that led to no rollback, and why not.
    fn breached(&self, project: &Project, known: &Known, now: Moment) -> Option<String> {
        let first = known.revision.changed.is_empty();
        let reason = |slot: &Slot| {
            let trigger = slot.watch.settings();
            let breach = slot.watch.breach(now)?;
            // Until it was decided and told, it may yet be rolled back.
            project.durable.breached.get(&trigger.id).copied().flatten()?;
            let breach = decide::breach_of(trigger, breach, slot.watch.value_now(now));
            let (guard, reason) =
                Case::of(self, project, &slot.watch, breach, now)?.in_the_way()?;
            let others = matches!(guard, Guard::Older) || (guard == Guard::NobodyToBlame && !first);
            (!others && !guard.only_waits())
                .then(|| format!("{} breached and nothing was rolled back: {reason}", trigger.name))
        };
        self.watching(project, known).find_map(reason)
    }

    fn still_breaches(&self, project: &Project, known: &Known, now: Moment) -> bool {
        self.watching(project, known).any(|slot| slot.watch.breach(now).is_some())
    }

    /// The triggers of what it changed; of a first revision all.
    fn watching<'a>(
        &'a self,
        project: &'a Project,
        known: &'a Known,
    ) -> impl Iterator<Item = &'a Slot> {
        let changed = &known.revision.changed;
        let all = self.slots_of(&project.name);
        all.filter(move |slot| changed.is_empty() || slot.concerns(changed))
    }
}

/// What is said, of whatever revision.
struct Says {
    verdict: Verdict,
    waits_for: Option<WaitsFor>,
    reason: String,
    rollback: Option<IncidentId>,
    outcome: Option<Outcome>,
}

impl Says {
    fn plain(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, waits_for: None, reason: reason.into(), rollback: None, outcome: None }
    }

    fn waits(what: WaitsFor, reason: impl Into<String>) -> Self {
        Self { waits_for: Some(what), ..Self::plain(Verdict::Waits, reason) }
    }

    fn nobody_knows(reason: impl Into<String>) -> Self {
        Self::plain(Verdict::Unknown, reason)
    }

    /// A rollback runs.
    fn runs(run: &Run) -> Self {
        let incident = &run.incident;
        let (what, reason) = match run.phase {
            Phase::Verifying { .. } => (WaitsFor::Verification, "the signals are judged".into()),
            Phase::Acting { .. } | Phase::Ended(_) => {
                let to = incident.to.map_or_else(|| "?".into(), |to| to.to_string());
                (WaitsFor::Rollback, format!("{} to revision {to}", incident.service_names()))
            }
        };
        Self { rollback: Some(incident.id), ..Self::waits(what, reason) }
    }

    /// A rollback from it has ended.
    fn went(incident: &Incident) -> Self {
        let outcome = incident.outcome.unwrap_or(Outcome::Failed);
        let (id, why) = (incident.id, &incident.reason);
        let says = match outcome {
            Outcome::Recovered | Outcome::Unverified | Outcome::NotRecovered => {
                Self::plain(Verdict::RolledBack, why.clone())
            }
            Outcome::Failed => {
                Self::plain(Verdict::NotRolledBack, format!("rollback {id} failed: {why}"))
            }
            Outcome::Refused => {
                Self::plain(Verdict::NotRolledBack, format!("rollback {id} was stopped: {why}"))
            }
        };
        Self { rollback: Some(id), outcome: Some(outcome), ..says }
    }
}
