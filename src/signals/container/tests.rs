//! The task on the engine model; on the real engine: `tests/signals_engine`.

use std::collections::BTreeMap;

use rollbackd_core::words::TriggerIx;

use super::{
    super::{
        Running,
        asking::{asked, needs},
        start,
    },
    *,
};
use crate::{
    config::settings::Ask,
    docker::model::{Behaviour, Model, Service},
};

const WINDOW: Duration = Duration::from_secs(300);
const LONG: Duration = Duration::from_secs(10);
/// No sample comes by itself in a test's time.
const NEVER: Duration = Duration::from_secs(100_000);

/// The project `shop` with a service `web` on the model, watched.
struct Watched {
    model: Model,
    events: broadcast::Sender<Happening>,
    taken: mpsc::Receiver<Sample>,
    _running: Running,
    _follow: Option<tokio::task::AbortHandle>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(follow) = &self._follow {
            follow.abort();
        }
    }
}

impl Watched {
    /// These signals, asked every so often; events are followed unless `deaf`.
    fn start(signals: &[&str], every: Duration, deaf: bool) -> Self {
        let (mut needs, taken) = needs(None);
        let model = Model::new(needs.clock.clone());
        needs.docker = Docker::model(model.clone());
        model.import("app:latest", Behaviour::Runs);
        let web = Service::new("shop", "web", "app:latest")
            .host("RestartPolicy", serde_json::json!({ "Name": "always" }));
        model.up(&web).unwrap();
        model.deploy("shop", "db", "app:latest").unwrap();
        let ask = Ask::Container { window: WINDOW };
        let all = signals.iter().zip(0..).map(|(signal, n)| asked(n, signal, ask.clone(), every));
        let events = needs.events.clone();
        let running = start(all.collect(), &needs);
        let follow = (!deaf).then(|| {
            let (docker, clock, events) =
                (needs.docker.clone(), needs.clock.clone(), events.clone());
            tokio::spawn(async move { docker.follow(clock, events).await }).abort_handle()
        });
        Self { model, events, taken, _running: running, _follow: follow }
    }

    async fn next(&mut self) -> Sample {
        tokio::time::timeout(LONG, self.taken.recv()).await.expect("a sample comes").unwrap()
    }

    /// The next reading that is not zero: a look without news says zero again.
    async fn news(&mut self) -> Reading {
        loop {
            let reading = self.next().await.reading;
            if reading != Reading::Value(0.0) {
                return reading;
            }
        }
    }

    /// Waits for a sample of the first trigger that says this.
    async fn until(&mut self, value: f64) {
        let mut last = Moment::ZERO;
        loop {
            let sample = self.next().await;
            if sample.trigger != TriggerIx(0) {
                continue;
            }
            assert!(sample.at > last, "moments never go back");
            last = sample.at;
            if sample.reading == Reading::Value(value) {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_failure_is_a_sample_at_once_and_not_at_the_next_moment() {
    let mut watched = Watched::start(&["health"], NEVER, false);
    watched.until(0.0).await;
    for count in [1.0, 2.0, 3.0] {
        watched.model.exit("shop-web-1", 1, false);
        watched.until(count).await;
        watched.model.restart_round();
    }
}

#[tokio::test]
async fn a_kill_for_memory_is_one_failure() {
    let mut watched = Watched::start(&["health"], NEVER, false);
    watched.until(0.0).await;
    watched.model.exit("shop-web-1", 137, true);
    watched.until(1.0).await;
    watched.model.restart_round();
    watched.model.exit("shop-web-1", 137, true);
    watched.until(2.0).await;
}

#[tokio::test]
async fn becoming_unhealthy_is_a_sample_at_once_with_its_streak() {
    let mut watched = Watched::start(&["health"], NEVER, false);
    watched.until(0.0).await;
    watched.model.health("shop-web-1", false, 4);
    watched.until(4.0).await;
    watched.model.health("shop-web-1", true, 0);
    watched.until(0.0).await;
}

#[tokio::test]
async fn what_happens_to_another_service_or_project_is_not_this_ones() {
    let mut watched = Watched::start(&["health"], NEVER, false);
    watched.until(0.0).await;
    watched.model.deploy("other", "web", "app:latest").unwrap();
    watched.model.exit("shop-db-1", 1, false);
    watched.model.exit("other-web-1", 1, false);
    watched.model.exit("shop-web-1", 1, false);
    // Had another's counted, there would have been a two.
    assert_eq!(watched.news().await, Reading::Value(1.0));
}

#[tokio::test]
async fn an_engine_that_goes_away_is_told_at_once_and_looked_at_when_it_is_back() {
    let mut watched = Watched::start(&["health"], NEVER, false);
    watched.until(0.0).await;
    watched.model.unreachable(true);
    let reading = watched.news().await;
    assert!(matches!(reading, Reading::Missing(Missing::Failed(_))), "{reading:?}");
    watched.model.unreachable(false);
    watched.until(0.0).await;
}

#[tokio::test]
async fn whoever_has_missed_events_looks_afresh() {
    let mut watched = Watched::start(&["health"], NEVER, true);
    watched.until(0.0).await;
    // More than the channel holds, before the task can take any of them.
    for _ in 0..5000 {
        watched.events.send(Happening::Images).unwrap();
    }
    watched.until(0.0).await;
}

#[tokio::test]
async fn without_events_the_fixed_moments_find_what_happened() {
    let mut watched = Watched::start(&["health", "restarts"], Duration::from_millis(30), true);
    watched.until(0.0).await;
    watched.model.exit("shop-web-1", 1, false);
    watched.until(1.0).await;
    watched.model.restart_round();
    loop {
        let sample = watched.next().await;
        if sample.trigger == TriggerIx(1) && sample.reading == Reading::Value(1.0) {
            break;
        }
    }
}

#[tokio::test]
async fn use_of_processors_and_memory_is_read_at_the_fixed_moments() {
    let mut watched = Watched::start(&["memory", "cpu", "queue"], Duration::from_millis(30), true);
    let (mut seen, mut used) = (BTreeMap::new(), 0);
    while seen.len() < 3 {
        used += 1_000_000;
        watched.model.use_up("shop-web-1", used, 10 << 20);
        let sample = watched.next().await;
        let usable = matches!(sample.reading, Reading::Value(share) if share > 0.0);
        if usable || sample.trigger == TriggerIx(2) {
            seen.insert(sample.trigger, sample.reading);
        }
    }
    for trigger in [TriggerIx(0), TriggerIx(1)] {
        assert!(matches!(seen[&trigger], Reading::Value(share) if share > 0.0), "{seen:?}");
    }
    let why = super::super::asking::said(&seen[&TriggerIx(2)]);
    insta::assert_snapshot!(why, @"failed: the engine knows health, restarts, cpu and memory of a service, and no `queue`: name a source for it");
}

#[tokio::test]
async fn a_project_that_is_taken_down_is_missing_and_no_failure() {
    let mut watched = Watched::start(&["health"], Duration::from_millis(30), false);
    watched.until(0.0).await;
    watched.model.down("shop");
    loop {
        match watched.next().await.reading {
            Reading::Value(value) => assert_eq!(value, 0.0),
            Reading::Missing(Missing::Empty(_)) => break,
            Reading::Missing(Missing::Failed(why)) => panic!("{why}"),
        }
    }
}
