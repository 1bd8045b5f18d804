//! A Docker Compose project, by the engine's API alone: no Compose file, no
//! environment of whoever deployed, no Compose process. Looking at a project,
//! keeping its images, and the steps that put a revision back.

mod anchor;
mod document;
mod fingerprint;
mod keep;
pub mod look;
mod names;
mod observe;
mod origin;
mod ports;
mod put_back;
mod ready;
pub mod recreate;
mod replica;
mod retag;
mod scene;
mod slots;
mod watch;

use std::path::{Path, PathBuf};

use rollbackd_core::words::{IncidentId, ProjectName};
use tokio::sync::broadcast;

use super::records::Records;
use crate::{
    docker::{Docker, event::Happening},
    host::clock::Clock,
};

/// What the room works with.
#[derive(Clone)]
pub struct Compose {
    docker: Docker,
    records: Records,
    clock: Clock,
    happenings: broadcast::Sender<Happening>,
    state_dir: PathBuf,
    /// The engine runs on this machine: host ports can be tried.
    local: bool,
}

/// The rollback that a step belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// The project.
    pub project: &'a ProjectName,
    /// The rollback.
    pub incident: IncidentId,
}

impl Compose {
    /// The room for one engine. `happenings` is the channel that
    /// [`Docker::follow`] fills; `local` says that the engine runs on this very
    /// machine, so that its ports can be tried before they are needed.
    #[must_use]
    pub fn new(
        docker: Docker,
        records: Records,
        clock: Clock,
        happenings: broadcast::Sender<Happening>,
        state_dir: &Path,
        local: bool,
    ) -> Self {
        Self { docker, records, clock, happenings, state_dir: state_dir.to_owned(), local }
    }
}
