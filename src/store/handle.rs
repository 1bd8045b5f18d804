//! The thread that owns the files, and the async handle that others hold. Its
//! queue is bounded: when the disk is slow, those who ask wait.

#[cfg(feature = "testing")]
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fmt, path::Path, sync::Arc, thread};

use rollbackd_core::{
    effect::Effect,
    fact::Fact,
    moment::Moment,
    words::{ContainerId, ImageId, IncidentId, ProjectName},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    database::{Contents, EffectId, Store},
    error::StoreError,
    outbox::{Letter, LetterId, Outbox, Queued},
    recorded::{Chunk, Keyframe},
    records::Touch,
};
use crate::host::{clock::Anchor, command::Group};

/// How many requests may wait for the thread. The loop has one under way at a
/// time, and so has each of a handful of others: more than this would be a bug
/// that waiting makes visible.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&mut Store) + Send>;

enum Request {
    Work(Job),
    Close(oneshot::Sender<()>),
}

/// A state directory that was opened, and what was in it.
#[derive(Debug)]
pub struct Opened {
    /// Talks to the thread that owns the files.
    pub handle: Handle,
    /// Where the clock stood when it was last stored.
    pub anchor: Option<Anchor>,
    /// Every fact in order, with the moment it was committed.
    pub facts: Vec<(Moment, Fact)>,
    /// The effects that nobody has acknowledged, in order.
    pub pending: Vec<(EffectId, Effect)>,
    /// The last checkpoint; `None` when it was lost.
    pub checkpoint: Option<Vec<u8>>,
}

/// Opens a state directory (made when missing), reads what a start needs and
/// starts the thread that owns it. Blocks; called once, at the start.
///
/// # Errors
///
/// As [`Store::open`] and [`Store::contents`].
pub fn open(state_dir: &Path) -> Result<Opened, StoreError> {
    let mut store = Store::open(state_dir)?;
    let Contents { anchor, facts, pending, checkpoint } = store.contents()?;
    let identity = store.identity().into();
    let (requests, mut queue) = mpsc::channel(QUEUE);
    let serve = move || {
        while let Some(request) = queue.blocking_recv() {
            match request {
                Request::Work(job) => job(&mut store),
                Request::Close(done) => {
                    drop(store);
                    // The one who closes may have gone; then nobody waits.
                    let _ = done.send(());
                    return;
                }
            }
        }
    };
    thread::Builder::new()
        .name("store".into())
        .spawn(serve)
        .map_err(|source| StoreError::Directory { path: state_dir.to_owned(), source })?;
    let handle = Handle { door: Door::Thread(requests), identity };
    Ok(Opened { handle, anchor, facts, pending, checkpoint })
}

/// Likewise without a thread: each call is done by the one who makes it, before
/// it returns. For simulation, where nothing else may run while time is made.
/// The files are closed when the last handle is dropped.
///
/// # Errors
///
/// As [`open`].
#[cfg(feature = "testing")]
pub fn open_here(state_dir: &Path) -> Result<Opened, StoreError> {
    let store = Store::open(state_dir)?;
    let Contents { anchor, facts, pending, checkpoint } = store.contents()?;
    let identity = store.identity().into();
    let door = Door::Here(Arc::new(Mutex::new(Some(store))));
    let handle = Handle { door, identity };
    Ok(Opened { handle, anchor, facts, pending, checkpoint })
}

/// Talks to the thread that owns the files. Cheap to clone. A call whose future
/// is dropped half-way is carried out all the same.
#[derive(Clone)]
pub struct Handle {
    door: Door,
    identity: Arc<str>,
}

/// The way to the files.
#[derive(Clone)]
enum Door {
    Thread(mpsc::Sender<Request>),
    #[cfg(feature = "testing")]
    Here(Arc<Mutex<Option<Store>>>),
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    /// What this state directory calls itself: 32 hexadecimal digits, random.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Stores facts, the effects that they cause and the anchor: all or nothing,
    /// on the disk when this returns. The effects' numbers are in their order.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then nothing was.
    pub async fn commit(
        &self,
        at: Anchor,
        facts: Vec<Fact>,
        effects: Vec<Effect>,
    ) -> Result<Vec<EffectId>, StoreError> {
        self.ask(move |store| store.commit(&at, &facts, &effects)).await
    }

    /// Notes that an effect is done: it is not handed on again.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn acknowledge(&self, effect: EffectId) -> Result<(), StoreError> {
        self.ask(move |store| store.acknowledge(effect)).await
    }

    /// Keeps a container's inspect document, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn put_record(
        &self,
        container: &ContainerId,
        document: &serde_json::Value,
    ) -> Result<(), StoreError> {
        let (container, document) = (container.clone(), document.clone());
        self.ask(move |store| store.put_record(&container, &document)).await
    }

    /// A container's inspect document, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn record(&self, id: &ContainerId) -> Result<Option<serde_json::Value>, StoreError> {
        let id = id.clone();
        self.ask(move |store| store.record(&id)).await
    }

    /// Forgets every record but these, and what rollbacks did to the containers.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn forget_records(&self, except: Vec<ContainerId>) -> Result<(), StoreError> {
        self.ask(move |store| store.forget_records(&except)).await
    }

    /// Notes what a rollback does to containers: all or nothing. What it made
    /// stays made by it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn touch(
        &self,
        incident: IncidentId,
        containers: Vec<(ContainerId, Touch)>,
    ) -> Result<(), StoreError> {
        self.ask(move |store| store.touch(incident, &containers)).await
    }

    /// What a rollback did to a container; `None`: nothing.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn touched(
        &self,
        container: &ContainerId,
        incident: IncidentId,
    ) -> Result<Option<Touch>, StoreError> {
        let container = container.clone();
        self.ask(move |store| store.touched(&container, incident)).await
    }

    /// Did any rollback make this container?
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn made(&self, container: &ContainerId) -> Result<bool, StoreError> {
        let container = container.clone();
        self.ask(move |store| store.made(&container)).await
    }

    /// Notes with which image a mark was seen, unless it was seen before.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn mark(&self, mark: String, image: ImageId) -> Result<(), StoreError> {
        self.ask(move |store| store.mark(&mark, image)).await
    }

    /// The image with which a mark was first seen.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn marked(&self, mark: String) -> Result<Option<ImageId>, StoreError> {
        self.ask(move |store| store.marked(&mark)).await
    }

    /// Notes the group that is about to run for a project, in place of an
    /// earlier one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn command_began(
        &self,
        project: &ProjectName,
        group: &Group,
    ) -> Result<(), StoreError> {
        let (project, group) = (project.clone(), group.clone());
        self.ask(move |store| store.command_began(&project, &group)).await
    }

    /// Forgets the group of a project: all of it has ended.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn command_ended(&self, project: &ProjectName) -> Result<(), StoreError> {
        let project = project.clone();
        self.ask(move |store| store.command_ended(&project)).await
    }

    /// The group that was noted last for a project and not forgotten.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn command(&self, project: &ProjectName) -> Result<Option<Group>, StoreError> {
        let project = project.clone();
        self.ask(move |store| store.command(&project)).await
    }

    /// Keeps a checkpoint in place of the one before. It may be lost.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn checkpoint(&self, at: Anchor, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.ask(move |store| store.checkpoint(&at, &bytes)).await
    }

    /// Adds a chunk to the recording, then begins a new span of it. It may be lost.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn remember(
        &self,
        chunk: Option<Chunk>,
        keyframe: Option<Keyframe>,
    ) -> Result<(), StoreError> {
        self.ask(move |store| store.remember(chunk.as_ref(), keyframe.as_ref())).await
    }

    /// Puts letters into the outbox and acknowledges the effect that asked for
    /// them, in one transaction. A recipient that already has a letter of this
    /// effect gets no second one.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then nothing was.
    pub async fn post(&self, effect: EffectId, letters: Vec<Letter>) -> Result<(), StoreError> {
        self.ask(move |store| store.post(effect, &letters)).await
    }

    /// The letters that are due, oldest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn due(&self, now: Moment, limit: u32) -> Result<Vec<Queued>, StoreError> {
        self.ask(move |store| store.due(now, limit)).await
    }

    /// When the next letter is due; `None` when none waits.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn next_due(&self) -> Result<Option<Moment>, StoreError> {
        self.ask(|store| store.next_due()).await
    }

    /// The mail server took it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn delivered(&self, letter: LetterId) -> Result<(), StoreError> {
        self.ask(move |store| store.delivered(letter)).await
    }

    /// Sending it failed; it is due again at `retry_at`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn failed(
        &self,
        letter: LetterId,
        retry_at: Moment,
        error: String,
    ) -> Result<(), StoreError> {
        self.ask(move |store| store.failed(letter, retry_at, &error)).await
    }

    /// It will not be sent; the reason is kept.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn abandoned(&self, letter: LetterId, error: String) -> Result<(), StoreError> {
        self.ask(move |store| store.abandoned(letter, &error)).await
    }

    /// How the outbox stands, for status and metrics.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn outbox(&self) -> Result<Outbox, StoreError> {
        self.ask(|store| store.outbox()).await
    }

    /// Waits for what was asked before, closes the files and lets go of the
    /// lock. Every other handle answers [`StoreError::Closed`] from then on.
    pub async fn close(self) {
        match self.door {
            Door::Thread(requests) => {
                let (done, closed) = oneshot::channel();
                if requests.send(Request::Close(done)).await.is_ok() {
                    // An error means that the thread has ended: closed as well.
                    let _ = closed.await;
                }
            }
            #[cfg(feature = "testing")]
            Door::Here(store) => drop(inside(&store).take()),
        }
    }

    /// Makes every write to `state.db` fail from now on, or no longer: what a
    /// disk does that is full or was mounted read-only.
    ///
    /// # Errors
    ///
    /// When the store is closed.
    #[cfg(feature = "testing")]
    pub async fn refuse_writes(&self, refuse: bool) -> Result<(), StoreError> {
        self.ask(move |store| store.refuse_writes(refuse)).await
    }

    /// Makes `times` writes to `state.db` fail as on a full disk, the first of
    /// them the `n`-th from now on.
    ///
    /// # Errors
    ///
    /// When the store is closed.
    #[cfg(feature = "testing")]
    pub async fn refuse_from(&self, n: u64, times: u64) -> Result<(), StoreError> {
        self.ask(move |store| {
            store.refuse_from(n, times);
            Ok(())
        })
        .await
    }

    /// How many writes there were since [`Handle::refuse_from`].
    ///
    /// # Errors
    ///
    /// When the store is closed.
    #[cfg(feature = "testing")]
    pub async fn writes(&self) -> Result<u64, StoreError> {
        self.ask(|store| Ok(store.writes())).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let requests = match &self.door {
            Door::Thread(requests) => requests,
            #[cfg(feature = "testing")]
            Door::Here(store) => {
                return inside(store).as_mut().map_or(Err(StoreError::Closed), work);
            }
        };
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            // Who asked may have gone; what was asked for is done all the same.
            let _ = reply.send(work(store));
        });
        requests.send(Request::Work(job)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// A simulated death may have left it locked; what was committed is whole.
#[cfg(feature = "testing")]
fn inside(store: &Mutex<Option<Store>>) -> MutexGuard<'_, Option<Store>> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
