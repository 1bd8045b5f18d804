//! What systemd is told: that the daemon is ready, reads its configuration
//! again, stops, how it stands, and that its loop lives. Where nobody listens
//! (`$NOTIFY_SOCKET` is not set) nothing is said.
//!
//! The watchdog is fed by the loop itself, never by a task beside it: a loop
//! that hangs must be missed.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rollbackd_core::{settings::Mode, view::ProjectView};
use sd_notify::NotifyState;
use tokio::time::Instant;

use crate::api::Snapshot;

/// Fed this many times within the time that the watchdog waits: one that comes
/// late is no death.
const FEEDS: u32 = 4;

/// Says that the configuration is read again, and how that went.
#[derive(Clone, Debug, Default)]
pub(super) struct Systemd {
    /// The file was refused at the last reload.
    refused: Arc<AtomicBool>,
}

impl Systemd {
    /// The loop's own part.
    pub(super) fn pulse(&self) -> Pulse {
        let listens = env::var_os("NOTIFY_SOCKET").is_some();
        let every = sd_notify::watchdog_enabled().filter(|_| listens).map(|time| time / FEEDS);
        Pulse { listens, every, refused: self.refused.clone(), ..Pulse::default() }
    }

    /// SIGHUP was heard. The stamp tells systemd 253 and newer which of its
    /// requests this answers; older ones pass over it.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(stamp) => say(&[NotifyState::Reloading, stamp]),
            Err(error) => tracing::warn!(%error, "daemon.systemd.no_time"),
        }
    }

    /// The new configuration holds.
    pub(super) fn reloaded(&self) {
        self.refused.store(false, Ordering::Relaxed);
        say(&[NotifyState::Ready]);
    }

    /// The file is broken, and the old configuration holds: as ready as before.
    pub(super) fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
        say(&[NotifyState::Ready]);
    }
}

/// The loop's own part: it alone feeds the watchdog and says how all stands.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    listens: bool,
    /// How often the watchdog is fed; `None`: there is none.
    every: Option<Duration>,
    fed: Option<Instant>,
    status: String,
    refused: Arc<AtomicBool>,
}

impl Pulse {
    /// The loop begins.
    pub(super) fn ready(&mut self) {
        if self.listens {
            say(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
        }
    }

    /// The loop has come round.
    pub(super) fn beat(&mut self) {
        let Some(every) = self.every else { return };
        let now = Instant::now();
        if self.fed.is_none_or(|fed| now.duration_since(fed) >= every) {
            self.fed = Some(now);
            say(&[NotifyState::Watchdog]);
        }
    }

    /// How all stands, if that has changed.
    pub(super) fn tell(&mut self, snapshot: &Snapshot) {
        if !self.listens {
            return;
        }
        let status = status(snapshot, self.refused.load(Ordering::Relaxed));
        if status != self.status {
            say(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// The loop ends, at once or when the step that runs has.
    pub(super) fn stopping(&mut self, step_runs: bool) {
        if self.listens {
            let status = if step_runs { "waits for the step that runs" } else { "stopping" };
            say(&[NotifyState::Stopping, NotifyState::Status(status)]);
        }
    }
}

/// Does nothing where nobody listens.
fn say(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "daemon.systemd.deaf");
    }
}

/// One calm line: it changes when something is up, not with every number.
fn status(snapshot: &Snapshot, refused: bool) -> String {
    let mut parts = vec![protected(&snapshot.projects)];
    if snapshot.mode == Mode::Observe {
        parts.push("only observing".into());
    }
    let acting = snapshot.projects.iter().filter_map(|project| {
        let id = project.rollback?;
        Some(format!("rolling back {} ({id})", project.name))
    });
    parts.extend(acting);
    if snapshot.engine.is_some() {
        parts.push("the engine does not answer".into());
    }
    if let Some(trouble) = &snapshot.trouble {
        parts.push(trouble.clone());
    }
    if refused {
        parts.push("the configuration file is broken, the one before it holds".into());
    }
    // A line break would begin another message to systemd.
    parts.join("; ").replace('\n', " ")
}

fn protected(projects: &[Arc<ProjectView>]) -> String {
    let services = || projects.iter().flat_map(|project| &project.services);
    let watched = services().filter(|service| !service.triggers.is_empty());
    let (armed, watched) = (services().filter(|service| service.armed).count(), watched.count());
    let plural = if projects.len() == 1 { "" } else { "s" };
    let projects = projects.len();
    format!("{projects} project{plural}, {armed} of {watched} watched services armed")
}

#[cfg(test)]
mod tests {
    use rollbackd_core::{
        moment::Moment,
        settings::{Action, Condition},
        signal::Signal,
        view::{ServiceView, TriggerState, TriggerView},
        words::IncidentId,
    };

    use super::*;
    use crate::api::{EngineAway, samples};

    fn service(armed: bool, watched: bool) -> ServiceView {
        let trigger = TriggerView {
            name: "health".into(),
            signal: Signal::Health,
            source: "docker".into(),
            action: Action::Rollback,
            state: TriggerState::Ok,
            value: None,
            at: None,
            condition: Condition::AtLeast(3.0),
            hold: rollbackd_core::settings::Hold::For(Duration::from_secs(60)),
            known_bad: false,
            pending_since: None,
            reason: None,
            recent: Vec::new(),
        };
        ServiceView {
            name: "web".into(),
            image: None,
            image_id: None,
            since: None,
            armed,
            reasons: Vec::new(),
            target: None,
            triggers: watched.then_some(trigger).into_iter().collect(),
        }
    }

    fn project(name: &str, rollback: Option<u64>, services: Vec<ServiceView>) -> Arc<ProjectView> {
        Arc::new(ProjectView {
            name: name.into(),
            rollback: rollback.map(IncidentId),
            services,
            ..samples::shop()
        })
    }

    fn snapshot(projects: Vec<Arc<ProjectView>>) -> Snapshot {
        Snapshot {
            at: Moment::ZERO,
            version: "",
            mode: Mode::Act,
            projects,
            engine: None,
            trouble: None,
            behind: Duration::ZERO,
        }
    }

    #[test]
    fn the_status_is_one_line_that_counts_what_is_armed() {
        let web = || vec![service(true, true), service(false, true), service(false, false)];
        let line = status(&snapshot(vec![project("shop", None, web())]), false);
        insta::assert_snapshot!(line, @"1 project, 1 of 2 watched services armed");
        let two = vec![project("shop", Some(7), web()), project("blog", None, Vec::new())];
        let line = status(&snapshot(two), false);
        insta::assert_snapshot!(line, @"2 projects, 1 of 2 watched services armed; rolling back shop (7)");
    }

    #[test]
    fn the_status_says_what_keeps_it_from_protecting_anything() {
        let mut bad = snapshot(Vec::new());
        bad.mode = Mode::Observe;
        bad.engine = Some(EngineAway { since: Moment::ZERO, why: "no such file".into() });
        bad.trouble = Some("state cannot be written: the disk is full".into());
        insta::assert_snapshot!(status(&bad, true), @"0 projects, 0 of 0 watched services armed; only observing; the engine does not answer; state cannot be written: the disk is full; the configuration file is broken, the one before it holds");
    }

    #[tokio::test]
    async fn where_nobody_listens_nothing_is_said_and_nothing_is_fed() {
        let mut pulse = Pulse::default();
        pulse.tell(&snapshot(Vec::new()));
        pulse.beat();
        assert_eq!((pulse.status.as_str(), pulse.fed), ("", None));
    }
}
