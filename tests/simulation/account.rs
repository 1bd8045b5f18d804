//! What the facts tell of one project, kept without the core: for the judge.

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::{
    fact::Fact,
    incident::{Cause, Incident, Outcome},
    moment::Moment,
    revision::{Revision, Standing},
    words::{ImageId, IncidentId, RevisionNo, TriggerId},
};

use crate::{
    blamed,
    brought_back::{self, BadImages},
    cleared::{self, Around},
    judge::Broken,
    life::Svc,
    promises::{self, Verdict},
    world::World,
};

/// A revision, as the facts tell of it.
#[derive(Clone, Debug)]
pub struct Known {
    pub revision: Revision,
    pub standing: Standing,
    pub returnable: bool,
}

/// A breach that is not over.
#[derive(Clone, Copy, Debug)]
pub struct Breached {
    /// Since when its condition holds.
    pub since: Moment,
    /// When it was a breach.
    pub at: Moment,
    /// Something was decided of it.
    pub decided: bool,
}

/// The account of one project.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub running: Option<Incident>,
    /// What ran when that began.
    pub ran: BTreeSet<Svc>,
    pub paused: bool,
    pub deploying: bool,
    pub current: Option<RevisionNo>,
    pub revisions: BTreeMap<RevisionNo, Known>,
    /// Deployments that nobody has seen through, oldest first.
    pub unfinished: Vec<RevisionNo>,
    /// Of the unfinished ones: seconds that were certainly observed.
    pub observed: u64,
    pub breached: BTreeMap<TriggerId, Breached>,
    /// When, from which images, and whether cooldown and budget count it.
    pub rollbacks: Vec<(Moment, Vec<ImageId>, bool)>,
    /// When what nobody had deployed was put back.
    pub put_back: Vec<Moment>,
    pub bad: BadImages,
    /// When a deployment was last seen to begin or to grow.
    pub deployed: Option<Moment>,
    pub acquitted: BTreeSet<(RevisionNo, IncidentId)>,
    pub last: Option<(Moment, Outcome)>,
}

impl Account {
    /// What a fact promises beside what it begins or ends.
    pub fn judge(&self, fact: &Fact, now: Moment, world: &mut World) -> Result<(), Broken> {
        let of = |promise: &'static str, verdict: Verdict| {
            verdict.map_err(|why| Broken::new(promise, why))
        };
        match fact {
            Fact::Cleared { project, trigger, .. } => {
                let project = world.settings.projects.iter().find(|p| p.name == *project);
                let known =
                    project.and_then(|p| p.triggers.iter().find(|t| t.id == *trigger)).cloned();
                let (Some(known), Some(breached)) = (known, self.breached.get(trigger)) else {
                    return Ok(());
                };
                let started = world.started(Svc::of(&known.service));
                let (daemon_began, deployed) = (world.daemon_began, self.deployed);
                let around = Around { now, daemon_began, deployed, started };
                let holds = cleared::a_cleared_breach_had_been_past_its_line;
                of(
                    "a_cleared_breach_had_been_past_its_line",
                    holds(&known, breached, &around, world),
                )
            }
            Fact::NextTarget { .. } => of(
                "the_next_target_is_the_next_clean_revision",
                blamed::of_a_next_target(self, fact),
            ),
            Fact::Refused { incident, guard } => of(
                "a_refusal_after_that_says_what_to_stop",
                brought_back::a_refusal_after_that_says_what_to_stop(incident, *guard),
            ),
            Fact::KnownBad { services, .. } => {
                of("a_bad_image_is_announced_once", self.bad.clone().announced(services))
            }
            Fact::DeploymentEnded { revision, .. } if !world.was_full => of(
                "a_bad_image_is_announced",
                brought_back::a_bad_image_is_announced(self, revision),
            ),
            Fact::RollbackEnded { incident, outcome, .. } => {
                of("not_recovered_acquits_and_nothing_else_does", self.acquits(*incident, *outcome))
            }
            _ => Ok(()),
        }
    }

    fn acquits(&self, id: IncidentId, outcome: Outcome) -> Verdict {
        let Some(running) = &self.running else { return Ok(()) };
        let wanted = outcome == Outcome::NotRecovered && !running.goes_forward();
        let marked = self.acquitted.contains(&(running.from, id));
        promises::check(wanted == marked, || format!("{outcome:?}; acquitted: {marked}"))
    }

    pub fn take(&mut self, fact: &Fact, now: Moment) {
        match fact {
            Fact::DeploymentBegan { .. } => {
                self.deploying = true;
                self.deployed = Some(now);
                self.bad.deploying();
            }
            Fact::DeploymentGrew { .. } => self.deployed = Some(now),
            Fact::DeploymentVanished { .. } => self.deploying = false,
            Fact::DeploymentEnded { revision, .. } => self.deployed(revision),
            Fact::Stands { revision, standing, returnable, .. } => {
                if let Some(known) = self.revisions.get_mut(revision) {
                    (known.standing, known.returnable) = (*standing, *returnable);
                    if *standing == Standing::Good {
                        self.bad.proved_good(&known.revision);
                    }
                }
                if *standing != Standing::Baking && self.unfinished.last() == Some(revision) {
                    self.unfinished.clear();
                }
            }
            Fact::Breached { breach, .. } => {
                let breached = Breached { since: breach.pending_since, at: now, decided: false };
                self.breached.insert(breach.trigger.clone(), breached);
            }
            Fact::Cleared { trigger, .. } => drop(self.breached.remove(trigger)),
            Fact::Alerted { trigger, .. } => self.decided(trigger),
            Fact::Refused { incident, .. } => {
                self.bad.decided(&incident.cause);
                if let Some(breach) = incident.breach() {
                    self.decided(&breach.trigger);
                }
            }
            Fact::Joined { breach, .. } => self.decided(&breach.trigger),
            Fact::RollbackBegan(incident) => {
                if let Some(breach) = incident.breach() {
                    self.decided(&breach.trigger);
                }
                let images = incident.services.iter().map(|service| service.from_id).collect();
                let put_back = matches!(incident.cause, Cause::KnownBad { .. });
                self.put_back.extend(put_back.then_some(now));
                self.bad.decided(&incident.cause);
                let counts = !put_back && !incident.goes_forward();
                self.rollbacks.push((incident.began_at, images, counts));
                self.running = Some((**incident).clone());
            }
            Fact::NextTarget { incident } => self.running = Some((**incident).clone()),
            Fact::RollbackEnded { outcome, .. } => {
                let ended = self.running.take();
                if let Some(incident) = &ended {
                    self.bad.rolled_back(incident, *outcome, now);
                }
                self.last = Some((now, *outcome));
                let stands = !matches!(outcome, Outcome::Failed | Outcome::Refused);
                if let Some(to) = ended.and_then(|incident| incident.to).filter(|_| stands) {
                    self.current = Some(to);
                    self.unfinished.clear();
                }
            }
            Fact::Clean { revision, .. } => {
                if let Some(known) = self.revisions.get_mut(revision) {
                    known.returnable = true;
                }
            }
            Fact::Paused { .. } => self.paused = true,
            Fact::Resumed { .. } => self.paused = false,
            Fact::Acquitted { revision, incident, .. } => {
                self.acquitted.insert((*revision, *incident));
            }
            Fact::KnownBad { services, .. } => drop(self.bad.announced(services)),
            Fact::AbortAsked { .. }
            | Fact::Announced { .. }
            | Fact::CommandEnded { .. }
            | Fact::AnnouncementOver { .. }
            | Fact::StepBegan { .. }
            | Fact::StepEnded { .. }
            | Fact::Verifying { .. } => {}
        }
    }

    fn decided(&mut self, trigger: &TriggerId) {
        if let Some(breached) = self.breached.get_mut(trigger) {
            breached.decided = true;
        }
    }

    fn deployed(&mut self, revision: &Revision) {
        self.deploying = false;
        self.observed = 0;
        self.bad.deployed(revision);
        let first = revision.changed.is_empty();
        for known in self.revisions.values_mut().filter(|k| k.standing == Standing::Baking) {
            known.standing = Standing::Unproven;
        }
        if !first {
            self.unfinished.push(revision.number);
        }
        let standing = if first { Standing::Unproven } else { Standing::Baking };
        self.current = Some(revision.number);
        let known = Known { revision: revision.clone(), standing, returnable: first };
        self.revisions.insert(revision.number, known);
    }
}
