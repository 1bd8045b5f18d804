//! Death at every durable boundary: the core, the executor of steps and the
//! store on the engine model. At each commit and each change of the engine the
//! daemon is killed once, started again, and must finish what it had begun, once.
//! And a disk that is full at every write, instead of a death.
#![cfg(feature = "testing")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use rollbackd::{
    docker::{
        Docker,
        error::DockerError,
        model::{Behaviour, Model, Service},
    },
    engine::{Engine, compose::Compose, records::Records},
    host::{
        clock::Clock,
        death::{self, Died, boundary},
    },
    rollback,
    store::{self, EffectId, Opened, StoreError},
};
use rollbackd_core::{
    effect::{Effect, News},
    event::{Command, Event},
    fact::Fact,
    incident::Outcome,
    moment::Moment,
    plan::Does,
    reading::{Missing, Reading, Sample},
    reducer::{Core, Turn},
    settings::{
        Action, AfterBake, Blame, Clear, Condition, Hold, Mode, NotRecovered, OnBlind, Order,
        ProjectSettings, Scope, Settings, TriggerSettings,
    },
    signal::Signal,
    words::{ImageId, ProjectName, ServiceName, TriggerId},
};
use tempfile::TempDir;
use tokio::sync::broadcast;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    let trigger = TriggerSettings {
        id: TriggerId::new("errors"),
        name: "errors".into(),
        service: ServiceName::new("web"),
        signal: Signal::ErrorRate,
        source: "prom".into(),
        measures: String::new(),
        condition: Condition::Above(0.05),
        hold: Hold::For(SECOND * 5),
        for_known_bad: Duration::from_secs(20),
        clear: Clear::default(),
        every: SECOND,
        max_gap: SECOND * 3,
        grace: SECOND,
        recover_within: SECOND * 30,
        looks_back: Duration::ZERO,
        on_blind: OnBlind::Ignore,
        blames: Vec::new(),
        blame: Blame::Careful,
        group: None,
        action: Action::Rollback,
    };
    let project = ProjectSettings {
        name: ProjectName::new("shop"),
        mode: Mode::Act,
        bake: SECOND * 600,
        after_bake: AfterBake::Alert,
        settle: SECOND * 2,
        grace: SECOND,
        scope: Scope::Deployment,
        order: Order::StopFirst,
        drain: Duration::ZERO,
        stateful: false,
        keep: 3,
        cooldown: SECOND * 900,
        max_rollbacks: 3,
        recover_within: SECOND * 30,
        not_recovered: NotRecovered::Stay,
        max_depth: 1,
        start_timeout: SECOND * 60,
        groups: Vec::new(),
        triggers: vec![trigger],
    };
    Settings { projects: vec![project] }
}

/// What outlives every death: the engine, the disk, time, and what people were
/// told.
struct Machine {
    clock: Clock,
    model: Model,
    disk: TempDir,
    told: Vec<(EffectId, &'static str)>,
    good: ImageId,
    bad: ImageId,
    /// The run of a step in which a person stops the rollback, twice.
    abort_in: Option<u32>,
    /// The disk is full for these writes of the next life: the first and how
    /// many; then how many writes there were.
    full: (u64, u64),
    writes: u64,
}

impl Machine {
    /// A shop whose first revision is known, and a bad image that was deployed
    /// while nobody looked.
    fn with_a_bad_deployment(replicas: u32) -> Self {
        let clock = Clock::manual(Moment::from_nanos(1_800_000_000_000_000_000));
        let model = Model::new(clock.clone());
        let good = model.import("shop:latest", Behaviour::Runs);
        let shop = Service::new("shop", "web", "shop:latest").replicas(replicas);
        model.up(&shop).unwrap();
        let disk = tempfile::tempdir().unwrap();
        let (told, bad, abort_in, full, writes) = (Vec::new(), good, None, (0, 0), 0);
        let mut machine = Self { clock, model, disk, told, good, bad, abort_in, full, writes };
        machine.live(|life| life.core.views(life.now())[0].revision.is_some());
        machine.bad = machine.model.import("shop:latest", Behaviour::Runs);
        machine.model.up(&shop).unwrap();
        machine
    }

    /// The daemon lives until the goal is reached.
    fn live(&mut self, goal: impl Fn(&Life<'_>) -> bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut life = Life::begin(self);
            let (first, count) = life.machine.full;
            life.store.refuse_from(first, count).await.unwrap();
            for _ in 0..600 {
                life.second().await;
                if goal(&life) {
                    life.deliver().await;
                    life.machine.writes = life.store.writes().await.unwrap();
                    return;
                }
            }
            panic!("ten minutes were not enough");
        });
    }

    /// Lives until the rollback has ended, and dies at the boundary `n` first.
    /// Says at which, if there are so many.
    fn live_and_die(&mut self, n: u64) -> Option<String> {
        let armed = death::arm(n);
        let lived = catch_unwind(AssertUnwindSafe(|| self.live(ended)));
        drop(armed);
        lived.err().map(|died| match died.downcast::<Died>() {
            Ok(died) => died.0,
            Err(other) => std::panic::resume_unwind(other),
        })
    }

    /// What runs, by the images' IDs; every name must be the service's own.
    fn runs(&self) -> Vec<String> {
        let names = self.model.names();
        let foreign = names.iter().find(|name| name.contains("rollbackd"));
        assert_eq!(foreign, None, "nothing of ours is left: {names:?}");
        let all = names.iter().filter_map(|name| self.model.inspect(name));
        all.filter(|inspect| inspect["State"]["Running"] == true)
            .map(|inspect| inspect["Image"].as_str().unwrap().to_owned())
            .collect()
    }

    fn facts(&self) -> Vec<Fact> {
        open(self).facts.into_iter().map(|(_, fact)| fact).collect()
    }
}

/// The one who died a moment ago may still hold the lock: its thread ends when
/// it notices.
fn open(machine: &Machine) -> Opened {
    loop {
        match store::open(machine.disk.path()) {
            Err(StoreError::InUse { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn ended(life: &Life<'_>) -> bool {
    let view = &life.core.views(life.now())[0];
    view.rollback.is_none() && view.incidents.iter().any(|incident| incident.outcome.is_some())
}

/// One life of the daemon.
struct Life<'a> {
    machine: &'a mut Machine,
    core: Core,
    store: store::Handle,
    engine: Engine,
    effects: VecDeque<(EffectId, Effect)>,
    /// What steps reported while the state could not be written.
    unsaved: Vec<Event>,
}

impl<'a> Life<'a> {
    fn begin(machine: &'a mut Machine) -> Self {
        let Opened { handle, facts, pending, .. } = open(machine);
        let mut core = Core::new();
        facts.iter().for_each(|(_, fact)| core.apply(fact));
        core.configure(&settings(), machine.clock.now());
        let (happenings, _) = broadcast::channel(64);
        let engine = Engine::Compose(Compose::new(
            Docker::model(machine.model.clone()),
            Records::new(handle.clone()),
            machine.clock.clone(),
            happenings,
            machine.disk.path(),
            false,
        ));
        let (effects, unsaved) = (pending.into(), Vec::new());
        Self { machine, core, store: handle, engine, effects, unsaved }
    }

    fn now(&self) -> Moment {
        self.machine.clock.now()
    }

    fn pass(&self, time: Duration) {
        self.machine.clock.set(self.now() + time);
    }

    async fn second(&mut self) {
        for report in std::mem::take(&mut self.unsaved) {
            self.turn(report).await;
        }
        self.deliver().await;
        self.pass(SECOND);
        let shop = ProjectName::new("shop");
        // What was seen is also recorded; where that cannot be, it is looked again.
        if let Ok(seen) = self.engine.observe(&shop).await {
            self.turn(Event::Observed(seen)).await;
        }
        for (project, revisions) in self.core.kept() {
            for revision in revisions {
                let problem = self.engine.restorable(&revision).await.unwrap();
                let (project, revision) = (project.clone(), revision.number);
                self.turn(Event::Restorable { project, revision, problem }).await;
            }
        }
        self.turn(Event::Deadline).await;
        let trigger = *self.core.places().values().next().unwrap();
        let (at, reading) = (self.now(), self.errors());
        self.turn(Event::Sample(Sample { trigger, at, reading })).await;
    }

    /// What a client sees: the bad image errs, and who is away says nothing.
    fn errors(&self) -> Reading {
        let inspect = self.machine.model.inspect("shop-web-1");
        match inspect.filter(|inspect| inspect["State"]["Running"] == true) {
            None => Reading::Missing(Missing::Failed("refused".into())),
            Some(inspect) => {
                let bad = inspect["Image"] == self.machine.bad.to_string();
                Reading::Value(if bad { 0.5 } else { 0.0 })
            }
        }
    }

    async fn turn(&mut self, event: Event) {
        let mut turn = Turn::default();
        let report = matches!(event, Event::StepEnded { .. }).then(|| event.clone());
        self.core.handle(self.now(), event, &mut turn);
        if turn.facts.is_empty() && turn.effects.is_empty() {
            return;
        }
        boundary("commit before");
        let anchor = self.machine.clock.anchor();
        let ids = self.store.commit(anchor, turn.facts.clone(), turn.effects.clone()).await;
        boundary("commit after");
        let Ok(ids) = ids else {
            self.core.dropped();
            return self.unsaved.extend(report);
        };
        turn.facts.iter().for_each(|fact| self.core.apply(fact));
        self.effects.extend(ids.into_iter().zip(turn.effects));
    }

    /// Hands on every effect, as the daemon does.
    async fn deliver(&mut self) {
        while let Some((id, effect)) = self.effects.pop_front() {
            match effect {
                Effect::RunStep { incident, project, run, step, .. } => {
                    if self.core.awaits(incident, run) {
                        if matches!(step.does, Does::WaitHealthy { .. }) {
                            self.pass(SECOND * 3);
                        }
                        if self.machine.abort_in == Some(run) {
                            for _ in 0..2 {
                                self.turn(Event::Command(Command::Abort { incident })).await;
                            }
                        }
                        let outcome = rollback::run(&step, &project, incident, &self.engine).await;
                        self.turn(Event::StepEnded { incident, run, outcome }).await;
                    }
                }
                Effect::Tell(notice) => {
                    let what = match notice.news {
                        News::Began(_) => "began",
                        News::Ended { .. } => "ended",
                        _ => "other",
                    };
                    self.machine.told.push((id, what));
                    boundary("told");
                }
            }
            // Unacknowledged, it is handed on again at the next start.
            drop(self.store.acknowledge(id).await);
        }
    }
}

/// The rollback happened, once, and the shop serves what it should.
fn finished_once(machine: &Machine, replicas: usize, context: &str) -> Outcome {
    let facts = machine.facts();
    let began = facts.iter().filter(|fact| matches!(fact, Fact::RollbackBegan(_))).count();
    assert_eq!(began, 1, "{context}: one rollback");
    let outcomes: Vec<Outcome> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::RollbackEnded { outcome, .. } => Some(*outcome),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes.len(), 1, "{context}: it ends once");
    let wanted = match outcomes[0] {
        Outcome::Recovered => machine.good,
        Outcome::Failed => machine.bad,
        other => panic!("{context}: {other:?}"),
    };
    assert_eq!(machine.runs(), vec![wanted.to_string(); replicas], "{context}: what serves");
    let told: BTreeSet<&(EffectId, &str)> = machine.told.iter().collect();
    let words: Vec<&str> = told.iter().map(|(_, what)| *what).collect();
    assert_eq!(words, ["began", "ended"], "{context}: what people were told");
    outcomes[0]
}

#[test]
fn killed_at_any_boundary_it_goes_on_and_does_nothing_twice() {
    let mut boundaries = 0;
    for n in 1.. {
        let mut machine = Machine::with_a_bad_deployment(1);
        let Some(at) = machine.live_and_die(n) else { break };
        machine.live(ended);
        let outcome = finished_once(&machine, 1, &format!("killed at boundary {n}, {at}"));
        assert_eq!(outcome, Outcome::Recovered);
        boundaries = n;
    }
    assert!(boundaries > 30, "only {boundaries} boundaries were passed");
}

#[test]
fn killed_again_and_again_with_several_replicas_it_still_goes_on() {
    // A step resumed looks and repairs first; fewer than this leave it no time to.
    for step in 13..19 {
        let mut machine = Machine::with_a_bad_deployment(2);
        let mut deaths = 0;
        while machine.live_and_die(step).is_some() {
            deaths += 1;
            let lived = death::passed().join(", ");
            assert!(
                deaths < 200,
                "it lived: {lived}; a death every {step} boundaries keeps it from its end"
            );
        }
        finished_once(&machine, 2, &format!("killed {deaths} times, every {step} boundaries"));
    }
}

#[test]
fn killed_while_a_failed_target_is_undone_what_ran_runs_again() {
    for n in 1.. {
        let mut machine = Machine::with_a_bad_deployment(1);
        let cannot = DockerError::NotExecutable { message: "no such file".into() };
        machine.model.fail_once("docker.start", cannot);
        let Some(at) = machine.live_and_die(n) else { break };
        machine.live(ended);
        finished_once(&machine, 1, &format!("killed at boundary {n}, {at}"));
    }
}

#[test]
fn a_disk_that_is_full_at_any_write_holds_a_rollback_up_and_loses_nothing_of_it() {
    for times in [1, 4] {
        let mut all = 0;
        for n in 1.. {
            let mut machine = Machine::with_a_bad_deployment(1);
            machine.full = (n, times);
            machine.live(ended);
            if machine.writes < n {
                break;
            }
            // What could not be acknowledged is handed on again.
            machine.full = (0, 0);
            machine.live(ended);
            let context = format!("the disk was full at write {n}, {times} times");
            assert_eq!(finished_once(&machine, 1, &context), Outcome::Recovered);
            all = n;
        }
        assert!(all > 15, "only {all} writes");
    }
}

/// It was stopped once, everybody serves, and nothing of ours is left.
fn stopped_once(machine: &Machine, replicas: usize, context: &str) -> Outcome {
    let facts = machine.facts();
    let count = |which: fn(&Fact) -> bool| facts.iter().filter(|fact| which(fact)).count();
    assert_eq!(count(|fact| matches!(fact, Fact::AbortAsked { .. })), 1, "{context}");
    assert_eq!(count(|fact| matches!(fact, Fact::RollbackBegan(_))), 1, "{context}");
    let ended = facts.iter().find_map(|fact| match fact {
        Fact::RollbackEnded { outcome, reason, .. } => Some((*outcome, reason.clone())),
        _ => None,
    });
    let (outcome, reason) = ended.unwrap();
    assert!(reason.contains("stopped by a person"), "{context}: {reason}");
    let runs = machine.runs();
    assert_eq!(runs.len(), replicas, "{context}: a container of every replica runs: {runs:?}");
    // The breach that is still there may be told besides, as held by the cooldown.
    let told: BTreeSet<&(EffectId, &str)> = machine.told.iter().collect();
    let words: Vec<&str> =
        told.iter().map(|(_, what)| *what).filter(|what| *what != "other").collect();
    assert_eq!(words, ["began", "ended"], "{context}: what people were told");
    outcome
}

#[test]
fn stopped_in_any_step_it_leaves_a_running_container_of_every_replica() {
    for replicas in [1, 2] {
        let mut outcomes = Vec::new();
        // The first run of a step is the telling, which nobody can stop.
        for run in 2.. {
            let mut machine = Machine::with_a_bad_deployment(replicas);
            machine.abort_in = Some(run);
            machine.live(ended);
            let asked = |fact: &Fact| matches!(fact, Fact::AbortAsked { .. });
            if !machine.facts().iter().any(asked) {
                break;
            }
            let context = format!("stopped in run {run} with {replicas} replicas");
            outcomes.push(stopped_once(&machine, replicas as usize, &context));
        }
        let [first, .., last] = outcomes[..] else { panic!("{outcomes:?}") };
        assert!(outcomes.len() >= 4, "every step was stopped in: {outcomes:?}");
        assert_eq!((first, last), (Outcome::Refused, Outcome::Unverified));
    }
}

#[test]
fn stopped_in_a_step_that_fails_what_ran_runs_again() {
    for run in 2..4 {
        let mut machine = Machine::with_a_bad_deployment(2);
        machine.abort_in = Some(run);
        let cannot = DockerError::NotExecutable { message: "no such file".into() };
        machine.model.fail_once("docker.start", cannot);
        machine.live(ended);
        let outcome = stopped_once(&machine, 2, &format!("stopped in run {run}, which fails"));
        assert_eq!(outcome, Outcome::Refused);
        assert_eq!(machine.runs(), vec![machine.bad.to_string(); 2]);
    }
}

#[test]
fn killed_at_any_boundary_while_it_is_stopped_it_is_stopped_all_the_same() {
    for n in 1.. {
        let mut machine = Machine::with_a_bad_deployment(1);
        machine.abort_in = Some(3);
        let Some(at) = machine.live_and_die(n) else { break };
        machine.live(ended);
        stopped_once(&machine, 1, &format!("killed at boundary {n}, {at}"));
    }
}
