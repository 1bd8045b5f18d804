//! What runs the services: sees what is deployed, keeps what can be returned
//! to, and puts it back a step at a time. It never knows why.

pub mod compose;
pub mod error;
pub mod records;

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::{
    event::Event,
    revision::{Observation, Revision},
    words::{ImageId, IncidentId, ProjectName},
};
use tokio::sync::{mpsc, watch};

use self::{
    compose::{Compose, look::Leftover},
    error::EngineError,
};
use crate::config::settings::KeepBy;

/// What runs the services. Cheap to clone; all clones are one.
#[derive(Clone)]
pub enum Engine {
    /// Docker Compose projects.
    Compose(Compose),
}

impl Engine {
    /// What a project runs now, its containers recorded.
    ///
    /// # Errors
    ///
    /// When the engine or the store does not answer.
    pub async fn observe(&self, project: &ProjectName) -> Result<Observation, EngineError> {
        match self {
            Self::Compose(compose) => compose.observe(project).await,
        }
    }

    /// Tells the core what the projects run, whenever it changes and now and
    /// then anyway, and whether the engine answers. Ends with the receiver.
    /// Listens from the call on: call it before the engine is followed.
    pub fn watch(
        self,
        projects: watch::Receiver<BTreeSet<ProjectName>>,
        events: mpsc::Sender<Event>,
    ) -> impl Future<Output = ()> + Send {
        match self {
            Self::Compose(compose) => compose.watch(projects, events),
        }
    }

    /// Keeps exactly these images.
    ///
    /// # Errors
    ///
    /// The first that stood in the way.
    pub async fn keep(&self, wanted: &BTreeMap<ImageId, KeepBy>) -> Result<(), EngineError> {
        match self {
            Self::Compose(compose) => compose.keep(wanted).await,
        }
    }

    /// What is missing to return to a revision; `None` when nothing is.
    ///
    /// # Errors
    ///
    /// When the engine or the store does not answer.
    pub async fn restorable(&self, revision: &Revision) -> Result<Option<String>, EngineError> {
        match self {
            Self::Compose(compose) => compose.restorable(revision).await,
        }
    }

    /// What rollbacks that do not run left behind, for people to look at.
    ///
    /// # Errors
    ///
    /// When the engine does not answer.
    pub async fn leftovers(
        &self,
        project: &ProjectName,
        running: Option<IncidentId>,
    ) -> Result<Vec<Leftover>, EngineError> {
        match self {
            Self::Compose(compose) => compose.leftovers(project, running).await,
        }
    }
}
