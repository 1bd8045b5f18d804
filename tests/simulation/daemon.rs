//! One life of the daemon: the core, the store and the executor, wired as
//! `daemon/` wires them, but second by second and by one hand.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use futures_util::{StreamExt, future::poll_immediate, stream::FuturesUnordered};
use rollbackd::{
    config::settings::KeepBy,
    engine::{Engine, compose::Compose, records::Records},
    host::death::boundary,
    rollback,
    store::{self, EffectId, Opened},
};
use rollbackd_core::{
    effect::Effect,
    event::{Answer, Command, Event, Refusal},
    fact::Fact,
    moment::Moment,
    plan::{Step, StepOutcome},
    reading::Reading,
    reducer::{Core, Turn},
    revision::{Observation, Revision},
    settings::{ProjectSettings, TriggerSettings},
    status::Checkpoint,
    words::{ImageId, IncidentId, ProjectName, TriggerIx},
};
use tokio::sync::broadcast;

use crate::{
    judge::{Because, Broken, Judge},
    rules::secs,
    sources::Sources,
    world::{Heard, World},
};

type Ended = (IncidentId, u32, StepOutcome);

/// How often a project is looked at anyway, and what is kept is checked.
const ANYWAY: u64 = 30;
/// How often the windows are written down.
const CHECKPOINT: u64 = 5;

pub struct Daemon {
    pub core: Core,
    store: store::Handle,
    engine: Engine,
    steps: FuturesUnordered<Pin<Box<dyn Future<Output = Ended>>>>,
    running: BTreeMap<(IncidentId, u32), EffectId>,
    /// What steps reported while the state could not be written.
    unsaved: Vec<Event>,
    turn: Turn,
    sources: Sources,
    places: Vec<(TriggerIx, TriggerSettings)>,
    /// What was seen when so much had happened.
    looked: (u64, BTreeMap<ProjectName, Observation>),
    look_at: Moment,
    kept: Vec<(ProjectName, Vec<Revision>)>,
    checked: (u64, Vec<Event>),
    check_at: Moment,
    /// Facts were applied: what is to be kept may be others.
    moved: bool,
    began: Moment,
}

impl Daemon {
    /// Starts from what is stored.
    pub async fn begin(world: &mut World, judge: &mut Judge) -> Result<Self, Broken> {
        let Opened { handle, facts, pending, .. } = store::open_here(world.disk.path()).unwrap();
        let now = world.now();
        judge.started(&facts, world).await?;
        let mut core = Core::new();
        facts.iter().for_each(|(_, fact)| core.apply(fact));
        core.configure(&world.settings, now);
        if let Some((_, checkpoint)) = &world.checkpoint {
            // As it would be on the disk.
            let bytes = serde_json::to_vec(checkpoint).unwrap();
            core.restore(serde_json::from_slice::<Checkpoint>(&bytes).unwrap(), now);
        }
        let (happenings, _) = broadcast::channel(64);
        let compose = Compose::new(
            world.docker.clone(),
            Records::new(handle.clone()),
            world.clock.clone(),
            happenings,
            world.disk.path(),
            false,
        );
        if world.full {
            handle.refuse_writes(true).await.unwrap();
        }
        let mut daemon = Self {
            core,
            store: handle,
            engine: Engine::Compose(compose),
            steps: FuturesUnordered::new(),
            running: BTreeMap::new(),
            unsaved: Vec::new(),
            turn: Turn::default(),
            sources: Sources::default(),
            places: Vec::new(),
            looked: (0, BTreeMap::new()),
            look_at: now,
            kept: Vec::new(),
            checked: (0, Vec::new()),
            check_at: now,
            moved: true,
            began: now,
        };
        daemon.place(world);
        for (id, effect) in pending {
            daemon.hand_on(id, effect, world, judge).await?;
        }
        let away = world.engine_away.then(|| "it is away".to_owned());
        daemon.turn(Event::Engine(away), world, judge).await?;
        Ok(daemon)
    }

    /// Where the core has put each trigger.
    fn place(&mut self, world: &World) {
        let places = self.core.places();
        let of = |project: &ProjectSettings| {
            let place = |trigger: &TriggerSettings| {
                let key = (project.name.clone(), trigger.id.clone());
                (places[&key], trigger.clone())
            };
            project.triggers.iter().map(place).collect::<Vec<_>>()
        };
        self.places = world.settings.projects.iter().flat_map(of).collect();
    }

    /// The configuration was read again.
    pub fn configure(&mut self, world: &World) {
        self.core.configure(&world.settings, world.now());
        self.place(world);
        self.moved = true;
        self.look_at = world.now();
    }

    /// Nothing reaches it for a while, and what was on its way is lost; then it
    /// looks, as one does that has just started.
    pub fn hears_nothing(&mut self, until: Moment) {
        self.sources = Sources::default();
        self.looked.0 = 0;
        self.look_at = until;
        self.began = until;
    }

    /// Does a step run?
    pub fn acts(&self) -> bool {
        !self.steps.is_empty()
    }

    /// What goes on in one second.
    pub async fn second(&mut self, world: &mut World, judge: &mut Judge) -> Result<(), Broken> {
        while let Some(Some((incident, run, outcome))) = poll_immediate(self.steps.next()).await {
            world
                .timeline
                .note(world.clock.now(), || format!("    step {incident}.{run}: {outcome:?}"));
            self.turn(Event::StepEnded { incident, run, outcome }, world, judge).await?;
        }
        self.look(world, judge).await?;
        self.keep(world, judge).await?;
        self.deadlines(world, judge).await?;
        self.sample(world, judge).await?;
        if (world.second() - self.began.as_nanos() / 1_000_000_000).is_multiple_of(CHECKPOINT) {
            world.checkpoint = Some((world.now(), self.core.checkpoint()));
            if !world.full {
                for report in std::mem::take(&mut self.unsaved) {
                    self.turn(report, world, judge).await?;
                }
            }
        }
        judge.second(world)
    }

    /// Looks at the projects when something has happened, and now and then.
    async fn look(&mut self, world: &mut World, judge: &mut Judge) -> Result<(), Broken> {
        let (now, happened) = (world.now(), world.model.happened());
        if world.engine_away || (self.looked.0 == happened && now < self.look_at) {
            return Ok(());
        }
        let touched = world.touched.take();
        let mut well = true;
        for project in world.settings.projects.clone() {
            let known = self.looked.1.get(&project.name).filter(|_| self.looked.0 == happened);
            let seen = match known {
                Some(known) => Ok(Observation { at: now, changed_at: None, ..known.clone() }),
                None => self.engine.observe(&project.name).await,
            };
            let Ok(mut seen) = seen else {
                well = false;
                continue;
            };
            seen.changed_at = seen.changed_at.into_iter().chain(touched).min();
            self.looked.1.insert(project.name, seen.clone());
            self.turn(Event::Observed(seen), world, judge).await?;
        }
        self.looked.0 = if well { happened } else { 0 };
        self.look_at = now + secs(ANYWAY);
        Ok(())
    }

    /// Keeps what must stay restorable, and says what no longer is.
    async fn keep(&mut self, world: &mut World, judge: &mut Judge) -> Result<(), Broken> {
        if std::mem::take(&mut self.moved) {
            let kept = self.core.kept();
            if kept != self.kept {
                self.kept = kept;
                self.checked.0 = 0;
            }
        }
        let (now, happened) = (world.now(), world.model.happened());
        if world.engine_away || (self.checked.0 == happened && now < self.check_at) {
            return Ok(());
        }
        if self.checked.0 != happened {
            let mut images: BTreeMap<ImageId, KeepBy> = BTreeMap::new();
            let revisions = self.kept.iter().flat_map(|(_, revisions)| revisions);
            for service in revisions.flat_map(|revision| &revision.services) {
                images.insert(service.image_id, world.rules.keep_by);
            }
            // What stands in the way of one is told by `restorable`.
            let _ = self.engine.keep(&images).await;
            self.checked.1.clear();
            for (project, revisions) in &self.kept {
                for revision in revisions {
                    let Ok(problem) = self.engine.restorable(revision).await else { continue };
                    let (project, revision) = (project.clone(), revision.number);
                    self.checked.1.push(Event::Restorable { project, revision, problem });
                }
            }
        }
        for event in self.checked.1.clone() {
            self.turn(event, world, judge).await?;
        }
        self.checked.0 = happened;
        self.check_at = now + secs(2 * ANYWAY);
        Ok(())
    }

    async fn deadlines(&mut self, world: &mut World, judge: &mut Judge) -> Result<(), Broken> {
        for _ in 0..100 {
            match self.core.next_deadline() {
                Some((due, _)) if due <= world.now() => {
                    self.turn(Event::Deadline, world, judge).await?;
                }
                _ => return Ok(()),
            }
            if world.full {
                // While state cannot be written, looked at no oftener.
                return Ok(());
            }
        }
        let due = self.core.next_deadline();
        Err(Broken::new("a_deadline_that_has_passed_is_not_waited_for", format!("{due:?}")))
    }

    async fn sample(&mut self, world: &mut World, judge: &mut Judge) -> Result<(), Broken> {
        let mut arrived = Vec::new();
        self.sources.arrive(world.now(), &mut arrived);
        for (place, trigger) in &self.places {
            if world.second().is_multiple_of(trigger.every.as_secs()) {
                self.sources.ask(world, *place, trigger, &mut arrived);
            }
        }
        for (trigger, sample) in arrived {
            let value = match sample.reading {
                Reading::Value(value) => Some(value),
                Reading::Missing(_) => None,
            };
            if self.places.iter().any(|(place, _)| *place == sample.trigger) {
                let heard = Heard { asked: sample.at, told: world.now(), value };
                world.hear(&trigger, heard);
            }
            // A death leaves it as it is; the next start resets it.
            judge.because = Because::Sample(trigger);
            let told = self.turn(Event::Sample(sample), world, judge).await;
            judge.because = Because::Other;
            told?;
        }
        Ok(())
    }

    /// What a person asks for, and what they are answered.
    pub async fn command(
        &mut self,
        command: Command,
        world: &mut World,
        judge: &mut Judge,
    ) -> Result<Answer, Broken> {
        let answer = self.turn(Event::Command(command), world, judge).await?;
        answer.ok_or_else(|| Broken::new("a_command_is_answered", "it was not".into()))
    }

    /// One turn: handle, commit, apply, hand on.
    pub async fn turn(
        &mut self,
        event: Event,
        world: &mut World,
        judge: &mut Judge,
    ) -> Result<Option<Answer>, Broken> {
        world.events += 1;
        let now = world.now();
        let report = matches!(event, Event::StepEnded { .. }).then(|| event.clone());
        let mut turn = std::mem::take(&mut self.turn);
        turn.clear();
        self.core.handle(now, event, &mut turn);
        let answer = turn.answer.take();
        if turn.facts.is_empty() && turn.effects.is_empty() {
            self.turn = turn;
            return Ok(answer);
        }
        boundary("commit before");
        let anchor = world.clock.anchor();
        let committed = self.store.commit(anchor, turn.facts.clone(), turn.effects.clone()).await;
        let Ok(ids) = committed else {
            self.core.dropped();
            self.unsaved.extend(report);
            let message = "state cannot be written".to_owned();
            let refusal = Refusal { message, hint: String::new() };
            return Ok(answer.map(|_| Err(refusal)));
        };
        for fact in &turn.facts {
            judge.fact(fact, now, world).await?;
        }
        boundary("commit after");
        turn.facts.iter().for_each(|fact| self.core.apply(fact));
        self.moved = true;
        if let Some(Event::StepEnded { incident, run, .. }) = report
            && let Some(effect) = self.running.remove(&(incident, run))
        {
            self.acknowledge(effect).await;
        }
        if turn.facts.iter().any(|fact| matches!(fact, Fact::RollbackEnded { .. })) {
            // What was seen before shows the rollback's own making.
            self.looked.0 = 0;
        }
        for (id, effect) in ids.into_iter().zip(turn.effects.drain(..)) {
            self.hand_on(id, effect, world, judge).await?;
        }
        self.turn = turn;
        Ok(answer)
    }

    async fn hand_on(
        &mut self,
        id: EffectId,
        effect: Effect,
        world: &mut World,
        judge: &mut Judge,
    ) -> Result<(), Broken> {
        match effect {
            Effect::RunStep { incident, project, run, after, step } => {
                if self.core.awaits(incident, run) {
                    self.running.insert((incident, run), id);
                    self.steps.push(carry_out(
                        self.engine.clone(),
                        (incident, run),
                        project,
                        after,
                        step,
                    ));
                } else {
                    self.acknowledge(id).await;
                }
            }
            Effect::Tell(notice) => {
                world.timeline.note(world.clock.now(), || {
                    format!("  told: {}", crate::judge::headline(&notice))
                });
                judge.told(id, &notice)?;
                boundary("told");
                self.acknowledge(id).await;
            }
        }
        Ok(())
    }

    async fn acknowledge(&self, id: EffectId) {
        // On a full disk it is handed on again after a restart.
        let _ = self.store.acknowledge(id).await;
    }

    /// The disk is full, or no longer.
    pub async fn refuse_writes(&self, refuse: bool) {
        self.store.refuse_writes(refuse).await.unwrap();
    }
}

fn carry_out(
    engine: Engine,
    (incident, run): (IncidentId, u32),
    project: ProjectName,
    after: Duration,
    step: Step,
) -> Pin<Box<dyn Future<Output = Ended>>> {
    Box::pin(async move {
        // No step takes no time: what goes on beside it has its chance.
        tokio::time::sleep(after.max(Duration::from_millis(300))).await;
        (incident, run, rollback::run(&step, &project, incident, &engine).await)
    })
}
