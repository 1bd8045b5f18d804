//! What the engine itself knows of a project's containers: `health`,
//! `restarts`, `cpu`, `memory`. Looked at at fixed moments; what an event tells
//! becomes a sample at once.

mod known;
mod ledger;
mod state;
mod usage;

use std::time::Duration;

use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading, Sample},
    revision::ContainerState,
    words::{ContainerId, ProjectName, ServiceName},
};
use tokio::sync::{broadcast, mpsc};

use self::{
    state::{State, is_told_by_events, is_use},
    usage::Used,
};
use super::{Asked, schedule::Moments};
use crate::{
    docker::{
        Docker,
        container::Container,
        event::{ContainerEvent, Happening, What},
    },
    host::clock::Clock,
};

/// How many containers' use is read at once.
const AT_ONCE: usize = 4;
/// Between two readings for a person who asks once.
const BETWEEN: Duration = Duration::from_millis(500);

/// What a task that asks the engine has found.
enum Done {
    /// The containers of the project, looked at because of this.
    Look(Moment, Because, Result<Vec<Container>, String>),
    /// What they use.
    Use(Moment, Vec<Used>),
}

/// Who looks at a project.
#[derive(Clone)]
pub(super) struct Looker {
    pub(super) docker: Docker,
    pub(super) clock: Clock,
    pub(super) project: ProjectName,
    /// The services whose use is asked for.
    pub(super) measured: Vec<ServiceName>,
}

impl Looker {
    async fn look(self, at: Moment, because: Because) -> Done {
        let containers = self.docker.containers(&self.project).await;
        Done::Look(at, because, containers.map_err(|error| error.to_string()))
    }

    /// Reading what a container uses takes some engines a second, so it is no
    /// part of a look.
    async fn measure(self, at: Moment, measured: Vec<Measured>) -> Done {
        let used: Vec<_> = stream::iter(measured)
            .map(|measured| used(self.docker.clone(), measured))
            .buffered(AT_ONCE)
            .collect()
            .await;
        Done::Use(at, used.into_iter().flatten().collect())
    }

    /// The containers whose use is to be read.
    fn to_measure(&self, containers: &[Container]) -> Vec<Measured> {
        let one = |container: &Container| {
            let service = container.service.as_ref().filter(|own| self.measured.contains(own))?;
            let runs = !container.one_off && container.state == ContainerState::Running;
            runs.then(|| Measured {
                container: container.id.clone(),
                service: service.clone(),
                cpu_limit: container.cpu_limit(),
            })
        };
        containers.iter().filter_map(one).collect()
    }
}

/// A container whose use is to be read.
struct Measured {
    container: ContainerId,
    service: ServiceName,
    cpu_limit: Option<f64>,
}

async fn used(docker: Docker, measured: Measured) -> Option<Used> {
    let Measured { container, service, cpu_limit } = measured;
    match docker.stats(&container).await {
        Ok(stats) => Some(Used { container, service, cpu_limit, stats: stats? }),
        Err(error) => {
            tracing::debug!(%container, %error, "signals.container.unread");
            None
        }
    }
}

/// What a look is for.
#[derive(Clone, Debug, PartialEq)]
enum Because {
    /// A fixed moment: everybody gets a sample.
    Due,
    /// The engine told something that has to be looked at: `health` and
    /// `restarts` get a sample, of one service or of all.
    Told(Option<ServiceName>),
}

/// One project's task: one look at a time, one reading of use at a time; events
/// are heard meanwhile.
struct Task {
    looker: Looker,
    state: State,
    at_work: FuturesUnordered<BoxFuture<'static, Done>>,
    looking: bool,
    measuring: bool,
    /// Why to look again as soon as this look is done. A slow engine is looked
    /// at again and again, and every answer counts at its own moment.
    again: Option<Because>,
}

/// Looks at one project at its moments and hears its events, until nobody takes
/// samples any more.
pub(super) async fn watch(
    looker: Looker,
    asked: Vec<Asked>,
    mut moments: Moments,
    mut events: broadcast::Receiver<Happening>,
    samples: mpsc::Sender<Sample>,
) {
    let state = State::new(asked, looker.clock.clone());
    let at_work = FuturesUnordered::new();
    let mut task = Task { looker, state, at_work, looking: false, measuring: false, again: None };
    // The first look is now: what has happened so far is not told.
    let now = task.looker.clock.now();
    task.look(now, Because::Told(None));
    let mut telling = true;
    loop {
        let ready = tokio::select! {
            // An event is news; the others can wait for it.
            biased;
            event = events.recv(), if telling => {
                // Without anybody who tells, the fixed moments remain.
                telling = !matches!(event, Err(broadcast::error::RecvError::Closed));
                task.heard(event)
            }
            Some(done) = task.at_work.next() => task.done(done),
            at = moments.next() => {
                task.look(at, Because::Due);
                Vec::new()
            }
        };
        for sample in ready {
            if samples.send(sample).await.is_err() {
                return;
            }
        }
    }
}

impl Task {
    /// Looks, now or as soon as the present look is done.
    fn look(&mut self, at: Moment, because: Because) {
        if self.looking {
            self.again = Some(merged(self.again.take(), because));
            return;
        }
        self.looking = true;
        self.at_work.push(Box::pin(self.looker.clone().look(at, because)));
    }

    /// What the engine found gives.
    fn done(&mut self, done: Done) -> Vec<Sample> {
        match done {
            Done::Look(at, because, containers) => {
                self.looking = false;
                if let Some(again) = self.again.take() {
                    self.look(self.looker.clock.now(), again);
                }
                self.looked(at, &because, containers)
            }
            Done::Use(at, used) => {
                self.measuring = false;
                self.state.usage.take(at, used);
                self.state.samples(at, None, is_use)
            }
        }
    }

    fn looked(
        &mut self,
        at: Moment,
        because: &Because,
        containers: Result<Vec<Container>, String>,
    ) -> Vec<Sample> {
        let due = *because == Because::Due;
        let failed = match containers {
            Ok(containers) => {
                self.state.take(at, &containers);
                if due && !self.measuring && self.state.asked.iter().any(is_use) {
                    self.measuring = true;
                    let measured = self.looker.to_measure(&containers);
                    self.at_work.push(Box::pin(self.looker.clone().measure(at, measured)));
                }
                None
            }
            Err(why) => Some(why),
        };
        self.state.samples(at, failed.as_deref(), |asked| match because {
            Because::Due => failed.is_some() || !is_use(asked),
            Because::Told(service) => is_told_by_events(asked, service.as_ref()),
        })
    }

    /// What an event gives at once; some have to be looked at.
    fn heard(&mut self, event: Result<Happening, broadcast::error::RecvError>) -> Vec<Sample> {
        let at = self.looker.clock.now();
        match event {
            Ok(Happening::Container(event))
                if event.project.as_ref() == Some(&self.looker.project) && !event.one_off =>
            {
                self.told(&event)
            }
            Ok(Happening::Up) | Err(broadcast::error::RecvError::Lagged(_)) => {
                self.look(at, Because::Told(None));
                Vec::new()
            }
            Ok(Happening::Down(why)) => {
                self.state.samples(at, Some(&why), |asked| is_told_by_events(asked, None))
            }
            Ok(Happening::Container(_) | Happening::Images)
            | Err(broadcast::error::RecvError::Closed) => Vec::new(),
        }
    }

    fn told(&mut self, event: &ContainerEvent) -> Vec<Sample> {
        self.state.ledger.hear(event);
        let (at, service) = (self.looker.clock.now(), event.service.as_ref());
        match event.what {
            What::Die(_) | What::OutOfMemory => {
                self.state.samples(at, None, |asked| is_told_by_events(asked, service))
            }
            // The event does not say how many checks have failed.
            What::Health => {
                self.look(at, Because::Told(service.cloned()));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// Two reasons to look are one look: for whom either would be.
fn merged(first: Option<Because>, second: Because) -> Because {
    match first {
        None => second,
        Some(first) if first == second => second,
        Some(Because::Due) => Because::Due,
        Some(Because::Told(_)) if second == Because::Due => Because::Due,
        Some(Because::Told(_)) => Because::Told(None),
    }
}

/// What the engine says now, for a person who asks once.
pub(super) async fn once(looker: Looker, asked: &Asked) -> (Reading, String) {
    let mut state = State::new(vec![asked.clone()], looker.clock.clone());
    let mut at = looker.clock.now();
    let containers = match looker.docker.containers(&looker.project).await {
        Ok(containers) => containers,
        Err(error) => {
            let why = error.to_string();
            return (Reading::Missing(Missing::Failed(why.clone())), why);
        }
    };
    state.take(at, &containers);
    // Processor time is a share only between two readings.
    for reading in 0..if is_use(asked) { 2 } else { 0 } {
        if reading > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        at = looker.clock.now();
        let measured = looker.to_measure(&containers);
        if let Done::Use(at, used) = looker.clone().measure(at, measured).await {
            state.usage.take(at, used);
        }
    }
    let reading = state.reading(asked, at);
    let service = &asked.watch.trigger.service;
    let found = state.ledger.describe(service, at, asked.start_timeout);
    let text = match &reading {
        Reading::Value(value) => {
            let signal = &asked.watch.trigger.signal;
            format!("{signal} is {} ({found})", signal.unit().show(*value))
        }
        Reading::Missing(why) => why.to_string(),
    };
    (reading, text)
}

#[cfg(test)]
mod tests;
