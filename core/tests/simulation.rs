//! Lives at random: people deploy, pause, roll back and come back; sources lie,
//! fall silent and recover; steps fail, answer late or twice; the configuration
//! changes; the disk fills; the daemon is stopped, or killed with an old
//! checkpoint. Whatever happens, what the contract promises holds.
//!
//! `ROLLBACKD_SEEDS=100000` runs more lives than the few of every test run; a
//! life that breaks a promise prints its seed, `ROLLBACKD_SEED=n` runs that one.
#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use std::{collections::BTreeSet, env};

use rollbackd_core::{
    event::{Command, Event},
    fact::Fact,
    incident::{Cause, Incident, Outcome},
    moment::Moment,
    plan::{Does, Fault, StepOutcome},
    reading::Reading,
    settings::{
        Clear, Condition, Hold, NotRecovered, ProjectSettings, Scope, Settings, TriggerSettings,
    },
    signal::Signal,
    status::Checkpoint,
    words::{IncidentId, ProjectName, RevisionNo, ServiceName, TriggerId},
};
use world::*;

/// SplitMix64: a seed is a whole life.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let n = u64::try_from(all.len()).unwrap();
        &all[usize::try_from(self.below(n)).unwrap()]
    }
}

fn triggers_of(service: &str) -> Vec<TriggerSettings> {
    vec![TriggerSettings { service: ServiceName::new(service), ..errors() }]
}

fn triggers() -> Vec<TriggerSettings> {
    let named = |id: &str, service: &str| TriggerSettings {
        id: TriggerId::new(id),
        name: id.into(),
        service: ServiceName::new(service),
        ..errors()
    };
    let share =
        Hold::Share { share: rollbackd_core::ratio::Ratio::new(0.7).unwrap(), within: secs(90) };
    let clear = Clear { line: Some(0.03), lasts: secs(30) };
    let health = TriggerSettings {
        signal: Signal::Health,
        condition: Condition::AtLeast(3.0),
        hold: Hold::For(secs(0)),
        grace: secs(0),
        ..named("health", "web")
    };
    vec![
        TriggerSettings { clear, ..named("errors", "web") },
        TriggerSettings { hold: share, ..named("slow", "web") },
        TriggerSettings { blames: vec![ServiceName::new("web")], ..named("auth", "auth") },
        health,
    ]
}

/// What happened in one life, for the promises.
struct Life {
    world: World,
    dice: Dice,
    checked: usize,
    /// The whole configuration; a reload takes something away or changes it.
    whole: Settings,
    /// The checkpoint that a kill finds.
    kept: Checkpoint,
    /// Answers that may come again.
    said: Vec<(IncidentId, u32)>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut settings = shop(triggers());
        settings.scope = *dice.pick(&[Scope::Deployment, Scope::Service, Scope::Project]);
        settings.bake = secs(*dice.pick(&[300, 1800]));
        settings.settle = secs(*dice.pick(&[5, 60]));
        settings.not_recovered = *dice.pick(&[NotRecovered::Stay, NotRecovered::Forward]);
        settings.max_depth = *dice.pick(&[0, 1, 3]) as u32;
        let mut world = World::new(settings);
        let long_ago = at(0) - secs(3600);
        let mut auth = runs("auth", 1, long_ago);
        auth.depends_on = vec!["db"];
        let mut sidecar = runs("sidecar", 1, long_ago);
        sidecar.joins = vec!["web"];
        world.services.extend([auth, runs("db", 1, long_ago), sidecar]);
        world.services.push(runs("zoo-web", 1, long_ago));
        let mut zoo = shop(triggers_of("zoo-web"));
        zoo.name = ProjectName::new("zoo");
        world.settings.projects.push(zoo);
        let whole = world.settings.clone();
        world.reload(whole.clone());
        let kept = world.core.checkpoint();
        Self { world, dice, checked: 0, whole, kept, said: Vec::new() }
    }

    fn step(&mut self) {
        match self.dice.below(30) {
            0 | 1 => self.deploy(),
            2 => self.mood(),
            3 => self.command(),
            4 => {
                let away = *self.dice.pick(&[1, 20, 100, 4000]);
                if self.dice.one_in(2) {
                    self.world.restart_from(self.kept.clone(), away);
                } else {
                    self.world.restart(away);
                }
            }
            12 | 13 => self.announce(),
            14 => self.abort(),
            8 => self.reload(),
            9 => {
                self.world.full = true;
                self.world.run(self.dice.below(400));
                self.answer();
                self.deploy();
                self.world.run(self.dice.below(100));
                self.world.roomy();
            }
            10 => self.kept = self.world.core.checkpoint(),
            11 => self.say_again(),
            5 => self.fail_steps(),
            6 => {
                self.world.event(Event::Engine(Some("it is away".into())));
                self.world.run(self.dice.below(90));
                self.world.event(Event::Engine(None));
                self.world.look();
            }
            7 => {
                self.world.prompt = !self.world.prompt;
                self.answer();
            }
            _ => {
                let seconds = *self.dice.pick(&[1, 15, 60, 300, 900]);
                self.world.run(seconds);
                self.answer();
            }
        }
        self.check();
    }

    fn deploy(&mut self) {
        let service = *self.dice.pick(&["web", "auth", "db", "zoo-web"]);
        let version = u8::try_from(1 + self.dice.below(6)).unwrap();
        if self.dice.one_in(4) {
            self.world.pull(service, version);
        } else {
            self.world.deploy(service, version);
        }
    }

    /// A person's command begins to deploy, or ends, or is forgotten.
    fn announce(&mut self) {
        let (project, id) = (ProjectName::new("shop"), format!("job {}", self.dice.below(2)));
        let command = if self.dice.one_in(2) {
            let limit = secs(*self.dice.pick(&[60, 600, 2700]));
            Command::DeployBegins { project, id, limit }
        } else {
            Command::DeployEnds { project, id }
        };
        // A refusal is an answer too.
        let _ = self.world.command(command);
    }

    /// A person stops what runs, or what does not.
    fn abort(&mut self) {
        let running = self.world.core.views(self.world.now).iter().find_map(|view| view.rollback);
        let incident = running.unwrap_or(IncidentId(1 + self.dice.below(4)));
        let _ = self.world.command(Command::Abort { incident });
    }

    /// The configuration is read again: something is missing, changed or back.
    fn reload(&mut self) {
        let mut settings = self.whole.clone();
        let shop = &mut settings.projects[0];
        match self.dice.below(6) {
            0 => drop(settings.projects.remove(0)),
            1 => drop(settings.projects.pop()),
            2 => drop(shop.triggers.remove(0)),
            3 => shop.triggers[0].condition = Condition::Above(0.2),
            4 => shop.triggers[0].every = secs(5),
            _ => {}
        }
        self.world.reload(settings);
        self.world.look();
    }

    /// An executor that says again what it has said.
    fn say_again(&mut self) {
        let Some(&(incident, run)) = self.said.last() else { return };
        if self.world.open.iter().any(|(i, r, _)| (*i, *r) == (incident, run)) {
            return;
        }
        let outcome = failed("said again", Fault::Target);
        let unsaved = self.world.unsaved.len();
        let facts = self.world.facts.len();
        self.world.event(Event::StepEnded { incident, run, outcome });
        assert_eq!(unsaved, self.world.unsaved.len());
        let moved = |fact: &Fact| matches!(fact, Fact::StepEnded { .. });
        assert!(!self.world.facts[facts..].iter().any(moved), "an answer moves a rollback once");
    }

    /// Which versions are good, and whether sources answer, changes.
    fn mood(&mut self) {
        let (bad, silent) = (self.dice.roll(), self.dice.one_in(4));
        let always = self.dice.one_in(8);
        self.world.reads = Box::new(move |world, trigger| {
            let version = u64::from(world.version(trigger.service.as_str()));
            let is_bad = always || (version > 1 && (bad >> version) & 1 == 1);
            let noise = ((world.now.as_nanos() / 1_000_000_000) ^ bad) % 11;
            match (silent, noise) {
                (true, 0..=5) => unanswered(),
                (true, 6..=7) => empty(),
                _ if trigger.signal == Signal::Health => {
                    Reading::Value(if is_bad { f64::INFINITY } else { 0.0 })
                }
                (_, 9) if is_bad => Reading::Value(0.05),
                _ => Reading::Value(if is_bad { 0.3 } else { 0.01 }),
            }
        });
    }

    fn command(&mut self) {
        let project = ProjectName::new("shop");
        let command = match self.dice.below(5) {
            0 => Command::Pause {
                project: Some(project),
                lasts: Some(secs(300)),
                reason: String::new(),
            },
            1 => Command::Pause { project: None, lasts: None, reason: "fair".into() },
            2 => Command::Resume { project: None },
            3 => Command::Forward { project, service: None },
            _ => {
                let number = RevisionNo(u32::try_from(1 + self.dice.below(5)).unwrap());
                Command::Rollback {
                    project,
                    service: None,
                    to: self.dice.one_in(2).then_some(number.into()),
                    reason: String::new(),
                    dry_run: self.dice.one_in(3),
                }
            }
        };
        // A refusal is an answer too.
        let _ = self.world.command(command);
    }

    fn fail_steps(&mut self) {
        let (when, fault) = (self.dice.below(6), *self.dice.pick(&[Fault::World, Fault::Target]));
        self.world.steps = Box::new(move |does| {
            let fails = matches!(
                (when, does),
                (0, Does::Recreate { .. })
                    | (1, Does::WaitHealthy { .. })
                    | (2, Does::Retag { .. })
                    | (3, Does::Discard { .. })
                    | (3, Does::PutBack { .. })
            );
            if fails { failed("so be it", fault) } else { StepOutcome::Done(String::new()) }
        });
    }

    fn answer(&mut self) {
        while let Some((incident, run, does)) = self.world.open.pop() {
            if self.world.core.awaits(incident, run) {
                self.said.push((incident, run));
                self.world.execute(&does, incident, run);
            }
        }
    }

    /// The promises, over the facts that are new.
    fn check(&mut self) {
        let facts = &self.world.facts;
        for (n, fact) in facts.iter().enumerate().skip(self.checked) {
            if let Fact::RollbackEnded { outcome: Outcome::Recovered, reason, .. } = fact {
                assert!(!reason.ends_with(": "), "something was judged");
            }
            if let Fact::StepBegan { incident, index, undo, .. } = fact {
                begun_rightly(*incident, *index, *undo, &facts[..n]);
            }
            if let Fact::RollbackBegan(incident) = fact {
                let of = of_project(&facts[..n], &incident.project);
                began_rightly(incident, &of, &self.world);
            }
        }
        self.checked = facts.len();
    }

    /// Everything ends when people and machines are left alone.
    fn end(&mut self) {
        let whole = self.whole.clone();
        self.world.reload(whole);
        self.world.prompt = true;
        self.world.steps = Box::new(|_| StepOutcome::Done(String::new()));
        self.answer();
        self.world.run(7200);
        self.check();
        let views = self.world.core.views(self.world.now);
        assert!(views.iter().all(|view| view.rollback.is_none()), "every rollback ends");
        let over = views.iter().all(|view| view.announced.is_none());
        assert!(over, "an announced deployment ends at its limit");
        let facts = &self.world.facts;
        let count = |which: fn(&Fact) -> bool| facts.iter().filter(|fact| which(fact)).count();
        let began = count(|fact| matches!(fact, Fact::RollbackBegan(_)));
        assert_eq!(began, count(|fact| matches!(fact, Fact::RollbackEnded { .. })));
        let now = self.world.view();
        self.world.restart(0);
        let again = self.world.view();
        assert_eq!(now.revision, again.revision);
        assert_eq!(now.incidents, again.incidents, "starting up is folding the facts");
        assert_eq!(now.revisions.len(), again.revisions.len());
    }
}

/// The facts of one project.
fn of_project(facts: &[Fact], project: &ProjectName) -> Vec<Fact> {
    let mut ours = BTreeSet::new();
    let mut of = Vec::new();
    for fact in facts {
        match (fact.project(), fact.incident()) {
            (Some(name), id) if name == project => {
                ours.extend(id);
                of.push(fact.clone());
            }
            (None, Some(id)) if ours.contains(&id) => of.push(fact.clone()),
            _ => {}
        }
    }
    of
}

/// A rollback that a breach began stood behind every guard, by the facts before
/// it alone.
fn began_rightly(incident: &Incident, before: &[Fact], world: &World) {
    let named = |settings: &&ProjectSettings| settings.name == incident.project;
    let settings = world.settings.projects.iter().find(named);
    let Some(settings) = settings else {
        assert!(!matches!(incident.cause, Cause::Breach(_)), "only what is configured is acted on");
        return;
    };
    let open = |from: fn(&Fact) -> bool, to: fn(&Fact) -> bool| {
        let last = before.iter().rposition(|fact| from(fact) || to(fact));
        last.is_some_and(|n| from(&before[n]))
    };
    let running = open(
        |fact| matches!(fact, Fact::RollbackBegan(_)),
        |fact| matches!(fact, Fact::RollbackEnded { .. }),
    );
    assert!(!running, "one rollback at a time");
    assert!(incident.to.is_some() && !incident.services.is_empty(), "there is a target");
    if matches!(incident.cause, Cause::Person { .. }) {
        return;
    }
    let paused = open(
        |fact| matches!(fact, Fact::Paused { .. }),
        |fact| matches!(fact, Fact::Resumed { .. }),
    );
    assert!(!paused, "never while paused");
    let announced = open(
        |fact| matches!(fact, Fact::Announced { .. }),
        |fact| matches!(fact, Fact::AnnouncementOver { .. }),
    );
    assert!(!announced, "never while a deployment is announced");
    let Cause::Breach(breach) = &incident.cause else { return };
    let deploying = open(
        |fact| matches!(fact, Fact::DeploymentBegan { .. }),
        |fact| matches!(fact, Fact::DeploymentEnded { .. } | Fact::DeploymentVanished { .. }),
    );
    assert!(!deploying, "never while a deployment is under way");
    let bad = before.iter().rev().find_map(|fact| match fact {
        Fact::Stands { revision, standing, .. } if Some(*revision) == incident.to => {
            Some(*standing)
        }
        _ => None,
    });
    assert_ne!(bad, Some(rollbackd_core::revision::Standing::Bad), "never to a bad revision");
    let value = breach.value.expect("a breach has a value");
    assert!(breach.condition.breached_by(value), "only a live sample completes a breach");
    let earlier = before.iter().filter_map(|fact| match fact {
        // What nobody had deployed is put back outside cooldown and budget.
        Fact::RollbackBegan(past) if !matches!(past.cause, Cause::KnownBad { .. }) => {
            (!past.goes_forward()).then_some(&**past)
        }
        _ => None,
    });
    let same = |past: &&Incident| {
        past.services.iter().any(|p| incident.services.iter().any(|now| now.from_id == p.from_id))
    };
    let times: Vec<Moment> = earlier.filter(same).map(|past| past.began_at).collect();
    let since = |at: &Moment| incident.began_at.since(*at);
    assert!(times.iter().all(|at| since(at) > settings.cooldown), "never in the cooldown");
    let today = times.iter().filter(|at| since(at) <= secs(24 * 3600)).count();
    assert!(today < settings.max_rollbacks as usize, "never past the budget");
}

/// After a person has stopped a rollback, what still runs puts right what was
/// begun, and nothing else.
fn begun_rightly(id: IncidentId, index: u32, undo: bool, before: &[Fact]) {
    let asked = |fact: &Fact| matches!(fact, Fact::AbortAsked { incident, .. } if *incident == id);
    if undo || !before.iter().any(asked) {
        return;
    }
    let plan = before.iter().rev().find_map(|fact| match fact {
        Fact::RollbackBegan(incident) | Fact::NextTarget { incident } if incident.id == id => {
            Some(&incident.plan)
        }
        _ => None,
    });
    let does = &plan.unwrap().steps[index as usize].does;
    assert!(matches!(does, Does::Discard { .. }), "stopped, it begins {does:?}");
}

fn live(seed: u64) -> Vec<Fact> {
    let mut life = Life::new(seed);
    for _ in 0..60 {
        life.step();
    }
    life.end();
    life.world.facts
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_the_promises_hold() {
    if let Some(seed) = number("ROLLBACKD_SEED") {
        for fact in live(seed) {
            println!("{fact:?}");
        }
        return;
    }
    for seed in 0..number("ROLLBACKD_SEEDS").unwrap_or(15) {
        println!("ROLLBACKD_SEED={seed}");
        live(seed);
    }
}

#[test]
fn the_same_events_give_the_same_facts() {
    for seed in 1000..1002 {
        assert_eq!(live(seed), live(seed));
    }
}
