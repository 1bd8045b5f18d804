//! A Docker Compose project. Looking at it, keeping its images and putting a
//! revision back go by the engine's API alone: no Compose file, no environment
//! of whoever deployed, no Compose process. Only an image that never ran here is
//! deployed by Compose itself, and only if that would change nothing else.

mod anchor;
mod bring;
mod document;
mod drift;
mod fingerprint;
mod guard;
mod half_done;
mod keep;
pub mod look;
mod names;
mod observe;
mod origin;
mod overlay;
mod ports;
mod put_back;
mod ready;
pub mod recreate;
mod replica;
mod retag;
mod scene;
mod setup;
mod slots;
mod tool;
pub mod up;
mod watch;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rollbackd_core::words::{IncidentId, ProjectName};
use tokio::sync::broadcast;

use super::records::Records;
use crate::{
    config::settings::{ComposeCommand, ComposeFiles},
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
    calls: Calls,
}

/// How the Compose command is called.
#[derive(Clone, Debug)]
pub struct Calls {
    /// Its words.
    pub command: ComposeCommand,
    /// The engine that it speaks to, as `unix:///...`.
    pub host: String,
    /// What it is told of each project.
    pub files: tokio::sync::watch::Receiver<BTreeMap<ProjectName, ComposeFiles>>,
}

impl Default for Calls {
    fn default() -> Self {
        let (command, files) =
            (ComposeCommand::Auto, tokio::sync::watch::channel(BTreeMap::new()).1);
        Self { command, host: String::new(), files }
    }
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
        let (state_dir, calls) = (state_dir.to_owned(), Calls::default());
        Self { docker, records, clock, happenings, state_dir, local, calls }
    }

    /// The same, with a Compose command that is called like this.
    #[must_use]
    pub fn calling(self, calls: Calls) -> Self {
        Self { calls, ..self }
    }
}
