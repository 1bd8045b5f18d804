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
        broadcast::error::RecvError,
        mpsc::{Sender, error::SendError},
        watch,
    },
    time::{Instant, sleep_until},
};

use super::Compose;
use crate::docker::event::{ContainerEvent, Happening, What};

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

    fn when(&self) -> Instant {
        self.latest.min(self.quiet)
    }
}

impl Compose {
    /// Watches the projects that `projects` names at any time, until the
    /// receiver of events is gone. The channel is bounded: a receiver that is
    /// slow makes looks rarer, and loses none that matters, for each tells all.
    pub async fn watch(
        self,
        projects: watch::Receiver<BTreeSet<ProjectName>>,
        events: Sender<Event>,
    ) {
        // Only the receiver's end ends this.
        let _ = self.watch_until(projects, &events).await;
    }

    async fn watch_until(
        &self,
        mut projects: watch::Receiver<BTreeSet<ProjectName>>,
        events: &Sender<Event>,
    ) -> Result<(), SendError<Event>> {
        let mut heard = self.happenings.subscribe();
        let mut due = BTreeMap::new();
        adopt(&mut due, &projects.borrow_and_update(), Instant::now());
        loop {
            let next = due.values().map(Due::when).min();
            let next = next.unwrap_or_else(|| Instant::now() + ANYWAY);
            tokio::select! {
                happening = heard.recv() => match happening {
                    Ok(happening) => self.take(happening, &mut due, events).await?,
                    Err(RecvError::Lagged(_)) => all_due(&mut due, Instant::now()),
                    // The daemon ends.
                    Err(RecvError::Closed) => return Ok(()),
                },
                changed = projects.changed() => match changed {
                    Ok(()) => adopt(&mut due, &projects.borrow_and_update(), Instant::now()),
                    Err(_) => return Ok(()),
                },
                () = sleep_until(next) => self.look_at_due(&mut due, events).await?,
                () = events.closed() => return Ok(()),
            }
        }
    }

    async fn take(
        &self,
        happening: Happening,
        due: &mut BTreeMap<ProjectName, Due>,
        events: &Sender<Event>,
    ) -> Result<(), SendError<Event>> {
        match happening {
            Happening::Up => {
                events.send(Event::Engine(None)).await?;
                all_due(due, Instant::now());
            }
            Happening::Down(why) => events.send(Event::Engine(Some(why))).await?,
            Happening::Container(event) => note(due, &event, Instant::now()),
            Happening::Images => {}
        }
        Ok(())
    }

    async fn look_at_due(
        &self,
        due: &mut BTreeMap<ProjectName, Due>,
        events: &Sender<Event>,
    ) -> Result<(), SendError<Event>> {
        let now = Instant::now();
        for (project, due) in due.iter_mut().filter(|(_, due)| due.when() <= now) {
            match self.observe(project).await {
                Ok(mut observation) => {
                    let times = [observation.changed_at, due.changed_at];
                    observation.changed_at = times.into_iter().flatten().min();
                    events.send(Event::Observed(observation)).await?;
                    *due = Due::at(Instant::now() + ANYWAY);
                }
                Err(error) => {
                    tracing::warn!(%project, %error, "engine.observe.failed");
                    let changed_at = due.changed_at;
                    *due = Due { changed_at, ..Due::at(Instant::now() + AGAIN) };
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
