//! What is known of a project's containers from events and from looking, pure:
//! who failed, how often, and who never started. Both ways tell of the same
//! exits, and each exit counts once.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use rollbackd_core::{
    moment::Moment,
    reading::{Missing, Reading},
    revision::{ContainerState, Health},
    words::{ContainerId, ServiceName},
};

use super::known::{Known, by_signal};
use crate::docker::{
    container::Container,
    event::{ContainerEvent, What},
};

/// An exit this soon after a signal that somebody asked for is its effect.
const SOON: Duration = Duration::from_secs(30);
/// One with a signal's own exit code may be it this long after: a service may
/// have a long time to stop in.
const PATIENT: Duration = Duration::from_secs(600);
/// Two tellings of one exit differ by less than this.
const SAME: Duration = Duration::from_secs(2);
/// A kill for memory and the exit that follows lie within this.
const ONE_KILL: Duration = Duration::from_secs(5);

/// What is known of one project's containers.
pub(super) struct Ledger {
    /// How long exits and restarts are remembered.
    keep: Duration,
    began: Moment,
    looked: bool,
    known: BTreeMap<ContainerId, Known>,
    /// When anything last happened to a service's containers.
    changed: BTreeMap<ServiceName, Moment>,
    failures: VecDeque<Failure>,
    restarts: VecDeque<Restarts>,
}

/// A bad exit, or a kill for memory.
struct Failure {
    at: Moment,
    container: ContainerId,
    /// A kill for memory whose exit has not been told yet.
    unpaired: bool,
}

struct Restarts {
    at: Moment,
    container: ContainerId,
    count: u64,
}

/// A container as one look at it found it, its times already moments.
pub(super) struct Look<'c> {
    pub(super) container: &'c Container,
    pub(super) created: Option<Moment>,
    pub(super) started: Option<Moment>,
    pub(super) finished: Option<Moment>,
}

impl Ledger {
    /// A ledger that remembers for `keep`, begun at a moment.
    pub(super) fn new(keep: Duration, began: Moment) -> Self {
        Self {
            keep,
            began,
            looked: false,
            known: BTreeMap::new(),
            changed: BTreeMap::new(),
            failures: VecDeque::new(),
            restarts: VecDeque::new(),
        }
    }

    /// Takes in an event of this project.
    pub(super) fn hear(&mut self, event: &ContainerEvent) {
        let (Some(service), false) = (&event.service, event.one_off) else { return };
        let (at, id) = (event.at, &event.id);
        if event.what != What::Other && event.what != What::Health {
            self.changed.insert(service.clone(), at);
        }
        let known = self.known.entry(id.clone()).or_insert_with(|| Known::new(service.clone(), at));
        known.name.clone_from(&event.name);
        match event.what {
            What::Create => known.turn(ContainerState::Created, at),
            What::Start => {
                known.turn(ContainerState::Running, at);
                (known.asked, known.by_request) = (None, false);
            }
            What::Kill => known.asked = Some(at),
            What::Stop => {
                known.by_request = true;
                // Told after the exit by some engines, before it by others.
                self.failures.retain(|f| f.container != *id || at.since(f.at) > ONE_KILL);
            }
            What::Die(code) => self.exited(id, at, code),
            What::OutOfMemory => self.killed_for_memory(id, at),
            What::Destroy => {
                self.known.remove(id);
            }
            What::Rename | What::Health | What::Other => {}
        }
        self.forget(at);
    }

    fn exited(&mut self, id: &ContainerId, at: Moment, code: i64) {
        let Some(known) = self.known.get_mut(id) else { return };
        let patience = if code == 0 || by_signal(code) { PATIENT } else { SOON };
        known.by_request |= known.asked.is_some_and(|asked| at.since(asked) <= patience);
        known.turn(ContainerState::Exited(code), at);
        known.died = Some(at);
        let asked = known.by_request;
        let told = self
            .failures
            .iter_mut()
            .rev()
            .find(|f| f.container == *id && f.unpaired && at.since(f.at) <= ONE_KILL);
        match told {
            Some(kill) => kill.unpaired = false,
            None if code != 0 && !asked => self.fail(id, at, false),
            None => {}
        }
    }

    fn killed_for_memory(&mut self, id: &ContainerId, at: Moment) {
        let near = |f: &&Failure| f.container == *id && at.since(f.at) <= Duration::from_secs(1);
        // The kernel may tell of one kill several times, also after the exit.
        if self.failures.iter().rev().find(near).is_none() {
            self.fail(id, at, true);
        }
    }

    fn fail(&mut self, id: &ContainerId, at: Moment, unpaired: bool) {
        self.failures.push_back(Failure { at, container: id.clone(), unpaired });
    }

    /// Takes in how all containers of the project were found at a moment.
    pub(super) fn look(&mut self, at: Moment, looks: &[Look<'_>]) {
        self.looked = true;
        let is_there = |id: &ContainerId| looks.iter().any(|look| look.container.id == *id);
        self.known.retain(|id, known| {
            let there = is_there(id);
            if !there {
                self.changed.insert(known.service.clone(), at);
            }
            there
        });
        for look in looks {
            self.look_at(at, look);
        }
        self.forget(at);
    }

    fn look_at(&mut self, at: Moment, look: &Look<'_>) {
        let container = look.container;
        let (Some(service), false) = (&container.service, container.one_off) else { return };
        let id = &container.id;
        let created = look.created.unwrap_or(at);
        let known = self.known.entry(id.clone());
        let known = known.or_insert_with(|| Known::new(service.clone(), created));
        known.name.clone_from(&container.name);
        let since = match container.state {
            ContainerState::Created => created,
            ContainerState::Running => look.started.unwrap_or(created),
            _ => look.finished.unwrap_or(created),
        };
        known.turn(container.state, since);
        if look.started > known.asked {
            // It was asked to end, and has been started since.
            known.asked = None;
        }
        (known.health, known.streak) = (container.health, container.failing_streak);
        (known.restarts_always, known.oom_killed) =
            (container.restarts_always, container.oom_killed);
        let before = known.restarts.replace(container.restarts);
        let more = match before {
            Some(before) if before <= container.restarts => container.restarts - before,
            // Started by hand, the engine counts anew.
            Some(_) => container.restarts,
            None if created >= self.began => container.restarts,
            None => 0,
        };
        if more > 0 {
            self.restarts.push_back(Restarts { at, container: id.clone(), count: more });
        }
        self.unheard_exit(look);
    }

    /// An exit that no event told of, as after a gap in them.
    fn unheard_exit(&mut self, look: &Look<'_>) {
        let container = look.container;
        let code = container.exit_code;
        let ended =
            matches!(container.state, ContainerState::Exited(_) | ContainerState::Restarting);
        let (true, Some(finished)) = (ended, look.finished) else { return };
        let Some(known) = self.known.get_mut(&container.id) else { return };
        if known.died.is_some_and(|died| finished <= died + SAME) {
            return;
        }
        known.died = Some(finished);
        // Who asked for it was not heard: a signal's own exit code must do.
        known.by_request = by_signal(code) && !container.oom_killed;
        if (code != 0 && !known.by_request) || container.oom_killed {
            self.fail(&container.id, finished, false);
        }
    }

    fn forget(&mut self, now: Moment) {
        let keep = self.keep;
        let known = &self.known;
        self.failures.retain(|f| f.at + keep >= now && known.contains_key(&f.container));
        self.restarts.retain(|r| r.at + keep >= now && known.contains_key(&r.container));
    }

    /// The service's health: the failing streak of an unhealthy container, or
    /// the bad exits of its containers within `window`, whichever is more;
    /// infinite for one that should run and has not for `patience`.
    pub(super) fn health(
        &self,
        service: &ServiceName,
        now: Moment,
        window: Duration,
        patience: Duration,
    ) -> Reading {
        if let Err(why) = self.there() {
            return Reading::Missing(why);
        }
        if self.never_started(service, now, patience).is_some() {
            return Reading::Value(f64::INFINITY);
        }
        let streaks = self.of(service).filter(|(_, known)| known.health == Health::Unhealthy);
        let streak = streaks.map(|(_, known)| u64::from(known.streak)).max().unwrap_or(0);
        let failed = self.failed(service, now, window);
        match self.unread(service) {
            // What is known to have failed counts, whatever else is not known.
            Some(why) if streak.max(failed) == 0 => Reading::Missing(Missing::Failed(why)),
            _ => {
                #[expect(clippy::cast_precision_loss, reason = "nobody fails 2^53 times")]
                let value = streak.max(failed) as f64;
                Reading::Value(value)
            }
        }
    }

    /// Why nothing can be said of the service, where the engine speaks of it in
    /// words that this version does not know.
    fn unread(&self, service: &ServiceName) -> Option<String> {
        let mut states = self.of(service).map(|(_, known)| known);
        if let Some(odd) = self.of(service).find(|(_, known)| known.health == Health::Unknown) {
            let name = &odd.1.name;
            return Some(format!(
                "the engine tells the health of {name} in a word that this version does not know"
            ));
        }
        let first = states.next()?;
        let odd = |known: &Known| known.state == ContainerState::Other;
        (odd(first) && states.all(odd)).then(|| {
            format!("the engine says that {} is in no state that is known here", first.name)
        })
    }

    /// Bad exits of the service's containers within `window`.
    fn failed(&self, service: &ServiceName, now: Moment, window: Duration) -> u64 {
        let within = self.failures.iter().filter(|f| f.at + window >= now);
        within.filter(|f| self.is_of(&f.container, service)).count() as u64
    }

    /// Restarts by the restart policy of the service's containers within
    /// `window`.
    pub(super) fn restarted(
        &self,
        service: &ServiceName,
        now: Moment,
        window: Duration,
    ) -> Reading {
        if let Err(why) = self.there() {
            return Reading::Missing(why);
        }
        let within = self.restarts.iter().filter(|r| r.at + window >= now);
        let own = within.filter(|r| self.is_of(&r.container, service));
        #[expect(clippy::cast_precision_loss, reason = "nobody restarts 2^53 times")]
        let count = own.map(|r| r.count).sum::<u64>() as f64;
        Reading::Value(count)
    }

    /// What can be said to a person of a service's containers.
    pub(super) fn describe(
        &self,
        service: &ServiceName,
        now: Moment,
        patience: Duration,
    ) -> String {
        if let Some(why) = self.never_started(service, now, patience) {
            return why;
        }
        let each: Vec<_> = self.of(service).map(|(_, known)| known.describe()).collect();
        match each.as_slice() {
            [] => "the service has no container".to_owned(),
            each => each.join("; "),
        }
    }

    fn there(&self) -> Result<(), Missing> {
        if !self.looked {
            return Err(Missing::Failed("the containers have not been looked at yet".into()));
        }
        if self.known.is_empty() {
            return Err(Missing::Empty("the project has no container: is it up?".into()));
        }
        Ok(())
    }

    /// Why the service counts as never started, if it does: a container that
    /// was made and not started, or ended of itself, or none at all, for
    /// longer than `patience`.
    fn never_started(
        &self,
        service: &ServiceName,
        now: Moment,
        patience: Duration,
    ) -> Option<String> {
        let changed = self.changed.get(service).copied();
        let late = |since: Moment| now.since(since) > patience;
        if self.of(service).next().is_none() {
            return late(changed.unwrap_or(self.began)).then(|| {
                format!("the service has had no container for {}", crate::signals::span(patience))
            });
        }
        // While another one of the service is on its way out, as a replacement
        // waits for it to stop, nothing is late.
        let leaving = |known: &Known| {
            known.state == ContainerState::Running
                && known.asked.is_some_and(|asked| now.since(asked) <= PATIENT)
        };
        if self.of(service).any(|(_, known)| leaving(known)) {
            return None;
        }
        let stuck = |known: &Known| match known.state {
            ContainerState::Created => late(known.since.max(changed.unwrap_or(known.since))),
            ContainerState::Exited(code) => !known.ended_well(code) && late(known.since),
            _ => false,
        };
        let (_, known) = self.of(service).find(|(_, known)| stuck(known))?;
        Some(format!("{} for longer than {}", known.describe(), crate::signals::span(patience)))
    }

    fn of<'l>(
        &'l self,
        service: &'l ServiceName,
    ) -> impl Iterator<Item = (&'l ContainerId, &'l Known)> {
        self.known.iter().filter(move |(_, known)| known.service == *service)
    }

    fn is_of(&self, id: &ContainerId, service: &ServiceName) -> bool {
        self.known.get(id).is_some_and(|known| known.service == *service)
    }
}

#[cfg(test)]
mod tests;
