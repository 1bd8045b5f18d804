//! The one reducer. [`Core::handle`] takes an event and says what shall last
//! and what shall be done; it moves nothing but windows and what is seen. What
//! lasts changes by [`Core::apply`] alone, after the facts were committed: a turn
//! that could not be committed is dropped, and the next event decides anew.
//!
//! ```text
//!   event ─▶ handle ─▶ Turn { facts, effects } ─▶ commit ─▶ apply ─▶ effects go out
//! ```

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    string::String,
    vec::Vec,
};
use core::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::{
    decide::{self, Verdict},
    effect::{Effect, News, Notice},
    event::{Answer, Event},
    fact::Fact,
    incident::Incident,
    moment::Moment,
    project::Project,
    reading::Sample,
    run::{Phase, Run},
    settings::{Settings, TriggerSettings},
    watch::Watch,
    words::{IncidentId, ProjectName, TriggerId, TriggerIx},
};

/// How many ended incidents are remembered for status and guards; the store has
/// them all.
const HISTORY: usize = 500;

/// Everything that is decided, and all that deciding needs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Core {
    pub(crate) projects: BTreeMap<ProjectName, Project>,
    /// By [`TriggerIx`]; a removed trigger leaves its place empty for ever.
    pub(crate) slots: Vec<Option<Slot>>,
    /// When each trigger is to be looked at for blindness. An entry may be too
    /// early, never too late.
    wakes: BinaryHeap<Reverse<(Moment, TriggerIx)>>,
    pub(crate) runs: BTreeMap<IncidentId, Run>,
    #[serde(skip)]
    pub(crate) history: BTreeMap<IncidentId, Incident>,
    pub(crate) last_incident: u64,
    pub(crate) engine_down: Option<String>,
    /// Whose blindness the last turn tells of.
    #[serde(skip)]
    telling_blind: Vec<TriggerIx>,
}

/// A trigger's place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) project: ProjectName,
    pub(crate) watch: Watch,
    /// A breach of it is remembered.
    pub(crate) breached: bool,
    /// A verification waits for it.
    pub(crate) judged: bool,
}

/// What one event leads to. Reused, so that the steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Turn {
    /// What shall last.
    pub facts: Vec<Fact>,
    /// What shall be done.
    pub effects: Vec<Effect>,
    /// What the person who sent a command is answered, once the facts are
    /// committed.
    pub answer: Option<Answer>,
}

impl Turn {
    /// Makes it ready for the next event.
    pub fn clear(&mut self) {
        self.facts.clear();
        self.effects.clear();
        self.answer = None;
    }

    pub(crate) fn tell(&mut self, at: Moment, project: &ProjectName, news: News) {
        self.effects.push(Effect::Tell(Notice { at, project: project.clone(), news }));
    }
}

/// Why a deadline is waited for; for logs and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A trigger may have become blind.
    Blindness,
    /// A deployment may have settled.
    Settle,
    /// A bake may be over.
    Bake,
    /// A pause ends.
    Pause,
    /// The limit of an announced deployment.
    Deploy,
    /// A verification's time is up.
    Verification,
}

impl Core {
    /// A core that knows nothing yet: apply the stored facts, then configure.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a configuration. A trigger whose condition is the same keeps its
    /// window and its place; one whose condition has changed begins in a new
    /// place, where no sample of what it measured before can reach it.
    pub fn configure(&mut self, settings: &Settings, now: Moment) {
        let mut watched = BTreeSet::new();
        for project in self.projects.values_mut() {
            if project.settings.take().is_some() {
                watched.insert(project.name.clone());
            }
        }
        let mut old = self.places();
        for wanted in &settings.projects {
            let name = &wanted.name;
            for trigger in &wanted.triggers {
                let key = (name.clone(), trigger.id.clone());
                let place = old.get(&key).and_then(|ix| self.slot_mut(*ix));
                if place.is_some_and(|slot| slot.watch.configure(trigger)) {
                    old.remove(&key);
                } else {
                    self.add(name, trigger, now);
                }
            }
            let known = self.projects.entry(name.clone());
            let project = known.or_insert_with(|| Project::new(name.clone()));
            if !watched.contains(name) {
                // Nobody has looked at it meanwhile.
                project.seen = None;
            }
            project.settings = Some(wanted.clone());
        }
        for ix in old.into_values() {
            self.slots[ix.0 as usize] = None;
        }
        for name in settings.projects.iter().map(|project| &project.name) {
            self.mirror(name);
            self.regrace(name);
        }
    }

    fn add(&mut self, project: &ProjectName, trigger: &TriggerSettings, now: Moment) {
        let ix = TriggerIx(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let watch = Watch::new(trigger.clone(), now);
        self.wakes.push(Reverse((just_after(watch.blind_at()), ix)));
        let project = project.clone();
        self.slots.push(Some(Slot { project, watch, breached: false, judged: false }));
    }

    /// Every trigger's place.
    #[must_use]
    pub fn places(&self) -> BTreeMap<(ProjectName, TriggerId), TriggerIx> {
        let place = |(ix, slot): (usize, &Option<Slot>)| {
            let slot = slot.as_ref()?;
            let ix = TriggerIx(u32::try_from(ix).ok()?);
            Some(((slot.project.clone(), slot.watch.settings().id.clone()), ix))
        };
        self.slots.iter().enumerate().filter_map(place).collect()
    }

    /// Takes one event. `now` is never earlier than the moment before.
    pub fn handle(&mut self, now: Moment, event: Event, turn: &mut Turn) {
        self.telling_blind.clear();
        match event {
            Event::Sample(sample) => return self.sample(now, &sample, turn),
            Event::Observed(observation) => self.observed(now, observation, turn),
            Event::Engine(down) => self.engine_down = down,
            Event::Restorable { project, revision, problem } => {
                if let Some(project) = self.projects.get_mut(&project) {
                    project.restorable.insert(revision, problem);
                }
            }
            Event::StepEnded { incident, run, outcome } => {
                self.step_reported(now, incident, run, outcome, turn);
            }
            Event::Command(command) => turn.answer = Some(self.command(now, command, turn)),
            Event::Deadline => self.wake(now, turn),
        }
        self.tick(now, turn);
    }

    /// The last turn could not be committed: what it would have told is told
    /// by a later one.
    pub fn dropped(&mut self) {
        for ix in core::mem::take(&mut self.telling_blind) {
            if let Some(slot) = self.slot_mut(ix) {
                slot.watch.untold_blind();
            }
        }
    }

    /// The next moment at which something may change without an event.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Moment, Why)> {
        let blind = self.wakes.peek().map(|Reverse((at, _))| (*at, Why::Blindness));
        let projects = self.projects.values().filter_map(|project| self.deadline_of(project));
        projects.chain(blind).min()
    }

    fn deadline_of(&self, project: &Project) -> Option<(Moment, Why)> {
        let durable = &project.durable;
        let verify = durable.rollback.and_then(|id| match self.runs.get(&id)?.phase {
            Phase::Verifying { until, .. } => Some((until, Why::Verification)),
            Phase::Acting { .. } | Phase::Ended(_) => None,
        });
        let limit = durable.announced.as_ref().map(|known| (known.until, Why::Deploy));
        // Both come to their end also where their project was removed.
        let Some(settings) = &project.settings else {
            return verify.into_iter().chain(limit).min();
        };
        let settles = project.exists() && project.is_seen() && self.engine_down.is_none();
        let settle = project.settles_at(settings).filter(|_| settles);
        let settle = settle.filter(|_| durable.rollback.is_none()).map(|at| (at, Why::Settle));
        let pause = durable.pause.as_ref().and_then(|pause| pause.until).map(|at| (at, Why::Pause));
        let bake = project.bake_due(settings).map(|at| (at, Why::Bake));
        [settle, pause, verify, bake, limit].into_iter().flatten().min()
    }

    fn sample(&mut self, now: Moment, sample: &Sample, turn: &mut Turn) {
        let Some(slot) = self.slot_mut(sample.trigger) else { return };
        if !slot.watch.feed(sample.at, &sample.reading) {
            // Said again, or overtaken: nothing is decided by what is no news.
            return;
        }
        let (breached, judged) = (slot.breached, slot.judged);
        if breached || slot.watch.breach(now).is_some() {
            self.consider(now, sample.trigger, true, turn);
        }
        if judged {
            self.judge(now, sample.trigger, turn);
        }
    }

    /// A trigger breaches, or did: decide. Only a live sample completes a
    /// breach; time alone completes one by blindness, and clears.
    fn consider(&mut self, now: Moment, ix: TriggerIx, live: bool, turn: &mut Turn) {
        let Some(slot) = self.slot(ix) else { return };
        let Some(project) = self.projects.get(&slot.project) else { return };
        let trigger = slot.watch.settings();
        let name = &project.name;
        let acts = |fact: &Fact| matches!(fact, Fact::RollbackBegan(i) if i.project == *name);
        if turn.facts.iter().any(acts) {
            // Another trigger was first in this turn; this one joins at its next sample.
            return;
        }
        let Some(breach) = slot.watch.breach(now) else {
            let cleared = (project.name.clone(), trigger.id.clone());
            turn.facts.push(Fact::Cleared { project: cleared.0, trigger: cleared.1, at: now });
            return;
        };
        let breach = decide::breach_of(trigger, breach, slot.watch.value_now(now));
        if !slot.breached {
            turn.facts.push(Fact::Breached { project: name.clone(), breach: breach.clone() });
        }
        if !(live && slot.watch.breaches_now() || slot.watch.is_breach_by_blindness(now)) {
            return;
        }
        let told = project.durable.breached.get(&breach.trigger).copied().flatten();
        match decide::decide(self, project, &slot.watch, &breach, now) {
            Verdict::Act(incident) => {
                self.begin(now, *incident, turn);
            }
            Verdict::Join(id) => self.join(id, breach, turn),
            Verdict::Hold(guard, ..) if guard.only_waits() || told == Some(guard) => {}
            Verdict::Hold(guard, reason, Some(incident)) if !guard.only_alerts() => {
                let mut incident = incident.refuse(reason);
                incident.id = self.next_incident(turn);
                turn.tell(now, name, News::Refused(Box::new(incident.clone())));
                turn.facts.push(Fact::Refused { incident: Box::new(incident), guard });
            }
            Verdict::Hold(guard, reason, _) => {
                let (project, trigger) = (name.clone(), breach.trigger.clone());
                turn.tell(now, name, News::Alert { breach, reason });
                turn.facts.push(Fact::Alerted { project, trigger, guard });
            }
        }
    }

    fn join(&self, id: IncidentId, breach: crate::incident::Breach, turn: &mut Turn) {
        let Some(run) = self.runs.get(&id) else { return };
        let known = run.incident.breach().into_iter().chain(&run.incident.joined);
        if known.into_iter().all(|known| known.trigger != breach.trigger) {
            turn.facts.push(Fact::Joined { incident: id, breach });
        }
    }

    /// Time has passed: blindness, settling, pauses, verifications.
    fn wake(&mut self, now: Moment, turn: &mut Turn) {
        while let Some(Reverse((at, ix))) = self.wakes.peek().copied()
            && at <= now
        {
            self.wakes.pop();
            self.wake_trigger(now, ix, turn);
        }
        let names: Vec<ProjectName> = self.projects.keys().cloned().collect();
        for name in &names {
            self.end_pause(now, name, turn);
            self.end_announcement(now, name, turn);
            self.judge_all(now, name, turn);
        }
    }

    fn wake_trigger(&mut self, now: Moment, ix: TriggerIx, turn: &mut Turn) {
        let Some(slot) = self.slot_mut(ix) else { return };
        slot.watch.wake(now);
        let again = if slot.watch.is_blind(now) {
            now + slot.watch.settings().every * 3
        } else {
            slot.watch.blind_at()
        };
        let tell = slot.watch.tell_blind(now);
        if tell {
            let view = slot.watch.view(now);
            let service = slot.watch.settings().service.clone();
            let reason = view.reason.unwrap_or_default();
            turn.tell(now, &slot.project, News::Blind { service, trigger: view.name, reason });
        }
        let decide = slot.breached || slot.watch.breach(now).is_some();
        if tell {
            self.telling_blind.push(ix);
        }
        self.wakes.push(Reverse((just_after(again), ix)));
        if decide {
            self.consider(now, ix, false, turn);
        }
    }

    fn end_pause(&self, now: Moment, name: &ProjectName, turn: &mut Turn) {
        let Some(project) = self.projects.get(name) else { return };
        let until = project.durable.pause.as_ref().and_then(|pause| pause.until);
        if until.is_some_and(|until| until <= now) {
            turn.facts.push(Fact::Resumed { project: name.clone(), at: now });
            turn.tell(now, name, News::PauseEnded);
        }
    }

    /// Makes a fact part of what is remembered.
    pub fn apply(&mut self, fact: &Fact) {
        if let Fact::RollbackBegan(incident) = fact {
            self.runs.insert(incident.id, Run::new((**incident).clone()));
        }
        if let Some(id) = fact.incident() {
            self.last_incident = self.last_incident.max(id.0);
        }
        let of_run = fact.incident().and_then(|id| self.runs.get(&id));
        let name = fact.project().or(of_run.map(|run| &run.incident.project)).cloned();
        let Some(name) = name else { return };
        let project =
            self.projects.entry(name.clone()).or_insert_with(|| Project::new(name.clone()));
        project.apply(fact, of_run.map(|run| &run.incident));
        if let Some(run) = fact.incident().and_then(|id| self.runs.get_mut(&id)) {
            run.apply(fact);
            if let Phase::Ended(_) = run.phase {
                let ended = run.incident.clone();
                self.runs.remove(&ended.id);
                self.remember(ended);
            }
        }
        if let Fact::Refused { incident, .. } = fact {
            self.remember((**incident).clone());
        }
        self.watches_follow(&name, fact);
        self.mirror(&name);
    }

    fn remember(&mut self, incident: Incident) {
        self.history.insert(incident.id, incident);
        while self.history.len() > HISTORY {
            self.history.pop_first();
        }
    }

    /// The windows learn of deployments.
    fn watches_follow(&mut self, name: &ProjectName, fact: &Fact) {
        let known = self.projects.get(name);
        // An announced one ends with its command.
        let settles = known.filter(|project| project.durable.announced.is_none());
        let settle = settles.and_then(|p| p.settings.as_ref()).map(|s| s.settle);
        let of_project = self.slots.iter_mut().flatten().filter(|slot| slot.project == *name);
        match fact {
            Fact::DeploymentBegan { at, services, .. } => {
                let touched = of_project.filter(|slot| slot.concerns(services));
                touched.for_each(|slot| slot.watch.deployment_began(*at));
            }
            Fact::DeploymentGrew { services, .. } => {
                let began = self.projects.get(name).and_then(|p| p.durable.deploying.as_ref());
                let Some(began) = began.map(|deploying| deploying.began) else { return };
                let touched = of_project.filter(|slot| slot.concerns(services));
                touched.for_each(|slot| slot.watch.deployment_began(began));
            }
            Fact::DeploymentEnded { revision, .. } => {
                let ended = revision.deployed_at + settle.unwrap_or_default();
                of_project.for_each(|slot| {
                    slot.watch.deployment_ended(ended);
                    slot.watch.bake_began();
                });
                self.regrace(name);
            }
            Fact::DeploymentVanished { at, .. } => {
                of_project.for_each(|slot| slot.watch.deployment_ended(*at));
                self.regrace(name);
            }
            Fact::RollbackEnded { .. } => {
                of_project.for_each(|slot| slot.watch.bake_began());
                self.regrace(name);
            }
            _ => {}
        }
    }

    /// The slots' copies of what is remembered, so that a sample needs no look-up.
    fn mirror(&mut self, name: &ProjectName) {
        let Some(project) = self.projects.get(name) else { return };
        let run = project.durable.rollback.and_then(|id| self.runs.get(&id));
        let from = run.and_then(|run| match run.phase {
            Phase::Verifying { counts_from, .. } => Some((run, counts_from)),
            Phase::Acting { .. } | Phase::Ended(_) => None,
        });
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.project == *name) {
            let trigger = slot.watch.settings();
            slot.breached = project.durable.breached.contains_key(&trigger.id);
            let judged = from.filter(|(run, _)| run.judges(trigger)).map(|(_, from)| from);
            if let Some(from) = judged
                && !slot.judged
            {
                slot.watch.judge_from(from);
            }
            slot.judged = judged.is_some();
        }
    }

    /// Is this run of a step waited for? An effect handed on again after a
    /// restart is dropped unless it is.
    #[must_use]
    pub fn awaits(&self, incident: IncidentId, run: u32) -> bool {
        self.runs.get(&incident).is_some_and(|known| known.awaits(run))
    }

    pub(crate) fn next_incident(&self, turn: &Turn) -> IncidentId {
        let in_turn = turn.facts.iter().filter_map(Fact::incident).map(|id| id.0).max();
        IncidentId(in_turn.unwrap_or(0).max(self.last_incident) + 1)
    }

    pub(crate) fn slot(&self, ix: TriggerIx) -> Option<&Slot> {
        self.slots.get(ix.0 as usize)?.as_ref()
    }

    fn slot_mut(&mut self, ix: TriggerIx) -> Option<&mut Slot> {
        self.slots.get_mut(ix.0 as usize)?.as_mut()
    }

    pub(crate) fn slots_of<'a>(&'a self, name: &'a ProjectName) -> impl Iterator<Item = &'a Slot> {
        self.slots.iter().flatten().filter(move |slot| slot.project == *name)
    }
}

impl Slot {
    /// Is a deployment of these services blamed for it?
    pub(crate) fn concerns(&self, services: &[crate::words::ServiceName]) -> bool {
        let trigger = self.watch.settings();
        services.contains(&trigger.service) || trigger.blames.iter().any(|s| services.contains(s))
    }
}

fn just_after(at: Moment) -> Moment {
    at + core::time::Duration::from_nanos(1)
}
