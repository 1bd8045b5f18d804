//! What is remembered of one project: the fold of its facts, and what was seen
//! of it since the daemon started.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    announce::Announced,
    fact::Fact,
    guard::Guard,
    incident::{Cause, Incident, Outcome},
    known_bad::KnownBad,
    moment::Moment,
    revision::{Observation, Revision, ServiceRecord, Standing},
    settings::ProjectSettings,
    view::PauseView,
    words::{Fingerprint, ImageId, IncidentId, ProjectName, RevisionNo, ServiceName, TriggerId},
};

/// One project.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) name: ProjectName,
    /// `None`: it is not in the configuration now; what is remembered stays.
    pub(crate) settings: Option<ProjectSettings>,
    pub(crate) durable: Durable,
    /// What was seen last.
    pub(crate) seen: Option<Observation>,
    /// When what runs last changed.
    pub(crate) changed_at: Moment,
    /// What is known of each revision's images and records.
    pub(crate) restorable: BTreeMap<RevisionNo, Option<String>>,
    pub(crate) bake: Bake,
    /// A person has deployed this service while our rollback runs.
    pub(crate) overtaken: Option<ServiceName>,
    /// When the change began that is seen and not yet recorded as a deployment.
    pub(crate) unrecorded: Option<Moment>,
}

/// How much of a bake has been observed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Bake {
    pub(crate) observed: Duration,
    /// Up to when that was counted; `None` while it stands still.
    pub(crate) counted_to: Option<Moment>,
}

/// The fold of a project's facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Durable {
    pub(crate) revisions: BTreeMap<RevisionNo, Known>,
    pub(crate) current: Option<RevisionNo>,
    /// What runs when nothing is being deployed, by service.
    pub(crate) baseline: BTreeMap<ServiceName, Fingerprint>,
    /// Deployments whose bake is not finished, oldest first.
    pub(crate) chain: Vec<RevisionNo>,
    pub(crate) deploying: Option<Deploying>,
    pub(crate) pause: Option<PauseView>,
    /// A person's own command is deploying.
    pub(crate) announced: Option<Announced>,
    pub(crate) rollback: Option<IncidentId>,
    pub(crate) breached: BTreeMap<TriggerId, Option<Guard>>,
    /// When the last rollback ended: what was seen before shows its making.
    pub(crate) acted_until: Moment,
    /// Each rollback that was begun: when, from which images, and its number.
    pub(crate) past: Vec<Past>,
    /// The images that were rolled back from, until a person goes forward to
    /// them or they prove good.
    pub(crate) known_bad: BTreeMap<ImageId, KnownBad>,
}

/// A revision and what is thought of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) revision: Revision,
    pub(crate) standing: Standing,
    pub(crate) returnable: bool,
    /// It was rolled back from and was not the cause.
    pub(crate) acquitted: bool,
    /// What its bake said of it, when that was not enough to be good.
    pub(crate) judged: Option<String>,
}

/// A deployment under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deploying {
    pub(crate) began: Moment,
    pub(crate) services: BTreeSet<ServiceName>,
    /// The services of which people were told that their image is known bad.
    pub(crate) announced: BTreeSet<ServiceName>,
}

/// A rollback of the past, as the guards need it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) id: IncidentId,
    pub(crate) at: Moment,
    pub(crate) images: Vec<ImageId>,
    pub(crate) from: RevisionNo,
    /// Where it went; `None` for an image until what runs by it is a revision.
    pub(crate) to: Option<RevisionNo>,
    /// What it made of each service.
    pub(crate) became: Vec<(ServiceName, ImageId)>,
    pub(crate) forward: bool,
    /// It put back at once what nobody had deployed: outside cooldown and budget.
    pub(crate) unattended: bool,
    pub(crate) done: bool,
}

impl Project {
    pub(crate) fn new(name: ProjectName) -> Self {
        Self {
            name,
            settings: None,
            durable: Durable::default(),
            seen: None,
            changed_at: Moment::ZERO,
            restorable: BTreeMap::new(),
            bake: Bake::default(),
            overtaken: None,
            unrecorded: None,
        }
    }

    /// Moves on by one fact about this project. `incident` is the rollback the
    /// fact is about, as it was before the fact.
    pub(crate) fn apply(&mut self, fact: &Fact, incident: Option<&Incident>) {
        if let Fact::DeploymentEnded { .. } | Fact::RollbackEnded { .. } = fact {
            self.bake = Bake::default();
        }
        if let Fact::DeploymentBegan { .. } = fact {
            self.unrecorded = None;
        }
        if let Fact::RollbackBegan(_) | Fact::RollbackEnded { .. } = fact {
            self.overtaken = None;
        }
        self.durable.apply(fact, incident);
    }

    /// The services whose containers differ from what shall run: changed, new
    /// or gone.
    pub(crate) fn differing(&self) -> BTreeSet<ServiceName> {
        let Some(seen) = &self.seen else { return BTreeSet::new() };
        let running: BTreeMap<_, _> =
            seen.services.iter().map(|s| (&s.record.name, &s.record.fingerprint)).collect();
        let baseline = &self.durable.baseline;
        let changed = running.iter().filter(|(name, print)| baseline.get(**name) != Some(**print));
        let gone = baseline.keys().filter(|name| !running.contains_key(name));
        changed.map(|(name, _)| *name).chain(gone).cloned().collect()
    }

    /// What is recorded of a service's present containers.
    pub(crate) fn running(&self, service: &ServiceName) -> Option<&ServiceRecord> {
        let seen = self.seen.as_ref()?;
        seen.services.iter().map(|s| &s.record).find(|record| record.name == *service)
    }

    /// This project as it was when a rollback began, by what is recorded.
    pub(crate) fn as_before(&self, incident: &Incident) -> Self {
        let mut before = self.clone();
        let from = self.durable.revisions.get(&incident.from).map(|known| &known.revision);
        let seen = before.seen.iter_mut().flat_map(|seen| &mut seen.services);
        for service in seen.filter(|s| incident.services.iter().any(|c| c.name == s.record.name)) {
            if let Some(record) = from.and_then(|from| from.service(&service.record.name)) {
                service.record = record.clone();
            }
        }
        before
    }

    /// Was it looked at since the daemon started, and since its last rollback?
    pub(crate) fn is_seen(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.at > self.durable.acted_until)
    }

    /// Does anything of it exist?
    pub(crate) fn exists(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| !seen.services.is_empty())
    }
}

impl Known {
    /// It may be returned to.
    pub(crate) fn stays(&self) -> bool {
        self.returnable && self.standing != Standing::Bad
    }
}

impl Default for Durable {
    fn default() -> Self {
        Self {
            revisions: BTreeMap::new(),
            current: None,
            baseline: BTreeMap::new(),
            chain: Vec::new(),
            deploying: None,
            pause: None,
            announced: None,
            rollback: None,
            breached: BTreeMap::new(),
            acted_until: Moment::ZERO,
            past: Vec::new(),
            known_bad: BTreeMap::new(),
        }
    }
}

impl Durable {
    fn apply(&mut self, fact: &Fact, incident: Option<&Incident>) {
        match fact {
            Fact::DeploymentBegan { at, services, .. } => {
                let services = services.iter().cloned().collect();
                let announced = BTreeSet::new();
                self.deploying = Some(Deploying { began: *at, services, announced });
            }
            Fact::DeploymentGrew { services, .. } => {
                if let Some(deploying) = &mut self.deploying {
                    deploying.services.extend(services.iter().cloned());
                }
            }
            Fact::DeploymentEnded { revision, .. } => self.deployed(revision),
            Fact::DeploymentVanished { .. } => self.deploying = None,
            Fact::Stands { revision, standing, returnable, reason, .. } => {
                if let Some(known) = self.revisions.get_mut(revision) {
                    known.standing = *standing;
                    known.judged = (*standing == Standing::Unproven).then(|| reason.clone());
                    known.returnable = *returnable;
                }
                if *standing != Standing::Baking && self.chain.last() == Some(revision) {
                    self.chain.clear();
                }
                if *standing == Standing::Good {
                    self.proved_good(*revision);
                }
            }
            Fact::Clean { revision, .. } => {
                if let Some(known) = self.revisions.get_mut(revision) {
                    known.returnable = true;
                }
            }
            Fact::Acquitted { revision, .. } => {
                if let Some(known) = self.revisions.get_mut(revision) {
                    known.acquitted = true;
                }
            }
            Fact::KnownBad { services, .. } => {
                if let Some(deploying) = &mut self.deploying {
                    deploying.announced.extend(services.iter().cloned());
                }
            }
            Fact::Breached { breach, .. } => {
                self.breached.insert(breach.trigger.clone(), None);
            }
            Fact::Cleared { trigger, .. } => {
                self.breached.remove(trigger);
            }
            Fact::Alerted { trigger, guard, .. } => self.decided(trigger, *guard),
            Fact::Refused { incident, guard } => {
                if let Some(breach) = incident.breach() {
                    self.decided(&breach.trigger, *guard);
                }
            }
            Fact::RollbackBegan(incident) => self.rollback_began(incident),
            Fact::RollbackEnded { at, outcome, .. } => {
                self.acted_until = *at;
                if let Some(incident) = incident {
                    self.rollback_ended(incident, *outcome, *at);
                }
            }
            Fact::Paused { until, reason, .. } => {
                self.pause = Some(PauseView { until: *until, reason: reason.clone() });
            }
            Fact::Resumed { .. } => self.pause = None,
            Fact::Announced { id, at, until, .. } => {
                let (id, began, until) = (id.clone(), *at, *until);
                self.announced = Some(Announced { id, began, until, ended: None });
            }
            Fact::CommandEnded { at, .. } => {
                if let Some(announced) = &mut self.announced {
                    announced.ended = Some(*at);
                }
            }
            Fact::AnnouncementOver { .. } => self.announced = None,
            Fact::Joined { .. }
            | Fact::AbortAsked { .. }
            | Fact::StepBegan { .. }
            | Fact::StepEnded { .. }
            | Fact::Verifying { .. }
            | Fact::NextTarget { .. } => {}
        }
    }

    fn decided(&mut self, trigger: &TriggerId, guard: Guard) {
        if let Some(decided) = self.breached.get_mut(trigger) {
            *decided = Some(guard);
        }
    }

    /// The revision that a rollback to an image has become, if nobody deployed
    /// anything else meanwhile.
    fn became(&mut self, revision: &Revision) {
        let Some(past) = self.past.last_mut().filter(|past| past.done && past.to.is_none()) else {
            return;
        };
        let as_made = |service: &ServiceName| {
            let runs = revision.service(service).map(|record| record.image_id);
            past.became.iter().any(|(name, image)| name == service && runs == Some(*image))
        };
        // One that lives in its namespaces was made again with it, and is the same.
        if revision.changed.iter().all(as_made) {
            past.to = Some(revision.number);
        } else {
            // What comes later is not its making either.
            past.became.clear();
        }
    }

    fn deployed(&mut self, revision: &Revision) {
        self.deploying = None;
        self.became(revision);
        let first = revision.changed.is_empty();
        for known in self.revisions.values_mut() {
            if known.standing == Standing::Baking {
                // Another deployment came before its bake was over.
                known.standing = Standing::Unproven;
            }
        }
        // A deployment that leaves nothing of what the unfinished ones changed
        // still shares their blame: nobody saw them through.
        if !first {
            self.chain.push(revision.number);
        }
        let standing = if first { Standing::Unproven } else { Standing::Baking };
        let record = |s: &ServiceRecord| (s.name.clone(), s.fingerprint.clone());
        self.baseline = revision.services.iter().map(record).collect();
        self.current = Some(revision.number);
        let (returnable, acquitted, judged) = (first, false, None);
        let known = Known { revision: revision.clone(), standing, returnable, acquitted, judged };
        self.revisions.insert(revision.number, known);
    }

    fn rollback_began(&mut self, incident: &Incident) {
        self.rollback = Some(incident.id);
        let became = incident.services.iter().map(|change| (change.name.clone(), change.to_id));
        self.past.push(Past {
            id: incident.id,
            at: incident.began_at,
            images: incident.services.iter().map(|service| service.from_id).collect(),
            from: incident.from,
            to: incident.to,
            became: became.collect(),
            forward: incident.goes_forward(),
            unattended: matches!(incident.cause, Cause::KnownBad { .. }),
            done: false,
        });
    }

    fn rollback_ended(&mut self, incident: &Incident, outcome: Outcome, at: Moment) {
        self.rollback = None;
        let stands = match outcome {
            Outcome::Recovered | Outcome::Unverified | Outcome::NotRecovered => true,
            Outcome::Failed | Outcome::Refused => false,
        };
        if !stands {
            return;
        }
        if let Some(past) = self.past.last_mut() {
            past.done = true;
            past.to = incident.to;
        }
        self.chain.clear();
        self.went_back(incident, outcome, at);
        // What an image of no revision makes differs from all that is known: the
        // next look sees it as the deployment that it is.
        let Some(to) = incident.to else { return };
        self.current = Some(to);
        let Some(known) = self.revisions.get_mut(&to) else { return };
        // Its bake is observed anew.
        known.judged = None;
        for change in &incident.services {
            match known.revision.service(&change.name) {
                Some(record) => {
                    self.baseline.insert(change.name.clone(), record.fingerprint.clone());
                }
                None => {
                    self.baseline.remove(&change.name);
                }
            }
        }
    }

    /// The unfinished deployments that may be to blame for what these services
    /// do: from the newest back to one that followed a revision that was seen
    /// clean, or to the first. Empty when none of them changed any of these.
    pub(crate) fn suspects(&self, services: &[&ServiceName]) -> &[RevisionNo] {
        let touches = |number: &RevisionNo| {
            let known = self.revisions.get(number);
            known.is_some_and(|known| known.revision.changed.iter().any(|s| services.contains(&s)))
        };
        self.since_clean(|suspects| suspects.iter().any(touches))
    }

    /// The shortest end of the chain that will do and follows a clean revision.
    fn since_clean(&self, will_do: impl Fn(&[RevisionNo]) -> bool) -> &[RevisionNo] {
        let clean = |number| self.revisions.get(number).is_some_and(Known::stays);
        let follows = |from: &usize| *from == 0 || clean(&self.chain[from - 1]);
        let from =
            (0..self.chain.len()).rev().filter(follows).find(|from| will_do(&self.chain[*from..]));
        from.map_or(&[], |from| &self.chain[from..])
    }

    /// When the first of these deployments began.
    pub(crate) fn began(&self, suspects: &[RevisionNo]) -> Option<Moment> {
        Some(self.revisions.get(suspects.first()?)?.revision.began_at)
    }

    /// What these deployments changed.
    pub(crate) fn changed(&self, suspects: &[RevisionNo]) -> BTreeSet<ServiceName> {
        let known = suspects.iter().filter_map(|number| self.revisions.get(number));
        known.flat_map(|known| &known.revision.changed).cloned().collect()
    }

    /// Where a rollback of the newest deployment would go.
    pub(crate) fn target(&self, except: &BTreeSet<RevisionNo>) -> Option<RevisionNo> {
        self.target_before(self.since_clean(|_| true), except)
    }

    /// Where a rollback of these deployments (else of what runs) would go: the
    /// newest good revision before them, or a newer one that nothing is held
    /// against.
    pub(crate) fn target_before(
        &self,
        suspects: &[RevisionNo],
        except: &BTreeSet<RevisionNo>,
    ) -> Option<RevisionNo> {
        let before = suspects.first().copied().or(self.current)?;
        let earlier = self.revisions.range(..before).rev();
        let mut candidates =
            earlier.filter(|(number, known)| known.stays() && !except.contains(number));
        candidates.next().map(|(number, _)| *number)
    }

    /// Where the next deployment could go back to.
    pub(crate) fn refuge(&self) -> Option<RevisionNo> {
        let current = self.current.filter(|number| {
            self.chain.is_empty() && self.revisions.get(number).is_some_and(Known::stays)
        });
        current.or_else(|| self.target(&BTreeSet::new()))
    }

    /// The revisions that must stay restorable.
    pub(crate) fn kept(&self, keep: u32) -> BTreeSet<RevisionNo> {
        let good = self.revisions.iter().rev().filter(|(_, k)| k.standing == Standing::Good);
        let good = good.take(keep as usize).map(|(number, _)| *number);
        let last = self.past.last().map(|past| past.from);
        let none = BTreeSet::new();
        let targets =
            (0..self.chain.len()).filter_map(|from| self.target_before(&self.chain[from..], &none));
        good.chain(self.current)
            .chain(self.refuge())
            .chain(self.target(&none))
            .chain(targets)
            .chain(last)
            .collect()
    }

    /// The number that the next revision gets.
    pub(crate) fn next_number(&self) -> RevisionNo {
        RevisionNo(self.revisions.keys().next_back().map_or(1, |last| last.0 + 1))
    }
}

impl Incident {
    /// Does it undo an earlier rollback?
    #[must_use]
    pub fn goes_forward(&self) -> bool {
        matches!(self.cause, Cause::Person { forward: true, .. } | Cause::NotRecovered { .. })
    }

    /// Its service names, joined: `backend, web`.
    #[must_use]
    pub fn service_names(&self) -> String {
        let names: Vec<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        names.join(", ")
    }
}
