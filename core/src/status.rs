//! Snapshots for readers, and what a restart keeps of the windows.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    incident::Incident,
    moment::Moment,
    project::Project,
    reducer::{Core, Slot},
    revision::{Observation, Revision},
    settings::{Action, ProjectSettings},
    view::{ProjectView, RevisionView, ServiceView, TriggerView},
    window::Window,
    words::{ProjectName, RevisionNo, ServiceName, TriggerId},
};

/// How many incidents a view shows.
const SHOWN: usize = 100;

/// What may be lost, and is kept so that a restart is a short gap: the windows
/// and how far each bake has been observed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    windows: Vec<(ProjectName, TriggerId, Window)>,
    bakes: Vec<(ProjectName, RevisionNo, Duration)>,
}

impl Core {
    /// The windows as they are.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let windows = self.slots.iter().flatten().map(|slot| {
            let id = slot.watch.settings().id.clone();
            (slot.project.clone(), id, slot.watch.window().clone())
        });
        let bakes = self.projects.values().filter_map(|project| {
            let baking = project.baking()?;
            Some((project.name.clone(), baking.number, project.bake.observed))
        });
        Checkpoint { windows: windows.collect(), bakes: bakes.collect() }
    }

    /// Goes on from a checkpoint, after the facts were applied and the
    /// configuration taken. What lies between is a gap.
    pub fn restore(&mut self, checkpoint: Checkpoint, now: Moment) {
        let mut kept: BTreeMap<_, Window> =
            checkpoint.windows.into_iter().map(|(p, id, window)| ((p, id), window)).collect();
        for slot in self.slots.iter_mut().flatten() {
            let key = (slot.project.clone(), slot.watch.settings().id.clone());
            if let Some(window) = kept.remove(&key) {
                slot.watch.restore(window, now);
            }
        }
        let names: Vec<ProjectName> = self.projects.keys().cloned().collect();
        for name in &names {
            let observed = checkpoint.bakes.iter().find(|(project, ..)| project == name);
            self.catch_up(name, observed.map(|(_, number, observed)| (*number, *observed)));
        }
    }

    /// The facts may be newer than the checkpoint: what they tell of deployments
    /// and bakes, the windows of a project learn now.
    fn catch_up(&mut self, name: &ProjectName, observed: Option<(RevisionNo, Duration)>) {
        let Some(project) = self.projects.get_mut(name) else { return };
        let settle = project.settings.as_ref().map(|settings| settings.settle).unwrap_or_default();
        let newest = project.durable.revisions.values().next_back().map(|known| &known.revision);
        let ended = newest
            .filter(|newest| !newest.changed.is_empty())
            .map(|newest| (newest.began_at, newest.changed.clone(), newest.deployed_at + settle));
        let deploying = project.durable.deploying.as_ref();
        let deploying =
            deploying.map(|d| (d.began, d.services.iter().cloned().collect::<Vec<_>>()));
        let baking = project.baking().map(|baking| baking.number);
        let same = observed.filter(|(number, _)| baking == Some(*number));
        if let Some((_, observed)) = same {
            project.bake.observed = observed;
        }
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.project == *name) {
            let unknown = |slot: &Slot, began, services: &[ServiceName]| {
                slot.concerns(services) && !slot.watch.knows_of(began)
            };
            if let Some((began, services, until)) = &ended {
                if unknown(slot, *began, services) {
                    slot.watch.deployment_began(*began);
                }
                if deploying.is_none() {
                    slot.watch.deployment_ended(*until);
                }
            }
            match &deploying {
                Some((began, services)) if unknown(slot, *began, services) => {
                    slot.watch.deployment_began(*began);
                }
                Some(_) => {}
                None => slot.watch.deployment_ended(Moment::ZERO),
            }
            if same.is_none() {
                slot.watch.bake_began();
            }
        }
    }

    /// The configured projects, by name.
    #[must_use]
    pub fn views(&self, now: Moment) -> Vec<ProjectView> {
        self.projects.values().filter_map(|project| self.view(project, now)).collect()
    }

    /// The revisions of each project that must stay restorable: of those that
    /// are configured, and of those whose rollback runs.
    #[must_use]
    pub fn kept(&self) -> Vec<(ProjectName, Vec<Revision>)> {
        let kept = |project: &Project| {
            let run = project.durable.rollback.and_then(|id| self.runs.get(&id));
            let mut numbers = match &project.settings {
                Some(settings) => project.durable.kept(settings.keep),
                // Removed from the configuration while its rollback runs.
                None => [run?.incident.from].into(),
            };
            numbers.extend(run.and_then(|run| run.incident.to));
            let known = numbers.iter().filter_map(|number| project.durable.revisions.get(number));
            Some((project.name.clone(), known.map(|known| known.revision.clone()).collect()))
        };
        self.projects.values().filter_map(kept).collect()
    }

    fn view(&self, project: &Project, now: Moment) -> Option<ProjectView> {
        let settings = project.settings.as_ref()?;
        let durable = &project.durable;
        let known = durable.current.and_then(|number| durable.revisions.get(&number));
        let running = durable.rollback.and_then(|id| self.runs.get(&id));
        let ended = self.history.values().filter(|incident| incident.project == project.name);
        let mut incidents: Vec<Incident> = ended.rev().take(SHOWN).cloned().collect();
        incidents.reverse();
        incidents.extend(running.map(|run| run.incident.clone()));
        let bake =
            project.baking().map(|_| (project.bake.observed.min(settings.bake), settings.bake));
        Some(ProjectView {
            name: project.name.clone(),
            mode: settings.mode,
            revision: durable.current,
            standing: known.map(|known| known.standing),
            deploying_since: durable.deploying.as_ref().map(|deploying| deploying.began),
            bake,
            paused: durable.pause.clone(),
            announced: durable.announced.as_ref().map(|known| (known.began, known.until)),
            verdict: self.verdict_of_newest(project, now),
            running: self.verdict(project, durable.current, now),
            rollback: durable.rollback,
            services: self.service_views(project, now),
            revisions: revision_views(project, settings),
            incidents,
        })
    }

    fn service_views(&self, project: &Project, now: Moment) -> Vec<ServiceView> {
        let mut triggers: BTreeMap<ServiceName, Vec<TriggerView>> = BTreeMap::new();
        for slot in self.slots_of(&project.name) {
            let view = slot.watch.view(now);
            triggers.entry(slot.watch.settings().service.clone()).or_default().push(view);
        }
        let seen = project.seen.iter().flat_map(|seen| &seen.services);
        let names: BTreeSet<ServiceName> = seen
            .map(|service| service.record.name.clone())
            .chain(triggers.keys().cloned())
            .collect();
        let view = |name: ServiceName| {
            let triggers = triggers.remove(&name).unwrap_or_default();
            let reasons = self.unarmed(project, &name, &triggers);
            let record = project.running(&name);
            ServiceView {
                image: record.map(|record| record.image.clone()),
                image_id: record.map(|record| record.image_id),
                since: project.seen.as_ref().and_then(|seen| since(seen, &name)),
                armed: reasons.is_empty(),
                reasons,
                target: project.durable.refuge(),
                triggers,
                name,
            }
        };
        names.into_iter().map(view).collect()
    }

    /// Why a service is not armed; empty when it is.
    fn unarmed(
        &self,
        project: &Project,
        name: &ServiceName,
        triggers: &[TriggerView],
    ) -> Vec<String> {
        if let Some(why) = &self.engine_down {
            return alloc::vec![format!("the engine does not answer: {why}")];
        }
        if project.seen.is_none() {
            return alloc::vec!["the project has not been looked at yet".into()];
        }
        if !project.exists() {
            return alloc::vec!["the project does not run".into()];
        }
        let mut reasons = Vec::new();
        if project.running(name).is_none() {
            reasons.push("it has no container".into());
        }
        let acting: Vec<&TriggerView> =
            triggers.iter().filter(|trigger| trigger.action == Action::Rollback).collect();
        if acting.is_empty() {
            reasons.push("it has no trigger that rolls back".into());
        }
        for trigger in acting.iter().filter(|t| t.state == crate::view::TriggerState::Blind) {
            let why = trigger.reason.as_deref().unwrap_or("no data");
            reasons.push(format!("{} is blind: {why}", trigger.name));
        }
        match project.durable.refuge() {
            None => reasons.push("there is no revision to return to".into()),
            Some(target) => match project.restorable.get(&target) {
                None => reasons.push(format!("revision {target} has not been checked yet")),
                Some(Some(missing)) => reasons.push(missing.clone()),
                Some(None) => {}
            },
        }
        reasons
    }
}

/// When the youngest of its containers started.
fn since(seen: &Observation, name: &ServiceName) -> Option<Moment> {
    let service = seen.services.iter().find(|service| service.record.name == *name)?;
    service.containers.iter().filter_map(|container| container.started_at).max()
}

fn revision_views(project: &Project, settings: &ProjectSettings) -> Vec<RevisionView> {
    let kept = project.durable.kept(settings.keep);
    let problem = |number: RevisionNo| match project.restorable.get(&number) {
        _ if !kept.contains(&number) => Some("no longer kept".into()),
        Some(problem) => problem.clone(),
        None => Some("not checked yet".into()),
    };
    let view = |(number, known): (&RevisionNo, &crate::project::Known)| RevisionView {
        revision: known.revision.clone(),
        standing: known.standing,
        acquitted: known.acquitted,
        problem: problem(*number),
    };
    project.durable.revisions.iter().map(view).collect()
}
