//! The one loop: an event, a turn of the core, one commit, then the effects.
//! Nothing happens that was not committed before; a turn that cannot be
//! committed is dropped, and the next event decides anew.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rollbackd_core::{
    effect::{Effect, News, Notice},
    event::{Answer, Event, Refusal},
    moment::Moment,
    reducer::{Core, Turn},
    revision::Observation,
    settings::{Mode, Settings},
    status::Checkpoint,
    words::IncidentId,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    ends::{Ears, Hands},
    executor::Order,
    keeper::Wanted,
    log,
    memory::Memory,
};
use crate::{
    api::{EngineAway, Question, Snapshot},
    host::{clock::Clock, hang},
    store::{Cause, EffectId, Handle},
};

/// How often the windows are written down.
const CHECKPOINT: Duration = Duration::from_secs(5);
/// How often readers get a new snapshot when nothing was decided.
const SNAPSHOT: Duration = Duration::from_secs(1);
/// While state cannot be written, deadlines are looked at no oftener.
const IN_TROUBLE: Duration = Duration::from_secs(1);
/// How long a stop waits for the step that runs.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// The loop and what it owns.
pub(super) struct Heart {
    core: Core,
    clock: Clock,
    store: Handle,
    hands: Hands,
    mode: Mode,
    turn: Turn,
    memory: Memory,
    /// The effects that wait for the end of a step.
    running: BTreeMap<(IncidentId, u32), EffectId>,
    engine: Option<EngineAway>,
    /// State cannot be written: why.
    trouble: Option<String>,
    /// What steps reported while it could not: nobody says it twice, so it is
    /// taken again when it can.
    unsaved: Vec<Event>,
    /// Notices that the notifier had no room for yet.
    waiting: VecDeque<(EffectId, Notice)>,
    stopping: bool,
}

impl Heart {
    pub(super) fn new(core: Core, mode: Mode, clock: Clock, store: Handle, hands: Hands) -> Self {
        let memory = Memory::new(store.clone(), hands.recorded.clone());
        let (turn, running) = (Turn::default(), BTreeMap::new());
        let (engine, trouble, stopping) = (None, None, false);
        let (unsaved, waiting) = (Vec::new(), VecDeque::new());
        Self {
            core,
            clock,
            store,
            hands,
            mode,
            turn,
            memory,
            running,
            engine,
            trouble,
            unsaved,
            waiting,
            stopping,
        }
    }

    /// Hands on what nobody had acknowledged when the daemon stopped, then
    /// lives until it is told to stop.
    pub(super) async fn live(mut self, pending: Vec<(EffectId, Effect)>, mut ears: Ears) {
        self.memory.begin(&self.core, self.clock.now(), Cause::Start).await;
        for (id, effect) in pending {
            self.hand_on(id, effect).await;
        }
        self.publish();
        self.hands.pulse.ready();
        let mut checkpoint = ticks(CHECKPOINT);
        let mut snapshot = ticks(SNAPSHOT);
        let notices = self.hands.notices.clone();
        loop {
            // At least once a second, because of the snapshots.
            self.hands.pulse.beat();
            hang::here().await;
            let due = self.due();
            tokio::select! {
                biased;
                () = ears.stop.cancelled() => break,
                Some((settings, mode, answer)) = ears.settings.recv() => {
                    self.configure(&settings, mode);
                    self.memory.begin(&self.core, self.clock.now(), Cause::Reload).await;
                    // The reloader ends only with the daemon.
                    let _ = answer.send(self.core.places());
                }
                Some((command, answer)) = ears.commands.recv() => {
                    let given = self.take(Event::Command(command)).await;
                    // The person may have gone; the command was carried out all the same.
                    let _ = answer.send(given.unwrap_or_else(no_answer));
                }
                Some((seen, answer)) = ears.looked.recv() => {
                    let taken = self.look(seen).await;
                    let _ = answer.send(taken);
                }
                Some(event) = ears.events.recv() => { self.take(event).await; }
                Some(question) = ears.questions.recv() => self.explain(question),
                Ok(room) = notices.reserve(), if !self.waiting.is_empty() => {
                    if let Some(notice) = self.waiting.pop_front() {
                        room.send(notice);
                    }
                }
                () = sleep_until(due) => { self.take(Event::Deadline).await; }
                _ = checkpoint.tick() => self.checkpoint().await,
                _ = snapshot.tick() => self.publish(),
                Some(sample) = ears.samples.recv() => { self.take(Event::Sample(sample)).await; }
            }
        }
        self.stop(ears.events).await;
    }

    /// Lets the step that runs come to its end; the next begins after a start.
    async fn stop(mut self, mut events: mpsc::Receiver<Event>) {
        self.stopping = true;
        self.hands.pulse.stopping(!self.running.is_empty());
        let until = Instant::now() + STOP_WITHIN;
        while !self.running.is_empty() {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event @ Event::StepEnded { .. }) => { self.take(event).await; }
                    Some(_) => {}
                    None => break,
                },
                () = sleep_until(until) => {
                    tracing::warn!("daemon.stop: a step still runs; it is finished at the next start");
                    break;
                }
            }
        }
        self.checkpoint().await;
    }

    fn due(&self) -> Instant {
        let wait = match self.core.next_deadline() {
            Some((at, _)) => at.since(self.clock.now()),
            None => Duration::from_secs(3600),
        };
        let least = if self.trouble.is_some() { IN_TROUBLE } else { Duration::ZERO };
        Instant::now() + wait.max(least)
    }

    fn configure(&mut self, settings: &Settings, mode: Mode) {
        self.core.configure(settings, self.clock.now());
        self.mode = mode;
        self.publish();
        self.want();
    }

    /// One turn: handle, commit, apply, hand on.
    async fn take(&mut self, event: Event) -> Option<Answer> {
        let now = self.clock.now();
        self.note_engine(&event, now);
        let report = match &event {
            Event::StepEnded { .. } => Some(event.clone()),
            _ => None,
        };
        self.turn.clear();
        self.memory.heard(now, &event);
        self.core.handle(now, event, &mut self.turn);
        let answer = self.turn.answer.take();
        if self.turn.facts.is_empty() && self.turn.effects.is_empty() {
            return answer.map(|answer| self.as_it_stands(answer));
        }
        let (facts, effects) =
            (std::mem::take(&mut self.turn.facts), std::mem::take(&mut self.turn.effects));
        let committed = self.store.commit(self.clock.anchor(), facts.clone(), effects.clone());
        let ids = match committed.await {
            Ok(ids) => ids,
            Err(error) => {
                self.core.dropped();
                self.memory.dropped();
                self.unsaved.extend(report);
                let refusal = self.in_trouble(&error);
                return answer.map(|_| Err(refusal));
            }
        };
        self.out_of_trouble();
        for fact in &facts {
            log::fact(fact);
            self.core.apply(fact);
        }
        self.memory.committed(facts.len());
        self.look_after(&effects);
        if let Some(Event::StepEnded { incident, run, .. }) = report
            && let Some(effect) = self.running.remove(&(incident, run))
        {
            self.acknowledge(effect).await;
        }
        for (id, effect) in ids.into_iter().zip(effects) {
            self.hand_on(id, effect).await;
        }
        self.publish();
        self.want();
        answer
    }

    /// While the state cannot be written nothing new is known, so what a refusal
    /// says may be out of date: then that is the reason.
    fn as_it_stands(&self, answer: Answer) -> Answer {
        match (&self.trouble, answer) {
            (Some(trouble), Err(_)) => Err(nothing_done(trouble.clone())),
            (_, answer) => answer,
        }
    }

    /// Takes what a person asked to be seen; readers see it when this returns.
    async fn look(&mut self, seen: Observation) -> Result<(), Refusal> {
        self.take(Event::Observed(seen)).await;
        self.publish();
        let hint = "make the state directory writable".to_owned();
        self.trouble.clone().map_or(Ok(()), |message| Err(Refusal { message, hint }))
    }

    /// Says why. Other readers get snapshots and never wait for the loop; who asks
    /// this does, because the checks of every trigger are too dear to be worked
    /// out four times a second for the few times that somebody asks.
    fn explain(&self, question: Question) {
        let mut why = self.core.why(&question.project, &question.service, self.clock.now());
        if let (Some(why), Some(trouble)) = (&mut why, &self.trouble) {
            why.says = format!("{trouble}, and nothing is done until it can; {}", why.says);
        }
        // The person may have gone.
        let _ = question.answer.send(why);
    }

    fn note_engine(&mut self, event: &Event, now: Moment) {
        let Event::Engine(down) = event else { return };
        match (down, &self.engine) {
            (Some(why), away) => {
                let since = away.as_ref().map_or(now, |away| away.since);
                self.engine = Some(EngineAway { since, why: why.clone() });
            }
            (None, _) => self.engine = None,
        }
    }

    async fn hand_on(&mut self, id: EffectId, effect: Effect) {
        match effect {
            Effect::RunStep { incident, project, run, after, step } => {
                if !self.core.awaits(incident, run) {
                    // It ended before the daemon did; only its receipt was lost.
                    return self.acknowledge(id).await;
                }
                self.running.insert((incident, run), id);
                if self.stopping {
                    self.running.remove(&(incident, run));
                    return;
                }
                let order = Order { incident, project, run, after, step };
                // The executor ends only with the daemon.
                let _ = self.hands.steps.send(order).await;
            }
            // The loop does not wait for the notifier; what that has not taken
            // is handed to it at the next start.
            Effect::Tell(notice) => self.waiting.push_back((id, notice)),
        }
    }

    /// A project whose rollback has ended is looked at again.
    fn look_after(&self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Tell(Notice { project, news: News::Ended { .. }, .. }) = effect {
                // A full queue: it is being looked at anyway.
                let _ = self.hands.looks.try_send(project.clone());
            }
        }
    }

    async fn acknowledge(&mut self, id: EffectId) {
        if let Err(error) = self.store.acknowledge(id).await {
            self.in_trouble(&error);
        }
    }

    async fn checkpoint(&mut self) {
        let checkpoint: Checkpoint = self.core.checkpoint();
        let mut suspicious = self.trouble.is_some();
        match serde_json::to_vec(&checkpoint) {
            Ok(bytes) => {
                // It may be lost: then the next start begins with empty windows.
                if let Err(error) = self.store.checkpoint(self.clock.anchor(), bytes).await {
                    tracing::warn!(%error, "daemon.checkpoint.failed");
                    // The same disk: better known now than at the next decision.
                    suspicious = true;
                }
            }
            Err(error) => tracing::error!(%error, "daemon.checkpoint.unwritable"),
        }
        self.memory.write(&self.core, self.clock.now()).await;
        if suspicious {
            self.try_again().await;
        }
        if self.trouble.is_none() {
            for report in std::mem::take(&mut self.unsaved) {
                self.take(report).await;
            }
        }
    }

    /// Is the state writable again?
    async fn try_again(&mut self) {
        match self.store.commit(self.clock.anchor(), Vec::new(), Vec::new()).await {
            Ok(_) => self.out_of_trouble(),
            Err(error) => {
                self.in_trouble(&error);
            }
        }
    }

    fn in_trouble(&mut self, error: &crate::store::StoreError) -> Refusal {
        let message = format!("state cannot be written: {error}");
        if self.trouble.as_ref() != Some(&message) {
            tracing::error!(%error, "daemon.state.unwritable: nothing is done until it can be written");
        }
        if self.trouble.is_none() {
            // One that is being told is enough.
            let _ = self.hands.troubles.try_send(message.clone());
        }
        self.trouble = Some(message.clone());
        self.publish();
        nothing_done(message)
    }

    fn out_of_trouble(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("daemon.state.writable: deciding goes on");
        }
    }

    fn publish(&mut self) {
        let now = self.clock.now();
        let projects = self.core.views(now).into_iter().map(|mut view| {
            if let Some(trouble) = &self.trouble {
                for service in &mut view.services {
                    service.armed = false;
                    service.reasons.insert(0, trouble.clone());
                }
            }
            Arc::new(view)
        });
        let snapshot = Snapshot {
            at: now,
            version: env!("CARGO_PKG_VERSION"),
            mode: self.mode,
            projects: projects.collect(),
            engine: self.engine.clone(),
            trouble: self.trouble.clone(),
            behind: Duration::ZERO,
        };
        self.hands.pulse.tell(&snapshot);
        self.hands.snapshots.send_replace(Arc::new(snapshot));
    }

    /// Tells the keeper what must stay restorable.
    fn want(&self) {
        let wanted = Wanted(self.core.kept());
        self.hands.wanted.send_if_modified(|now| {
            let changed = *now != wanted;
            *now = wanted;
            changed
        });
    }
}

fn nothing_done(message: String) -> Refusal {
    Refusal { message, hint: "nothing was done".into() }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A command always has an answer; this is what a person would read if not.
fn no_answer() -> Answer {
    let message = "the daemon gave no answer".to_owned();
    Err(Refusal { message, hint: "`rollbackd status` shows what it is doing".into() })
}

#[cfg(test)]
#[path = "heart_tests.rs"]
mod tests;
