//! A small project on the real engine, made by the `docker` command with
//! Compose's labels, watched by the signals room. Everything has a name of its
//! own and is removed afterwards, also when the test failed.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rollbackd::{
    config::settings::{Ask, Source, Watch},
    docker::Docker,
    host::clock::Clock,
    signals::{self, Asked, Needs, Running},
};
use rollbackd_core::{
    reading::{Reading, Sample},
    settings::{Action, Blame, Clear, Condition, Hold, OnBlind, TriggerSettings},
    signal::Signal,
    words::{ProjectName, TriggerId, TriggerIx},
};
use tokio::{
    sync::{broadcast, mpsc},
    task::AbortHandle,
};

use crate::support::engine::{self, docker};

/// How long the engine may take for anything a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A project of its own on the real engine.
pub(crate) struct Stage {
    /// The project's name, which begins every other name.
    pub(crate) project: String,
    image: String,
}

impl Stage {
    /// Nothing runs yet.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let project = format!("rbdsig-{}-{number}", std::process::id());
        let image = format!("{project}/app:1");
        engine::import(&image, &[r#"ENTRYPOINT ["/app"]"#]);
        Self { project, image }
    }

    /// Creates a container of the service `web`, with options of `docker
    /// create` and the program's words; gives its name.
    pub(crate) fn create(&self, options: &[&str], words: &[&str]) -> String {
        self.make("create", options, words)
    }

    /// Creates and starts one.
    pub(crate) fn run(&self, options: &[&str], words: &[&str]) -> String {
        let name = self.make("create", options, words);
        docker(&["start", &name]);
        name
    }

    fn make(&self, how: &str, options: &[&str], words: &[&str]) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{}-web-{}", self.project, NEXT.fetch_add(1, Ordering::Relaxed));
        let project = format!("com.docker.compose.project={}", self.project);
        let mut all = vec![how, "--name", &name, "--label", &project];
        all.extend(["--label", "com.docker.compose.service=web"]);
        if !options.contains(&"--network") {
            all.extend(["--network", "none"]);
        }
        all.extend(options);
        all.push(&self.image);
        all.extend(words);
        docker(&all);
        name
    }

    /// The process of a container on this machine.
    pub(crate) fn process(&self, name: &str) -> String {
        docker(&["inspect", "-f", "{{.State.Pid}}", name]).trim().to_owned()
    }

    /// Watches these signals of the service `web`.
    pub(crate) fn watch(&self, signals: &[&str], every: Duration) -> Watcher {
        let ask = |_: &str| Ask::Container { window: Duration::from_secs(300) };
        self.watch_source(signals, every, None, ask)
    }

    /// Likewise, of a source.
    pub(crate) fn watch_source(
        &self,
        signals: &[&str],
        every: Duration,
        source: Option<Source>,
        ask: impl Fn(&str) -> Ask,
    ) -> Watcher {
        let (needs, taken) = needs(source);
        let asked = signals
            .iter()
            .zip(0..)
            .map(|(signal, trigger)| asked(&self.project, trigger, signal, ask(signal), every));
        let (docker, clock, events) =
            (needs.docker.clone(), needs.clock.clone(), needs.events.clone());
        let running = signals::start(asked.collect(), &needs);
        let follow = tokio::spawn(async move { docker.follow(clock, events).await });
        Watcher { clock: needs.clock, taken, _running: running, follow: follow.abort_handle() }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        engine::remove_containers(&format!("label=com.docker.compose.project={}", self.project));
        engine::try_docker(&["rmi", "-f", &self.image]);
    }
}

/// Samples as they come.
pub(crate) struct Watcher {
    pub(crate) clock: Clock,
    taken: mpsc::Receiver<Sample>,
    _running: Running,
    follow: AbortHandle,
}

impl Watcher {
    /// The next sample.
    pub(crate) async fn next(&mut self) -> Sample {
        let sample = tokio::time::timeout(PATIENCE, self.taken.recv()).await;
        sample.expect("a sample comes in time").expect("samples go on")
    }

    /// Waits for a value of the first trigger of which this holds.
    pub(crate) async fn until(&mut self, is: impl Fn(f64) -> bool) -> Sample {
        let mut last = None;
        let give_up = tokio::time::Instant::now() + PATIENCE;
        loop {
            let sample = self.next().await;
            if sample.trigger != TriggerIx(0) {
                continue;
            }
            if matches!(sample.reading, Reading::Value(value) if is(value)) {
                return sample;
            }
            assert!(
                tokio::time::Instant::now() < give_up,
                "the value never came; the last samples were {last:?} and {sample:?}"
            );
            last = Some(sample);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.follow.abort();
    }
}

/// What asking needs, and where samples come out.
pub(crate) fn needs(source: Option<Source>) -> (Needs, mpsc::Receiver<Sample>) {
    let (samples, taken) = mpsc::channel(1000);
    let needs = Needs {
        clock: Clock::resume(None),
        sources: source
            .into_iter()
            .map(|source| ("s".to_owned(), source))
            .collect::<BTreeMap<_, _>>(),
        docker: Docker::connect(&engine::host()).expect("it is an address"),
        events: broadcast::channel(1024).0,
        samples,
    };
    (needs, taken)
}

/// A trigger of the service `web`; a container has two seconds to start.
pub(crate) fn asked(project: &str, trigger: u32, signal: &str, ask: Ask, every: Duration) -> Asked {
    let settings = TriggerSettings {
        id: TriggerId::new(format!("t{trigger}")),
        name: format!("web {signal}"),
        service: "web".into(),
        signal: Signal::parse(signal),
        source: "s".into(),
        measures: String::new(),
        condition: Condition::Above(0.0),
        hold: Hold::For(Duration::from_secs(60)),
        for_known_bad: Duration::from_secs(20),
        clear: Clear::default(),
        every,
        max_gap: every * 3,
        grace: Duration::ZERO,
        recover_within: Duration::from_secs(60),
        looks_back: Duration::ZERO,
        on_blind: OnBlind::Ignore,
        blames: Vec::new(),
        blame: Blame::Careful,
        group: None,
        action: Action::Alert,
    };
    Asked {
        trigger: TriggerIx(trigger),
        project: ProjectName::new(project),
        start_timeout: Duration::from_secs(2),
        watch: Watch { trigger: settings, ask },
    }
}
