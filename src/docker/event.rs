//! What the engine says has happened.

use rollbackd_core::{
    moment::Moment,
    words::{ContainerId, ProjectName, ServiceName},
};

/// One thing from the stream of events, or of the stream itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The engine answers, and events flow from now on. What happened before is
    /// not known: look.
    Up,
    /// The engine does not answer, or the stream was cut: why.
    Down(String),
    /// Something happened to a container.
    Container(ContainerEvent),
    /// An image was deleted, untagged or tagged.
    Images,
}

/// Something that happened to a container.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerEvent {
    /// When, as the engine dates it.
    pub at: Moment,
    /// The container.
    pub id: ContainerId,
    /// Its name at that time.
    pub name: String,
    /// The Compose project of its labels.
    pub project: Option<ProjectName>,
    /// The Compose service of its labels.
    pub service: Option<ServiceName>,
    /// Made by `docker compose run`.
    pub one_off: bool,
    /// What happened.
    pub what: What,
}

/// What happened to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was made.
    Create,
    /// It started.
    Start,
    /// Somebody asked the engine to send it a signal.
    Kill,
    /// It ended, with this code.
    Die(i64),
    /// It was killed for memory.
    OutOfMemory,
    /// Somebody asked the engine to stop it, and it has stopped.
    Stop,
    /// It was given another name.
    Rename,
    /// It was removed.
    Destroy,
    /// Its health changed.
    Health,
    /// Anything else.
    Other,
}
