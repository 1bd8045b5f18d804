//! The loop while the state cannot be written, and while the notifier has no
//! room.
#![allow(clippy::unwrap_used)]

use rollbackd_core::plan::StepOutcome;
use rusqlite::Connection;
use tokio::time::timeout;

use super::*;
use crate::store;

#[path = "../../core/tests/world/mod.rs"]
mod world;

const SOON: Duration = Duration::from_secs(30);

struct Bench {
    dir: tempfile::TempDir,
    events: mpsc::Sender<Event>,
    orders: mpsc::Receiver<Order>,
    notices: mpsc::Receiver<(EffectId, Notice)>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    life: tokio::task::JoinHandle<()>,
    /// What keeps the loop's other ends open.
    _open: Box<dyn std::any::Any + Send>,
}

impl Bench {
    async fn new(
        core: Core,
        settings: mpsc::Receiver<(Settings, Mode, oneshot::Sender<Places>)>,
        untold: usize,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let opened = store::open(&dir.path().join("state")).unwrap();
        let clock = Clock::resume(None);
        let notice = Notice { at: Moment::ZERO, project: "shop".into(), news: News::PauseEnded };
        let effects = vec![Effect::Tell(notice); untold];
        let ids = opened.handle.commit(clock.anchor(), Vec::new(), effects.clone()).await.unwrap();
        let pending = ids.into_iter().zip(effects).collect();
        let (event_to, events) = mpsc::channel(8);
        let (command_to, commands) = mpsc::channel(8);
        let (sample_to, samples) = mpsc::channel(8);
        let (steps, orders) = mpsc::channel(8);
        let (notice_to, notices) = mpsc::channel(1);
        let (wanted, kept) = watch::channel(Wanted::default());
        let (troubles, told) = mpsc::channel(1);
        let (looks, looked) = mpsc::channel(8);
        let (snapshot_to, snapshots) = watch::channel(Arc::new(Snapshot {
            at: Moment::ZERO,
            version: "",
            mode: Mode::Act,
            projects: Vec::new(),
            engine: None,
            trouble: None,
            behind: Duration::ZERO,
        }));
        let hands = Hands {
            steps,
            notices: notice_to,
            snapshots: snapshot_to,
            wanted,
            looks,
            troubles,
            pulse: Pulse::default(),
        };
        let (looked_to, from_looks) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let ears = Ears { settings, commands, looked: from_looks, events, samples, stop };
        let heart = Heart::new(core, Mode::Act, clock, opened.handle, hands);
        let life = tokio::spawn(heart.live(pending, ears));
        let open = Box::new((command_to, looked_to, sample_to, kept, told, looked));
        Self { dir, events: event_to, orders, notices, snapshots, life, _open: open }
    }

    /// A step still runs: nobody waits for it here.
    async fn end(self) {
        self.life.abort();
        let _ = self.life.await;
    }

    fn sql(&self, batch: &str) {
        let state = self.dir.path().join("state/state.db");
        Connection::open(state).unwrap().execute_batch(batch).unwrap();
    }
}

/// A rollback whose first acting step runs.
fn acting() -> (Core, IncidentId, u32) {
    let mut world = world::World::proven(world::shop(vec![world::errors()]));
    world.prompt = false;
    world.deploy("web", 2);
    world.run(300);
    let (incident, run, _) = world.open.remove(0);
    (world.core, incident, run)
}

#[tokio::test]
async fn what_a_step_reported_while_the_disk_was_full_is_taken_when_it_no_longer_is() {
    let (core, incident, run) = acting();
    let (_settings_to, settings) = mpsc::channel(1);
    let mut bench = Bench::new(core, settings, 0).await;
    bench.sql("CREATE TRIGGER full BEFORE INSERT ON fact BEGIN SELECT RAISE(ABORT, 'full'); END");
    let outcome = StepOutcome::Done(String::new());
    bench.events.send(Event::StepEnded { incident, run, outcome }).await.unwrap();
    let trouble = bench.snapshots.wait_for(|snapshot| snapshot.trouble.is_some());
    drop(timeout(SOON, trouble).await.unwrap().unwrap());
    bench.sql("DROP TRIGGER full");
    let next = timeout(SOON, bench.orders.recv()).await.unwrap().unwrap();
    assert_eq!((next.incident, next.run), (incident, run + 1));
    bench.end().await;
}

#[tokio::test]
async fn a_notifier_without_room_does_not_keep_the_loop_from_its_work() {
    let (core, incident, run) = acting();
    let (_settings_to, settings) = mpsc::channel(1);
    let mut bench = Bench::new(core, settings, 5).await;
    let outcome = StepOutcome::Done(String::new());
    bench.events.send(Event::StepEnded { incident, run, outcome }).await.unwrap();
    let next = timeout(SOON, bench.orders.recv()).await.unwrap().unwrap();
    assert_eq!((next.incident, next.run), (incident, run + 1));
    for _ in 0..5 {
        let told = timeout(SOON, bench.notices.recv()).await.unwrap();
        assert!(told.is_some(), "each is handed on when there is room");
    }
    bench.end().await;
}
