//! How long until a service answers again once it is decided to put the version
//! before back: ours (`retag` and `recreate`, as a rollback runs them) beside
//! the same typed by hand, in turns on the real engine, seen by a client of the
//! service. It prints what it measured and judges nothing. `RUST_LOG` shows the
//! calls to the engine.
#![expect(clippy::disallowed_methods, reason = "a client of the service has a clock of its own")]
#![allow(
    clippy::new_without_default,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    reason = "it stands on the tests' support, and fails by panicking as they do"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rollbackd::{
    docker::Docker,
    engine::{Engine, compose::Compose, records::Records},
    host::clock::Clock,
    rollback, store,
};
use rollbackd_core::{
    plan::{Does, Step, StepOutcome},
    revision::ServiceRecord,
    settings::Order,
    words::{IncidentId, ProjectName},
};
use support::project::Project;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::broadcast,
    time::{MissedTickBehavior, interval, timeout},
};

const WARM_UPS: u64 = 2;
const PAIRS: u64 = 10;

/// The client asks this often and waits this long: a SYN that is lost is
/// repeated only after a second, which would make a short gap look long.
const ASKS_EVERY: Duration = Duration::from_millis(2);
const CLIENT_WAITS: Duration = Duration::from_millis(20);

/// So many answers of one version without a failure between them, and the
/// change is over for the client.
const STEADY: usize = 50;

fn main() {
    // Whoever only lists or runs the tests does not want to wait for this.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let bench = Bench::new();
    println!("putting back: from the decision until the service answers again");
    bench.compare("as it is");
    match bench.find_again_soon() {
        Ok(()) => bench.compare("neighbours are looked for every 20 ms"),
        Err(why) => println!("without the wait for neighbours: not measured, {why}"),
    }
}

/// The shop on the real engine, and the rooms that put it back.
struct Bench {
    project: Project,
    name: ProjectName,
    runtime: Runtime,
    engine: Engine,
    v1: ServiceRecord,
    client: Client,
}

impl Bench {
    /// v1 has been recorded, v2 runs.
    fn new() -> Self {
        let project = Project::new();
        project.image("v1", "");
        project.image("v2", "");
        project.deploy("v1");
        project.wait_for("v1");
        let name = ProjectName::new(&project.name);
        // As many threads as the daemon has.
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let state = project.path("state");
        let records = Records::new(store::open(&state).unwrap().handle);
        let host = support::engine::host();
        let (docker, clock) = (Docker::connect(&host).unwrap(), Clock::resume(None));
        let happenings = broadcast::channel(1024).0;
        let compose = Compose::new(docker, records, clock, happenings, &state, true);
        let engine = Engine::Compose(compose);
        let seen = runtime.block_on(engine.observe(&name)).unwrap();
        let v1 = seen.services[0].record.clone();
        let client = Client::of(project.port);
        let bench = Self { project, name, runtime, engine, v1, client };
        bench.put_v2();
        bench
    }

    /// Both ways in turns.
    fn compare(&self, how: &str) {
        println!("{how}:");
        println!("pair             ours: ms   gap  failed   by hand: ms   gap  failed");
        let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
        for turn in 1..=WARM_UPS + PAIRS {
            let pair = (
                self.turn(|| self.ours(turn), || self.discard(turn)),
                self.turn(|| self.by_hand(), || ()),
            );
            let name = match turn.checked_sub(WARM_UPS) {
                Some(pair @ 1..) => pair.to_string(),
                _ => "warm-up".to_owned(),
            };
            println!("{name:<16} {}       {}", pair.0.line(), pair.1.line());
            if turn > WARM_UPS {
                ours.push(pair.0);
                by_hand.push(pair.1);
            }
        }
        let (ours, by_hand) = (Seen::median(&ours), Seen::median(&by_hand));
        println!("{:<16} {}       {}", "median", ours.line(), by_hand.line());
        let ratio = ours.back.as_secs_f64() / by_hand.back.as_secs_f64();
        println!("ours / by hand   {ratio:.2} (target: 1.15 or less)");
    }

    /// A busy client makes this host look for the container while it is away,
    /// and the kernel looks again only after a second. That second is the same
    /// for both ways and hides what they differ in, so it is taken away on the
    /// project's own bridge, which goes with the project.
    fn find_again_soon(&self) -> Result<(), String> {
        let label = format!("label=com.docker.compose.project={}", self.project.name);
        let networks = support::docker::docker(&["network", "ls", "-q", "--filter", &label]);
        let networks = networks.map_err(|why| why.to_string())?;
        let path = format!("/proc/sys/net/ipv4/neigh/br-{}/retrans_time_ms", networks.trim());
        std::fs::write(&path, "20").map_err(|why| format!("{path}: {why}"))
    }

    /// One way back to v1, as the client sees it; afterwards v2 runs again.
    fn turn(&self, back: impl FnOnce(), after: impl FnOnce()) -> Seen {
        self.client.forget();
        let began = Instant::now();
        back();
        let seen = self.client.watch(began, "v1");
        after();
        self.put_v2();
        seen
    }

    fn ours(&self, turn: u64) {
        let ServiceRecord { name, image, image_id, containers, .. } = &self.v1;
        let retag = Does::Retag {
            service: name.clone(),
            along: Vec::new(),
            reference: image.clone(),
            image: *image_id,
        };
        let recreate = Does::Recreate {
            service: name.clone(),
            records: containers.clone(),
            image: *image_id,
            replaces: None,
            order: Order::StopFirst,
            drain: Duration::ZERO,
            start_timeout: Duration::from_secs(30),
        };
        for does in [retag, recreate] {
            self.step(turn, does);
        }
    }

    /// The step after, when the service answers already.
    fn discard(&self, turn: u64) {
        self.step(turn, Does::Discard { services: vec![self.v1.name.clone()] });
    }

    fn by_hand(&self) {
        let repository = &self.project.repository;
        self.types(&format!(
            "docker tag {repository}:v1 {repository}:latest && \
             docker compose up -d --no-deps --no-build --pull never web"
        ));
    }

    fn put_v2(&self) {
        self.project.deploy("v2");
        self.client.forget();
        self.client.watch(Instant::now(), "v2");
    }

    fn types(&self, line: &str) {
        let output = Command::new("sh")
            .args(["-c", line])
            .current_dir(self.project.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn step(&self, turn: u64, does: Does) {
        let limit = Duration::from_secs(60);
        let step = Step { name: does.kind().to_owned(), does, limit };
        let run = rollback::run(&step, &self.name, IncidentId(turn), &self.engine);
        let outcome = self.runtime.block_on(run);
        assert!(matches!(outcome, StepOutcome::Done(_)), "{}: {outcome:?}", step.name);
    }
}

/// What a client saw of one change.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// From the decision to the first answer of the version that was put back.
    back: Duration,
    /// The longest time without any answer.
    gap: Duration,
    /// How many requests were not answered.
    failed: usize,
}

impl Seen {
    fn line(&self) -> String {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        format!("{:>8.0} {:>5.0} {:>7}", ms(self.back), ms(self.gap), self.failed)
    }

    fn median(all: &[Self]) -> Self {
        Self {
            back: median(all.iter().map(|one| one.back)),
            gap: median(all.iter().map(|one| one.gap)),
            failed: median(all.iter().map(|one| one.failed)),
        }
    }
}

/// The upper one of the two in the middle.
fn median<T: Ord>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.swap_remove(values.len() / 2)
}

/// One request: when it was sent, when it ended, and the version that answered.
struct Asked {
    began: Instant,
    ended: Instant,
    version: Option<String>,
}

/// Somebody who asks the service again and again, on a thread of their own,
/// until nobody listens any more.
struct Client(mpsc::Receiver<Asked>);

impl Client {
    fn of(port: u16) -> Self {
        let (tell, told) = mpsc::channel();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        thread::spawn(move || {
            runtime.block_on(async move {
                let mut turn = interval(ASKS_EVERY);
                turn.set_missed_tick_behavior(MissedTickBehavior::Skip);
                let (gone, mut over) = tokio::sync::mpsc::channel(1);
                while over.try_recv().is_err() {
                    turn.tick().await;
                    let (tell, gone) = (tell.clone(), gone.clone());
                    tokio::spawn(async move {
                        let began = Instant::now();
                        let answer = timeout(CLIENT_WAITS, ask(port)).await;
                        let version = answer.ok().and_then(Result::ok).flatten();
                        if tell.send(Asked { began, ended: Instant::now(), version }).is_err() {
                            let _ = gone.try_send(());
                        }
                    });
                }
            });
        });
        Self(told)
    }

    fn forget(&self) {
        while self.0.try_recv().is_ok() {}
    }

    /// Follows a change that began then, until this version answers steadily.
    fn watch(&self, began: Instant, version: &str) -> Seen {
        let (mut back, mut failed, mut steady) = (None, 0, 0);
        let (mut gap, mut last) = (Duration::ZERO, began);
        while steady < STEADY {
            let asked = self.0.recv_timeout(Duration::from_secs(60)).unwrap();
            if asked.began < began {
                continue;
            }
            if asked.version.is_none() {
                (failed, steady) = (failed + 1, 0);
                continue;
            }
            gap = gap.max(asked.ended.saturating_duration_since(last));
            last = asked.ended;
            if asked.version.as_deref() == Some(version) {
                back = back.or(Some(asked.ended - began));
                steady += 1;
            }
        }
        Seen { back: back.unwrap(), gap, failed }
    }
}

/// The version that the service says it is.
async fn ask(port: u16) -> std::io::Result<Option<String>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /buy HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let version = answer.split("\"version\":\"").nth(1).and_then(|rest| rest.split('"').next());
    Ok(version.map(str::to_owned))
}
