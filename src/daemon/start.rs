//! From nothing to a daemon that lives: what must work or it does not start,
//! then the tasks, then the loop; and the one path by which it all ends.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rollbackd_core::{event::Event, moment::Moment, words::ProjectName};
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    Fatal,
    ends::{Ears, Hands},
    executor,
    goals::Goals,
    heart::Heart,
    keeper::{self, Wanted},
    looker,
    notifier::Notifier,
    rebuild,
    reload::{self, Reloader},
    systemd::Systemd,
    teller,
};
use crate::{
    api::{
        Doors, Snapshot,
        bind::{Socket, bind_socket, bind_tcp},
        serve::{serve_socket, serve_tcp},
    },
    config::{self, settings::Config},
    docker::{Docker, event::Happening},
    engine::{
        Engine,
        compose::{Calls, Compose},
        records::Records,
    },
    host::clock::Clock,
    signals::Needs,
    store::{self, Opened},
};

/// Commands of people: each waits for its answer, so this is how many people may
/// ask at once.
const COMMANDS: usize = 16;
/// Questions about the past, which are answered one after the other.
const PASTS: usize = 4;
/// What the engine tells and steps report; a full queue makes the teller wait.
const EVENTS: usize = 64;
/// What sources say; when the loop is behind, sources wait.
const SAMPLES: usize = 1024;
/// Steps that wait for the executor; it takes them at once.
const ORDERS: usize = 16;
/// Notices that wait to be put into the outbox.
const NOTICES: usize = 64;
/// Container events that a listener may be behind; one that is further behind
/// looks afresh.
const HAPPENINGS: usize = 1024;

/// Runs the daemon until SIGTERM or SIGINT. `socket` replaces the
/// configuration's.
///
/// # Errors
///
/// What keeps it from starting: the configuration, another daemon, the state
/// directory, the socket. An engine that is not there is none of these: it is
/// waited for.
pub async fn run(path: &Path, socket: Option<PathBuf>) -> Result<(), Fatal> {
    let mut config = load(path)?;
    if let Some(socket) = socket {
        config.api.socket = socket;
    }
    let opened = store::open(&config.state_dir)?;
    let doors = bind(&config).await?;
    let docker = Docker::connect(&config.docker.host)?;
    let stop = CancellationToken::new();
    let hears = reload::hears(stop.clone())?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %path.display(),
        projects = config.projects.len(),
        "daemon.started"
    );
    Daemon { config, docker, stop }.live(opened, doors, hears).await;
    tracing::info!("daemon.stopped");
    Ok(())
}

fn load(path: &Path) -> Result<Config, Fatal> {
    let loaded = config::load(path).map_err(Fatal::Configuration)?;
    for warning in &loaded.warnings {
        tracing::warn!(line = warning.line, hint = warning.hint, "config: {}", warning.message);
    }
    Ok(loaded.config)
}

async fn bind(config: &Config) -> Result<(Socket, Option<TcpListener>), Fatal> {
    let socket = bind_socket(&config.api.socket)?;
    let tcp = match config.api.listen {
        Some(address) => Some(bind_tcp(address).await?),
        None => None,
    };
    Ok((socket, tcp))
}

/// What starting has gathered.
struct Daemon {
    config: Config,
    docker: Docker,
    stop: CancellationToken,
}

impl Daemon {
    async fn live(
        self,
        opened: Opened,
        (socket, tcp): (Socket, Option<TcpListener>),
        hears: reload::Hears,
    ) {
        let Self { config, docker, stop } = self;
        let Opened { handle: store, anchor, facts, pending, checkpoint } = opened;
        let clock = Clock::resume(anchor.as_ref());
        let settings = config.settings();
        let core = rebuild::rebuild(&facts, &settings, checkpoint.as_deref(), clock.now());
        drop(facts);

        let (happenings, _) = broadcast::channel::<Happening>(HAPPENINGS);
        let (command_to, asked) = mpsc::channel(COMMANDS);
        let (goal_to, commands) = mpsc::channel(COMMANDS);
        let (question_to, questions) = mpsc::channel(COMMANDS);
        let (past_to, pasts) = mpsc::channel(PASTS);
        let (recorded_to, recorded) = watch::channel(Moment::ZERO);
        let (event_to, events) = mpsc::channel::<Event>(EVENTS);
        let (sample_to, samples) = mpsc::channel(SAMPLES);
        let (settings_to, settings_from) = mpsc::channel(1);
        let (order_to, orders) = mpsc::channel(ORDERS);
        let (notice_to, notices) = mpsc::channel(NOTICES);
        let (test_to, tests) = mpsc::channel(COMMANDS);
        let (trouble_to, troubles) = mpsc::channel(1);
        let (look_to, looks) = mpsc::channel(ORDERS);
        let (asked_to, asked_looks) = mpsc::channel(COMMANDS);
        let (looked_to, looked) = mpsc::channel(COMMANDS);
        let (wanted_to, wanted) = watch::channel(Wanted(core.kept()));
        let (snapshot_to, snapshots) = watch::channel(Arc::new(nothing_yet(&config, &clock)));
        let (names_to, names) = watch::channel(reload::names(&config));
        let (ways_to, ways) = watch::channel(reload::ways(&config));
        let (files_to, files) = watch::channel(reload::files(&config));
        let (email_to, email) = watch::channel(config.email.clone());

        let local = config.docker.host.starts_with("unix:");
        let records = Records::new(store.clone());
        let compose = Compose::new(
            docker.clone(),
            records,
            clock.clone(),
            happenings.clone(),
            &config.state_dir,
            local,
        );
        let (command, host) = (config.docker.compose.clone(), config.docker.host.clone());
        let compose = compose.calling(Calls { command, host, files });
        let engine = Engine::Compose(compose);
        let needs = Needs {
            clock: clock.clone(),
            sources: config.sources.clone(),
            docker: docker.clone(),
            events: happenings.clone(),
            samples: sample_to,
        };
        let goals =
            Goals { engine: engine.clone(), snapshots: snapshots.clone(), commands: goal_to };
        let doors = Doors {
            snapshots,
            commands: command_to,
            looks: asked_to,
            questions: question_to,
            pasts: past_to,
            test_notify: test_to,
            clock: clock.clone(),
        };

        let mut tasks = Tasks::default();
        tasks.spawn(serve_socket(socket, doors.clone(), stop.clone()));
        if let Some(tcp) = tcp {
            tasks.spawn(serve_tcp(tcp, doors, stop.clone()));
        }
        let keeping =
            keeper::run(wanted, ways, happenings.subscribe(), engine.clone(), event_to.clone());
        tasks.run(keeping);
        tasks.run(goals.run(asked));
        tasks.run(executor::run(orders, engine.clone(), event_to.clone()));
        tasks.run(teller::run(pasts, config.state_dir.clone(), recorded));
        tasks.run(looker::run(looks, asked_looks, engine.clone(), event_to.clone(), looked_to));
        tasks.run(report_leftovers(engine.clone(), pending_names(&config)));
        tasks.run(engine.watch(names, event_to));
        let notifier =
            || Notifier { store: store.clone(), clock: clock.clone(), email: email.clone() };
        tasks.spawn(notifier().drain(notices, stop.clone()));
        tasks.run(notifier().test(tests));
        tasks.run(notifier().troubles(troubles));
        let following = {
            let (docker, clock) = (docker.clone(), clock.clone());
            async move { docker.follow(clock, happenings).await }
        };
        tasks.run(following);
        let systemd = Systemd::default();
        let reloader = Reloader {
            needs,
            settings: settings_to,
            names: names_to,
            ways: ways_to,
            files: files_to,
            email: email_to,
            places: core.places(),
            config: config.clone(),
            systemd: systemd.clone(),
        };
        tasks.run(reloader.run(hears));

        let hands = Hands {
            steps: order_to,
            notices: notice_to,
            snapshots: snapshot_to,
            wanted: wanted_to,
            recorded: recorded_to,
            troubles: trouble_to,
            looks: look_to,
            pulse: systemd.pulse(),
        };
        let ears = Ears {
            settings: settings_from,
            commands,
            looked,
            events,
            questions,
            samples,
            stop: stop.clone(),
        };
        let heart = Heart::new(core, config.mode, clock, store.clone(), hands);
        heart.live(pending, ears).await;
        tasks.end().await;
        store.close().await;
    }
}

/// The tasks beside the loop.
#[derive(Default)]
struct Tasks {
    /// End by themselves when told to stop.
    polite: Vec<JoinHandle<()>>,
    /// Are ended: what they had begun is resumed at the next start.
    others: Vec<JoinHandle<()>>,
}

impl Tasks {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.polite.push(tokio::spawn(task));
    }

    fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.others.push(tokio::spawn(task));
    }

    async fn end(self) {
        for task in &self.others {
            task.abort();
        }
        for task in self.polite {
            if let Err(error) = task.await {
                tracing::warn!(%error, "daemon.task.ended_badly");
            }
        }
    }
}

fn nothing_yet(config: &Config, clock: &Clock) -> Snapshot {
    Snapshot {
        at: clock.now(),
        version: env!("CARGO_PKG_VERSION"),
        mode: config.mode,
        projects: Vec::new(),
        engine: None,
        trouble: None,
        behind: std::time::Duration::ZERO,
    }
}

fn pending_names(config: &Config) -> Vec<ProjectName> {
    config.projects.iter().map(|project| project.settings.name.clone()).collect()
}

/// Containers that an earlier rollback left aside are for people to look at.
async fn report_leftovers(engine: Engine, projects: Vec<ProjectName>) {
    for project in projects {
        match engine.leftovers(&project, None).await {
            Ok(left) => {
                for leftover in left {
                    tracing::warn!(%project, container = ?leftover, "engine.leftover");
                }
            }
            Err(error) => tracing::debug!(%project, %error, "engine.leftovers.unknown"),
        }
    }
}
