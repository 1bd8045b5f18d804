//! A small world around the core: a project that people deploy, sources that
//! are read every few seconds, an executor that does what it is told. All time
//! is simulated.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use rollbackd_core::{
    effect::{Effect, News, Notice},
    event::{Answer, Command, Event},
    fact::Fact,
    incident::{Incident, Outcome},
    moment::Moment,
    plan::{Does, Fault, StepOutcome},
    reading::{Missing, Reading, Sample},
    reducer::{Core, Turn},
    revision::{ContainerSeen, ContainerState, Health, Observation, ServiceRecord, ServiceSeen},
    settings::{
        Action, AfterBake, Blame, Clear, Condition, Hold, Mode, NotRecovered, OnBlind, Order,
        ProjectSettings, Scope, Settings, TriggerSettings,
    },
    signal::Signal,
    status::Checkpoint,
    view::{ProjectView, TriggerState},
    words::{
        ContainerId, Fingerprint, ImageId, IncidentId, ProjectName, ServiceName, TriggerId,
        TriggerIx,
    },
};

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn at(seconds: u64) -> Moment {
    Moment::ZERO + secs(1_000_000 + seconds)
}

/// A trigger: error rate above 5 % for 60 s, asked every 15 s.
pub fn errors() -> TriggerSettings {
    TriggerSettings {
        id: TriggerId::new("errors"),
        name: "errors".into(),
        service: ServiceName::new("web"),
        signal: Signal::ErrorRate,
        source: "prom".into(),
        measures: "q".into(),
        condition: Condition::Above(0.05),
        hold: Hold::For(secs(60)),
        for_known_bad: secs(20),
        clear: Clear::default(),
        every: secs(15),
        max_gap: secs(45),
        grace: secs(60),
        recover_within: secs(600),
        looks_back: secs(0),
        on_blind: OnBlind::Ignore,
        blames: Vec::new(),
        blame: Blame::Careful,
        group: None,
        action: Action::Rollback,
    }
}

pub fn shop(triggers: Vec<TriggerSettings>) -> ProjectSettings {
    ProjectSettings {
        name: ProjectName::new("shop"),
        mode: Mode::Act,
        bake: secs(1800),
        after_bake: AfterBake::Alert,
        settle: secs(60),
        grace: secs(60),
        scope: Scope::Deployment,
        order: Order::StopFirst,
        drain: secs(0),
        stateful: false,
        keep: 3,
        cooldown: secs(900),
        max_rollbacks: 3,
        recover_within: secs(600),
        not_recovered: NotRecovered::Stay,
        max_depth: 1,
        start_timeout: secs(60),
        groups: Vec::new(),
        triggers,
    }
}

pub fn image(version: u8) -> ImageId {
    format!("sha256:{}", format!("{version:02x}").repeat(32)).parse().unwrap()
}

/// What one service of the world runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Runs {
    pub name: &'static str,
    pub repository: &'static str,
    pub version: u8,
    pub started: Moment,
    pub depends_on: Vec<&'static str>,
    pub joins: Vec<&'static str>,
    pub containers: usize,
    pub stateful: bool,
    /// Something other than Compose made its containers.
    pub unattended: bool,
    pub health: Health,
}

/// An event, when the core was given it, and the facts that were committed.
pub type Heard = (Moment, Event, Option<Vec<Fact>>);

pub type Reads = Box<dyn Fn(&World, &TriggerSettings) -> Reading>;

/// The world.
pub struct World {
    pub core: Core,
    pub now: Moment,
    pub settings: Settings,
    pub services: Vec<Runs>,
    /// Containers that hold the engine's socket.
    pub pullers: Vec<String>,
    /// What the source reads at each service's version.
    pub reads: Reads,
    /// How each step ends.
    pub steps: Box<dyn Fn(&Does) -> StepOutcome>,
    pub facts: Vec<Fact>,
    pub notices: Vec<Notice>,
    /// Steps that were handed out and not answered, in order.
    pub open: Vec<(IncidentId, u32, Does)>,
    /// Answer steps at once.
    pub prompt: bool,
    /// The state cannot be written: every turn that would is dropped.
    pub full: bool,
    /// What steps reported meanwhile.
    pub unsaved: Vec<Event>,
    /// Every event that the core was given and the facts that it led to, `None`
    /// where they could not be committed; only when somebody listens.
    pub turns: Option<Vec<Heard>>,
}

impl World {
    pub fn new(settings: ProjectSettings) -> Self {
        Self::of(settings, vec![runs("web", 1, at(0) - secs(3600))])
    }

    /// A world that runs these services.
    pub fn of(settings: ProjectSettings, services: Vec<Runs>) -> Self {
        let settings = Settings { projects: vec![settings] };
        let mut core = Core::new();
        core.configure(&settings, at(0));
        let mut world = Self {
            core,
            now: at(0),
            settings,
            services,
            pullers: Vec::new(),
            reads: Box::new(|world, _| {
                Reading::Value(if world.services[0].version == 1 { 0.0 } else { 0.2 })
            }),
            steps: Box::new(|_| StepOutcome::Done(String::new())),
            facts: Vec::new(),
            notices: Vec::new(),
            open: Vec::new(),
            prompt: true,
            full: false,
            unsaved: Vec::new(),
            turns: None,
        };
        world.look();
        world
    }

    /// A world whose first revision has become good.
    pub fn proven(settings: ProjectSettings) -> Self {
        let mut world = Self::new(settings);
        world.run(2400);
        assert_eq!(world.view().standing.unwrap().as_str(), "good");
        world.facts.clear();
        world.notices.clear();
        world
    }

    /// One event through handle, commit and apply.
    pub fn event(&mut self, event: Event) -> Option<Answer> {
        let mut turn = Turn::default();
        let report = matches!(event, Event::StepEnded { .. }).then(|| event.clone());
        let heard = self.turns.is_some().then(|| event.clone());
        self.core.handle(self.now, event, &mut turn);
        let full = self.full && !(turn.facts.is_empty() && turn.effects.is_empty());
        if let (Some(turns), Some(heard)) = (&mut self.turns, heard) {
            turns.push((self.now, heard, (!full).then(|| turn.facts.clone())));
        }
        if full {
            self.core.dropped();
            self.unsaved.extend(report);
            return turn.answer;
        }
        for fact in &turn.facts {
            self.core.apply(fact);
        }
        self.facts.extend(turn.facts);
        for effect in turn.effects {
            self.effect(effect);
        }
        if self.prompt {
            while let Some((incident, run, does)) = self.open.pop() {
                self.execute(&does, incident, run);
            }
        }
        turn.answer
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::RunStep { incident, run, step, .. } => {
                self.open.push((incident, run, step.does));
            }
            Effect::Tell(notice) => self.notices.push(notice),
        }
    }

    /// Does what a step says, and reports.
    pub fn execute(&mut self, does: &Does, incident: IncidentId, run: u32) {
        let outcome = (self.steps)(does);
        if let (
            Does::Recreate { service, image: wanted, .. }
            | Does::Compose { service, image: wanted, .. },
            StepOutcome::Done(_),
        ) = (does, &outcome)
        {
            let now = self.now;
            for runs in self.services.iter_mut().filter(|s| s.name == service.as_str()) {
                runs.version = (1..=9).find(|version| image(*version) == *wanted).unwrap();
                runs.started = now;
                runs.unattended = false;
            }
        }
        self.look();
        self.event(Event::StepEnded { incident, run, outcome });
    }

    pub fn command(&mut self, command: Command) -> Answer {
        self.event(Event::Command(command)).expect("a command is answered")
    }

    /// One event whose turn could not be committed: the disk is full.
    pub fn dropped(&mut self, event: Event) -> Turn {
        let mut turn = Turn::default();
        self.core.handle(self.now, event, &mut turn);
        self.core.dropped();
        turn
    }

    /// There is room on the disk again.
    pub fn roomy(&mut self) {
        self.full = false;
        for report in std::mem::take(&mut self.unsaved) {
            self.event(report);
        }
    }

    /// The configuration is read again.
    pub fn reload(&mut self, settings: Settings) {
        self.settings = settings;
        self.core.configure(&self.settings, self.now);
    }

    /// Somebody deploys a version of a service.
    pub fn deploy(&mut self, name: &str, version: u8) {
        let now = self.now;
        let service = self.services.iter_mut().find(|service| service.name == name).unwrap();
        service.version = version;
        service.started = now;
        service.unattended = false;
        self.look();
    }

    /// Something pulls and recreates a service without Compose.
    pub fn pull(&mut self, name: &str, version: u8) {
        let now = self.now;
        let service = self.services.iter_mut().find(|service| service.name == name).unwrap();
        service.version = version;
        service.started = now;
        service.unattended = true;
        self.look();
    }

    /// The engine room looks.
    pub fn look(&mut self) {
        for project in self.settings.projects.clone() {
            let observation = self.observation_of(project.name.as_str());
            self.event(Event::Observed(observation));
        }
        for (project, revisions) in self.core.kept() {
            for revision in revisions {
                let (project, revision) = (project.clone(), revision.number);
                self.event(Event::Restorable { project, revision, problem: None });
            }
        }
    }

    pub fn observation(&self) -> Observation {
        self.observation_of("shop")
    }

    /// Services named `zoo-...` are the second project's.
    fn observation_of(&self, project: &str) -> Observation {
        let of = |runs: &&Runs| runs.name.starts_with("zoo-") == (project == "zoo");
        let mut services: Vec<ServiceSeen> = self.services.iter().filter(of).map(seen).collect();
        services.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        Observation {
            project: ProjectName::new(project),
            at: self.now,
            changed_at: None,
            services,
            pullers: self.pullers.clone(),
        }
    }

    /// Lets time pass: deadlines when they are due, every trigger asked in its
    /// interval, the engine looked at every 30 s.
    pub fn run(&mut self, seconds: u64) {
        let end = self.now + secs(seconds);
        let mut next = self.now + secs(1);
        while next <= end {
            self.now = next;
            self.due();
            self.sample();
            if (next.as_nanos() / 1_000_000_000).is_multiple_of(30) {
                self.look();
            }
            next = next + secs(1);
        }
        self.now = end;
    }

    fn due(&mut self) {
        for _ in 0..100 {
            match self.core.next_deadline() {
                Some((due, _)) if due <= self.now => {
                    self.event(Event::Deadline);
                    if self.full {
                        // Looked at no oftener than once a second.
                        return;
                    }
                }
                _ => return,
            }
        }
        panic!("the core asks again and again for a moment that has passed");
    }

    fn sample(&mut self) {
        let second = self.now.as_nanos() / 1_000_000_000;
        let mut places = None;
        for project in self.settings.projects.clone() {
            for trigger in project.triggers {
                if second.is_multiple_of(trigger.every.as_secs()) {
                    let reading = (self.reads)(self, &trigger);
                    let key = (project.name.clone(), trigger.id.clone());
                    let places = places.get_or_insert_with(|| self.core.places());
                    let (trigger, at) = (places[&key], self.now);
                    self.event(Event::Sample(Sample { trigger, at, reading }));
                }
            }
        }
    }

    /// Time in which the daemon does not run: only its clock goes on.
    pub fn restart(&mut self, away: u64) {
        self.restart_from(self.core.checkpoint(), away);
    }

    /// A restart after a kill: the checkpoint is older than the last facts.
    pub fn restart_from(&mut self, checkpoint: Checkpoint, away: u64) {
        self.now = self.now + secs(away);
        let mut core = Core::new();
        for fact in &self.facts {
            core.apply(fact);
        }
        core.configure(&self.settings, self.now);
        core.restore(checkpoint, self.now);
        self.core = core;
        // What had not been reported for good is done, and reported, again.
        self.roomy();
        self.look();
    }

    pub fn view(&self) -> ProjectView {
        self.core.views(self.now).remove(0)
    }

    pub fn state(&self, trigger: &str) -> TriggerState {
        let view = self.view();
        let all = view.services.iter().flat_map(|service| &service.triggers);
        all.clone().find(|view| view.name == trigger).unwrap().state
    }

    pub fn rollbacks(&self) -> Vec<&Incident> {
        fn began(fact: &Fact) -> Option<&Incident> {
            match fact {
                Fact::RollbackBegan(incident) => Some(&**incident),
                _ => None,
            }
        }
        self.facts.iter().filter_map(began).collect()
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        let ended = |fact: &Fact| match fact {
            Fact::RollbackEnded { outcome, .. } => Some(*outcome),
            _ => None,
        };
        self.facts.iter().filter_map(ended).collect()
    }

    /// The reasons of refusals and alerts, in order.
    pub fn held(&self) -> Vec<String> {
        let reason = |notice: &Notice| match &notice.news {
            News::Alert { reason, .. } => Some(reason.clone()),
            News::Refused(incident) => Some(incident.reason.clone()),
            _ => None,
        };
        self.notices.iter().filter_map(reason).collect()
    }

    pub fn version(&self, service: &str) -> u8 {
        self.services.iter().find(|runs| runs.name == service).unwrap().version
    }
}

pub fn runs(name: &'static str, version: u8, started: Moment) -> Runs {
    let (depends_on, joins) = (Vec::new(), Vec::new());
    let (repository, containers, stateful) = (name, 1, false);
    let (unattended, health) = (false, Health::None);
    Runs {
        name,
        repository,
        version,
        started,
        depends_on,
        joins,
        containers,
        stateful,
        unattended,
        health,
    }
}

fn seen(runs: &Runs) -> ServiceSeen {
    let id = |n| ContainerId::new(format!("{}-{}-{n}", runs.name, runs.version));
    let ids: Vec<ContainerId> = (1..=runs.containers).map(id).collect();
    let names = |all: &[&str]| all.iter().map(|name| ServiceName::new(*name)).collect();
    let container = |id: &ContainerId| ContainerSeen {
        id: id.clone(),
        state: ContainerState::Running,
        health: runs.health,
        started_at: Some(runs.started),
    };
    ServiceSeen {
        containers: ids.iter().map(container).collect(),
        record: ServiceRecord {
            name: ServiceName::new(runs.name),
            image: format!("{}:latest", runs.repository),
            image_id: image(runs.version),
            fingerprint: Fingerprint::new(format!("{}x{}", runs.version, runs.containers)),
            containers: ids,
            depends_on: names(&runs.depends_on),
            joins: names(&runs.joins),
            stateful: runs.stateful,
            publishes: false,
            one_shot: false,
            digests: Vec::new(),
            unattended: runs.unattended,
        },
    }
}

pub fn failed(why: &str, fault: Fault) -> StepOutcome {
    StepOutcome::Failed { why: why.into(), fault }
}

pub fn empty() -> Reading {
    Reading::Missing(Missing::Empty("nothing".into()))
}

pub fn unanswered() -> Reading {
    Reading::Missing(Missing::Failed("refused".into()))
}

pub fn place(world: &World, trigger: &str) -> TriggerIx {
    world.core.places()[&(ProjectName::new("shop"), TriggerId::new(trigger))]
}

pub fn by_hand() -> Command {
    Command::Rollback {
        project: ProjectName::new("shop"),
        service: None,
        to: None,
        reason: String::new(),
        dry_run: false,
    }
}
