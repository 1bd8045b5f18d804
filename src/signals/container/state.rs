//! What one project's task knows, who asks, and the samples that gives.

use std::{collections::BTreeMap, time::Duration};

use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading, Sample},
    signal::Signal,
    words::{ServiceName, TriggerIx},
};

use super::{
    super::Asked,
    ledger::{Ledger, Look},
    usage::Usage,
};
use crate::{config::settings::Ask, docker::container::Container, host::clock::Clock};

/// What is known of one project, and who asks.
pub(super) struct State {
    pub(super) asked: Vec<Asked>,
    clock: Clock,
    pub(super) ledger: Ledger,
    pub(super) usage: Usage,
    /// The moment of each trigger's last sample: moments never go back.
    last: BTreeMap<TriggerIx, Moment>,
}

impl State {
    pub(super) fn new(asked: Vec<Asked>, clock: Clock) -> Self {
        let keep = asked.iter().map(window).max().unwrap_or_default();
        let ledger = Ledger::new(keep, clock.now());
        Self { asked, clock, ledger, usage: Usage::new(keep), last: BTreeMap::new() }
    }

    /// Takes in a look.
    pub(super) fn take(&mut self, at: Moment, containers: &[Container]) {
        let moment =
            |time: Option<jiff::Timestamp>| time.map(|time| self.clock.first_moment_of(time));
        let looks: Vec<_> = containers
            .iter()
            .map(|container| Look {
                container,
                created: moment(container.created),
                started: moment(container.started),
                finished: moment(container.finished),
            })
            .collect();
        self.ledger.look(at, &looks);
    }

    pub(super) fn reading(&self, asked: &Asked, at: Moment) -> Reading {
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
    pub(super) fn samples(
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
pub(super) fn is_told_by_events(asked: &Asked, service: Option<&ServiceName>) -> bool {
    matches!(asked.watch.trigger.signal, Signal::Health | Signal::Restarts)
        && service.is_none_or(|service| asked.watch.trigger.service == *service)
}

pub(super) fn is_use(asked: &Asked) -> bool {
    matches!(asked.watch.trigger.signal, Signal::Cpu | Signal::Memory)
}
