//! Watching the configured projects: each is looked at when the engine comes
//! up, shortly after something happens to its containers, and now and then
//! anyway. What is seen goes to the core, in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rollbackd_core::{event::Event, moment::Moment, words::ProjectName};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc::{Sender, error::SendError},
        watch,
    },
    time::{Instant, sleep_until},
};

use super::Compose;
use crate::{
    docker::{
        error::DockerError,
        event::{ContainerEvent, Happening, What},
    },
    engine::error::EngineError,
};

/// A burst of events is over after this long without one.
const QUIET: Duration = Duration::from_millis(250);
/// A burst is looked at after this long in any case.
const LATEST: Duration = Duration::from_secs(1);
/// A project is looked at this often anyway.
const ANYWAY: Duration = Duration::from_secs(30);
/// After a look that failed.
const AGAIN: Duration = Duration::from_secs(2);

/// When a project is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Due {
    /// The latest moment, and the one after a quiet time.
    latest: Instant,
    quiet: Instant,
    /// The first change that the engine told since the last look.
    changed_at: Option<Moment>,
}

impl Due {
    /// At once, or after a time.
    fn at(when: Instant) -> Self {
        Self { latest: when, quiet: when, changed_at: None }
    }

    /// An event was heard.
    fn heard(&mut self, now: Instant) {
        self.latest = self.latest.min(now + LATEST);
        self.quiet = now + QUIET;
    }

    /// A look failed; what was heard is kept for the next.
    fn again(&mut self, after: Duration) {
        *self = Self { changed_at: self.changed_at, ..Self::at(Instant::now() + after) };
    }

    fn when(&self) -> Instant {
        self.latest.min(self.quiet)
    }
}

impl Compose {
    /// Watches the projects that `projects` names at any time, until the
    /// receiver of events is gone. Listens from the call on, before it is first
    /// polled. The channel is bounded: a receiver that is slow makes looks
    /// rarer, and loses none that matters, for each tells all.
    pub fn watch(
        self,
        projects: watch::Receiver<BTreeSet<ProjectName>>,
        events: Sender<Event>,
    ) -> impl Future<Output = ()> + Send {
        let heard = self.happenings.subscribe();
        let watcher = Watcher { compose: self, events, due: BTreeMap::new(), unsure: false };
        // Only the receiver's end ends this.
        async move { drop(watcher.run(heard, projects).await) }
    }
}

/// The one task that looks.
struct Watcher {
    compose: Compose,
    events: Sender<Event>,
    due: BTreeMap<ProjectName, Due>,
    /// Happenings were lost: whether the engine answers must be told anew.
    unsure: bool,
}

impl Watcher {
    async fn run(
        mut self,
        mut heard: broadcast::Receiver<Happening>,
        mut projects: watch::Receiver<BTreeSet<ProjectName>>,
    ) -> Result<(), SendError<Event>> {
        adopt(&mut self.due, &projects.borrow_and_update(), Instant::now());
        loop {
            let next = self.due.values().map(Due::when).min();
            let next = next.unwrap_or_else(|| Instant::now() + ANYWAY);
            tokio::select! {
                happening = heard.recv() => match happening {
                    Ok(happening) => self.take(happening).await?,
                    Err(RecvError::Lagged(_)) => {
                        self.unsure = true;
                        all_due(&mut self.due, Instant::now());
                    }
                    // The daemon ends.
                    Err(RecvError::Closed) => return Ok(()),
                },
                changed = projects.changed() => match changed {
                    Ok(()) => adopt(&mut self.due, &projects.borrow_and_update(), Instant::now()),
                    Err(_) => return Ok(()),
                },
                () = sleep_until(next) => self.look().await?,
                () = self.events.closed() => return Ok(()),
            }
        }
    }

    async fn take(&mut self, happening: Happening) -> Result<(), SendError<Event>> {
        match happening {
            Happening::Up => {
                self.unsure = false;
                self.events.send(Event::Engine(None)).await?;
                all_due(&mut self.due, Instant::now());
            }
            Happening::Down(why) => {
                self.unsure = false;
                self.events.send(Event::Engine(Some(why))).await?;
            }
            Happening::Container(event) => note(&mut self.due, &event, Instant::now()),
            Happening::Images => {}
        }
        Ok(())
    }

    /// Looks at every project that is due.
    async fn look(&mut self) -> Result<(), SendError<Event>> {
        let now = Instant::now();
        for (project, due) in self.due.iter_mut().filter(|(_, due)| due.when() <= now) {
            match self.compose.observe(project).await {
                Ok(mut observation) => {
                    let times = [observation.changed_at, due.changed_at];
                    observation.changed_at = times.into_iter().flatten().min();
                    if std::mem::take(&mut self.unsure) {
                        self.events.send(Event::Engine(None)).await?;
                    }
                    self.events.send(Event::Observed(observation)).await?;
                    *due = Due::at(Instant::now() + ANYWAY);
                }
                Err(EngineError::Docker(DockerError::Unreachable { why, .. })) => {
                    if std::mem::take(&mut self.unsure) {
                        self.events.send(Event::Engine(Some(why))).await?;
                    }
                    // Its `Up` makes everything due.
                    due.again(ANYWAY);
                }
                Err(error) => {
                    tracing::warn!(%project, %error, "engine.observe.failed");
                    due.again(AGAIN);
                }
            }
        }
        Ok(())
    }
}

/// Every project is looked at now.
fn all_due(due: &mut BTreeMap<ProjectName, Due>, now: Instant) {
    for due in due.values_mut() {
        (due.latest, due.quiet) = (now, now);
    }
}

/// Takes over a new list of projects: a new one is looked at now.
fn adopt(due: &mut BTreeMap<ProjectName, Due>, projects: &BTreeSet<ProjectName>, now: Instant) {
    due.retain(|project, _| projects.contains(project));
    for project in projects {
        due.entry(project.clone()).or_insert_with(|| Due::at(now));
    }
}

/// Makes the project of an event due.
fn note(due: &mut BTreeMap<ProjectName, Due>, event: &ContainerEvent, now: Instant) {
    let Some(due) = event.project.as_ref().and_then(|project| due.get_mut(project)) else { return };
    if event.one_off {
        return;
    }
    let changes = match event.what {
        What::Create | What::Destroy | What::Stop => true,
        What::Start | What::Die(_) | What::Rename | What::OutOfMemory | What::Health => false,
        What::Kill | What::Other => return,
    };
    due.heard(now);
    if changes && due.changed_at.is_none() {
        due.changed_at = Some(event.at);
    }
}

#[cfg(test)]
mod tests {
    use rollbackd_core::words::ContainerId;

    use super::*;

    fn event(project: &str, what: What, at: u64) -> ContainerEvent {
        ContainerEvent {
            at: Moment::from_nanos(at),
            id: ContainerId::new("a"),
            name: "shop-web-1".into(),
            project: Some(project.into()),
            service: Some("web".into()),
            one_off: false,
            what,
        }
    }

    fn watched(now: Instant) -> BTreeMap<ProjectName, Due> {
        let mut due = BTreeMap::new();
        adopt(&mut due, &["shop".into()].into(), now);
        due.insert("shop".into(), Due::at(now + ANYWAY));
        due
    }

    #[test]
    fn a_burst_is_looked_at_once_when_it_is_over() {
        let now = Instant::now();
        let mut due = watched(now);
        for step in 0..4 {
            let at = now + Duration::from_millis(100 * step);
            note(&mut due, &event("shop", What::Create, 100 + step), at);
        }
        let shop = due["shop"];
        assert_eq!(shop.when(), now + Duration::from_millis(300) + QUIET);
        assert_eq!(shop.changed_at, Some(Moment::from_nanos(100)), "the first counts");
    }

    #[test]
    fn an_endless_burst_is_looked_at_after_a_second() {
        let now = Instant::now();
        let mut due = watched(now);
        for step in 0..50 {
            let at = now + Duration::from_millis(100 * step);
            note(&mut due, &event("shop", What::Start, 0), at);
        }
        assert_eq!(due["shop"].when(), now + LATEST);
    }

    #[test]
    fn a_crash_is_looked_at_but_is_no_change() {
        let now = Instant::now();
        let mut due = watched(now);
        note(&mut due, &event("shop", What::Die(1), 7), now);
        assert_eq!(due["shop"].when(), now + QUIET);
        assert_eq!(due["shop"].changed_at, None);
    }

    #[test]
    fn other_projects_and_one_off_containers_are_nobodys_business() {
        let now = Instant::now();
        let mut due = watched(now);
        note(&mut due, &event("other", What::Create, 7), now);
        note(&mut due, &ContainerEvent { one_off: true, ..event("shop", What::Create, 7) }, now);
        assert_eq!(due, watched(now));
    }

    #[test]
    fn a_reload_keeps_what_is_due_and_looks_at_new_projects_at_once() {
        let now = Instant::now();
        let mut due = watched(now);
        adopt(&mut due, &["shop".into(), "blog".into()].into(), now);
        assert_eq!(due["shop"], Due::at(now + ANYWAY));
        assert_eq!(due["blog"], Due::at(now));
        adopt(&mut due, &["blog".into()].into(), now);
        assert_eq!(due.len(), 1);
    }
}

#[cfg(all(test, feature = "testing"))]
#[path = "watch_tests.rs"]
mod on_the_model;
