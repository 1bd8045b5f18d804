//! The recording beside the loop: what its core is given is noted while it
//! happens and written with the checkpoints. It may be lost, and never keeps the
//! loop from anything; where something is missing, a new span says so.

use std::time::Duration;

use rollbackd_core::{event::Event, moment::Moment, reducer::Core};
use tokio::sync::watch;

use crate::{
    replay::recording::Recorder,
    store::{Cause, Handle, Keyframe},
};

/// How long a span is at most. Keyframes of a calm project are most of what is
/// recorded of it; an hour of 100 triggers is made again in well under a second.
const SPAN: Duration = Duration::from_secs(3600);
/// A busier span ends when so much was heard: it, too, is to be made again within
/// a second or two.
const BUSY: usize = 4 * 1024 * 1024;
/// A large core is not written oftener than so many times its size was heard.
const LARGE: usize = 4;

/// What is recorded.
pub(super) struct Memory {
    recorder: Recorder,
    store: Handle,
    /// When the span began.
    began: Moment,
    /// The size of its keyframe.
    keyframe: usize,
    /// What was written of it.
    heard: usize,
    /// All that was heard until then is on the disk.
    recorded: watch::Sender<Moment>,
}

impl Memory {
    /// Remembers nothing until [`Memory::begin`].
    pub(super) fn new(store: Handle, recorded: watch::Sender<Moment>) -> Self {
        let mut recorder = Recorder::new(Moment::ZERO);
        recorder.lose();
        Self { recorder, store, began: Moment::ZERO, keyframe: 0, heard: 0, recorded }
    }

    /// The core is about to be given this.
    pub(super) fn heard(&mut self, now: Moment, event: &Event) {
        self.recorder.heard(now, event);
    }

    /// The last turn could not be committed.
    pub(super) fn dropped(&mut self) {
        self.recorder.dropped();
    }

    /// So many facts of the last turn were committed and applied.
    pub(super) fn committed(&mut self, facts: usize) {
        self.recorder.committed(facts);
    }

    /// Writes what was heard, and begins a new span when it is time.
    pub(super) async fn write(&mut self, core: &Core, now: Moment) {
        let long = now.since(self.began) >= SPAN;
        let busy = self.heard >= BUSY.max(self.keyframe.saturating_mul(LARGE));
        if self.recorder.is_lost() {
            self.begin(core, now, Cause::Lost).await;
        } else if long || busy {
            self.begin(core, now, Cause::Again).await;
        } else {
            self.store(None, now).await;
        }
    }

    /// Begins a span with the core as it stands.
    pub(super) async fn begin(&mut self, core: &Core, now: Moment, cause: Cause) {
        match serde_json::to_vec(core) {
            Ok(core) => self.store(Some(Keyframe { at: now, cause, core }), now).await,
            Err(error) => {
                self.recorder.lose();
                tracing::error!(%error, "daemon.recording.unwritable");
            }
        }
    }

    async fn store(&mut self, keyframe: Option<Keyframe>, now: Moment) {
        let chunk = self.recorder.take(now);
        self.heard += chunk.as_ref().map_or(0, |chunk| chunk.bytes.len());
        let begins = keyframe.as_ref().map(|keyframe| keyframe.core.len());
        if let Err(error) = self.store.remember(chunk, keyframe).await {
            // Nothing was written; the next checkpoint begins a new span.
            tracing::warn!(%error, "daemon.recording.failed");
            self.recorder.lose();
            return;
        }
        if let Some(size) = begins {
            self.recorder = Recorder::new(now);
            (self.began, self.keyframe, self.heard) = (now, size, 0);
        }
        if !self.recorder.is_lost() {
            self.recorded.send_replace(now);
        }
    }
}
