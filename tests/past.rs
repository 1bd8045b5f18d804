//! Whatever a life was like, each of its moments can be made again exactly from
//! what was recorded.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use rollbackd_core::{
    event::{Command, Event},
    fact::Fact,
    moment::Moment,
    reading::{Missing, Reading, Sample},
    reducer::Core,
    settings::{Condition, Hold, Settings, TriggerSettings},
    signal::Signal,
    why::Why,
    words::{ProjectName, ServiceName, TriggerId, TriggerIx},
};

use rollbackd::{
    replay::{
        past::core_at,
        recording::{Heard, Reader, Recorder},
    },
    store::Chunk,
};

#[path = "../core/tests/world/mod.rs"]
mod world;
use world::{Reads, World, at, by_hand, empty, errors, runs, secs, shop, unanswered};

/// A keyframe and what was recorded since.
struct Span {
    at: Moment,
    keyframe: Vec<u8>,
    facts: usize,
    chunks: Vec<Chunk>,
}

/// A world whose loop records.
struct Recorded {
    world: World,
    recorder: Recorder,
    spans: Vec<Span>,
    facts: Vec<Fact>,
    asked: Vec<(Moment, ServiceName, Option<Why>)>,
}

fn settings() -> Settings {
    let health = TriggerSettings {
        id: TriggerId::new("health"),
        name: "health".into(),
        signal: Signal::Health,
        condition: Condition::AtLeast(3.0),
        hold: Hold::For(secs(0)),
        grace: secs(0),
        ..errors()
    };
    let share =
        Hold::Share { share: rollbackd_core::ratio::Ratio::new(0.7).unwrap(), within: secs(90) };
    let slow = TriggerSettings {
        id: TriggerId::new("slow"),
        name: "slow".into(),
        service: ServiceName::new("api"),
        hold: share,
        ..errors()
    };
    let mut shop = shop(vec![errors(), slow, health]);
    shop.bake = secs(600);
    Settings { projects: vec![shop] }
}

impl Recorded {
    fn new() -> Self {
        let settings = settings();
        let mut world = World::new(settings.projects[0].clone());
        world.services.push(runs("api", 1, at(0) - secs(3600)));
        world.turns = Some(Vec::new());
        let recorder = Recorder::new(world.now);
        let (spans, facts, asked) = (Vec::new(), world.facts.clone(), Vec::new());
        let mut recorded = Self { world, recorder, spans, facts, asked };
        recorded.keyframe();
        recorded
    }

    fn keyframe(&mut self) {
        self.listen();
        let now = self.world.now;
        self.write();
        self.recorder = Recorder::new(now);
        let keyframe = serde_json::to_vec(&self.world.core).unwrap();
        let (facts, chunks) = (self.facts.len(), Vec::new());
        self.spans.push(Span { at: now, keyframe, facts, chunks });
    }

    /// What the loop does beside each turn.
    fn listen(&mut self) {
        for (now, event, facts) in self.world.turns.as_mut().unwrap().drain(..) {
            self.recorder.heard(now, &event);
            match facts {
                None => self.recorder.dropped(),
                Some(facts) => {
                    self.recorder.committed(facts.len());
                    self.facts.extend(facts);
                }
            }
        }
    }

    fn write(&mut self) {
        self.listen();
        let chunk = self.recorder.take(self.world.now);
        if let Some(span) = self.spans.last_mut() {
            span.chunks.extend(chunk);
        }
    }

    /// The daemon stops and starts again.
    fn restart(&mut self, away: u64) {
        self.listen();
        let checkpoint = self.world.core.checkpoint();
        self.world.now = self.world.now + secs(away);
        let mut core = Core::new();
        for fact in &self.facts {
            core.apply(fact);
        }
        core.configure(&self.world.settings, self.world.now);
        core.restore(checkpoint, self.world.now);
        self.world.core = core;
        self.keyframe();
        self.world.look();
    }

    fn reload(&mut self, fewer: bool) {
        let mut settings = settings();
        if fewer {
            settings.projects[0].triggers.remove(1);
        }
        self.world.reload(settings);
        self.keyframe();
    }

    fn ask(&mut self) {
        let now = self.world.now;
        for service in ["web", "api", "nobody"] {
            let service = ServiceName::new(service);
            let why = self.world.core.why(&ProjectName::new("shop"), &service, now);
            self.asked.push((now, service, why));
        }
    }

    fn act(&mut self, (what, how): (u8, u8)) {
        let web = || Some(ProjectName::new("shop"));
        match what {
            0 => self.world.deploy("web", how % 3 + 1),
            1 => self.world.deploy("api", how % 2 + 1),
            2 => {
                let lasts = Some(secs(u64::from(how) * 10 + 1));
                let pause = Command::Pause { project: web(), lasts, reason: "a \"reason\"".into() };
                drop(self.world.command(pause));
            }
            3 => drop(self.world.command(Command::Resume { project: web() })),
            4 => drop(self.world.command(by_hand())),
            5 => self.restart(u64::from(how) * 7),
            6 => self.reload(how % 2 == 0),
            7 => self.world.full = how % 2 == 0,
            8 => drop(self.world.event(Event::Engine((how % 2 == 0).then(|| "away".into())))),
            9 => self.keyframe(),
            10 => self.write(),
            11 => self.world.reads = reads(how),
            _ => self.world.run(u64::from(how) * 4),
        }
    }
}

/// What the sources say from now on.
fn reads(how: u8) -> Reads {
    Box::new(move |world, trigger| match (how % 6, &trigger.signal) {
        (0, _) => unanswered(),
        (1, _) => empty(),
        (2, Signal::Health) => Reading::Value(f64::INFINITY),
        (2, _) => Reading::Value(0.1 / f64::from(world.services[0].version) + 1e-17),
        (3, _) => Reading::Value(0.2),
        (4, _) => Reading::Value(f64::MIN_POSITIVE),
        _ => Reading::Value(if world.services[0].version == 1 { 0.0 } else { 0.2 }),
    })
}

/// Gives the pieces back as a reader of the store would have them.
fn made_again(recorded: &Recorded, at: Moment) -> Core {
    let span = recorded.spans.iter().rfind(|span| span.at <= at).unwrap();
    core_at(&span.keyframe, &span.chunks, &recorded.facts[span.facts..], at).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_moment_of_a_life_can_be_made_again(
        acts in prop::collection::vec((0_u8..24, any::<u8>()), 1..40),
    ) {
        let mut recorded = Recorded::new();
        let mut number = 0;
        for act in acts {
            recorded.act(act);
            recorded.listen();
            // Two moments are never one: the clock goes on by nanoseconds.
            recorded.world.now = recorded.world.now + std::time::Duration::from_nanos(1);
            recorded.ask();
            recorded.world.now = recorded.world.now + std::time::Duration::from_nanos(1);
            number += 1;
        }
        recorded.write();
        prop_assert_eq!(recorded.asked.len(), number * 3);
        for (at, service, why) in &recorded.asked {
            let core = made_again(&recorded, *at);
            prop_assert_eq!(&core.why(&ProjectName::new("shop"), service, *at), why);
        }
    }

    #[test]
    fn what_is_recorded_is_read_back_to_the_nanosecond_and_the_bit(
        samples in prop::collection::vec(
            (any::<u32>(), any::<u64>(), any::<u32>(), any::<u64>(), 0_u8..6), 0..200,
        ),
        cuts in prop::collection::btree_map(0_usize..200, Just(()), 0..10),
    ) {
        let mut recorder = Recorder::new(Moment::from_nanos(5));
        let (mut now, mut given, mut chunks) = (Moment::from_nanos(5), Vec::new(), Vec::new());
        let cuts: BTreeMap<usize, ()> = cuts;
        for (number, (trigger, at, later, bits, kind)) in samples.into_iter().enumerate() {
            now = now + std::time::Duration::from_nanos(u64::from(later));
            let value = f64::from_bits(bits);
            let reading = match kind {
                0 => Reading::Value(0.0),
                1 => Reading::Value(-0.0),
                2 => Reading::Missing(Missing::Empty("nothing".into())),
                3 => Reading::Missing(Missing::Failed(format!("refused {}", bits % 3))),
                _ => Reading::Value(if value.is_nan() { 1.0 } else { value }),
            };
            let trigger = TriggerIx(trigger % 5);
            let event = match kind {
                5 => Event::Deadline,
                _ => Event::Sample(Sample { trigger, at: Moment::from_nanos(at), reading }),
            };
            recorder.heard(now, &event);
            given.push(Heard::Event(now, event));
            if kind == 4 {
                recorder.committed(number + 1);
                given.push(Heard::Committed(number + 1));
            }
            if cuts.contains_key(&number) {
                chunks.extend(recorder.take(now));
            }
        }
        chunks.extend(recorder.take(now));
        let mut reader = Reader::default();
        let read: Vec<Heard> =
            chunks.iter().flat_map(|chunk| reader.read(chunk).unwrap()).collect();
        prop_assert_eq!(format!("{read:?}"), format!("{given:?}"));
    }

    #[test]
    fn bytes_of_anything_else_are_no_recording_and_no_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let chunk = Chunk { from: Moment::ZERO, until: Moment::ZERO, bytes };
        drop(Reader::default().read(&chunk));
        drop(core_at(&chunk.bytes, &[], &[], Moment::ZERO));
    }
}

#[test]
fn what_does_not_change_is_not_written_again() {
    let mut world = World::new(shop(vec![errors()]));
    let mut recorder = Recorder::new(world.now);
    recorder.heard(world.now, &Event::Observed(world.observation()));
    let whole = recorder.take(world.now).unwrap().bytes.len();
    world.now = world.now + secs(30);
    recorder.heard(world.now, &Event::Observed(world.observation()));
    let again = recorder.take(world.now).unwrap().bytes.len();
    assert!(whole > 300 && again < 12, "{whole} bytes, then {again}");
    let (trigger, at) = (TriggerIx(0), world.now);
    recorder.heard(world.now, &Event::Sample(Sample { trigger, at, reading: unanswered() }));
    recorder.take(world.now);
    world.now = world.now + secs(15);
    let at = world.now - secs(1);
    recorder.heard(world.now, &Event::Sample(Sample { trigger, at, reading: unanswered() }));
    assert!(recorder.take(world.now).unwrap().bytes.len() < 20);
}

#[test]
fn a_recorder_that_nobody_empties_stops_and_says_so() {
    let mut recorder = Recorder::new(Moment::ZERO);
    let (trigger, at) = (TriggerIx(7), Moment::ZERO);
    let sample = Event::Sample(Sample { trigger, at, reading: Reading::Value(0.5) });
    for _ in 0..2_000_000 {
        recorder.heard(Moment::ZERO, &sample);
    }
    assert!(recorder.is_lost());
    assert_eq!(recorder.take(Moment::ZERO), None, "half a span would be a lie");
}

/// Bytes of an hour: a keyframe, and what is heard with every trigger asked every
/// 15 s and a project looked at every 30.
fn an_hour_of(triggers: u32) -> (usize, usize) {
    let many = |n| TriggerSettings {
        id: TriggerId::new(format!("trigger {n}")),
        name: format!("trigger {n}"),
        measures: "x".repeat(150),
        ..errors()
    };
    let mut world = World::proven(shop((0..triggers).map(many).collect()));
    world.reads = Box::new(|world, trigger| {
        let seconds = world.now.as_nanos() / 1_000_000_000;
        let busy = trigger.name.len() as u64 % 2 == 1;
        Reading::Value(if busy { 0.001 * (seconds % 7) as f64 / 3.0 } else { 0.0 })
    });
    world.turns = Some(Vec::new());
    world.run(3600);
    let keyframe = serde_json::to_vec(&world.core).unwrap().len();
    let mut recorder = Recorder::new(world.now - secs(3600));
    let (mut second, mut place) = (world.now, 0);
    for (now, event, facts) in world.turns.take().unwrap() {
        (second, place) = (now, if now == second { place + 1 } else { 0 });
        // Answers come some milliseconds apart.
        recorder.heard(now + std::time::Duration::from_nanos(place * 3_141_593), &event);
        recorder.committed(facts.map_or(0, |facts| facts.len()));
    }
    (keyframe, recorder.take(world.now).unwrap().bytes.len())
}

#[test]
fn what_is_kept_is_days() {
    const KEPT: usize = 64 * 1024 * 1024;
    /// A chunk is written every five seconds.
    const ROWS: usize = 720 * 32;
    for (triggers, days) in [(10, 30), (100, 4)] {
        let (keyframe, heard) = an_hour_of(triggers);
        let kept = KEPT / (keyframe + heard + ROWS) / 24;
        assert!(
            kept >= days,
            "{triggers} triggers: {keyframe} + {heard} bytes an hour, {kept} days"
        );
        println!("{triggers} triggers: {keyframe} + {heard} bytes an hour, {kept} days");
    }
}
