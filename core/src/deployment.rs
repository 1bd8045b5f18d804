//! Seeing deployments: what runs, against what shall run; and the bake that
//! follows each.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::time::Duration;

use crate::{
    decide::words,
    fact::Fact,
    moment::Moment,
    project::{Bake, Project},
    reducer::{Core, Slot, Turn},
    revision::{Observation, Revision, Standing},
    settings::{Action, ProjectSettings},
    words::{ProjectName, ServiceName},
};

/// A longer silence than this is not observed time: the machine was suspended.
const UNOBSERVED: Duration = Duration::from_secs(120);
/// Beyond its longest `for`, a revision must be seen so long without a fault to
/// be returned to though its bake is not over.
const CLEAN: Duration = Duration::from_secs(5 * 60);
/// How often a bake that is over looks again whether what it waits for is.
const AGAIN: Duration = Duration::from_secs(5);
/// The share of a bake that each trigger's samples must cover.
const EVIDENCE: f64 = 0.9;

impl Core {
    /// A project was looked at.
    pub(crate) fn observed(&mut self, now: Moment, seen: Observation, turn: &mut Turn) {
        let name = seen.project.clone();
        let Some(project) = self.projects.get_mut(&name) else { return };
        if project.seen.as_ref().is_some_and(|newer| newer.at > seen.at) {
            // Two looks crossed on their way.
            return;
        }
        let changed = match &project.seen {
            None => Some(newest_start(&seen, now)),
            Some(before) if differs(before, &seen) => Some(seen.changed_at.unwrap_or(seen.at)),
            Some(_) => None,
        };
        if let Some(at) = changed {
            // Settling counts from when the change was seen, at the latest.
            project.changed_at = if project.seen.is_some() { now } else { at.min(now) };
        }
        let began = seen.changed_at.unwrap_or(seen.at).min(now);
        project.seen = Some(seen);
        self.regrace(&name);
        let Some(project) = self.projects.get_mut(&name) else { return };
        if let Some(running) = project.durable.rollback {
            let run = self.runs.get(&running);
            project.overtaken = run.and_then(|run| project.deployed_over(&run.incident));
            if project.overtaken.is_some() {
                project.unrecorded.get_or_insert(began);
            }
            return;
        }
        if !project.is_seen() {
            return;
        }
        if project.settings.is_none() || project.durable.current.is_none() {
            return self.settle(now, &name, turn);
        }
        let differing = project.differing();
        // Should recording it fail, the next look still knows when it began.
        let began = project.unrecorded.map_or(began, |first| first.min(began));
        project.unrecorded = (!differing.is_empty()).then_some(began);
        match &project.durable.deploying {
            None if !differing.is_empty() => {
                // Not before the last revision was there: a container's own
                // time may be older than the deployment that uses it.
                let at = began.max(project.known_until());
                let services = differing.into_iter().collect();
                turn.facts.extend(self.clean(now, &name));
                let project = name.clone();
                turn.facts.push(Fact::DeploymentBegan { project, at, services });
            }
            Some(deploying) if !differing.is_subset(&deploying.services) => {
                let more = differing.difference(&deploying.services).cloned().collect();
                let project = name.clone();
                turn.facts.push(Fact::DeploymentGrew { project, services: more });
            }
            Some(_) | None => self.settle(now, &name, turn),
        }
        self.announce(now, &name, turn);
    }

    /// Ends a deployment in which nothing has changed for `settle`.
    fn settle(&self, now: Moment, name: &ProjectName, turn: &mut Turn) {
        let Some(project) = self.projects.get(name) else { return };
        let Some(settings) = &project.settings else { return };
        let settled = project.settles_at(settings).is_some_and(|at| at <= now);
        if !settled || self.engine_down.is_some() || project.durable.rollback.is_some() {
            return;
        }
        let announced = project.durable.announced.is_some();
        let began = project.durable.deploying.is_some() || project.durable.current.is_none();
        let differing = project.differing();
        if !began && !differing.is_empty() {
            // Its command's last change was seen, and could not be recorded.
            let (project, services) = (name.clone(), differing.into_iter().collect());
            turn.facts.push(Fact::DeploymentBegan { project, at: now, services });
            return;
        }
        let ended = if began { project.end_deployment(now) } else { None };
        turn.facts.extend(ended.clone());
        if announced {
            let project = name.clone();
            turn.facts.push(Fact::AnnouncementOver { project, at: now, ran_out: false });
        } else if let Some(Fact::DeploymentEnded { revision, .. }) = &ended {
            self.put_back(now, name, revision, turn);
        }
    }

    /// What runs was seen without a fault for the longest `for` and five minutes
    /// more: it can be returned to, though another deployment begins now.
    fn clean(&self, now: Moment, name: &ProjectName) -> Option<Fact> {
        let project = self.projects.get(name)?;
        let baking = project.baking()?;
        project.durable.revisions.get(&baking.number).filter(|known| !known.returnable)?;
        let relevant: Vec<&Slot> =
            self.slots_of(name).filter(|slot| bears_witness(slot, baking)).collect();
        let longest = relevant.iter().map(|slot| slot.watch.settings().hold.span()).max();
        let (seen, needed) = (project.bake.observed, longest.unwrap_or_default() + CLEAN);
        let faultless = |slot: &&Slot| {
            let covered = slot.watch.covered() >= seen.mul_f64(EVIDENCE);
            covered && !slot.watch.is_pending() && slot.watch.breach(now).is_none()
        };
        if seen < needed || !relevant.iter().all(faultless) {
            return None;
        }
        let reason = format!("nothing breached in the {} that were observed", words(seen));
        Some(Fact::Clean { project: name.clone(), revision: baking.number, at: now, reason })
    }

    /// Samples count again `grace` after the service, and what it depends on,
    /// has started.
    pub(crate) fn regrace(&mut self, name: &ProjectName) {
        let Some(seen) = self.projects.get(name).and_then(|project| project.seen.as_ref()) else {
            return;
        };
        let starts = starts(seen);
        let Some(project) = self.projects.get(name) else { return };
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.project == *name) {
            let trigger = slot.watch.settings();
            let started = starts.get(&trigger.service).copied();
            let counts = started.filter(|_| !trigger.grace.is_zero());
            let until = counts.map_or(Moment::ZERO, |at| at + trigger.grace);
            let known_bad = project.runs_known_bad(&trigger.service).is_some();
            slot.watch.grace_until(until);
            slot.watch.known_bad(known_bad);
        }
    }

    /// Counts observed time, and ends what only waits for time.
    pub(crate) fn tick(&mut self, now: Moment, turn: &mut Turn) {
        let names: Vec<ProjectName> = self.projects.keys().cloned().collect();
        for name in &names {
            let settled = turn.facts.is_empty();
            if settled {
                self.settle(now, name, turn);
            }
            let down = self.engine_down.is_some();
            let Some(project) = self.projects.get_mut(name) else { continue };
            project.count_bake(now, down);
            if turn.facts.is_empty() {
                self.end_bake(now, name, turn);
            }
        }
    }

    /// Says what is thought of a revision whose bake is over.
    fn end_bake(&mut self, now: Moment, name: &ProjectName, turn: &mut Turn) {
        let Some(project) = self.projects.get(name) else { return };
        let Some(settings) = &project.settings else { return };
        let (Some(baking), true) = (project.baking(), project.bake.observed >= settings.bake)
        else {
            return;
        };
        let (number, known) = (baking.number, &project.durable.revisions[&baking.number]);
        let (standing, was_returnable) = (known.standing, known.returnable);
        let unweighed = known.judged.is_none();
        let relevant: Vec<&Slot> =
            self.slots_of(name).filter(|slot| bears_witness(slot, baking)).collect();
        // What is pending at the end is seen through, for its own time at most:
        // a share may stay below its share for ever.
        let beyond = project.bake.observed.saturating_sub(settings.bake);
        let open = |slot: &&Slot| {
            let trigger = slot.watch.settings();
            let most = trigger.hold.span() + trigger.every + trigger.max_gap;
            slot.watch.is_pending() && beyond <= most
        };
        if relevant.iter().any(open) {
            return;
        }
        let (verdict, returnable, reason) = weigh(&relevant, settings, now);
        // The first bake of one that was never weighed says why it stays unproven.
        let news = verdict == Standing::Good || (returnable && !was_returnable);
        let weighed = news || standing == Standing::Baking;
        let returnable = if weighed { returnable } else { was_returnable };
        if weighed || unweighed {
            let project = name.clone();
            turn.facts.push(Fact::Stands {
                project,
                revision: number,
                standing: verdict,
                at: now,
                returnable,
                reason,
            });
        }
        if standing != Standing::Baking && verdict != Standing::Good {
            self.bake_again(now, name);
        }
    }

    /// An unproven revision is watched for another bake.
    fn bake_again(&mut self, now: Moment, name: &ProjectName) {
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.project == *name) {
            slot.watch.bake_began();
        }
        if let Some(project) = self.projects.get_mut(name) {
            project.bake = Bake { observed: Duration::ZERO, counted_to: Some(now) };
        }
    }
}

/// Would a rollback of what this revision changed have come from this trigger?
pub(crate) fn bears_witness(slot: &Slot, revision: &Revision) -> bool {
    let trigger = slot.watch.settings();
    let first = revision.changed.is_empty();
    trigger.action == Action::Rollback && (first || revision.changed.contains(&trigger.service))
}

/// What a finished bake says of a revision: its standing, whether it may be
/// returned to, and why.
fn weigh(relevant: &[&Slot], settings: &ProjectSettings, now: Moment) -> (Standing, bool, String) {
    let name = |slot: &&&Slot| slot.watch.settings().name.clone();
    if let Some(breached) = relevant.iter().find(|slot| slot.watch.breach(now).is_some()) {
        let why = format!("{} still breaches at the end of its bake", name(&breached));
        return (Standing::Unproven, false, why);
    }
    if relevant.is_empty() {
        return (Standing::Unproven, true, "no trigger watches what it changed".into());
    }
    let needed = settings.bake.mul_f64(EVIDENCE);
    if let Some(blind) = relevant.iter().find(|slot| slot.watch.covered() < needed) {
        let share = blind.watch.covered().as_secs_f64() / settings.bake.as_secs_f64().max(1e-9);
        let why = format!("{} had data for only {:.0}% of its bake", name(&blind), share * 100.0);
        return (Standing::Unproven, true, why);
    }
    (Standing::Good, true, "its bake was observed, and nothing breached".into())
}

impl Project {
    /// What ends the deployment now: a revision, or the insight that nothing
    /// has changed. `None` while nothing runs.
    pub(crate) fn end_deployment(&self, now: Moment) -> Option<Fact> {
        let seen = self.seen.as_ref().filter(|_| self.exists())?;
        let project = self.name.clone();
        let first = self.durable.current.is_none();
        let changed: Vec<ServiceName> =
            if first { Vec::new() } else { self.differing().into_iter().collect() };
        if !first && changed.is_empty() {
            return Some(Fact::DeploymentVanished { project, at: now });
        }
        let began_at = self.durable.deploying.as_ref().map_or(self.changed_at, |d| d.began);
        let told = self.durable.announced.as_ref().and_then(|announced| announced.ended);
        let revision = Revision {
            number: self.durable.next_number(),
            began_at,
            deployed_at: self.changed_at.max(began_at).max(told.unwrap_or(Moment::ZERO)),
            services: seen.services.iter().map(|service| service.record.clone()).collect(),
            changed,
        };
        Some(Fact::DeploymentEnded { project, revision })
    }

    /// When the newest revision was complete.
    fn known_until(&self) -> Moment {
        let revisions = self.durable.revisions.values();
        revisions.map(|known| known.revision.deployed_at).max().unwrap_or(Moment::ZERO)
    }

    /// The revision whose bake is being observed.
    pub(crate) fn baking(&self) -> Option<&Revision> {
        let known = self.durable.revisions.get(&self.durable.current?)?;
        let open = match known.standing {
            Standing::Baking | Standing::Unproven => true,
            Standing::Good | Standing::Bad => false,
        };
        (open && self.durable.deploying.is_none()).then_some(&known.revision)
    }

    fn count_bake(&mut self, now: Moment, engine_down: bool) {
        if let Some(since) = self.bake.counted_to {
            let passed = now.since(since);
            if passed <= UNOBSERVED {
                self.bake.observed += passed;
            }
        }
        let runs = self.settings.is_some()
            && self.baking().is_some()
            && self.durable.rollback.is_none()
            && self.durable.pause.is_none()
            && self.exists()
            && !engine_down;
        self.bake.counted_to = runs.then_some(now);
    }

    /// When the bake may be over.
    pub(crate) fn bake_due(&self, settings: &ProjectSettings) -> Option<Moment> {
        let left = settings.bake.saturating_sub(self.bake.observed);
        Some(self.bake.counted_to? + if left.is_zero() { AGAIN } else { left })
    }

    /// The first service of a rollback in which a person has meanwhile deployed
    /// something else: neither what ran nor what goes back.
    fn deployed_over(&self, incident: &crate::incident::Incident) -> Option<ServiceName> {
        let foreign = |change: &&crate::incident::ServiceChange| {
            let running = self.running(&change.name);
            running.is_some_and(|r| r.image_id != change.from_id && r.image_id != change.to_id)
        };
        let also = |name: &ServiceName| self.overtaken.as_ref() == Some(name);
        let over = incident.services.iter().find(foreign).map(|change| change.name.clone());
        over.or_else(|| incident.services.iter().map(|c| c.name.clone()).find(also))
    }
}

/// When each service, or what it depends on, last started.
fn starts(seen: &Observation) -> BTreeMap<ServiceName, Moment> {
    let own: BTreeMap<&ServiceName, Moment> = seen
        .services
        .iter()
        .filter_map(|service| {
            let started = service.containers.iter().filter_map(|c| c.started_at).max()?;
            Some((&service.record.name, started))
        })
        .collect();
    let needs: BTreeMap<&ServiceName, Vec<&ServiceName>> = seen
        .services
        .iter()
        .map(|s| (&s.record.name, s.record.depends_on.iter().chain(&s.record.joins).collect()))
        .collect();
    let started = |service: &ServiceName| {
        let (mut open, mut met) = (alloc::vec![service], BTreeSet::new());
        let mut latest = None;
        while let Some(name) = open.pop() {
            if met.insert(name) {
                latest = latest.max(own.get(name).copied());
                open.extend(needs.get(name).into_iter().flatten());
            }
        }
        latest
    };
    seen.services
        .iter()
        .filter_map(|s| Some((s.record.name.clone(), started(&s.record.name)?)))
        .collect()
}

/// Does what runs differ: an image, a configuration, or the containers
/// themselves?
fn differs(a: &Observation, b: &Observation) -> bool {
    let same = |(a, b): (&crate::revision::ServiceSeen, &crate::revision::ServiceSeen)| {
        a.record.name == b.record.name
            && a.record.fingerprint == b.record.fingerprint
            && a.record.containers == b.record.containers
    };
    a.services.len() != b.services.len() || !a.services.iter().zip(&b.services).all(same)
}

/// When the newest of its containers started, or now where one never has.
fn newest_start(seen: &Observation, now: Moment) -> Moment {
    let containers = seen.services.iter().flat_map(|service| &service.containers);
    containers.map(|container| container.started_at.unwrap_or(now)).max().unwrap_or(now)
}
