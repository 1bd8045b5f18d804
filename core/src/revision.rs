//! What runs, and what ran: observations of a project and the revisions
//! recorded from them.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    words::{ContainerId, Fingerprint, ImageId, ProjectName, RevisionNo, ServiceName},
};

/// What a project runs at one moment, complete: a service that is not listed
/// has no container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The project looked at.
    pub project: ProjectName,
    /// When it was looked at.
    pub at: Moment,
    /// When the first change since the observation before happened, as the
    /// engine tells it (an event's or a container's own time). `None`: now.
    pub changed_at: Option<Moment>,
    /// The services that have containers, by name.
    pub services: Vec<ServiceSeen>,
    /// Containers on the machine that may recreate others by themselves, by
    /// name: they hold the engine's socket and are not rollbackd's.
    pub pullers: Vec<String>,
}

/// One service as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceSeen {
    /// What a revision records of it.
    pub record: ServiceRecord,
    /// Its containers by number, one-off (`compose run`) containers left out.
    pub containers: Vec<ContainerSeen>,
}

/// What a revision records of a service. The containers' whole inspect
/// documents are in the store, under their IDs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// The service's name.
    pub name: ServiceName,
    /// The image reference its containers were started by.
    pub image: String,
    /// The image that runs.
    pub image_id: ImageId,
    /// Changes exactly when what it runs changes.
    pub fingerprint: Fingerprint,
    /// Its containers by number.
    pub containers: Vec<ContainerId>,
    /// The services it depends on (v2's label; empty under v1).
    #[serde(default)]
    pub depends_on: Vec<ServiceName>,
    /// Services in whose namespaces it lives (`network_mode: service:X`, also
    /// `ipc`, `pid`): it must be recreated after them.
    #[serde(default)]
    pub joins: Vec<ServiceName>,
    /// It mounts a named volume.
    #[serde(default)]
    pub stateful: bool,
    /// It publishes a port on the host.
    #[serde(default)]
    pub publishes: bool,
    /// It ran to its end with code 0 and is not restarted: a migration, say.
    #[serde(default)]
    pub one_shot: bool,
    /// The registry digests of the image (`sha256:...`), sorted, each once: it
    /// is known by them also where another store gives it another ID.
    #[serde(default)]
    pub digests: Vec<String>,
    /// A container of it was made by neither Compose nor rollbackd: by a tool
    /// that pulls images and recreates containers by itself, say.
    #[serde(default)]
    pub unattended: bool,
}

/// One container as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerSeen {
    /// Its identity.
    pub id: ContainerId,
    /// Whether it runs.
    pub state: ContainerState,
    /// What its health check says.
    pub health: Health,
    /// When it last started.
    pub started_at: Option<Moment>,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Running (or paused by a person).
    Running,
    /// Between two runs of its restart policy.
    Restarting,
    /// Ended with this code.
    Exited(i64),
    /// Anything else: being removed, dead, a word this version does not know.
    Other,
}

/// What a container's health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It has no health check.
    None,
    /// Not yet decided.
    Starting,
    /// Passing.
    Healthy,
    /// Failing.
    Unhealthy,
    /// The engine says a word that this version does not know.
    Unknown,
}

/// One recorded state of a project that can be returned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number.
    pub number: RevisionNo,
    /// When its deployment began.
    pub began_at: Moment,
    /// When its deployment ended.
    pub deployed_at: Moment,
    /// Every service of the project, by name.
    pub services: Vec<ServiceRecord>,
    /// The services its deployment changed. Empty for the first revision seen.
    pub changed: Vec<ServiceName>,
}

impl Revision {
    /// What it records of a service.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceRecord> {
        self.services.iter().find(|service| service.name == *name)
    }
}

/// What is thought of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Deployed; the time in which a breach is blamed on it runs.
    Baking,
    /// Its bake was observed and passed.
    Good,
    /// It was rolled back from, or its own containers failed as a target.
    Bad,
    /// Nobody has seen it through a bake.
    Unproven,
}

impl Standing {
    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baking => "baking",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unproven => "unproven",
        }
    }
}
