//! What one sample costs: fed to one of 10, 1,000 or 10,000 triggers, with
//! windows of 20 and 300 samples; beside it the plain way, which looks through
//! the whole window again for each sample; and what recording it costs.
#![allow(missing_docs)]

use std::{collections::VecDeque, hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rollbackd::replay::recording::Recorder;
use rollbackd_core::{
    event::Event,
    moment::Moment,
    ratio::Ratio,
    reading::{Reading, Sample},
    reducer::{Core, Turn},
    settings::{
        Action, AfterBake, Blame, Clear, Condition, Hold, Mode, NotRecovered, OnBlind, Order,
        ProjectSettings, Scope, Settings, TriggerSettings,
    },
    signal::Signal,
    words::{ProjectName, ServiceName, TriggerId, TriggerIx},
};

const EVERY: Duration = Duration::from_secs(15);

fn trigger(n: u32, hold: Hold) -> TriggerSettings {
    TriggerSettings {
        id: TriggerId::new(format!("trigger {n}")),
        name: format!("trigger {n}"),
        service: ServiceName::new(format!("service {}", n % 50)),
        signal: Signal::ErrorRate,
        source: "prom".into(),
        measures: String::new(),
        condition: Condition::Above(0.05),
        hold,
        for_known_bad: Duration::from_secs(20),
        clear: Clear::default(),
        every: EVERY,
        max_gap: EVERY * 3,
        grace: Duration::ZERO,
        recover_within: Duration::from_secs(600),
        looks_back: Duration::ZERO,
        on_blind: OnBlind::Ignore,
        blames: Vec::new(),
        blame: Blame::Careful,
        group: None,
        action: Action::Alert,
    }
}

fn core(triggers: u32, hold: Hold) -> Core {
    let settings = ProjectSettings {
        name: ProjectName::new("shop"),
        mode: Mode::Act,
        bake: Duration::from_secs(1800),
        after_bake: AfterBake::Alert,
        settle: Duration::from_secs(60),
        grace: Duration::ZERO,
        scope: Scope::Deployment,
        order: Order::StopFirst,
        drain: Duration::ZERO,
        stateful: false,
        keep: 3,
        cooldown: Duration::from_secs(900),
        max_rollbacks: 3,
        recover_within: Duration::from_secs(600),
        not_recovered: NotRecovered::Stay,
        max_depth: 1,
        start_timeout: Duration::from_secs(60),
        groups: Vec::new(),
        triggers: (0..triggers).map(|n| trigger(n, hold)).collect(),
    };
    let mut core = Core::new();
    core.configure(&Settings { projects: vec![settings] }, Moment::ZERO);
    core
}

/// Values that flap below the threshold's time: pending, calm, pending.
fn value(n: u64) -> f64 {
    if n.is_multiple_of(3) { 0.01 } else { 0.2 }
}

/// The plain way: keep the window, look through it for every sample.
struct Rescan {
    window: VecDeque<(Moment, f64)>,
    span: Duration,
    share: f64,
}

impl Rescan {
    fn feed(&mut self, at: Moment, value: f64) -> bool {
        self.window.push_back((at, value));
        let from = at - self.span;
        while self.window.get(1).is_some_and(|(second, _)| *second <= from) {
            self.window.pop_front();
        }
        let bad = self.window.iter().filter(|(_, value)| *value > 0.05).count();
        let covers = self.window.front().is_some_and(|(first, _)| *first <= from);
        covers && bad as f64 >= self.share * self.window.len() as f64 && value > 0.05
    }
}

fn feed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one sample");
    for window in [20_u32, 300] {
        let span = EVERY * window;
        let share = Hold::Share { share: Ratio::new(0.9).expect("in range"), within: span };
        for (rule, hold) in [("for", Hold::For(span)), ("share", share)] {
            for triggers in [10_u32, 1_000, 10_000] {
                let mut core = core(triggers, hold);
                let (mut turn, mut n) = (Turn::default(), 0_u64);
                let id = BenchmarkId::new(format!("{rule}, window of {window}"), triggers);
                group.bench_function(id, |bench| {
                    bench.iter(|| {
                        n += 1;
                        let round = n / u64::from(triggers) + 1;
                        let at = Moment::ZERO + EVERY * u32::try_from(round).unwrap_or(u32::MAX);
                        let trigger =
                            TriggerIx(u32::try_from(n % u64::from(triggers)).unwrap_or(0));
                        let reading = Reading::Value(value(round));
                        turn.clear();
                        let sample = Sample { trigger, at, reading };
                        core.handle(at, Event::Sample(black_box(sample)), &mut turn);
                    });
                });
            }
        }
        let mut plain: Vec<Rescan> =
            (0..10_000).map(|_| Rescan { window: VecDeque::new(), span, share: 0.9 }).collect();
        let mut n = 0_usize;
        // Full windows, as after an hour.
        for round in 1..=window + 2 {
            for rescan in &mut plain {
                rescan.feed(Moment::ZERO + EVERY * round, value(u64::from(round)));
            }
        }
        group.bench_function(
            BenchmarkId::new(format!("rescan, window of {window}"), 10_000),
            |bench| {
                bench.iter(|| {
                    n += 1;
                    let round = u32::try_from(n / 10_000).unwrap_or(0) + window + 3;
                    let at = Moment::ZERO + EVERY * round;
                    plain[n % 10_000].feed(black_box(at), value(u64::from(round)))
                });
            },
        );
    }
    group.finish();
}

/// What the recording of a sample costs beside it, with what the loop does every
/// five seconds at 10,000 samples a second.
fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one sample recorded");
    for (what, value) in [("a value", 0.2), ("zero", 0.0)] {
        let (mut recorder, mut n) = (Recorder::new(Moment::ZERO), 0_u64);
        group.bench_function(what, |bench| {
            bench.iter(|| {
                n += 1;
                let at = Moment::from_nanos(n * 100_000);
                let trigger = TriggerIx(u32::try_from(n % 10_000).unwrap_or(0));
                let sample = Sample { trigger, at, reading: Reading::Value(value) };
                recorder.heard(at + Duration::from_millis(3), &Event::Sample(black_box(sample)));
                if n.is_multiple_of(50_000) {
                    black_box(recorder.take(at));
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = feed, record
}
criterion_main!(benches);
