//! Signals of the system: SIGHUP reads the configuration again (a broken file is
//! refused and the old one stays), SIGTERM and SIGINT stop.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use rollbackd_core::{
    settings::{Mode, Settings},
    words::ProjectName,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Fatal, ends::Places, keeper::Ways, systemd::Systemd};
use crate::{
    config::{
        self,
        settings::{ComposeFiles, Config, Email},
    },
    signals::{self, Asked, Needs, Running},
};

/// The reloads that are asked for, one at a time.
pub(super) type Hears = mpsc::Receiver<()>;

/// Listens for signals from now on.
pub(super) fn hears(stop: CancellationToken) -> Result<Hears, Fatal> {
    let failed = |why| Fatal::System { what: "signals cannot be listened for", why };
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let (reload, hears) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(signal) = signals.next().await {
            if signal == SIGHUP {
                // One that waits already reads the newest file.
                let _ = reload.try_send(());
            } else {
                tracing::info!(signal, "daemon.stopping");
                stop.cancel();
            }
        }
    });
    Ok(hears)
}

/// Owns the sources' tasks and everything that a reload changes.
pub(super) struct Reloader {
    pub(super) needs: Needs,
    pub(super) settings: mpsc::Sender<(Settings, Mode, tokio::sync::oneshot::Sender<Places>)>,
    pub(super) names: watch::Sender<BTreeSet<ProjectName>>,
    pub(super) ways: watch::Sender<Ways>,
    pub(super) files: watch::Sender<Files>,
    pub(super) email: watch::Sender<Option<Email>>,
    pub(super) places: Places,
    pub(super) config: Config,
    pub(super) systemd: Systemd,
}

impl Reloader {
    /// Starts the sources, and starts them anew after each reload.
    pub(super) async fn run(mut self, mut hears: Hears) {
        let mut running = self.start();
        while hears.recv().await.is_some() {
            self.systemd.reloading();
            let Some(config) = self.read() else {
                self.systemd.refused();
                continue;
            };
            running.stop().await;
            let (answer, places) = tokio::sync::oneshot::channel();
            if self.settings.send((config.settings(), config.mode, answer)).await.is_err() {
                return;
            }
            let Ok(places) = places.await else { return };
            self.names.send_replace(names(&config));
            self.ways.send_replace(ways(&config));
            self.files.send_replace(files(&config));
            self.email.send_replace(config.email.clone());
            self.needs.sources = config.sources.clone();
            (self.places, self.config) = (places, config);
            running = self.start();
            self.systemd.reloaded();
            tracing::info!("daemon.reloaded");
        }
    }

    /// The configuration as it is now; `None` and a word for each problem if it
    /// is broken.
    fn read(&self) -> Option<Config> {
        let mut loaded = match config::load(&self.config.path) {
            Ok(loaded) => loaded,
            Err(rejected) => {
                for problem in &rejected.problems {
                    let (line, hint) = (problem.line, &problem.hint);
                    tracing::error!(line, hint, "config: {}", problem.message);
                }
                tracing::error!("daemon.reload.refused: the old configuration stays");
                return None;
            }
        };
        let new = &mut loaded.config;
        let old = &self.config;
        let socket = new.api != old.api;
        if socket || new.state_dir != old.state_dir || new.docker != old.docker {
            tracing::warn!(
                "daemon.reload: changes of [api], [docker] and state_dir need a restart; \
                 everything else is taken now"
            );
        }
        (new.api, new.docker) = (old.api.clone(), old.docker.clone());
        new.state_dir.clone_from(&old.state_dir);
        Some(loaded.config)
    }

    fn start(&self) -> Running {
        let asked = self.config.projects.iter().flat_map(|project| {
            project.watches.iter().filter_map(|watch| {
                let name = project.settings.name.clone();
                let trigger = *self.places.get(&(name.clone(), watch.trigger.id.clone()))?;
                let start_timeout = project.settings.start_timeout;
                Some(Asked { trigger, project: name, start_timeout, watch: watch.clone() })
            })
        });
        signals::start(asked.collect(), &self.needs)
    }
}

/// The projects to look at.
pub(super) fn names(config: &Config) -> BTreeSet<ProjectName> {
    config.projects.iter().map(|project| project.settings.name.clone()).collect()
}

/// What Compose is told of each project.
pub(super) type Files = BTreeMap<ProjectName, ComposeFiles>;

/// What Compose is told of each project.
pub(super) fn files(config: &Config) -> Files {
    let files = |project: &config::settings::Project| {
        (project.settings.name.clone(), project.files.clone())
    };
    config.projects.iter().map(files).collect()
}

/// How their images are kept.
pub(super) fn ways(config: &Config) -> Ways {
    let way =
        |project: &config::settings::Project| (project.settings.name.clone(), project.keep_by);
    config.projects.iter().map(way).collect()
}
