//! The judge: keeps its own account of a life, from the facts and from what the
//! engine and the sources were, and asks the promises about each thing that
//! happens. It shares no rule with the core.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
};

use rollbackd::store::EffectId;
use rollbackd_core::{
    effect::{News, Notice},
    fact::Fact,
    incident::{Incident, Outcome},
    moment::Moment,
    revision::{Revision, Standing},
    words::{ImageId, IncidentId, ProjectName, RevisionNo, TriggerId},
};

use crate::{
    life::{Image, Svc},
    promises::{self, Began},
    world::World,
};

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Broken {
    pub promise: &'static str,
    pub why: String,
}

impl Broken {
    pub const fn new(promise: &'static str, why: String) -> Self {
        Self { promise, why }
    }

    pub fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Self::new("it_never_panics", text.unwrap_or_default())
    }
}

/// What made a fact.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Because {
    Sample(TriggerId),
    #[default]
    Other,
    /// The daemon died before anybody could see what followed: what the world
    /// was like at that moment is not known any more.
    Unseen,
}

/// A revision, as the facts tell of it.
#[derive(Clone, Debug)]
pub struct Known {
    pub revision: Revision,
    pub standing: Standing,
    pub returnable: bool,
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
    /// Breached triggers and whether anything was decided of them.
    pub breached: BTreeMap<TriggerId, bool>,
    pub rollbacks: Vec<(Moment, Vec<ImageId>, bool)>,
    pub last: Option<(Moment, Outcome)>,
}

#[derive(Default)]
pub struct Judge {
    pub facts: Vec<Fact>,
    pub because: Because,
    pub rollbacks: u64,
    pub accounts: BTreeMap<ProjectName, Account>,
    /// By its number, for facts that name a rollback alone.
    projects: BTreeMap<IncidentId, ProjectName>,
    told: BTreeMap<(IncidentId, &'static str), EffectId>,
}

impl Judge {
    /// One fact that was committed, before the core has taken it.
    pub async fn fact(
        &mut self,
        fact: &Fact,
        now: Moment,
        world: &mut World,
    ) -> Result<(), Broken> {
        world.timeline.fact(now, fact);
        let project = self.project_of(fact);
        if let Some(id) = fact.incident() {
            self.projects.insert(id, project.clone());
        }
        let account = self.accounts.entry(project.clone()).or_default();
        match fact {
            Fact::RollbackBegan(incident) => {
                self.rollbacks += 1;
                let began =
                    Began::new(incident, account, now, &self.because, &self.facts, world).await;
                promises::of_a_beginning(&began)?;
                let unseen = self.because == Because::Unseen;
                account.ran = if unseen { BTreeSet::new() } else { world.serving(incident) };
            }
            Fact::RollbackEnded { outcome, .. } => {
                let Some(incident) = &account.running else {
                    return Err(Broken::new("only_what_began_ends", format!("{fact:?}")));
                };
                promises::of_an_end(incident, &account.ran, *outcome, world).await?;
            }
            Fact::StepBegan { .. } | Fact::StepEnded { .. } | Fact::Verifying { .. }
                if account.running.is_none() =>
            {
                return Err(Broken::new("only_a_running_rollback_acts", format!("{fact:?}")));
            }
            Fact::Refused { incident, .. } if incident.reason.is_empty() => {
                return Err(Broken::new("every_decision_has_a_reason", format!("{fact:?}")));
            }
            _ => {}
        }
        account.take(fact, now);
        self.facts.push(fact.clone());
        Ok(())
    }

    /// The project that a fact is about.
    pub fn project_of(&self, fact: &Fact) -> ProjectName {
        fact.project().or_else(|| self.projects.get(&fact.incident()?)).cloned().unwrap()
    }

    /// The daemon has started: what was committed is there, and nothing else.
    pub async fn started(
        &mut self,
        stored: &[(Moment, Fact)],
        world: &mut World,
    ) -> Result<(), Broken> {
        let known = self.facts.len();
        let same =
            stored.len() >= known && stored.iter().zip(&self.facts).all(|((_, a), b)| a == b);
        if !same {
            let why = format!("{known} facts were committed, {} are stored", stored.len());
            return Err(Broken::new("what_was_committed_is_remembered", why));
        }
        // It died between the commit and what followed.
        self.because = Because::Unseen;
        for (at, fact) in &stored[known..] {
            self.fact(fact, *at, world).await?;
        }
        self.because = Because::Other;
        Ok(())
    }

    /// What was observed of the bakes is forgotten: they begin anew.
    pub fn checkpoint_lost(&mut self) {
        self.accounts.values_mut().for_each(|account| account.observed = 0);
    }

    /// People were told; the same again only under the same number.
    pub fn told(&mut self, id: EffectId, notice: &Notice) -> Result<(), Broken> {
        let (incident, what) = match &notice.news {
            News::Began(incident) => (incident.id, "began"),
            News::Ended { incident, .. } => (incident.id, "ended"),
            News::Refused(incident) => (incident.id, "refused"),
            News::Alert { reason, .. } if reason.is_empty() => {
                return Err(Broken::new("every_decision_has_a_reason", format!("{notice:?}")));
            }
            _ => return Ok(()),
        };
        match self.told.insert((incident, what), id) {
            Some(other) if other != id => {
                let why = format!("rollback {incident} {what}, as effects {other} and {id}");
                Err(Broken::new("people_are_told_once", why))
            }
            _ => Ok(()),
        }
    }

    /// A second has passed in which the daemon lived.
    pub fn second(&mut self, world: &World) -> Result<(), Broken> {
        for project in &world.settings.projects {
            let Some(account) = self.accounts.get_mut(&project.name) else { continue };
            let stands = account.paused
                || account.deploying
                || account.running.is_some()
                || world.engine_away
                || world.full;
            if !account.unfinished.is_empty() && !stands {
                account.observed += 1;
            }
        }
        promises::of_a_second(&self.accounts, world)
    }

    /// At the end of a quiet time: nothing is left open.
    pub fn all_is_decided(&self) -> Result<(), Broken> {
        for (name, account) in &self.accounts {
            if let Some(incident) = &account.running {
                let why = format!("rollback {} of {name} still runs", incident.id);
                return Err(Broken::new("every_rollback_ends", why));
            }
            if let Some((trigger, _)) = account.breached.iter().find(|(_, decided)| !**decided) {
                let why = format!("{trigger} of {name} breached and nothing was decided");
                return Err(Broken::new("every_breach_ends_in_a_decision", why));
            }
        }
        Ok(())
    }

    /// The bad deployment of the last day was rolled back.
    pub fn main_job_done(&self, world: &mut World) -> Result<(), Broken> {
        let promise = "whatever_has_happened_the_main_job_is_still_done";
        let account = &self.accounts[&ProjectName::new("shop")];
        match account.last {
            Some((at, Outcome::Recovered)) if world.now().since(at).as_secs() < 600 => {}
            other => {
                let why = format!("the last rollback: {other:?}");
                return Err(Broken::new(promise, why));
            }
        }
        let runs = world.runs_of(Svc::Web);
        let good = runs.iter().all(|one| one.running && one.image == Some(Image::Good(100)));
        if runs.len() == 1 && good {
            return Ok(());
        }
        Err(Broken::new(promise, format!("web runs {runs:?}")))
    }
}

impl Account {
    fn take(&mut self, fact: &Fact, now: Moment) {
        match fact {
            Fact::DeploymentBegan { .. } => self.deploying = true,
            Fact::DeploymentVanished { .. } => self.deploying = false,
            Fact::DeploymentEnded { revision, .. } => self.deployed(revision),
            Fact::Stands { revision, standing, returnable, .. } => {
                if let Some(known) = self.revisions.get_mut(revision) {
                    (known.standing, known.returnable) = (*standing, *returnable);
                }
                if *standing != Standing::Baking && self.unfinished.last() == Some(revision) {
                    self.unfinished.clear();
                }
            }
            Fact::Breached { breach, .. } => {
                self.breached.insert(breach.trigger.clone(), false);
            }
            Fact::Cleared { trigger, .. } => drop(self.breached.remove(trigger)),
            Fact::Alerted { trigger, .. } => self.decided(trigger),
            Fact::Refused { incident, .. } => {
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
                self.rollbacks.push((incident.began_at, images, incident.goes_forward()));
                self.running = Some((**incident).clone());
            }
            Fact::NextTarget { incident } => self.running = Some((**incident).clone()),
            Fact::RollbackEnded { outcome, .. } => {
                let ended = self.running.take();
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
            Fact::DeploymentGrew { .. }
            | Fact::Acquitted { .. }
            | Fact::AbortAsked { .. }
            | Fact::Announced { .. }
            | Fact::CommandEnded { .. }
            | Fact::AnnouncementOver { .. }
            | Fact::KnownBad { .. }
            | Fact::StepBegan { .. }
            | Fact::StepEnded { .. }
            | Fact::Verifying { .. } => {}
        }
    }

    fn decided(&mut self, trigger: &TriggerId) {
        if let Some(decided) = self.breached.get_mut(trigger) {
            *decided = true;
        }
    }

    fn deployed(&mut self, revision: &Revision) {
        self.deploying = false;
        self.observed = 0;
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

/// News in one line.
pub fn headline(notice: &Notice) -> String {
    match &notice.news {
        News::Alert { breach, reason } => format!("alert: {} ({reason})", breach.name),
        News::Blind { trigger, reason, .. } => format!("blind: {trigger} ({reason})"),
        News::Began(incident) => format!("rollback {} has begun", incident.id),
        News::Ended { incident, outcome, .. } => {
            format!("rollback {} has ended {}: {}", incident.id, outcome.as_str(), incident.reason)
        }
        News::Refused(incident) => format!("refused {}: {}", incident.id, incident.reason),
        News::PauseEnded => "the pause has ended".into(),
        News::TargetFailed { revision, why, .. } => format!("target {revision} failed: {why}"),
        News::KnownBad { services, by, .. } => format!("{services:?}: known bad by rollback {by}"),
    }
}
