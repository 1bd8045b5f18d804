//! What a recreation finds before it changes anything, and what has to happen
//! with each of a service's numbers. It only looks; `recreate` acts.

use std::collections::BTreeMap;

use rollbackd_core::{
    revision::ContainerState,
    words::{ContainerId, IncidentId, ServiceName},
};

use super::{
    Compose, Errand, document, fingerprint, names,
    recreate::Target,
    replica::{Original, Replica},
    slots::Slot,
};
use crate::{docker::container::Container, engine::error::EngineError, store::Touch};

/// What is known before anything is changed.
pub(super) struct Scene {
    /// Every container of the project.
    pub(super) containers: Vec<Container>,
    /// The records by number.
    pub(super) wanted: BTreeMap<u32, Container>,
    /// The containers that are named by ID, and what takes their place.
    successors: BTreeMap<ContainerId, ContainerId>,
}

/// What has to happen with one number.
pub(super) struct Exchange<'a> {
    /// What gets the name; `None`: what has the number is put aside for good.
    pub(super) replica: Option<Replica>,
    /// The replacement, once it is created.
    pub(super) created: Option<ContainerId>,
    /// What runs, to be put aside.
    pub(super) aside: Vec<&'a Container>,
    /// What an earlier target left under the name, to be removed.
    pub(super) failed: Option<&'a Container>,
    /// What already has its name and must run.
    pub(super) swapped: Option<&'a Container>,
    /// What was put aside before.
    pub(super) old: Vec<&'a Container>,
}

impl Compose {
    /// Looks at the project and reads the records.
    pub(super) async fn scene(
        &self,
        errand: Errand<'_>,
        target: Target<'_>,
    ) -> Result<Scene, EngineError> {
        let mut wanted: BTreeMap<u32, Container> = BTreeMap::new();
        for id in target.records {
            let gone =
                || EngineError::RecordGone { service: target.service.clone(), id: id.clone() };
            let record = self.records.get(id).await?.ok_or_else(gone)?;
            let runs = record.state == ContainerState::Running;
            if runs || !wanted.contains_key(&record.number) {
                wanted.insert(record.number, record);
            }
        }
        let containers = self.docker.containers(errand.project).await?;
        let named: Vec<ContainerId> =
            wanted.values().flat_map(|one| document::names_containers(&one.document)).collect();
        let mut successors = BTreeMap::new();
        for id in named {
            let successor = self.successor(&containers, target.service, &id).await?;
            successors.insert(id, successor);
        }
        Ok(Scene { containers, wanted, successors })
    }

    /// What has the place of a container that is named by its ID now: the one
    /// of the same service and number that has its own name.
    async fn successor(
        &self,
        containers: &[Container],
        service: &ServiceName,
        id: &ContainerId,
    ) -> Result<ContainerId, EngineError> {
        let known = match containers.iter().find(|one| one.id == *id) {
            Some(here) => Some(here.clone()),
            None => self.records.get(id).await?,
        };
        let place = known.and_then(|one| Some((one.service?, one.number)));
        let named = containers.iter().find(|one| {
            let own = names::parse(&one.name).is_none() && !one.one_off;
            own && place.as_ref().is_some_and(|(service, number)| {
                one.service.as_ref() == Some(service) && one.number == *number
            })
        });
        if let Some(named) = named {
            return Ok(named.id.clone());
        }
        // One of another project, or of none, is what it was.
        match self.docker.container(id.as_str()).await? {
            Some(container) => Ok(container.id),
            None => Err(EngineError::JoinedGone { service: service.clone(), id: id.clone() }),
        }
    }

    /// What has to happen with each number.
    pub(super) async fn exchanges<'a>(
        &self,
        scene: &'a Scene,
        target: Target<'_>,
        places: &BTreeMap<u32, Slot<'a>>,
        incident: IncidentId,
    ) -> Result<Vec<Exchange<'a>>, EngineError> {
        let empty = Slot::default();
        let mut numbers: Vec<u32> = scene.wanted.keys().chain(places.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut exchanges = Vec::new();
        for number in numbers {
            let slot = places.get(&number).unwrap_or(&empty);
            let record = scene.wanted.get(&number);
            let mut exchange = Exchange {
                replica: None,
                created: None,
                aside: slot.extra.clone(),
                failed: None,
                swapped: None,
                old: slot.old.clone(),
            };
            match (slot.plain, record) {
                (Some(plain), Some(record)) if scene.is_again(plain, record) => {
                    exchange.swapped = Some(plain);
                }
                // Where something was put aside before, what has the name is
                // ours, a target that failed, or was about to be put aside too.
                (Some(plain), _) if !slot.old.is_empty() => {
                    match self.records.touched(plain, incident).await? {
                        Some(Touch::Made) => exchange.failed = Some(plain),
                        Some(Touch::Replaced) => exchange.aside.push(plain),
                        None => return Err(EngineError::Overtaken { name: plain.name.clone() }),
                    }
                }
                (plain, _) => exchange.aside.extend(plain),
            }
            if let (Some(record), None) = (record, exchange.swapped) {
                let present = slot.plain.or(slot.old.first().copied());
                exchange.replica = Some(self.replica(scene, target, record, present).await?);
            }
            exchanges.push(exchange);
        }
        Ok(exchanges)
    }

    async fn replica(
        &self,
        scene: &Scene,
        target: Target<'_>,
        record: &Container,
        present: Option<&Container>,
    ) -> Result<Replica, EngineError> {
        let image = record.image_id.unwrap_or(target.image);
        if self.docker.image(&image.to_string()).await?.is_none() {
            return Err(EngineError::ImageGone { reference: record.image.clone(), image });
        }
        let named_now = self.docker.image(&record.image).await?.map(|image| image.id);
        let original = Original {
            record: &record.document,
            present: present.map(|present| &present.document),
            successors: &scene.successors,
            image,
            named_now,
        };
        Ok(original.replica())
    }
}

impl Scene {
    /// Is this container what was recorded, in namespaces that are alive?
    fn is_again(&self, container: &Container, record: &Container) -> bool {
        // A joined container is compared by its ID below.
        let hash = |one: &Container| fingerprint::of_configuration(&one.document, &self.services());
        let joined = document::names_containers(&record.document);
        let now = document::names_containers(&container.document);
        let mut wanted: Vec<_> =
            joined.iter().map(|id| self.successors.get(id).unwrap_or(id).clone()).collect();
        wanted.sort();
        wanted.dedup();
        container.image_id == record.image_id && hash(container) == hash(record) && now == wanted
    }

    /// Every container that may be named by its ID, under one name with what
    /// takes its place.
    fn services(&self) -> BTreeMap<ContainerId, ServiceName> {
        let both = |(id, successor): (&ContainerId, &ContainerId)| {
            let name = ServiceName::new(successor.as_str());
            [(id.clone(), name.clone()), (successor.clone(), name)]
        };
        self.successors.iter().flat_map(both).collect()
    }
}

impl Exchange<'_> {
    /// What has the name in the end.
    pub(super) fn runs(&self) -> Option<&ContainerId> {
        self.created.as_ref().or(self.swapped.map(|one| &one.id))
    }

    /// Is there nothing left to do?
    pub(super) fn is_over(&self) -> bool {
        let settled = |one: &Container| one.state == ContainerState::Running || done_for_good(one);
        self.replica.is_none()
            && self.failed.is_none()
            && self.aside.is_empty()
            && self.swapped.is_none_or(settled)
            && !self
                .old
                .iter()
                .any(|one| may_run(one) || document::restart_policy(&one.document) != "no")
    }
}

/// A one-shot container that has done its job.
pub(super) fn done_for_good(container: &Container) -> bool {
    document::is_one_shot(container)
}

pub(super) fn may_run(container: &Container) -> bool {
    !matches!(container.state, ContainerState::Created | ContainerState::Exited(_))
}
