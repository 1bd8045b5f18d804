//! Waiting until containers do what they are for: they run and are healthy, or
//! have done their one job. Events wake it; a slow poll makes up for lost ones.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use rollbackd_core::{
    revision::{ContainerState, Health},
    words::{ContainerId, ProjectName, ServiceName},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

use super::{
    Compose, Errand,
    document::{self, list, text},
    names::{self, Part},
    observe,
};
use crate::{
    docker::{container::Container, event::Happening},
    engine::error::EngineError,
};

/// How long a container without a health check must have run.
const STABLE: Duration = Duration::from_secs(2);
/// How long an event may be missing before one looks all the same.
const POLL: Duration = Duration::from_millis(500);
/// The longest part of a health check's output that is told, in characters.
const LONGEST_OUTPUT: usize = 300;

/// What is thought of one container.
#[derive(Debug)]
enum Verdict {
    Ready,
    /// Not yet: how it is, as `is still starting`.
    Wait(String),
    Failed(EngineError),
}

impl Compose {
    /// Waits until every container of these services is ready, at most for
    /// `limit`.
    ///
    /// # Errors
    ///
    /// When one ended, is restarted or unhealthy, or is not ready in time; when
    /// a service has no container, or the engine does not answer, all the time.
    pub async fn wait_healthy(
        &self,
        errand: Errand<'_>,
        services: &[ServiceName],
        limit: Duration,
    ) -> Result<String, EngineError> {
        let end = Instant::now() + limit;
        let mut heard = self.happenings.subscribe();
        loop {
            let not_yet = match self.look_at(errand, services, limit).await {
                Ok(None) => return Ok(String::new()),
                Ok(Some(not_yet)) => not_yet,
                // An engine that restarts comes back, and so may its containers.
                Err(EngineError::Docker(error)) => EngineError::Docker(error),
                Err(error) => return Err(error),
            };
            if Instant::now() >= end {
                return Err(not_yet);
            }
            next_change(&mut heard, errand.project, end).await;
        }
    }

    /// Waits until these containers are ready, at most for `limit`.
    pub(super) async fn wait_containers(
        &self,
        errand: Errand<'_>,
        ids: &[ContainerId],
        limit: Duration,
    ) -> Result<(), EngineError> {
        let end = Instant::now() + limit;
        let mut heard = self.happenings.subscribe();
        loop {
            let mut not_yet = None;
            for id in ids {
                let Some(container) = self.docker.container(id.as_str()).await? else { continue };
                match verdict(&container, false, self.clock.wall()) {
                    Verdict::Ready => {}
                    Verdict::Wait(how) => {
                        not_yet = Some(EngineError::NotYet { name: container.name, how, limit });
                    }
                    Verdict::Failed(error) => return Err(error),
                }
            }
            let Some(error) = not_yet else { return Ok(()) };
            if Instant::now() >= end {
                return Err(error);
            }
            next_change(&mut heard, errand.project, end).await;
        }
    }

    /// `None` when all are ready; else what is still missing.
    async fn look_at(
        &self,
        errand: Errand<'_>,
        services: &[ServiceName],
        limit: Duration,
    ) -> Result<Option<EngineError>, EngineError> {
        let containers = self.docker.containers(errand.project).await?;
        let present = observe::present(&containers);
        let served = self.ran_on(errand, &containers).await?;
        let mut not_yet = None;
        for service in services {
            let mut any = false;
            for container in present.iter().filter(|one| one.service.as_ref() == Some(service)) {
                any = true;
                match verdict(container, served.contains(service), self.clock.wall()) {
                    Verdict::Ready => {}
                    Verdict::Wait(how) => {
                        let name = container.name.clone();
                        not_yet = Some(EngineError::NotYet { name, how, limit });
                    }
                    Verdict::Failed(error) => return Err(error),
                }
            }
            if !any {
                not_yet = Some(EngineError::Absent { service: service.clone() });
            }
        }
        Ok(not_yet)
    }

    /// The services whose containers this rollback has put aside while they
    /// ran: they serve, and an end with code 0 is not what they are for.
    async fn ran_on(
        &self,
        errand: Errand<'_>,
        containers: &[Container],
    ) -> Result<BTreeSet<ServiceName>, EngineError> {
        let mut ran = BTreeSet::new();
        for container in containers {
            let aside = names::parse(&container.name)
                .is_some_and(|one| one.part == Part::Old && one.incident == errand.incident);
            let (true, Some(service)) = (aside, &container.service) else { continue };
            let recorded = self.records.get(&container.id).await?;
            if recorded.is_some_and(|was| was.state == ContainerState::Running) {
                ran.insert(service.clone());
            }
        }
        Ok(ran)
    }
}

/// Waits for an event of the project, but not for long.
async fn next_change(heard: &mut Receiver<Happening>, project: &ProjectName, end: Instant) {
    let until = end.min(Instant::now() + POLL);
    loop {
        let happening = tokio::select! {
            happening = heard.recv() => happening,
            () = sleep_until(until) => return,
        };
        match happening {
            Ok(Happening::Container(event)) if event.project.as_ref() == Some(project) => return,
            Ok(Happening::Up) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => return sleep_until(until).await,
        }
    }
}

/// What is thought of a container. `serves` says that it is there to go on
/// running.
fn verdict(container: &Container, serves: bool, now: Timestamp) -> Verdict {
    let ended =
        |how: String| Verdict::Failed(EngineError::Ended { name: container.name.clone(), how });
    let code = container.exit_code;
    match (container.state, container.health) {
        (ContainerState::Running, Health::Unhealthy) => {
            let output = last_check(container);
            Verdict::Failed(EngineError::Unhealthy { name: container.name.clone(), output })
        }
        (ContainerState::Running, Health::Healthy) => Verdict::Ready,
        (ContainerState::Running, Health::Starting) => {
            Verdict::Wait("is running, but its health check has not passed yet,".into())
        }
        (ContainerState::Running, Health::None | Health::Unknown) if container.restarts > 0 => {
            ended(format!("did not stay up: it was restarted {} times", container.restarts))
        }
        // A health in an unknown word says nothing: what it does must do.
        (ContainerState::Running, Health::None | Health::Unknown) => {
            let ran = container.started.map(|started| now.duration_since(started));
            if ran.is_some_and(|ran| ran.unsigned_abs() >= STABLE) {
                Verdict::Ready
            } else {
                Verdict::Wait("has only just started".into())
            }
        }
        _ if container.oom_killed => ended("was killed because it ran out of memory".into()),
        (ContainerState::Restarting, _) => {
            ended(format!("ended with code {code} and is restarted"))
        }
        (ContainerState::Exited(0), _) if !serves && document::is_one_shot(container) => {
            Verdict::Ready
        }
        (ContainerState::Exited(code), _) => ended(format!("exited with code {code}")),
        // The engine keeps why a program could not be executed as a code.
        (ContainerState::Created, _) if code != 0 => {
            ended(format!("could not be started (code {code})"))
        }
        (ContainerState::Created, _) => Verdict::Wait("was created, but not started,".into()),
        (ContainerState::Other, _) => Verdict::Wait("is in no state that is known here".into()),
    }
}

/// What the last health check printed, on one bounded line.
fn last_check(container: &Container) -> String {
    let log = list(&container.document["State"]["Health"]["Log"]);
    let output = log.last().map_or("", |check| text(&check["Output"]));
    let line = output.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_OUTPUT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
