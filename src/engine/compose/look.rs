//! Looking at a project: what it runs now, with every container's document
//! recorded before anybody hears of it.

use std::collections::{BTreeMap, BTreeSet};

use rollbackd_core::{
    revision::{ContainerState, Observation},
    words::{ContainerId, IncidentId, ProjectName, ServiceName},
};
use serde_json::Value;

use super::{
    Compose, document,
    names::{self, Part},
    observe,
};
use crate::{docker::container::Container, engine::error::EngineError};

/// A container that a rollback made or moved and that is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: ContainerId,
    /// The rollback.
    pub incident: IncidentId,
    /// It is what ran before, kept aside; else a replacement that never ran.
    pub ran_before: bool,
}

impl Compose {
    /// What the project runs. Every container's inspect document is in the
    /// store when this returns. `changed_at` is when the first container that
    /// was not in the store yet was created.
    ///
    /// # Errors
    ///
    /// When the engine or the store does not answer.
    pub async fn observe(&self, project: &ProjectName) -> Result<Observation, EngineError> {
        // What happens while the engine answers may not be in its answer.
        let at = self.clock.now();
        let containers = self.docker.containers(project).await?;
        let former = self.former_services(&containers).await?;
        let present = observe::present(&containers);
        let mut seen = BTreeSet::new();
        for container in &present {
            let recorded = self.records.get(&container.id).await?;
            if recorded.is_some() {
                seen.insert(container.id.clone());
            } else if let (Some(mark), Some(image)) = (container.image_mark(), container.image_id) {
                self.records.mark(mark, image).await?;
            }
            // One that was moved aside was recorded under its own name.
            let moved = names::parse(&container.name).is_some();
            if !moved && recorded.is_none_or(|recorded| differs(&recorded, container)) {
                self.records.put(container).await?;
            }
        }
        let changed_at = observe::first_created(&containers, |id| seen.contains(id), &self.clock);
        let origins = self.origins(&present).await?;
        let clock = &self.clock;
        let seen = observe::observation(project, &containers, &former, &origins, clock, changed_at);
        Ok(Observation { at, ..seen })
    }

    /// The services of containers that others name by ID and that are gone.
    pub(super) async fn former_services(
        &self,
        containers: &[Container],
    ) -> Result<BTreeMap<ContainerId, ServiceName>, EngineError> {
        let here = observe::service_of_each(containers);
        let mut former = BTreeMap::new();
        for id in containers.iter().flat_map(|one| document::names_containers(&one.document)) {
            if here.contains_key(&id) || former.contains_key(&id) {
                continue;
            }
            if let Some(service) = self.records.get(&id).await?.and_then(|was| was.service) {
                former.insert(id, service);
            }
        }
        Ok(former)
    }

    /// The containers that rollbacks other than `running` made or moved and
    /// left. They are for people to look at and are never touched.
    ///
    /// # Errors
    ///
    /// When the engine does not answer.
    pub async fn leftovers(
        &self,
        project: &ProjectName,
        running: Option<IncidentId>,
    ) -> Result<Vec<Leftover>, EngineError> {
        let containers = self.docker.containers(project).await?;
        let leftover = |one: &Container| {
            let marked = names::parse(&one.name)?;
            (Some(marked.incident) != running).then(|| Leftover {
                name: one.name.clone(),
                id: one.id.clone(),
                incident: marked.incident,
                ran_before: marked.part == Part::Old,
            })
        };
        Ok(containers.iter().filter_map(leftover).collect())
    }
}

/// Has anything changed that a container is created from again, or whether it
/// ran? A health check's log changes all the time and is not written each time.
fn differs(recorded: &Container, now: &Container) -> bool {
    let parts = |one: &Container| -> Vec<Value> {
        let of = |name: &str| one.document[name].clone();
        let mut parts: Vec<Value> =
            ["Name", "Image", "Config", "HostConfig", "Mounts"].into_iter().map(of).collect();
        parts.push(one.document["NetworkSettings"]["Networks"].clone());
        parts
    };
    let runs = |one: &Container| match one.state {
        ContainerState::Exited(code) => Some(code),
        ContainerState::Created => Some(-1),
        ContainerState::Running | ContainerState::Restarting | ContainerState::Other => None,
    };
    runs(recorded) != runs(now) || parts(recorded) != parts(now)
}
