//! What people ask for. By hand, only a missing target and a running rollback
//! refuse.

use alloc::{borrow::ToOwned, boxed::Box, collections::BTreeSet, format, string::String, vec::Vec};
use core::time::Duration;

use crate::{
    decide::{self, words},
    event::{Accepted, Answer, Command, Goal, Refusal, WantedImage},
    fact::Fact,
    incident::{Cause, Incident},
    moment::Moment,
    planner,
    project::Project,
    reducer::{Core, Turn},
    settings::ProjectSettings,
    through_compose,
    words::{ProjectName, RevisionNo, ServiceName},
};

/// A rollback by hand, as asked for.
struct ByHand<'a> {
    project: &'a Project,
    settings: &'a ProjectSettings,
    service: Option<&'a ServiceName>,
}

impl Core {
    /// Takes a command; its facts are in the turn, its answer is given.
    pub(crate) fn command(&self, now: Moment, command: Command, turn: &mut Turn) -> Answer {
        match command {
            Command::Rollback { project, service, to, reason, dry_run } => {
                let cause = Cause::Person { reason, forward: false };
                let before = turn.facts.len();
                let known = self.free(&project)?;
                let known = end_deployment(known, now, turn);
                let asked = asked(&known, service.as_ref())?;
                let answer = asked.goes(to, cause, now).map(|incident| (incident, dry_run));
                if dry_run || answer.is_err() {
                    turn.facts.truncate(before);
                }
                let (incident, dry_run) = answer?;
                Ok(self.begin_by_hand(now, incident, dry_run, turn))
            }
            Command::Forward { project, service } => {
                let before = turn.facts.len();
                let known = self.free(&project)?;
                let known = end_deployment(known, now, turn);
                let asked = asked(&known, service.as_ref())?;
                let answer = self.forward(&asked, now);
                if answer.is_err() {
                    turn.facts.truncate(before);
                }
                Ok(self.begin_by_hand(now, answer?, false, turn))
            }
            Command::Pause { project, lasts, reason } => {
                self.pause(now, project.as_ref(), lasts, &reason, turn)
            }
            Command::Resume { project } => self.resume(now, project.as_ref(), turn),
            Command::DeployBegins { project, id, limit } => {
                self.deploy_begins(now, &project, id, limit, turn)
            }
            Command::DeployEnds { project, id } => self.deploy_ends(now, &project, &id, turn),
            Command::Abort { incident } => self.abort(now, incident, turn),
        }
    }

    fn begin_by_hand(
        &self,
        now: Moment,
        incident: Incident,
        dry_run: bool,
        turn: &mut Turn,
    ) -> Accepted {
        let to = match (incident.to, incident.destination()) {
            (None, Some(image)) => format!("the image {image}"),
            (to, _) => format!("revision {}", to.map_or(0, |to| to.0)),
        };
        let what = format!("{}: {} to {to}", incident.project, incident.service_names());
        let shown = incident.clone();
        if dry_run {
            let message = format!("would put back {what}");
            return Accepted { message, incident: Some(Box::new(shown)) };
        }
        let id = self.begin(now, incident, turn);
        let message = format!("rollback {id} has begun: {what}");
        Accepted { message, incident: Some(Box::new(Incident { id, ..shown })) }
    }

    /// A configured project in which no rollback runs.
    pub(crate) fn free(&self, name: &ProjectName) -> Result<&Project, Refusal> {
        let project = self.configured(name)?;
        if let Some(id) = project.durable.rollback {
            let message = format!("rollback {id} of {name} is running");
            return Err(refusal(message, format!("follow it with `rollbackd history {id}`")));
        }
        if let Some(why) = &self.engine_down {
            return Err(refusal(format!("the engine does not answer: {why}"), "start the engine"));
        }
        Ok(project)
    }

    pub(crate) fn configured(&self, name: &ProjectName) -> Result<&Project, Refusal> {
        let known = self.projects.get(name).filter(|project| project.settings.is_some());
        known.ok_or_else(|| {
            let all: Vec<&str> = self.watched().map(ProjectName::as_str).collect();
            let hint = format!("the configuration has: {}", all.join(", "));
            refusal(format!("no project named {name} is configured"), hint)
        })
    }

    fn watched(&self) -> impl Iterator<Item = &ProjectName> {
        let configured = self.projects.values().filter(|project| project.settings.is_some());
        configured.map(|project| &project.name)
    }

    fn forward(&self, asked: &ByHand<'_>, now: Moment) -> Result<Incident, Refusal> {
        let ByHand { project, settings, service } = *asked;
        let name = &project.name;
        let last = project.durable.past.iter().rev().find(|past| past.done);
        let Some(last) = last.filter(|past| !past.forward) else {
            return Err(refusal(format!("{name} has no rollback to undo"), ""));
        };
        if last.to.is_none() || project.durable.current != last.to {
            let message = format!("{name} was deployed again since rollback {}", last.id);
            return Err(refusal(
                message,
                format!("`rollbackd rollback {name} --to REV` goes to any revision"),
            ));
        }
        let of_last = self.history.get(&last.id).map(|incident| incident.services.as_slice());
        let services: BTreeSet<ServiceName> = of_last
            .unwrap_or_default()
            .iter()
            .map(|change| change.name.clone())
            .filter(|name| service.is_none_or(|wanted| wanted == name))
            .collect();
        restorable(project, last.from)?;
        let cause = Cause::Person { reason: String::new(), forward: true };
        decide::incident(project, settings, last.from, &services, cause, now)
            .ok_or_else(|| refusal(format!("{name} already runs revision {}", last.from), ""))
    }

    fn pause(
        &self,
        now: Moment,
        project: Option<&ProjectName>,
        lasts: Option<Duration>,
        reason: &str,
        turn: &mut Turn,
    ) -> Answer {
        let names = self.named(project)?;
        let until = lasts.map(|lasts| now + lasts);
        for project in &names {
            let (project, reason) = (project.clone(), reason.to_owned());
            turn.facts.push(Fact::Paused { project, until, reason, at: now });
        }
        let how_long =
            lasts.map_or_else(|| "until resumed".to_owned(), |d| format!("for {}", words(d)));
        Ok(done(format!("paused {how_long}: {}; alerts go on", list(&names))))
    }

    fn resume(&self, now: Moment, project: Option<&ProjectName>, turn: &mut Turn) -> Answer {
        let names = self.named(project)?;
        let paused = |name: &ProjectName| {
            self.projects.get(name).is_some_and(|project| project.durable.pause.is_some())
        };
        let held: Vec<ProjectName> = names.iter().filter(|name| paused(name)).cloned().collect();
        if held.is_empty() {
            return Ok(done(format!("{} was not paused", list(&names))));
        }
        for project in &held {
            turn.facts.push(Fact::Resumed { project: project.clone(), at: now });
        }
        Ok(done(format!("resumed: {}", list(&held))))
    }

    /// One project, or every one.
    fn named(&self, project: Option<&ProjectName>) -> Result<Vec<ProjectName>, Refusal> {
        match project {
            Some(name) => self.configured(name).map(|project| alloc::vec![project.name.clone()]),
            None => Ok(self.watched().cloned().collect()),
        }
    }
}

impl ByHand<'_> {
    fn goes(&self, to: Option<Goal>, cause: Cause, now: Moment) -> Result<Incident, Refusal> {
        match to {
            None => self.back(None, cause, now),
            Some(Goal::Revision(to)) => self.back(Some(to), cause, now),
            Some(Goal::Image(wanted)) => self.to_image(&wanted, cause, now),
        }
    }

    /// To the revision that ran an image, else through Compose.
    fn to_image(
        &self,
        wanted: &WantedImage,
        cause: Cause,
        now: Moment,
    ) -> Result<Incident, Refusal> {
        let Self { project, settings, service } = *self;
        let (name, reference) = (&project.name, wanted.reference.as_str());
        let Some(service) = service else {
            let hint = format!("name it: `rollbackd rollback {name}/SERVICE --to {reference}`");
            return Err(refusal("an image is gone back to for one service", hint));
        };
        let Some(image) = wanted.id else {
            return Err(refusal(format!("nobody found out which image {reference} is"), ""));
        };
        let running = through_compose::runs(project, service, image)?;
        if let Some(number) = through_compose::ran_here(project, service, image) {
            return self.back(Some(number), cause, now);
        }
        decide::to_image(project, settings, running, (reference, image), cause, now)
            .ok_or_else(|| refusal(format!("{name} has no revision yet"), "try again in a moment"))
    }

    fn back(&self, to: Option<RevisionNo>, cause: Cause, now: Moment) -> Result<Incident, Refusal> {
        let Self { project, settings, service } = *self;
        let name = &project.name;
        let hint = || format!("`rollbackd revisions {name}` lists what can be returned to");
        let durable = &project.durable;
        let target = to.or_else(|| durable.target(&BTreeSet::new()));
        let Some(to) = target else {
            return Err(refusal(format!("{name} has no earlier revision to return to"), hint()));
        };
        let Some(known) = durable.revisions.get(&to) else {
            return Err(refusal(format!("{name} has no revision {to}"), hint()));
        };
        restorable(project, to)?;
        let services: BTreeSet<ServiceName> = match service {
            Some(service) => [service.clone()].into(),
            None => planner::all_that_differ(project, settings, &known.revision),
        };
        if let Some(service) = service
            && known.revision.service(service).is_none()
        {
            return Err(refusal(format!("revision {to} has no service {service}"), hint()));
        }
        let differs = |service: &ServiceName| {
            let running = project.running(service).map(|record| &record.fingerprint);
            running != known.revision.service(service).map(|record| &record.fingerprint)
        };
        let services: BTreeSet<ServiceName> = services.into_iter().filter(differs).collect();
        decide::incident(project, settings, to, &services, cause, now).ok_or_else(|| {
            let what = service.map_or_else(|| name.as_str().to_owned(), |s| format!("{name}/{s}"));
            refusal(format!("{what} already runs what revision {to} ran"), hint())
        })
    }
}

/// What is running is a revision from now on, settled or not: a person does not
/// wait.
fn end_deployment(project: &Project, now: Moment, turn: &mut Turn) -> Project {
    let mut project = project.clone();
    if project.durable.deploying.is_some()
        && project.is_seen()
        && let Some(fact) = project.end_deployment(now)
    {
        project.apply(&fact, None);
        turn.facts.push(fact);
    }
    project
}

fn asked<'a>(
    project: &'a Project,
    service: Option<&'a ServiceName>,
) -> Result<ByHand<'a>, Refusal> {
    let name = &project.name;
    let not_yet = || refusal(format!("{name} has not been looked at yet"), "try again in a moment");
    let settings = project.settings.as_ref().ok_or_else(not_yet)?;
    if !project.is_seen() {
        return Err(not_yet());
    }
    Ok(ByHand { project, settings, service })
}

fn restorable(project: &Project, to: RevisionNo) -> Result<(), Refusal> {
    match project.restorable.get(&to) {
        Some(Some(missing)) => {
            let message = format!("revision {to} cannot be returned to: {missing}");
            Err(refusal(message, format!("`rollbackd revisions {}` lists what can", project.name)))
        }
        Some(None) | None => Ok(()),
    }
}

pub(crate) fn refusal(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal { message: message.into(), hint: hint.into() }
}

pub(crate) const fn done(message: String) -> Accepted {
    Accepted { message, incident: None }
}

fn list(names: &[ProjectName]) -> String {
    let names: Vec<&str> = names.iter().map(ProjectName::as_str).collect();
    names.join(", ")
}
