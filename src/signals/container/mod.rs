//! What the engine itself knows of a project's containers: `health`,
//! `restarts`, `cpu`, `memory`. Looked at at fixed moments; what an event tells
//! becomes a sample at once.

mod known;
mod ledger;
mod usage;

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading, Sample},
    revision::ContainerState,
    signal::Signal,
    words::{ContainerId, ProjectName, ServiceName, TriggerIx},
};
use tokio::sync::{broadcast, mpsc};

use self::{
    ledger::{Ledger, Look},
    usage::{Usage, Used},
};
use super::{Asked, schedule::Moments};
use crate::{
    config::settings::Ask,
    docker::{
        Docker,
        container::Container,
        event::{ContainerEvent, Happening, What},
    },
    host::clock::Clock,
};

/// How many containers' use is read at once.
const AT_ONCE: usize = 4;

/// What one look found.
struct Found {
    at: Moment,
    containers: Result<Vec<Container>, String>,
    used: Vec<Used>,
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
    async fn look(self, at: Moment) -> Found {
        let containers = match self.docker.containers(&self.project).await {
            Ok(containers) => containers,
            Err(error) => {
                return Found { at, containers: Err(error.to_string()), used: Vec::new() };
            }
        };
        let mut wanted = Vec::new();
        for container in &containers {
            wanted.extend(self.measures(container));
        }
        let used: Vec<_> = stream::iter(wanted)
            .map(|wanted| used(self.docker.clone(), wanted))
            .buffered(AT_ONCE)
            .collect()
            .await;
        Found { at, used: used.into_iter().flatten().collect(), containers: Ok(containers) }
    }

    fn measures(&self, container: &Container) -> Option<Measured> {
        let service = container.service.as_ref().filter(|own| self.measured.contains(own))?;
        let runs = !container.one_off && container.state == ContainerState::Running;
        runs.then(|| Measured {
            container: container.id.clone(),
            service: service.clone(),
            cpu_limit: container.cpu_limit(),
        })
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

/// What is known of one project, and who asks.
struct State {
    asked: Vec<Asked>,
    clock: Clock,
    ledger: Ledger,
    usage: Usage,
    /// The moment of each trigger's last sample: moments never go back.
    last: BTreeMap<TriggerIx, Moment>,
}

impl State {
    fn new(asked: Vec<Asked>, clock: Clock) -> Self {
        let keep = asked.iter().map(window).max().unwrap_or_default();
        let ledger = Ledger::new(keep, clock.now());
        Self { asked, clock, ledger, usage: Usage::new(keep), last: BTreeMap::new() }
    }

    /// Takes in a look; `Err` when the engine did not answer.
    fn take(&mut self, found: Found) -> Result<(), String> {
        let containers = found.containers?;
        let moment = |time: Option<jiff::Timestamp>| time.map(|time| self.clock.moment_of(time));
        let looks: Vec<_> = containers
            .iter()
            .map(|container| Look {
                container,
                created: moment(container.created),
                started: moment(container.started),
                finished: moment(container.finished),
            })
            .collect();
        self.ledger.look(found.at, &looks);
        self.usage.take(found.at, found.used);
        Ok(())
    }

    fn reading(&self, asked: &Asked, at: Moment) -> Reading {
        let (service, window) = (&asked.watch.trigger.service, window(asked));
        match &asked.watch.trigger.signal {
            Signal::Health => self.ledger.health(service, at, window, asked.start_timeout),
            Signal::Restarts => self.ledger.restarted(service, at, window),
            Signal::Cpu => self.usage.cpu(service, at, window),
            Signal::Memory => self.usage.memory(service),
            other => Reading::Missing(Missing::Failed(format!(
                "the engine knows health, restarts, cpu and memory of a service, and no `{other}`: \
                 name a source for it"
            ))),
        }
    }

    /// A sample for each who asked and is chosen, unless a newer one was sent.
    fn samples(
        &mut self,
        at: Moment,
        failed: Option<&str>,
        chosen: impl Fn(&Asked) -> bool,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        for asked in self.asked.iter().filter(|asked| chosen(asked)) {
            let trigger = asked.trigger;
            if self.last.get(&trigger).is_some_and(|&last| last >= at) {
                continue;
            }
            let reading = match failed {
                Some(why) => Reading::Missing(Missing::Failed(why.to_owned())),
                None => self.reading(asked, at),
            };
            self.last.insert(trigger, at);
            samples.push(Sample { trigger, at, reading });
        }
        samples
    }
}

fn window(asked: &Asked) -> Duration {
    match asked.watch.ask {
        Ask::Container { window } => window,
        _ => Duration::ZERO,
    }
}

/// A failure counts the moment it is told; use does not change by events.
fn is_told_by_events(asked: &Asked, service: Option<&ServiceName>) -> bool {
    matches!(asked.watch.trigger.signal, Signal::Health | Signal::Restarts)
        && service.is_none_or(|service| asked.watch.trigger.service == *service)
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

/// Looks at one project at its moments and hears its events, until nobody takes
/// samples any more.
pub(super) async fn watch(
    looker: Looker,
    asked: Vec<Asked>,
    mut moments: Moments,
    mut events: broadcast::Receiver<Happening>,
    samples: mpsc::Sender<Sample>,
) {
    let mut state = State::new(asked, looker.clock.clone());
    // One look at a time; events are heard meanwhile. The first is now: what
    // has happened so far is not told.
    let first = looker.clone().look(looker.clock.now());
    let (mut look, mut because) = (Box::pin(first), Because::Told(None));
    let mut looking = true;
    let mut again: Option<Because> = None;
    let mut telling = true;
    loop {
        let (ready, next) = tokio::select! {
            // An event is news; the others can wait for it.
            biased;
            event = events.recv(), if telling => {
                // Without anybody who tells, the fixed moments remain.
                telling = !matches!(event, Err(broadcast::error::RecvError::Closed));
                heard(&mut state, event, &looker)
            }
            found = &mut look, if looking => {
                looking = false;
                (looked(&mut state, found, &because), again.take())
            }
            at = moments.next() => {
                if looking {
                    let why = "the engine has not finished answering since the last time";
                    (state.samples(at, Some(why), |_| because == Because::Due), None)
                } else {
                    look.set(looker.clone().look(at));
                    (because, looking) = (Because::Due, true);
                    (Vec::new(), None)
                }
            }
        };
        for sample in ready {
            if samples.send(sample).await.is_err() {
                return;
            }
        }
        match next {
            Some(next) if looking => again = Some(merged(again, next)),
            Some(next) => {
                look.set(looker.clone().look(looker.clock.now()));
                (because, looking) = (next, true);
            }
            None => {}
        }
    }
}

/// Two reasons to look are one look.
fn merged(first: Option<Because>, second: Because) -> Because {
    match first {
        None => second,
        Some(first) if first == second => second,
        Some(_) => Because::Told(None),
    }
}

/// What an event gives at once, and why to look.
fn heard(
    state: &mut State,
    event: Result<Happening, broadcast::error::RecvError>,
    looker: &Looker,
) -> (Vec<Sample>, Option<Because>) {
    match event {
        Ok(Happening::Container(event)) if event.project.as_ref() == Some(&looker.project) => {
            told(state, &event)
        }
        Ok(Happening::Up) | Err(broadcast::error::RecvError::Lagged(_)) => {
            (Vec::new(), Some(Because::Told(None)))
        }
        Ok(Happening::Down(why)) => {
            let at = state.clock.now();
            (state.samples(at, Some(&why), |asked| is_told_by_events(asked, None)), None)
        }
        Ok(Happening::Container(_) | Happening::Images)
        | Err(broadcast::error::RecvError::Closed) => (Vec::new(), None),
    }
}

fn told(state: &mut State, event: &ContainerEvent) -> (Vec<Sample>, Option<Because>) {
    if event.one_off {
        return (Vec::new(), None);
    }
    state.ledger.hear(event);
    let service = event.service.as_ref();
    match event.what {
        What::Die(_) | What::OutOfMemory => {
            let at = state.clock.now();
            (state.samples(at, None, |asked| is_told_by_events(asked, service)), None)
        }
        // The event does not say how many checks have failed.
        What::Health => (Vec::new(), Some(Because::Told(service.cloned()))),
        _ => (Vec::new(), None),
    }
}

fn looked(state: &mut State, found: Found, because: &Because) -> Vec<Sample> {
    let at = found.at;
    let failed = state.take(found).err();
    state.samples(at, failed.as_deref(), |asked| match because {
        Because::Due => true,
        Because::Told(service) => is_told_by_events(asked, service.as_ref()),
    })
}

/// What the engine says now, for a person who asks once.
pub(super) async fn once(looker: Looker, asked: &Asked) -> (Reading, String) {
    let mut state = State::new(vec![asked.clone()], looker.clock.clone());
    let is_cpu = asked.watch.trigger.signal == Signal::Cpu;
    let mut at = looker.clock.now();
    for _ in 0..if is_cpu { 2 } else { 1 } {
        at = looker.clock.now();
        if let Err(why) = state.take(looker.clone().look(at).await) {
            return (Reading::Missing(Missing::Failed(why.clone())), why);
        }
        if is_cpu {
            tokio::time::sleep(Duration::from_millis(500)).await;
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
