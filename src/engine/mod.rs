//! What runs the services: sees what is deployed, keeps what can be returned
//! to, and puts it back a step at a time. It never knows why.

pub mod compose;
pub mod error;
pub mod records;

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::{
    event::Event,
    revision::{Observation, Revision},
    words::{ImageId, IncidentId, ProjectName, ServiceName},
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

    /// The image that a reference names, pulled where it is not here and comes
    /// from a registry. `known` is what it named when the person was asked.
    ///
    /// # Errors
    ///
    /// When it is nowhere to be had.
    pub async fn bring(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        reference: &str,
        known: Option<ImageId>,
    ) -> Result<ImageId, EngineError> {
        match self {
            Self::Compose(compose) => compose.bring(project, service, reference, known).await,
        }
    }

    /// Could a service be given an image that never ran here?
    ///
    /// # Errors
    ///
    /// What stands in the way.
    pub async fn may_deploy(
        &self,
        project: &ProjectName,
        service: &ServiceName,
        image: ImageId,
    ) -> Result<(), EngineError> {
        match self {
            Self::Compose(compose) => compose.may_deploy(project, service, image).await,
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
