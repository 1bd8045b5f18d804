//! Replacing a service's containers by recorded ones, the replacement created
//! before the old one stops, what ran kept aside.
//!
//! Every number of the service goes through the same stages, and which stage
//! it is at is read from names alone, so that a step that was killed anywhere
//! can be run again:
//!
//! ```text
//! NAME                           what runs
//! NAME  NAME.rollbackd-7.new     the replacement is created
//! NAME.old  NAME.new             between two renames
//! NAME.old  NAME                 swapped; what ran is stopped, NAME is started
//! ```
//!
//! A replacement in preparation never ran and holds nothing, so one that is
//! found is made anew.

use std::{collections::BTreeMap, time::Duration};

use rollbackd_core::{
    revision::ContainerState,
    settings::Order,
    words::{ContainerId, ImageId, ServiceName},
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    Compose, Errand, document, fingerprint, names, ports,
    replica::{Original, Replica},
    slots::{Slot, slots},
};
use crate::{
    docker::{container::Container, error::DockerError},
    engine::error::EngineError,
};

/// What a service shall be again.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// The records to create from.
    pub records: &'a [ContainerId],
    /// The image they run.
    pub image: ImageId,
    /// Which runs first.
    pub order: Order,
    /// Start-first: how long both run once the new one is ready.
    pub drain: Duration,
    /// Start-first: how long the new one has to become ready.
    pub start_timeout: Duration,
}

/// What is known before anything is changed.
struct Scene {
    /// Every container of the project.
    containers: Vec<Container>,
    /// The records by number.
    wanted: BTreeMap<u32, Container>,
    /// The containers that are named by ID, and what takes their place.
    successors: BTreeMap<ContainerId, ContainerId>,
}

/// What has to happen with one number.
struct Exchange<'a> {
    /// What gets the name; `None`: what has the number is put aside for good.
    replica: Option<Replica>,
    /// The replacement, once it is created.
    created: Option<ContainerId>,
    /// What runs, to be put aside.
    aside: Vec<&'a Container>,
    /// What an earlier target left under the name, to be removed.
    failed: Option<&'a Container>,
    /// What already has its name and must run.
    swapped: Option<&'a Container>,
    /// What was put aside before.
    old: Vec<&'a Container>,
}

impl Compose {
    /// Replaces a service's containers by recorded ones. Ends only when they
    /// have started; says what a person would want to know.
    ///
    /// # Errors
    ///
    /// When a record or image is gone, a port is taken or the order is not
    /// possible, before anything was changed; when the replacement cannot be
    /// created or started, with what ran kept aside.
    pub async fn recreate(
        &self,
        errand: Errand<'_>,
        target: Target<'_>,
    ) -> Result<String, EngineError> {
        let scene = self.scene(errand, target).await?;
        let places = slots(&scene.containers, target.service, errand.incident);
        let leftover: Vec<_> = places.values().flat_map(|slot| &slot.new).collect();
        let mut exchanges = self.exchanges(&scene, target, &places).await?;
        if leftover.is_empty() && exchanges.iter().all(Exchange::is_over) {
            return Ok(format!("{} already runs it", target.service));
        }
        refuse(&scene, target, &exchanges)?;
        self.try_ports(&scene, target, &places)?;
        for container in leftover {
            self.docker.remove(&container.id, false, true).await?;
        }
        for exchange in &mut exchanges {
            self.prepare(errand, exchange).await?;
        }
        match target.order {
            Order::StopFirst => self.stop_first(errand, &exchanges).await?,
            Order::StartFirst => self.start_first(errand, target, &exchanges).await?,
        }
        Ok(String::new())
    }

    async fn scene(&self, errand: Errand<'_>, target: Target<'_>) -> Result<Scene, EngineError> {
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

    async fn exchanges<'a>(
        &self,
        scene: &'a Scene,
        target: Target<'_>,
        places: &BTreeMap<u32, Slot<'a>>,
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
                // ours: a target that failed.
                (Some(plain), _) if !slot.old.is_empty() => exchange.failed = Some(plain),
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

    /// Are the host's ports free but for what is replaced?
    fn try_ports(
        &self,
        scene: &Scene,
        target: Target<'_>,
        places: &BTreeMap<u32, Slot<'_>>,
    ) -> Result<(), EngineError> {
        if !self.local {
            return Ok(());
        }
        let held =
            places.values().flat_map(|slot| slot.plain.iter().chain(&slot.extra).chain(&slot.old));
        let ours: Vec<_> = held.flat_map(|one| document::host_ports(&one.document)).collect();
        for record in scene.wanted.values() {
            let wanted = document::host_ports(&record.document);
            if let Some(taken) = ports::first_taken(&wanted, &ours) {
                let port = format!("{}/{}", taken.port, taken.protocol);
                return Err(EngineError::PortTaken { service: target.service.clone(), port });
            }
        }
        Ok(())
    }

    /// Creates a replacement, connected to all its networks.
    async fn prepare(
        &self,
        errand: Errand<'_>,
        exchange: &mut Exchange<'_>,
    ) -> Result<(), EngineError> {
        let Some(replica) = &exchange.replica else { return Ok(()) };
        let name = names::new(&replica.name, errand.incident);
        let id = self.docker.create(&name, &replica.body).await?;
        for (network, endpoint) in &replica.networks {
            self.docker.connect_network(network, &id, endpoint).await?;
        }
        exchange.created = Some(id);
        Ok(())
    }

    async fn stop_first(
        &self,
        errand: Errand<'_>,
        exchanges: &[Exchange<'_>],
    ) -> Result<(), EngineError> {
        for exchange in exchanges {
            self.swap(errand, exchange).await?;
            self.rest(exchange).await?;
            self.start(exchange).await?;
        }
        Ok(())
    }

    async fn start_first(
        &self,
        errand: Errand<'_>,
        target: Target<'_>,
        exchanges: &[Exchange<'_>],
    ) -> Result<(), EngineError> {
        let mut started = Vec::new();
        for exchange in exchanges {
            self.swap(errand, exchange).await?;
            self.start(exchange).await?;
            started.extend(exchange.runs().cloned());
        }
        self.wait_containers(errand, &started, target.start_timeout).await?;
        sleep(target.drain).await;
        for exchange in exchanges {
            self.rest(exchange).await?;
        }
        Ok(())
    }

    /// Gives the replacement the name, while what ran still runs.
    async fn swap(&self, errand: Errand<'_>, exchange: &Exchange<'_>) -> Result<(), EngineError> {
        if let Some(failed) = exchange.failed {
            self.docker.stop(&failed.id, None).await?;
            self.docker.remove(&failed.id, false, true).await?;
        }
        for container in &exchange.aside {
            // Put back is what was here last, as it was.
            self.records.put(container).await?;
            let name = names::old(&container.name, errand.incident);
            self.rename(&container.id, &name, &container.name).await?;
        }
        if let (Some(id), Some(replica)) = (&exchange.created, &exchange.replica) {
            self.rename(id, &replica.name, &replica.name).await?;
        }
        Ok(())
    }

    async fn rename(&self, id: &ContainerId, to: &str, whose: &str) -> Result<(), EngineError> {
        self.docker.rename(id, to).await.map_err(|error| match error {
            DockerError::Conflict { .. } | DockerError::NotFound { .. } => {
                EngineError::Meddled { name: whose.to_owned() }
            }
            error => error.into(),
        })
    }

    /// Stops what was put aside, so that nothing but a put back starts it.
    async fn rest(&self, exchange: &Exchange<'_>) -> Result<(), EngineError> {
        for container in exchange.aside.iter().chain(&exchange.old) {
            if document::restart_policy(&container.document) != "no" {
                // An engine that restarts would bring it back beside the other.
                let never = json!({ "RestartPolicy": { "Name": "no" } });
                self.docker.update(&container.id, &never).await?;
            }
            if may_run(container) {
                self.docker.stop(&container.id, None).await?;
            }
        }
        Ok(())
    }

    /// Starts what has the name now.
    async fn start(&self, exchange: &Exchange<'_>) -> Result<(), EngineError> {
        let Some(id) = exchange.runs() else { return Ok(()) };
        if exchange.swapped.is_some_and(done_for_good) {
            return Ok(());
        }
        self.docker.start(id).await?;
        let Some(container) = self.docker.container(id.as_str()).await? else {
            let name =
                exchange.replica.as_ref().map_or_else(|| id.to_string(), |one| one.name.clone());
            return Err(EngineError::Meddled { name });
        };
        match container.state {
            ContainerState::Exited(code) if code != 0 => {
                let how = format!("exited with code {code} as soon as it was started");
                Err(EngineError::Ended { name: container.name, how })
            }
            _ => Ok(()),
        }
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
    fn runs(&self) -> Option<&ContainerId> {
        self.created.as_ref().or(self.swapped.map(|one| &one.id))
    }

    /// Is there nothing left to do?
    fn is_over(&self) -> bool {
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
fn done_for_good(container: &Container) -> bool {
    document::is_one_shot(container)
}

fn may_run(container: &Container) -> bool {
    !matches!(container.state, ContainerState::Created | ContainerState::Exited(_))
}

/// Start-first where both cannot run at once is refused before anything is
/// changed.
fn refuse(
    scene: &Scene,
    target: Target<'_>,
    exchanges: &[Exchange<'_>],
) -> Result<(), EngineError> {
    let beside = exchanges.iter().any(|one| one.replica.is_some() && !one.aside.is_empty());
    if target.order == Order::StopFirst || !beside {
        return Ok(());
    }
    for record in scene.wanted.values() {
        let why = if let Some(port) = document::host_ports(&record.document).first() {
            format!("it publishes port {} of this host", port.port)
        } else if let Some(address) = document::fixed_addresses(&record.document).first() {
            format!("it has the fixed address {address}")
        } else {
            continue;
        };
        return Err(EngineError::NotStartFirst { service: target.service.clone(), why });
    }
    Ok(())
}
