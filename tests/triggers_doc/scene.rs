//! A world that is watched while it runs: what was read, which states followed,
//! what the project was doing. It becomes the panels of a plot.

pub mod picture;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use rollbackd::replay::plot::{Mark, Plot, Tone};
use rollbackd_core::{
    fact::Fact,
    moment::Moment,
    reading::Reading,
    reducer::Core,
    revision::{Health, Standing},
    settings::{Hold, ProjectSettings, TriggerSettings},
    view::TriggerState,
    words::IncidentId,
};

use crate::world::{self, Runs, World, runs, secs};

/// What a scenario gives: its plot, and what the document must say beside it.
pub struct Told {
    pub plot: Plot,
    pub says: Vec<String>,
}

type Log = Rc<RefCell<Vec<(String, Moment, Reading)>>>;
/// When something became what.
type Story<T> = Vec<(Moment, Option<T>)>;

/// A world, watched second by second.
pub struct Scene {
    pub world: World,
    zero: Moment,
    from: Moment,
    log: Log,
    states: BTreeMap<String, Story<TriggerState>>,
    pending: BTreeMap<String, Story<Moment>>,
    project: Story<(Tone, String)>,
    marks: Vec<Mark>,
    busy_until: Moment,
}

/// How long a step takes.
const STEP: Duration = Duration::from_secs(5);

/// The trigger of most scenarios: errors above 5 % for 2 minutes, every 15 s.
pub fn errors() -> TriggerSettings {
    TriggerSettings { hold: Hold::For(secs(120)), ..world::errors() }
}

/// A project with a short bake, so that it fits into a picture.
pub fn shop(triggers: Vec<TriggerSettings>) -> ProjectSettings {
    ProjectSettings { bake: secs(600), ..world::shop(triggers) }
}

/// A value that is about so much: numbers are never still.
pub fn about(value: f64, second: i64) -> f64 {
    const OFF: [f64; 8] = [0.02, -0.07, 0.06, -0.03, 0.08, -0.05, 0.03, -0.08];
    value * (1.0 + OFF[(second.div_euclid(15) * 5).rem_euclid(8) as usize])
}

/// A time as the document writes it: `0`, `45s`, `4m 15s`, `−1m`.
pub fn said(second: i64) -> String {
    let (minutes, rest) = (second.abs() / 60, second.abs() % 60);
    let time = match (minutes, rest) {
        (0, 0) => return "0".into(),
        (0, seconds) => format!("{seconds}s"),
        (minutes, 0) => format!("{minutes}m"),
        (minutes, seconds) => format!("{minutes}m {seconds}s"),
    };
    if second < 0 { format!("−{time}") } else { time }
}

impl Scene {
    /// A project of one service, whose first revision is good. The picture
    /// begins `lead` seconds before 0. `reads` gets the seconds since 0.
    pub fn new(
        settings: ProjectSettings,
        lead: u64,
        reads: impl Fn(&World, &TriggerSettings, i64) -> Reading + 'static,
    ) -> Self {
        Self::of(settings, lead, vec![runs("web", 1, world::at(0) - secs(3600))], reads)
    }

    /// The same, where another number than 0 is good.
    pub fn reading(
        settings: ProjectSettings,
        lead: u64,
        good: f64,
        reads: impl Fn(&World, &TriggerSettings, i64) -> Reading + 'static,
    ) -> Self {
        let services = vec![runs("web", 1, world::at(0) - secs(3600))];
        Self::proven(settings, lead, services, good, reads)
    }

    /// A project of these services.
    pub fn of(
        settings: ProjectSettings,
        lead: u64,
        services: Vec<Runs>,
        reads: impl Fn(&World, &TriggerSettings, i64) -> Reading + 'static,
    ) -> Self {
        Self::proven(settings, lead, services, 0.0, reads)
    }

    fn proven(
        settings: ProjectSettings,
        lead: u64,
        services: Vec<Runs>,
        good: f64,
        reads: impl Fn(&World, &TriggerSettings, i64) -> Reading + 'static,
    ) -> Self {
        let mut world = World::new(settings);
        // Its first look was at the services of every world.
        (world.core, world.services) = (Core::new(), services);
        world.core.configure(&world.settings, world.now);
        world.facts.clear();
        world.look();
        world.reads = Box::new(move |_, _| Reading::Value(good));
        world.run(2400);
        while !(world.now.as_nanos() / 1_000_000_000).is_multiple_of(60) {
            world.run(1);
        }
        assert_eq!(world.view().standing, Some(Standing::Good));
        world.notices.clear();
        world.prompt = false;
        let (from, zero) = (world.now, world.now + secs(lead));
        let log = Log::default();
        let writes = Rc::clone(&log);
        world.reads = Box::new(move |world, trigger| {
            let reading = reads(world, trigger, since(zero, world.now));
            writes.borrow_mut().push((trigger.name.clone(), world.now, reading.clone()));
            reading
        });
        let (states, pending, project, marks) = Default::default();
        let mut scene =
            Self { world, zero, from, log, states, pending, project, marks, busy_until: from };
        scene.watch();
        scene.until(0);
        scene
    }

    /// Runs until so many seconds after 0.
    pub fn until(&mut self, second: u64) {
        while self.world.now < self.zero + secs(second) {
            self.world.run(1);
            self.work();
            self.watch();
        }
    }

    /// Steps take their time: each ends a few seconds after it began.
    fn work(&mut self) {
        if self.world.open.is_empty() {
            self.busy_until = self.world.now + STEP;
        } else if self.world.now >= self.busy_until {
            let (incident, run, does) = self.world.open.remove(0);
            self.world.execute(&does, incident, run);
            self.busy_until = self.world.now + STEP;
        }
    }

    /// The daemon is stopped, and started so much later.
    pub fn restart(&mut self, away: u64) {
        self.nothing();
        self.world.restart(away);
        self.watch();
    }

    /// The machine is suspended for so long: nothing happens, its clock goes on.
    pub fn suspend(&mut self, away: u64) {
        self.nothing();
        self.world.now = self.world.now + secs(away);
        self.watch();
    }

    /// Somebody deploys a version of a service, now.
    pub fn deploy(&mut self, service: &str, version: u8) {
        self.world.deploy(service, version);
        self.watch();
    }

    /// A service's containers are started anew, with nothing changed.
    pub fn start_again(&mut self, service: &str) {
        let now = self.world.now;
        let service = self.world.services.iter_mut().find(|runs| runs.name == service).unwrap();
        service.started = now;
        self.world.look();
        self.watch();
    }

    /// Something pulls a version of a service and recreates it without Compose.
    pub fn pull(&mut self, service: &str, version: u8) {
        self.world.pull(service, version);
        self.watch();
    }

    /// What the health check of a service says from now on.
    pub fn health(&mut self, service: &str, health: Health) {
        let service = self.world.services.iter_mut().find(|runs| runs.name == service).unwrap();
        service.health = health;
        self.world.look();
        self.watch();
    }

    fn watch(&mut self) {
        let (now, view) = (self.world.now, self.world.view());
        for trigger in view.services.iter().flat_map(|service| &service.triggers) {
            became(self.states.entry(trigger.name.clone()).or_default(), now, Some(trigger.state));
            became(
                self.pending.entry(trigger.name.clone()).or_default(),
                now,
                trigger.pending_since,
            );
        }
        let number = view.revision.map_or(0, |number| number.0);
        let does = match (view.rollback, view.deploying_since, view.standing) {
            (Some(id), ..) => (Tone::Act, self.does(id).to_owned()),
            (None, Some(_), _) => (Tone::Plain, "deploying".to_owned()),
            (.., Some(standing)) => (tone(standing), format!("r{number} {}", standing.as_str())),
            (.., None) => (Tone::Plain, String::new()),
        };
        became(&mut self.project, now, Some(does));
    }

    /// What a rollback that runs is doing.
    fn does(&self, id: IncidentId) -> &'static str {
        let verifies =
            |fact: &Fact| matches!(fact, Fact::Verifying { incident, .. } if *incident == id);
        if self.world.facts.iter().any(verifies) { "verifying" } else { "back" }
    }

    fn nothing(&mut self) {
        let now = self.world.now;
        for story in self.states.values_mut() {
            became(story, now, None);
        }
        became(&mut self.project, now, None);
    }

    /// What a revision is thought of in the end.
    pub fn standing(&self, revision: u32) -> &'static str {
        let view = self.world.view();
        let known = view.revisions.iter().find(|known| known.revision.number.0 == revision);
        known.unwrap().standing.as_str()
    }

    /// The second in which a trigger came into a state, at `after` or later.
    pub fn since(&self, trigger: &str, state: TriggerState, after: i64) -> i64 {
        let mut story = self.states[trigger].iter();
        let found = story.find(|(at, is)| *is == Some(state) && since(self.zero, *at) >= after);
        let (at, _) =
            found.unwrap_or_else(|| panic!("{trigger} was never {state:?} after {after}"));
        since(self.zero, *at)
    }

    /// The first second at `after` or later since which a trigger was pending.
    pub fn pending(&self, trigger: &str, after: i64) -> i64 {
        let seconds =
            self.pending[trigger].iter().filter_map(|(_, at)| Some(since(self.zero, (*at)?)));
        seconds.filter(|second| *second >= after).min().expect("it was pending")
    }

    /// Was it ever?
    pub fn was(&self, trigger: &str, state: TriggerState) -> bool {
        self.states[trigger].iter().any(|(_, is)| *is == Some(state))
    }

    /// The second of the first fact that fits.
    pub fn fact<T>(&self, fits: impl Fn(&Fact) -> Option<T>) -> T {
        self.world.facts.iter().rev().find_map(fits).expect("there is such a fact")
    }

    /// The second in which the last rollback began, and where it went to.
    pub fn rollback(&self) -> (i64, u32) {
        let rollbacks = self.world.rollbacks();
        let last =
            rollbacks.last().unwrap_or_else(|| panic!("no rollback: {:?}", self.world.held()));
        (since(self.zero, last.began_at), last.to.unwrap().0)
    }

    /// The second in which the last rollback ended.
    pub fn ended(&self) -> i64 {
        self.second(self.fact(|fact| match fact {
            Fact::RollbackEnded { at, .. } => Some(*at),
            _ => None,
        }))
    }

    pub fn second(&self, at: Moment) -> i64 {
        since(self.zero, at)
    }

    pub fn mark(&mut self, second: i64, label: impl Into<String>, tone: Tone) {
        let at = self.moment(second);
        self.marks.push(Mark { at, label: label.into(), tone });
    }

    pub fn moment(&self, second: i64) -> Moment {
        let by = secs(second.unsigned_abs());
        if second < 0 { self.zero - by } else { self.zero + by }
    }
}

fn tone(standing: Standing) -> Tone {
    match standing {
        Standing::Baking => Tone::Plain,
        Standing::Good => Tone::Ok,
        Standing::Bad => Tone::Breached,
        Standing::Unproven => Tone::Blind,
    }
}

fn became<T: PartialEq>(story: &mut Story<T>, now: Moment, what: Option<T>) {
    if story.last().is_none_or(|(_, was)| *was != what) {
        story.push((now, what));
    }
}

fn since(zero: Moment, at: Moment) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap();
    if at < zero { -seconds(zero.since(at)) } else { seconds(at.since(zero)) }
}
