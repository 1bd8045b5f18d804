//! What the loop listens to and where its effects go: the ends of every channel
//! that it has, so that the loop's own file holds nothing but the loop.

use std::{collections::BTreeMap, sync::Arc};

use rollbackd_core::{
    effect::Notice,
    event::Event,
    moment::Moment,
    reading::Sample,
    settings::{Mode, Settings},
    words::{ProjectName, TriggerId, TriggerIx},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{executor::Order, keeper::Wanted, looker::Looked, systemd::Pulse};
use crate::{
    api::{Asked, Question, Snapshot},
    store::EffectId,
};

/// By project and trigger, where the core has put them.
pub(super) type Places = BTreeMap<(ProjectName, TriggerId), TriggerIx>;

/// Everything that the loop listens to, the more urgent first.
pub(super) struct Ears {
    /// A new configuration; the answer says where each trigger has its place.
    pub(super) settings: mpsc::Receiver<(Settings, Mode, oneshot::Sender<Places>)>,
    /// What people ask for.
    pub(super) commands: mpsc::Receiver<Asked>,
    /// What was seen because a person asked for it; they wait for the answer.
    pub(super) looked: mpsc::Receiver<Looked>,
    /// Steps that have ended, what was seen of the engine.
    pub(super) events: mpsc::Receiver<Event>,
    /// Why something was or was not done: answered by the core as it is, without
    /// a turn. Bounded; when it is full, the person is told to ask again.
    pub(super) questions: mpsc::Receiver<Question>,
    /// What sources say. Bounded: when the loop is behind, sources wait.
    pub(super) samples: mpsc::Receiver<Sample>,
    /// Stop.
    pub(super) stop: CancellationToken,
}

/// Where the loop's effects go.
pub(super) struct Hands {
    pub(super) steps: mpsc::Sender<Order>,
    pub(super) notices: mpsc::Sender<(EffectId, Notice)>,
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) wanted: watch::Sender<Wanted>,
    /// Projects to be looked at once more.
    pub(super) looks: mpsc::Sender<ProjectName>,
    /// Up to when what was heard is on the disk.
    pub(super) recorded: watch::Sender<Moment>,
    /// State cannot be written; told from memory.
    pub(super) troubles: mpsc::Sender<String>,
    /// What systemd is told.
    pub(super) pulse: Pulse,
}
